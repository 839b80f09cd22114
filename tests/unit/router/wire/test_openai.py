"""OpenAI's dialect: the body for an endpoint, answers and streams."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.attempt import payload_of
from router.deployed import Prepared
from router.request import ChatRequest, parse
from router.target import Target
from router.wire import openai
from router.wire.protocol import Unreadable
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


def test_a_hosted_model_gets_the_clients_body_with_its_own_model_name() -> None:
    sent = {"model": "x", "seed": 1, "tools": [{"type": "function"}], "n": 3, "user": "u", "logprobs": True}
    assert body_for(Target(HOSTED, 2), **sent) == {
        "messages": [{"role": "user", "content": "hello"}],
        **sent,
        "model": "big",
    }


@pytest.mark.parametrize(
    "kind, said, unlike", [("classifier", True, True), ("classifier", "yes", False), ("vllm", True, False)]
)
def test_only_a_classifier_reports_out_of_distribution_texts(kind: Any, said: Any, unlike: bool) -> None:
    target = msgspec.structs.replace(ADAPTER, endpoint=msgspec.structs.replace(OWN, kind=kind))
    message = {"role": "assistant", "content": "refund"}
    body = {"choices": [{"message": message, "finish_reason": "stop"}], "fasttier": {"unlike_training": said}}
    assert openai.read(msgspec.json.encode(body), request(), target).unlike_training is unlike


def test_metadata_is_sent_only_if_the_provider_is_asked_to_store_it() -> None:
    assert "metadata" not in body_for(Target(HOSTED, 2), metadata={"plan": "free"})
    assert "metadata" in body_for(Target(HOSTED, 2), metadata={"plan": "free"}, store=True)
    assert not {"metadata", "store", "user"} & body_for(ADAPTER, metadata={}, store=True, user="u").keys()


def test_an_adapter_gets_the_prompt_and_parameters_of_training() -> None:
    body = body_for(ADAPTER, model="x", max_tokens=500, top_logprobs=2)
    assert body == {
        "model": "a@1",
        "messages": PRUNED,
        "max_tokens": 20,
        "temperature": 0,
        "logprobs": True,
        "top_logprobs": openai.TOP_LOGPROBS,
    }


def test_sampling_parameters_of_clients_are_not_sent_to_an_adapter() -> None:
    """Its threshold was calibrated on greedy answers."""
    sampled = {"temperature": 0.7, "top_p": 0.9, "top_k": 5, "presence_penalty": 1, "logit_bias": {"1": 5}}
    body = body_for(ADAPTER, **sampled, stop=["x"])
    assert body["temperature"] == 0
    assert not (sampled.keys() - {"temperature"}) & body.keys()
    assert body["stop"] == ["x"]
    consistency = msgspec.structs.replace(ADAPTER, temperature=0.3)
    assert body_for(consistency, temperature=0.9)["temperature"] == 0.3
    assert body_for(Target(HOSTED, 2), temperature=0.7)["temperature"] == 0.7


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


@pytest.mark.parametrize(
    "stated",
    [{"message": "too long", "code": 400, "param": "messages"}, {"message": "too long"}],
)
def test_a_prompt_that_is_too_long_has_openais_code_whatever_the_server_states(stated: dict[str, Any]) -> None:
    body = msgspec.json.encode({"error": stated, "id": "x"})
    sent = msgspec.json.decode(openai.error_of(400, body, "context_length_exceeded") or b"")
    assert sent == {"error": stated | {"code": "context_length_exceeded"}, "id": "x"}
    assert openai.error_of(400, body) == body


def test_streams_are_requested_with_usage() -> None:
    body = body_for(Target(HOSTED, 2), stream=True, stream_options={"include_obfuscation": False})
    assert body["stream_options"] == {"include_obfuscation": False, "include_usage": True}
    judged = body_for(ADAPTER, stream_options={"include_usage": True})
    assert not {"stream", "stream_options"} & judged.keys()


def test_unsupported_parameters_are_not_added() -> None:
    target = Target(msgspec.structs.replace(HOSTED, leave_out=("stream_options", "max_tokens")), 2, None, 50)
    sent = msgspec.json.decode(payload_of(request(stream=True, max_tokens=90), target))
    assert sent.keys() == {"messages", "model", "stream", "max_completion_tokens"}


@given(st.text(min_size=1), st.booleans())
def test_a_complete_answer_is_the_same_after_streaming(text: str, usage: bool) -> None:
    calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    message = {"role": "assistant", "content": text, "tool_calls": calls}
    whole = {
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2},
    }
    body = msgspec.json.encode(whole)
    stream = openai.stream(request(stream=True), Target(HOSTED, 2))
    stream.feed(openai.as_stream(body, usage=usage))
    assert (stream.begun, stream.done) == (True, True)
    assert stream.output == openai.read(body, request(), Target(HOSTED, 2)).output
    assert stream.usage == (Usage(input_uncached=3, output=2) if usage else None)


@pytest.mark.parametrize("content", [None, 7, [1], [{"token": "x"}], [{"logprob": "y"}], {"x": 1}])
def test_log_probabilities_in_an_unknown_format_give_no_confidence(content: Any) -> None:
    assert openai.signals_of(content) is None


def test_an_answer_without_a_choice_states_its_reason() -> None:
    with pytest.raises(Unreadable, match="the model is loading"):
        openai.completion_of(b'{"detail": "the model is loading"}')
