"""What the rules read in a request, with prompts of many companies."""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.chat_requests import TOOL, features_for, schema
from tests.fakes.growth import assert_linear
from traffic.features import Features, estimate_tokens, features_of
from traffic.phrases import _PHRASES, _SEARCH
from traffic.record import Message, Params
from traffic.wording_search import pattern_text

WORDED = yaml.safe_load((Path(__file__).parent / "worded_requests.yaml").read_text(encoding="utf-8"))


def test_lengths_and_turns_are_counted() -> None:
    messages = [
        Message("system", "Be brief."),
        Message("user", "one"),
        Message("assistant", None, [{"id": "1"}]),
        Message("tool", "42"),
        Message("user", [{"type": "text", "text": "three"}, {"type": "image_url", "image_url": {"url": "data:"}}]),
    ]
    features = features_of(messages, [TOOL, TOOL], None, Params(max_tokens=9, other={"tool_choice": "required"}))
    assert (features.messages, features.turns, features.assistant_turns, features.tool_results) == (5, 2, 1, 1)
    assert (features.system_chars, features.user_chars, features.last_user_chars) == (9, 8, 5)
    assert (features.has_tools, features.n_tools, features.tool_choice) == (True, 2, "required")
    assert (features.images, features.max_tokens) == (1, 9)


@pytest.mark.parametrize(
    "sent, seen",
    [
        (None, "auto"),
        ("none", "none"),
        ("required", "required"),
        ({"type": "function", "function": {"name": "f"}}, "named"),
        ("what", "auto"),
    ],
)
def test_tool_choice_is_read_in_every_format(sent: Any, seen: str) -> None:
    for key in ("tool_choice", "function_call"):
        assert features_for(None, "x", tools=[TOOL], params=Params(other={key: sent})).tool_choice == seen


def test_token_estimates_use_four_characters_per_token_and_fewer_for_japanese() -> None:
    assert estimate_tokens(["a" * 400]) == 3 + 4 + 100
    assert estimate_tokens(["日本語" * 50]) == 3 + 4 + 100
    assert estimate_tokens([]) == 3


def test_a_schema_with_an_enum_has_closed_labels_and_no_prose() -> None:
    features = features_for("Sort.", "x", response_format=schema(team={"type": "string", "enum": ["a", "b"]}))
    assert (features.json_schema, features.closed_labels, features.schema_prose, features.schema_keys) == (
        True,
        True,
        False,
        1,
    )


def test_a_list_of_words_in_what_a_person_writes_to_an_assistant_is_no_instruction() -> None:
    message = "Topic of the day? tug, ferry or barge.\n\nI like the tug."
    assert features_for(None, message).asks_options
    assistant = "You are a helpful assistant for the crew. Answer whatever they ask, in their language."
    assert not features_for(assistant, message).asks_options


def test_an_order_to_judge_is_not_read_in_what_a_person_asks_of_an_assistant() -> None:
    assistant = "You are a helpful assistant for the crew. Answer whatever they ask, in their language."
    assert features_for(None, "Compare these two tides.").asks_analysis
    assert not features_for(assistant, "Compare these two tides.").asks_analysis


def test_fenced_data_is_no_code() -> None:
    assert not features_for(None, 'Fill this in:\n```json\n{"ship": "string"}\n```').code_fence
    assert not features_for(None, "Fill this in:\n```\n[1, 2]\n```").code_fence
    assert features_for(None, "Why?\n```\nlet x = {}\n```").code_fence
    assert features_for(None, 'From\n```json\n{"ship": "string"}\n```\nwrite\n```python\nship = 1\n```').code_fence


def test_nested_free_text_keys_of_a_schema_are_found() -> None:
    inner = {"type": "object", "properties": {"explanation": {"type": "string"}}}
    assert features_for("Sort.", "x", response_format=schema(items={"type": "array", "items": inner})).schema_prose


def test_json_object_mode_and_code_fences_are_detected() -> None:
    features = features_for("Sort.", "```\nx = 1\n```", response_format={"type": "json_object"})
    assert (features.json_object, features.json_schema, features.code_fence) == (True, False, True)


@pytest.mark.parametrize(
    "system, where",
    [
        ("Answer with exactly one word: order or complaint.", "system"),
        ("You are a helpful assistant.", "user"),
        (None, "user"),
        (
            "You are the helper inside our wiki. People pick a task from a menu and paste their text below it. " * 3,
            "ad_hoc",
        ),
    ],
)
def test_the_instruction_is_read_from_the_prompt_that_states_the_task(system: str | None, where: str) -> None:
    assert features_for(system, "Is this offensive or not? You lot are late.").instruction == where


@pytest.mark.parametrize(
    "remark",
    [
        "Do not explain.",
        "No step by step reasoning, no code.",
        "Until version 3 you had to explain the label step by step; this was withdrawn.",
        "The old prompt used to ask for a proof.",
        "If you write text for people, explain it step by step.",
    ],
)
def test_negations_conditions_and_past_remarks_are_ignored(remark: str) -> None:
    features = features_for(f"Answer with exactly one label: order, complaint. {remark}", "x")
    assert features.asks_label
    assert (features.asks_deliberation, features.asks_code, features.asks_reasoning) == (False, False, False)


@pytest.mark.parametrize("text", ["Class of 2024: here we go", "public transport (bus) is late", "def not (me)"])
def test_sentences_that_begin_like_a_definition_are_not_code(text: str) -> None:
    assert not features_for(None, text).code_fence


@pytest.mark.parametrize("start", ["def f(", "class A(", "function f(", "func f(", "private a("])
def test_an_unterminated_definition_takes_linear_time(start: str) -> None:
    # Minutes where the search goes back over the line for each of its brackets.
    assert not features_for(None, start + ") : ; { ," * 60_000 + "x").code_fence


def test_the_indexed_search_finds_every_wording() -> None:
    whole = {name: re.compile(rf"\b(?:{pattern_text(wordings)})\b") for name, wordings in _PHRASES.resolved().items()}
    instructions = [m["content"] for r in WORDED for m in r["messages"] if isinstance(m["content"], str)]
    for text in instructions:
        lower = text.lower()
        searched = {name for name, pattern in whole.items() if pattern.search(lower)}
        assert _SEARCH.names(lower, _SEARCH.scan(lower)) == searched


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(max_size=8),
        lambda x: st.lists(x) | st.dictionaries(st.text(max_size=12), x),
    )
)
def test_every_response_format_is_read_without_an_error(tree: Any) -> None:
    shape = {
        "type": "json_schema",
        "json_schema": {"schema": {"properties": {"a": tree}, "anyOf": tree, "$defs": tree}},
    }
    assert features_for("Sort.", "x", response_format=shape).json_schema


@pytest.mark.parametrize("start", ["", "aB("])
@pytest.mark.parametrize("run", ["a ", "one ", "- x\n", "answer with ", "A OR ", "a", "\n"])
def test_long_texts_are_read_in_linear_time(start: str, run: str) -> None:
    assert_linear(lambda runs: partial(features_for, start + run * runs, start + run * runs), 50_000)


def test_code_is_looked_for_once_however_many_rules_ask_for_it() -> None:
    read: list[str] = []

    class Texts(tuple[str, ...]):
        def __iter__(self) -> Iterator[str]:
            read.append("")
            return super().__iter__()

    features = Features(user_texts=Texts(["x"]))
    assert (features.code_fence, features.code_fence, len(read)) == (False, False, 1)
