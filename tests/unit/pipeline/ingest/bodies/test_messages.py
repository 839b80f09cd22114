"""Chat messages of other APIs in OpenAI's form."""

from typing import Any

import pytest

from pipeline.ingest.bodies import read_messages, read_prompt
from pipeline.ingest.values import Notes

FUNCTION = {"name": "f", "arguments": "{}"}
CALL = {"id": "c", "type": "function", "function": FUNCTION}


@pytest.mark.parametrize(
    "asking, answering",
    [
        ({"tool_calls": [CALL]}, {"tool_call_id": "c"}),
        ({"toolCalls": [{"type": "FUNCTION", "id": "c", **FUNCTION}]}, {"toolCallId": "c"}),
        ({"tool_calls": [{"tool_id": "c", **FUNCTION}]}, {"tool_call_id": "c"}),
    ],
)
def test_tool_calls_beside_parts_of_other_apis_are_kept(asking: dict[str, Any], answering: dict[str, Any]) -> None:
    said = {"role": "assistant", "content": [{"type": "output_text", "text": "wait"}]}
    result = {"role": "tool", "content": [{"type": "TEXT", "text": "ok"}]}
    assert read_messages([said | asking, result | answering]) == [
        {"role": "assistant", "content": "wait", "tool_calls": [CALL]},
        {"role": "tool", "content": "ok", "tool_call_id": "c"},
    ]


@pytest.mark.parametrize("key", ["parameters", "input_schema", "inputSchema", "schema"])
def test_a_tool_has_its_schema_under_any_usual_name(key: str) -> None:
    prompt = read_prompt({"messages": "hi", "tools": [{"name": "f", key: {"type": "object"}}]}, Notes())
    assert prompt.tools == [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
