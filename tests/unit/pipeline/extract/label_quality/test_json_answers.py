"""pipeline/extract/label_quality/json_answers.py"""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.classifiers.out_of_fold import OutOfFold
from pipeline.extract.label_quality import json_answers
from pipeline.extract.label_quality.suspects import Finding
from tests.fakes.call_site_rows import row

CITIES = ("Bern", "Oslo", "Porto", "Lyon", "Graz", "Turin", "Ghent")


def find(answers: list[tuple[str, Any]], threshold: float = 0.08) -> list[Finding]:
    rows = [row(n, text, json.dumps(answer)) for n, (text, answer) in enumerate(answers)]
    fitted = [True] * len(rows)
    model = OutOfFold([text for text, _ in answers], [row.id for row in rows], fitted, folds=5)
    return json_answers.find(rows, fitted, model, threshold)


def bookings(count: int) -> list[tuple[str, Any]]:
    return [
        (f"a table in {CITIES[n % 7]} for {n} people", {"city": CITIES[n % 7], "people": n})
        for n in range(2, count + 2)
    ]


def test_correct_answers_are_not_suspects():
    assert find(bookings(60)) == []


@pytest.mark.parametrize(
    "answer, reason",
    [
        ({"city": "Madrid", "people": 4}, "city is not in the request"),
        ({"city": ["Bern"], "people": 4}, ""),
        ({"city": "Bern", "people": "4"}, "people is a string"),
        ({"city": "table", "people": 4}, "city is a word that is rarely a value"),
        ({"people": 4}, "city is missing"),
        ({"city": "", "people": 4}, "city is missing"),
        ({"city": "4", "people": 4}, "more often than it occurs"),
    ],
)
def test_answers_that_deviate_from_nearly_all_others_are_suspects(answer, reason):
    rows = [*bookings(80), ("a table in Bern for 4 people", answer)]
    # A field that is always there is no question for a model: some requests have no city.
    rows += [(f"call me back about order {n}", {"people": n}) for n in range(100, 140)]
    suspects = [finding for finding in find(rows) if finding.row_index == 80]
    if reason:
        assert len(suspects) == 1
        assert reason in suspects[0].reason
        assert 0 <= suspects[0].quality < 0.1


def test_fields_with_generated_values_are_not_checked():
    rows = [(f"message {n} about the {n % 7} thing", {"intent": f"Intent{n % 3}"}) for n in range(80)]
    assert find(rows) == []


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
            max_leaves=4,
        ),
        min_size=1,
        max_size=30,
    )
)
def test_any_json_is_checked_without_error(values):
    for finding in find([("some text", {"a": value}) for value in values]):
        assert 0 <= finding.quality <= 1
