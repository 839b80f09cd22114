"""Assembly of tool calls for all servers' formats."""

from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.wire.chat import Assembly
from tests.fakes.growth import assert_linear
from traffic.tool_calls import ToolCalls, arguments_tree

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
def test_chunks_are_assigned_to_their_calls(
    calls: list[tuple[str, dict[str, str]]], cuts: list[int], keyed: str, repeats: bool, data: st.DataObject
) -> None:
    """For every kind of key, with and without repeated names, interleaved if the key permits."""
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
    assembled = add_all(parts)
    assert sorted(map(repr, assembled)) == sorted(repr(call) for call in calls)
    if not interleaved:
        assert [name for name, _ in assembled] == names


@given(CALLS)
def test_complete_calls_need_neither_index_nor_id(calls: list[tuple[str, dict[str, str]]]) -> None:
    """As sent by Ollama and Gemini: one call per chunk, arguments as text or object."""
    for encode in (lambda a: msgspec.json.encode(a).decode(), lambda a: a):
        parts = [{"function": {"name": name, "arguments": encode(arguments)}} for name, arguments in calls]
        assert add_all(parts) == calls


@given(st.lists(st.tuples(st.sampled_from(["f", "g"]), st.none() | st.just("") | st.just("same")), max_size=4))
def test_every_call_has_a_unique_id(calls: list[tuple[str, str | None]]) -> None:
    message = {"tool_calls": [{"id": identity, "function": {"name": name}} for name, identity in calls]}
    assembly = Assembly()
    assembly.add(message, whole=True)
    assembled = assembly.tool_calls.calls
    assert [call.name for call in assembled] == [name for name, _ in calls]
    assert all(call.id for call in assembled)
    assert len({call.id for call in assembled}) == len(assembled)


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


def added(*texts: str, **keys: Any) -> tuple[list[str], str]:
    """The arguments that the chunks of one call add, and the call's arguments."""
    calls = ToolCalls()
    first = calls.add({"index": 0, "id": "c", "function": {"name": "f", "arguments": texts[0]}})
    rest = [calls.add({"index": 0, **keys, "function": {"arguments": text}}) for text in texts[1:]]
    return [arguments for _, arguments in (first, *rest)], calls.calls[0].arguments


def test_an_empty_object_before_the_arguments_is_no_part_of_them() -> None:
    """As sent by Gemini behind a gateway."""
    assert added("{}", '{"a": 1}') == (["", '{"a": 1}'], '{"a": 1}')
    assert added("{}", '{"a"', ": 1}") == (["", '{"a"', ": 1}"], '{"a": 1}')


def test_an_empty_object_that_the_client_already_has_is_not_replaced() -> None:
    assert added("{", "}", '{"a": 1}') == (["{", "}", ""], "{}")


def test_a_call_without_arguments_keeps_its_empty_object() -> None:
    assert added("{}") == ([""], "{}")


@pytest.mark.parametrize("repeated", [('{"a": 1}',), ('{"a"', ": 1}"), ('{"b": 2}',)])
@pytest.mark.parametrize("keys", [{}, {"id": "c"}])
def test_nothing_is_added_to_complete_arguments(repeated: tuple[str, ...], keys: dict[str, Any]) -> None:
    """Some servers send the arguments once more as a whole."""
    texts, arguments = added('{"a"', ": 1}", *repeated, **keys)
    assert (texts, arguments) == (['{"a"', ": 1}", *[""] * len(repeated)], '{"a": 1}')


@pytest.mark.parametrize("arguments", ['{"a": {"b": "{}"}}', '{"code": "if (x) {}{} {y}"}', '{"a": [{}, {}]}'])
def test_braces_inside_of_arguments_are_no_end(arguments: str) -> None:
    assert added(*arguments)[1] == arguments


def test_many_false_ends_take_linear_time() -> None:
    part = {"index": 0, "function": {"arguments": "{}"}}

    def adding(parts: int) -> None:
        calls = ToolCalls()
        calls.add({"index": 0, "id": "c", "function": {"name": "f", "arguments": "["}})
        for _ in range(parts):
            calls.add(part)

    assert_linear(lambda parts: partial(adding, parts), 20_000)


@pytest.mark.parametrize("written", ['{"a": 1}{"a": 1}', '{}{"a": 1}', '{"a": 1}\n{}'])
def test_arguments_that_were_joined_are_one_object(written: str) -> None:
    assert arguments_tree(written) == {"a": 1}


def test_half_a_character_in_joined_arguments_is_replaced() -> None:
    assert arguments_tree('{}{"a": "\\ud83d"}') == {"a": "\ufffd"}


@pytest.mark.parametrize("written", ['{"a": 1} and so on', '{"a": 1}{"b"', "[1][2]"])
def test_other_text_is_kept_as_it_is(written: str) -> None:
    assert arguments_tree(written) == {"arguments": written}


def test_a_chunk_under_another_index_continues_a_call_that_is_not_complete() -> None:
    calls = ToolCalls()
    calls.add({"index": 0, "id": "c", "function": {"name": "f", "arguments": '{"a":'}})
    calls.add({"index": 1, "function": {"arguments": "1}"}})
    calls.add({"index": 2, "function": {"arguments": "{}"}})
    assert [call.arguments for call in calls.calls] == ['{"a":1}', "{}"]
