"""Requests sent to each kind of candidate."""

from pipeline.evaluate.candidates import hosted, own_server
from pipeline.evaluate.config import AdapterConfig, BaseConfig, HostedConfig
from pipeline.evaluate.items import Item, Logged
from traffic.adapters import CallSitePrompts
from traffic.callsites import Checks

PRUNED = [{"role": "system", "content": "intent"}, {"role": "user", "content": "hello"}]
FULL = [{"role": "system", "content": "A long instruction with all labels."}, {"role": "user", "content": "hello"}]
SCHEMA = {"type": "object", "properties": {"date": {"type": "string"}}}


def item(response_format: dict[str, object] | None = None) -> Item:
    return Item(
        record_id="r1",
        call_site="support.intent",
        prompt=PRUNED,
        original_prompt=FULL,
        response_format=response_format,
        completion="greeting",
        reference="greeting",
        cohort={},
        logged=Logged(),
    )


def prompts(checks: Checks) -> CallSitePrompts:
    return CallSitePrompts(templates=(), request_type="intent", checks=checks, max_tokens=12)


LABELS = prompts(Checks(labels=("greeting", "refund")))


def test_the_adapter_gets_the_pruned_prompt_without_a_constraint() -> None:
    body = own_server.adapter_question(AdapterConfig(name="a"), item(), LABELS).body
    assert body == {
        "messages": PRUNED,
        "max_tokens": 12,
        "temperature": 0.0,
        "logprobs": True,
        "top_logprobs": 5,
    }


def test_the_base_model_gets_the_full_prompt_constrained_to_the_label_set() -> None:
    body = own_server.base_question(BaseConfig(name="b"), item(), LABELS).body
    assert body["messages"] == FULL
    assert body["extra_body"] == {"structured_outputs": {"choice": ["greeting", "refund"]}}


def test_the_base_model_is_constrained_to_the_json_schema() -> None:
    body = own_server.base_question(BaseConfig(name="b"), item(), prompts(Checks(json_schema=SCHEMA))).body
    assert body["response_format"]["json_schema"]["schema"] == SCHEMA


def test_without_a_schema_the_base_model_is_constrained_to_a_json_object() -> None:
    body = own_server.base_question(BaseConfig(name="b"), item(), prompts(Checks(json=True))).body
    assert body["response_format"] == {"type": "json_object"}


def test_the_base_model_is_constrained_to_the_requests_own_format() -> None:
    question = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
    assert (
        own_server.base_question(BaseConfig(name="b"), item(question), prompts(Checks())).body["response_format"]
        == question
    )


def test_the_adapter_is_constrained_only_if_configured() -> None:
    body = own_server.adapter_question(AdapterConfig(name="a", constrain=True), item(), LABELS).body
    assert body["messages"] == PRUNED
    assert body["extra_body"]["structured_outputs"]["choice"] == ["greeting", "refund"]


def test_a_hosted_model_gets_the_applications_request() -> None:
    question = {"type": "json_object"}
    model = HostedConfig(name="h", base_url="http://x/v1", model="m")
    assert hosted.question(model, item(question), LABELS).body == {
        "messages": FULL,
        "max_tokens": 24,
        "temperature": 0.0,
        "response_format": question,
    }


def test_hosted_parameters_of_reasoning_models_can_be_set() -> None:
    model = HostedConfig(
        name="h",
        base_url="http://x/v1",
        model="m",
        temperature=None,
        max_tokens=2000,
        max_tokens_field="max_completion_tokens",
        extra_body={"reasoning_effort": "low"},
    )
    assert hosted.question(model, item(), LABELS).body == {
        "messages": FULL,
        "max_completion_tokens": 2000,
        "extra_body": {"reasoning_effort": "low"},
    }
