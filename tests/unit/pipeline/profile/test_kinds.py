"""Kinds of requests and answers, by the tier that they lead to."""

from tests.fakes.proposed_tiers import tier

FILLED = {
    "json_share": 1.0, "stable_keys_share": 1.0, "answer_words_p50": 12, "answer_words_p90": 20,
    "distinct_answers": 200, "common_answer_share": 0.0, "new_answer_share": 1.0,
}  # fmt: skip


def test_calls_of_several_functions_in_text_are_tool_use_and_of_one_a_form() -> None:
    copied = FILLED | {"copied_value_share": 0.9}
    assert [tier(**copied, called_functions=n) for n in (0, 1, 12)] == [1, 1, 2]
    assert tier(**copied, called_functions=12, several_calls_share=0.8) == 3


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


LINE = ALL_NEW | {
    "answer_words_p50": 14, "answer_words_p90": 20, "user_words_p50": 13, "material_ratio": 1.1,
    "copied_word_share": 0.6, "length_tracking": 0.9, "length_spread": 0.15, "wording": {"generation": 1.0},
}  # fmt: skip
"""Lines as long as their messages."""


def test_short_texts_as_long_as_their_messages_are_rewrites() -> None:
    assert tier(**LINE) == 1
    assert tier(**LINE | {"length_tracking": 0.1}) == 2
    assert tier(**LINE | {"length_spread": 0.6}) == 2
    assert tier(**LINE | {"answer_words_p50": 45}) == 2
    assert tier(**LINE | {"answer_words_p50": 22}) == 2
    assert tier(**LINE | {"answer_words_p50": 22, "signs": {"rewrite": 1.0}}) == 1
    assert tier(**LINE | {"answer_words_p50": 45, "signs": {"rewrite": 1.0}}) == 2
    assert tier(**LINE | {"material_ratio": 1.6, "signs": {"generation": 1.0}}) == 2


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


def test_a_verdict_on_a_bare_question_has_to_be_known_or_worked_out() -> None:
    asked = {
        "answer_words_p50": 1, "answer_words_p90": 1, "distinct_answers": 2, "common_answer_share": 1.0,
        "new_answer_share": 0.0, "majority_share": 0.55, "bodies_per_answer": 40.0, "user_words_p50": 10,
        "question_share": 1.0, "skill": 0.02, "rows_per_label": 20.0, "wording": {"classification": 1.0},
        "signs": {"label": 1.0},
    }  # fmt: skip
    assert tier(**asked, bare_question_share=1.0) == 3
    assert tier(**asked, bare_question_share=0.3) == 1
    assert tier(**asked | {"skill": 0.7}, bare_question_share=1.0) == 1


def test_long_names_of_labels_are_labels() -> None:
    named = {
        "answer_words_p50": 6, "answer_words_p90": 10, "distinct_answers": 60, "common_answer_share": 0.97,
        "new_answer_share": 0.1, "majority_share": 0.1, "bodies_per_answer": 3.4, "user_words_p50": 40,
        "wording": {"generation": 1.0}, "signs": {"generation": 1.0},
    }  # fmt: skip
    assert tier(**named) == 1
    assert tier(**named | {"common_answer_share": 0.3, "new_answer_share": 0.7}) == 2
    assert tier(**named | {"bodies_per_answer": 1.0}) == 2


def test_a_sentence_made_of_fields_is_written_and_a_line_rewritten() -> None:
    assert tier(**LINE) == 1
    assert tier(**LINE, record_message_share=1.0) == 2


def test_short_translations_are_no_sure_rewrites() -> None:
    assert tier(**LINE | {"copied_word_share": 0.1}) == 2


def test_a_question_may_be_on_one_sentence_where_every_request_has_one() -> None:
    answered = ALL_NEW | {
        "answer_words_p50": 3, "answer_words_p90": 8, "user_words_p50": 24, "question_share": 1.0,
        "copied_word_share": 1.0, "length_ratio": 0.1, "wording": {"summarization": 1.0}, "signs": {"summary": 1.0},
    }  # fmt: skip
    assert tier(**answered, text_question_share=1.0) == 2
    assert tier(**answered, text_question_share=0.3) == 1


def test_answers_that_call_several_functions_are_an_agents() -> None:
    calling = {"tools": 20, "tool_call_share": 1.0, "wording": {"tool_use": 1.0}, "signs": {"multi_step": 1.0}}
    assert tier(**calling) == 2
    assert tier(**calling, several_calls_share=0.9) == 3


def test_small_answers_in_new_words_are_written_and_others_are_values() -> None:
    named = ALL_NEW | {
        "answer_words_p50": 3, "answer_words_p90": 5, "user_words_p50": 10, "new_word_share": 0.9,
        "wording": {"generation": 1.0},
    }  # fmt: skip
    assert tier(**named) == 2
    assert tier(**named | {"new_word_share": 0.2}) == 1
    assert tier(**named, edit_likeness=0.7) == 1
    assert tier(**named | {"new_answer_share": 0.4}) == 1


def test_passages_copied_into_a_field_are_extracted() -> None:
    copied = ALL_NEW | {
        "json_share": 1.0, "single_value": True, "answer_words_p50": 9, "answer_words_p90": 29, "user_words_p50": 260,
        "copied_value_share": 0.97, "copied_word_share": 1.0, "length_ratio": 0.04, "wording": {"reasoning": 1.0},
        "signs": {"reasoning": 1.0},
    }  # fmt: skip
    assert tier(**copied) == 1
    assert tier(**copied | {"copied_word_share": 0.4}) != 1
    assert tier(**copied, text_question_share=1.0) != 1


def test_what_a_cheap_classifier_learns_is_no_puzzle() -> None:
    related = {"puzzle_share": 1.0, "distinct_answers": 2, "wording": {"reasoning": 1.0}, "signs": {"reasoning": 1.0}}
    assert tier(**related, skill=0.1) == 3
    assert tier(**related, skill=0.94) == 1


def test_words_that_stand_nowhere_are_no_answer_to_a_puzzle() -> None:
    named = ALL_NEW | {
        "answer_words_p50": 4, "answer_words_p90": 6, "puzzle_share": 1.0, "wording": {"generation": 1.0},
        "copied_word_share": 0.0,
    }  # fmt: skip
    assert tier(**named, new_word_share=0.8) == 2
    assert tier(**named, new_word_share=0.1) == 3


def test_passages_that_the_instruction_asks_to_copy_are_extracted() -> None:
    copied = {
        "distinct_answers": 190, "common_answer_share": 0.02, "new_answer_share": 1.0, "majority_share": 0.02,
        "user_words_p50": 250, "answer_words_p50": 9, "answer_words_p90": 26, "copied_word_share": 1.0,
        "length_ratio": 0.04, "new_word_share": 0.01, "wording": {"reasoning": 1.0},
        "signs": {"extraction": 1.0, "reasoning": 1.0},
    }  # fmt: skip
    assert tier(**copied) == 1
    assert tier(**copied | {"copied_word_share": 0.7}) > 1
    assert tier(**copied | {"signs": {"reasoning": 1.0}}) > 1
    assert tier(**copied, text_question_share=1.0) > 1
