"""Redacts the slots of a live request before it is sent to an own model.

`extract` redacts all rows at once and keeps only rows for which `redact` gives the same result.

    redact(("I am ana@example.com",), Redaction())
    # Redacted(slots=("I am <EMAIL_1>",), originals={"<EMAIL_1>": "ana@example.com"})
"""

from typing import NamedTuple

from traffic.redaction import PERSONAL_TYPES, Redaction
from traffic.redaction.phones import TooManyValues
from traffic.redaction.placeholders import Values
from traffic.redaction.recognisers import find, may_hold


class Redacted(NamedTuple):
    """Redacted slots and the original values."""

    slots: tuple[str, ...]
    originals: dict[str, str]
    """Values by placeholder, for restoring the answer."""


MAX_VALUES = 50
"""Maximum values per request; more would block the event loop of the router for too long."""


def redact(slots: tuple[str, ...], redaction: Redaction) -> Redacted:
    """The slots with placeholders in place of personal data. Raises: TooManyValues."""
    if not any(map(may_hold, slots)):
        return Redacted(slots, {})
    findings = {slot: find(slot, redaction.phone_regions, most_phones=MAX_VALUES) for slot in slots}
    count = sum(map(len, findings.values()))
    if count == 0:
        return Redacted(slots, {})
    if count > MAX_VALUES:
        raise TooManyValues
    values = Values(dict.fromkeys(slots), findings.__getitem__, redaction.own)
    values = values.without([kind for kind in PERSONAL_TYPES if kind not in redaction.types])
    return Redacted(tuple(map(values.replace, slots)), values.originals())
