"""Thinking of Anthropic endpoints: earlier thinking that an endpoint rejects, and the parameters that depend on it."""

from typing import Any

import pytest

from router.wire.thinking import fit_thinking, is_thinking, without_thinking

THOUGHT = {"type": "thinking", "thinking": "t", "signature": "s"}
CALL = {"type": "tool_use", "id": "c", "name": "f", "input": {}}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "r"}]}
USER = {"role": "user", "content": "hello"}
CLEARING = {"type": "clear_thinking_20251015", "keep": "all"}
THINKING = {"type": "enabled", "budget_tokens": 1024}


def body(*turns: dict[str, Any], **parameters: Any) -> dict[str, Any]:
    return {"messages": list(turns), "max_tokens": 4096, "thinking": THINKING} | parameters


def test_turns_with_nothing_but_rejected_thinking_are_removed() -> None:
    answer = {"role": "assistant", "content": [THOUGHT, {"type": "text", "text": "a"}]}
    sent = without_thinking(body(USER, {"role": "assistant", "content": [THOUGHT]}, answer, USER), is_thinking)
    assert [turn["content"] for turn in sent["messages"]] == ["hello", [{"type": "text", "text": "a"}], "hello"]


def test_the_model_may_still_think_after_a_question() -> None:
    assert without_thinking(body(USER), is_thinking)["thinking"] == THINKING


@pytest.mark.parametrize(
    "edits, left",
    [([CLEARING], None), ([CLEARING, {"type": "clear_tool_uses"}], {"edits": [{"type": "clear_tool_uses"}]})],
)
def test_calls_that_lost_their_thinking_are_continued_without(edits: list[Any], left: Any) -> None:
    turns = USER, {"role": "assistant", "content": [THOUGHT, CALL]}, RESULT
    sent = without_thinking(body(*turns, context_management={"edits": edits}), is_thinking)
    assert "thinking" not in sent
    # The API refuses to clear thinking where there can be none.
    assert sent.get("context_management") == left


def test_a_cap_without_room_for_thinking_removes_what_depends_on_it() -> None:
    sent = body(USER, max_tokens=1024, context_management={"edits": [CLEARING]})
    fit_thinking(sent)
    assert sent.keys() == {"messages", "max_tokens"}
