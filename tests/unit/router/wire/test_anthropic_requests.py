"""Clients that speak Anthropic's messages: what is understood of them, and how they are answered."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.request import BadRequest, ChatRequest
from router.target import Target
from router.wire import anthropic, anthropic_answers, anthropic_requests, dialects, openai
from router.wire.anthropic_requests import parse
from router.wire.protocol import Unreadable
from traffic.record import Usage
from traffic.tiers import Endpoint

USER = {"role": "user", "content": "hello"}
GPT = Endpoint(name="gpt", kind="openai", base_url="https://api.openai.com/v1", model="gpt-4o-mini")
CLAUDE = Endpoint(name="claude", kind="anthropic", base_url="https://api.anthropic.com", model="claude-haiku-4-5")


def parsed(headers: dict[bytes, bytes] | None = None, **body: Any) -> ChatRequest:
    sent = {"model": "m", "max_tokens": 9, "messages": [USER]} | body
    return parse(msgspec.json.encode(sent), headers or {})


def tree_of(**body: Any) -> dict[str, Any]:
    return {key: msgspec.json.decode(raw) for key, raw in parsed(**body).tree.items()}


# ------------------------------------------------------------------------------------------ requests


def test_a_request_is_a_chat_completion_for_everybody_else() -> None:
    request = parsed(
        {b"x-fasttier-call-site": b"desk", b"anthropic-version": b"2023-06-01", b"x-api-key": b"k"},
        system=[{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}],
        stop_sequences=["x"],
        metadata={"user_id": "u", "plan": "pro"},
        stream=True,
    )
    assert (request.call_site, request.user_id, request.cohort, request.cap) == ("desk", "u", {"plan": "pro"}, 9)
    assert (request.stream, request.untranslated) == (True, ())
    assert request.plain_messages == [{"role": "system", "content": "be brief"}, USER]
    assert request.params.other == {"model": "m", "stop": ["x"]}
    assert request.native_headers == {"anthropic-version": "2023-06-01"}


def test_results_of_tools_come_before_what_the_user_says() -> None:
    use = {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "one"}]}
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    messages = tree_of(
        messages=[
            USER,
            {"role": "assistant", "content": [thought, {"type": "text", "text": "wait"}, use]},
            {"role": "user", "content": [result, {"type": "text", "text": "see"}, image]},
        ]
    )["messages"]
    call = {"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    assert messages[1:] == [
        {"role": "assistant", "content": "wait", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "t1", "content": "one"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "see"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
            ],
        },
    ]


@pytest.mark.parametrize(
    "choice, expected",
    [
        ({"type": "auto"}, {"tool_choice": "auto"}),
        ({"type": "any", "disable_parallel_tool_use": True}, {"tool_choice": "required", "parallel_tool_calls": False}),
        ({"type": "none"}, {"tool_choice": "none"}),
        ({"type": "tool", "name": "f"}, {"tool_choice": {"type": "function", "function": {"name": "f"}}}),
    ],
)
def test_the_choice_of_tools_is_translated(choice: dict[str, Any], expected: dict[str, Any]) -> None:
    tree = tree_of(tools=[{"name": "f", "input_schema": {"type": "object"}}], tool_choice=choice)
    assert {key: tree[key] for key in ("tool_choice", "parallel_tool_calls") if key in tree} == expected


@pytest.mark.parametrize(
    "body, name",
    [
        ({"top_k": 5}, "top_k"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "thinking"),
        ({"tools": [{"type": "web_search_20260318", "name": "web_search"}]}, "tools of type web_search_20260318"),
        ({"output_config": {"effort": "extreme"}}, "output_config.effort extreme"),
        ({"messages": [{"role": "user", "content": [{"type": "document", "source": {}}]}]}, "messages.document"),
        ({"something_new": True}, "something_new"),
        ({"max_tokens": 0}, "max_tokens 0"),
    ],
)
def test_what_has_no_counterpart_is_noted_and_passed_only_to_its_own_kind(body: dict[str, Any], name: str) -> None:
    request = parsed(**body)
    assert request.untranslated == (name,)
    sent = msgspec.json.decode(anthropic.payload(request, Target(CLAUDE, 2), stream=False))
    assert {key: sent[key] for key in body} == body


def test_the_log_and_the_rules_see_what_has_no_counterpart() -> None:
    document = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}}
    search = {"type": "web_search_20260318", "name": "web_search"}
    request = parsed(messages=[{"role": "user", "content": [document]}], tools=[search])
    assert request.plain_messages == [{"role": "user", "content": [document]}]
    assert request.tools == [search]


def test_only_whole_parameters_can_be_left_out_for_an_endpoint() -> None:
    document = [{"role": "user", "content": [{"type": "document"}]}]
    target = Target(msgspec.structs.replace(GPT, leave_out=("thinking", "messages.document")), 2)
    assert dialects.untranslatable(parsed(thinking={"type": "adaptive"}), target) is None
    assert dialects.untranslatable(parsed(messages=document), target) == "messages.document"


def test_thinking_that_is_off_and_cache_marks_are_no_hindrance() -> None:
    mark = {"type": "ephemeral"}
    request = parsed(thinking={"type": "disabled"}, cache_control=mark, service_tier="auto", top_k=None)
    assert request.untranslated == ()


@pytest.mark.parametrize("body", [b"{", b"[]", b"{}", b'{"model": "m", "max_tokens": 1, "messages": [{}]}', b"\xff"])
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        parse(body, {})


def test_the_same_dialect_is_passed_as_it_was_sent_but_for_model_cap_and_tags() -> None:
    cached = [{"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]}]
    body = {"messages": cached, "max_tokens": 90, "top_k": 3, "metadata": {"user_id": "u", "call_site": "c"}}
    request = parsed({b"anthropic-beta": b"new"}, **body)
    sent = msgspec.json.decode(anthropic.payload(request, Target(CLAUDE, 2, None, 50), stream=False))
    assert sent == body | {"model": "claude-haiku-4-5", "max_tokens": 50, "metadata": {"user_id": "u"}}
    found = anthropic.headers("key", request, Target(CLAUDE, 2))
    assert found == {"anthropic-version": anthropic.VERSION, "anthropic-beta": "new", "x-api-key": "key"}


def test_openais_cap_has_its_new_name_and_the_registry_lowers_it() -> None:
    sent = msgspec.json.decode(anthropic_answers.payload(parsed(), Target(GPT, 2, None, 5), stream=True))
    assert sent == {
        "model": "gpt-4o-mini",
        "messages": [USER],
        "max_completion_tokens": 5,
        "stream_options": {"include_usage": True},
    }


# ------------------------------------------------------------------------------------------- answers

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
CALLS = st.lists(st.dictionaries(TEXT, st.integers() | TEXT, max_size=3), max_size=3)


def whole(text: str | None, calls: list[dict[str, Any]], finish_reason: str = "stop") -> bytes:
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if calls:
        message["tool_calls"] = [
            {"id": f"c{n}", "type": "function", "function": {"name": "f", "arguments": msgspec.json.encode(c).decode()}}
            for n, c in enumerate(calls)
        ]
    usage = {"prompt_tokens": 12, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    return msgspec.json.encode({"id": "c", "created": 0, "model": "gpt", "choices": [choice], "usage": usage})


@given(st.none() | TEXT, CALLS, st.lists(st.integers(1, 60)))
def test_a_stream_says_what_the_whole_answer_says_however_the_network_cuts_it(
    text: str | None, calls: list[dict[str, Any]], cuts: list[int]
) -> None:
    body = whole(text, calls)
    request, target = parsed(stream=True), Target(GPT, 2)
    expected = anthropic.message_of(anthropic_answers.read(body, request, target).body)
    wire = openai.as_stream(body, usage=True)
    stream, out, at = anthropic_answers.stream(request, target), b"", 0
    for cut in [*cuts, len(wire)]:
        out += b"".join(stream.feed(wire[at : at + cut]))
        at += cut
    out += stream.end()
    events = anthropic.Events()
    kinds = [event.type for _, event in events.decoded(out)]
    events.check()
    assert events.output == expected.output
    assert events.usage == Usage(input_uncached=8, cache_read=4, output=5)
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert kinds.count("content_block_start") == kinds.count("content_block_stop") == len(expected.content)


@pytest.mark.parametrize(
    "finish_reason, stop_reason",
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("tool_calls", "tool_use"),
        ("content_filter", "refusal"),
        ("something", "something"),
    ],
)
def test_finish_reasons_become_stop_reasons(finish_reason: str, stop_reason: str) -> None:
    answer = anthropic_answers.read(whole("x", [], finish_reason), parsed(), Target(GPT, 2))
    assert msgspec.json.decode(answer.body)["stop_reason"] == stop_reason
    assert answer.output.finish_reason == finish_reason


def test_a_refusal_is_said_as_one() -> None:
    message = {"role": "assistant", "content": None, "refusal": "no"}
    body = msgspec.json.encode({"choices": [{"message": message, "finish_reason": "stop"}]})
    answer = msgspec.json.decode(anthropic_answers.read(body, parsed(), Target(GPT, 2)).body)
    assert (answer["content"], answer["stop_reason"]) == ([{"type": "text", "text": "no"}], "refusal")


def test_a_call_whose_arguments_are_no_object_is_unreadable() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "[1"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    body = msgspec.json.encode({"choices": [{"message": message, "finish_reason": "tool_calls"}]})
    with pytest.raises(Unreadable, match="no JSON object"):
        anthropic_answers.read(body, parsed(), Target(GPT, 2))


def test_errors_of_endpoints_are_passed_or_said_again() -> None:
    own = b'{"type":"error","error":{"type":"invalid_request_error","message":"no"}}'
    other = b'{"error":{"message":"no","type":"x","code":"y"}}'
    assert anthropic_requests.error_of(400, own) == own
    assert anthropic_requests.error_of(400, other) == own
    assert openai.error_of(400, other) == other
    assert msgspec.json.decode(openai.error_of(400, own) or b"")["error"]["message"] == "no"
    assert anthropic_requests.error_of(400, b"<html>") is None is openai.error_of(400, b'{"error": "text"}')


@pytest.mark.parametrize("status, kind", [(404, "not_found_error"), (418, "invalid_request_error"), (502, "api_error")])
def test_errors_have_the_type_of_their_status(status: int, kind: str) -> None:
    assert msgspec.json.decode(anthropic_requests.error(status, "no", "x"))["error"] == {"type": kind, "message": "no"}
