"""The order of turns in chat completions."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.wire.turns import in_order, ruled, with_files_after, with_ids, with_results
from tests.fakes.growth import assert_linear

Tree = dict[str, Any]


def call(name: str) -> Tree:
    return {"id": name, "type": "function", "function": {"name": "f", "arguments": "{}"}}


@st.composite
def conversations(draw: st.DrawFn) -> list[Tree]:
    """Calls whose results come later, with other messages in between."""
    messages: list[Tree] = [{"role": "user", "content": "begin"}]
    waiting: list[str] = []
    for number in range(draw(st.integers(1, 8))):
        kind = draw(st.sampled_from(["user", "assistant", "call", "result"]))
        if kind == "call":
            waiting.append(f"c{number}")
            messages.append({"role": "assistant", "content": None, "tool_calls": [call(f"c{number}")]})
        elif kind == "result" and waiting:
            name = waiting.pop(draw(st.integers(0, len(waiting) - 1)))
            messages.append({"role": "tool", "tool_call_id": name, "content": f"r{number}"})
        else:
            messages.append({"role": "assistant" if kind == "assistant" else "user", "content": f"w{number}"})
    return messages


@given(messages=conversations())
def test_results_directly_follow_their_calls_and_no_message_is_lost(messages: list[Tree]) -> None:
    ordered = in_order(messages)
    assert sorted(words(messages)) == sorted(words(ordered))
    open_calls: set[str] = set()
    for before, message in zip([{"role": ""}, *ordered], ordered, strict=False):
        if message["role"] == "tool":
            assert before["role"] in ("assistant", "tool")
            assert message["tool_call_id"] in open_calls
        elif message["role"] == "assistant":
            open_calls = {one["id"] for one in message.get("tool_calls", ())}
        else:
            open_calls = set()
    assert in_order(ordered) == ordered


def words(messages: list[Tree]) -> list[str]:
    texts = [word for message in messages for word in (message["content"] or "").split("\n\n") if word]
    return texts + [one["id"] for message in messages for one in message.get("tool_calls", ())]


def test_consecutive_assistant_turns_are_merged() -> None:
    parts = [{"type": "text", "text": "b"}]
    first = {"role": "assistant", "content": "a", "reasoning_content": "x", "tool_calls": [call("c")]}
    second = {"role": "assistant", "content": parts, "reasoning_content": "y", "tool_calls": [call("d")]}
    (joined,) = in_order([first, second])
    assert joined["content"] == [{"type": "text", "text": "a"}, *parts]
    assert joined["reasoning_content"] == "x\n\ny"
    assert [tool_call["id"] for tool_call in joined["tool_calls"]] == ["c", "d"]


@given(conversations(), st.data())
def test_every_call_is_directly_followed_by_one_result(messages: list[Tree], data: st.DataObject) -> None:
    kept = [message for message in messages if message["role"] != "tool" or data.draw(st.booleans())]
    paired = with_results(in_order(kept))
    for place, message in enumerate(paired):
        calls = [call["id"] for call in message.get("tool_calls", ())]
        behind = [result.get("tool_call_id") for result in paired[place + 1 : place + 1 + len(calls)]]
        assert sorted(calls) == sorted(map(str, behind))
    assert with_results(paired) == paired


def test_a_result_without_its_call_becomes_text() -> None:
    (message,) = with_results([{"role": "tool", "tool_call_id": "gone", "content": "r"}])
    assert (message["role"], message["content"]) == ("user", "Result of tool call gone: r")


def test_a_second_result_of_a_call_does_not_separate_the_others() -> None:
    calls = [{"id": name, "type": "function", "function": {"name": "f", "arguments": "{}"}} for name in ("a", "b")]
    result = {"role": "tool", "tool_call_id": "a", "content": "1"}
    other = {"role": "tool", "tool_call_id": "b", "content": "2"}
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    assert with_results([message, result, result, other]) == [message, result, other]
    *paired, late = with_results([message, result, result | {"content": "3"}, other])
    assert paired == [message, result, other]
    assert late["role"] == "user"


def test_every_call_has_an_id_of_its_own_and_results_belong_to_the_last_turn_first() -> None:
    def turn(*names: str) -> Tree:
        return {"role": "assistant", "content": None, "tool_calls": [call(name) for name in names]}

    def result(name: str) -> Tree:
        return {"role": "tool", "tool_call_id": name, "content": "r"}

    messages = [turn("a", "a_2"), turn("a", "", "b"), result("a"), result(""), result("a"), result("a"), result("a_2")]
    first, second, *results = with_ids(messages)
    assert [one["id"] for one in first["tool_calls"]] == ["a", "a_2"]
    assert [one["id"] for one in second["tool_calls"]] == ["a_3", "call_1", "b"]
    assert [one["tool_call_id"] for one in results] == ["a_3", "call_1", "a", "a_3", "a_2"]


CALL = {"role": "assistant", "content": None, "tool_calls": [call("same")]}
RESULT = {"role": "tool", "tool_call_id": "same", "content": "r"}


def one_turn(calls: int) -> list[Tree]:
    results = [{"role": "tool", "tool_call_id": f"c{n}", "content": "r"} for n in reversed(range(calls))]
    return [{"role": "assistant", "content": None, "tool_calls": [call(f"c{n}") for n in range(calls)]}, *results]


@pytest.mark.parametrize(
    "conversation",
    [
        lambda size: [CALL] * size + [RESULT] * size,
        lambda size: [CALL, RESULT] * size,
        one_turn,
        lambda size: [{"role": role, "content": "x"} for role in ("system", "assistant", "user") for _ in range(size)],
        lambda size: [{"role": role, "content": "x"} for _ in range(size) for role in ("user", "system")],
    ],
    ids=["calls then results", "calls with results", "one turn", "equal roles", "alternating roles"],
)
def test_long_conversations_are_ordered_in_linear_time(conversation: Callable[[int], list[Tree]]) -> None:
    assert_linear(lambda size: partial(list, with_ids(conversation(size))), 3_200)
    assert_linear(lambda size: partial(list, with_results(in_order(conversation(size)))), 3_200)
    rules = ("system_first", "alternate", "assistant_after_tool")
    assert_linear(lambda size: partial(list, ruled(conversation(size), rules)), 3_200)


IMAGE = {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}


def test_files_in_results_follow_them_in_the_users_turn() -> None:
    words = {"type": "text", "text": "shot"}
    results = [
        {"role": "tool", "tool_call_id": "a", "content": [words, IMAGE]},
        {"role": "tool", "tool_call_id": "b", "content": [IMAGE]},
        {"role": "tool", "tool_call_id": "c", "content": "text"},
    ]
    for following in ([], [{"role": "user", "content": "and?"}], [{"role": "assistant", "content": "ok"}]):
        first, second, third, user, *rest = with_files_after(results + following)
        assert [m["role"] for m in (first, second, third, user)] == ["tool", "tool", "tool", "user"]
        assert (first["content"], bool(second["content"]), third["content"]) == ("shot", True, "text")
        asks = following[:1] == [{"role": "user", "content": "and?"}]
        assert [part["type"] for part in user["content"]] == ["text", "image_url"] * 2 + ["text"] * asks
        assert rest == ([] if asks else following)


def test_a_stray_result_keeps_its_files() -> None:
    (message,) = with_results([{"role": "tool", "tool_call_id": "gone", "content": [IMAGE]}])
    assert (message["role"], message["content"][-1]) == ("user", IMAGE)
