"""Which tier answers, with what prompt, and what the client and the log are told of it."""

import json
from typing import Any

import openai
import pytest

from tests.fakes.router import ADAPTER, CALL_SITE, SYSTEM, Setting, ask, only, said
from traffic.callsites import CallSite, Registry


def test_tier_1_gets_the_pruned_prompt_and_the_client_a_plain_answer(setting: Setting) -> None:
    router = setting.start()
    response = ask(router)
    assert said(response) == "refund"
    assert response.parse().choices[0].logprobs is None
    asked = setting.own.chats[0].body
    assert asked["model"] == ADAPTER
    assert asked["messages"] == [
        {"role": "system", "content": "intent"},
        {"role": "user", "content": "refund please"},
    ]
    assert (asked["logprobs"], asked["top_logprobs"], asked["max_tokens"]) == (True, 2, 16)
    assert "metadata" not in asked
    assert setting.own.chats[0].headers.get("authorization") is None
    headers = {name: value for name, value in response.headers.items() if name.startswith("x-fasttier")}
    assert headers == {
        "x-fasttier-tier": "1",
        "x-fasttier-rule": "closed label",
        "x-fasttier-endpoint": ADAPTER,
        "x-fasttier-attempts": "1",
    }


def test_the_complete_record_is_logged_before_the_answer_is_sent(setting: Setting) -> None:
    router = setting.start()
    response = ask(router)
    record = only(router.log)
    assert record.request_id == response.headers["x-request-id"]
    assert (record.purpose, record.attempt, record.parent_id) == ("serve", 1, None)
    assert (record.call_site, record.cohort) == (CALL_SITE, {"plan": "free", "language": "en"})
    assert (record.user_id, record.customer_id) == ("u1", "c1")
    assert (record.tier, record.rule, record.endpoint, record.adapter) == (1, "closed label", ADAPTER, ADAPTER)
    assert (record.template, record.request_type) == ("0a1b2c3d", "classification")
    assert record.deployment == f"{CALL_SITE} since 2026-11-23T00:00:00Z"
    assert (record.output.text, record.output.finish_reason, record.status, record.error) == (
        "refund",
        "stop",
        200,
        None,
    )
    assert json.loads(bytes(record.messages))[0]["content"] == SYSTEM
    assert record.confidence == pytest.approx(0.97)
    assert record.usage is not None
    assert record.usage.output == 1
    assert (record.cost_usd, record.provider) == (None, "vllm")
    assert record.latency_ms is not None


def test_requests_to_other_tiers_are_unchanged_and_priced(setting: Setting) -> None:
    router = setting.start()
    tools = [{"type": "function", "function": {"name": "find", "parameters": {"type": "object", "properties": {}}}}]
    response = ask(
        router, messages=[{"role": "user", "content": "Write to the client."}], tools=tools, seed=7, max_tokens=50
    )
    assert said(response) == "other"
    asked = setting.hosted.chats[0]
    assert asked.headers["authorization"] == "Bearer hosted-secret"
    assert (asked.body["tools"], asked.body["seed"], asked.body["max_tokens"]) == (tools, 7, 50)
    assert (asked.body["model"], "logprobs" in asked.body) == ("gpt-4o-mini", False)
    record = only(router.log)
    assert (record.tier, record.rule, record.endpoint, record.escalated) == (2, "default", "standard", None)
    assert record.cost_usd is not None
    assert record.cost_usd > 0
    assert record.price_source
    assert record.params.other["seed"] == 7


def test_the_registry_caps_the_output_of_the_headers_call_site(setting: Setting) -> None:
    registry = Registry(call_sites=(CallSite(name="mail.draft", max_tokens=40, visibility="human"),))
    router = setting.start(registry=registry)
    messages = [{"role": "user", "content": "Write to the client."}]
    ask(router, messages=messages, metadata={}, extra_headers={"x-fasttier-call-site": "mail.draft"})
    ask(router, messages=messages, metadata={"feature": "mail.draft"}, max_completion_tokens=9)
    caps = [asked.body["max_completion_tokens"] for asked in setting.hosted.chats]
    assert caps == [40, 9]
    assert [(record.call_site, record.visibility) for record in router.log] == [("mail.draft", "human")] * 2


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"metadata": {"call_site": "desk.other"}}, "no_deployment"),
        ({"messages": [{"role": "user", "content": f"{SYSTEM}\nrefund"}]}, "no_template"),
        ({"n": 2}, "several_choices"),
    ],
)
def test_requests_without_a_template_go_to_tier_2_with_a_logged_reason(
    setting: Setting, changes: dict[str, Any], reason: str
) -> None:
    router = setting.start()
    response = ask(router, **changes)
    assert (response.headers["x-fasttier-tier"], response.headers["x-fasttier-escalated"]) == ("2", reason)
    record = only(router.log)
    assert (record.purpose, record.tier, record.escalated, record.adapter) == ("serve", 2, reason, None)
    assert not setting.own.chats


def test_a_rule_can_refuse_a_request_without_asking_a_model(setting: Setting) -> None:
    router = setting.start()
    with pytest.raises(openai.PermissionDeniedError, match="debug calls are off"):
        ask(router, metadata={"call_site": "x.debug"})
    record = only(router.log)
    assert (record.status, record.rule, record.tier, record.endpoint) == (403, "debug", None, None)
