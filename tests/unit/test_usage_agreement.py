"""Router, ingest and evaluation report the same usage for the same answer, complete or streamed."""

import importlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

from pipeline.evaluate.client import answer_of
from pipeline.ingest.bodies.answers import read_answer
from pipeline.ingest.values import Notes
from router.request import parse
from router.target import Target
from router.wire import anthropic, openai
from traffic.record import Usage
from traffic.tiers import Endpoint
from traffic.usage import usage_of

samples = importlib.import_module("tests.unit.traffic.test_usage")

REQUEST = parse(b'{"messages": [{"role": "user", "content": "hello"}]}', {})
TARGET = Target(Endpoint(name="x", kind="openai", base_url="http://127.0.0.1:1/v1", model="m"), 2)
CHOICE = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}

spelled = st.one_of(
    st.builds(lambda spell, u: spell(u), st.sampled_from(samples.WITH_WRITES), samples.usages(writes=True)),
    st.builds(lambda spell, u: spell(u), st.sampled_from(samples.WITHOUT_WRITES), samples.usages(writes=False)),
    st.sampled_from([stated for stated, _ in samples.ODD_CASES]),
    st.sampled_from([None, {}, {"prompt_tokens": 0}, {"x": 1}, {"prompt_tokens": None}, [1], "many"]),
)


def by_ingest(body: Any) -> Usage | None:
    answer = read_answer(body, Notes())
    return answer.usage if answer is not None else None


def by_evaluation(body: dict[str, Any]) -> Usage | None:
    # As the SDK reads an answer: without validation.
    return answer_of("r", ChatCompletion.construct(**body)).usage


def events(*chunks: dict[str, Any]) -> str:
    return "".join(f"event: {c.get('type', 'message')}\ndata: {json.dumps(c)}\n\n" for c in chunks)


def parts_of(counts: dict[str, Any], first: set[str], empty: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two events that together state the counts; each has `empty` for the counts of the other."""
    sides = []
    for side in (first, counts.keys() - first):
        other = {name: empty for name, value in counts.items() if not isinstance(value, dict | list)}
        sides.append(other | {name: counts[name] for name in counts if name in side})
    return sides[0], sides[1]


@given(spelled)
@settings(deadline=None)
def test_usage_of_a_complete_openai_answer_agrees(counts: Any) -> None:
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [CHOICE], "usage": counts}
    usage = openai.read(msgspec.json.encode(body), REQUEST, TARGET).usage
    assert usage == usage_of(counts)
    assert by_ingest(body) == usage
    assert by_evaluation(body) == usage


@given(spelled, st.sampled_from([0, None]), st.data())
@settings(deadline=None)
def test_usage_of_an_openai_stream_agrees(counts: Any, empty: Any, data: st.DataObject) -> None:
    stated = (counts, counts)
    if counts and isinstance(counts, dict):
        stated = parts_of(counts, data.draw(st.sets(st.sampled_from(sorted(counts)))), empty)
    delta = {"index": 0, "delta": {"content": "hi"}, "finish_reason": None}
    last = {"index": 0, "delta": {}, "finish_reason": "stop"}
    text = events({"choices": [delta], "usage": stated[0]}, {"choices": [last]}, {"choices": [], "usage": stated[1]})
    stream = openai.stream(REQUEST, TARGET)
    stream.feed(f"{text}data: [DONE]\n\n".encode())
    stream.end()
    assert by_ingest(text) == stream.usage == usage_of(counts)


@given(samples.usages(writes=True), st.sampled_from([0, None]), st.data())
@settings(deadline=None)
def test_usage_of_complete_and_streamed_anthropic_answers_agrees(usage: Usage, empty: Any, data: st.DataObject) -> None:
    counts = samples.anthropic(usage)
    content = [{"type": "text", "text": "hi"}]
    body = {"id": "1", "type": "message", "role": "assistant", "content": content, "stop_reason": "end_turn"}
    body["usage"] = counts
    assert anthropic.read(msgspec.json.encode(body), REQUEST, TARGET).usage == usage
    assert by_ingest(body) == usage
    stated = parts_of(counts, data.draw(st.sets(st.sampled_from(sorted(counts)))), empty)
    text = events(
        {"type": "message_start", "message": {"id": "1", "model": "m", "content": [], "usage": stated[0]}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": stated[1]},
        {"type": "message_stop"},
    )
    stream = anthropic.stream(REQUEST, TARGET)
    stream.feed(text.encode())
    stream.end()
    assert stream.usage == usage
    assert by_ingest(text) == usage


@pytest.mark.parametrize("kind", ["gemini", "converse"])
def test_ingested_streams_do_not_erase_counts(kind: str) -> None:
    if kind == "gemini":
        part = {"candidates": [{"content": {"parts": [{"text": "hi"}]}, "finishReason": "STOP"}]}
        chunks = [
            part | {"usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 1, "totalTokenCount": 10}},
            part | {"usageMetadata": {"promptTokenCount": 0, "candidatesTokenCount": 4, "totalTokenCount": 13}},
        ]
    else:
        chunks = [
            {"messageStart": {"role": "assistant"}},
            {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "hi"}}},
            {"messageStop": {"stopReason": "end_turn"}},
            {"metadata": {"usage": {"inputTokens": 9, "outputTokens": 4}}},
            {"metadata": {"usage": {"inputTokens": 0, "outputTokens": 4}}},
        ]
    usage = by_ingest(chunks)
    assert usage is not None
    assert (usage.input_total, usage.output) == (9, 4)
