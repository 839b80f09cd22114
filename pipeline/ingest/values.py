"""Parses values that log formats write in several ways: times, counts, amounts, ids, JSON inside strings.

Required values raise; an optional value that cannot be read becomes None and its field is noted, so that the
summary can count it.
"""

import base64
import contextlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Any

import msgspec

from pipeline.ingest import lenient, typed_values

MAX_COUNT = 2**53
"""Larger numbers are damaged; the store has 64-bit integers."""
Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_COUNT)]
"""Tokens."""
Amount = Annotated[float, msgspec.Meta(ge=0)]
"""A cost or a duration."""

Time = str | float | int
"""ISO 8601 (without a zone: UTC), or an epoch in seconds, milliseconds, microseconds or nanoseconds."""

TIMEOUTS = frozenset({0, 408, 499, 504})
"""Status of attempts without a complete answer (499: client disconnected) that the provider may still bill."""

_EPOCH_UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))
"""Lower bounds of epochs in nano-, micro- and milliseconds; 1e11 seconds would be the year 5138."""
_SCALARS = (str, int, float)
_NIL_UUID = "00000000-0000-0000-0000-000000000000"
_NO_ID = frozenset(
    {"", "none", "null", "nil", "nan", "n/a", "na", "unknown", "undefined", "-", "[object object]", _NIL_UUID}
)
_MAX_ID_CHARS = 512
_MAX_ENCODED = 4
"""Maximum levels of JSON encoded in JSON strings, as queues and log shippers produce."""
_ZONE_NAME = re.compile(r"\[[\w/+-]+\]$| \([^()]+\)$")
"""Appended to the offset by Java (`...+02:00[Europe/Paris]`) and by JavaScript (`... GMT+0200 (Eastern Europe)`)."""
_CLOCK = re.compile(r" m=[+-][\d.]+$")
"""Reading of the monotonic clock, which Go appends to printed times."""
_ZONE_APART = re.compile(r"^(\d{4}-.*\d) ([+-]\d\d:?\d\d)(?: [A-Z]{3,5})?$")
"""An offset after a space, as Snowflake and Ruby write it; Go appends the zone's name."""
_YEARS = range(2015, 2101)
"""Plausible years; other times have the wrong unit or are default values."""


class Notes:
    """Dotted names of fields that were dropped while reading one row."""

    __slots__ = ("nulled", "unknown")

    def __init__(self) -> None:
        self.nulled: list[str] = []
        """Optional fields whose value could not be read."""
        self.unknown: list[str] = []
        """`field=value` of unknown words, which are never taken for feedback."""


def parse_time(value: Any) -> datetime:
    """A `Time` in UTC. Raises: ValueError."""
    try:
        if isinstance(value, str):
            # Fast path for ISO 8601; a text without the first hyphen may be an epoch.
            if value[4:5] == "-":
                try:
                    moment = datetime.fromisoformat(value)
                    return moment if moment.tzinfo is UTC else _in_utc(moment)
                except ValueError:
                    pass
            return _time_of_text(value)
        if isinstance(value, Mapping):
            return parse_time(typed_values.time_of(value))
        if isinstance(value, list) and 3 <= len(value) <= 7 and all(type(part) is int for part in value):
            # Java's: year, month, day and so on to nanoseconds.
            return datetime(*value[:6]).replace(tzinfo=UTC)  # noqa: DTZ001 - the zone follows
        if isinstance(value, int | float) and not isinstance(value, bool):
            size = abs(value)
            return datetime.fromtimestamp(
                next((value / unit for least, unit in _EPOCH_UNITS if size >= least), value), UTC
            )
    except (OverflowError, OSError) as error:
        raise ValueError(f"time out of range: {value}") from error
    raise ValueError(f"not a time: {str(value)[:40]}")


_EPOCH = re.compile(r"(?:/Date\()?(\d{9,20}(?:\.\d+)?)(?:(?:[+-]\d{4})?\)/)?")
"""As text; .NET writes `/Date(1788249600000+0200)/`, where the offset does not change the instant."""


def _time_of_text(text: str) -> datetime:
    text = text.strip()
    if text[4:5] != "-" and (epoch := _EPOCH.fullmatch(text)):
        return parse_time(float(epoch[1]))
    if text.endswith(("]", ")")):
        text = _ZONE_NAME.sub("", text)
    text = _ZONE_APART.sub(r"\1\2", _CLOCK.sub("", text))
    if text.endswith((" UTC", " GMT")) and text[:1].isdigit():
        text = f"{text[:-4]}+00:00"
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        parsed = _time_in_words(text)
    return _in_utc(parsed)


def _in_utc(moment: datetime) -> datetime:
    zone = moment.tzinfo
    if zone is UTC:
        return moment
    return moment.replace(tzinfo=UTC) if zone is None else moment.astimezone(UTC)


_WORDED = (
    *("%d/%b/%Y:%H:%M:%S %z", "%b %d, %Y @ %H:%M:%S.%f", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M"),
    *("%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M:%S.%f", "%a %b %d %H:%M:%S %Y", "%a %b %d %H:%M:%S UTC %Y"),
    "%a %b %d %Y %H:%M:%S GMT%z",
)
"""Times of web servers, Kibana, spreadsheets, C's `asctime`, `date` and JavaScript. Dots imply day first; slashes are
ambiguous unless the year comes first."""
_AMERICAN = ("%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %I:%M:%S.%f %p")
"""Times of .NET and of Azure's portal: where AM and PM are capitals, the month is first."""


def _time_in_words(text: str) -> datetime:
    american = text.endswith((" AM", " PM"))
    for form in _AMERICAN if american else _WORDED:
        with contextlib.suppress(ValueError):
            return datetime.strptime(text.replace(",", "") if american else text, form)  # noqa: DTZ007 - zone follows
    if "," not in text:
        raise ValueError(f"not a time: {text[:40]}")
    return parsedate_to_datetime(text)


def plausible(moment: datetime) -> datetime:
    """Returns `moment`. Raises: ValueError if it is implausible (wrong unit, default value)."""
    if moment.year not in _YEARS:
        raise ValueError(f"time out of range: {moment:%Y-%m-%d}")
    return moment


def optional_time(value: Any, field: str, notes: Notes) -> datetime | None:
    if value is None or value == "":
        return None
    try:
        return plausible(parse_time(value))
    except ValueError:
        notes.nulled.append(field)
        return None


def milliseconds(start: datetime, end: datetime) -> float | None:
    """Milliseconds from start to end; None if negative."""
    elapsed = (end - start).total_seconds() * 1000
    return elapsed if elapsed >= 0 else None


def elapsed_ms(start: Any, end: Any, end_field: str, notes: Notes) -> float | None:
    """Milliseconds between two optional `Time`s; None without either, or if negative.

    Only an unreadable end is noted: the start is the row's time, which is checked separately.
    """
    begun, ended = optional_time(start, "start", Notes()), optional_time(end, end_field, notes)
    return None if begun is None or ended is None else milliseconds(begun, ended)


_MAX_NUMBER = 1e16
"""Upper limit of counts, costs and durations in milliseconds; also excludes infinity and NaN."""


def number(value: Any, field: str, notes: Notes) -> float | None:
    """A finite number, also from text; anything else is None and noted."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            value = None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _MAX_NUMBER:
        notes.nulled.append(field)
        return None
    return value


def amount(value: Any, field: str, notes: Notes) -> float | None:
    """A non-negative number: a cost, a duration."""
    read = number(value, field, notes)
    if read is not None and read < 0:
        notes.nulled.append(field)
        return None
    return None if read is None else float(read)


def dollars(value: Any, field: str, notes: Notes) -> float | None:
    """A cost: a number, text that may name the currency, or an object of parts with their total."""
    if isinstance(value, Mapping):
        value = next((value[key] for key in ("total", "total_cost", "totalCost", "total_usd") if key in value), value)
    if isinstance(value, str):
        value = value.strip()
        for word in _DOLLARS:
            value = value.removeprefix(word).removesuffix(word).strip()
    return amount(value, field, notes)


_DOLLARS = ("US$", "US $", "$", "USD")


def count(value: Any, field: str, notes: Notes) -> int | None:
    """A non-negative integer: tokens, limits, statuses."""
    read = number(value, field, notes)
    if read is None:
        return None
    if read != int(read) or not 0 <= read <= MAX_COUNT:
        notes.nulled.append(field)
        return None
    return int(read)


def text(value: Any, field: str, notes: Notes) -> str | None:
    """Non-empty text; numbers are converted."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    notes.nulled.append(field)
    return None


def flag(value: Any, field: str, notes: Notes) -> bool | None:
    """True or false, also as text or 0/1."""
    if value is None or isinstance(value, bool):
        return value
    word = str(value).strip().casefold()
    if word in ("true", "1", "yes", "hit"):
        return True
    if word in ("false", "0", "no", "miss"):
        return False
    if word not in _NO_ID:
        notes.nulled.append(field)
    return None


def identity(*candidates: Any) -> str | None:
    """The first usable id as text; placeholders such as "None" are skipped."""
    for value in candidates:
        if type(value) is str:
            plain = value.strip()
        elif value is None or isinstance(value, bool) or not isinstance(value, _SCALARS):
            continue
        else:
            whole = isinstance(value, float) and value.is_integer()
            plain = str(int(value) if whole else value).strip()
        if len(plain) <= _MAX_ID_CHARS and plain.casefold() not in _NO_ID:
            return plain
    return None


def opened(raw: msgspec.Raw) -> msgspec.Raw:
    """Decodes JSON that is encoded in a JSON string; returns anything else unchanged.

    Raises: msgspec.DecodeError.
    """
    data = bytes(raw)
    if data[:1] != b'"':
        return raw
    inside = msgspec.json.decode(data, type=str).strip()
    return msgspec.Raw(inside.encode() if inside else b"null")


def opened_value(value: Any) -> Any:
    """A decoded value; text with an encoded JSON object or list is decoded, repeatedly if necessary."""
    for _ in range(_MAX_ENCODED):
        if type(value) is not str or value.lstrip()[:1] not in ("{", "[", '"'):
            return value
        inside = _decoded(value)
        if not isinstance(inside, dict | list | str):
            return value
        value = inside
    return value


def opened_payload(value: Any) -> Any:
    """A body out of the object in which recorders keep it with its encoding: `{"text" | "data", "encoding"}`."""
    if not isinstance(value, Mapping) or not ("encoding" in value or "mimeType" in value):
        return value
    body = value.get("data", value.get("text"))
    if not isinstance(body, str) or str(value.get("encoding")).casefold() != "base64":
        return value if body is None else body
    return text_of_base64(body)


def text_of_base64(body: str) -> str:
    """Text of a base64 body. Raises: ValueError if it is not UTF-8 in base64."""
    try:
        return base64.b64decode(body, validate=True).decode()
    except ValueError as error:
        raise ValueError(f"the body is declared as base64 but is not: {error}") from None


def _decoded(value: str) -> Any:
    """Decodes JSON text, also with raw line ends in strings or as a Python literal; None for other text."""
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError):
        pass
    # Prose that begins like JSON does not end like it.
    if value.rstrip()[-1:] not in ("}", "]", '"'):
        return None
    try:
        return json.loads(value, strict=False)
    except (ValueError, RecursionError):
        pass
    try:
        tree = lenient.literal(value.strip()) if "'" in value else None
        return msgspec.json.decode(msgspec.json.encode(tree)) if isinstance(tree, dict | list) else None
    except (ValueError, TypeError, msgspec.MsgspecError, RecursionError):
        return None
