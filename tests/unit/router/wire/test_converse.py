"""Chat completions for Bedrock's Converse: complete and valid."""

import json
import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from router.request import ChatRequest, parse
from router.target import Target
from router.wire import anthropic_requests, dialects
from router.wire.converse import converse_body
from router.wire.converse_answers import completion_of
from router.wire.protocol import Untranslatable
from tests.fakes.growth import assert_linear
from traffic.tiers import Endpoint

HELLO = {"role": "user", "content": "hello"}


def test_turns_alternate_and_tool_results_belong_to_the_user() -> None:
    functions = {n: {"name": "f", "arguments": json.dumps({"n": n})} for n in (1, 2)}
    calls = [{"id": f"c{n}", "type": "function", "function": function} for n, function in functions.items()]
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [{"type": "text", "text": "Be kind."}, {"type": "text", "text": " "}]},
        HELLO,
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
        {"role": "tool", "tool_call_id": "c2", "content": ""},
        {"role": "user", "content": "and?"},
    ]
    sent = converse_body({"messages": messages, "max_tokens": 5, "stop": "END", "temperature": 0})
    assert sent["system"] == [{"text": "Be brief."}, {"text": "Be kind."}]
    assert [turn["role"] for turn in sent["messages"]] == ["user", "assistant", "user"]
    results = sent["messages"][2]["content"]
    assert [block["toolResult"]["toolUseId"] for block in results[:2]] == ["c1", "c2"]
    assert results[2] == {"text": "and?"}
    assert sent["messages"][1]["content"][1]["toolUse"]["input"] == {"n": 2}
    assert sent["inferenceConfig"] == {"maxTokens": 5, "temperature": 0, "stopSequences": ["END"]}


def test_names_and_ids_are_shortened_and_names_restored() -> None:
    name, identity = "mcp.server/" + "n" * 80, "functions.f:0" * 8
    call = {"id": identity, "type": "function", "function": {"name": name, "arguments": "{}"}}
    result = {"role": "tool", "tool_call_id": identity, "content": "r"}
    messages = [HELLO, {"role": "assistant", "content": None, "tool_calls": [call]}, result]
    for tools in ([{"type": "function", "function": {"name": name}}], []):
        sent = converse_body({"messages": messages, "tools": tools})
        spec = sent["toolConfig"]["tools"][0]["toolSpec"]
        use, answered = (sent["messages"][n]["content"][0] for n in (1, 2))
        assert spec["name"] == use["toolUse"]["name"]
        assert re.fullmatch("[a-zA-Z0-9_-]{1,64}", spec["name"])
        assert re.fullmatch("[a-zA-Z0-9_-]{1,64}", use["toolUse"]["toolUseId"])
        assert answered["toolResult"]["toolUseId"] == use["toolUse"]["toolUseId"]
        block = {"toolUse": {"toolUseId": "t", "name": spec["name"], "input": {}}}
        answer = {"output": {"message": {"role": "assistant", "content": [block]}}, "stopReason": "tool_use"}
        completion = json.loads(completion_of(json.dumps(answer).encode(), {spec["name"]: name}))
        assert completion["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == name


def test_a_document_gets_a_name_that_bedrock_accepts() -> None:
    file = {"filename": "my_file v1.2  final.pdf", "file_data": "data:application/pdf;base64,JVBERi0x"}
    (turn,) = converse_body({"messages": [{"role": "user", "content": [{"type": "file", "file": file}]}]})["messages"]
    assert turn["content"][0]["document"]["name"] == "my file v1 2 final pdf"


def test_unpaired_calls_and_results_are_completed() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        HELLO,
        {"role": "tool", "tool_call_id": "gone", "content": "late"},
    ]
    opened, called, answered = converse_body({"messages": messages, "tools": []})["messages"]
    assert (opened["role"], called["role"], answered["role"]) == ("user", "assistant", "user")
    assert called["content"][0]["toolUse"]["toolUseId"] == "c1"
    assert answered["content"][0]["toolResult"]["toolUseId"] == "c1"
    assert answered["content"][1] == {"text": "hello"}
    assert "late" in answered["content"][2]["text"]


@pytest.mark.parametrize(
    "body",
    [
        {"logprobs": True},
        {"n": 2},
        {"logit_bias": {"1": 2}},
        {"response_format": {"type": "json_object"}},
        {"reasoning_effort": "extreme"},
        {"temperature": 1.5},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a.b/c.png"}}]}]},
        {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]},
        {"tools": [{"type": "custom", "custom": {"name": "f"}}]},
        {"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "none"},
    ],
)
def test_parameters_that_converse_lacks_are_named(body: dict[str, Any]) -> None:
    with pytest.raises(Untranslatable):
        converse_body({"messages": [HELLO]} | body)


@pytest.mark.parametrize(
    "settings",
    [
        {"n": 1, "logprobs": False, "top_logprobs": 0, "user": "u", "modalities": ["text"]},
        {"stop": ""},
        {"stop": [""]},
        {"presence_penalty": 0, "frequency_penalty": 0.0, "logit_bias": {}, "response_format": {"type": "text"}},
        {"prompt_cache_retention": "24h", "verbosity": "low", "prediction": {"type": "content", "content": "x"}},
    ],
)
def test_harmless_settings_are_accepted(settings: dict[str, Any]) -> None:
    assert converse_body({"messages": [HELLO]} | settings) == {
        "messages": [{"role": "user", "content": [{"text": "hello"}]}]
    }


@pytest.mark.parametrize(
    "asked, sent",
    [
        ({"reasoning_effort": "minimal"}, {"effort": "low"}),
        ({"reasoning_effort": "max"}, {"effort": "max"}),
        ({"reasoning_effort": "none"}, None),
        ({"reasoning": {"effort": "high"}}, {"effort": "high"}),
    ],
)
def test_efforts_are_those_that_converse_has(asked: dict[str, Any], sent: dict[str, Any] | None) -> None:
    assert converse_body({"messages": [HELLO]} | asked).get("outputConfig") == sent


def test_hints_are_left_out_by_name() -> None:
    request = parse(json.dumps({"model": "m", "messages": [HELLO], "verbosity": "low", "seed": 1}).encode(), {})
    assert dialects.left_out(request, BEDROCK) == ("seed", "verbosity")


@pytest.mark.parametrize(
    "arguments, value",
    [("{", {"arguments": "{"}), ("[1]", {"arguments": [1]}), ("null", {}), ("", {}), ({"a": 1}, {"a": 1})],
)
def test_arguments_of_earlier_calls_are_an_object(arguments: Any, value: dict[str, Any]) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    sent = converse_body({"messages": [HELLO, {"role": "assistant", "content": None, "tool_calls": [call]}]})
    assert sent["messages"][1]["content"][0]["toolUse"]["input"] == value


def test_the_schema_of_an_answer_has_no_unsupported_bounds() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 3}}}
    response_format = {"type": "json_schema", "json_schema": {"name": "r", "schema": schema}}
    sent = converse_body({"messages": [HELLO], "response_format": response_format})
    fitted = json.loads(sent["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"])
    assert (fitted["additionalProperties"], "minimum" in fitted["properties"]["n"]) == (False, False)


MARK = {"type": "ephemeral"}
POINT = {"cachePoint": {"type": "default"}}
BEDROCK = Target(Endpoint(name="b", kind="bedrock", base_url="https://bedrock.example", model="m"), 2)


def sent_for(request: ChatRequest, target: Target = BEDROCK) -> dict[str, Any]:
    return dialects.of(request, target.endpoint).body(request, target, stream=False)  # type: ignore[attr-defined]


def asked_by_anthropic(**body: Any) -> ChatRequest:
    return anthropic_requests.parse(json.dumps({"model": "m", "max_tokens": 9, **body}).encode(), {})


def test_cache_marks_of_anthropic_clients_become_cache_points() -> None:
    text = {"type": "text", "text": "x", "cache_control": MARK}
    tool = {"name": "f", "input_schema": {"type": "object"}, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    request = asked_by_anthropic(system=[text], tools=[tool], messages=[{"role": "user", "content": [text]}])
    sent = sent_for(request)
    assert sent["system"] == sent["messages"][0]["content"] == [{"text": "x"}, POINT]
    assert sent["toolConfig"]["tools"][1] == {"cachePoint": {"type": "default", "ttl": "1h"}}
    # The log, the rules and other endpoints see plain text.
    assert request.body.messages[0].content == "x"


def test_cache_marks_of_chat_completions_become_cache_points() -> None:
    function = {"type": "function", "function": {"name": "f", "parameters": {}}, "cache_control": MARK}
    sent = converse_body({"messages": [HELLO | {"cache_control": MARK}], "tools": [function]})
    assert sent["messages"][0]["content"] == [{"text": "hello"}, POINT]
    assert sent["toolConfig"]["tools"][1] == POINT


def test_a_cache_point_of_a_result_follows_it() -> None:
    """Converse permits none inside."""
    part = {"type": "text", "text": "r", "cache_control": {"type": "ephemeral"}}
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    turns = [{"role": "assistant", "content": None, "tool_calls": [call]}, {"role": "tool", "tool_call_id": "c"}]
    sent = converse_body({"messages": [HELLO, turns[0], turns[1] | {"content": [part]}]})
    result, point = sent["messages"][2]["content"]
    assert result["toolResult"]["content"] == [{"text": "r"}]
    assert "cachePoint" in point


def test_only_the_last_four_cache_points_are_sent() -> None:
    parts = [{"type": "text", "text": str(n), "cache_control": MARK} for n in range(6)]
    content = converse_body({"messages": [{"role": "user", "content": parts}]})["messages"][0]["content"]
    assert content.count(POINT) == 4
    assert content[-1] == POINT


def test_many_cache_points_are_removed_in_linear_time() -> None:
    part = {"type": "text", "text": "x", "cache_control": MARK}

    def translating(parts: int) -> Callable[[], dict[str, Any]]:
        return lambda: converse_body({"messages": [{"role": "user", "content": [part] * parts}]})

    assert translating(9)()["messages"][0]["content"][-3:] == [POINT, {"text": "x"}, POINT]
    assert_linear(translating, 50_000)


def test_an_endpoint_without_a_cache_gets_no_marks() -> None:
    text = {"type": "text", "text": "x", "cache_control": MARK}
    endpoint = msgspec.structs.replace(BEDROCK.endpoint, leave_out=("cache_control",))
    sent = sent_for(asked_by_anthropic(messages=[{"role": "user", "content": [text]}]), Target(endpoint, 2))
    assert "cachePoint" not in str(sent)


def test_signed_thinking_of_anthropic_clients_is_sent_back() -> None:
    thoughts = [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "thinking", "thinking": "foreign", "signature": "fasttier-unsigned"},
        {"type": "redacted_thinking", "data": "abc"},
    ]
    turns = [HELLO, {"role": "assistant", "content": [*thoughts, {"type": "text", "text": "ok"}]}, HELLO]
    content = sent_for(asked_by_anthropic(messages=turns))["messages"][1]["content"]
    assert content[:2] == [
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}},
        {"reasoningContent": {"redactedContent": "abc"}},
    ]
    assert "foreign" not in str(content)


def test_a_message_with_only_a_document_gets_a_text() -> None:
    file = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}}
    content = converse_body({"messages": [{"role": "user", "content": [file]}]})["messages"][0]["content"]
    assert [next(iter(block)) for block in content] == ["document", "text"]


def test_documents_of_one_name_are_numbered() -> None:
    file = {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}
    part = {"type": "file", "file": file}
    message = {"role": "user", "content": [part, {"type": "file", "file": file | {"filename": "A.pdf"}}, part]}
    content = converse_body({"messages": [message]})["messages"][0]["content"]
    assert [block["document"]["name"] for block in content if "document" in block] == ["a pdf", "A pdf 2", "a pdf 3"]


def test_an_image_in_a_tools_result_stays_in_it() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
    use = {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]}
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [image]}]}
    (block,) = sent_for(asked_by_anthropic(messages=[HELLO, use, result]))["messages"][2]["content"]
    assert [*block["toolResult"]["content"][0]] == ["image"]


def test_documents_in_results_are_numbered_too() -> None:
    source = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQK"}
    document = {"type": "document", "title": "a.pdf", "source": source}
    asked = {"role": "user", "content": [document, {"type": "text", "text": "q"}]}
    use = {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]}
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [document]}]}
    first, _, last = sent_for(asked_by_anthropic(messages=[asked, use, result]))["messages"]
    inner = last["content"][0]["toolResult"]["content"][0]
    assert [block["document"]["name"] for block in (first["content"][0], inner)] == ["a pdf", "a pdf 2"]
