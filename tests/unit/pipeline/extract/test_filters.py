from collections.abc import Callable

import pytest

from pipeline.extract.filters import Ledger, distinct, with_good_answer, with_template, without_control_tokens
from pipeline.extract.task import in_one_key_order
from tests.fakes.call_site_rows import row
from tests.fakes.growth import assert_linear
from traffic.callsites import Checks
from traffic.templates import find_templates

LABELS = Checks(labels=("brakes", "gears"))


def counts(ledger: Ledger) -> dict[str, int]:
    return {
        f.name: f.removed for f in ledger.close(ledger.considered - sum(f.removed for f in ledger._filters.values()))
    }


def test_a_row_removed_without_a_reason_is_an_error() -> None:
    ledger = Ledger(10)
    ledger.add("errors", 3, "the attempt failed")
    assert [f.removed for f in ledger.close(7)] == [3]
    with pytest.raises(AssertionError, match="10 considered, 3 removed, 6 kept"):
        ledger.close(6)


def test_counts_of_one_name_add_up() -> None:
    ledger = Ledger(5)
    ledger.add("no_answer", 2, "nothing logged")
    ledger.add("no_answer", 1, "nothing logged")
    assert [(f.name, f.removed) for f in ledger.close(2)] == [("no_answer", 3)]


def test_answers_that_fail_a_check_are_counted_by_the_check() -> None:
    rows = [
        row(1, answer=" gears\n"),
        row(2, answer="gears or brakes"),
        row(3, answer="brakes", finish_reason="content_filter"),
        row(4, answer="   "),
    ]
    ledger = Ledger(4)
    kept = with_good_answer(rows, LABELS, ledger)
    assert [(r.id, r.answer) for r in kept] == [("r00001", "gears")]
    assert counts(ledger) == {"no_answer": 1, "refused": 1, "off_label_set": 1}


def test_spelling_variants_become_the_label_and_are_listed() -> None:
    rows = [row(1, answer="Label: **Gears**."), row(2, answer="<think>wheels</think>\ngears"), row(3, answer="gears")]
    ledger = Ledger(3)
    kept = with_good_answer(rows, LABELS, ledger)
    assert [(r.answer, r.logged_text) for r in kept] == [("gears", "gears")] * 3
    assert ledger.variants == {("Label: **Gears**.", "gears"): 1, ("<think>wheels</think>\ngears", "gears"): 1}


def test_the_token_that_ends_an_answer_is_no_part_of_it() -> None:
    rows = [row(1, answer="gears<|im_end|>"), row(2, answer="gears</s>\n", label_source="human")]
    kept = with_good_answer(without_control_tokens(rows, Ledger(2)), LABELS, Ledger(2))
    assert [(r.answer, r.logged_text) for r in kept] == [("gears", "gears")] * 2


def test_a_correction_counts_regardless_of_the_finish_reason() -> None:
    ledger = Ledger(1)
    rows = [row(1, answer="gears", finish_reason="length", label_source="corrected")]
    assert with_good_answer(rows, LABELS, ledger) == rows


def test_json_answers_become_compact_and_keep_the_order_of_their_keys() -> None:
    ledger = Ledger(3)
    rows = [row(1, answer='{ "b": "ü",\n "a": 1 }'), row(2, answer="{'b': 1}"), row(3, answer='{"b": 1}')]
    checks = Checks(json=True, json_schema={"type": "object", "required": ["a"]})
    assert [r.answer for r in with_good_answer(rows, checks, ledger)] == ['{"b":"ü","a":1}']
    assert counts(ledger) == {"refused": 0, "invalid_json": 1, "schema_invalid": 1}


def test_keys_get_their_most_frequent_order_at_every_depth() -> None:
    answers = ['{"a":1,"b":{"c":1,"d":2}}', '{"b":{"d":2,"c":1},"a":1}', '{"a":2,"b":{"d":3,"c":1}}']
    kept = with_good_answer([row(n, answer=a) for n, a in enumerate(answers)], Checks(json=True), Ledger(3))
    assert [r.answer for r in kept] == ['{"a":1,"b":{"d":2,"c":1}}'] * 2 + ['{"a":2,"b":{"d":3,"c":1}}']


def test_keys_of_objects_with_optional_fields_have_one_order() -> None:
    answers = [
        '{"a":1,"b":2,"c":{"x":1,"a":2}}',
        '{"a":1,"b":2,"c":{}}',
        '{"b":2,"a":1}',
        '{"d":1,"b":2}',
        '{"c":{"a":1}}',
    ]
    kept = with_good_answer([row(n, answer=a) for n, a in enumerate(answers)], Checks(json=True), Ledger(5))
    assert [r.answer for r in kept] == [*answers[:2], '{"a":1,"b":2}', *answers[3:]]


def test_thousands_of_different_keys_are_ordered_in_linear_time() -> None:
    def ordering(count: int) -> Callable[[], object]:
        answers = ["{" + ",".join(f'"{n}.{k}":{k}' for k in range(200)) + "}" for n in range(count)]
        return lambda: in_one_key_order(answers)

    assert_linear(ordering, 96)


def test_refusals_are_counted_separately() -> None:
    ledger = Ledger(1)
    assert with_good_answer([row(1, answer="I'm sorry, but I can't help with that.")], Checks(), ledger) == []
    assert counts(ledger) == {"refused": 1}


def test_the_first_of_equal_rows_is_kept() -> None:
    ledger = Ledger(3)
    kept = distinct([row(1, "same"), row(2, "same"), row(3, "other")], ledger)
    assert [r.id for r in kept] == ["r00001", "r00003"]
    assert counts(ledger) == {"conflicting_answers": 0, "exact_duplicates": 1, "same_text": 0}


def test_texts_that_differ_only_in_whitespace_are_one_row() -> None:
    ledger = Ledger(2)
    assert len(distinct([row(1, "two words"), row(2, "two   words ")], ledger)) == 1
    assert counts(ledger)["same_text"] == 1


def test_the_majority_of_conflicting_answers_is_kept() -> None:
    ledger = Ledger(4)
    answers = ["gears", "brakes", "brakes", "gears", "brakes"]
    kept = distinct([row(n, "same", answer=answer) for n, answer in enumerate(answers)], ledger)
    assert [(r.id, r.answer) for r in kept] == [("r00001", "brakes")]
    assert counts(ledger) == {"conflicting_answers": 2, "exact_duplicates": 2, "same_text": 0}


def test_the_latest_answer_wins_a_tie() -> None:
    kept = distinct([row(1, "same", answer="gears"), row(2, "same", answer="brakes")], Ledger(2))
    assert [r.answer for r in kept] == ["brakes"]


def test_one_correction_outweighs_any_number_of_teacher_answers() -> None:
    rows = [row(n, "same", answer="gears") for n in range(5)]
    rows.append(row(5, "same", answer="brakes", label_source="corrected"))
    kept = distinct(rows, Ledger(6))
    assert [(r.answer, r.label_source) for r in kept] == [("brakes", "corrected")]


def test_a_teacher_answer_that_a_correction_confirms_is_kept_as_corrected() -> None:
    rows = [row(1, "same", answer="gears"), row(2, "same", answer="gears", label_source="corrected")]
    assert [r.label_source for r in distinct(rows, Ledger(2))] == ["corrected"]


def test_a_text_under_two_prompt_versions_is_one_row() -> None:
    assert len(distinct([row(1, "same", template="0123abcd"), row(2, "same", template="4567cdef")], Ledger(2))) == 1


def test_a_prompt_without_a_template_is_removed_and_counted() -> None:
    rows = [row(n, f"question {n}", template="", slots=(), pruned=[]) for n in range(40)]
    templates = find_templates([r.messages for r in rows], system="topic")
    odd = row(99, template="", slots=(), pruned=[])
    odd.messages = [*odd.messages, {"role": "assistant", "content": "gears"}, {"role": "user", "content": "sure?"}]
    ledger = Ledger(41)
    kept = with_template([*rows, odd], templates, ledger)
    assert counts(ledger) == {"no_template": 1}
    assert kept[7].pruned == [{"role": "system", "content": "topic"}, {"role": "user", "content": "7"}]
