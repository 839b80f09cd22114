"""pipeline/extract/label_quality/rewrites.py"""

import pytest

from pipeline.extract.label_quality import rewrites
from tests.fakes.call_site_rows import row


def reasons(*odd: tuple[str, str]) -> dict[int, str]:
    """Reasons by index; the unusual pairs come before sixty ordinary ones."""
    ordinary = [(f"where is my parcel number {n} please", f"parcel number {n}") for n in range(60)]
    rows = [row(n, text, answer) for n, (text, answer) in enumerate([*odd, *ordinary])]
    return {finding.row_index: finding.reason for finding in rewrites.find(rows, [True] * len(rows))}


@pytest.mark.parametrize(
    "answer, reason",
    [
        ("Where is my  order number 7 please", "repeats the request"),
        ("Keywords: order number 7", "words before the answer"),
        ('"order number 7"', "in quotes"),
        ("order number 7\n\n(I shortened it.)", "a remark after the answer"),
        ("order\nnumber 7", "more lines than the request"),
        ("заказ номер 7", "another script than the request"),
        ("order number 7 " * 20, "much longer"),
    ],
)
def test_answers_with_a_rare_form_are_suspects(answer, reason):
    why = reasons(("where is my order number 7 please", answer))
    assert list(why) == [0]
    assert reason in why[0]


@pytest.mark.parametrize(
    "text, answer",
    [
        ("where is my order number 7 please", "order number 7"),
        ('"where is it please"', '"where is it"'),
        ("note: where is my order please", "note: order"),
    ],
)
def test_a_form_copied_from_the_request_is_not_a_suspect(text, answer):
    assert reasons((text, answer)) == {}


def test_a_frequent_form_is_not_a_suspect():
    echoes = [(f"order {n} is late", f"order {n} is late") for n in range(20)]
    assert reasons(*echoes) == {}


def test_too_few_rows_give_no_suspects():
    rows = [row(n, "text", "text") for n in range(5)]
    assert rewrites.find(rows, [True] * 5) == []
