"""Ids of tool calls that carry a signature."""

import re

from hypothesis import given
from hypothesis import strategies as st

from router.wire.call_ids import exact_id, fitted_id, with_signature, without_signature
from traffic.tool_calls import ToolCall


@given(signature=st.text(min_size=1), identity=st.from_regex(r"[a-z0-9]{1,20}", fullmatch=True))
def test_a_thinking_signature_is_preserved_in_the_call_id(signature: str, identity: str) -> None:
    try:
        signature.encode()
    except UnicodeEncodeError:
        return
    call = ToolCall(0, identity, "f", extra={"extra_content": {"google": {"thought_signature": signature}}})
    carried = with_signature(call)
    assert re.fullmatch(r"[a-zA-Z0-9_-]+", carried)
    assert without_signature(carried) == (identity, call.extra)


def test_ids_without_a_signature_are_unchanged() -> None:
    assert with_signature(ToolCall(0, "call_1", "f")) == "call_1"
    assert without_signature("call_1") == ("call_1", {})
    assert without_signature("call_1__signed_ä") == ("call_1__signed_ä", {})


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), st.integers(1, 40))
def test_ids_of_an_exact_length_are_letters_and_digits(identity: str, chars: int) -> None:
    shortened = exact_id(identity, chars)
    assert len(shortened) == chars
    assert shortened.isascii()
    assert shortened.isalnum()
    assert exact_id(shortened, chars) == shortened
    assert exact_id(identity, chars) == shortened


def test_equal_long_ids_are_shortened_equally() -> None:
    assert fitted_id("a" * 40, 40) == "a" * 40
    assert len(fitted_id("a" * 41, 40)) == 40
    assert fitted_id("a" * 41, 40) != fitted_id("a" * 42, 40)
    assert fitted_id("a" * 99, None) == "a" * 99
