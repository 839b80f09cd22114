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


def test_tool_calls_that_stand_in_parts_and_beside_them_count_once() -> None:
    part = {"type": "tool_use", "id": "c", "name": "f", "input": {}}
    said = {"role": "assistant", "content": [part], "tool_calls": [{"id": "c", "name": "f", "args": {}}]}
    assert read_messages([said]) == [{"role": "assistant", "content": None, "tool_calls": [CALL]}]


def test_of_several_objects_with_parameters_the_same_one_counts_in_every_process() -> None:
    apart = {"kwargs": {"temperature": 3}, "parameters": {"temperature": 2}, "optional_params": {"temperature": 1}}
    assert read_prompt({"messages": "hi", **apart}, Notes()).params.temperature == 1
