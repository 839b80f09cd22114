"""Personal data of live requests: placeholders for the own model, the values for the client and the log."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.fakes import router as routers
from tests.fakes.router import CALL_SITE, Setting, ask, only, said, streamed
from traffic.callsites import Checks
from traffic.redaction import Redaction

TEXT = "tell bo@example.com that ana@example.com called from +1 202-555-0143"
ADAPTER = f"{CALL_SITE}@dddddddd"


@pytest.fixture
def redacted(setting: Setting) -> Callable[..., Any]:
    """Starts a router whose adapter was trained on a redacted set and gives this answer."""

    def start(answer: str, checks: Checks) -> Any:
        routers.write_adapter(setting.home, ADAPTER, checks=checks, redaction=Redaction())
        routers.deploy(setting.home, routers.deployment(ADAPTER, setting.own.base_url))
        setting.own.models = (ADAPTER,)
        setting.own.answer = lambda body: answer
        return setting.start()

    return start


@pytest.mark.parametrize("stream", [False, True])
def test_the_model_sees_placeholders_and_the_client_the_original_values(
    setting: Setting, redacted: Callable[..., Any], stream: bool
) -> None:
    router = redacted("Dear <EMAIL_1>, <EMAIL_2> called (<PHONE_1>).", Checks(refuse_refusals=False))
    answer = streamed(router, TEXT)[0] if stream else said(ask(router, TEXT))
    assert answer == "Dear bo@example.com, ana@example.com called (+1 202-555-0143)."
    sent = setting.own.chats[0].body["messages"][-1]["content"]
    assert sent == "tell <EMAIL_1> that <EMAIL_2> called from <PHONE_1>"
    record = only(router.log)
    assert record.output.text == answer
    assert json.loads(bytes(record.messages))[-1]["content"] == TEXT
    assert record.tier == 1


def test_a_json_answer_is_checked_and_returned_with_the_values(redacted: Callable[..., Any]) -> None:
    schema = {"type": "object", "properties": {"to": {"type": "string", "pattern": "@example"}}, "required": ["to"]}
    router = redacted('{"to":"<EMAIL_1>"}', Checks(json=True, json_schema=schema, refuse_refusals=False))
    assert json.loads(said(ask(router, TEXT))) == {"to": "bo@example.com"}
    assert only(router.log).tier == 1


def test_an_answer_with_an_unknown_placeholder_escalates(setting: Setting, redacted: Callable[..., Any]) -> None:
    router = redacted("Dear <PERSON_3>,", Checks(refuse_refusals=False))
    response = ask(router, TEXT)
    assert response.headers["x-fasttier-tier"] == "2"
    assert "<PERSON_3>" not in said(response)
    assert setting.hosted.chats[0].body["messages"][-1]["content"] == TEXT
    first, second = router.log
    assert ((first.error or "").split(":")[0], second.purpose) == ("rejected", "escalation")
