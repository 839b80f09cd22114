"""Restoring values in answers of own models, and unknown placeholders."""

from typing import Any

import msgspec
import pytest

from router.deployed import Prepared, read
from router.personal_data import restored_body, unknown_placeholder
from router.request import ChatRequest, parse
from router.wire.protocol import Unreadable
from tests.fakes.router import CALL_SITE, SYSTEM, deploy, deployment, write_adapter
from traffic.artifacts import Home
from traffic.redaction import Redaction
from traffic.redaction.redactor import MAX_VALUES

ADAPTER = f"{CALL_SITE}@aaaaaaaa"


def request(text: str) -> ChatRequest:
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": text}]
    return parse(msgspec.json.encode({"messages": messages, "metadata": {"call_site": CALL_SITE}}), {})


@pytest.fixture
def prepare(tmp_path: Any) -> Any:
    home = Home(tmp_path)

    def prepared(text: str, redaction: Redaction | None = Redaction()) -> Prepared | str:  # noqa: B008 - frozen
        write_adapter(home, ADAPTER, redaction=redaction)
        deploy(home, deployment(ADAPTER, "http://127.0.0.1:1/v1"))
        return read(home).prepare(request(text), min_margin=None, environ={})

    return prepared


def test_an_adapter_trained_on_redacted_data_gets_placeholders_and_is_not_streamed(prepare: Any) -> None:
    prepared = prepare("I am ana@example.com")
    assert prepared.messages[-1]["content"] == "I am <EMAIL_1>"
    assert prepared.originals == {"<EMAIL_1>": "ana@example.com"}
    assert prepared.judged


def test_an_adapter_trained_without_redaction_gets_the_original_text(prepare: Any) -> None:
    prepared = prepare("I am ana@example.com", redaction=None)
    assert (prepared.messages[-1]["content"], prepared.originals) == ("I am ana@example.com", {})


def test_a_request_with_too_many_values_does_not_go_to_the_adapter(prepare: Any) -> None:
    assert prepare(" ".join(f"a{n}@example.com" for n in range(MAX_VALUES + 1))) == "personal_data"


def test_values_are_restored_in_every_text_of_the_message_only(prepare: Any) -> None:
    message = {"role": "assistant", "content": "to <EMAIL_1>", "reasoning_content": "<EMAIL_1>?"}
    body = msgspec.json.encode({"id": "<EMAIL_1>", "choices": [{"index": 0, "message": message}]})
    tree = msgspec.json.decode(restored_body(body, prepare("ana@example.com")))
    assert tree["id"] == "<EMAIL_1>"
    assert tree["choices"][0]["message"] == {
        "role": "assistant",
        "content": "to ana@example.com",
        "reasoning_content": "ana@example.com?",
    }


def test_an_answer_without_placeholders_is_unchanged(prepare: Any) -> None:
    assert restored_body(b'{"choices": [ ]}', prepare("ana@example.com")) == b'{"choices": [ ]}'


def test_an_invalid_completion_is_unreadable(prepare: Any) -> None:
    with pytest.raises(Unreadable):
        restored_body(b"EMAIL_1", prepare("ana@example.com"))


def test_an_invented_placeholder_is_reported_and_one_sent_by_the_client_is_not(prepare: Any) -> None:
    text = "keep <PHONE_7>, I am ana@example.com"
    prepared = prepare(text)
    assert unknown_placeholder("<PHONE_7> <EMAIL_2>", request(text), prepared) == "<EMAIL_2>"
    assert unknown_placeholder("<PHONE_7> ana@example.com", request(text), prepared) is None
