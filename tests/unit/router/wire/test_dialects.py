"""All pairs of dialects: every request and answer is parsed or refused, without a crash."""

import contextlib
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.attempt import payload_of
from router.request import BadRequest, ChatRequest
from router.target import Target
from router.wire import anthropic, anthropic_answers, chat_answers, dialects, openai
from router.wire.protocol import Unreadable
from tests.fakes.growth import assert_linear
from traffic.tiers import Endpoint

CLAUDE = Target(Endpoint(name="claude", kind="anthropic", base_url="https://a.example.com", model="c"), 2)
GPT = Target(Endpoint(name="gpt", kind="openai", base_url="https://b.example.com/v1", model="g"), 2)
BEDROCK = Target(Endpoint(name="aws", kind="bedrock", base_url="https://b.us-east-1.amazonaws.com", model="b"), 2)
CHAT: dict[str, Any] = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}
ASKED = {
    "openai": CHAT,
    "anthropic": CHAT,
    "responses": {"model": "m", "input": "x"},
    "completions": {"prompt": "x"},
    "embeddings": {"input": "x"},
}

CHATS = ("openai", "anthropic", "responses")


def parsed(dialect: str, more: Any = None) -> ChatRequest:
    return dialects.CLIENTS[dialect].parse(json.dumps(ASKED[dialect] | (more or {})).encode(), {})


@pytest.mark.parametrize(
    "client, target, module",
    [
        ("openai", GPT, openai),
        ("openai", CLAUDE, chat_answers),
        ("anthropic", GPT, anthropic_answers),
        ("anthropic", CLAUDE, anthropic),
    ],
)
def test_each_pair_of_dialects_has_a_module(client: str, target: Target, module: Any) -> None:
    request = parsed(client)
    assert dialects.of(request, target.endpoint) is module
    assert dialects.untranslatable(request, target) is None


KEYS = st.sampled_from(
    "type text role content source id name input function arguments tool_calls image_url url delta choices message "
    "usage index finish_reason stop_reason content_block partial_json prompt_tokens input_tokens error refusal model "
    "data messages system tools tool_choice metadata output_config thinking stop response_format prompt stream".split()
)
LEAVES = st.none() | st.booleans() | st.integers(-2, 3) | st.text(max_size=3) | st.sampled_from(["text", "tool_use"])
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5))
EVENTS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            "message_start content_block_start content_block_delta message_delta message_stop".split()
        )
    },
    optional={"index": st.integers(0, 2), "message": JSON, "content_block": JSON, "delta": JSON},
)
CHOICES = st.fixed_dictionaries({"choices": st.lists(st.fixed_dictionaries({"delta": JSON, "message": JSON}))})
TURNS = st.lists(st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "tool"]), "content": JSON}))


@settings(max_examples=40)
@given(st.sampled_from(sorted(dialects.CLIENTS)), st.dictionaries(KEYS, JSON, max_size=4), JSON | TURNS)
def test_every_request_is_parsed_or_refused(client: str, more: dict[str, Any], messages: Any) -> None:
    try:
        request = parsed(client, more | {"messages": messages})
    except BadRequest:
        return
    for target in (GPT, CLAUDE) if client in CHATS else (GPT,):
        if dialects.untranslatable(request, target) is None:
            assert dialects.of(request, target.endpoint).payload(request, target, stream=request.stream)


@settings(max_examples=40)
@given(st.sampled_from(sorted(dialects.CLIENTS)), JSON | CHOICES, st.lists(EVENTS | CHOICES | JSON, max_size=5))
def test_every_answer_is_parsed_or_unreadable(client: str, body: Any, events: list[Any]) -> None:
    request = parsed(client)
    for target in (GPT, CLAUDE) if client in CHATS else (GPT,):
        spoken = dialects.of(request, target.endpoint)
        stream = spoken.stream(request, target)
        for attempt in (
            lambda spoken=spoken, target=target: spoken.read(json.dumps(body).encode(), request, target),
            lambda stream=stream: [stream.feed(b"data: %b\n\n" % json.dumps(event).encode()) for event in events],
            stream.end,
        ):
            with contextlib.suppress(Unreadable):
                attempt()
        assert stream.output is not None


ORDERED = Target(msgspec.structs.replace(CLAUDE.endpoint, turn_rules=("assistant_after_tool",)), 2)
CALL = {"id": ["c"], "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLED = [*CHAT["messages"], {"role": "assistant", "content": None, "tool_calls": [CALL]}]


@pytest.mark.parametrize(
    "client, target, more",
    [
        ("openai", CLAUDE, {"temperature": 0.5, "top_p": []}),
        ("openai", CLAUDE, {"max_tokens": 0}),
        ("openai", CLAUDE, {"messages": CALLED}),
        ("openai", BEDROCK, {"messages": CALLED}),
        ("anthropic", ORDERED, {"system": "s", "messages": []}),
    ],
)
def test_a_malformed_request_is_refused_by_name_or_sent_for_the_endpoint_to_judge(
    client: str, target: Target, more: dict[str, Any]
) -> None:
    request = parsed(client, more)
    problem = dialects.untranslatable(request, target)
    assert (problem is None) is ("messages" not in more or client == "anthropic")
    if problem is None:
        assert payload_of(request, target)
    assert dialects.left_out(request, target) is not None


PDF = {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}
IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,aGk="}
SCHEMA = {"type": "object", "properties": {}}


def functions(count: int) -> list[dict[str, Any]]:
    return [{"type": "function", "name": f"f{n}", "parameters": SCHEMA} for n in range(count)]


def files(count: int) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "file", "file": PDF}] * count}]


@pytest.mark.parametrize(
    "client, target, more",
    [
        ("openai", CLAUDE, lambda size: {"tools": functions(size)}),
        ("openai", BEDROCK, lambda size: {"messages": files(size)}),
        ("anthropic", CLAUDE, lambda size: {"tools": [{"name": f"f{n}", "input_schema": SCHEMA} for n in range(size)]}),
        (
            "responses",
            GPT,
            lambda size: {
                "tools": functions(size),
                "tool_choice": {"type": "allowed_tools", "tools": functions(size)},
            },
        ),
        (
            "responses",
            GPT,
            lambda size: {
                "tools": functions(size),
                "input": [{"type": "additional_tools", "tools": functions(size)}, *CHAT["messages"]],
            },
        ),
        (
            "responses",
            GPT,
            lambda size: {"input": [{"type": "function_call_output", "call_id": "c", "output": [IMAGE] * size}]},
        ),
    ],
    ids=["tools", "documents", "tools of messages", "allowed tools", "tools in the input", "images"],
)
def test_many_parts_are_translated_in_linear_time(
    client: str, target: Target, more: Callable[[int], dict[str, Any]]
) -> None:
    def translate(body: dict[str, Any]) -> None:
        request = parsed(client, body)
        assert dialects.untranslatable(request, target) is None
        dialects.of(request, target.endpoint).payload(request, target, stream=False)

    assert_linear(lambda size: partial(translate, more(size)), 3_200)
