"""Chat completions as messages of Anthropic's protocol, complete and streamed."""

from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.request import ChatRequest
from router.target import Target
from router.wire import anthropic, anthropic_answers, openai
from router.wire.anthropic_requests import parse
from router.wire.sse import StreamReader
from router.wire.sse import event as chunk_event
from tests.fakes.growth import assert_linear
from traffic.record import Usage
from traffic.tiers import Endpoint

USER = {"role": "user", "content": "hello"}
GPT = Endpoint(name="gpt", kind="openai", base_url="https://api.openai.com/v1", model="gpt-4o-mini")
TARGET = Target(GPT, 2)


def parsed(**body: Any) -> ChatRequest:
    return parse(msgspec.json.encode({"model": "m", "max_tokens": 9, "messages": [USER]} | body), {})


def assembled(wire: bytes) -> dict[str, Any]:
    """A stream as Anthropic's clients assemble it; fails if blocks overlap or are not closed."""
    content: list[dict[str, Any]] = []
    message: dict[str, Any] = {}
    is_open = False
    for event in map(msgspec.json.decode, StreamReader().feed(wire)):
        if event["type"] == "message_start":
            message = event["message"]
        elif event["type"] == "content_block_start":
            assert not is_open
            assert event["index"] == len(content)
            content.append(dict(event["content_block"]) | {"json": ""})
            is_open = True
        elif event["type"] == "content_block_delta":
            assert is_open
            assert event["index"] == len(content) - 1
            for key, value in event["delta"].items():
                name = "json" if key == "partial_json" else key
                if name != "type":
                    content[-1][name] += value
        elif event["type"] == "content_block_stop":
            is_open = False
        elif event["type"] == "message_delta":
            message |= event["delta"] | {"usage": message["usage"] | event["usage"]}
    assert not is_open
    for block in content:
        given = block.pop("json")
        if block["type"] == "tool_use":
            block["input"] = msgspec.json.decode(given or "{}")
    return message | {"content": content}


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
CALLS = st.lists(st.dictionaries(TEXT, st.integers() | TEXT, max_size=3), max_size=3)


def whole(text: str | None, calls: list[dict[str, Any]], finish_reason: str = "stop") -> bytes:
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if calls:
        message["tool_calls"] = [
            {"id": f"c{n}", "type": "function", "function": {"name": "f", "arguments": msgspec.json.encode(c).decode()}}
            for n, c in enumerate(calls)
        ]
    usage = {"prompt_tokens": 12, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    return msgspec.json.encode({"id": "c", "created": 0, "model": "gpt", "choices": [choice], "usage": usage})


@given(st.none() | TEXT, CALLS, st.lists(st.integers(1, 60)))
def test_a_stream_gives_the_same_answer_regardless_of_chunk_boundaries(
    text: str | None, calls: list[dict[str, Any]], cuts: list[int]
) -> None:
    body = whole(text, calls)
    request = parsed(stream=True)
    expected = msgspec.json.decode(anthropic_answers.read(body, request, TARGET).body)
    wire = openai.as_stream(body, usage=True)
    stream, out, at = anthropic_answers.stream(request, TARGET), b"", 0
    for cut in [*cuts, len(wire)]:
        out += b"".join(stream.feed(wire[at : at + cut]))
        at += cut
    out += stream.end()
    again = assembled(out)
    for key in ("content", "stop_reason", "stop_sequence", "model", "usage"):
        assert again[key] == expected[key]
    assert stream.usage == Usage(input_uncached=8, cache_read=4, output=5)
    passed = anthropic.stream(request, TARGET)
    passed.feed(out)
    assert passed.output.tool_calls == stream.output.tool_calls


@pytest.mark.parametrize(
    "finish_reason, stop_reason",
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        # Without a call there is nothing to use.
        ("tool_calls", "end_turn"),
        ("content_filter", "refusal"),
        ("something", "end_turn"),
    ],
)
def test_finish_reasons_become_stop_reasons(finish_reason: str, stop_reason: str) -> None:
    answer = anthropic_answers.read(whole("x", [], finish_reason), parsed(), TARGET)
    assert msgspec.json.decode(answer.body)["stop_reason"] == stop_reason
    assert answer.output.finish_reason == finish_reason


def test_a_call_that_ends_after_text_in_the_same_chunk_is_one_block() -> None:
    def call(arguments: str, **more: Any) -> dict[str, Any]:
        return {"index": 0, "function": {"arguments": arguments} | more}

    deltas = [
        {"content": "a"},
        {"content": "b", "tool_calls": [call('{"x":', name="f") | {"id": "c1"}]},
        {"content": "c", "tool_calls": [call("1}")]},
    ]
    stream = anthropic_answers.stream(parsed(stream=True), TARGET)
    chunks = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    wire = b"".join(b"data: " + msgspec.json.encode(chunk) + b"\n\n" for chunk in chunks)
    message = assembled(b"".join(stream.feed(wire)) + stream.end())
    assert [block.get("text", block.get("input")) for block in message["content"]] == ["ab", {"x": 1}, "c"]


def test_a_refusal_is_reported_as_a_refusal() -> None:
    message = {"role": "assistant", "content": None, "refusal": "no"}
    body = msgspec.json.encode({"choices": [{"message": message, "finish_reason": "stop"}]})
    answer = msgspec.json.decode(anthropic_answers.read(body, parsed(), TARGET).body)
    assert (answer["content"], answer["stop_reason"]) == ([{"type": "text", "text": "no"}], "refusal")


@pytest.mark.parametrize(
    "arguments, expected",
    [
        ('{"a": 1}', {"a": 1}),
        ({"a": 1}, {"a": 1}),
        ("", {}),
        (None, {}),
        ("null", {}),
        ('"{}"', {}),
        ("[1", {"arguments": "[1"}),
        ("[1]", {"arguments": [1]}),
    ],
)
def test_arguments_of_any_form_become_an_object(arguments: Any, expected: dict[str, Any]) -> None:
    call = {"type": "function", "function": {"name": "f", "arguments": arguments}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    body = msgspec.json.encode({"choices": [{"message": message, "finish_reason": "stop"}]})
    answer = msgspec.json.decode(anthropic_answers.read(body, parsed(), TARGET).body)
    (block,) = answer["content"]
    assert (block["input"], answer["stop_reason"]) == (expected, "tool_use")
    assert block["id"]


def test_many_interleaved_calls_take_linear_time() -> None:
    def part(index: int, arguments: str, **extra: Any) -> bytes:
        delta = {"tool_calls": [{"index": index, "function": {"name": "f", "arguments": arguments}, **extra}]}
        return chunk_event(msgspec.json.encode({"id": "c", "choices": [{"index": 0, "delta": delta}]}))

    def many(calls: int) -> list[bytes]:
        return [part(n, '{"a": ', id=f"c{n}") for n in range(calls)]

    # The first call looks complete, but is not, while the second one arrives.
    def long(chunks: int) -> list[bytes]:
        first = part(0, '{"a": {"b": "' + "x" * 100 * chunks + '"}', id="c0")
        return [first, part(1, '{"c": "', id="c1"), *[part(1, "abcd")] * chunks]

    def feeding(chunks: list[bytes]) -> None:
        stream = anthropic_answers.stream(parsed(), TARGET)
        for chunk in chunks:
            stream.feed(chunk)

    assert_linear(lambda size: partial(feeding, many(size)), 3_200)
    assert_linear(lambda size: partial(feeding, long(size)), 1_600)


def test_an_answer_without_usage_has_estimated_counts() -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "x" * 40}, "finish_reason": "stop"}
    answer = anthropic_answers.read(msgspec.json.encode({"id": "c", "choices": [choice]}), parsed(), TARGET)
    usage = msgspec.json.decode(answer.body)["usage"]
    assert usage["input_tokens"] > 0
    assert usage["output_tokens"] == 10
