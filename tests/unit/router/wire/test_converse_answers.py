"""Answers of Bedrock's Converse API as chat completions."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from router.wire.converse_answers import Chunks, completion_of
from router.wire.protocol import Unreadable
from router.wire.sse import StreamReader
from tests.fakes.bedrock import frame


@given(
    st.lists(st.integers(1, 400), max_size=12), st.text(max_size=20), st.dictionaries(st.text(max_size=4), st.text())
)
def test_a_stream_does_not_depend_on_frame_boundaries(cuts: list[int], said: str, tool_input: dict[str, str]) -> None:
    use = {"toolUse": {"toolUseId": "c", "name": "f"}}
    arguments = json.dumps(tool_input)
    data = frame("messageStart", {"role": "assistant"})
    data += frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": said}})
    data += frame("contentBlockStart", {"contentBlockIndex": 1, "start": use})
    for part in (arguments[:3], arguments[3:]):
        data += frame("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"toolUse": {"input": part}}})
    data += frame("messageStop", {"stopReason": "tool_use"})
    data += frame("metadata", {"usage": {"inputTokens": 3, "outputTokens": 1, "totalTokens": 4}})
    ends = sorted({cut for cut in cuts if cut < len(data)})
    reading, sent = Chunks("m"), b""
    for start, end in zip([0, *ends], [*ends, len(data)], strict=True):
        sent += reading.feed(data[start:end])
    events = [json.loads(data) for data in StreamReader().feed(sent) if data != b"[DONE]"]
    deltas = [choice["delta"] for event in events for choice in event["choices"]]
    assert "".join(delta.get("content", "") for delta in deltas) == said
    parts = [call["function"]["arguments"] for delta in deltas for call in delta.get("tool_calls", ())]
    assert json.loads("".join(parts)) == tool_input
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
def test_every_answer_is_parsed_or_unreadable(answer: Any) -> None:
    try:
        completion = json.loads(completion_of(json.dumps(answer).encode()))
    except Unreadable:
        return
    assert completion["choices"][0]["message"]["role"] == "assistant"


@pytest.mark.parametrize("block_index", [None, {}, [1], "1", 1.0])
def test_a_block_index_of_any_form_is_read(block_index: Any) -> None:
    at = {"contentBlockIndex": block_index}
    chunks = Chunks("m")
    sent = chunks.feed(frame("contentBlockStart", at | {"start": {"toolUse": {"toolUseId": "c", "name": "f"}}}))
    sent += chunks.feed(frame("contentBlockDelta", at | {"delta": {"toolUse": {"input": '{"a": 1}'}}}))
    sent += chunks.feed(frame("contentBlockStop", at))
    deltas = [json.loads(data)["choices"][0]["delta"] for data in StreamReader().feed(sent)]
    arguments = [call["function"]["arguments"] for delta in deltas for call in delta["tool_calls"]]
    assert "".join(arguments) == '{"a": 1}'


def test_a_cited_text_is_text_with_annotations() -> None:
    cited = {"content": [{"text": "blue"}], "citations": [{"title": "A", "location": {"web": {"url": "https://a.b"}}}]}
    content = [{"text": "So "}, {"citationsContent": cited}, {"reasoningContent": {"redactedContent": "abc"}}]
    answer = {"output": {"message": {"content": content}}, "stopReason": "end_turn"}
    said = json.loads(completion_of(json.dumps(answer).encode()))["choices"][0]["message"]
    place = {"url": "https://a.b", "title": "A", "start_index": 3, "end_index": 7}
    assert said["content"] == "So blue"
    assert said["annotations"] == [{"type": "url_citation", "url_citation": place}]
    assert said["thinking_blocks"] == [{"type": "redacted_thinking", "data": "abc"}]


USE = {"toolUseId": "c", "name": "f"}


@pytest.mark.parametrize(
    "stated, finish",
    [("tool_use", "tool_calls"), ("max_tokens", "length"), ("new", "tool_calls"), (None, "tool_calls")],
)
def test_a_call_that_was_cut_at_the_cap_is_not_a_call_to_run(stated: str | None, finish: str) -> None:
    answer = {"output": {"message": {"content": [{"toolUse": USE | {"input": {}}}]}}, "stopReason": stated}
    assert json.loads(completion_of(json.dumps(answer).encode()))["choices"][0]["finish_reason"] == finish
    chunks = Chunks("m")
    chunks.feed(frame("contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": USE}}))
    (last,) = StreamReader().feed(chunks.feed(frame("messageStop", {"stopReason": stated})))
    assert json.loads(last)["choices"][0]["finish_reason"] == finish


def test_answers_have_what_openais_sdk_requires() -> None:
    answer = {"output": {"message": {"content": [{"text": "ok"}]}}, "stopReason": "end_turn"}
    completion = ChatCompletion.model_validate_json(completion_of(json.dumps(answer).encode(), model="m"))
    (data,) = StreamReader().feed(Chunks("m").feed(frame("messageStart", {"role": "assistant"})))
    chunk = ChatCompletionChunk.model_validate_json(data)
    assert completion.model == chunk.model == "m"
    assert all(head.id and abs(head.created - time.time()) < 60 for head in (completion, chunk))
