"""Scores of answers and their aggregates."""

import json
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import metrics
from pipeline.metrics import (
    METRICS,
    TEXT_METRICS,
    ItemScore,
    Reference,
    aggregate,
    counts_by_field,
    field_counts,
    macro_f1,
    macro_f1_of_codes,
    same_json,
    score,
)
from traffic import answers
from traffic.callsites import Checks
from traffic.errors import InputError

NONE = Checks()
LABELS = Checks(labels=("ham", "spam"))
OBJECT = Checks(json=True)


def labelled(pairs: Sequence[tuple[str, str | None]]) -> list[ItemScore]:
    """Items of a classification from (reference, output)."""
    return [score("intent", output, reference, NONE) for reference, output in pairs]


def test_a_label_is_correct_only_in_its_exact_form() -> None:
    assert score("moderation", " spam\n", "spam", LABELS).correct
    for output in ("Spam", "spam.", "ham", "", None):
        item = score("moderation", output, "spam", LABELS)
        assert not item.correct
        assert item.score == 0.0


def test_json_is_compared_with_unordered_keys_and_ordered_lists() -> None:
    reference = '{"city": "Rome", "guests": ["Ann", "Bob"], "people": 2}'
    assert score("extraction", '{"people": 2.0, "guests": ["Ann", "Bob"], "city": "Rome"}', reference, OBJECT).correct
    swapped = score("extraction", '{"people": 2, "guests": ["Bob", "Ann"], "city": "Rome"}', reference, OBJECT)
    assert not swapped.correct
    assert swapped.score == 1.0


def test_field_f1_of_an_item_by_hand() -> None:
    item = score(
        "extraction", '{"city": "Rome", "people": 3, "day": "Friday"}', '{"city": "Rome", "people": 2}', OBJECT
    )
    # city agrees; people=3 and day=Friday are extra; people=2 is missed: 2 x 1 / (2 + 2 + 1).
    assert item.score == pytest.approx(0.4)
    assert (item.detail.hits, item.detail.extra, item.detail.missed) == (1, 2, 1)


def test_an_empty_answer_to_an_empty_reference_is_correct() -> None:
    item = score("extraction", '{"person": []}', '{"person": []}', OBJECT)
    assert item.correct
    assert item.score == 1.0


@pytest.mark.parametrize("output", [None, "", "no entities", '{"person": [}', '```json\n{"person": []}\n```'])
def test_invalid_json_scores_0_even_for_an_empty_reference(output: str | None) -> None:
    item = score("extraction", output, '{"person": []}', OBJECT)
    assert (item.correct, item.score, item.detail.json_valid) == (False, 0.0, False)
    assert aggregate("extraction", [item])["field_f1"].value == 0.0


def test_an_extra_entity_does_not_affect_later_ones() -> None:
    assert field_counts({"person": ["Ann", "Bob", "Cid"]}, {"person": ["Bob", "Cid"]}) == (2, 1, 0)


def test_fields_of_objects_in_a_list_are_matched_by_object() -> None:
    answer = {"items": [{"name": "tea", "n": 1}, {"name": "milk", "n": 2}]}
    reference = {"items": [{"name": "milk", "n": 1}, {"name": "tea", "n": 2}]}
    assert field_counts(answer, reference) == (2, 2, 2)


def test_repeated_values_must_be_repeated() -> None:
    assert field_counts({"a": ["x", "x"]}, {"a": ["x"]}) == (1, 1, 0)


@pytest.mark.parametrize(
    "left,right", [(True, 1), (0, False), ("1", 1), (None, 0), ([1], 1), ({}, []), ([1, 2], [2, 1])]
)
def test_different_json_values_differ_both_for_exact_match_and_fields(left: object, right: object) -> None:
    assert not same_json({"a": left}, {"a": right})


def test_true_and_1_are_different_values() -> None:
    assert field_counts({"a": True}, {"a": 1}) == (0, 1, 1)
    assert field_counts({"a": 1.0}, {"a": 1}) == (1, 0, 0)


def test_rewrites_are_compared_after_normalising_whitespace_only() -> None:
    assert score("rewrite", " The  cat sat.\n", "The cat sat.", NONE).correct
    near = score("rewrite", "The cat sat", "The cat sat.", NONE)
    assert not near.correct
    assert 0.8 < near.score < 1.0


def test_edit_similarity_by_hand() -> None:
    detail = score("rewrite", "kitten", "sitting", NONE).detail
    # Three edits, seven characters.
    assert detail.edit_similarity == pytest.approx(1 - 3 / 7)
    assert detail.chrf is not None
    assert detail.similarity == pytest.approx((1 - 3 / 7 + detail.chrf) / 2)


def test_similarity_is_1_for_equal_and_0_for_unrelated_or_missing_texts() -> None:
    assert score("rewrite", "", "", NONE).score == 1.0
    assert score("rewrite", "abc", "xyz", NONE).score == 0.0
    assert score("rewrite", None, "", NONE).score == 0.0


def test_the_closest_accepted_text_counts() -> None:
    item = score("rewrite", "He goes home.", Reference("any_of_text", ["She went.", "He goes home."]), NONE)
    assert item.correct
    assert item.score == 1.0


def test_each_value_may_have_one_of_its_accepted_forms() -> None:
    reference = Reference("json_any_of", {"time": ["7 pm", "19:00"], "people": [2, "two"], "tags": [["a", "b"], []]})
    assert score("extraction", '{"time": "19:00", "people": "two", "tags": ["a", "b"]}', reference, OBJECT).correct
    wrong = score("extraction", '{"time": "8 pm", "people": 2, "tags": []}', reference, OBJECT)
    assert not wrong.correct
    # people agrees, the empty list holds no field, time is wrong: 2 / (2 + 1 + 1).
    assert wrong.score == 0.5


@pytest.mark.parametrize("output", ['["b", "a"]', "a, b", "b\na"])
def test_a_set_of_labels_is_correct_in_any_order(output: str) -> None:
    assert score("classification", output, Reference("label_set", ["a", "b"]), NONE).correct


@pytest.mark.parametrize("output,f1", [("a", 2 / 3), ("a, b, c", 0.8), ("a, a, b", 0.8), ("", 0.0), (None, 0.0)])
def test_a_set_of_labels_is_wrong_with_one_missing_or_too_many(output: str | None, f1: float) -> None:
    item = score("classification", output, Reference("label_set", ["a", "b"]), NONE)
    assert not item.correct
    assert item.score == pytest.approx(f1)


def test_the_last_number_of_an_answer_is_its_result() -> None:
    reference = Reference("number", "2640")
    assert score("reasoning", "6 x 440 = 2,640.00 dollars", reference, NONE).correct
    assert not score("reasoning", "2640 minus 5 is 2635", reference, NONE).correct
    assert not score("reasoning", "a lot", reference, NONE).correct
    assert score("reasoning", "-3.5", Reference("number", -3.5), NONE).correct


@pytest.mark.parametrize(
    "answer, number, right",
    [
        ("1e3", "1000", True),
        ("about 2.5E-3 m", 0.0025, True),
        ("it is .5", "0.5", True),
        ("version 1.2.5", "0.5", False),
        ("3e", 3, True),
        ("1e999", "1", False),
    ],
)
def test_numbers_may_have_an_exponent_or_begin_with_the_point(answer: str, number: object, right: bool) -> None:
    assert score("reasoning", answer, Reference("number", number), NONE).correct is right


def test_failed_checks_are_kept_with_the_item() -> None:
    item = score("rewrite", "I cannot assist with this.", "Fine.", NONE, finish_reason="length")
    assert [reason.partition(":")[0] for reason in item.detail.failed] == ["truncated", "refusal"]


@pytest.mark.parametrize(
    "reference",
    [
        Reference("label", ["a"]),
        Reference("label_set", "a"),
        Reference("json_any_of", []),
        Reference("any_of_text", []),
        Reference("number", "none"),
    ],
)
def test_a_reference_of_the_wrong_shape_is_an_input_error(reference: Reference) -> None:
    with pytest.raises(InputError, match="reference"):
        score("classification", "1", reference, NONE)


def test_an_extraction_reference_that_is_not_json_is_an_input_error() -> None:
    with pytest.raises(InputError, match="the reference 'Rome' is not JSON"):
        score("extraction", "{}", "Rome", OBJECT)


def test_values_of_an_extraction_without_json_are_texts() -> None:
    items = [score("extraction", answer, "Rome", NONE) for answer in ("Rome", "Paris", None)]
    assert [item.correct for item in items] == [True, False, False]
    assert set(aggregate("extraction", items)) == {"accuracy", "format_ok"}


def test_macro_f1_by_hand_with_an_unknown_label() -> None:
    expected = ["a", "a", "a", "b", "b", "c"]
    predicted = ["a", "a", "b", "b", "I think b", "a"]
    # a: 2 of 3 found, 3 said: 4/6. b: 1 of 2 found, 2 said: 2/4. c: never said: 0.
    assert macro_f1(expected, predicted) == pytest.approx((4 / 6 + 2 / 4 + 0) / 3)


def test_wrong_answers_do_not_add_labels_to_macro_f1() -> None:
    expected = ["a", "b"] * 10
    one_wording = ["a", "x"] * 10
    many_wordings = [label for i in range(10) for label in ("a", f"x{i}")]
    assert macro_f1(expected, one_wording) == macro_f1(expected, many_wordings)


CODES = st.tuples(st.integers(0, 3), st.integers(0, 4))


@given(st.lists(CODES, min_size=1, max_size=40))
def test_resampled_macro_f1_equals_sklearns(pairs: list[tuple[int, int]]) -> None:
    expected, predicted = np.array(pairs).T
    ours = macro_f1_of_codes(expected, predicted, labels=4)
    assert ours == pytest.approx(macro_f1([str(x) for x in expected], [str(x) for x in predicted]))


def test_the_interval_of_macro_f1_contains_the_value_and_is_not_degenerate() -> None:
    rng = np.random.default_rng(2)
    labels = np.array(["a", "b", "c"])
    expected = labels[rng.integers(0, 3, 300)]
    predicted = np.where(rng.random(300) < 0.8, expected, labels[rng.integers(0, 3, 300)])
    metric = aggregate("intent", labelled(list(zip(expected.tolist(), predicted.tolist(), strict=True))))["macro_f1"]
    assert metric.interval.low < metric.value < metric.interval.high
    # Of 300 items with 87% right a proportion's interval is 0.077 wide; macro-F1's is about the same.
    assert 0.05 < metric.interval.high - metric.interval.low < 0.11


def test_classification_has_its_metrics_with_wilsons_interval() -> None:
    metrics = aggregate("intent", labelled([("a", "a")] * 8 + [("a", "b"), ("b", "b")]))
    assert tuple(metrics) == tuple(name for name in METRICS["intent"] if name != "out_of_scope_recall")
    assert (metrics["accuracy"].value, metrics["accuracy"].n) == (0.9, 10)
    assert (metrics["accuracy"].interval.low, metrics["accuracy"].interval.high) == pytest.approx(
        (0.596, 0.982), abs=1e-3
    )
    assert metrics["format_ok"].value == 1.0


def test_extraction_has_its_metrics_and_field_f1_is_micro_averaged() -> None:
    items = [
        score("extraction", '{"a": 1, "b": 2, "c": 3}', '{"a": 1, "b": 2, "c": 3}', OBJECT),
        score("extraction", '{"a": 1}', '{"a": 2}', OBJECT),
        score("extraction", "none", '{"a": 1}', OBJECT),
        score("extraction", "{}", "{}", OBJECT),
    ]
    metrics = aggregate("extraction", items)
    assert tuple(metrics) == (*METRICS["extraction"], "field_f1.a", "field_f1.b", "field_f1.c")
    assert metrics["accuracy"].value == metrics["json_exact"].value == 0.5
    assert metrics["json_valid"].value == 0.75
    assert metrics["format_ok"].value == 0.75
    # Three hits; one extra and one missed; one extra (no JSON) and one missed: 6 / (6 + 2 + 2).
    assert metrics["field_f1"].value == pytest.approx(0.6)
    assert metrics["field_f1"].interval.low < 0.6 < metrics["field_f1"].interval.high
    # a: right once, wrong once (one extra, one missed), missed once: 2 / (2 + 1 + 2); the others are always right.
    assert metrics["field_f1.a"].value == pytest.approx(2 / 5)
    assert (metrics["field_f1.a"].n, metrics["field_f1.b"].n) == (3, 1)
    assert metrics["field_f1.b"].value == metrics["field_f1.c"].value == 1.0


def test_fields_are_identified_by_their_path_without_list_indexes() -> None:
    answer = {"name": "Ann", "items": [{"sku": "a", "count": 1}, {"sku": "b", "count": 2}], "tags": ["x", "y"]}
    reference = {"name": "Ann", "items": [{"sku": "a", "count": 1}, {"sku": "c", "count": 2}], "tags": ["y"]}
    assert counts_by_field(answer, reference) == {
        "name": (1, 0, 0), "items.sku": (1, 1, 1), "items.count": (2, 0, 0), "tags": (1, 1, 0),
    }  # fmt: skip


@pytest.mark.parametrize("label", ["oos", "out_of_scope", "Out-of-scope", "none of these"])
def test_recall_of_none_of_these_counts_only_its_own_items(label: str) -> None:
    metrics = aggregate("intent", labelled([(label, label), (label, "refund"), (label, label), ("refund", label)]))
    assert (metrics["out_of_scope_recall"].value, metrics["out_of_scope_recall"].n) == (pytest.approx(2 / 3), 3)


def test_another_label_can_be_configured_as_none_of_these() -> None:
    items = labelled([("sonstiges", "sonstiges"), ("refund", "refund")])
    assert "out_of_scope_recall" not in aggregate("intent", items)
    assert aggregate("intent", items, ("sonstiges",))["out_of_scope_recall"].n == 1


def test_rewriting_has_its_metrics() -> None:
    items = [score("rewrite", text, "The cat sat.", NONE) for text in ("The cat sat.", "A dog ran off", None)]
    metrics = aggregate("rewrite", items)
    assert tuple(metrics) == TEXT_METRICS
    assert metrics["accuracy"].value == pytest.approx(1 / 3)
    assert metrics["format_ok"].value == pytest.approx(2 / 3)
    assert metrics["similarity"].value == pytest.approx(sum(item.score for item in items) / 3)
    for name in ("chrf", "gleu"):
        assert 1 / 3 <= metrics[name].value < 0.5
    assert metrics["edit_distance"].value > 0.5


@pytest.mark.parametrize(
    "answer, accepted, expected",
    [
        # 3 words, 2 pairs and a triple of the answer are all in the reference's 4 + 3 + 2 + 1.
        ("the cat sat", "the cat sat down", 6 / 10),
        # And the other way round: words too many cost as much as words that are missing.
        ("the cat sat down", "the cat sat", 6 / 10),
        ("the cat sat", "a dog ran", 0.0),
        # 13a splits the full stop off: 3 words, "the cat" alone of the pairs, of 4 + 3 + 2 + 1.
        ("the cat lay.", "the cat sat.", 4 / 10),
        ("", "the cat", 0.0),
    ],
)
def test_gleu_by_hand(answer: str, accepted: str, expected: float) -> None:
    assert score("rewrite", answer, accepted, NONE).detail.gleu == pytest.approx(expected)


def test_gleu_is_that_of_the_closest_accepted_text() -> None:
    reference = Reference("any_of_text", ["a dog ran", "the cat sat down"])
    assert score("rewrite", "the cat sat", reference, NONE).detail.gleu == pytest.approx(6 / 10)


def test_gleu_of_a_language_without_spaces_is_by_character() -> None:
    near = score("rewrite", "猫が座っています", "猫が座っていました", NONE).detail
    assert near.gleu is not None
    assert near.gleu > 0.6


def test_no_items_have_no_metrics() -> None:
    assert aggregate("intent", []) == {}
    assert aggregate("extraction", []) == {}


def test_perfect_scores_still_have_an_interval() -> None:
    metrics = aggregate("extraction", [score("extraction", '{"a": 1}', '{"a": 1}', OBJECT)] * 20)
    assert "field_f1.a" in metrics
    for metric in metrics.values():
        assert metric.value == 1.0
        assert 0.7 < metric.interval.low < 0.9
        assert metric.interval.high == 1.0


JSON_LEAF = st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab", max_size=2)
JSON_OBJECT = st.dictionaries(
    st.text("xy", min_size=1, max_size=2),
    st.recursive(
        JSON_LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("pq"), inner, max_size=2)
    ),
    max_size=3,
)


@given(JSON_OBJECT, JSON_OBJECT)
def test_field_f1_is_symmetric_bounded_and_1_for_equal_objects(left: object, right: object) -> None:
    hits, extra, missed = field_counts(left, right)
    assert field_counts(right, left) == (hits, missed, extra)
    text, other = json.dumps(left), json.dumps(right)
    same = score("extraction", text, text, NONE)
    assert (same.correct, same.score) == (True, 1.0)
    item = score("extraction", text, other, NONE)
    assert 0 <= item.score <= 1
    assert item.score == pytest.approx(score("extraction", other, text, NONE).score)
    assert not item.correct or item.score == 1.0


@given(st.text(), st.text())
def test_similarity_stays_between_0_and_1(left: str, right: str) -> None:
    assert 0 <= score("rewrite", left, right, NONE).score <= 1


@given(st.text() | st.none(), st.sampled_from(["classification", "extraction", "rewrite", "reasoning"]))
def test_no_output_makes_scoring_raise(output: str | None, request_type: str) -> None:
    references = {
        "classification": Reference("label_set", ["a"]),
        "extraction": Reference("json_any_of", {"a": ["b"]}),
        "rewrite": "text",
        "reasoning": Reference("number", 7),
    }
    item = score(request_type, output, references[request_type], NONE)  # type: ignore[arg-type]
    assert 0 <= item.score <= 1


@pytest.mark.parametrize("multiple, right, other", [
    ("comma", "delivery, billing", "billing"), ("json", '["delivery","billing"]', '["billing"]'),
])  # fmt: skip
def test_label_sets_are_scored_by_overlap(multiple: Literal["comma", "json"], right: str, other: str) -> None:
    checks = Checks(labels=("billing", "delivery", "other"), multiple=multiple)
    reference = answers.joined(["billing", "delivery"], checks)
    exact = metrics.score("classification", right, reference, checks)
    assert (exact.correct, exact.score) == (True, 1.0)
    part = metrics.score("classification", other, reference, checks)
    assert part.correct is False
    assert part.score == pytest.approx(2 / 3)
    stranger = metrics.score("classification", "refund", reference, checks)
    assert (stranger.correct, stranger.score) == (False, 0.0)
    assert stranger.detail.failed
