"""What cheap classifiers learn or do not learn, by the tier that it leads to."""

from tests.fakes.proposed_tiers import tier

UNLEARNT = {"skill": 0.0, "distinct_answers": 2, "user_numbers_p50": 4, "majority_share": 0.5}
PICKED = {
    "skill": 0.05, "number_share": 1.0, "largest_number": 9, "distinct_answers": 10, "question_share": 1.0,
    "option_list_share": 1.0, "user_words_p50": 60,
}  # fmt: skip
ARGUED = {
    "answer_words_p50": 10, "answer_words_p90": 14, "distinct_answers": 150, "common_answer_share": 0.1,
    "new_answer_share": 0.9, "verdict_share": 0.95, "verdict_skill": 0.4, "user_words_p50": 60,
}  # fmt: skip


def test_a_verdict_that_follows_from_how_alike_the_parts_of_a_message_are_is_a_label() -> None:
    assert tier(**UNLEARNT) == 3
    assert tier(**UNLEARNT, comparison_skill=0.3) == 3
    assert tier(**UNLEARNT, comparison_skill=0.8) == 1


def test_the_same_is_a_label_written_as_one_or_zero() -> None:
    numbered = UNLEARNT | {"number_share": 1.0, "largest_number": 1.0, "question_share": 1.0}
    assert tier(**numbered) == 3
    assert tier(**numbered, comparison_skill=0.8) == 1


def test_the_same_is_a_label_stated_with_a_reason() -> None:
    assert tier(**ARGUED) > 1
    assert tier(**ARGUED, comparison_skill=0.8) == 1


def test_the_number_of_a_listed_item_is_a_label_where_its_text_is_learnt() -> None:
    assert tier(**PICKED) == 3
    assert tier(**PICKED, picked_skill=0.2) == 3
    assert tier(**PICKED, picked_skill=0.8) == 1


def test_an_argument_for_one_of_the_listed_options_is_reasoning() -> None:
    assert tier(**ARGUED, verdict_option_share=0.0) < 3
    assert tier(**ARGUED, verdict_option_share=0.95) == 3


def test_the_number_of_a_listed_item_is_a_choice_where_its_text_is_not_learnt() -> None:
    listed = PICKED | {"skill": None, "largest_number": 4, "question_share": 0.0, "option_list_share": 0.0}
    assert tier(**listed) == 1
    assert tier(**listed, picked_share=0.9) == 3


def test_one_and_zero_are_labels_and_no_quantities() -> None:
    answers = {"number_share": 1.0, "distinct_answers": 2, "question_share": 1.0, "skill": 0.6}
    assert tier(**answers, largest_number=1.0) == 1
    assert tier(**answers, largest_number=40.0) == 3


def test_a_verdict_that_a_text_gives_is_an_answer_from_a_context() -> None:
    asked = {
        "question_share": 1.0, "skill": 0.0, "rows_per_label": 60.0, "user_words_p50": 150, "distinct_answers": 2,
        "majority_share": 0.55, "wording": {"reasoning": 0.6},
    }  # fmt: skip
    assert tier(**asked) == 3
    assert tier(**asked, text_question_share=1.0) == 2
    assert tier(**asked, text_question_share=1.0, option_list_share=1.0) == 3


def test_a_statement_on_a_text_is_checked_although_a_classifier_of_words_learns_nothing() -> None:
    checked = {"skill": 0.05, "rows_per_label": 60.0, "signs": {"label": 1.0}, "restated_share": 0.8}
    assert tier(**checked) < 3
    assert tier(**checked | {"restated_share": 0.2}) == 3
    assert tier(**checked, puzzle_share=0.8) == 3
    assert tier(**checked | {"signs": {"deliberation": 1.0}}) == 3
    assert tier(**checked, new_message_word_share=0.01) == 3
