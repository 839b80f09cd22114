"""Text completions and embeddings."""

from typing import Any

import msgspec
import pytest

from router.request import BadRequest
from router.routing import Route, Routes
from router.target import Target
from router.wire.openai_text import COMPLETIONS, EMBEDDINGS, Passed
from router.wire.protocol import Unreadable
from tests.fakes.router import ENVIRON, endpoint, routing
from traffic.callsites import CallSite, Registry
from traffic.record import Usage
from traffic.tiers import Endpoint

GPT = Endpoint(name="gpt", kind="openai", base_url="https://api.openai.com/v1", model="davinci")


@pytest.mark.parametrize(
    "given, texts",
    [("one", ["one"]), (["one", "two"], ["one", "two"]), ([1, 2], ["[1,2]"]), ([[1], [2]], ["[[1],[2]]"])],
)
def test_the_input_is_logged_as_user_messages_and_forwarded_unchanged(given: Any, texts: list[str]) -> None:
    body = {"model": "m", "prompt": given, "echo": True, "metadata": {"call_site": "x"}}
    request = COMPLETIONS.parse(msgspec.json.encode(body), {})
    assert request.call_site == "x"
    assert request.plain_messages == [{"role": "user", "content": text} for text in texts]
    assert request.params.other == {"echo": True, "model": "m"}
    sent = msgspec.json.decode(COMPLETIONS.payload(request, Target(GPT, 2), stream=False))
    assert sent == {"model": "davinci", "prompt": given, "echo": True}


@pytest.mark.parametrize("passed, name", [(COMPLETIONS, "prompt"), (EMBEDDINGS, "input")])
def test_a_request_without_input_is_refused(passed: Passed, name: str) -> None:
    for body in (b"{", b"[]", b"{}", f'{{"{name}": []}}'.encode(), f'{{"{name}": "x", "stream": 3}}'.encode()):
        with pytest.raises(BadRequest):
            passed.parse(body, {})


def test_answers_are_parsed_for_the_log() -> None:
    request, target = COMPLETIONS.parse(b'{"prompt": "x"}', {}), Target(GPT, 2)
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    text = msgspec.json.encode({"choices": [{"text": "hi", "finish_reason": "stop", "logprobs": None}], "usage": usage})
    answer = COMPLETIONS.read(text, request, target)
    assert (answer.output.text, answer.output.finish_reason, answer.body) == ("hi", "stop", text)
    assert answer.usage == Usage(input_uncached=3, output=2)
    vectors = msgspec.json.encode({"data": [{"embedding": [0.1]}], "usage": {"prompt_tokens": 4}})
    assert EMBEDDINGS.read(vectors, request, target).usage == Usage(input_uncached=4)
    for passed in (COMPLETIONS, EMBEDDINGS):
        with pytest.raises(Unreadable):
            passed.read(b'{"error": {}}', request, target)


def test_a_text_stream_is_forwarded_and_assembled() -> None:
    request = COMPLETIONS.parse(b'{"prompt": "x", "stream": true}', {})
    stream = COMPLETIONS.stream(request, Target(GPT, 2))
    chunks = [
        b'{"choices": [{"index": 0, "text": "a"}]}',
        b'{"choices": [{"index": 0, "text": "b", "finish_reason": "length"}]}',
        b'{"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}',
        b"[DONE]",
    ]
    out = [stream.feed(b"data: " + chunk + b"\n\n") for chunk in chunks]
    assert out == [[b"data: " + chunks[0] + b"\n\n"], [b"data: " + chunks[1] + b"\n\n"], [], []]
    assert (stream.output.text, stream.finish_reason, stream.done) == ("ab", "length", True)
    assert stream.usage == Usage(input_uncached=1, output=2)
    assert stream.end() == b"data: [DONE]\n\n"


# ------------------------------------------------------------------------------------- which endpoint

CLAUDE = endpoint("claude", "https://api.anthropic.com", kind="anthropic", model="claude")
FIRST = endpoint("first", "https://a.example.com/v1", model="chat")
VECTORS = endpoint("vectors", "https://b.example.com/v1", model="embed")


def route(model: str | None, *endpoints: dict[str, Any]) -> Route:
    names = [e["name"] for e in endpoints if e["name"] != "vectors"]
    config = routing(endpoints, tiers={1: [], 2: names, 3: names})
    registry = Registry(call_sites=(CallSite(name="x", max_tokens=7),))
    body = {"input": "x", "metadata": {"call_site": "x"}} | ({"model": model} if model else {})
    return Routes(config, registry, ENVIRON).passed_through(EMBEDDINGS.parse(msgspec.json.encode(body), {}))


@pytest.mark.parametrize(
    "model, name, asked_for",
    [
        ("embed", "vectors", "embed"),
        ("text-embedding-3-small", "first", "text-embedding-3-small"),
        ("fasttier", "first", "chat"),
        (None, "first", "chat"),
    ],
)
def test_the_model_names_the_endpoint(model: str | None, name: str, asked_for: str) -> None:
    routed = route(model, CLAUDE, FIRST, VECTORS)
    ((target,),) = routed.levels
    assert (target.endpoint.name, target.model, target.max_tokens) == (name, asked_for, 7)
    assert routed.request_type == "embedding"


@pytest.mark.parametrize("name, rule", [("x.debug", "debug"), ("new.place", "unknown call site")])
def test_refusing_rules_and_strict_call_sites_apply_to_text_completions(name: str, rule: str) -> None:
    routes = Routes(routing([FIRST], unknown_call_sites="refuse"), Registry(), ENVIRON)
    body = msgspec.json.encode({"input": "x", "metadata": {"call_site": name}})
    refused = routes.passed_through(EMBEDDINGS.parse(body, {}))
    assert (refused.levels, refused.verdict.rule, bool(refused.verdict.refuse)) == ((), rule, True)


def test_an_endpoint_without_a_model_gets_the_clients_model() -> None:
    request = COMPLETIONS.parse(b'{"prompt": "x", "model": "m"}', {})
    own = Endpoint(name="own", kind="vllm", base_url="http://127.0.0.1:1/v1")
    assert msgspec.json.decode(COMPLETIONS.payload(request, Target(own, 2), stream=False))["model"] == "m"


def test_without_an_endpoint_of_the_protocol_there_is_no_route() -> None:
    routed = route("embed", CLAUDE)
    assert (routed.levels, routed.untranslatable) == ((), "none supports OpenAI's protocol")
