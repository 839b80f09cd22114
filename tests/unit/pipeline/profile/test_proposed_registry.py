"""Label sets of the proposed registry."""

from pipeline.profile.behaviour import Behaviour
from pipeline.profile.propose import Proposal
from pipeline.profile.proposed_registry import Profiled, label_set
from pipeline.profile.shapes import Shape

TIER_1 = Proposal(request_type="classification", tier=1, confidence=0.9, unsure=False, evidence=())


def shape_with(label_counts: dict[str, int], prompt: str = "") -> Profiled:
    return Profiled(
        number=0,
        shape=Shape(name="desk", call_site="desk", prompt=prompt),
        behaviour=Behaviour(sampled=200, answered=200, answer_words_p90=1, common_answer_share=1.0),
        proposal=TIER_1,
        label_counts=label_counts,
        answered=sum(label_counts.values()),
    )


def test_an_answer_with_white_space_around_it_is_no_label_of_its_own() -> None:
    assert label_set(shape_with({"yes": 120, "no": 70, "no\n": 3, "\u2003yes": 2, "\n": 2})) == ("no", "yes")


def test_reasoning_and_tokens_that_end_an_answer_are_no_part_of_a_label() -> None:
    counts = {"yes": 60, "yes</s>": 60, "no<|im_end|>": 70, "<think>\n\n</think>\n\nno": 50, "<think>it is": 3}
    assert label_set(shape_with(counts)) == ("no", "yes")


def test_a_rare_spelling_of_a_label_is_no_label_of_its_own() -> None:
    counts = {"quero_visitar": 100, "spam": 80, "QUERO_VISITAR": 3, "spam.": 2, "Answer: spam": 2}
    assert label_set(shape_with(counts)) == ("quero_visitar", "spam")
    assert label_set(shape_with(counts, prompt="One of: quero_visitar, spam")) == ("quero_visitar", "spam")


def test_labels_that_differ_in_case_alone_and_are_both_frequent_are_two_labels() -> None:
    assert label_set(shape_with({"a": 90, "A": 60})) == ("A", "a")
