"""Parsing of client requests."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.request import BadRequest, ChatRequest, parse
from traffic.record import Params

NOW = datetime(2026, 11, 23, tzinfo=UTC)
USER = {"role": "user", "content": "hello"}


def parsed(headers: dict[bytes, bytes] | None = None, **body: Any) -> ChatRequest:
    return parse(msgspec.json.encode({"messages": [USER]} | body), headers or {}, now=NOW)


def test_the_call_site_is_read_from_the_header_or_else_from_metadata() -> None:
    header = {b"x-fasttier-call-site": b"a"}
    assert parsed(header, metadata={"call_site": "b", "feature": "c"}).call_site == "a"
    assert parsed(metadata={"call_site": "b", "feature": "c"}).call_site == "b"
    assert parsed(metadata={"feature": "c"}).call_site == "c"
    assert parsed().call_site is None
    assert parsed({b"x-fasttier-call-site": b" "}, metadata=None).call_site is None


def test_user_and_customer_ids_are_read_from_metadata_as_text() -> None:
    request = parsed(
        metadata={"plan": "pro", "language": "de", "team": "x", "user_id": 7, "customer_id": "c", "session_id": True},
        user="u",
    )
    assert request.cohort == {"plan": "pro", "language": "de"}
    assert (request.user_id, request.customer_id, request.session_id) == ("7", "c", None)
    assert parsed(user="u").user_id == "u"


def test_templates_see_the_messages_as_they_were_sent() -> None:
    plain = [{"role": "system", "content": "be brief"}, USER]
    named = [USER | {"name": "ann"}, {"role": "user", "content": [{"type": "text", "text": "hi"}]}]
    for messages in (plain, named):
        request = parsed(messages=messages)
        assert request.template_messages == request.plain_messages == messages
    body = b'{"messages": [{"role": "user", "content": "a", "n": ' + b"9" * 5000 + b"}]}"
    with pytest.raises(msgspec.ValidationError):
        _ = parse(body, {}).template_messages


def test_the_trace_comes_from_the_traceparent_header() -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    assert parsed({b"traceparent": f"00-{trace}-b7ad6b7169203331-01".encode()}).trace_id == trace
    assert parsed({b"traceparent": b"nonsense"}).trace_id is None


def test_parameters_are_kept_for_the_log_as_they_were_sent() -> None:
    request = parsed(
        model="m", max_tokens=9, max_completion_tokens=7, temperature=0.5, stream=True, seed=3, stop=["x"], metadata={}
    )
    assert request.params == Params(
        max_tokens=7,
        temperature=0.5,
        stream=True,
        other={"seed": 3, "stop": ["x"], "model": "m"},
    )


def test_null_parameters_count_as_absent() -> None:
    nulls = dict.fromkeys(("model", "tools", "max_tokens", "temperature", "stream", "stream_options", "n", "user"))
    request = parsed(**nulls)
    assert (request.stream, request.wants_usage, request.tools, request.cap) == (False, False, None, None)


@pytest.mark.parametrize(
    "data, says",
    [
        (b"", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[]", "not a chat completion request: Expected `object`"),
        (b"{}", "missing required field `messages`"),
        (b'{"messages": []}', "`messages` is empty"),
        (b'{"messages": [{"content": "x"}]}', r"missing required field `role`.*messages\[0\]|messages\[...\]"),
        (b'{"messages": [{"role": "user"}], "n": "two"}', r"\$\.n"),
    ],
)
def test_an_invalid_chat_request_is_refused_with_the_location(data: bytes, says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        parse(data, {})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.binary()
    | st.dictionaries(st.text() | st.sampled_from(["messages", "tools", "n"]), json_values).map(msgspec.json.encode)
)
def test_every_invalid_body_is_refused_the_same_way(data: bytes) -> None:
    try:
        request = parse(data, {})
    except BadRequest:
        return
    assert request.body.messages


@given(st.dictionaries(st.text().filter(lambda key: key != "messages"), json_values, max_size=5))
def test_unknown_keys_are_passed_unchanged(extra: dict[str, Any]) -> None:
    body = {"messages": [USER]} | {f"x_{key}": value for key, value in extra.items()}
    request = parse(msgspec.json.encode(body), {})
    assert {key: msgspec.json.decode(raw) for key, raw in request.tree.items()} == body
