"""LangChain's models for OpenAI and Anthropic against the router, unchanged, before both kinds of endpoints."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.fakes import raw_upstream as raw
from tests.fakes.raw_upstream import Play, events, named, plain
from tests.fakes.wire_bench import (
    LAST,
    START,
    WHOLE,
    Bench,
    choice,
    completion,
    delta,
    message,
    part,
    running_bench,
)

langchain_openai = pytest.importorskip("langchain_openai")
langchain_anthropic = pytest.importorskip("langchain_anthropic")
messages = pytest.importorskip("langchain_core.messages")

pytestmark = pytest.mark.integration

MODELS = ["chat", "responses", "messages"]
TOOL = {
    "type": "function",
    "function": {"name": "find", "parameters": {"type": "object", "properties": {"q": {"type": "string"}}}},
}
CALL = {"type": "tool_use", "id": "t1", "name": "find", "input": {"q": "x"}}
CHUNKS = (part('{"q":', index=0, id="t1", name="find"), part('"x"}', index=0))
PLAYS: dict[str, dict[str, Play]] = {
    "gpt": {
        "text": plain(completion(choice({"content": "ok"}))),
        "stream": raw.stream(WHOLE),
        "call": raw.stream(
            events(
                START, *(delta({"tool_calls": [chunk]}) for chunk in CHUNKS), delta({}, "tool_calls"), LAST, b"[DONE]"
            )
        ),
    },
    "claude": {
        "text": plain(message({"type": "text", "text": "ok"})),
        "stream": raw.stream(
            named(
                {"type": "message_start", "message": message(content=[], stop_reason=None)},
                {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
                {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "ok"}},
                {"type": "content_block_stop", "index": 0},
                {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
                {"type": "message_stop"},
            )
        ),
        "call": raw.stream(
            named(
                {"type": "message_start", "message": message(content=[], stop_reason=None)},
                {"type": "content_block_start", "index": 0, "content_block": CALL | {"input": {}}},
                {
                    "type": "content_block_delta",
                    "index": 0,
                    "delta": {"type": "input_json_delta", "partial_json": '{"q":"x"}'},
                },
                {"type": "content_block_stop", "index": 0},
                {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 2}},
                {"type": "message_stop"},
            )
        ),
    },
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with running_bench(tmp_path_factory.mktemp("home")) as running:
        yield running


def model(bench: Bench, name: str, endpoint: str) -> Any:
    headers = {"x-fasttier-call-site": f"to.{endpoint}"}
    common: dict[str, Any] = {"api_key": "k", "model": "m", "default_headers": headers, "max_retries": 0}
    if name == "messages":
        return langchain_anthropic.ChatAnthropic(base_url=bench.router.url, max_tokens=50, **common)
    return langchain_openai.ChatOpenAI(
        base_url=f"{bench.router.url}/v1", use_responses_api=name == "responses", **common
    )


@pytest.mark.parametrize("endpoint", ["gpt", "claude"])
@pytest.mark.parametrize("name", MODELS)
def test_langchain_asks_streams_and_calls_tools(bench: Bench, name: str, endpoint: str) -> None:
    asking, upstream = model(bench, name, endpoint), getattr(bench, endpoint)
    upstream.play = PLAYS[endpoint]["text"]
    answer = asking.invoke([messages.HumanMessage("hello")])
    assert answer.text == "ok"
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["input_tokens"] == 10

    upstream.play = PLAYS[endpoint]["stream"]
    assert "".join(chunk.text for chunk in asking.stream([messages.HumanMessage("hello")])) == "ok"

    upstream.play = PLAYS[endpoint]["call"]
    chunks = list(asking.bind_tools([TOOL]).stream([messages.HumanMessage("hello")]))
    called = chunks[0]
    for chunk in chunks[1:]:
        called = called + chunk
    assert isinstance(called, messages.AIMessage)
    (call,) = called.tool_calls
    assert (call["name"], call["args"]) == ("find", {"q": "x"})

    upstream.play = PLAYS[endpoint]["text"]
    history = [messages.HumanMessage("hello"), called, messages.ToolMessage("found", tool_call_id=str(call["id"]))]
    assert asking.bind_tools([TOOL]).invoke(history).text == "ok"
    sent = upstream.bodies[-1]["messages"]
    assert "found" in str(sent[-1])
