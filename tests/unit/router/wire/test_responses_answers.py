"""Responses from chat completions: items and events for any order of chunks."""

import json
from base64 import b64encode
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import ResponseError, ResponseUsage

from router.request import ChatRequest
from router.target import Target
from router.wire import dialects, responses_requests
from router.wire.sse import StreamReader, event
from tests.fakes.growth import assert_linear
from traffic.tiers import Endpoint

TARGET = Target(Endpoint(name="e", kind="openai", base_url="https://api.openai.com/v1", model="gpt-4o-mini"), 2)
CLAUDE = Endpoint(name="c", kind="anthropic", base_url="https://api.anthropic.com", model="claude-haiku-4-5")
REQUEST = responses_requests.parse(b'{"model": "m", "input": "hi", "stream": true}', {})
TEXTS = st.text(st.characters(codec="ascii", exclude_characters="\x00"), max_size=12)


def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    return event(json.dumps({"id": "c", "object": "chat.completion.chunk", "choices": choices}).encode())


def played(chunks: list[bytes], request: ChatRequest = REQUEST) -> list[dict[str, Any]]:
    """The events for the client."""
    stream = dialects.of(request, TARGET.endpoint).stream(request, TARGET)
    sent = [piece for chunk in chunks for piece in stream.feed(chunk)]
    sent.append(stream.end())
    return [json.loads(data) for data in StreamReader().feed(b"".join(sent))]


@given(
    arguments=st.lists(st.dictionaries(TEXTS, TEXTS, max_size=3), min_size=1, max_size=4),
    size=st.integers(1, 9),
    said=st.lists(TEXTS, max_size=3),
    order=st.randoms(use_true_random=False),
)
def test_interleaved_chunks_of_calls_are_assembled(
    arguments: list[dict[str, str]], size: int, said: list[str], order: Any
) -> None:
    """Chunks of one call are in order; those of different calls and of the text are interleaved."""
    waiting = [[{"content": text} for text in said]]
    for number, tree in enumerate(arguments):
        written = json.dumps(tree)
        parts = [written[at : at + size] for at in range(0, len(written), size)]
        opened = {"index": number, "id": f"c{number}", "type": "function"}
        pieces: list[dict[str, Any]] = [
            {"tool_calls": [opened | {"function": {"name": f"f{number}", "arguments": ""}}]}
        ]
        pieces += [{"tool_calls": [{"index": number, "function": {"arguments": part}}]} for part in parts]
        waiting.append(pieces)
    chunks = []
    while any(waiting):
        chunks.append(chunk(order.choice([pieces for pieces in waiting if pieces]).pop(0)))
    events = played([*chunks, chunk({}, "tool_calls"), b"data: [DONE]\n\n"])
    response = events[-1]["response"]
    calls = {
        item["name"]: json.loads(item["arguments"]) for item in response["output"] if item["type"] == "function_call"
    }
    assert calls == {f"f{number}": tree for number, tree in enumerate(arguments)}
    text = "".join(p["text"] for item in response["output"] if item["type"] == "message" for p in item["content"])
    assert text == "".join(said)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    # Every item is opened once and ended once, and its deltas lie between.
    for index, item in enumerate(response["output"]):
        about = [event for event in events if event.get("output_index") == index]
        kinds = [one["type"] for one in about]
        assert kinds[0] == "response.output_item.added"
        assert kinds[-1] == "response.output_item.done"
        assert kinds.count(kinds[0]) == kinds.count(kinds[-1]) == 1
        assert about[-1]["item"] == item
        deltas = [one["delta"] for one in about if one["type"] == "response.function_call_arguments.delta"]
        assert item["type"] != "function_call" or "".join(deltas) == item["arguments"]


def test_an_index_written_as_text_is_read() -> None:
    sent = chunk({"content": "ok"}).replace(b'"index": 0', b'"index": "0"')
    response = played([sent, chunk({}, "stop"), b"data: [DONE]\n\n"])[-1]["response"]
    assert response["output"][0]["content"][0]["text"] == "ok"


def test_every_snapshot_of_a_response_names_a_model() -> None:
    """Azure's first chunk has an empty one."""
    unnamed, named = (
        chunk({"content": "ok"}).replace(b'{"id"', b'{"model": "%b", "id"' % name) for name in (b"", b"up")
    )
    events = played([unnamed, named, chunk({}, "stop")])
    assert [event["response"]["model"] for event in events if "response" in event] == ["m", "m", "up"]


def test_usage_has_the_fields_of_openais_sdk() -> None:
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 1,
        "prompt_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 3},
    }
    end = event(json.dumps({"choices": [], "usage": usage}).encode())
    stated = played([chunk({"content": "ok"}), chunk({}, "stop"), end])[-1]["response"]["usage"]
    assert ResponseUsage.model_validate(stated).input_tokens_details.cache_write_tokens == 3


def test_reasoning_repeated_with_its_signature_is_sent_once() -> None:
    block = {"type": "thinking", "thinking": "ab", "signature": "c2ln"}
    deltas = [{"reasoning_content": "a"}, {"reasoning_content": "b"}, {"thinking_blocks": [block]}, {"content": "ok"}]
    response = played([*map(chunk, deltas), chunk({}, "stop"), b"data: [DONE]\n\n"])[-1]["response"]
    assert response["output"][0]["summary"] == [{"type": "summary_text", "text": "ab"}]


SIGNED = {"type": "thinking", "thinking": "ab", "signature": "c2ln"}
WITHHELD = {"type": "thinking", "thinking": "", "signature": "b21pdHRlZA"}
REDACTED = {"type": "redacted_thinking", "data": "cmVk"}
CALL = {"tool_calls": [{"index": 0, "id": "t1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}


@pytest.mark.parametrize("blocks", [[SIGNED], [WITHHELD], [REDACTED], [SIGNED, REDACTED, WITHHELD]])
def test_signed_thinking_returns_with_the_next_request(blocks: list[dict[str, Any]]) -> None:
    deltas = [*({"thinking_blocks": [block]} for block in blocks), CALL]
    output = played([*map(chunk, deltas), chunk({}, "tool_calls")])[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["reasoning", "function_call"]
    items = [
        {"role": "user", "content": "hi"},
        *output,
        {"type": "function_call_output", "call_id": "t1", "output": "5"},
    ]
    sent = {}
    for endpoint in (CLAUDE, TARGET.endpoint):
        request = responses_requests.parse(json.dumps({"model": "m", "input": items}).encode(), {})
        payload = dialects.of(request, endpoint).payload(request, Target(endpoint, 2), stream=False)
        sent[endpoint.kind] = json.loads(payload)["messages"]
    assert sent["anthropic"][1]["content"] == [*blocks, {"type": "tool_use", "id": "t1", "name": "f", "input": {}}]
    assert "thinking_blocks" not in sent["openai"][1]


@pytest.mark.parametrize(
    "content",
    [
        *(None, 7, "gAAAAABo", "fasttier-thinking:", "fasttier-thinking:!", "fasttier-thinking:bnVsbA=="),
        "fasttier-thinking:" + b64encode(b"[" * 100_000).decode(),
    ],
    ids=range(7),
)
def test_reasoning_that_others_encrypted_is_not_sent(content: Any) -> None:
    reasoning = {"type": "reasoning", "summary": [], "encrypted_content": content}
    items = [{"role": "user", "content": "hi"}, reasoning, {"role": "assistant", "content": "x"}, reasoning]
    request = responses_requests.parse(json.dumps({"model": "m", "input": items}).encode(), {})
    assert json.loads(bytes(request.tree["messages"])) == [items[0], items[2]]


@pytest.mark.parametrize(
    "kind, code", [("upstream_error", "server_error"), ("rate_limit_exceeded", "rate_limit_exceeded")]
)
def test_the_code_of_a_failed_response_is_one_of_openais(kind: str, code: str) -> None:
    body = responses_requests.error(502, "no", kind)
    *_, failed = map(json.loads, StreamReader().feed(responses_requests.error_event(body, REQUEST)))
    assert ResponseError.model_validate(failed["response"]["error"]).code == code


SEARCHING = responses_requests.parse(
    b'{"input": "hi", "stream": true, "tools": [{"type": "tool_search", "execution": "client", "parameters": {}}]}', {}
)


def search_parts(*parts: str) -> list[bytes]:
    named = {"index": 0, "id": "s", "function": {"name": "tool_search", "arguments": ""}}
    calls = [named, *({"index": 0, "function": {"arguments": part}} for part in parts)]
    return [chunk({"tool_calls": [call]}) for call in calls]


def test_the_arguments_of_a_tool_search_are_an_object() -> None:
    for finish, arguments in (("tool_calls", {"q": "mail"}), ("length", {})):
        parts = search_parts('{"q": "ma', 'il"}') if arguments else search_parts('{"q": "ma')
        events = played([*parts, chunk({}, finish)], SEARCHING)
        (item,) = events[-1]["response"]["output"]
        assert (item["type"], item["arguments"]) == ("tool_search_call", arguments)
        assert [event["item"]["arguments"] for event in events if "item" in event] == [{}, arguments]


UNFINISHED = {"name": "f", "arguments": '{"a": '}


def calls(count: int, function: dict[str, str]) -> list[bytes]:
    return [chunk({"tool_calls": [{"index": n, "id": f"c{n}", "function": function}]}) for n in range(count)]


@pytest.mark.parametrize(
    "asked, chunks",
    [
        (SEARCHING, lambda size: search_parts('{"q": "', *["abcd "] * 4 * size, '"}')),
        (REQUEST, lambda size: calls(size, {"name": "f", "arguments": "{}"})),
        (REQUEST, lambda size: calls(size, UNFINISHED)),
        (REQUEST, lambda size: [chunk({"thinking_blocks": [SIGNED]})] * size),
    ],
    ids=["tool search", "calls", "unfinished calls", "thinking"],
)
def test_long_answers_are_translated_in_linear_time(asked: ChatRequest, chunks: Callable[[int], list[bytes]]) -> None:
    assert_linear(lambda size: partial(played, [*chunks(size), chunk({}, "tool_calls")], asked), 1_600)


def test_an_image_written_as_in_chat_completions_is_read() -> None:
    image = {"type": "input_image", "image_url": {"url": "https://a.example/b.png"}}
    request = responses_requests.parse(json.dumps({"input": [{"role": "user", "content": [image]}]}).encode(), {})
    (message,) = json.loads(bytes(request.tree["messages"]))
    assert message["content"] == [{"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}]


def test_an_image_in_a_tools_result_stays_in_it_where_the_endpoint_permits() -> None:
    shot = {"type": "input_image", "image_url": "https://a.example/b.png"}
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    items = [{"role": "user", "content": "q"}, call, {"type": "function_call_output", "call_id": "c", "output": [shot]}]
    request = responses_requests.parse(json.dumps({"input": items}).encode(), {})
    sent = {}
    for endpoint in (CLAUDE, TARGET.endpoint):
        payload = dialects.of(request, endpoint).payload(request, Target(endpoint, 2), stream=False)
        sent[endpoint.kind] = json.loads(payload)["messages"]
    assert [block["type"] for block in sent["anthropic"][2]["content"][0]["content"]] == ["image"]
    assert [message["role"] for message in sent["openai"]] == ["user", "assistant", "tool", "user"]
