"""traffic/phrases.yaml: each wording, in every language, is recognised in an instruction that has it."""

import re
from collections.abc import Mapping
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from traffic.phrases import _PARAGRAPHS, _PHRASES, _SEARCH, _signs_in, signs
from traffic.wording_search import _QUANTIFIERS, _alternatives, _items, pattern_text

WORDINGS = [
    pytest.param(sign, wording, id=f"{sign}: {wording[:60]}")
    for table in (_PHRASES.resolved(), _PHRASES.spaceless)
    for sign, wordings in table.items()
    for wording in wordings
]


FILLERS = [{"*": several, "{": some} for several, some in product(("", " "), repeat=2)]
"""By the first letter of a quantifier: what stands where it allows nothing."""


def variants(wording: str) -> int:
    """The largest number of alternatives in one group of the wording."""
    groups = [_alternatives(item[1:-1]) for item in _items(wording) if item.startswith("(")]
    return max([len(group) for group in groups] + [variants(part) for group in groups for part in group], default=1)


def example(wording: str, number: int, fillers: Mapping[str, str]) -> str:
    """The shortest text with the wording that takes this alternative (modulo their number) of each group.

    `fillers`: one of `FILLERS`.
    """
    items = _items(wording)
    text = ""
    for item, quantifier in zip(items, [*items[1:], ""], strict=True):
        if item in _QUANTIFIERS or item.startswith("{") or item in (r"\b", "…"):
            continue
        if quantifier.startswith(("*", "{0")):
            text += fillers[quantifier[0]]
        elif quantifier != "?":
            least = int(quantifier[1:].split(",")[0].rstrip("}")) if quantifier.startswith("{") else 1
            text += _example_of(item, number, fillers) * least
    return text


def _example_of(item: str, number: int, fillers: Mapping[str, str]) -> str:
    if item.startswith("(?<="):
        return example(item[4:-1], number, fillers)
    if item.startswith("(?"):
        return ""
    if item.startswith("("):
        alternatives = _alternatives(item[1:-1])
        return example(alternatives[number % len(alternatives)], number, fillers)
    if item.startswith("["):
        return "x " if item.startswith("[^") else "x" if item.startswith(r"[\w") else item[1]
    return {r"\w": "x", r"\d": "1", ".": "x"}.get(item, item[-1])


@pytest.mark.parametrize("sign, wording", WORDINGS)
def test_each_alternative_of_a_wording_is_recognised(sign: str, wording: str) -> None:
    for number in range(variants(wording)):
        examples = [example(wording, number, fillers) for fillers in FILLERS]
        # Not at the beginning, where "si" of "si o no" would be a condition.
        assert any(sign in signs(f"please {text}{end}") for text in examples for end in ("", "x")), examples


def test_wordings_after_what_is_negated_conditional_or_past_are_found() -> None:
    assert "label" in signs("never guess at anything. the old form was withdrawn. answer with one word.")


def test_parts_not_in_force_that_overlap_are_removed_once() -> None:
    # Without the condition's negated clause, "prove it" would be read a second time.
    text = "if you are not sure, prove it. answer with one word."
    assert "label" in signs(text)
    assert "reasoning" not in signs(text)


def test_a_letter_that_is_longer_in_lower_case_does_not_move_what_stands_after_it() -> None:
    assert "label" in signs("İİİİİİİİ harbour. Answer TUG or FERRY")


FOUND_BY_PATTERN = {
    sign: re.compile(rf"(?<!\w)(?:{pattern_text(wordings)})\b") for sign, wordings in _PHRASES.resolved().items()
}
PIECES = [
    piece
    for sign, wordings in _PHRASES.resolved().items()
    for wording in wordings
    for piece in (example(wording, 0, FILLERS[0]), *example(wording, 1, FILLERS[-1]).split())
] + [". ", ", ", "\n", ": ", "(", "the", "a", "one", "only", "not", "if", "no longer", "or", "YES", "- x\n", "é"]
texts = st.lists(st.sampled_from(PIECES), max_size=14).map(" ".join)


@given(texts)
@settings(max_examples=300)
def test_the_search_finds_the_signs_that_the_patterns_find(text: str) -> None:
    matching = {sign for sign, pattern in FOUND_BY_PATTERN.items() if pattern.search(text)}
    assert _SEARCH.names(text, _SEARCH.scan(text)) == matching


@given(st.lists(texts, min_size=2, max_size=4))
@settings(max_examples=200)
def test_paragraphs_in_one_pass_have_the_signs_that_they_have_apart(paragraphs: list[str]) -> None:
    assert _signs_in(_PARAGRAPHS.join(paragraphs)) == set().union(*map(_signs_in, paragraphs))


@pytest.mark.parametrize(
    "paragraph", ["Kinds:\n- red one\n- blue one", "Kinds: red,", "(red,", "Moods: CALM", "- CALM"]
)
def test_a_list_does_not_go_on_in_the_next_paragraph(paragraph: str) -> None:
    both = _signs_in(f"{paragraph}{_PARAGRAPHS}- blue: one\n\nblue, green, TENSE AND or IDLE BUSY DONE")
    assert both == _signs_in(paragraph) | _signs_in("- blue: one\n\nblue, green, TENSE AND or IDLE BUSY DONE")


def test_yes_or_no_before_a_noun_negates_nothing() -> None:
    assert {"knowledge", "yes_no"} <= signs("yes/no questions. one word.")


def test_a_form_in_lower_case_is_no_rewriting() -> None:
    assert "rewrite" not in signs("one word, lower case.")
    assert "rewrite" in signs("convert the name to lower case.")


@pytest.mark.parametrize(
    "text",
    [
        "Finde die letzte Frage des Gastes und beantworte sie kurz aus dem Text.",
        "Trouve la vraie demande du client et réponds-y d'après le texte.",
        "Busca lo que quiere el cliente y contéstale con el texto.",
        "Trova quello che vuole l'ospite e rispondigli dal testo.",
    ],
)
def test_an_answer_to_somebody_from_a_text_is_read_from_the_text(text: str) -> None:
    assert "summary" in signs(text)


def test_the_names_of_the_fields_of_records_are_no_list_of_labels() -> None:
    assert "list" in signs("State of the ship: (moored | waiting | under way).")
    assert "list" not in signs("Input: records (ship | property | value).")


def test_somebody_who_corrects_himself_asks_for_no_edit() -> None:
    assert "rewrite" not in signs("L'ospite parla e si corregge in una frase.")
    assert "rewrite" in signs("Corregge la frase dell'ospite.")
