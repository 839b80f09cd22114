"""Validators of an answer."""

import string

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffic.callsites import Checks
from traffic.checks import canonical, failed_checks, is_refusal, parse_json
from traffic.errors import ConfigError

LABELS = Checks(labels=("ham", "spam"))
OBJECT = Checks(json=True)
SCHEMA = Checks(
    json_schema={
        "type": "object",
        "properties": {"city": {"type": "string"}, "people": {"type": "integer", "minimum": 1}},
        "required": ["city"],
        "additionalProperties": False,
    }
)
FREE = Checks()


def names(text: str | None, checks: Checks, finish_reason: str | None = "stop") -> list[str]:
    return [reason.partition(":")[0] for reason in failed_checks(text, finish_reason, checks)]


def test_a_label_of_the_set_passes_with_whitespace_around_it() -> None:
    assert failed_checks(" spam\n", "stop", LABELS) == ()


@pytest.mark.parametrize("text", ["Spam", "spam.", "It is spam", '"spam"', "ham spam"])
def test_a_label_in_another_form_fails(text: str) -> None:
    assert names(text, LABELS) == ["label"]


def test_the_reason_quotes_the_answer_and_counts_the_labels() -> None:
    assert failed_checks("junk", "stop", LABELS) == ("label: 'junk' is not one of 2 labels",)


def test_a_long_wrong_answer_is_quoted_in_one_short_line() -> None:
    (reason,) = failed_checks("word\n" * 500, "stop", LABELS)
    assert "\n" not in reason
    assert len(reason) < 100


def test_a_refusal_counts_as_a_wrong_label_where_a_label_set_is_given() -> None:
    assert names("I'm sorry, but I cannot help with that.", LABELS) == ["label"]


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that request.",
        "I’m sorry, but I can’t assist with that.",
        "**Sorry, I cannot provide that information.**",
        "I cannot assist with this.",
        "I'm unable to assist with that request.",
        "As an AI language model, I cannot give medical advice.",
        "As a large language model, I don't have access to your account.",
        "I must decline to answer.",
        "Es tut mir leid, aber ich kann Ihnen dabei nicht helfen.",
        "Leider kann ich diese Frage nicht beantworten.",
        "Je suis désolé, mais je ne peux pas vous aider.",
        "Désolée, je ne suis pas en mesure de répondre à cette question.",
        "Lo siento, pero no puedo ayudarte con eso.",
        "Mi dispiace, ma non posso aiutarti.",
        "Desculpe, mas não posso ajudar com isso.",
        "Het spijt me, maar daar kan ik u niet mee helpen.",
        "申し訳ありませんが、そのご質問にはお答えできません。",
        "申し訳ございませんが、お手伝いできません。",
        "抱歉,我无法回答这个问题。",
        "抱歉\uff0c我无法提供帮助。",
        "很抱歉,我不能提供该信息。",
        "I apologize, but I cannot provide that information.",
        "Apologies, I can't help with that.",
        "Unfortunately, I am unable to assist with this.",
        "Przykro mi, ale nie mogę pomóc.",
        "К сожалению, я не могу вам помочь.",
        "Üzgünüm, bu konuda yardımcı olamam.",
        "죄송하지만 도와드릴 수 없습니다.",
        "Sorry, this request violates our content policy, so I can't fulfil it.",
        "Sorry, daar kan ik niet bij helpen.",
        "Вибачте, але я не можу допомогти з цим.",
        "Omlouvám se, ale s tím vám nemohu pomoci.",
        "Tyvärr kan jag inte hjälpa till med det.",
        "Beklager, men jeg kan ikke hjelpe med det.",
        "Desværre kan jeg ikke hjælpe dig.",
        "Xin lỗi, tôi không thể giúp bạn với yêu cầu này.",
        "Maaf, saya tidak dapat membantu permintaan itu.",
        "عذراً، لا أستطيع المساعدة في هذا الطلب.",
        "ขออภัย ฉันไม่สามารถช่วยเหลือในคำขอนี้ได้",
        "Λυπάμαι, αλλά δεν μπορώ να βοηθήσω με αυτό.",
        "מצטער, אני לא יכול לעזור בזה.",
        "क्षमा करें, मैं इस अनुरोध में सहायता नहीं कर सकता।",
    ],
)
def test_a_refusal_is_recognised_at_the_start_of_the_answer(text: str) -> None:
    assert names(text, FREE) == ["refusal"]


@pytest.mark.parametrize(
    "text",
    [
        "I cannot come to the meeting on Friday.",
        "I'm sorry to hear that your card was stolen.",
        "Sorry, I can't make it tonight.",
        "As an AI, I don't have feelings, but I can imagine the scene.",
        "The assistant said: I cannot help with that.",
        "Tut mir leid, ich kann heute nicht kommen.",
        "Je ne peux pas venir demain.",
        "No puedo ir a la fiesta.",
        "Ik kan morgen niet komen.",
        "申し訳ありませんが、本日は参加できません。",
        "抱歉,我今天来晚了。",
        "I can help with that.",
        "Unfortunately, we cannot process your return without a receipt.",
        "Unfortunately, we cannot process this refund without a receipt.",
        "I apologize for the delay, your parcel is on its way.",
        "К сожалению, я не могу прийти.",
        "죄송하지만 오늘은 쉽니다.",
        "Sorry, your request for a refund is being processed.",
        "Lo siento, no puedo asistir a la reunión.",
        "Beklager, varen er utsolgt.",
        "Tyvärr kan vi inte leverera i dag.",
        "Maaf, saya tidak bisa hadir.",
        "عذراً على التأخير.",
    ],
)
def test_an_answer_that_only_sounds_like_a_refusal_passes(text: str) -> None:
    assert not is_refusal(text)


def test_refusals_pass_where_the_call_site_allows_them() -> None:
    assert failed_checks("I cannot assist with this.", "stop", Checks(refuse_refusals=False)) == ()


@pytest.mark.parametrize("text", [None, "", " \n\t"])
def test_an_answer_without_text_is_empty(text: str | None) -> None:
    assert failed_checks(text, "stop", FREE) == ("empty",)


def test_tool_calls_need_no_text_unless_a_format_is_required() -> None:
    assert failed_checks(None, "tool_calls", FREE) == ()
    assert failed_checks(None, "tool_calls", LABELS) == ("empty",)


def test_truncation_is_reported_before_the_faults_it_causes() -> None:
    assert names('{"city": "Rome', SCHEMA, "length") == ["truncated", "json"]


def test_a_filtered_answer_is_reported_first() -> None:
    assert names(None, FREE, "content_filter") == ["filtered", "empty"]


def test_an_answer_longer_than_allowed_fails() -> None:
    assert failed_checks("abcd", "stop", Checks(max_chars=4)) == ()
    assert failed_checks("abcde", "stop", Checks(max_chars=4)) == ("length: 5 characters, at most 4 are allowed",)


@pytest.mark.parametrize("text", ["{}", ' {"a": [1, {"b": null}]}\n'])
def test_one_json_object_passes(text: str) -> None:
    assert failed_checks(text, "stop", OBJECT) == ()


@pytest.mark.parametrize(
    "text",
    [
        "[1]",
        '"a"',
        "{'a': 1}",
        '```json\n{"a": 1}\n```',
        '{"a": 1} done',
        '{"a": NaN}',
        '{"a": 1,}',
        "[" * 100_000,
        "\ud800",
    ],
)
def test_other_json_values_are_not_an_object(text: str) -> None:
    assert names(text, OBJECT) == ["json"]


def test_a_schema_error_names_the_path() -> None:
    assert failed_checks('{"city": "Rome", "people": 2}', "stop", SCHEMA) == ()
    (reason,) = failed_checks('{"city": "Rome", "people": 0}', "stop", SCHEMA)
    assert reason.startswith("schema: $.people: ")


def test_a_schema_may_ask_for_something_other_than_an_object() -> None:
    assert failed_checks("[1, 2]", "stop", Checks(json_schema={"type": "array"})) == ()


def test_an_invalid_schema_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match=r"json_schema: \$\.type"):
        failed_checks("{}", "stop", Checks(json_schema={"type": "objekt"}))


def test_a_reference_to_a_url_is_refused_and_not_fetched() -> None:
    with pytest.raises(ConfigError, match=r"https://example\.invalid/s\.json cannot be resolved"):
        failed_checks("{}", "stop", Checks(json_schema={"$ref": "https://example.invalid/s.json"}))


def test_canonical_strips_whitespace_and_keeps_every_format_fault() -> None:
    assert canonical(" \n```json\n{}\n``` ", OBJECT) == "```json\n{}\n```"


@given(st.text())
def test_canonical_is_idempotent_and_does_not_change_the_verdict(text: str) -> None:
    once = canonical(text, OBJECT)
    assert canonical(once, OBJECT) == once
    assert failed_checks(once, "stop", OBJECT) == failed_checks(text, "stop", OBJECT)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(string.ascii_letters), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(string.ascii_letters), JSON, max_size=4))
def test_every_encoded_object_parses_back_and_passes(value: dict[str, object]) -> None:
    text = msgspec.json.encode(value).decode()
    assert parse_json(text) == value
    assert failed_checks(text, "stop", OBJECT) == ()


@given(st.text(), st.sampled_from(["stop", "length", None]))
def test_no_text_makes_the_checks_raise(text: str, finish_reason: str | None) -> None:
    for checks in (FREE, LABELS, OBJECT, SCHEMA):
        failed_checks(text, finish_reason, checks)
