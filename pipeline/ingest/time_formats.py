"""Times whose order of day and month no single value shows: 02/11/2026 is in November or in February."""

from collections.abc import Iterable
from datetime import UTC, datetime

FORMATS = tuple(
    f"{day} {clock}"
    for day in ("%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y")
    for clock in ("%H:%M:%S.%f", "%H:%M:%S", "%H:%M", "%I:%M:%S %p", "%I:%M %p")
)


def parse(value: object, form: str) -> datetime:
    """A time in a format of strptime, in UTC if it has no zone. Raises: ValueError."""
    try:
        moment = datetime.strptime(str(value).strip(), form)  # noqa: DTZ007 - the zone follows
    except ValueError:
        raise ValueError(f"not a time in the format {form}: {str(value)[:40]}") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def fits(value: object, form: str) -> bool:
    try:
        parse(value, form)
    except ValueError:
        return False
    return True


def is_time(value: object) -> bool:
    """Whether one of the formats reads it."""
    return any(fits(value, form) for form in FORMATS)


def format_of(values: Iterable[object]) -> str | None:
    """The only format that reads all values; None if several do, because no day is after the 12th, or none."""
    possible = list(FORMATS)
    for value in values:
        possible = [form for form in possible if fits(value, form)]
    return possible[0] if len(possible) == 1 else None
