"""Tools of chat completions, also in the forms of other protocols."""

from typing import Any

import pytest

from router.wire.chat_tools import nested

PARAMETERS = {"type": "object", "properties": {}}
GRAMMAR = {"syntax": "lark", "definition": "start: A"}
NESTED_CUSTOM = {"type": "custom", "custom": {"name": "run", "format": {"type": "text"}}}
NESTED_FUNCTION = {"type": "function", "function": {"name": "f", "parameters": PARAMETERS}}


@pytest.mark.parametrize(
    "tool, expected",
    [
        (NESTED_CUSTOM, NESTED_CUSTOM),
        (NESTED_FUNCTION, NESTED_FUNCTION),
        ({"type": "custom", "name": "run", "format": {"type": "text"}}, NESTED_CUSTOM),
        ({"type": "function", "name": "f", "parameters": PARAMETERS}, NESTED_FUNCTION),
        ({"name": "f", "input_schema": PARAMETERS}, NESTED_FUNCTION),
        (
            {"type": "custom", "name": "run", "format": {"type": "grammar", **GRAMMAR}},
            {"type": "custom", "custom": {"name": "run", "format": {"type": "grammar", "grammar": GRAMMAR}}},
        ),
    ],
)
def test_tools_get_the_form_of_chat_completions(tool: dict[str, Any], expected: dict[str, Any]) -> None:
    assert nested(tool) == expected
