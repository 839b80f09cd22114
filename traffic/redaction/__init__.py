"""Replaces personal data in prompts for own models by placeholders, in training data and in the router.

An adapter is trained and evaluated on prompts in which `ana@example.com` is `<EMAIL_1>`. The router
must send the same form, so `extract` and the router share this code; the router restores the values in the answer.

    recognisers.py   finds values in a text            phones.py, names.py, national_ids.py   three of the recognisers
    placeholders.py  the values of one request         redactor.py           redacts the slots of a request

This module holds the settings stored in dataset and adapter files; it loads no recogniser.
"""

from typing import Literal, get_args

import msgspec

PersonalType = Literal["EMAIL", "PHONE", "CARD", "IBAN", "IP", "NATIONAL_ID", "PERSON"]
PERSONAL_TYPES: tuple[PersonalType, ...] = get_args(PersonalType)

PHONE_REGIONS = ("US", "GB", "DE", "FR", "JP")


class Redaction(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the prompts of a call site were redacted before training; live requests are redacted in the same way."""

    types: tuple[PersonalType, ...] = PERSONAL_TYPES
    """Types that are replaced; the others were allowed by name."""
    phone_regions: tuple[str, ...] = PHONE_REGIONS
    """Countries (ISO 3166) whose national way of writing phone numbers is recognised."""
    own: tuple[str, ...] = ()
    """Keys of the company's own values in the fixed text of prompts (a support address); never replaced."""
    ner_model: str | None = None
    """spaCy pipeline that found further names in the training set; the router has none and leaves them as sent."""
