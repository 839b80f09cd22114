"""Values that log formats write in several ways: times, counts, JSON inside strings."""

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""Tokens. The store holds 64-bit integers; a larger number is damage, not traffic."""

Time = str | float | int
"""ISO 8601 (without a zone: UTC), or an epoch in seconds or milliseconds."""

TIMEOUTS = frozenset({0, 408, 504})
"""Status of attempts that got no answer: the provider may have worked, and may bill."""

_FIRST_EPOCH_MS = 1e11
"""As seconds this is the year 5138, as milliseconds 1973."""


def parse_time(value: Any) -> datetime:
    """A `Time` in UTC. Raises: ValueError."""
    try:
        if isinstance(value, str):
            parsed = datetime.fromisoformat(value.strip())
            return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000 if abs(value) >= _FIRST_EPOCH_MS else value, UTC)
    except (OverflowError, OSError) as error:
        raise ValueError(f"time out of range: {value}") from error
    raise ValueError(f"not a time: {str(value)[:40]}")


def milliseconds(start: datetime, end: datetime) -> float | None:
    """From start to end; None when the clock went backwards."""
    elapsed = (end - start).total_seconds() * 1000
    return elapsed if elapsed >= 0 else None


def opened(raw: msgspec.Raw) -> msgspec.Raw:
    """JSON that was put into a JSON string, taken out of it; everything else as it is.

    Raises: msgspec.DecodeError.
    """
    data = bytes(raw)
    if not data.startswith(b'"'):
        return raw
    text = msgspec.json.decode(data, type=str).strip()
    return msgspec.Raw(text.encode() if text else b"null")
