"""Messages of Anthropic's protocol as chat completions, complete and streamed."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.request import parse
from router.target import Target
from router.wire import anthropic_requests, chat_answers, dialects, openai
from router.wire.chat_answers import ChunkStream
from router.wire.protocol import Unreadable
from router.wire.sse import StreamReader
from traffic.record import Usage
from traffic.tiers import Endpoint
from traffic.usage import usage_of

USER = {"role": "user", "content": "hello"}
CLAUDE = Endpoint(name="claude", kind="anthropic", base_url="https://api.anthropic.com", model="claude-haiku-4-5")
GPT = Endpoint(name="gpt", kind="openai", base_url="https://api.openai.com/v1", model="gpt-4o-mini")
MESSAGES = anthropic_requests.parse(
    msgspec.json.encode({"model": "m", "max_tokens": 9, "messages": [USER], "stream": True}), {}
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)

BLOCKS = st.lists(
    st.builds(lambda text: {"type": "text", "text": text}, TEXT)
    | st.builds(lambda text: {"type": "thinking", "thinking": text, "signature": "s"}, TEXT)
    | st.builds(
        lambda number, given: {"type": "tool_use", "id": f"t{number}", "name": "f", "input": given},
        st.integers(0, 99),
        st.dictionaries(TEXT, st.integers() | TEXT, max_size=3),
    ),
    max_size=5,
)
PING = b'event: ping\ndata: {"type": "ping"}\n\n'
USAGE = {"input_tokens": 7, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 2, "output_tokens": 5}


def whole(blocks: list[dict[str, Any]], stop_reason: str = "end_turn") -> bytes:
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude"}
    ended = {"content": blocks, "stop_reason": stop_reason, "stop_sequence": None, "usage": USAGE}
    return msgspec.json.encode(head | ended)


def read(body: bytes) -> Any:
    request = parse(msgspec.json.encode({"messages": [USER]}), {})
    return chat_answers.read(body, request, Target(CLAUDE, 2))


@given(BLOCKS, st.lists(st.integers(1, 60)))
def test_a_stream_gives_the_same_answer_regardless_of_chunk_boundaries(
    blocks: list[dict[str, Any]], cuts: list[int]
) -> None:
    expected = read(whole(blocks))
    wire = PING + anthropic_requests.as_stream(whole(blocks), usage=True)
    stream, out, at = ChunkStream(usage=True), b"", 0
    for cut in [*cuts, len(wire)]:
        out += b"".join(stream.feed(wire[at : at + cut]))
        at += cut
    out += stream.end()
    assert (stream.output, stream.usage) == (expected.output, expected.usage)
    request, target = parse(msgspec.json.encode({"messages": [USER], "stream": True}), {}), Target(GPT, 2)
    again = openai.stream(request, target)
    again.feed(out)
    assert again.done
    assert (again.output, again.usage) == (expected.output, expected.usage)
    assert openai.read(expected.body, request, target).output == expected.output


def test_prompt_tokens_include_cached_tokens() -> None:
    answer = read(whole([{"type": "text", "text": "x"}]))
    assert answer.usage == Usage(input_uncached=7, cache_read=3, cache_write=2, output=5)
    usage = msgspec.json.decode(answer.body)["usage"]
    assert (usage["prompt_tokens"], usage["total_tokens"]) == (12, 17)
    assert usage_of(usage) == answer.usage


@pytest.mark.parametrize(
    "stop_reason, finish_reason",
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("pause_turn", "length"),
        ("something_new", "something_new"),
    ],
)
def test_stop_reasons_become_finish_reasons(stop_reason: str, finish_reason: str) -> None:
    assert read(whole([], stop_reason)).output.finish_reason == finish_reason
    stream = ChunkStream(usage=False)
    stream.feed(anthropic_requests.as_stream(whole([], stop_reason), usage=False))
    assert (stream.finish_reason, stream.done) == (finish_reason, True)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"content": []}', b'{"type": "error", "error": {"message": "no"}}', b"\xff", b"7"]
)
def test_an_invalid_message_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        read(body)


@pytest.mark.parametrize("kept", [0, 1, 2, 3, 4])
def test_an_interrupted_stream_is_unreadable(kept: int) -> None:
    events = anthropic_requests.as_stream(whole([{"type": "text", "text": "x"}]), usage=False).split(b"\n\n")
    stream = ChunkStream(usage=False)
    stream.feed(b"".join(event + b"\n\n" for event in events[:kept]))
    with pytest.raises(Unreadable, match="cut: "):
        stream.end()


@pytest.mark.parametrize("stop_reason", [[None], {"a": 1}, 7])
def test_a_stop_reason_that_is_not_text_is_ignored(stop_reason: Any) -> None:
    answer = read(whole([{"type": "text", "text": "yes"}], stop_reason))
    assert "native_finish_reason" not in msgspec.json.decode(answer.body)["choices"][0]


def test_an_answer_without_usage_has_no_usage() -> None:
    answer = read(b'{"content": "x", "stop_reason": null, "id": 7, "usage": []}')
    assert (answer.usage, answer.output.text) == (None, "x")
    assert "usage" not in msgspec.json.decode(answer.body)


def test_thinking_becomes_reasoning_content_and_its_signature_is_restored() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": "sig"}
    answer = msgspec.json.decode(read(whole([thought, {"type": "text", "text": "42"}])).body)
    message = answer["choices"][0]["message"]
    assert (message["reasoning_content"], message["thinking_blocks"]) == ("hm", [thought])
    again = parse(msgspec.json.encode({"messages": [USER, message, USER]}), {})
    sent = msgspec.json.decode(chat_answers.payload(again, Target(CLAUDE, 2), stream=False))
    assert sent["messages"][1]["content"] == [thought, {"type": "text", "text": "42"}]


DETAILS = {"type": "refusal", "category": "cyber", "explanation": "Blocked by a safeguard."}


@pytest.mark.parametrize("details, refusal", [(DETAILS, DETAILS["explanation"]), (None, None), ({"type": "x"}, None)])
def test_the_explanation_of_a_refusal_reaches_the_client(details: Any, refusal: str | None) -> None:
    head = {"id": "m", "type": "message", "role": "assistant", "content": [], "stop_reason": "refusal"}
    choice = msgspec.json.decode(read(msgspec.json.encode(head | {"stop_details": details})).body)["choices"][0]
    assert (choice["message"]["refusal"], choice["finish_reason"]) == (refusal, "content_filter")
    stream = ChunkStream(usage=False)
    events = [
        {"type": "message_start", "message": {"id": "m", "content": []}},
        {"type": "message_delta", "delta": {"stop_reason": "refusal", "stop_details": details}},
        {"type": "message_stop"},
    ]
    wire = b"".join(b"data: " + msgspec.json.encode(event) + b"\n\n" for event in events)
    sent = b"".join(stream.feed(wire)) + stream.end()
    chunks = [msgspec.json.decode(data) for data in StreamReader().feed(sent) if data != b"[DONE]"]
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    assert [delta["refusal"] for delta in deltas if "refusal" in delta] == ([refusal] if refusal else [])


def test_a_stream_with_a_stop_reason_is_complete_without_message_stop() -> None:
    wire = anthropic_requests.as_stream(whole([{"type": "text", "text": "x"}]), usage=False)
    wire = wire[: wire.index(b"event: message_stop")]
    for_chat, for_messages = ChunkStream(usage=False), dialects.of(MESSAGES, CLAUDE).stream(MESSAGES, Target(CLAUDE, 2))
    for_chat.feed(wire)
    for_messages.feed(wire)
    assert for_chat.end().endswith(b"data: [DONE]\n\n")
    assert for_messages.end() == b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


def test_an_empty_thinking_block_begins_the_answer() -> None:
    stream = ChunkStream(usage=False)
    opened = {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}}
    stream.feed(b"data: " + msgspec.json.encode(opened) + b"\n\n")
    assert stream.begun


def test_the_end_of_the_body_ends_the_last_event() -> None:
    wire = anthropic_requests.as_stream(whole([{"type": "text", "text": "x"}]), usage=False)
    stream = ChunkStream(usage=False)
    stream.feed(wire.rstrip())
    assert stream.end().endswith(b"data: [DONE]\n\n")
    assert stream.output.text == "x"


@pytest.mark.parametrize("kind", [None, [], {}, 1])
def test_a_block_of_an_unknown_type_does_not_fail_the_answer(kind: Any) -> None:
    assert read(whole([{"type": kind}, {"type": "text", "text": "x"}])).output.text == "x"
