"""Assembly of answers: texts, reasoning, refusals, finish reasons."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.wire.chat import Assembly


def test_extra_keys_of_a_call_are_kept() -> None:
    assembly = Assembly()
    extra = {"google": {"thought_signature": "s"}}
    assembly.add({"tool_calls": [{"id": "c", "function": {"name": "f"}, "extra_content": extra}]}, whole=True)
    assert assembly.output.tool_calls == [
        {"extra_content": extra, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    ]


@pytest.mark.parametrize(
    "said, kinds, text",
    [
        ({"content": "x"}, ["text"], "x"),
        ({"content": [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}]}, ["text", "text"], "xy"),
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}, ["reasoning"], None),
        ({"content": "x", "reasoning_content": "hm"}, ["reasoning", "text"], "x"),
        ({"content": "x", "reasoning": "hm"}, ["reasoning", "text"], "x"),
        ({"content": "x", "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]}, ["reasoning", "text"], "x"),
        ({"content": None, "refusal": "no"}, ["refusal"], "no"),
        ({"content": 7}, [], None),
        ({"content": None, "tool_calls": None}, [], None),
        ({"function_call": {"name": "f", "arguments": "{}"}}, ["tool_call"], None),
    ],
)
def test_messages_of_every_form_are_translated(said: dict[str, Any], kinds: list[str], text: str | None) -> None:
    assembly = Assembly()
    assert [piece.kind for piece in assembly.add(said, whole=True)] == kinds
    assert assembly.output.text == text


@given(st.text(max_size=30), st.lists(st.text("ab\n", min_size=1, max_size=3), min_size=1, max_size=3), st.data())
def test_a_stop_sequence_not_sent_to_the_server_still_ends_the_text(
    text: str, stops: list[str], data: st.DataObject
) -> None:
    text = text.replace("c", "a").replace("d", "b")
    assembly = Assembly(stops)
    said, at = "", 0
    while at < len(text):
        size = data.draw(st.integers(1, 5))
        said += "".join(piece.text for piece in assembly.add({"content": text[at : at + size]}))
        at += size
    said += "".join(piece.text for piece in assembly.flush())
    complete = [(place + len(stop), place) for stop in stops if (place := text.find(stop)) >= 0]
    assert said == (text[: min(complete)[1]] if complete else text)
    assert (assembly.stop_sequence is not None) == bool(complete)
    assert (assembly.output.text or "") == said


@pytest.mark.parametrize("pieces", [["aba"], ["a", "b", "a"]])
def test_the_stop_sequence_that_is_complete_first_ends_the_text_however_it_arrives(pieces: list[str]) -> None:
    assembly = Assembly(["b", "aba"])
    for piece in pieces:
        assembly.add({"content": piece})
    assembly.flush()
    assert (assembly.output.text, assembly.stop_sequence) == ("a", "b")
