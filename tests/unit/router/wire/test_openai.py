"""OpenAI's dialect: the body for an endpoint, and what answers and streams say."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.deployed import Prepared
from router.request import ChatRequest, parse
from router.target import Target
from router.wire import openai
from router.wire.openai import Assembly, UsageSent
from router.wire.sse import StreamReader
from traffic.callsites import Checks
from traffic.deployments import Deployment
from traffic.record import Usage
from traffic.tiers import Endpoint

HOSTED = Endpoint(name="h", kind="openai", base_url="https://api.example.com/v1", model="big")
OWN = Endpoint(name="a@1", kind="vllm", base_url="http://127.0.0.1:1/v1", model="a@1")
PRUNED = [{"role": "user", "content": "pruned"}]
ADAPTER = Target(
    OWN,
    1,
    Prepared(
        deployment=Deployment(call_site="s", adapter="a@1", endpoint=OWN, since=datetime(2026, 11, 23, tzinfo=UTC)),
        messages=PRUNED,
        template="00000000",
        max_tokens=20,
        checks=Checks(),
        threshold=None,
    ),
)


def request(**body: Any) -> ChatRequest:
    return parse(msgspec.json.encode({"messages": [{"role": "user", "content": "hello"}]} | body), {})


def body_for(target: Target, *, stream: bool = False, **body: Any) -> dict[str, Any]:
    tree: dict[str, Any] = msgspec.json.decode(openai.payload(request(**body), target, stream=stream))
    return tree


def test_a_hosted_model_gets_what_the_client_sent_under_its_own_model_name() -> None:
    sent = {"model": "x", "seed": 1, "tools": [{"type": "function"}], "n": 3, "user": "u", "logprobs": True}
    assert body_for(Target(HOSTED, 2), **sent) == {
        "messages": [{"role": "user", "content": "hello"}],
        **sent,
        "model": "big",
    }


def test_metadata_is_ours_unless_the_provider_shall_store_it() -> None:
    assert "metadata" not in body_for(Target(HOSTED, 2), metadata={"plan": "free"})
    assert "metadata" in body_for(Target(HOSTED, 2), metadata={"plan": "free"}, store=True)
    assert not {"metadata", "store", "user"} & body_for(ADAPTER, metadata={}, store=True, user="u").keys()


def test_an_adapter_is_asked_as_it_was_trained_and_evaluated() -> None:
    body = body_for(ADAPTER, model="x", max_tokens=500, top_logprobs=2)
    assert body == {
        "model": "a@1",
        "messages": PRUNED,
        "max_tokens": 20,
        "temperature": 0,
        "logprobs": True,
        "top_logprobs": openai.TOP_LOGPROBS,
    }
    assert body_for(ADAPTER, temperature=0.7)["temperature"] == 0.7


@pytest.mark.parametrize(
    "sent, expected",
    [
        ({}, {"max_completion_tokens": 30}),
        ({"max_tokens": 10}, {"max_tokens": 10}),
        ({"max_tokens": 99}, {"max_tokens": 30}),
        ({"max_completion_tokens": 99}, {"max_completion_tokens": 30}),
    ],
)
def test_a_cap_lowers_the_clients_and_never_raises_it(sent: dict[str, int], expected: dict[str, int]) -> None:
    body = body_for(Target(HOSTED, 2, None, 30), **sent)
    assert {key: value for key, value in body.items() if key.startswith("max")} == expected


def test_streams_are_asked_for_with_their_usage() -> None:
    body = body_for(Target(HOSTED, 2), stream=True, stream_options={"include_obfuscation": False})
    assert body["stream_options"] == {"include_obfuscation": False, "include_usage": True}
    judged = body_for(ADAPTER, stream_options={"include_usage": True})
    assert not {"stream", "stream_options"} & judged.keys()


def test_cached_tokens_are_counted_once() -> None:
    sent = msgspec.json.decode(
        b'{"prompt_tokens": 100, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 64},'
        b' "completion_tokens_details": {"reasoning_tokens": 5}}',
        type=UsageSent,
    )
    assert sent.normalised() == Usage(input_uncached=36, cache_read=64, output=20, reasoning=5)
    nulls = b'{"prompt_tokens": 1, "prompt_tokens_details": null, "completion_tokens_details": {}}'
    assert msgspec.json.decode(nulls, type=UsageSent).normalised() == Usage(input_uncached=1)


EVENTS = st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1), max_size=8)


@given(EVENTS, st.lists(st.integers(1, 40)), st.sampled_from([b"\n", b"\r\n"]))
def test_events_are_the_same_however_the_network_cuts_them(events: list[str], cuts: list[int], end: bytes) -> None:
    wire = b": hello" + end * 2 + b"".join(b"data: " + text.encode() + end * 2 for text in events)
    reader, seen, at = StreamReader(), [], 0
    for cut in [*cuts, len(wire)]:
        seen += list(reader.feed(wire[at : at + cut]))
        at += cut
    assert seen == [text.encode().lstrip(b" ") for text in events]


def chunk(**choice: Any) -> openai.Chunk:
    return openai.decode_chunk(msgspec.json.encode({"choices": [choice]}))


def test_a_stream_adds_up_to_text_tool_calls_and_finish_reason() -> None:
    assembly = Assembly()
    assembly.add(chunk(delta={"role": "assistant", "content": ""}))
    assert not assembly.begun
    call = {"index": 0, "id": "c1", "function": {"name": "find", "arguments": ""}}
    assembly.add(chunk(delta={"content": "on"}))
    assembly.add(chunk(delta={"content": "e", "tool_calls": [call]}))
    assembly.add(chunk(delta={"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]}))
    assembly.add(chunk(delta={"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]}))
    assembly.add(chunk(index=1, delta={"content": "another choice"}, finish_reason="length"))
    assembly.add(chunk(delta={}, finish_reason="tool_calls"))
    assert assembly.begun
    assert (assembly.output.text, assembly.output.finish_reason) == ("one", "tool_calls")
    assert assembly.output.tool_calls == [
        {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"a":1}'}}
    ]


@given(st.text(min_size=1), st.booleans())
def test_a_whole_answer_streamed_adds_up_to_itself(text: str, usage: bool) -> None:
    calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    message = {"role": "assistant", "content": text, "tool_calls": calls}
    whole = {
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2},
    }
    assembly = Assembly()
    *events, last = StreamReader().feed(openai.as_stream(msgspec.json.encode(whole), usage=usage))
    for data in events:
        assembly.add(openai.decode_chunk(data))
    assert last == b"[DONE]"
    assert assembly.output == openai.decode_completion(msgspec.json.encode(whole)).output
    assert assembly.usage == (Usage(input_uncached=3, output=2) if usage else None)


def test_log_probabilities_in_a_form_of_their_own_are_no_confidence() -> None:
    odd = {"choices": [{"message": {"content": "x"}, "logprobs": {"content": [{"token": "x"}]}}]}
    assert openai.decode_completion(msgspec.json.encode(odd)).signals() is None
