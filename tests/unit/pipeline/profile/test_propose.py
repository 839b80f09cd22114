"""Effect of single signals on a proposal."""

from typing import Any

import pytest

from pipeline.profile.behaviour import Behaviour
from pipeline.profile.propose import propose
from tests.fakes.proposed_tiers import CLOSED, tier


def test_closed_short_answers_that_a_cheap_classifier_learns_are_labels() -> None:
    assert tier(skill=0.6) == 1


def test_rare_labels_say_nothing_about_how_hard_they_are() -> None:
    assert tier(skill=0.0, majority_share=0.93) == 1


@pytest.mark.parametrize(
    "hard",
    [
        {"skill": 0.4, "skill_without_numbers": 0.03, "user_numbers_p50": 6, "user_words_p50": 30},
        {"skill": 0.35, "candidates_p50": 4, "copied_word_share": 1.0, "distinct_answers": 20},
        {"skill": 0.02},
        {"skill": 0.02, "code_input_share": 1.0, "user_words_p50": 80},
        {"decided_by_numbers_share": 0.9, "user_numbers_p50": 9, "bodies_per_answer": 1.0},
        {"decided_by_numbers_share": 0.9, "user_numbers_p50": 9, "json_share": 1.0, "closed_value_share": 1.0},
    ],
    ids=["quantities", "candidates", "nothing learnt", "program text", "same text", "verdict in JSON"],
)
def test_a_short_closed_answer_may_be_hard(hard: dict[str, Any]) -> None:
    assert tier(**hard) == 3


def test_quantities_that_decide_nothing_do_not_make_a_label_hard() -> None:
    assert tier(skill=0.9, skill_without_numbers=0.9, user_numbers_p50=7, user_words_p50=40) == 1


def test_a_verdict_on_facts_is_hard_where_the_instruction_orders_to_analyse_them() -> None:
    verdict = {"skill": 0.6, "user_words_p50": 40, "distinct_answers": 3, "majority_share": 0.5, "rows_per_label": 40}
    assert tier(**verdict) == 1
    for sign in ("reasoning", "analysis"):
        assert tier(**verdict, signs={sign: 1.0}, wording={"reasoning": 0.3}) != 1


def test_ratings_that_chance_to_stand_in_the_message_are_ratings() -> None:
    rated = propose(Behaviour(**{**CLOSED, "number_share": 1.0, "largest_number": 5.0, "copied_word_share": 1.0}))
    assert rated.request_type == "classification"


def test_of_a_handful_of_rows_the_wording_decides_that_they_are_hard() -> None:
    assert tier(answered=2, wording={"reasoning": 1.0}) == 3
    assert tier(answered=2, wording={"classification": 1.0}) == 2


def test_prepared_texts_sent_again_and_again_are_a_label_however_long_they_are() -> None:
    canned: dict[str, Any] = {"answer_words_p50": 24, "answer_words_p90": 30, "distinct_answers": 5}
    assert tier(**canned) == 1
    assert tier(**canned, bodies_per_answer=1.2) == 2
    assert tier(**{**canned, "common_answer_share": 0.3, "distinct_answers": 150}) == 2


OPEN = {"common_answer_share": 0.0, "new_answer_share": 1.0, "answer_words_p50": 6, "answer_words_p90": 9}


def test_a_reason_with_a_label_that_is_learnt_is_a_label() -> None:
    reasoned = {
        "answer_words_p50": 14, "answer_words_p90": 18, "json_share": 1.0, "keys": ("why", "level"),
        "closed_value_share": 0.5, "prose_words_p50": 11, "new_answer_share": 1.0, "common_answer_share": 0.0,
    }  # fmt: skip
    assert tier(**reasoned, verdict_share=1.0, verdict_skill=0.9) == 1
    assert tier(**reasoned, verdict_share=1.0, verdict_skill=0.3) == 2
    assert tier(**{**reasoned, "json_share": 0.0}, verdict_share=1.0, verdict_skill=0.02) == 3
    assert tier(**reasoned, verdict_share=1.0, verdict_skill=0.9, code_input_share=1.0) != 1


def test_a_long_answer_to_a_question_on_long_material_is_more_than_a_summary() -> None:
    asked = {
        **OPEN, "input_tokens_p50": 2000, "user_words_p50": 1400, "question_share": 1.0, "length_ratio": 0.1,
        "answer_words_p50": 130, "answer_words_p90": 150,
    }  # fmt: skip
    assert tier(**asked, wording={"long_context": 0.7, "generation": 0.3}) == 3
    assert tier(**asked, wording={"generation": 1.0}, signs={"generation": 1.0}) == 2
    assert tier(**{**asked, "answer_words_p50": 60}, wording={"long_context": 0.7, "generation": 0.3}) == 2


def test_many_labels_of_few_rows_are_labels_unless_the_messages_repeat() -> None:
    many = {"answered": 60, "distinct_answers": 38, "json_share": 1.0, "closed_value_share": 1.0}
    assert tier(**many, bodies_per_answer=1.55) == 1
    assert tier(**many, bodies_per_answer=0.5) != 1


def test_a_few_rows_of_which_nothing_is_learnt_are_doubted() -> None:
    assert tier(answered=28, bodies_per_answer=9.0, skill=0.0) == 3
    assert tier(answered=28, bodies_per_answer=9.0, skill=0.6) == 1
    assert tier(answered=28, bodies_per_answer=9.0) == 1


def test_an_unsure_shape_goes_to_tier_3_only_where_something_speaks_for_it() -> None:
    open_ = {"answer_words_p50": 20, "answer_words_p90": 60, "common_answer_share": 0.0, "new_answer_share": 1.0}
    assert tier(**{**open_, "answer_words_p50": 8}) == 2
    assert tier(**open_, wording={"reasoning": 1.0}, signs={"judgement": 1.0}) == 3


def test_a_few_words_in_another_order_are_a_rewrite_unless_they_answer_a_question() -> None:
    short = {"answer_words_p50": 2, "answer_words_p90": 2, "copied_word_share": 1.0, "length_ratio": 0.67}
    name = {**CLOSED, **short, "user_words_p50": 3, "common_answer_share": 0.1, "new_answer_share": 0.95}
    assert tier(**name) == 1
    assert tier(**name, question_share=1.0) != 1


def test_of_many_labels_with_a_few_rows_each_a_classifier_need_not_learn_anything() -> None:
    labels = {"common_answer_share": 1.0, "distinct_answers": 20, "majority_share": 0.5, "skill": 0.0}
    assert tier(**labels, rows_per_label=20.0) > tier(**labels, rows_per_label=1.5) == 1


def test_an_option_chosen_by_its_text_is_reasoning_however_long_it_is() -> None:
    assert tier(option_share=0.9, option_list_share=1.0, answer_words_p50=9, answer_words_p90=20) == 3


def test_a_short_message_without_premises_leaves_nothing_to_reason_about() -> None:
    assert tier(skill=0.0, user_words_p50=14) == 1
    assert tier(skill=0.0, user_words_p50=14, puzzle_share=1.0) == 3
    assert tier(skill=0.0, user_words_p50=14, user_numbers_p50=4) == 3


def test_numbers_or_program_text_in_messages_are_no_instruction_to_reason() -> None:
    prose = {
        "common_answer_share": 0.0, "distinct_answers": 200, "answer_words_p50": 80, "answer_words_p90": 120,
        "new_answer_share": 1.0, "wording": {"reasoning": 1.0},
    }  # fmt: skip
    assert tier(**prose) == 2
    assert tier(**prose, question_share=1.0) == 3
    assert tier(**prose, signs={"reasoning": 1.0}) == 3


def test_short_answers_in_which_nothing_is_new_are_extractions() -> None:
    open_ = {
        "common_answer_share": 0.3, "distinct_answers": 80, "new_answer_share": 0.7, "answer_words_p50": 4,
        "answer_words_p90": 10, "copied_word_share": 0.5,
    }  # fmt: skip
    assert tier(**open_, new_word_share=0.0) == 1
    assert tier(**open_, new_word_share=0.3) == 2
    assert tier(**open_, new_word_share=0.0, wording={"reasoning": 1.0}) != 1


def test_much_hidden_reasoning_outweighs_the_form_of_the_answer() -> None:
    record = {
        "json_share": 1.0, "prose_words_p50": 17, "answer_words_p50": 30, "answer_words_p90": 40,
        "common_answer_share": 0.0, "new_answer_share": 1.0,
    }  # fmt: skip
    assert tier(**record) == 2
    assert tier(**record, reasoning_tokens_p50=1500) == 3


def test_few_words_in_and_few_out_are_easy_unless_they_are_quantities_or_asked_to_be_reasoned() -> None:
    small = {**OPEN, "user_words_p50": 12, "answer_words_p50": 3, "answer_words_p90": 5, "new_word_share": 0.5}
    assert tier(**small) == 1
    assert tier(**small, json_share=1.0, keys=("date", "city")) == 1
    assert tier(**{**small, "user_words_p50": 60}) != 1
    assert tier(**small, signs={"reasoning": 1.0}, wording={"reasoning": 1.0}) != 1
    assert tier(**small, number_share=1.0, largest_number=40.0, user_numbers_p50=6) == 3


def test_a_choice_among_many_functions_is_no_agent_unless_it_goes_on_from_results() -> None:
    offered = {**OPEN, "tools": 6, "tool_call_share": 1.0}
    assert tier(**offered) == 2
    assert tier(**offered, tool_result_share=0.5, chain_p90=4) == 3


def test_what_a_draft_begins_with_is_no_verdict() -> None:
    draft = {
        **OPEN, "answer_words_p50": 20, "answer_words_p90": 30, "verdict_share": 1.0, "verdict_skill": 0.0,
        "user_numbers_p50": 8,
    }  # fmt: skip
    assert tier(**draft) == 3
    assert tier(**draft, signs={"generation": 1.0}) == 2
    assert tier(**draft, signs={"summary": 1.0}) == 2
    assert tier(**draft, signs={"generation": 1.0, "deliberation": 1.0}) == 3


def test_a_form_of_short_values_is_an_extraction_even_where_they_are_normalised() -> None:
    form = {**OPEN, "json_share": 1.0, "keys": ("date", "vat"), "answer_words_p50": 15, "answer_words_p90": 20}
    assert tier(**form, prose_words_p50=1) == 1
    assert tier(**form, prose_words_p50=8) == 2


def test_a_long_text_on_something_worded_like_reasoning_is_an_argument() -> None:
    prose = {**OPEN, "wording": {"reasoning": 1.0}, "question_share": 1.0}
    assert tier(**{**prose, "answer_words_p50": 140, "answer_words_p90": 160}) == 3
    assert tier(**{**prose, "answer_words_p50": 30, "answer_words_p90": 50}) == 2


def test_a_verdict_on_facts_is_hard_unless_a_classifier_learns_it() -> None:
    verdict = {"distinct_answers": 3, "majority_share": 0.5, "user_words_p50": 50, "wording": {"classification": 1.0}}
    assert tier(**verdict, skill=0.3) == 3
    assert tier(**verdict, skill=0.6) == 1
    assert tier(**{**verdict, "majority_share": 0.8}, skill=0.3) == 1
    assert tier(**{**verdict, "distinct_answers": 12}, skill=0.3) == 1
    assert tier(**{**verdict, "user_words_p50": 10}, skill=0.3) == 1


def test_a_count_that_a_message_asks_for_is_no_rating() -> None:
    counts = {"number_share": 1.0, "largest_number": 8.0, "distinct_answers": 8, "skill": None}
    assert tier(**counts, question_share=1.0) == 3
    assert tier(**counts) == 1


QUESTION = {"question_share": 1.0, "user_words_p50": 12, "distinct_answers": 2, "majority_share": 0.52}


def test_questions_of_a_few_words_in_new_combinations_are_hard_where_nothing_is_learnt() -> None:
    assert tier(**QUESTION, skill=0.0, new_message_word_share=0.01) == 3
    assert tier(**QUESTION, skill=0.8, new_message_word_share=0.01) == 1


def test_of_open_questions_many_are_needed_to_say_that_they_cannot_be_learnt() -> None:
    assert tier(**QUESTION, skill=0.0, rows_per_label=60.0) == 3
    assert tier(**QUESTION, skill=0.0, rows_per_label=10.0) < 3


def test_short_messages_of_new_words_may_be_labels_that_are_hard_to_learn() -> None:
    assert tier(user_words_p50=12, skill=0.0, new_message_word_share=0.2) == 1


def test_a_puzzle_of_few_words_stays_hard_where_half_of_it_is_learnt() -> None:
    half = {"skill": 0.3, "user_words_p50": 8, "distinct_answers": 2, "majority_share": 0.55}
    assert tier(**half, new_message_word_share=0.0) == 3
    assert tier(**half, new_message_word_share=0.2) == 1


def test_a_puzzle_that_names_its_possible_answers_is_one_all_the_same() -> None:
    named = {"candidates_p50": 2, "distinct_answers": 2, "user_words_p50": 8, "majority_share": 0.55}
    assert tier(**named, skill=0.1, new_message_word_share=0.0) == 3


PROSE = {"answer_words_p50": 80, "answer_words_p90": 90, "common_answer_share": 0.0, "new_answer_share": 1.0}


def test_a_record_of_numbers_that_are_not_in_the_request_is_a_calculation() -> None:
    record = {"json_share": 1.0, "prose_words_p50": 16, "user_numbers_p50": 7, "wording": {"reasoning": 1.0}}
    assert tier(**PROSE, **record, new_word_share=0.5) == 3
    assert tier(**PROSE, **record, new_word_share=0.1) == 2


def test_a_long_edit_is_no_argument() -> None:
    edit = {"edit_likeness": 0.98, "copied_word_share": 0.97, "length_ratio": 1.0, "working_share": 0.7}
    long = {"answer_words_p50": 156, "answer_words_p90": 216, "user_words_p50": 156}
    assert tier(**PROSE | long, **edit, wording={"reasoning": 1.0}) == 1


def test_how_a_reply_to_a_short_message_begins_is_no_verdict() -> None:
    reply = {"answer_words_p50": 33, "answer_words_p90": 37, "verdict_share": 1.0, "verdict_skill": 0.0}
    assert tier(**PROSE | reply, user_words_p50=10) == 2
    assert tier(**PROSE | reply, user_words_p50=60) == 3


def test_a_question_inside_a_text_that_gets_a_title_is_not_the_task() -> None:
    title = {"answer_words_p50": 4, "answer_words_p90": 5, "copied_word_share": 0.7, "new_word_share": 0.01}
    asked = {"user_words_p50": 16, "question_share": 0.7, "common_answer_share": 0.1, "new_answer_share": 0.7}
    assert tier(**title, **asked, distinct_answers=180, signs={"generation": 1.0}) == 1
    assert tier(**title, **asked, distinct_answers=180) == 2


def test_a_verdict_that_is_to_be_weighed_is_hard_where_it_is_half_learnt() -> None:
    weighed = {"signs": {"judgement": 1.0}, "wording": {"reasoning": 1.0}}
    assert tier(skill=0.57, **weighed) == 3
    assert tier(skill=0.9, **weighed) == 1
    assert tier(skill=0.57) == 1


def test_a_verdict_worded_like_reasoning_is_doubted_up_to_half_of_the_skill() -> None:
    worded = {"wording": {"reasoning": 1.0}, "question_share": 1.0, "user_words_p50": 90}
    assert tier(skill=0.42, **worded) == 3
    assert tier(skill=0.7, **worded) == 1


def test_short_replies_in_a_conversation_are_drafts_and_long_ones_are_chat() -> None:
    talk = {"turn_share": 0.7, "wording": {"chat": 0.7, "generation": 0.3}, "user_words_p50": 12}
    assert tier(**PROSE | {"answer_words_p50": 20, "answer_words_p90": 23}, **talk) == 2
    assert tier(**PROSE | {"answer_words_p50": 80, "answer_words_p90": 120}, **talk) == 3


def test_a_verdict_with_its_reason_that_is_too_rare_to_be_learnt_is_judged_by_its_wording() -> None:
    verdict = {"json_share": 1.0, "prose_words_p50": 25, "verdict_share": 1.0, "user_words_p50": 160}
    words = {"answer_words_p50": 28, "answer_words_p90": 31}
    assert tier(**PROSE | words, **verdict, wording={"reasoning": 1.0}) == 3
    assert tier(**PROSE | words, **verdict, wording={"structured": 1.0}) == 2
    assert tier(**PROSE | words, **verdict | {"json_share": 0.0}, wording={"reasoning": 1.0}) == 2


def test_numbers_are_calculated_only_from_something() -> None:
    numbers = {"number_share": 1.0, "largest_number": 8400.0, "distinct_answers": 40, "skill": None}
    few = {"user_words_p50": 3, "copied_word_share": 0.0}
    assert tier(**numbers, **few) == 1
    assert tier(**numbers, **few, user_numbers_p50=2) == 3
    assert tier(**numbers, **few, question_share=1.0) == 3


def test_short_answers_to_questions_on_a_text_are_written_from_it() -> None:
    spans = {
        "common_answer_share": 0.2, "new_answer_share": 0.7, "distinct_answers": 150, "answer_words_p50": 3,
        "answer_words_p90": 6, "copied_word_share": 1.0, "length_ratio": 0.03, "user_words_p50": 120,
    }  # fmt: skip
    assert tier(**spans) == 1
    assert tier(**spans, text_question_share=1.0, question_share=1.0) == 2
    record = spans | {"json_share": 1.0, "stable_keys_share": 1.0, "copied_value_share": 1.0, "answer_words_p90": 20}
    assert tier(**record) == 1
    assert tier(**record, text_question_share=1.0, question_share=1.0) == 2


def test_few_long_texts_do_not_show_that_a_label_cannot_be_learnt() -> None:
    reviews = {"skill": 0.05, "rows_per_label": 10.0, "distinct_answers": 2}
    assert tier(**reviews, user_words_p50=150) < 3
    assert tier(**reviews, user_words_p50=40) == 3


def test_answers_of_the_same_length_as_their_messages_are_transformed() -> None:
    same = {
        "common_answer_share": 0.0, "new_answer_share": 1.0, "distinct_answers": 200, "answer_words_p50": 12,
        "answer_words_p90": 18, "copied_word_share": 0.6, "length_tracking": 1.0, "material_ratio": 1.0,
        "length_ratio": 0.5,
    }  # fmt: skip
    assert tier(**same) == 1
    assert tier(**same | {"length_tracking": 0.1}) == 2


def test_the_template_of_a_message_does_not_hide_that_it_is_edited() -> None:
    edited = {
        "common_answer_share": 0.0, "new_answer_share": 1.0, "distinct_answers": 200, "answer_words_p50": 22,
        "answer_words_p90": 28, "edit_likeness": 0.8, "copied_word_share": 0.95, "length_ratio": 0.4,
    }  # fmt: skip
    assert tier(**edited, material_ratio=0.8) == 1
    assert tier(**edited, material_ratio=0.3) == 2


def test_what_speaks_for_an_agent_speaks_for_tier_3_where_known_call_sites_are_undecided() -> None:
    calling = {
        "sampled": 60, "answered": 60, "tools": 28, "tool_call_share": 1.0, "several_calls_share": 0.46,
        "signs": {"multi_step": 1.0},
    }  # fmt: skip
    proposal = propose(Behaviour(**calling), {1: 0.03, 2: 0.52, 3: 0.45})
    assert (proposal.tier, proposal.unsure) == (3, True)
