"""Requests translated for an endpoint of the other protocol, through a real router: none that its API refuses."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.fakes import raw_upstream as raw
from tests.fakes.raw_upstream import events, plain
from tests.fakes.wire_bench import (
    LAST,
    START,
    STOP,
    WHOLE,
    Bench,
    calls_of,
    choice,
    completion,
    delta,
    message,
    part,
    running_bench,
)

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with running_bench(tmp_path_factory.mktemp("home")) as running:
        yield running


TOOL = {"type": "function", "function": {"name": "f", "parameters": {"properties": {}}}}
ANSWERED = plain(message({"type": "text", "text": "ok"}))


@pytest.mark.parametrize(
    "body, expected",
    [
        ({"tools": [TOOL]}, lambda sent: sent["tools"][0]["input_schema"]["type"] == "object"),
        ({"reasoning_effort": "minimal"}, lambda sent: sent["output_config"] == {"effort": "low"}),
        ({"seed": 7}, lambda sent: "seed" not in sent),
        ({"response_format": {"type": "json_object"}}, lambda sent: "JSON" in sent["system"]),
        ({"user": "u" * 300}, lambda sent: len(sent["metadata"]["user_id"]) <= 256),
        ({"stop": ["\n", "END"]}, lambda sent: sent["stop_sequences"] == ["END"]),
        ({"cache_control": {"type": "ephemeral"}}, lambda sent: sent["cache_control"] == {"type": "ephemeral"}),
        (
            {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "La la \n"}]},
            lambda sent: sent["messages"][-1]["content"] == "La la",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": " "}, {"type": "text", "text": "x"}]}]},
            lambda sent: sent["messages"] == [{"role": "user", "content": "x"}],
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "image_url", "image_url": {"url": "data:image/jpg;base64,aGk="}},
                            {"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
                        ],
                    }
                ]
            },
            lambda sent: (
                sent["messages"][0]["content"][0]["source"]["media_type"] == "image/jpeg"
                and sent["messages"][0]["content"][1]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
            ),
        ),
    ],
)
def test_translated_requests_are_valid_for_anthropic(
    bench: Bench, body: dict[str, Any], expected: Callable[[Any], bool]
) -> None:
    heard = bench.chat(bench.claude, ANSWERED, **body)
    assert heard.status == 200
    assert expected(heard.asked[0])


LONG_NAME = "mcp__a_server_with_a_long_name__" + "do_something_" * 5


@pytest.mark.parametrize(
    "body, expected",
    [
        ({"metadata": {"user_id": "u" * 159}}, lambda sent: len(sent["user"]) <= 64),
        ({"stop_sequences": list("abcde")}, lambda sent: sent["stop"] == list("abcd")),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": {"properties": {"a": {}}}}}},
            lambda sent: not sent["response_format"]["json_schema"].get("strict"),
        ),
        (
            {"tools": [{"name": LONG_NAME, "input_schema": {"type": "object"}, "defer_loading": True}]},
            lambda sent: len(sent["tools"][0]["function"]["name"]) <= 64,
        ),
        ({"thinking": {"type": "adaptive"}, "context_management": {"edits": []}}, lambda sent: "thinking" not in sent),
    ],
)
def test_translated_requests_are_valid_for_openai(
    bench: Bench, body: dict[str, Any], expected: Callable[[Any], bool]
) -> None:
    heard = bench.messages(bench.gpt, plain(completion(choice({"content": "ok"}))), **body)
    assert heard.status == 200
    assert expected(heard.asked[0])


def test_a_shortened_tool_name_is_restored(bench: Bench) -> None:
    tools = [{"name": LONG_NAME, "input_schema": {"type": "object"}}]
    sent = bench.messages(bench.gpt, plain(completion(choice({"content": "ok"}))), tools=tools)
    short = sent.asked[0]["tools"][0]["function"]["name"]
    call = {"id": "c", "type": "function", "function": {"name": short, "arguments": "{}"}}
    heard = bench.messages(bench.gpt, plain(completion(choice({"tool_calls": [call]}))), tools=tools)
    assert heard.json["content"][0]["name"] == LONG_NAME
    streamed = bench.messages(bench.gpt, calls_of(part("{}", id="c", index=0, name=short)), tools=tools, stream=True)
    assert streamed.blocks[0]["name"] == LONG_NAME


def test_unsupported_stop_sequences_are_applied_by_the_router(bench: Bench) -> None:
    said = message({"type": "text", "text": "one\ntwo"})
    heard = bench.chat(bench.claude, plain(said), stop=["\n"])
    assert heard.json["choices"][0]["message"]["content"] == "one"
    texts = [delta({"content": text}) for text in ("on", "e e", "nd two")]
    wire = raw.stream(events(START, *texts, STOP, LAST, b"[DONE]"))
    cut = bench.messages(bench.gpt, wire, stream=True, stop_sequences=["a", "b", "c", "d", "end"])
    assert cut.blocks[0]["text"] == "one "
    assert cut.event("message_delta")["delta"] == {"stop_reason": "stop_sequence", "stop_sequence": "end"}
    assert cut.record.output.text == "one "


def test_removed_hints_are_reported(bench: Bench) -> None:
    heard = bench.chat(bench.claude, ANSWERED, seed=7)
    assert heard.headers["x-fasttier-left-out"] == "seed"
    other = bench.messages(bench.gpt, plain(completion(choice({"content": "ok"}))), context_management={"edits": []})
    assert other.headers["x-fasttier-left-out"] == "context_management"
    assert (
        "x-fasttier-left-out" not in bench.chat(bench.gpt, plain(completion(choice({"content": "ok"}))), seed=7).headers
    )


def test_a_repeated_header_arrives_as_one_list(bench: Bench) -> None:
    bench.claude.play = ANSWERED
    body = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hello"}]}
    headers = [("x-fasttier-call-site", "to.claude"), ("anthropic-beta", "one"), ("anthropic-beta", "two")]
    assert httpx.post(f"{bench.router.base_url}/messages", json=body, headers=headers).status_code == 200
    assert "anthropic-beta: one, two\r\n" in bench.claude.heads[-1]


@pytest.mark.parametrize("options", [None, {}, {"include_usage": None}, {"include_usage": False}])
@pytest.mark.parametrize("stream", [True, None, False])
def test_stream_options_of_any_form_are_accepted(bench: Bench, options: Any, stream: bool | None) -> None:
    play = raw.stream(WHOLE) if stream else plain(completion(choice({"content": "ok"})))
    heard = bench.chat(bench.gpt, play, stream=stream, stream_options=options)
    assert heard.status == 200
    assert ("stream_options" in heard.asked[0]) == bool(stream)
