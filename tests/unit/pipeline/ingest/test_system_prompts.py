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


def request(system: str) -> bytes:
    return json.dumps([{"role": "system", "content": system}, {"role": "user", "content": "hi"}]).encode()


def first_message(system: str) -> PlainMessage:
    messages = read_plain_messages(request(system))
    assert messages is not None
    return messages[0]


def is_known(system: str) -> bool:
    """Whether two requests with this prompt share its message."""
    return first_message(system) is first_message(system)


def test_a_prompt_replaces_another_with_the_same_beginning() -> None:
    former, latter = (f"{'Sort the post. ' * 30}{name}" for name in ("former", "latter"))
    assert [is_known(former) for _ in range(2)] == [False, True]
    assert [is_known(latter) for _ in range(2)] == [False, True]


def test_a_prompt_in_use_is_kept_among_many_others() -> None:
    used = "Sort the parcels. " * 30
    assert [is_known(used) for _ in range(2)] == [False, True]
    known = first_message(used)
    for number in range(600):
        first_message(f"{number} " * 200)
        assert first_message(used) is known


def test_a_known_system_prompt_is_not_decoded_again() -> None:
    raw = request("Sort the mail. " * 30)
    read_plain_messages(raw)
    read_plain_messages(raw)
    third, fourth = read_plain_messages(raw), read_plain_messages(raw.replace(b'"hi"', b'"you"'))
    assert third is not None
    assert fourth is not None
    assert third[0] is fourth[0]
    assert fourth[1] == PlainMessage(role="user", content="you")
