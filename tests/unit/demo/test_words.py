"""People, days, numbers and places."""

import datetime as dt
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo import words

LANGUAGES = st.sampled_from(sorted(words.LANGUAGES))


def test_language_shares_sum_to_1() -> None:
    assert sum(words.LANGUAGES.values()) == pytest.approx(1)


@pytest.mark.parametrize("language", sorted(words.LANGUAGES))
def test_a_year_has_twelve_months_and_a_week_seven_days(language: str) -> None:
    assert (len(words.WORDS.months[language]), len(words.WORDS.weekdays[language])) == (12, 7)


@given(st.integers(), LANGUAGES, st.dates(dt.date(2026, 1, 1), dt.date(2027, 12, 31)))
def test_weekdays_match_their_dates(seed: int, language: str, today: dt.date) -> None:
    text = words.day(random.Random(seed), language, today)
    names = [name for name in words.WORDS.weekdays[language] if name in text]
    numbers = [int(part) for part in text.replace(".", " ").replace("/", " ").split() if part.isdigit()]
    if names and numbers:
        near = (today + dt.timedelta(days=ahead) for ahead in range(2, 41))
        assert any(day.day == numbers[0] and words.WORDS.weekdays[language][day.weekday()] == names[0] for day in near)
    else:
        assert names or numbers


@given(st.integers(), LANGUAGES)
def test_a_place_does_not_begin_with_its_article(seed: int, language: str) -> None:
    article, place = words.place(random.Random(seed), language)
    assert not article or not place.startswith(article)
    assert article == "" or article.endswith(" ")


def test_names_rarely_repeat() -> None:
    rng = random.Random(0)
    assert len({words.person(rng) for _ in range(1000)}) > 850
