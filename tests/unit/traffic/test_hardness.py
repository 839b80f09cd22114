"""Language-independent signs that a message needs reasoning."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffic import hardness
from traffic.features import features_of, request_type
from traffic.record import Message, Params


@pytest.mark.parametrize(
    "text",
    [
        "Ines sits left of Omar. Omar is not beside Pia, and Pia faces Ines. Who is opposite Omar?",
        "Kaikki lokit ovat lintuja. Mikään lintuja syövä ei ole lokit. Siis linnut ovat lokit, eivätkä linnut syö.",
        "Which vitamin dissolves in fat?\nA. Vitamin C\nB. Vitamin D\nC. Folate\nD. Thiamine",
        "下列哪一项正确？\n(A)月亮\n(B)太阳\n(C)地球",
        "どれですか。\nA．朝\nB．昼\nC．夜",
        "ア: 朝\nイ: 昼\nウ: 夜",
        "It has the effect of: (A) more mass. (B) less water. (C) none of these.",
        "month,tickets,calls,csat\n2026-06,46,19,6\n2026-07,90,8,10\n2026-08,38,0,9\n2026-09,15,5,4\nWill they stay?",
        "Pump A fills 40 litres in 3 minutes, pump B drains 25 litres in the same time, and the tank holds 90.",
    ],
)
def test_puzzles_and_word_problems_are_hard(text: str) -> None:
    assert hardness.of_message(text)


@pytest.mark.parametrize(
    "text",
    [
        "Hi, my parcel with the blue lamp has not arrived yet. Could you look where it is? Thanks, Nora",
        "Siparişim gelmedi, lütfen bakar mısınız, teşekkür ederim, iyi günler.",
        "Anna: good morning\nBert: good morning, shall we begin?\nAnna: yes, Bert, please.\nBert: fine",
        "Order 4711 of 2026-03-04 10:15, room B12, phone 555-0101.",
    ],
)
def test_ordinary_messages_are_not_hard(text: str) -> None:
    assert not hardness.of_message(text)


EVIDENCE = "Lake Orva Ferry: The ferry on Lake Orva, built in Brenn, has carried cars since 1961, trucks since 1970."
PREMISES = "Ines sits left of Omar. Omar is not beside Pia. Pia faces Ines, and Omar faces nobody."


@pytest.mark.parametrize(
    "before, last, is_puzzle",
    [
        (EVIDENCE, "Claim: The ferry across Lake Orva, which Brenn built, carried no trucks in 1961.", False),
        ("1: Toaster Brix 200, steel, two slots", "2: Brix toaster 200, steel, two slots, black", False),
        (PREMISES, "Pia sits left of Omar.", True),
        ("ref 4711", PREMISES, True),
        ("Ines sits by Omar.\nOmar sits by Pia.\nPia sits by Ravi.", "Ravi sits by Tove.", True),
        (f"{EVIDENCE}\nIt is run by Brenn.", "Claim: The ferry across Lake Orva, which Brenn built, is new.", False),
    ],
)
def test_names_that_only_a_last_line_repeats_are_no_puzzle(before: str, last: str, is_puzzle: bool) -> None:
    assert hardness.is_puzzle(f"{before}\n{last}") is is_puzzle


def kind(system: str, user: str, **other: object) -> str:
    messages = [Message("system", system), Message("user", user)]
    return request_type(features_of(messages, params=Params(other=other)), messages)


def test_a_judgement_is_reasoning_although_its_answer_is_one_word() -> None:
    asked = "Is the tenant liable for the damage? Answer with exactly one word: liable or free."
    assert kind(asked, "The pipe was old, nobody had been told.") == "reasoning"


def test_a_technology_without_another_task_is_code() -> None:
    assert kind("One line that runs on our Ubuntu hosts.", "free space by user") == "code"
    assert kind("Classify the Ubuntu support ticket, exactly one label.", "no free space") == "classification"


@pytest.mark.parametrize(
    "parameters",
    [
        {"reasoning_effort": "high"},
        {"reasoning": {"effort": "high"}},
        {"thinking": {"type": "enabled", "budget_tokens": 16000}},
    ],
)
def test_high_reasoning_effort_gets_the_heavy_tier(parameters: dict[str, object]) -> None:
    assert kind("Classify the ticket, exactly one label.", "no free space", **parameters) == "reasoning"
    assert kind("Classify the ticket, exactly one label.", "no free space", reasoning_effort="low") == "classification"


def test_a_long_input_without_a_stated_task_is_long_context() -> None:
    words = "The council met and looked at the second plan for the harbour wall again. " * 150
    assert (
        kind("Position and open points, in the way that the committee is used to read them since the reform.", words)
        == "long_context"
    )


def test_a_problem_to_explain_is_reasoning() -> None:
    problem = "Juan paid $76,000 for the house, and his neighbour paid 30% less. How much did both pay?"
    assert kind("You explain to children.", problem) == "reasoning"
    assert kind("You explain to children.", "Why do leaves fall from the trees in autumn?") == "generation"


@pytest.mark.parametrize(
    "prompt",
    [
        "Could a heron swallow a pike?",
        "Q: Could a heron swallow a pike?\nA:",
        "Yes or no, from what you know.\n\nFrage: Frisst ein Reiher Hechte?\nAntwort:",
        "サギは魚を食べますか？",
        "سؤال: هل يأكل مالك الحزين السمك؟",
    ],
)
def test_a_question_after_nothing_but_an_instruction_is_bare(prompt: str) -> None:
    assert hardness.ends_with_bare_question(prompt)


@pytest.mark.parametrize(
    "prompt",
    [
        "The heron swallowed a pike.",
        "Text: A heron swallowed a pike.\nQuestion: Did it swallow a trout?",
        "Yes or no.\nReview: The heron was late.\nIs it a complaint?",
        "Review: Was that a pike? Or: was it a trout?",
        "Question: Is it a pike?\nOptions: yes, no",
        "本文：サギは魚を食べた。\n質問：マスを食べましたか？",
        "评论：菜是冷的吗？",
    ],
)
def test_a_question_beside_material_is_not_bare(prompt: str) -> None:
    assert not hardness.ends_with_bare_question(prompt)


PIECES = ["how ", "many", "old", "what ", "is ", "are ", "the ", "total", "sum", "calculate ", "when ", "did ", "will "]
PIECES += ["they", "i", "2", "7 ", "two ", "\n", ".", " ", "é"]


@given(st.lists(st.sampled_from(PIECES), max_size=16).map("".join))
def test_questions_are_found_wherever_their_patterns_find_them(text: str) -> None:
    numbers = len(hardness._NUMBER.findall(text.lower()))
    asks_result, asks_when = (pattern.search(text.lower()) for pattern in (hardness._RESULT, hardness._WHEN))
    assert hardness._is_word_problem(text) == (numbers >= 2 if asks_result else bool(asks_when) and numbers >= 4)


OPTION_PIECES = ["\n", "(", "A", "B", "C", "D", ")", ".", ":", " ", "x", "é", "（", "）", "．", "月"]


@given(st.lists(st.sampled_from(OPTION_PIECES), max_size=30).map("".join))
def test_options_are_found_wherever_their_pattern_finds_them(text: str) -> None:
    assert hardness.brings_options(text) == (len(set(hardness._OPTION.findall(f"\n{text}"))) >= 3)


@given(st.lists(st.text("17.,a é٣", max_size=14), min_size=3, max_size=7))
def test_a_table_has_four_lines_of_four_numbers(lines: list[str]) -> None:
    rows = [line for line in lines if len(re.findall(r"[0-9]+(?:\.[0-9]+)?", line)) >= 4]
    assert hardness._is_table("\n".join(lines)) == (len(lines) > 4 and len(rows) >= 4)
