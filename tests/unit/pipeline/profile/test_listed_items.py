"""Answers that name an item of a list in the message."""

import pytest

from pipeline.profile.listed_items import lists_options, named, option_share

ARTICLES = ("Where is my parcel?", "How to return shoes", "Pay by invoice")
QUESTIONS = ("these boots pinch", "lost in the post", "can I pay later")


def _message(question: str, marks: tuple[str, ...], items: tuple[str, ...] = ARTICLES, turn: int = 0) -> str:
    """A question with its list, whose order differs by `turn`, so that its lines do not stand in every message."""
    listed = items[turn:] + items[:turn]
    return "\n".join([f"Question: {question}", *(mark + item for mark, item in zip(marks, listed, strict=True))])


@pytest.mark.parametrize(
    "marks, answer",
    [
        (("1. ", "2. ", "3. "), "2"),
        (("1) ", "2) ", "3) "), "2."),
        (("A) ", "B) ", "C) "), "B"),
        (("(a) ", "(b) ", "(c) "), "b)"),
        (("[1] ", "[2] ", "[3] "), "[2]"),
        (("<1> ", "<2> ", "<3> "), "2"),
        (("Article 1: ", "Article 2: ", "Article 3: "), "Article 2"),
        (("- 1. ", "- 2. ", "- 3. "), '"2"'),
    ],
)
def test_the_text_of_the_named_item_is_the_label(marks: tuple[str, ...], answer: str) -> None:
    result = named([_message(question, marks, turn=turn) for turn, question in enumerate(QUESTIONS)], [answer] * 3)
    assert result.share == 1
    assert result.items == ["how to return shoes", "pay by invoice", "where is my parcel"]
    assert [rest.strip() for rest in result.rests] == [f"Question: {question}" for question in QUESTIONS]
    assert not result.decided_by_list


def test_an_answer_that_names_no_item_stays() -> None:
    messages = [_message("?", ("1. ", "2. ", "3. "), turn=turn) for turn in (0, 1, 2)]
    result = named(messages, ["3", "0", "1"])
    assert result.items == ["pay by invoice", "0", "pay by invoice"]
    assert result.share == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    "messages, answer",
    [
        ([_message("?", ("1. ", "2. ", "3. "), turn=turn) for turn in (0, 1, 2)], "a parcel"),
        (["Rate this from 1 to 5: lovely boots", "Rate this from 1 to 5: a sole came off"], "4"),
        (["1. only one item", "1. another one"], "1"),
        ([_message("?", ("A) ", "B) ", "C) "), turn=turn) for turn in (0, 1, 2)], "2"),
    ],
)
def test_other_answers_name_no_items(messages: list[str], answer: str) -> None:
    assert named(messages, [answer] * len(messages)).share == 0


def test_a_list_that_stands_in_every_message_names_the_labels() -> None:
    messages = [_message(question, ("1. ", "2. ", "3. ")) for question in QUESTIONS]
    assert named(messages, ["2", "1", "3"]).share == 0


def test_a_question_with_a_caption_is_no_item_of_a_numbered_list() -> None:
    messages = [f"Q: {text}\n1) {a}\n2) {b}" for text, a, b in (("slow", "Mail", "Visit"), ("late", "Visit", "Mail"))]
    assert [rest.strip() for rest in named(messages, ["2", "1"]).rests] == ["Q: slow", "Q: late"]


def test_items_that_are_right_whenever_they_are_offered_are_an_exam() -> None:
    questions = [f"{n}: what boils at {n} degrees?\nA) water{n}\nB) iron{n}\nC) salt{n}" for n in range(9)]
    result = named(questions, list("ABCABCABC"))
    assert result.share == 1
    assert result.decided_by_list


@pytest.mark.parametrize(
    "message",
    [
        "Which is right?\n(A) red big shoe\n(B) big red shoe",
        "哪一项正确？\n(A)月亮\n(B)太阳",
        "どれですか。\nA．朝\nB．夜",
        "Which acts alike?\n<1> frost\n<2> rain\n<3> hail",
        "問題\nア: 朝\nイ: 昼\nウ: 夜",
        "Яке дерево?\nА. дуб\nБ. верба\nВ. бук",
        "다음?\n① 봄\n② 여름\n③ 가을",
        "Which tree?\nChoices: oak | elm | none",
        "¿Cuál?\nOpciones: hielo / vapor",
    ],
)
def test_options_are_lettered_or_stand_on_one_line(message: str) -> None:
    assert lists_options(message)


@pytest.mark.parametrize(
    "message", ["1. Wash it.\n2. Dry it.", "Ö. Alm\nA. Berg\nÅ. Dal", "Stock: oak | elm\nFloor 2\nOpen now\nWhere?"]
)
def test_steps_and_rows_are_no_options(message: str) -> None:
    assert not lists_options(message)


@pytest.mark.parametrize(
    "answer, named_share", [("AC", 1.0), ("A, C", 1.0), ("A and D", 1.0), ("CA", 0.0), ("AZ", 0.0)]
)
def test_several_options_may_be_named_in_their_order(answer: str, named_share: float) -> None:
    assert option_share([answer], ["Which hold?\n(A) one\n(B) two\n(C) three\n(D) four"]) == named_share
    assert option_share([answer], ["Which team takes this mail?"]) == 0


def test_an_option_may_be_chosen_by_its_text_on_one_line() -> None:
    messages = [f"Speed {n}?\nChoices: {n} km | {n + 1} km | {n + 2} km" for n in range(9)]
    assert option_share([f"{n + n % 3} km" for n in range(9)], messages) == 1
    # The same place in each line: a field of a row.
    assert option_share([f"{n} km" for n in range(9)], messages) == 0


@pytest.mark.parametrize("answer", ["Б", "Б. верба", "верба", "(Б)"])
def test_options_may_have_letters_of_any_script(answer: str) -> None:
    assert option_share([answer], ["Яке дерево?\nА. дуб\nБ. верба\nВ. бук"]) == 1
    assert option_share([answer], ["Яке дерево росте над водою?"]) == 0


def test_a_word_that_begins_like_an_option_names_none() -> None:
    assert option_share(["oaks"], ["Which tree?\nA. elm\nB. oak\nC. ash"]) == 0
