"""Answers that name an item of a list in the message."""

import pytest

from pipeline.profile.listed_items import named

ARTICLES = "{a}Where is my parcel?\n{b}How to return shoes\n{c}Pay by invoice"


@pytest.mark.parametrize(
    "marks, answer",
    [
        (("1. ", "2. ", "3. "), "2"),
        (("1) ", "2) ", "3) "), "2."),
        (("A) ", "B) ", "C) "), "B"),
        (("(a) ", "(b) ", "(c) "), "b)"),
        (("[1] ", "[2] ", "[3] "), "[2]"),
        (("Article 1: ", "Article 2: ", "Article 3: "), "Article 2"),
        (("- 1. ", "- 2. ", "- 3. "), '"2"'),
    ],
)
def test_the_text_of_the_named_item_is_the_label(marks: tuple[str, ...], answer: str) -> None:
    listed = ARTICLES.format(a=marks[0], b=marks[1], c=marks[2])
    result = named([f"Question: these boots pinch\n{listed}"] * 2, [answer, marks[0].strip(" -:")])
    assert result is not None
    rests, items = result
    assert items == ["how to return shoes", "where is my parcel"]
    assert {rest.strip() for rest in rests} == {"Question: these boots pinch"}


def test_an_answer_that_names_no_item_stays() -> None:
    messages = [ARTICLES.format(a="1. ", b="2. ", c="3. ")] * 4
    result = named(messages, ["3", "1", "0", "2"])
    assert result is not None
    assert result[1] == ["pay by invoice", "where is my parcel", "0", "how to return shoes"]


@pytest.mark.parametrize(
    "message, answer",
    [
        (ARTICLES.format(a="1. ", b="2. ", c="3. "), "a parcel"),
        ("Rate this from 1 to 5: lovely boots", "4"),
        ("1. only one item", "1"),
        (ARTICLES.format(a="A) ", b="B) ", c="C) "), "2"),
    ],
)
def test_other_answers_name_no_items(message: str, answer: str) -> None:
    assert named([message] * 3, [answer] * 3) is None


def test_a_question_with_a_caption_is_no_item_of_a_numbered_list() -> None:
    result = named(["Q: these boots pinch\n1) Delivery\n2) Returns"] * 2, ["2", "1"])
    assert result is not None
    assert result[0][0].startswith("Q: these boots pinch")


def test_items_that_are_right_whenever_they_are_offered_are_an_exam() -> None:
    questions = [f"{n}: what boils at {n} degrees?\nA) water{n}\nB) iron{n}\nC) salt{n}" for n in range(9)]
    assert named(questions, list("ABCABCABC")) is None
