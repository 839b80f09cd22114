"""Personal data in prompts for own models: replaced by placeholders before training, and by the router.

An adapter is trained and evaluated on prompts in which `ana@example.com` is `<EMAIL_1>`. The router must ask it in the
same way, so `extract` and the router both call `Redactor`; the router puts the values back into the answer.

    recognisers.py   where values stand in a text      phones.py, names.py   two of the recognisers
    placeholders.py  the values of one request         redactor.py           slots in, redacted slots and values out

This module holds what the files say about it and loads no recogniser.
"""

from typing import Literal, get_args

import msgspec

PersonalType = Literal["EMAIL", "PHONE", "CARD", "IBAN", "IP", "PERSON"]
PERSONAL_TYPES: tuple[PersonalType, ...] = get_args(PersonalType)

PHONE_REGIONS = ("US", "GB", "DE", "FR", "JP")


class Redaction(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the prompts of a call site were redacted before training; live requests are redacted in the same way."""

    types: tuple[PersonalType, ...] = PERSONAL_TYPES
    """Types that are replaced; the others were allowed by name and stay."""
    phone_regions: tuple[str, ...] = PHONE_REGIONS
    """Countries (ISO 3166) whose national way of writing phone numbers is recognised."""
    own: tuple[str, ...] = ()
    """Keys of values in the fixed text of the prompts (a support address): the company's own, never replaced."""
    ner_model: str | None = None
    """spaCy pipeline that found further names in the training set. The router has none: these stay as sent."""
