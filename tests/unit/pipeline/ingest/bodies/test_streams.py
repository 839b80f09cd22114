"""Lists of pieces: chunks of a stream are assembled, content blocks are not taken for one."""

from typing import Any

import pytest

from pipeline.ingest.bodies import Answer, read_answer
from pipeline.ingest.values import Notes


def read(body: Any) -> Answer:
    answer = read_answer(body, Notes())
    assert answer is not None
    return answer


@pytest.mark.parametrize(
    "call",
    [
        {"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}},
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": '{"a":1}'},
        {"toolUse": {"toolUseId": "1", "name": "f", "input": {"a": 1}}},
        {"functionCall": {"id": "1", "name": "f", "args": {"a": 1}}},
    ],
)
@pytest.mark.parametrize("text", [{"type": "text", "text": "wait"}, {"text": "wait"}])
def test_a_list_of_content_blocks_keeps_its_tool_calls(text: dict[str, Any], call: dict[str, Any]) -> None:
    answer = read([text, call])
    assert answer.text == "wait"
    assert [call["function"] for call in answer.tool_calls or ()] == [{"name": "f", "arguments": '{"a":1}'}]


def test_output_items_of_the_responses_api_keep_their_tool_calls() -> None:
    message = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "wait"}]}
    call = {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"}
    answer = read([{"type": "reasoning", "summary": []}, message, call])
    assert (answer.text, len(answer.tool_calls or ())) == ("wait", 1)


def test_reasoning_among_content_blocks_is_no_part_of_the_answer() -> None:
    assert read([{"type": "reasoning", "text": "hm"}, {"type": "text", "text": "yes"}]).text == "yes"


@pytest.mark.parametrize("other", [{"text": "ye"}, {"text": ""}, {"text": None}])
def test_a_piece_under_two_names_counts_once(other: dict[str, Any]) -> None:
    answer = read([{"completion": "ye", **other}, {"completion": "s", "stop_reason": "stop_sequence"}])
    assert (answer.text, answer.finish_reason) == ("yes", "stop")


@pytest.mark.parametrize(
    "pieces",
    [
        [{"message": {"content": "ye"}, "done": False}, {"message": {"content": "s"}, "done": True}],
        [{"response": "ye", "done": False}, {"response": "s", "done": True}],
        [{"completion": "ye"}, {"completion": "s", "stop_reason": "stop"}],
        [{"candidates": [{"content": {"parts": [{"text": "ye"}]}}]}, {"candidates": [{"content": {"parts": ["s"]}}]}],
    ],
)
def test_an_error_that_is_null_is_none(pieces: list[dict[str, Any]]) -> None:
    answer = read([{**piece, "error": None} for piece in pieces])
    assert (answer.text, answer.error) == ("yes", None)
