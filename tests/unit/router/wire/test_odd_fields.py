"""Optional fields of unexpected types never fail an answer, for clients of both protocols."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from router.target import Target
from router.wire import anthropic_requests, dialects, openai
from router.wire.sse import DONE, StreamReader, event, named_event
from traffic.tiers import Endpoint

GPT = Target(Endpoint(name="gpt", kind="openai", base_url="https://b.example.com/v1", model="g"), 2)
CLAUDE = Target(Endpoint(name="claude", kind="anthropic", base_url="https://a.example.com", model="c"), 2)
ODD = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 2**40) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
KEYS = st.sampled_from(["prompt_tokens", "input_tokens", "content", "type", "x"])
ANY = ODD | st.dictionaries(KEYS, ODD, max_size=3)
EXTRA = st.dictionaries(st.sampled_from(["id", "created", "model", "object", "index", "x"]), ANY, max_size=3)
BLOCK = st.dictionaries(st.sampled_from(["citations", "y"]), ANY)
CLIENTS = st.sampled_from(["openai", "anthropic"])
CHOICE = st.fixed_dictionaries({}, optional={"logprobs": ANY, "content_filter_results": ANY, "stop_reason": ANY})
MESSAGE = st.fixed_dictionaries({}, optional={"tool_calls": st.none() | st.integers() | st.just([]), "audio": ANY})
USAGE = st.fixed_dictionaries({}, optional={"usage": ANY, "system_fingerprint": ANY, "service_tier": ANY})


def asked(client: str, *, stream: bool) -> Any:
    body = {"model": "m", "max_tokens": 5, "stream": stream, "messages": [{"role": "user", "content": "x"}]}
    return dialects.CLIENTS[client].parse(msgspec.json.encode(body), {})


def text_of(client: str, body: bytes) -> str:
    """The text of a complete answer."""
    tree = msgspec.json.decode(body)
    if client == "openai":
        return str(tree["choices"][0]["message"]["content"])
    return "".join(block["text"] for block in tree["content"] if block.get("type") == "text")


def streamed_text(client: str, wire: bytes) -> str:
    """The text of a stream."""
    text = ""
    for data in StreamReader().feed(wire):
        tree = msgspec.json.decode(data) if data != b"[DONE]" else {}
        if client == "openai":
            text += "".join(choice["delta"].get("content") or "" for choice in tree.get("choices", ()))
        elif tree["type"] == "content_block_delta":
            text += tree["delta"].get("text", "")
    return text


@given(CLIENTS, EXTRA, CHOICE, MESSAGE, USAGE)
def test_complete_chat_completions_are_validated(
    client: str, extra: dict[str, Any], choice: dict[str, Any], message: dict[str, Any], usage: dict[str, Any]
) -> None:
    reply = {"role": "assistant", "content": "ok"} | message
    body = extra | usage | {"choices": [choice | {"message": reply, "finish_reason": "stop"}]}
    request = asked(client, stream=False)
    answer = dialects.of(request, GPT.endpoint).read(msgspec.json.encode(body), request, GPT)
    assert answer.output.text == "ok"
    assert text_of(client, answer.body) == "ok"


@given(CLIENTS, st.lists(st.tuples(EXTRA, CHOICE, USAGE), min_size=4, max_size=4))
def test_streams_of_chat_completions_are_validated(client: str, odd: list[tuple[dict[str, Any], ...]]) -> None:
    deltas = [({"role": "assistant"}, None), ({"content": "o"}, None), ({"content": "k"}, None), ({}, "stop")]
    wire = b""
    for (delta, reason), (extra, choice, usage) in zip(deltas, odd, strict=True):
        sent_choice = choice | {"index": 0, "delta": delta, "finish_reason": reason}
        wire += event(msgspec.json.encode(extra | usage | {"choices": [sent_choice]}))
    request = asked(client, stream=True)
    stream = dialects.of(request, GPT.endpoint).stream(request, GPT)
    out = b"".join(stream.feed(wire + DONE)) + stream.end()
    assert (stream.output.text, stream.finish_reason) == ("ok", "stop")
    assert streamed_text(client, out) == "ok"


@given(CLIENTS, EXTRA, USAGE, BLOCK)
def test_complete_messages_are_validated(
    client: str, extra: dict[str, Any], usage: dict[str, Any], block: dict[str, Any]
) -> None:
    content = [{"type": "something_new", "x": block}, block | {"type": "text", "text": "ok"}]
    body = extra | usage | {"type": "message", "content": content, "stop_reason": "end_turn"}
    request = asked(client, stream=False)
    answer = dialects.of(request, CLAUDE.endpoint).read(msgspec.json.encode(body), request, CLAUDE)
    assert answer.output.text == "ok"
    assert text_of(client, answer.body) == "ok"


@given(CLIENTS, st.lists(EXTRA | USAGE, min_size=7, max_size=7), ANY)
def test_streams_of_messages_are_validated(client: str, odd: list[dict[str, Any]], head: Any) -> None:
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": head},
        {"type": "something_new", "index": 0},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "ok"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        {"type": "message_stop"},
    ]
    wire = b"".join(
        named_event(tree["type"], msgspec.json.encode(more | tree)) for more, tree in zip(odd, events, strict=True)
    )
    request = asked(client, stream=True)
    stream = dialects.of(request, CLAUDE.endpoint).stream(request, CLAUDE)
    out = b"".join(stream.feed(wire)) + stream.end()
    assert (stream.output.text, stream.finish_reason) == ("ok", "stop")
    assert streamed_text(client, out) == "ok"


@given(st.text(max_size=10), st.lists(st.integers(1, 7), max_size=30))
def test_a_complete_answer_is_the_same_when_streamed_to_either_client(text: str, cuts: list[int]) -> None:
    body = msgspec.json.encode({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]})
    wire, at = openai.as_stream(body, usage=False), 0
    request = asked("anthropic", stream=True)
    stream = dialects.of(request, GPT.endpoint).stream(request, GPT)
    out = b""
    for cut in [*cuts, len(wire)]:
        out += b"".join(stream.feed(wire[at : at + cut]))
        at += cut
    out += stream.end()
    assert streamed_text("anthropic", out) == text
    whole = dialects.of(request, GPT.endpoint).read(body, request, GPT).body
    assert streamed_text("anthropic", anthropic_requests.as_stream(whole, usage=False)) == text
