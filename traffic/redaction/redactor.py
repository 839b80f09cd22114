"""The slots of a request as an own model reads them.

`extract` searches all rows at once and keeps those whose slots this function redacts in the same way.

    redact(("I am ana@example.com",), Redaction())
    # Redacted(slots=("I am <EMAIL_1>",), originals={"<EMAIL_1>": "ana@example.com"})
"""

from typing import NamedTuple

from traffic.redaction import PERSONAL_TYPES, Redaction
from traffic.redaction.phones import TooManyValues
from traffic.redaction.placeholders import Values
from traffic.redaction.recognisers import find, may_hold


class Redacted(NamedTuple):
    """What an own model is asked."""

    slots: tuple[str, ...]
    originals: dict[str, str]
    """Values by their placeholders, to be put back into the answer."""


MAX_VALUES = 50
"""Values of one request. More of them take more than milliseconds, in which a router answers nobody else."""


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
