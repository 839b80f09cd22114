"""Corrections learned from refusals of endpoints."""

from typing import Any

import msgspec
import pytest

from router.corrections import FOREIGN_THINKING
from router.learned import MAX_LEARNED, Learned
from router.refusal_text import RefusalText
from router.wire.endpoint_body import adapted_payload
from traffic.tiers import Endpoint

GPT = Endpoint(name="gpt", kind="openai", base_url="https://api.example.com/v1", model="m")
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
FIELDS = ("reasoning", "reasoning_content", "reasoning_details", "thinking_blocks", "annotations")
SCHEMA = {"type": "object", "$schema": "s", "additionalProperties": False}
BODY: dict[str, Any] = {
    "messages": [
        {"role": "user", "content": "a"},
        {"role": "developer", "content": "be brief"},
        {"role": "assistant", "content": None, **{field: [] for field in FIELDS}, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "r"},
        {"role": "user", "content": "b"},
        {"role": "user", "content": "c"},
    ],
    "tools": [
        {
            "type": "function",
            "function": {"name": "f", "description": "d", "parameters": SCHEMA},
            "input_examples": [{}],
        }
    ],
    "context_management": {},
    "reasoning_effort": "max",
    "thinking": {"type": "enabled", "budget_tokens": 2048},
    "prompt_cache_key": "k",
    "store": True,
    "temperature": 0.2,
    "top_p": 0.9,
    "logprobs": True,
    "top_logprobs": 2,
}


def learn(
    learned: Learned,
    text: str,
    body: dict[str, Any] = BODY,
    param: str | None = None,
    *,
    unsupported: bool = True,
    **options: Any,
) -> bool:
    """What the exchange does after a refusal of the body."""

    def payload(endpoint: Endpoint) -> bytes:
        return adapted_payload(msgspec.json.encode(body), endpoint)

    sent = payload(learned.apply(GPT, **options))
    return learned.learn(GPT, RefusalText(text, param, unsupported=unsupported, sent=sent), payload, **options)


@pytest.mark.parametrize(
    "text, left_out",
    [
        ("'messages.1' : property 'reasoning_content' is unsupported", "messages.reasoning_content"),
        ("body.messages.1.assistant.reasoning: Extra inputs are not permitted", "messages.reasoning"),
        ("Unknown parameter: 'messages[1].thinking_blocks'.", "messages.thinking_blocks"),
        ("Additional properties are not allowed ('annotations' was unexpected) - 'messages.1'", "messages.annotations"),
        ("Unrecognized request argument supplied: prompt_cache_key", "prompt_cache_key"),
        ("Unsupported parameter: 'store'", "store"),
        (
            "1 validation error for Request prompt_cache_key Extra inputs are not permitted [type=x]",
            "prompt_cache_key",
        ),
        ("tools.0.custom.input_examples: Extra inputs are not permitted", "tools.input_examples"),
        ("context_management: Extra inputs are not permitted", "context_management"),
    ],
)
def test_unsupported_parameters_are_learned_and_removed(text: str, left_out: str) -> None:
    learned = Learned()
    assert learn(learned, text)
    assert learned.apply(GPT).leave_out[0] == left_out
    assert not learn(learned, text)
    assert any(left_out in line for line in learned.warnings())


@pytest.mark.parametrize(
    "text",
    [
        "Unknown parameter: 'messages[1].content'.",
        "Unknown parameter: 'tools'",
        "messages.0.tool_calls: Extra inputs are not permitted",
        "the prompt says that property 'x' is unsupported",
    ],
)
def test_essential_fields_are_never_removed(text: str) -> None:
    assert not learn(Learned(), text)


def test_gateway_specific_fields_are_learned_together() -> None:
    learned = Learned()
    assert learn(learned, "messages.2.assistant.reasoning: property 'messages.2.assistant.reasoning' is unsupported")
    assert "messages.reasoning_details" in learned.apply(GPT).leave_out
    assert "messages.reasoning_content" not in learned.apply(GPT).leave_out


@pytest.mark.parametrize(
    "text",
    [
        "messages.1.content.0: Invalid `signature` in `thinking` block",
        "messages.3.content.1: Invalid `data` in `redacted_thinking` block",
        "messages.5.content.0.thinking.signature: Field required",
        "messages.1: `thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified.",
    ],
)
def test_thinking_of_another_provider_is_recognised(text: str) -> None:
    assert RefusalText(text).search(FOREIGN_THINKING)
    echo = msgspec.json.encode({"messages": [{"role": "user", "content": text}]})
    assert not RefusalText(f"bad input: {text}", sent=echo).search(FOREIGN_THINKING)


@pytest.mark.parametrize(
    "text, rule",
    [
        ("Unexpected role 'user' after role 'tool'", "assistant_after_tool"),
        ("System message must be at the beginning.", "system_first"),
        ("Unexpected role 'system' after role 'user'", "system_first"),
        ("Conversation roles must alternate user/assistant/user/assistant/...", "alternate"),
    ],
)
def test_an_order_of_turns_is_learned(text: str, rule: str) -> None:
    learned = Learned()
    assert learn(learned, text)
    assert learned.apply(GPT).turn_rules == (rule,)
    assert not learn(learned, text)
    assert any(f"turn_rules: [{rule}]" in line for line in learned.warnings())


def test_adaptive_thinking_is_learned() -> None:
    learned = Learned()
    text = '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive".'
    assert learn(learned, text)
    assert learned.apply(GPT).adaptive_thinking
    assert not learn(learned, text)


@pytest.mark.parametrize(
    "text",
    [
        "thinking: Input tag 'adaptive' found using 'type' does not match any of the expected tags: 'disabled'",
        "thinking.type: Input should be 'enabled' or 'disabled'",
        "adaptive thinking is not supported on this model",
    ],
)
def test_a_model_without_adaptive_thinking_gets_a_budget(text: str) -> None:
    learned, body = Learned(), BODY | {"thinking": {"type": "adaptive"}, "max_tokens": 4096}
    assert learn(learned, text, body)
    assert learned.apply(GPT).adaptive_thinking is False
    assert not learn(learned, text, body)
    assert any("adaptive_thinking: false" in line for line in learned.warnings())
    assert not learn(Learned(), text, BODY | {"max_tokens": 4096})


@pytest.mark.parametrize(
    "text",
    ["This model does not support the effort parameter.", "`reasoning_effort` is not supported with this model"],
)
@pytest.mark.parametrize("field", [{"reasoning_effort": "high"}, {"output_config": {"effort": "high"}}])
def test_a_model_without_efforts_gets_none(text: str, field: dict[str, Any]) -> None:
    learned, body = Learned(), {"messages": [], **field}
    assert learn(learned, text, body)
    assert adapted_payload(msgspec.json.encode(body), learned.apply(GPT)) == b'{"messages":[]}'
    assert not learn(learned, text, body)


@pytest.mark.parametrize("field", [{"reasoning_effort": "high"}, {"thinking": {"type": "adaptive"}}])
def test_a_model_without_thinking_is_not_asked_to_think(field: dict[str, Any]) -> None:
    learned, body = Learned(), {"messages": [], **field}
    assert learn(learned, '"gemma3:12b" does not support thinking', body)
    assert adapted_payload(msgspec.json.encode(body), learned.apply(GPT)) == b'{"messages":[]}'


@pytest.mark.parametrize("param", ["verbosity", "text.verbosity"])
def test_a_hint_whose_value_a_model_does_not_take_is_removed(param: str) -> None:
    text = "Unsupported value: 'verbosity' does not support 'low' with this model. Supported values are: 'medium'."
    learned, body = Learned(), {"verbosity": "low", "temperature": 0.2}
    assert learn(learned, text, body, param=param)
    assert learned.apply(GPT).leave_out == ("verbosity",)
    assert not learn(Learned(), text, body, param=param, unsupported=False)


def test_an_unknown_output_config_is_removed_if_it_only_states_an_effort() -> None:
    text = "output_config: Extra inputs are not permitted"
    learned = Learned()
    assert learn(learned, text, {"output_config": {"effort": "high"}})
    both = {"output_config": {"effort": "high", "format": {"type": "json_schema"}}}
    assert not learn(learned, text, both)


@pytest.mark.parametrize("field", ["ttl", "scope"])
@pytest.mark.parametrize("place", ["system.0.", "messages.1.content.0.", "tools.3.", ""])
def test_cache_marks_lose_what_a_server_does_not_know(field: str, place: str) -> None:
    mark = {"type": "ephemeral", "ttl": "1h", "scope": "global"}
    block = {"type": "text", "text": "t", "cache_control": mark}
    turn = {"role": "user", "content": [block, {"type": "tool_result", "content": [block]}]}
    body = {"system": [block], "messages": [turn, {"role": "assistant", "content": "t"}], "tools": [block]}
    learned = Learned()
    assert learn(learned, f"{place}cache_control.ephemeral.{field}: Extra inputs are not permitted", body)
    sent = adapted_payload(msgspec.json.encode(body), learned.apply(GPT))
    assert field.encode() not in sent
    assert sent.count(b"cache_control") == 4


def test_schema_keywords_without_effect_are_learned_together() -> None:
    learned = Learned()
    text = "Unknown name \"$schema\" at 'tools[0].function_declarations[0].parameters': Cannot find field."
    assert learn(learned, text)
    assert "$comment" in learned.apply(GPT).tool_schema_leave_out
    assert "additionalProperties" not in learned.apply(GPT).tool_schema_leave_out
    assert learn(learned, text.replace("$schema", "additionalProperties"))
    assert "exclusiveMinimum" in learned.apply(GPT).tool_schema_leave_out


def test_reasoning_history_is_learned_as_required() -> None:
    learned = Learned()
    body = {"messages": [{"role": "assistant", "content": None, "tool_calls": [CALL]}]}
    assert learn(learned, "Missing `reasoning_content` field in the assistant message at message index 2.", body)
    assert learned.apply(GPT).reasoning_history
    assert not learn(learned, "The `reasoning_content` in the thinking mode must be passed back to the API.", body)


def test_the_required_format_of_tool_call_ids_is_learned() -> None:
    learned = Learned()
    refusal = "Tool call id was call_1 but must be a-z, A-Z, 0-9, with a length of 9."
    assert learn(learned, refusal)
    assert learned.apply(GPT).tool_call_id_chars == 9
    assert not learn(learned, refusal)
    assert any("tool_call_id_chars: 9" in line for line in learned.warnings())


@pytest.mark.parametrize(
    "named, param",
    [
        ("'reasoning_effort' does not support 'max' with this model", None),
        ("'output_config.effort' does not support 'max' with this model", None),
        ("'max' is not supported with the 'gpt-5.1' model", "reasoning_effort"),
        ("'max' is not supported with the 'gpt-5.1' model", "reasoning.effort"),
    ],
)
def test_the_efforts_of_a_model_are_learned(named: str, param: str | None) -> None:
    learned = Learned()
    text = f"Unsupported value: {named}. Supported values are: 'none', 'low', and 'high'. The maximum is xhigh."
    assert learn(learned, text, param=param)
    assert learned.apply(GPT).efforts == ("none", "low", "high")
    assert not learn(learned, text, param=param)
    assert any("efforts: [none, low, high]" in line for line in learned.warnings())


@pytest.mark.parametrize(
    "text, param",
    [
        ("'auto' is not supported with this model. Supported values are: 'low' and 'high'.", None),
        ("'max' is not supported with this model. Supported values are: 'low' and 'high'.", "verbosity"),
        ("'effort' does not support 'max'. Supported values are: 'low' and 'high'.", "tools[0].function.name"),
    ],
)
def test_values_of_other_parameters_are_no_efforts(text: str, param: str | None) -> None:
    assert not learn(Learned(), text, param=param)


def said(text: str, **changes: Any) -> dict[str, Any]:
    return BODY | {"messages": [*BODY["messages"], {"role": "user", "content": text}]} | changes


EFFORTS = "Unsupported value: 'reasoning_effort' does not support {} with this model. Supported values are: 'none'."


@pytest.mark.parametrize(
    "text, body",
    [
        (
            "Invalid name: 'tools with reasoning_effort are not supported'",
            said("tools with reasoning_effort are not supported"),
        ),
        ("near 'roles must alternate': bad JSON", said("Explain: roles must alternate, and why")),
        (
            "Invalid label 'unknown role developer in my list of roles...'",
            said("unknown role developer in my list of roles, please"),
        ),
        (
            "Unknown parameter: 'x' is not supported. Use 'messages'.",
            BODY | {"x' is not supported. Use 'messages": 1, "x": 1},
        ),
        (
            "'reasoning_effort' does not support 'x'. Supported values are: 'none'. Supported values are: 'max'.",
            said("", reasoning_effort="x'. Supported values are: 'none"),
        ),
    ],
    ids=["whole", "part", "cut", "key", "value"],
)
def test_texts_of_the_request_teach_nothing(text: str, body: dict[str, Any]) -> None:
    assert not learn(Learned(), text, body)


@pytest.mark.parametrize(
    "text, missing",
    [
        ("'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.", ()),
        ("role: unknown variant `developer`, expected one of `system`, `user`", ("messages",)),
        ("Conversation roles must alternate user/assistant", ("messages",)),
        ("Missing `reasoning_content` field in the assistant message", ("messages",)),
        ("Function tools with reasoning_effort are not supported", ("tools",)),
        (EFFORTS.format("'high'"), ("reasoning_effort",)),
        ('"thinking.type.enabled" is not supported for this model.', ("thinking",)),
        ("Unrecognized request argument supplied: prompt_cache_key", ("prompt_cache_key",)),
        ("Unsupported parameter: 'temperature' is not supported with this model.", ("temperature",)),
    ],
)
def test_only_a_request_with_the_refused_setting_teaches(text: str, missing: tuple[str, ...]) -> None:
    bare = {"messages": [{"role": "user", "content": "hello"}]}
    assert not learn(Learned(), text, {key: value for key, value in (BODY | bare).items() if key not in missing} | bare)


def test_an_error_about_another_parameter_changes_no_roles() -> None:
    assert not learn(Learned(), "Invalid value: 'developer'.", param="tools[0].function.name")
    assert learn(Learned(), "Invalid value: 'developer'.", param="messages[1].role")


@pytest.mark.parametrize(
    "text, param, removed",
    [
        ("Unsupported parameter: 'temperature' is not supported with this model.", "temperature", ("temperature",)),
        ("'temperature' does not support 0.2 with this model. Only 1 (or no top_p) is.", None, ("temperature",)),
        ("Model m does not support parameter topLogprobs.", None, ("top_logprobs",)),
        ("logprobs are not supported with this model", None, ("logprobs", "top_logprobs")),
        ('Invalid JSON payload received. Unknown name "top_p": Cannot find field.', None, ("top_p",)),
        ("These fields are not currently supported: ['top_p']", "validation_error", ("top_p",)),
    ],
)
def test_refused_sampling_is_removed_unless_the_client_named_the_model(
    text: str, param: str | None, removed: tuple[str, ...]
) -> None:
    learned = Learned()
    assert not learn(learned, text, param=param, routed=False)
    assert learn(learned, text, param=param)
    assert learned.apply(GPT).leave_out == removed
    assert learned.apply(GPT, routed=False) == GPT
    assert not learn(learned, text, param=param)
    assert learned.apply(msgspec.structs.replace(GPT, model="other")).leave_out == ()
    assert any(f"leave_out: [{', '.join(removed)}]" in line for line in learned.warnings())


@pytest.mark.parametrize(
    "text, names",
    [
        ("top_p: `top_p` and `temperature` cannot both be set for this model", ("top_p", "temperature")),
        ("Errors: `temperature` and `top_p` cannot both be specified for this model.", ("temperature", "top_p")),
    ],
)
@pytest.mark.parametrize("param", [None, "top_p"])
def test_of_parameters_that_exclude_each_other_the_first_of_a_request_is_sent(
    text: str, names: tuple[str, str], param: str | None
) -> None:
    learned = Learned()
    assert learn(learned, text, param=param)
    endpoint = learned.apply(GPT)

    def sent(**body: float) -> dict[str, float]:
        return dict(msgspec.json.decode(adapted_payload(msgspec.json.encode(body), endpoint)))

    assert sent(temperature=0.2, top_p=0.9).keys() == {names[0]}
    assert sent(temperature=0.2) == {"temperature": 0.2}
    assert sent(top_p=0.9) == {"top_p": 0.9}
    assert not learn(learned, text)
    assert learned.apply(GPT, routed=False) == GPT
    assert any(f"exclusive: [{', '.join(names)}]" in line for line in learned.warnings())


@pytest.mark.parametrize(
    "text, param, unsupported",
    [
        ("temperature must be at most 2", "temperature", False),
        ("Unsupported parameter: 'x'. Others are temperature and top_p.", None, True),
        ("Unsupported value: the temperature of 'messages[0]'", "messages[0].content", True),
    ],
)
def test_sampling_that_is_not_refused_stays(text: str, param: str | None, unsupported: bool) -> None:
    assert not learn(Learned(), text, param=param, unsupported=unsupported)


@pytest.mark.parametrize(
    "text",
    [
        "Unrecognized request argument supplied: max_completion_tokens",
        "body.max_completion_tokens: Extra inputs are not permitted",
    ],
)
def test_a_server_that_does_not_know_the_newer_name_of_the_cap_gets_the_older_one(text: str) -> None:
    learned, body = Learned(), BODY | {"max_completion_tokens": 9}
    assert learn(learned, text, body)
    assert learned.apply(GPT).rename == {"max_completion_tokens": "max_tokens"}
    assert not learn(learned, text, body)
    other = Learned()
    assert learn(other, "'max_tokens' is not supported. Use 'max_completion_tokens' instead.", body | {"max_tokens": 9})
    assert not learn(other, text, body)


def test_an_unknown_tag_of_a_role_is_learned() -> None:
    learned = Learned()
    text = "body.messages.1: Input tag 'developer' found using 'role' does not match any of the expected tags: 'system'"
    assert learn(learned, text)
    assert learned.apply(GPT).roles == {"developer": "system"}


def test_the_number_of_endpoints_with_corrections_is_bounded() -> None:
    learned = Learned()
    text = "Unrecognized request argument supplied: store"

    def payload(endpoint: Endpoint) -> bytes:
        return adapted_payload(b'{"store": true}', endpoint)

    models = [msgspec.structs.replace(GPT, model=str(n)) for n in range(MAX_LEARNED + 1)]
    taught = [learned.learn(model, RefusalText(text, sent=payload(model)), payload) for model in models]
    assert taught == [True] * MAX_LEARNED + [False]


def test_quotes_of_a_client_do_not_multiply_those_of_an_error() -> None:
    quotes = BODY | {"messages": [{"role": "user", "content": "'" * (1 + n % 9)} for n in range(60)]}
    learned = Learned()
    assert learn(learned, "Unsupported parameter: 'store'", quotes)
    assert "store" in learned.apply(GPT).leave_out


def test_a_request_that_was_under_way_when_its_refusal_was_learned_is_sent_again() -> None:
    def payload(endpoint: Endpoint) -> bytes:
        return adapted_payload(msgspec.json.encode(BODY), endpoint)

    learned = Learned()
    refusal = RefusalText("Unsupported parameter: 'store'", sent=payload(GPT))
    assert [learned.learn(GPT, refusal, payload) for _ in range(2)] == [True, True]
    assert not learned.learn(GPT, RefusalText(refusal.text, sent=payload(learned.apply(GPT))), payload)


def test_a_warning_names_the_model_and_each_setting_once() -> None:
    learned = Learned()
    assert learn(learned, "Unsupported parameter: 'store'")
    assert learn(learned, "Unsupported value: 'temperature' does not support 0.2 with this model.", param="temperature")
    (line,) = [line for line in learned.warnings() if "leave_out" in line]
    assert "store" in line
    assert "temperature" in line
    assert str(GPT.model) in line
