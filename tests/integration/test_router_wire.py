"""Answers byte for byte as servers send them, through a real router: what clients get, and what the log says."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest

from tests.fakes import raw_upstream as raw
from tests.fakes.raw_upstream import Play, events, named, plain
from tests.fakes.wire_bench import (
    HEAD,
    LAST,
    OK,
    START,
    STOP,
    USAGE,
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


# ---------------------------------------------------------------------------------------------- forms of answers


@pytest.mark.parametrize(
    "answer",
    [
        completion(choice({"content": [{"type": "text", "text": "ok"}]})),
        completion(choice({"content": "ok"}, finish_reason=0)),
        completion(choice({"content": "ok"}, logprobs=[])),
        completion(choice({"content": "ok"}, index="0")),
        completion(choice({"content": "ok"}), id=7, created="now", model=None),
        completion(choice({"content": "ok"}), usage="many"),
        completion(choice({"content": "ok"}), usage={"prompt_tokens": None, "completion_tokens": "2"}),
        completion(choice({"content": "ok", "tool_calls": {}})),
        completion(choice({"content": "ok", "annotations": 5})),
        completion(choice({"content": "ok"}), error=None),
    ],
)
def test_a_field_of_unexpected_type_does_not_fail_the_answer(bench: Bench, answer: dict[str, Any]) -> None:
    for _ in range(3):
        # More often than the circuit breaker bears.
        heard = bench.chat(bench.gpt, plain(answer))
        assert (heard.status, heard.json, heard.record.error) == (200, answer, None)
    translated = bench.messages(bench.gpt, plain(answer))
    assert translated.json["content"] == [{"type": "text", "text": "ok"}]
    assert heard.record.output.text == "ok"


@pytest.mark.parametrize(
    "wire",
    [
        WHOLE.replace(b"\n", b"\r\n"),
        WHOLE.replace(b"\n", b"\r") + b":",
        b"\xef\xbb\xbf" + WHOLE,
        b": processing\n\n" + WHOLE,
        WHOLE.replace(b"[DONE]", b"[DONE] "),
        WHOLE + events(b"[DONE]"),
        WHOLE.removesuffix(b"\n\n"),
        b"data:\n\n" + WHOLE,
        events(START, OK, STOP, LAST),
        events(START, OK, STOP) + events(LAST | {"choices": None}, b"[DONE]"),
        events(LAST | {"usage": None}, START, OK, STOP, LAST, b"[DONE]"),
        events(START, OK) + events({"type": "ping"}, name="ping") + events(STOP, LAST, b"[DONE]"),
        events(START, delta({"content": "ok"}, logprobs=[]), STOP, LAST, b"[DONE]"),
        events(START, delta({"content": "ok"}, index=None), STOP, LAST, b"[DONE]"),
        events(START, OK, delta({}, 1), LAST, b"[DONE]"),
        events(START, OK, STOP | {"usage": {"prompt_tokens": None}}, LAST, b"[DONE]"),
        events(START, OK, STOP, LAST | {"usage": {"prompt_tokens": 10, "completion_tokens": 2, "x": []}}, b"[DONE]"),
    ],
)
def test_streams_of_any_framing_are_complete(bench: Bench, wire: bytes) -> None:
    heard = bench.chat(bench.gpt, raw.stream(wire), stream=True, stream_options={"include_usage": True})
    assert (heard.status, heard.text, heard.record.error) == (200, "ok", None)
    assert heard.body.endswith(b"data: [DONE]\n\n")
    assert all(isinstance(event["choices"], list) for event in heard.events)
    assert heard.record.usage is not None
    assert (heard.record.usage.input_uncached, heard.record.usage.output) == (10, 2)
    bytewise = bench.chat(bench.gpt, raw.stream(*(wire[n : n + 1] for n in range(len(wire)))), stream=True)
    assert (bytewise.text, bytewise.record.error) == ("ok", None)
    translated = bench.messages(bench.gpt, raw.stream(wire), stream=True)
    assert translated.blocks == [{"type": "text", "text": "ok", "json": ""}]
    assert translated.event("message_delta")["usage"]["output_tokens"] == 2


@pytest.mark.parametrize(
    "said",
    [
        {"reasoning_content": "hm"},
        {"reasoning": "hm"},
        {"refusal": "no"},
        {"audio": {"data": "aGk="}},
        {"function_call": {"name": "f", "arguments": ""}},
        {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}]},
        {"something_new": "x"},
    ],
)
def test_the_first_delta_of_any_kind_begins_the_answer(bench: Bench, said: dict[str, Any]) -> None:
    """It satisfies the first-token limit of 0.6 s and reaches the client at once."""
    play = raw.stream(events(START, delta(said)), 0.9, events(delta({"content": "x"}), STOP, b"[DONE]"))
    heard = bench.chat(bench.gpt, play, stream=True)
    assert (heard.status, heard.record.error) == (200, None)
    assert heard.parts[0][0] < 0.6


def test_keep_alives_reach_both_clients(bench: Bench) -> None:
    play = raw.stream(events(START, OK), b": wait\n\n", 0.05, b": wait\n\n", events(STOP, LAST, b"[DONE]"))
    assert b"\n: " in bench.chat(bench.gpt, play, stream=True).body
    heard = bench.messages(bench.gpt, play, stream=True)
    assert [event["type"] for event in heard.events].count("ping") == 2


def test_an_error_in_a_stream_keeps_its_text(bench: Bench) -> None:
    for error in (
        events({"message": "backend gone", "code": 500}, name="error"),
        events({"error": {"message": "backend gone"}}),
        events({"error": "backend gone"}),
        events(b"backend gone", name="error"),
        events(delta({"content": ""}, "error") | {"error": {"message": "backend gone"}}),
    ):
        heard = bench.chat(bench.gpt, raw.stream(events(START, OK), error), stream=True)
        assert "backend gone" in (heard.record.error or "")
        assert b"backend gone" in heard.body
        assert b"[DONE]" not in heard.body
        assert all("choices" in event or "error" in event for event in heard.events)
        # Two such in a row would open the circuit.
        assert bench.chat(bench.gpt, raw.stream(WHOLE), stream=True).text == "ok"


# ------------------------------------------------------------------------------------- tool calls, translated


@pytest.mark.parametrize(
    "play",
    [
        calls_of(part('{"a":1}', id="x", name="f"), part('{"a":2}', id="y", name="f")),
        calls_of(part('{"a":1}', index=0, id="x", name="f"), part('{"a":2}', index=0, id="y", name="f")),
        calls_of(part('{"a":1}', index=0, name="f"), part('{"a":2}', index=0, name="f")),
        calls_of(
            part("", index=0, id="x", name="f"),
            part("", index=1, id="y", name="f"),
            part('{"a"', index=0),
            part('{"a":', index=1),
            part(":1}", index=0),
            part("2}", index=1),
        ),
        calls_of(
            part('{"a"', index=0, id="x", name="f"),
            part(":1}", index=0, id="x", name="f"),
            part('{"a":2', index=1, id="y", name="f"),
            part("}", index=1, id="y", name="f"),
        ),
    ],
)
def test_tool_calls_with_any_ids_become_separate_blocks(bench: Bench, play: Play) -> None:
    heard = bench.messages(bench.gpt, play, stream=True)
    assert [msgspec.json.decode(block["json"]) for block in heard.blocks] == [{"a": 1}, {"a": 2}]
    assert [block["name"] for block in heard.blocks] == ["f", "f"]
    assert len({block["id"] for block in heard.blocks}) == 2
    logged = heard.record.output.tool_calls or []
    assert [call["function"] for call in logged] == [
        {"name": "f", "arguments": '{"a":1}'},
        {"name": "f", "arguments": '{"a":2}'},
    ]
    assert heard.event("message_delta")["delta"]["stop_reason"] == "tool_use"


def test_a_call_sets_the_stop_reason(bench: Bench) -> None:
    call = {"function": {"name": "f", "arguments": {"a": 1}}}
    heard = bench.messages(bench.gpt, plain(completion(choice({"content": None, "tool_calls": [call]}))))
    (block,) = heard.json["content"]
    assert (block["input"], block["name"], heard.json["stop_reason"]) == ({"a": 1}, "f", "tool_use")
    assert block["id"]


# ------------------------------------------------------------------------------------------------ Anthropic's side


def message_stream(first: dict[str, Any], last: dict[str, Any], *between: dict[str, Any]) -> bytes:
    return named(
        {"type": "message_start", "message": HEAD | {"usage": first}},
        *between,
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "ok"}},
        {"type": "ping"},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": last},
        {"type": "message_stop"},
    )


@pytest.mark.parametrize(
    "answer",
    [
        message({"type": "text", "text": "ok"}, id=7),
        message({"type": "text", "text": "ok"}, usage={"input_tokens": 1.0, "output_tokens": None}),
        message({"type": "text", "text": "ok"}, usage=None),
        message({"type": "something_new", "x": 1}, {"type": "text", "text": "ok", "citations": None}),
        message(content="ok"),
    ],
)
def test_an_unusual_message_is_still_an_answer(bench: Bench, answer: dict[str, Any]) -> None:
    heard = bench.messages(bench.claude, plain(answer))
    assert (heard.status, heard.json, heard.record.output.text) == (200, answer, "ok")
    assert bench.chat(bench.claude, plain(answer)).json["choices"][0]["message"]["content"] == "ok"


@pytest.mark.parametrize(
    "first, last",
    [
        ({"input_tokens": 1200, "output_tokens": 1}, {"input_tokens": 0, "output_tokens": 3}),
        ({"input_tokens": 0, "output_tokens": 0}, {"input_tokens": 1200, "output_tokens": 3}),
        ({"input_tokens": 1200}, {"output_tokens": 3}),
        ({"input_tokens": 1200, "cache_read_input_tokens": None}, {"output_tokens": 3, "input_tokens": None}),
    ],
)
def test_a_later_zero_does_not_erase_usage(bench: Bench, first: dict[str, Any], last: dict[str, Any]) -> None:
    heard = bench.messages(bench.claude, raw.stream(message_stream(first, last)), stream=True)
    assert heard.record.usage is not None
    assert (heard.record.usage.input_uncached, heard.record.usage.output) == (1200, 3)
    assert heard.event("ping")


def test_fees_besides_tokens_are_included_in_the_cost(bench: Bench) -> None:
    hour = {"input_tokens": 0, "cache_creation_input_tokens": 1_000_000, "output_tokens": 1}
    hour |= {"cache_creation": {"ephemeral_1h_input_tokens": 1_000_000}}
    kept = bench.messages(bench.claude, plain(message({"type": "text", "text": "ok"}, usage=hour)))
    # claude-haiku-4-5: 2 USD for a million tokens kept for an hour, 10 USD for a thousand searches.
    assert kept.record.cost_usd == pytest.approx(2.0, rel=1e-3)
    searches = {"input_tokens": 1, "output_tokens": 1, "server_tool_use": {"web_search_requests": 5}}
    searched = bench.messages(bench.claude, plain(message({"type": "text", "text": "ok"}, usage=searches)))
    assert searched.record.cost_usd == pytest.approx(0.05, rel=1e-2)


def test_thinking_and_reasoning_are_translated_both_ways(bench: Bench) -> None:
    said = choice({"content": "42", "reasoning_content": "because"})
    heard = bench.messages(bench.gpt, plain(completion(said)))
    assert [block["type"] for block in heard.json["content"]] == ["thinking", "text"]
    streamed = bench.messages(
        bench.gpt,
        raw.stream(events(START, delta({"reasoning_content": "be"}), delta({"reasoning_content": "cause"}), OK, STOP)),
        stream=True,
    )
    assert [block["type"] for block in streamed.blocks] == ["thinking", "text"]
    assert streamed.blocks[0]["thinking"] == "because"
    thought = {"type": "thinking", "thinking": "because", "signature": "s"}
    back = bench.chat(bench.claude, plain(message(thought, {"type": "text", "text": "42"})))
    assert back.json["choices"][0]["message"]["reasoning_content"] == "because"


def test_a_refusal_in_a_stream_is_text_with_its_stop_reason(bench: Bench) -> None:
    play = raw.stream(events(START, delta({"refusal": "I can"}), delta({"refusal": "not"}), STOP, b"[DONE]"))
    heard = bench.messages(bench.gpt, play, stream=True)
    assert heard.blocks[0]["text"] == "I cannot"
    assert heard.event("message_delta")["delta"]["stop_reason"] == "refusal"


def test_the_start_of_a_translated_stream_estimates_the_prompt(bench: Bench) -> None:
    heard = bench.messages(
        bench.gpt, raw.stream(WHOLE), stream=True, messages=[{"role": "user", "content": "word " * 400}]
    )
    assert 300 < heard.event("message_start")["message"]["usage"]["input_tokens"] < 800
    assert heard.event("message_delta")["usage"]["input_tokens"] == 10


# -------------------------------------------------------------------------------------------- streams or not


def test_a_complete_answer_becomes_a_stream_for_a_streaming_client(bench: Bench) -> None:
    answer = plain(completion(choice({"content": "ok"})))
    heard = bench.chat(bench.gpt, answer, stream=True)
    assert (heard.status, heard.text, heard.body.endswith(b"data: [DONE]\n\n")) == (200, "ok", True)
    assert bench.messages(bench.gpt, answer, stream=True).blocks[0]["text"] == "ok"
    assert bench.chat(bench.claude, plain(message({"type": "text", "text": "ok"})), stream=True).text == "ok"


def test_an_error_keeps_its_text_for_a_streaming_client(bench: Bench) -> None:
    heard = bench.chat(bench.gpt, plain({"error": {"message": "backend gone"}}), stream=True)
    assert heard.status >= 500
    assert "backend gone" in (heard.record.error or "")
    bench.chat(bench.gpt, raw.stream(WHOLE), stream=True)


def test_an_unrequested_stream_becomes_one_answer(bench: Bench) -> None:
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}
    wire = events(START, delta({"reasoning_content": "hm"}), OK, delta({"tool_calls": [call]}), STOP, LAST, b"[DONE]")
    heard = bench.chat(bench.gpt, raw.stream(wire))
    (one,) = heard.json["choices"]
    assert (one["message"]["content"], one["message"]["reasoning_content"], one["finish_reason"]) == (
        "ok",
        "hm",
        "stop",
    )
    assert one["message"]["tool_calls"][0]["function"]["name"] == "f"
    assert heard.json["usage"] == USAGE


def test_streams_disable_proxy_buffering(bench: Bench) -> None:
    for play in (raw.stream(WHOLE), plain(completion(choice({"content": "ok"})))):
        heard = bench.chat(bench.gpt, play, stream=True)
        assert (heard.headers["x-accel-buffering"], heard.headers["cache-control"]) == ("no", "no-cache")


def test_an_abandoned_stream_is_charged_by_an_estimate(bench: Bench) -> None:
    deltas = events(*(delta({"content": "word " * 20}) for _ in range(5)))
    bench.gpt.play = raw.stream(events(START), deltas, 5.0, events(STOP, LAST, b"[DONE]"))
    records = len(bench.router.log)
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "x" * 4000}]}
    headers = {"x-fasttier-call-site": "to.gpt"}
    with httpx.stream("POST", f"{bench.router.base_url}/chat/completions", json=body, headers=headers) as response:
        next(response.iter_raw())
    deadline = time.monotonic() + 5
    while len(bench.router.log) == records and time.monotonic() < deadline:
        time.sleep(0.01)
    record = bench.router.log[-1]
    assert record.status == 499
    assert record.usage is not None
    assert record.usage.estimated
    # 1,000 for the text, 7 for the form of a chat.
    assert (record.usage.input_uncached, record.usage.output) == (1007, 125)
    assert record.cost_usd == pytest.approx((1007 * 0.15 + 125 * 0.60) / 1e6)
    assert (record.price_source or "").endswith("estimated usage")


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/octet-stream"])
def test_a_stream_is_recognised_by_its_content(bench: Bench, kind: str) -> None:
    play = Play((WHOLE[:30], 0.05, WHOLE[30:]), kind)
    assert bench.chat(bench.gpt, play, stream=True).text == "ok"
    whole = Play((b" ", msgspec.json.encode(completion(choice({"content": "ok"})))), kind)
    assert bench.chat(bench.gpt, whole, stream=True).text == "ok"


def test_invalid_utf_8_does_not_fail_an_answer(bench: Bench) -> None:
    body = msgspec.json.encode(completion(choice({"content": "ok"}), model="MODEL")).replace(b"MODEL", b"\xff")
    heard = bench.chat(bench.gpt, Play((body,), "application/json"))
    assert (heard.status, heard.json["choices"][0]["message"]["content"]) == (200, "ok")
