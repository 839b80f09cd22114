"""Forced function calls as answers."""

import json

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
        ([{"name": "Order", "parameters": SCHEMA}], {"name": "Order"}),
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
    forced = forced_calls.of([CALL], tools, choice)
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
    assert forced_calls.of(calls, tools, choice) is None  # type: ignore[arg-type]
