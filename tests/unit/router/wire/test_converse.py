"""Chat completions in the form of Bedrock's Converse: nothing lost, nothing that it refuses."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.wire.converse import Chunks, completion_of, converse_body
from router.wire.protocol import Unreadable, Untranslatable
from router.wire.sse import StreamReader
from tests.fakes.bedrock import frame

HELLO = {"role": "user", "content": "hello"}


def test_turns_alternate_and_results_of_tools_are_the_users() -> None:
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


@pytest.mark.parametrize(
    "body",
    [
        {"logprobs": True},
        {"n": 2},
        {"logit_bias": {"1": 2}},
        {"response_format": {"type": "json_object"}},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a.b/c.png"}}]}]},
        {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]},
        {"tools": [{"type": "custom", "custom": {"name": "f"}}]},
        {"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "none"},
    ],
)
def test_what_converse_has_no_word_for_is_named(body: dict[str, Any]) -> None:
    with pytest.raises(Untranslatable):
        converse_body({"messages": [HELLO]} | body)


def test_harmless_settings_are_taken() -> None:
    assert converse_body({"messages": [HELLO], "n": 1, "logprobs": False, "user": "u"}) == {
        "messages": [{"role": "user", "content": [{"text": "hello"}]}]
    }


@given(
    st.lists(st.integers(1, 400), max_size=12), st.text(max_size=20), st.dictionaries(st.text(max_size=4), st.text())
)
def test_a_stream_is_the_same_however_its_frames_are_cut(cuts: list[int], said: str, given_: dict[str, str]) -> None:
    use = {"toolUse": {"toolUseId": "c", "name": "f"}}
    arguments = json.dumps(given_)
    data = frame("messageStart", {"role": "assistant"})
    data += frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": said}})
    data += frame("contentBlockStart", {"contentBlockIndex": 1, "start": use})
    for part in (arguments[:3], arguments[3:]):
        data += frame("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"toolUse": {"input": part}}})
    data += frame("messageStop", {"stopReason": "tool_use"})
    data += frame("metadata", {"usage": {"inputTokens": 3, "outputTokens": 1, "totalTokens": 4}})
    places = sorted({cut for cut in cuts if cut < len(data)})
    reading, sent = Chunks("m"), b""
    for start, end in zip([0, *places], [*places, len(data)], strict=True):
        sent += reading.feed(data[start:end])
    events = [json.loads(one) for one in StreamReader().feed(sent) if one != b"[DONE]"]
    deltas = [choice["delta"] for event in events for choice in event["choices"]]
    assert "".join(delta.get("content", "") for delta in deltas) == said
    parts = [call["function"]["arguments"] for delta in deltas for call in delta.get("tool_calls", ())]
    assert json.loads("".join(parts)) == given_
    assert events[-1]["usage"]["prompt_tokens"] == 3
    assert sent.endswith(b"data: [DONE]\n\n")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["output", "message", "content", "text", "toolUse", "input", "usage", "stopReason", "error"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_an_answer_is_understood_or_unreadable(answer: Any) -> None:
    try:
        completion = json.loads(completion_of(json.dumps(answer).encode()))
    except Unreadable:
        return
    assert completion["choices"][0]["message"]["role"] == "assistant"
