"""Any value at any place of a body is read or refused by name."""

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.ingest.bodies import Unreadable, read_answer, read_prompt
from pipeline.ingest.values import Notes

ODD: list[Any] = [None, 5, True, 1.5, "x", "", [], {}, [5], [None], [[]], [{}], {"a": 1}, {"parts": None}, '{"a": 1}']
ASK = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
USE = {"toolUseId": "1", "name": "f", "input": {}}
MESSAGE = {"role": "assistant", "content": "yes", "tool_calls": [CALL], "refusal": None, "parts": []}
REQUESTS: list[Any] = [
    {"messages": ASK, "tools": [CALL], "response_format": {"type": "text"}, "metadata": {"user_id": "u"}, "user": "u"},
    {"system": [{"text": "x"}], "messages": [{"role": "user", "content": [{"type": "tool_use", "input": {}}]}]},
    {
        "system": [{"text": "x"}],
        "messages": [
            {"role": "user", "content": [{"text": "hi"}, {"toolUse": USE}, {"toolResult": {"content": [{"json": {}}]}}]}
        ],
        "inferenceConfig": {"maxTokens": 4},
        "toolConfig": {"tools": [{"toolSpec": {"inputSchema": {"json": {}}}}], "toolChoice": {"tool": {"name": "f"}}},
    },
    {
        "systemInstruction": {"parts": [{"text": "x"}]},
        "contents": [{"role": "user", "parts": [{"text": "hi"}, {"functionCall": {"args": {}}}]}],
        "generationConfig": {"responseSchema": {}},
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        "tools": [{"functionDeclarations": [{"name": "f"}]}],
    },
    {
        "instructions": "x",
        "input": [{"type": "function_call_output", "output": "4"}],
        "text": {"format": {"type": "x"}},
    },
    {"message": "hi", "preamble": "x", "chat_history": [{"role": "USER", "message": "a"}]},
    {"messages": [{"lc": 1, "id": ["HumanMessage"], "kwargs": {"content": "hi"}}, {"from": "gpt", "value": "x"}]},
]
ANSWERS: list[Any] = [
    {"choices": [{"index": 0, "message": {**MESSAGE, "audio": {"transcript": "x"}}}], "usage": {"cost": 1}},
    {"type": "message", "content": [{"type": "text", "text": "yes"}, {"type": "tool_use", "input": {}}]},
    {"output": {"message": {"role": "assistant", "content": [{"text": "yes"}, {"toolUse": USE}]}}},
    {"status": "incomplete", "incomplete_details": {"reason": "x"}, "output": [{"type": "message", "content": []}]},
    {"candidates": [{"content": {"parts": [{"functionCall": {"args": {}}}]}}], "promptFeedback": {"blockReason": "x"}},
    {"message": MESSAGE, "done_reason": "stop", "prompt_eval_count": 3},
    {"results": [{"outputText": "yes", "completionReason": "FINISH", "tokenCount": 3}]},
    {"generations": [[{"message": MESSAGE, "generation_info": {"finish_reason": "stop"}}]]},
    {"status_code": 200, "body": {"choices": [{"text": "x"}]}},
    [{"choices": [{"index": 0, "delta": {"content": "x", "tool_calls": [CALL]}}]}, {"choices": [], "usage": {}}],
    [
        {"type": "message_start", "message": {"usage": {"input_tokens": 3}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "input": {}}},
        {"type": "content_block_delta", "index": 0, "delta": {"partial_json": "{}"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
    ],
    [
        {"contentBlockStart": {"start": {"toolUse": USE}, "contentBlockIndex": 1}},
        {"contentBlockDelta": {"delta": {"toolUse": {"input": "{}"}}, "contentBlockIndex": 1}},
        {"contentBlockDelta": {"delta": {"text": "yes"}, "contentBlockIndex": 0}},
        {"metadata": {"usage": {"inputTokens": 3}, "metrics": {}}},
    ],
    [
        {"type": "response.output_text.delta", "delta": "yes"},
        {"type": "response.completed", "response": {"output": []}},
    ],
    [{"candidates": [{"content": {"parts": [{"text": "a"}]}}]}, {"candidates": [{"finishReason": "STOP"}]}],
    [{"message": MESSAGE, "done": False}, {"message": {"content": "b"}, "done": True}],
    [{"outputs": [{"text": "a"}]}, {"token": {"text": "b"}, "details": {"finish_reason": "x"}}],
]


def changed(tree: Any) -> Iterator[Any]:
    """Copies of a tree with an odd value at one place each."""
    yield from ODD
    for key in list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ():
        for value in changed(tree[key]):
            other = copy.copy(tree)
            other[key] = value
            yield other


@pytest.mark.parametrize("number", range(len(REQUESTS)))
def test_any_value_in_a_request_is_read_or_refused(number: int) -> None:
    for body in changed(REQUESTS[number]):
        with contextlib.suppress(Unreadable):
            assert read_prompt(body, Notes()).messages


@pytest.mark.parametrize("number", range(len(ANSWERS)))
def test_any_value_in_an_answer_is_read_or_refused(number: int) -> None:
    for body in changed(ANSWERS[number]):
        with contextlib.suppress(Unreadable):
            read_answer(body, Notes())


@pytest.mark.parametrize("empty", [{"parts": None}, {"parts": []}, [], "", None])
def test_an_empty_instruction_is_no_system_prompt(empty: Any) -> None:
    prompt = read_prompt({"systemInstruction": empty, "contents": "hi"}, Notes())
    assert [message["role"] for message in prompt.messages] == ["user"]


@pytest.mark.parametrize("body", [{"messages": ASK, "system": 5}, {"prompt": "hi", "chat_history": 5}, {"contents": 5}])
def test_a_prompt_of_a_wrong_type_is_refused_by_name(body: dict[str, Any]) -> None:
    with pytest.raises(Unreadable) as refused:
        read_prompt(body, Notes())
    assert refused.value.reason == "wrong_types"


def test_an_earlier_conversation_as_text_is_one_message() -> None:
    prompt = read_prompt({"message": "hi", "chat_history": "User: hello"}, Notes())
    assert [message["content"] for message in prompt.messages] == ["User: hello", "hi"]
