"""Redacted slots, and answers with restored values."""

import json
from functools import partial

import pytest

from tests.fakes.growth import assert_linear
from traffic.redaction import Redaction
from traffic.redaction.phones import TooManyValues
from traffic.redaction.placeholders import placeholders_in, restored
from traffic.redaction.redactor import MAX_VALUES, redact


def test_values_of_one_type_get_distinct_placeholders_and_spellings_share_one() -> None:
    slots = ("mail ana@example.com or bo@example.com", "not ANA@example.com; call +1 202-555-0143")
    redacted = redact(slots, Redaction())
    assert redacted.slots == ("mail <EMAIL_1> or <EMAIL_2>", "not <EMAIL_1>; call <PHONE_1>")
    assert redacted.originals == {
        "<EMAIL_1>": "ana@example.com",
        "<EMAIL_2>": "bo@example.com",
        "<PHONE_1>": "+1 202-555-0143",
    }


def test_unusual_spellings_share_a_placeholder_and_are_restored_as_written() -> None:
    redacted = redact(("mail ana\u200b@example.com, not ana@example.com; ４２４２ 4242\u00a04242 4242",), Redaction())
    assert redacted.slots == ("mail <EMAIL_1>, not <EMAIL_1>; <CARD_1>",)
    assert redacted.originals == {"<EMAIL_1>": "ana\u200b@example.com", "<CARD_1>": "４２４２ 4242\u00a04242 4242"}


def test_a_name_repeated_many_times_takes_linear_time() -> None:
    assert_linear(lambda repeats: partial(redact, ("My name is Ana Li. " + "Ana " * repeats,), Redaction()), 50_000)


def test_an_id_with_a_plus_sign_is_replaced_without_its_name_too() -> None:
    redacted = redact(("hetu 010190+123M", "is it 010190+123M?"), Redaction())
    assert redacted.slots == ("hetu <NATIONAL_ID_1>", "is it <NATIONAL_ID_1>?")


def test_allowed_types_and_the_companys_own_values_are_kept() -> None:
    text = "help@shop.example, ana@example.com, +1 202-555-0143"
    redacted = redact((text,), Redaction(types=("EMAIL",), own=("help@shop.example",)))
    assert redacted.slots == ("help@shop.example, <EMAIL_1>, +1 202-555-0143",)


def test_placeholders_written_by_the_user_are_not_reused() -> None:
    redacted = redact(("is <EMAIL_1> the same as ana@example.com?",), Redaction())
    assert redacted.slots == ("is <EMAIL_1> the same as <EMAIL_2>?",)
    assert restored("<EMAIL_1> is not <EMAIL_2>", redacted.originals) == "<EMAIL_1> is not ana@example.com"


def test_texts_without_values_are_unchanged() -> None:
    slots = ("where is my order 12345?", "")
    assert redact(slots, Redaction()) == (slots, {})


def test_too_many_values_are_refused() -> None:
    with pytest.raises(TooManyValues):
        redact(("\n".join(f"a{n}@example.com" for n in range(MAX_VALUES + 1)),), Redaction())


@pytest.mark.parametrize(
    "answer, whole",
    [
        ("Mail <EMAIL_1>, <EMAIL_11>.", "Mail ana@example.com, <EMAIL_11>."),
        ('{"to": "<EMAIL_1>",  "n": 1}', '{"to": "ana@example.com",  "n": 1}'),
        ('{"to": "\\u003cEMAIL_1\\u003e"}', '{"to": "ana@example.com"}'),
        ('["call <PHONE_1>"]', '["call +1 202\\n555-0143"]'),
        ('{"<EMAIL_1>": {"x": ["<PERSON_1>"]}}', '{"ana@example.com": {"x": ["Ana \\"A\\" Li"]}}'),
        ("call <PHONE_1>", "call +1 202\n555-0143"),
    ],
)
def test_values_are_restored_and_json_stays_valid(answer: str, whole: str) -> None:
    originals = {"<EMAIL_1>": "ana@example.com", "<PHONE_1>": "+1 202\n555-0143", "<PERSON_1>": 'Ana "A" Li'}
    assert restored(answer, originals) == whole
    if answer[0] in "{[":
        json.loads(whole)


def test_placeholders_are_distinguished_from_other_tags() -> None:
    assert placeholders_in("<EMAIL_1> <EMAIL_0> <EMAIL> <ORDER_1> <PERSON_12>") == {"<EMAIL_1>", "<PERSON_12>"}
