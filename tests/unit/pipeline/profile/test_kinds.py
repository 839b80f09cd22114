"""Kinds of requests and answers, by the tier that they lead to."""

from tests.fakes.proposed_tiers import tier

FILLED = {
    "json_share": 1.0, "stable_keys_share": 1.0, "answer_words_p50": 12, "answer_words_p90": 20,
    "distinct_answers": 200, "common_answer_share": 0.0, "new_answer_share": 1.0,
}  # fmt: skip


def test_calls_of_several_functions_in_text_are_tool_use_and_of_one_a_form() -> None:
    copied = FILLED | {"copied_value_share": 0.9}
    assert [tier(**copied, called_functions=n) for n in (0, 1, 12)] == [1, 1, 2]


def test_a_text_made_of_a_message_adds_to_it_and_an_edit_does_not() -> None:
    copied = {
        "answer_words_p50": 60, "answer_words_p90": 80, "user_words_p50": 48, "edit_likeness": 0.8,
        "copied_word_share": 0.83, "common_answer_share": 0.0, "new_answer_share": 1.0, "distinct_answers": 200,
        "wording": {"generation": 1.0}, "signs": {"generation": 1.0},
    }  # fmt: skip
    assert tier(**copied, length_ratio=1.0) == 1
    assert tier(**copied, length_ratio=1.33) == 2
    assert tier(**copied | {"signs": {"generation": 1.0, "rewrite": 1.0}}, length_ratio=1.33) == 1


ALL_NEW = {"common_answer_share": 0.0, "new_answer_share": 1.0, "distinct_answers": 200}


def test_short_texts_as_long_as_their_messages_are_rewrites() -> None:
    line = ALL_NEW | {
        "answer_words_p50": 14, "answer_words_p90": 20, "user_words_p50": 13, "material_ratio": 1.1,
        "length_tracking": 0.9, "length_spread": 0.15, "wording": {"generation": 1.0},
    }  # fmt: skip
    assert tier(**line) == 1
    assert tier(**line | {"length_tracking": 0.1}) == 2
    assert tier(**line | {"length_spread": 0.6}) == 2
    assert tier(**line | {"answer_words_p50": 45}) == 2
    assert tier(**line | {"answer_words_p50": 22}) == 2
    assert tier(**line | {"answer_words_p50": 22, "signs": {"rewrite": 1.0}}) == 1
    assert tier(**line | {"answer_words_p50": 45, "signs": {"rewrite": 1.0}}) == 2
    assert tier(**line | {"material_ratio": 1.6, "signs": {"generation": 1.0}}) == 2


def test_a_record_with_computed_numbers_is_a_calculation() -> None:
    record = FILLED | {
        "closed_value_share": 0.5, "copied_value_share": 0.6, "numbered_share": 1.0, "user_numbers_p50": 12,
        "wording": {"reasoning": 1.0},
    }  # fmt: skip
    assert tier(**record, copied_number_share=0.5) == 3
    assert tier(**record, copied_number_share=0.95) == 1


def test_one_of_a_few_labels_on_a_list_of_facts_is_weighed() -> None:
    half_learnt = {"skill": 0.47, "distinct_answers": 2, "user_numbers_p50": 3, "wording": {"moderation": 1.0}}
    assert tier(**half_learnt, fact_list_share=0.0) == 1
    assert tier(**half_learnt, fact_list_share=1.0) == 3
    assert tier(**half_learnt | {"skill": 0.9}, fact_list_share=1.0) == 1
    assert [tier(distinct_answers=2, fact_list_share=share) for share in (0.0, 1.0)] == [1, 3]


def test_a_letter_made_of_facts_is_no_edit_of_them_and_a_letter_made_of_a_letter_is() -> None:
    letter = ALL_NEW | {
        "answer_words_p50": 47, "answer_words_p90": 50, "user_words_p50": 46, "copied_word_share": 0.7,
        "length_ratio": 1.0, "letter_share": 1.0, "wording": {"generation": 1.0},
    }  # fmt: skip
    assert tier(**letter, edit_likeness=0.62) == 2
    assert tier(**letter, edit_likeness=0.95) == 1
