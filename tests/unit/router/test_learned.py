"""Corrections learned from refusals of endpoints."""

import msgspec
import pytest

from router.learned import Learned
from traffic.tiers import Endpoint

GPT = Endpoint(name="gpt", kind="openai", base_url="https://api.example.com/v1", model="m")


@pytest.mark.parametrize(
    "text, left_out",
    [
        ("'messages.1' : property 'reasoning_content' is unsupported", "messages.reasoning_content"),
        ("body.messages.1.assistant.reasoning: Extra inputs are not permitted", "messages.reasoning"),
        ("Unknown parameter: 'messages[1].thinking_blocks'.", "messages.thinking_blocks"),
        ("Additional properties are not allowed ('annotations' was unexpected) - 'messages.1'", "messages.annotations"),
        ("Unrecognized request argument supplied: prompt_cache_key", "prompt_cache_key"),
        ("Unsupported parameter: 'store'", "store"),
    ],
)
def test_unsupported_parameters_are_learned_and_removed(text: str, left_out: str) -> None:
    learned = Learned()
    assert learned.learn(GPT, text)
    assert learned.apply(GPT).leave_out[0] == left_out
    assert not learned.learn(GPT, text)
    assert any(left_out in line for line in learned.warnings())


@pytest.mark.parametrize(
    "text",
    [
        "Unknown parameter: 'messages[1].content'.",
        "Unsupported parameter: 'temperature'",
        "Unknown parameter: 'tools'",
        "messages.0.tool_calls: Extra inputs are not permitted",
        "the prompt says that property 'x' is unsupported",
    ],
)
def test_essential_fields_are_never_removed(text: str) -> None:
    assert not Learned().learn(GPT, text)


def test_gateway_specific_fields_are_learned_together() -> None:
    learned = Learned()
    assert learned.learn(
        GPT, "messages.2.assistant.reasoning: property 'messages.2.assistant.reasoning' is unsupported"
    )
    assert "messages.reasoning_details" in learned.apply(GPT).leave_out
    assert "messages.reasoning_content" not in learned.apply(GPT).leave_out


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
    assert learned.learn(GPT, text)
    assert learned.apply(GPT).turn_rules == (rule,)
    assert not learned.learn(GPT, text)
    assert any(f"turn_rules: [{rule}]" in line for line in learned.warnings())


def test_adaptive_thinking_is_learned() -> None:
    learned = Learned()
    text = '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive".'
    assert learned.learn(GPT, text)
    assert learned.apply(GPT).adaptive_thinking
    assert not learned.learn(GPT, text)


def test_schema_keywords_without_effect_are_learned_together() -> None:
    learned = Learned()
    text = "Unknown name \"$schema\" at 'tools[0].function_declarations[0].parameters': Cannot find field."
    assert learned.learn(GPT, text)
    assert "$comment" in learned.apply(GPT).tool_schema_leave_out
    assert "additionalProperties" not in learned.apply(GPT).tool_schema_leave_out
    assert learned.learn(learned.apply(GPT), text.replace("$schema", "additionalProperties"))
    assert "exclusiveMinimum" in learned.apply(GPT).tool_schema_leave_out


def test_reasoning_history_is_learned_as_required() -> None:
    learned = Learned()
    assert learned.learn(GPT, "Missing `reasoning_content` field in the assistant message at message index 2.")
    assert learned.apply(GPT).reasoning_history
    wanting = msgspec.structs.replace(GPT, reasoning_history=True)
    assert not Learned().learn(wanting, "The `reasoning_content` in the thinking mode must be passed back to the API.")


def test_the_required_format_of_tool_call_ids_is_learned() -> None:
    learned = Learned()
    refusal = "Tool call id was call_1 but must be a-z, A-Z, 0-9, with a length of 9."
    assert learned.learn(GPT, refusal)
    assert learned.apply(GPT).tool_call_id_chars == 9
    assert not learned.learn(GPT, refusal)
    assert any("tool_call_id_chars: 9" in line for line in learned.warnings())


@pytest.mark.parametrize(
    "named",
    [
        "'reasoning_effort' does not support 'max' with this model",
        "'max' is not supported with the 'gpt-5.1' model",
    ],
)
def test_the_efforts_of_a_model_are_learned(named: str) -> None:
    learned, text = Learned(), f"Unsupported value: {named}. Supported values are: 'none', 'low', and 'high'."
    assert learned.learn(GPT, text)
    assert learned.apply(GPT).efforts == ("none", "low", "high")
    assert not learned.learn(GPT, text)
    assert any("efforts: [none, low, high]" in line for line in learned.warnings())


def test_values_of_other_parameters_are_no_efforts() -> None:
    assert not Learned().learn(GPT, "'auto' is not supported with this model. Supported values are: 'low' and 'high'.")
