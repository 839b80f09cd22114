"""Messages with a system prompt seen before are decoded like all others."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ingest.system_prompts import read_plain_messages
from traffic.prompts import PlainMessage, plain_messages

_SYSTEM_PROMPTS = ["Answer briefly. " * 20, "Answer briefly. " * 20 + "{}", 'Say "hi",\n{name}. ' * 40, "short"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(_SYSTEM_PROMPTS),
            st.sampled_from(["system", "developer", "user"]),
            st.lists(
                st.fixed_dictionaries(
                    {"role": st.sampled_from(["user", "system"]), "content": st.text(max_size=9)},
                    optional={"name": st.just("Ann")},
                )
            ),
            st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", ":")]),
            st.integers(-3, 3),
        ),
        min_size=3,
        max_size=9,
    )
)
def test_messages_are_the_same_with_known_system_prompts(requests: list[Any]) -> None:
    for text, role, rest, separators, cut in requests:
        raw = json.dumps([{"role": role, "content": text}, *rest], separators=separators).encode()
        raw = raw[:cut] + b"]" if cut < 0 else raw
        try:
            expected = plain_messages(raw)
        except msgspec.DecodeError:
            with pytest.raises(msgspec.DecodeError):
                read_plain_messages(raw)
        else:
            assert read_plain_messages(raw) == expected


def test_a_known_system_prompt_is_not_decoded_again() -> None:
    raw = json.dumps(
        [{"role": "system", "content": "Sort the mail. " * 30}, {"role": "user", "content": "hi"}]
    ).encode()
    read_plain_messages(raw)
    read_plain_messages(raw)
    third, fourth = read_plain_messages(raw), read_plain_messages(raw.replace(b'"hi"', b'"you"'))
    assert third is not None
    assert fourth is not None
    assert third[0] is fourth[0]
    assert fourth[1] == PlainMessage(role="user", content="you")
