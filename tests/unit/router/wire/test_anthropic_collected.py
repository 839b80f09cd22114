"""Unrequested streams of messages."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.wire.anthropic import message_of
from router.wire.anthropic_requests import as_stream
from router.wire.protocol import Unreadable

TEXT = st.text(min_size=1, max_size=12)
RESULT = {"type": "web_search_result", "url": "https://a.example", "title": "A", "encrypted_content": "zz"}
BLOCKS = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, TEXT),
    st.builds(lambda text: {"type": "thinking", "thinking": text, "signature": "c2ln"}, TEXT),
    st.builds(
        lambda kind, given_: {"type": kind, "id": "t1", "name": "f", "input": given_},
        st.sampled_from(["tool_use", "server_tool_use"]),
        st.dictionaries(TEXT, TEXT, max_size=2),
    ),
    st.just({"type": "web_search_tool_result", "tool_use_id": "t1", "content": [RESULT]}),
)


def message(content: list[dict[str, Any]]) -> dict[str, Any]:
    head = {"id": "m", "type": "message", "role": "assistant", "model": "up", "stop_sequence": None}
    return head | {"content": content, "stop_reason": "end_turn", "usage": {"input_tokens": 3, "output_tokens": 2}}


@given(st.lists(BLOCKS, min_size=1, max_size=4))
def test_a_message_is_the_same_after_streaming(content: list[dict[str, Any]]) -> None:
    sent = message(content)
    read, body = message_of(as_stream(json.dumps(sent).encode(), usage=True))
    assert read == json.loads(body) == sent


@given(st.lists(BLOCKS, min_size=1, max_size=3), st.integers(0, 400))
def test_an_interrupted_stream_is_unreadable(content: list[dict[str, Any]], size: int) -> None:
    data = as_stream(json.dumps(message(content)).encode(), usage=True)
    with pytest.raises(Unreadable):
        message_of(data[: min(size, data.index(b"event: message_delta"))])


def test_arguments_that_were_cut_at_the_cap_do_not_fail_the_answer() -> None:
    block = {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": "long"}}
    data = as_stream(json.dumps(message([block]) | {"stop_reason": "max_tokens"}).encode(), usage=True)
    read, _ = message_of(data.replace(rb"\"long\"}", rb"\"lo"))
    assert (read["stop_reason"], read["content"][0]["input"]) == ("max_tokens", {"arguments": '{"a":"lo'})
