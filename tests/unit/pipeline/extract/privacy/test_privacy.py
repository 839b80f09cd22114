import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.dataset import PersonalData
from pipeline.extract.config import ExtractConfig, PrivacyConfig
from pipeline.extract.filters import Ledger
from pipeline.extract.privacy import in_words, merged, redact
from pipeline.extract.rows import Row
from tests.fakes.call_site_rows import row
from traffic.prompts import MessagePattern, Template, match, render
from traffic.redaction import PERSONAL_TYPES, Redaction
from traffic.redaction.recognisers import find
from traffic.redaction.redactor import redact as redact_slots

CONFIG = PrivacyConfig(ner_model="none")
SYSTEM = "You help. Write to help@shop.example when in doubt."
TEMPLATE = Template(
    id="0123abcd",
    original=(
        MessagePattern(role="system", prefix=SYSTEM),
        MessagePattern(role="user", prefix="Message: ", suffix="\nAnswer:", slot=True),
    ),
    pruned=(MessagePattern(role="system", prefix="topic"), MessagePattern(role="user", slot=True)),
)
VALUES = {
    "EMAIL": ("ana.li@example.com", "bo@mail.example.org"),
    "PHONE": ("+1 202-555-0143", "+44 20 7946 0241"),
    "CARD": ("4242 4242 4242 4242", "5555555555554444"),
    "IBAN": ("DE89 3704 0044 0532 0130 00", "NL91ABNA0417164300"),
    "IP": ("203.0.113.7", "198.51.100.23"),
}


def asked(text: str, answer: str = "gears", **changes: Any) -> Row:
    slots = (text,)
    sides: dict[str, Any] = {"messages": render(TEMPLATE, slots, "original"), "pruned": render(TEMPLATE, slots)}
    return row(1, text, answer, slots=slots, **(sides | changes))


def done(
    *rows: Row, labels: tuple[str, ...] = (), config: PrivacyConfig = CONFIG, processes: int | None = None
) -> tuple[list[Row], PersonalData, dict[str, int]]:
    ledger = Ledger(len(rows))
    kept, data, _ = redact(rows, config, ledger, [TEMPLATE], labels, processes)
    return kept, data, {f.name: f.removed for f in ledger.close(len(kept))}


def test_a_value_is_replaced_by_one_placeholder_in_every_text_of_the_row() -> None:
    text = "I am at +1 202-555-0143 or ana@example.com; again: 202 555 0143, bo@example.com, ANA@example.com"
    kept, data, _ = done(asked(text, "mail ana@example.com back", logged_text="Sure: mail ana@example.com back"))
    redacted = "I am at <PHONE_1> or <EMAIL_1>; again: <PHONE_1>, <EMAIL_2>, <EMAIL_1>"
    assert kept[0].slots == (redacted,)
    assert kept[0].pruned[1]["content"] == redacted
    assert kept[0].messages[1]["content"] == f"Message: {redacted}\nAnswer:"
    assert (kept[0].answer, kept[0].logged_text) == ("mail <EMAIL_1> back", "Sure: mail <EMAIL_1> back")
    assert data.redacted == {"EMAIL": 2, "PHONE": 1}


def test_a_redacted_request_still_matches_its_template() -> None:
    message = {"role": "user", "content": "Message:   mail ana@example.com \n\nAnswer:"}
    slots = match(TEMPLATE, [{"role": "system", "content": SYSTEM}, message])
    assert slots is not None
    original = asked("x", messages=[{"role": "system", "content": SYSTEM}, message])
    original.slots = slots
    kept, _, _ = done(original)
    assert kept[0].messages[1]["content"] == "Message:   mail <EMAIL_1> \n\nAnswer:"
    assert match(TEMPLATE, kept[0].messages) == kept[0].slots


def test_values_in_several_slots_of_a_message_are_replaced() -> None:
    pattern = MessagePattern("user", "From ", "\nBye", slot=True, middles=(" about ", ":\n"))
    template = Template(id="0123abcd", original=(pattern,), pruned=(pattern,))
    content = "From ana@example.com  about order 7:\n\tbo@example.com and ana@example.com\nBye"
    slots = match(template, [{"role": "user", "content": content}])
    assert slots is not None
    asks = row(1, messages=[{"role": "user", "content": content}], slots=slots, pruned=render(template, slots))
    redact([asks], CONFIG, Ledger(1), [template], (), None)
    assert asks.messages[0]["content"] == "From <EMAIL_1>  about order 7:\n\t<EMAIL_2> and <EMAIL_1>\nBye"
    assert asks.pruned == render(template, asks.slots)


def test_the_first_name_alone_is_the_same_person_and_a_common_word_is_not() -> None:
    kept, _, _ = done(asked("my name is Will Tanaka. Will it come? Regards from Tanaka", "Dear Tanaka, it will come."))
    assert kept[0].slots == ("my name is <PERSON_1>. Will it come? Regards from <PERSON_1>",)
    assert kept[0].answer == "Dear <PERSON_1>, it will come."


def test_values_in_the_fixed_prompt_are_kept_and_listed() -> None:
    kept, data, _ = done(asked("shall I write to help@shop.example or from ana@example.com?"))
    assert kept[0].slots == ("shall I write to help@shop.example or from <EMAIL_1>?",)
    assert kept[0].messages[0]["content"] == SYSTEM
    assert data.static == {"EMAIL": ("help@shop.example",)}
    assert any("help@shop.example" in line for line in in_words(data))


@pytest.mark.parametrize(
    "answer",
    [
        '{"email":"ana@example.com"}',
        '{"people":[{"mail":"<ana@example.com>"}]}',
        "ana@example.com",
        '{"note":"write to bo@example.com"}',  # not in the prompt: nothing to learn it from
    ],
)
def test_a_row_whose_answer_needs_the_value_is_removed_and_counted(answer: str) -> None:
    kept, data, removed = done(asked("mail ana@example.com", answer))
    assert (kept, removed) == ([], {"personal_data_in_answer": 1})
    assert (data.rows_excluded, data.redacted) == ({"EMAIL": 1}, {})


def test_a_number_in_a_json_answer_counts_as_needed() -> None:
    kept, data, _ = done(asked("call +1 202-555-0143", '{"phone":2025550143}'))
    assert (kept, data.rows_excluded) == ([], {"PHONE": 1})


def test_a_json_answer_that_mentions_a_value_is_kept_as_valid_json() -> None:
    kept, _, _ = done(asked("mail ana@example.com", '{"summary":"asks for \\"mail\\" to ana@example.com","n":1}'))
    assert json.loads(kept[0].answer) == {"summary": 'asks for "mail" to <EMAIL_1>', "n": 1}


def test_an_allowed_type_is_unchanged_and_reported() -> None:
    config = msgspec.structs.replace(CONFIG, allow=("EMAIL",))
    kept, data, _ = done(asked("ana@example.com, +1 202-555-0143", '{"email":"ana@example.com"}'), config=config)
    assert kept[0].slots == ("ana@example.com, <PHONE_1>",)
    assert kept[0].answer == '{"email":"ana@example.com"}'
    assert (data.allowed, data.found, data.redacted) == (("EMAIL",), {"EMAIL": 1, "PHONE": 1}, {"PHONE": 1})
    assert any("EMAIL 1" in line for line in in_words(data))


def test_exclude_removes_every_row_with_a_value() -> None:
    config = msgspec.structs.replace(CONFIG, action="exclude")
    kept, data, removed = done(asked("mail ana@example.com"), asked("no such thing"), config=config)
    assert ([r.slots for r in kept], removed) == ([("no such thing",)], {"personal_data": 1})
    assert data.rows_excluded == {"EMAIL": 1}


def test_keep_needs_every_type_by_name_and_then_changes_nothing() -> None:
    with pytest.raises(msgspec.ValidationError, match="missing: PHONE"):
        msgspec.convert({"privacy": {"action": "keep", "allow": ["EMAIL"]}}, ExtractConfig)
    kept, data, _ = done(asked("mail ana@example.com"), config=PrivacyConfig(action="keep", allow=PERSONAL_TYPES))
    assert kept[0].slots == ("mail ana@example.com",)
    assert (data.action, data.names) == ("keep", "not looked for")


def test_a_label_never_changes_even_if_it_looks_like_a_value() -> None:
    kept, data, _ = done(asked("mail 203.0.113.7", "203.0.113.7"), labels=("203.0.113.7", "other"))
    assert (kept[0].answer, kept[0].logged_text, kept[0].slots) == ("203.0.113.7", "203.0.113.7", ("mail <IP_1>",))
    assert data.rows_excluded == {}


def test_a_placeholder_in_the_original_text_is_not_reused() -> None:
    kept, _, _ = done(asked("<EMAIL_1> wrote to ana@example.com"))
    assert kept[0].slots == ("<EMAIL_1> wrote to <EMAIL_2>",)


def test_counts_of_call_sites_add_up() -> None:
    _, one, _ = done(asked("ana@example.com"))
    _, two, _ = done(asked("ana@example.com 203.0.113.7"))
    both = merged([one, two])
    assert both is not None
    assert (both.found, both.static) == ({"EMAIL": 2, "IP": 1}, one.static)


PIECES = st.lists(
    st.one_of(
        st.sampled_from([(kind, value) for kind, values in VALUES.items() for value in values]),
        st.tuples(st.just(""), st.text(st.characters(codec="utf-8", exclude_characters="<>"), max_size=12)),
    ),
    max_size=8,
)


def joined(pieces: list[tuple[str, str]]) -> str:
    return " ; ".join(text for _, text in pieces)


@settings(max_examples=60, deadline=None)
@given(PIECES, PIECES)
def test_no_detected_value_remains_and_placeholders_agree(
    prompt: list[tuple[str, str]], answer: list[tuple[str, str]]
) -> None:
    text, said = joined(prompt), joined(answer)
    document = json.dumps({"said": f"so: {said}", "list": [said, 7, None]})
    before = [(span.type, t[span.start : span.end]) for t in (text, document) for span in find(t)]
    kept, data, removed = done(asked(text, document))
    assert len(kept) + sum(removed.values()) == 1
    for row_ in kept:
        texts = [row_.slots[0], row_.messages[1]["content"], row_.pruned[1]["content"], row_.answer, row_.logged_text]
        for _, value in before:
            assert all(value not in text_ for text_ in texts if text_ is not None)
        assert json.loads(row_.answer).keys() == {"said", "list"}
        # One placeholder for each value, and the same one each time.
        assert sum(data.redacted.values()) == sum(data.found.values())
        order = [value for kind, value in prompt if kind == "EMAIL"]
        numbers = {value: n for n, value in enumerate(dict.fromkeys(order), start=1)}
        expected = "".join(f"<EMAIL_{numbers[value]}>" for value in order)
        assert expected == "".join(part + ">" for part in _emails(row_.slots[0])) or not order


@settings(max_examples=60, deadline=None)
@given(PIECES, PIECES)
def test_the_router_redacts_a_live_request_like_its_training_row(
    prompt: list[tuple[str, str]], answer: list[tuple[str, str]]
) -> None:
    text = f"help@shop.example or {joined(prompt)}"
    request = asked(text, f"so: {joined(answer)}")
    ledger = Ledger(1)
    kept, _, redaction = redact([request], CONFIG, ledger, [TEMPLATE])
    assert redaction is not None
    for row_ in kept:
        assert redact_slots((text,), redaction).slots == row_.slots


def test_a_value_found_only_with_the_answer_removes_the_row() -> None:
    # Nothing in the prompt says that Ana Li is a name: a live request would keep it.
    kept, data, removed = done(asked("where is the parcel of Ana Li", "Hello, my name is Ana Li"))
    assert kept == []
    assert (data.rows_excluded, removed["personal_data_in_answer"]) == ({"PERSON": 1}, 1)


def test_the_dataset_states_the_redaction_for_live_requests() -> None:
    rows = [asked("mail ana@example.com")]
    allowing = PrivacyConfig(ner_model="none", allow=("PHONE",), phone_regions=("US",))
    result = redact(rows, allowing, Ledger(1), [TEMPLATE])
    types = tuple(kind for kind in PERSONAL_TYPES if kind != "PHONE")
    assert result.redaction == Redaction(types=types, phone_regions=("US",), own=("help@shop.example",))
    assert redact(rows, PrivacyConfig(ner_model="none", action="exclude"), Ledger(1), [TEMPLATE]).redaction is None


def _emails(text: str) -> list[str]:
    return ["<EMAIL_" + part.split(">")[0] for part in text.split("<EMAIL_")[1:]]


@pytest.mark.slow
def test_the_rows_do_not_depend_on_the_number_of_processes() -> None:
    def texts(processes: int) -> list[tuple[str, ...]]:
        rows = [asked(f"mail ana{n}@example.com and call +1 202-555-01{n % 100:02}") for n in range(1200)]
        return [r.slots for r in done(*rows, processes=processes)[0]]

    assert texts(1) == texts(2)
