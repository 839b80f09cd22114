"""Call sites with free-text answers."""

import datetime as dt
import random
import re

from hypothesis import given
from hypothesis import strategies as st

from demo import prose
from demo.words import LANGUAGES

SEEDS, IN_LANGUAGES = st.integers(), st.sampled_from(sorted(LANGUAGES))


@given(SEEDS, IN_LANGUAGES)
def test_typos_change_a_sentence_but_not_its_numbers(seed: int, language: str) -> None:
    text = prose.polish(random.Random(seed), language)
    assert text.text != text.answer
    assert re.findall(r"\d+", text.text) == re.findall(r"\d+", text.answer)


@given(SEEDS, IN_LANGUAGES)
def test_a_summary_is_shorter_than_its_notes(seed: int, language: str) -> None:
    text = prose.summary(random.Random(seed), language)
    assert 0 < len(text.answer) < len(text.text)
    assert not set("[]{}|") & set(text.text + text.answer)


def test_a_digest_names_its_day() -> None:
    assert ", 2026-11-03\n" in prose.digest(random.Random(0), "en", dt.date(2026, 11, 3)).text


@given(SEEDS)
def test_an_errand_begins_with_an_available_function(seed: int) -> None:
    text, call = prose.errand(random.Random(seed), dt.date(2026, 11, 3))
    functions = {tool["function"]["name"]: tool["function"]["parameters"] for tool in prose.TOOLS}
    assert set(call["arguments"]) == set(functions[call["name"]]["required"])
    assert all(person in text for person in call["arguments"]["people"])
