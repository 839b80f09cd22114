"""What answers add up to: texts, reasoning, refusals, and tool calls however a server writes them."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.wire.chat import Assembly, ToolCalls

ARGUMENTS = st.dictionaries(st.sampled_from(["city", "unit"]), st.sampled_from(["Rome", "Oslo", 'a "b" \\ c', "}"]))
CALLS = st.lists(st.tuples(st.sampled_from(["weather", "time"]), ARGUMENTS), min_size=1, max_size=3)


def pieces(text: str, cuts: list[int]) -> list[str]:
    parts, at = [], 0
    for cut in cuts:
        parts.append(text[at : at + cut])
        at += cut
    return [part for part in [*parts, text[at:]] if part]


def add_all(parts: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    calls = ToolCalls()
    for part in parts:
        calls.add(part)
    return [(call.name, msgspec.json.decode(call.arguments or "{}")) for call in calls.calls]


@given(
    CALLS,
    st.lists(st.integers(1, 6), max_size=8),
    st.sampled_from(["index", "id", "both", "same index", "new id every time"]),
    st.booleans(),
    st.data(),
)
def test_pieces_of_calls_find_their_call(
    calls: list[tuple[str, dict[str, str]]], cuts: list[int], keyed: str, repeats: bool, data: st.DataObject
) -> None:
    """Whatever the server keys its pieces by, and whether it repeats the name; interleaved where the key allows it."""
    queues = []
    for number, (name, arguments) in enumerate(calls):
        texts = pieces(msgspec.json.encode(arguments).decode(), cuts)
        queue: list[dict[str, Any]] = []
        for turn, text in enumerate(texts):
            function: dict[str, Any] = {"arguments": text}
            if turn == 0 or (repeats and keyed in ("index", "id", "both")):
                function["name"] = name
            part: dict[str, Any] = {"function": function}
            if keyed in ("index", "both", "new id every time"):
                part["index"] = number
            if keyed == "same index":
                part["index"] = 0
            if keyed in ("id", "both") or (keyed == "same index" and turn == 0):
                part["id"] = f"c{number}"
            if keyed == "new id every time":
                part["id"] = f"c{number}-{turn}"
            queue.append(part)
        queues.append(queue)
    parts = []
    interleaved = keyed in ("index", "both", "id", "new id every time")
    while any(queues):
        open_ones = [queue for queue in queues if queue]
        parts.append((data.draw(st.sampled_from(open_ones)) if interleaved else open_ones[0]).pop(0))
    names = [name for name, _ in calls]
    found = add_all(parts)
    assert sorted(map(repr, found)) == sorted(repr(call) for call in calls)
    if not interleaved:
        assert [name for name, _ in found] == names


@given(CALLS)
def test_whole_calls_need_neither_index_nor_id(calls: list[tuple[str, dict[str, str]]]) -> None:
    """As Ollama and Gemini send them, one call in each piece; an object instead of a text too."""
    for encode in (lambda a: msgspec.json.encode(a).decode(), lambda a: a):
        parts = [{"function": {"name": name, "arguments": encode(arguments)}} for name, arguments in calls]
        assert add_all(parts) == calls


@given(st.lists(st.tuples(st.sampled_from(["f", "g"]), st.none() | st.just("") | st.just("same")), max_size=4))
def test_every_call_has_an_id_of_its_own(calls: list[tuple[str, str | None]]) -> None:
    message = {"tool_calls": [{"id": identity, "function": {"name": name}} for name, identity in calls]}
    assembly = Assembly()
    assembly.add(message, whole=True)
    found = assembly.tool_calls.calls
    assert [call.name for call in found] == [name for name, _ in calls]
    assert all(call.id for call in found)
    assert len({call.id for call in found}) == len(found)


def test_a_name_that_is_repeated_or_comes_late_is_set_once() -> None:
    calls = ToolCalls()
    for part in (
        {"index": 0, "id": "c", "function": {"arguments": ""}},
        {"index": 0, "id": "c", "function": {"name": "weather", "arguments": '{"a"'}},
        {"index": 0, "id": "c", "function": {"name": "weather", "arguments": ": 1}"}},
        {"index": 0, "id": "c", "function": {"name": "weather", "arguments": ""}},
    ):
        calls.add(part)
    (call,) = calls.calls
    assert (call.name, call.arguments) == ("weather", '{"a": 1}')


def test_other_keys_of_a_call_are_kept() -> None:
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
def test_messages_in_any_form(said: dict[str, Any], kinds: list[str], text: str | None) -> None:
    assembly = Assembly()
    assert [piece.kind for piece in assembly.add(said, whole=True)] == kinds
    assert assembly.output.text == text


@given(st.text(max_size=30), st.lists(st.text("ab\n", min_size=1, max_size=3), min_size=1, max_size=3), st.data())
def test_a_stop_sequence_that_the_server_was_not_told_of_ends_the_text(
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
    places = [place for stop in stops if (place := text.find(stop)) >= 0]
    assert said == (text[: min(places)] if places else text)
    assert (assembly.stop_sequence is not None) == bool(places)
    assert (assembly.output.text or "") == said
