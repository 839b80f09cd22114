"""Forced function calls as answers."""

import json
from typing import Any

import pytest

from traffic import forced_calls

SCHEMA = {"type": "object", "properties": {"product": {"type": "string"}}}
OPENAI = {"type": "function", "function": {"name": "Order", "parameters": SCHEMA}}
OTHER = {"type": "function", "function": {"name": "Cancel", "parameters": {}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "Order", "arguments": '{"product": "lamp"}'}}


@pytest.mark.parametrize(
    "tools, choice",
    [
        ([OPENAI], {"type": "function", "function": {"name": "Order"}}),
        ([OPENAI, OTHER], {"type": "function", "function": {"name": "Order"}}),
        ([OPENAI], "required"),
        ([{"name": "Order", "input_schema": SCHEMA}], {"type": "tool", "name": "Order"}),
        ([{"name": "Order", "input_schema": SCHEMA}], {"type": "any"}),
        ([OPENAI, OTHER], {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [OPENAI]}}),
        (
            [OPENAI, OTHER],
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "Order"}]},
        ),
    ],
)
def test_arguments_of_a_forced_call_are_the_answer_and_parameters_its_schema(
    tools: list[dict[str, object]], choice: object
) -> None:
    forced = forced_calls.of([CALL], tools, {"tool_choice": choice})
    assert forced is not None
    assert json.loads(forced.arguments) == {"product": "lamp"}
    assert json.loads(forced.response_format)["json_schema"] == {"name": "Order", "schema": SCHEMA}


@pytest.mark.parametrize(
    "calls, tools, choice",
    [
        ([CALL], [OPENAI], "auto"),
        ([CALL], [OPENAI], None),
        ([CALL], [OPENAI, OTHER], "required"),
        ([CALL], [OPENAI, OTHER], {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [OPENAI]}}),
        ([CALL], [OPENAI, OTHER], {"type": "allowed_tools", "mode": "required", "tools": [OPENAI, OTHER]}),
        ([CALL, CALL], [OPENAI], "required"),
        ([CALL], [OTHER], {"type": "function", "function": {"name": "Cancel"}}),
        ([CALL], None, "required"),
        ([], [OPENAI], "required"),
        (None, [OPENAI], "required"),
    ],
)
def test_an_unforced_call_is_not_an_answer(calls: object, tools: object, choice: object) -> None:
    assert forced_calls.of(calls, tools, {"tool_choice": choice}) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("null", [{}, {"tool_choice": None}])
def test_a_choice_in_the_older_parameter_is_read(null: dict[str, None]) -> None:
    tools = [{"name": "Order", "parameters": SCHEMA}]
    assert forced_calls.of([CALL], tools, null | {"function_call": {"name": "Order"}}) is not None
    assert forced_calls.of([CALL], tools, null | {"function_call": "auto"}) is None


def test_a_function_whose_name_is_no_text_is_not_forced() -> None:
    tools = [{"name": ["Order"], "parameters": SCHEMA}, OPENAI]
    assert forced_calls.of([CALL], tools, {"tool_choice": "required"}) is not None


LABEL = {"enum": ["pay", "refuse"]}


@pytest.mark.parametrize(
    "properties",
    [
        {"verdict": LABEL},
        {"verdict": LABEL, "urgent": {"type": "boolean"}, "confidence": {"type": "number"}},
        {"verdict": {"$ref": "#/$defs/Verdict"}, "again": {"anyOf": [LABEL, {"type": "null"}]}},
        {"verdicts": {"type": "array", "items": LABEL}},
    ],
)
def test_arguments_that_are_all_labels_are_a_choice(properties: dict[str, object]) -> None:
    schema = {"type": "object", "properties": properties, "$defs": {"Verdict": LABEL}}
    tools = [{"name": "Order", "parameters": schema}]
    assert forced_calls.chooses(forced_calls.response_format(tools, {"tool_choice": "required"}))


@pytest.mark.parametrize(
    "properties",
    [
        {},
        {"urgent": {"type": "boolean"}},
        {"city": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}},
        {"amount": {"type": "number"}, "currency": {"enum": ["EUR", "USD"]}},
        {"verdict": LABEL, "next": {"$ref": "#/$defs/Loop"}},
        {"verdict": LABEL, "next": {"$ref": "#/$defs/Missing"}},
        {"verdict": LABEL, "next": None},
    ],
)
def test_an_enum_beside_an_open_value_is_no_choice(properties: dict[str, object]) -> None:
    schema = {"type": "object", "properties": properties, "$defs": {"Loop": {"$ref": "#/$defs/Loop"}}}
    tools = [{"name": "Order", "parameters": schema}]
    assert not forced_calls.chooses(forced_calls.response_format(tools, {"tool_choice": "required"}))


def test_definitions_that_refer_to_one_another_are_looked_at_once() -> None:
    names = [f"d{n}" for n in range(40)]
    every = {"anyOf": [{"$ref": f"#/$defs/{name}"} for name in names]}
    schema = {"type": "object", "properties": {"berth": every}, "$defs": dict.fromkeys(names, every)}
    form = {"type": "json_schema", "json_schema": {"name": "f", "schema": schema}}
    assert not forced_calls.chooses(form)


def test_schemas_deep_inside_one_another_are_open() -> None:
    deep: dict[str, Any] = {"enum": ["a", "b"]}
    for _ in range(2000):
        deep = {"type": "array", "items": deep}
    form = {"type": "json_schema", "json_schema": {"name": "f", "schema": {"properties": {"berth": deep}}}}
    assert not forced_calls.chooses(form)
