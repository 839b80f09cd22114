"""Tolerant parsing of JSON from other servers."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.wire.errors import error_in
from traffic.loose_json import NotJson, index, is_object, json_or, loads, read_json

TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize(
    "data, expected",
    [
        (b'{"a": NaN, "b": 1e999}', {"a": None, "b": None}),
        (b'{"a": "\\ud83d"}', {"a": "\ufffd"}),
        (b'{"a": "\xff"}', {"a": "\ufffd"}),
        (b"\xef\xbb\xbf[1]", [1]),
        (b'{"a": "x\ny\tz"}', {"a": "x\ny\tz"}),
        (b'{"a": 123456789012345678901234567890}', {"a": 123456789012345678901234567890}),
    ],
)
def test_json_that_strict_parsers_reject_is_accepted(data: bytes, expected: Any) -> None:
    assert loads(data) == expected


@given(st.binary(max_size=30) | TREES.map(msgspec.json.encode))
def test_forwarded_json_is_valid_for_every_client(data: bytes) -> None:
    try:
        _, sent = read_json(data)
    except NotJson:
        return
    sent.decode()
    msgspec.json.decode(sent)


@pytest.mark.parametrize(
    "value, expected", [(1, 1), (1.0, 1), ("2", 2), (None, None), (True, None), ("x", None), (1.5, None), ([], None)]
)
def test_indexes_are_read_in_every_format(value: Any, expected: int | None) -> None:
    assert index(value) == expected


@pytest.mark.parametrize(
    "text, whole", [("{}", True), ('{"a": "}"}', True), ('{"a"', False), ("", False), ("[]", False)]
)
def test_a_complete_object_is_distinguished_from_a_fragment(text: str, whole: bool) -> None:
    assert is_object(text) == whole


@pytest.mark.parametrize(
    "tree, text",
    [
        ({"error": {"message": "gone", "code": 500}}, "gone"),
        ({"error": "gone"}, "gone"),
        ({"error": {"code": 500}}, "500"),
        ({"type": "error", "error": {"type": "overloaded_error", "message": ""}}, "overloaded_error"),
        ({"object": "error", "message": "gone"}, "gone"),
        ({"error": {"message": "x"}, "choices": [{"delta": {}, "finish_reason": "error"}]}, "x"),
        ({"error": {"message": "x"}, "choices": [{"delta": {"content": "y"}}]}, None),
        ({"error": None, "choices": []}, None),
        ({"choices": []}, None),
        ([], None),
    ],
)
def test_errors_in_place_of_an_answer_are_recognised(tree: Any, text: str | None) -> None:
    assert error_in(tree) == text


def test_an_event_named_error_is_an_error_regardless_of_its_content() -> None:
    assert error_in({"message": "gone"}, named=True) == "gone"
    assert error_in("gone", named=True) == "gone"
    assert error_in(None, named=True)


@pytest.mark.parametrize("text", ["prose", "", "NaN", "[" * 100_000, '"\ud800"', b'"\xff"'])
def test_text_that_is_not_json_gives_the_default(text: str | bytes) -> None:
    assert json_or(text, "other") == "other"
