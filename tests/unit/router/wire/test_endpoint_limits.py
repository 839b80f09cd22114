"""Translated requests respect the limits of the API."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.wire.endpoint_limits import (
    ANTHROPIC,
    OPENAI,
    OWN,
    StopCutter,
    answer_schema,
    fitted_name,
    fitted_names,
    fitted_user,
    function_schema,
    is_strict,
    split_stops,
    tool_schema,
)
from tests.fakes.growth import assert_linear

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200)


@given(st.lists(NAMES, unique=True, max_size=5), st.sampled_from([OPENAI, ANTHROPIC, OWN]))
def test_tool_names_are_shortened_stay_distinct_and_are_restored(names: list[str], limits: Any) -> None:
    sent = [fitted_name(name, limits) for name in names]
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]+", name) and len(name) <= limits.tool_name_chars for name in sent)
    assert len(set(sent)) == len(names)
    originals = fitted_names(names, limits)
    assert [originals.get(name, name) for name in sent] == names
    assert [fitted_name(name, limits) for name in sent] == sent


@given(st.text(max_size=400))
def test_user_ids_are_shortened_and_stay_distinct(user: str) -> None:
    assert len(fitted_user(user, OPENAI)) <= 64
    assert fitted_user(user, OPENAI) == (user if len(user) <= 64 else fitted_user(user, OPENAI))
    assert fitted_user("x" * 300 + user, OPENAI) != fitted_user("y" * 300 + user, OPENAI)


@pytest.mark.parametrize(
    "stop, limits, sent, applied",
    [
        ("x", OPENAI, ["x"], []),
        (list("abcde"), OPENAI, list("abcd"), ["e"]),
        (list("abcde"), OWN, list("abcde"), []),
        (["\n", "x", " \t"], ANTHROPIC, ["x"], ["\n", " \t"]),
        (["x", "", "x", 7, None], ANTHROPIC, ["x"], []),
        (None, ANTHROPIC, [], []),
    ],
)
def test_stop_sequences_beyond_the_endpoints_limit_are_applied_by_the_router(
    stop: Any, limits: Any, sent: list[str], applied: list[str]
) -> None:
    assert split_stops(stop, limits) == (sent, applied)


def test_the_earliest_stop_sequence_wins_across_chunks() -> None:
    cutter = StopCutter(["END", "\n\n"])
    assert [cutter.feed(text) for text in ("one\n", "two E", "N", "D three")] == ["one", "\ntwo ", "", ""]
    assert (cutter.matched, cutter.close()) == ("END", "")
    pending = StopCutter(["END"])
    assert (pending.feed("the EN"), pending.close(), pending.matched) == ("the ", "EN", None)


def test_a_long_stop_sequence_is_looked_for_in_linear_time() -> None:
    def feeding(size: int) -> Callable[[], StopCutter]:
        cutter = StopCutter(["a" * size + "b", " " * size + "b"])

        def feed() -> StopCutter:
            for _ in range(size):
                cutter.feed("aaaa")
            return cutter

        return feed

    cutter = feeding(20_000)()
    assert (len(cutter.feed("b")), cutter.matched) == (0, "a" * 20_000 + "b")
    assert_linear(feeding, 20_000)


@pytest.mark.parametrize(
    "schema, strict",
    [
        ({"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": False}, True),
        ({"type": "object", "properties": {"a": {}, "b": {}}, "required": ["a"], "additionalProperties": False}, False),
        ({"type": "object", "properties": {"a": {}}, "required": ["a"]}, False),
        ({"type": "object"}, False),
        ({"type": "array", "items": {"type": "object", "properties": {}}}, False),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, True),
        ({"allOf": [{"type": "string"}]}, False),
        ({"enum": [{"type": "object"}]}, True),
        ({"$defs": {"x": {"type": "object"}}, "$ref": "#/$defs/x"}, False),
    ],
)
def test_schemas_that_openai_accepts_in_strict_mode(schema: dict[str, Any], strict: bool) -> None:
    assert is_strict(schema) == strict


@pytest.mark.parametrize("schema", [None, {}, {"properties": {"a": {}}}, {"type": "object"}, {"type": None}, []])
def test_parameters_of_tools_get_type_object(schema: Any) -> None:
    assert tool_schema(schema)["type"] == "object"


def test_top_level_alternatives_of_parameters_are_merged_into_properties() -> None:
    fitted = tool_schema({"anyOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]})
    assert (fitted["type"], set(fitted["properties"])) == ("object", {"a", "b"})
    assert not {"anyOf", "oneOf", "allOf"} & fitted.keys()


def test_an_answer_schema_is_closed_and_its_bounds_move_to_the_description() -> None:
    inner = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}, "minimum": {"type": "string"}}}
    fitted = answer_schema({"type": "array", "items": inner, "description": "rows", "maxItems": 3})
    assert "maxItems" not in fitted
    assert "3" in fitted["description"]
    assert fitted["items"]["additionalProperties"] is False
    assert fitted["items"]["properties"]["n"] == {"type": "integer", "description": '{"minimum":1}'}
    # A property may be called like a keyword.
    assert fitted["items"]["properties"]["minimum"] == {"type": "string"}


@pytest.mark.parametrize("schema", [None, {}, {"type": "object"}, {"type": "object", "properties": {"a": {}}}])
def test_parameters_for_openai_have_properties(schema: Any) -> None:
    fitted = function_schema(schema)
    assert fitted["type"] == "object"
    assert isinstance(fitted["properties"], dict)


def test_arrays_for_openai_get_items_and_values_are_not_treated_as_schemas() -> None:
    given = {"properties": {"a": {"type": "array"}, "b": {"enum": [{"type": "array"}]}, "type": {"type": "string"}}}
    fitted = function_schema(given)["properties"]
    assert fitted["a"] == {"type": "array", "items": {}}
    assert (fitted["b"], fitted["type"]) == ({"enum": [{"type": "array"}]}, {"type": "string"})
