"""Canonical forms of answers."""

from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.growth import assert_linear
from traffic.answers import (
    bare,
    items_of,
    labels_of,
    resolve,
    resolve_label,
    resolve_labels,
    unfenced,
    visible,
    without_reasoning,
)
from traffic.callsites import Checks
from traffic.checks import canonical, failed_checks

LABELS = ("billing", "delivery", "out_of_scope", "other")
ONE = Checks(labels=LABELS)
ROW, LIST = Checks(labels=LABELS, multiple="comma"), Checks(labels=LABELS, multiple="json")
OBJECT = Checks(json=True)


@pytest.mark.parametrize(
    "text",
    [
        "billing", "Billing", "BILLING", " billing\n", "billing.", '"billing"', "“Billing”", "'billing'.", "`billing`",
        "**billing**", "```\nbilling\n```", "```text\nBilling\n```",
        "```billing```", "```billing\n```", "````\nbilling\n````", "~~~\nbilling\n~~~", "billing<|im_end|>",
        "<think>money</think>billing</s>", "Label: billing", "Answer: **Billing**.",
        "The category is: billing", "(billing)", "billing)", "[Billing]",
        "bil\u200bling", "\ufeffbilling", "<think>\nmoney\n</think>\n\nbilling",
        '{"label": "Billing"}', '```json\n{"topic":"billing"}\n```',
        "some thoughts</think>billing", "[THINK]hm[/THINK]billing",
        "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>billing<|return|>",
        "**Label:** billing", "**Label: billing**", "# Billing", r"\boxed{billing}", "<answer>billing</answer>",
        "<label>\n Billing\n</label>", "ｂｉｌｌｉｎｇ", "𝐛𝐢𝐥𝐥𝐢𝐧𝐠", "billing…", "Label：billing", "BİLLİNG", "billing۔",
        "__billing__", "_Billing_", "billing\0", "Thema: billing", "Catégorie : billing", "分类：billing",
        "billing (0.93)", "billing [87%]", "Billing (confidence: high)",
        '<details type="reasoning" done="true">\nmoney\n</details>\nbilling',
    ],
)  # fmt: skip
def test_spelling_variants_resolve_to_the_label(text: str) -> None:
    assert resolve(text, ONE) == "billing"


def test_plus_signs_and_option_brackets_are_ignored_and_other_signs_are_not() -> None:
    assert [resolve_label(text, ("-1", "0", "1")) for text in ("+1", "-1.", "(0)", "+-1")] == ["1", "-1", "0", None]
    assert [resolve_label(text, ("C", "C++", "f(x)")) for text in ("c", "c++", "F(X)")] == ["C", "C++", "f(x)"]


@pytest.mark.parametrize(
    "text, labels, label",
    [
        ('{"score": 4}', ("3", "4"), "4"),
        ('{"spam": true}', ("true", "false"), "true"),
        ("\u2764", ("\u2764\ufe0f", "\U0001f44d"), "\u2764\ufe0f"),
        ("KAYIT", ("kayıt", "iade"), "kayıt"),
        ("İADE", ("kayıt", "iade"), "iade"),
        ("H₂O", ("H2O", "CO2"), "H2O"),
        ("m²", ("m²", "m2"), "m²"),
        ("{}", ("a", "b"), None),
        ('{"label": null}', ("null", "a"), None),
        ("<b>a</i>", ("a", "b"), None),
        ("\u22121", ("-1", "1"), "-1"),
        ("10 %", ("5%", "10%"), "10%"),
        ("R&amp;D", ("R&D", "Sales"), "R&D"),
        ("copy&paste", ("copy&paste", "cut"), "copy&paste"),
        ("bug (low)", ("bug (high)", "bug (low)"), "bug (low)"),
        ("bug (medium)", ("bug", "bug (low)"), None),
    ],
)
def test_spellings_of_other_labels(text: str, labels: tuple[str, ...], label: str | None) -> None:
    assert resolve_label(text, labels) == label


@pytest.mark.parametrize("text", ["out of scope", "Out-of-scope", "OUT_OF_SCOPE."])
def test_hyphens_underscores_and_spaces_in_a_label_are_equal(text: str) -> None:
    assert resolve(text, ONE) == "out_of_scope"


@pytest.mark.parametrize(
    "text",
    [
        "refund",
        "billing or delivery",
        "not billing",
        "billing 2",
        '{"label":"billing","sure":1}',
        '{"label":["billing"]}',
        "",
        "<think>billing",
    ],
)
def test_text_that_is_no_label_is_unchanged_and_fails(text: str) -> None:
    assert resolve(text, ONE) not in LABELS


def test_an_ambiguous_spelling_resolves_to_no_label() -> None:
    assert resolve_label("us", ("US", "us")) == "us"
    assert resolve_label("Us", ("US", "us")) is None
    assert resolve_label("a b", ("a-b", "a_b")) is None


@pytest.mark.parametrize(
    "text, answer",
    [
        ("<think>a</think>b", "b"),
        ("<think>a</think>\n<think>c</think>\nb", "b"),
        ("<thinking>a</thinking> b", "b"),
        ("<think>never ends", ""),
        ("◁think▷a◁/think▷b", "b"),
        ("I <think>quote</think> it", "I <think>quote</think> it"),
        ("a < b and [x]", "a < b and [x]"),
        ("plain", "plain"),
    ],
)
def test_leading_reasoning_is_removed_from_the_answer(text: str, answer: str) -> None:
    assert without_reasoning(text) == answer


def test_reasoning_is_kept_on_request() -> None:
    assert resolve("<think>a</think>b", Checks(), keep_reasoning=True) == "<think>a</think>b"


def test_a_fence_around_json_is_removed_and_values_are_unchanged() -> None:
    assert resolve('```json\n{"a": "x\u200dy"}\n```\n', OBJECT) == '{"a": "x\u200dy"}'
    assert resolve('\ufeff{"a": 1}', OBJECT) == '{"a": 1}'
    assert resolve('Here it is: {"a": 1}', OBJECT) == 'Here it is: {"a": 1}'


def test_words_in_a_fence_of_one_line_are_its_content() -> None:
    assert unfenced("```out of scope```") == "out of scope"
    assert unfenced('```json {"a": 1}```') == '{"a": 1}'
    assert unfenced("```") == "```"


@pytest.mark.parametrize(
    "text",
    [
        lambda size: "`" * size,
        lambda size: "```" + " " * size + "x",
        lambda size: "~" * (size + 1) + "\n" + "~" * size,
    ],
    ids=["ticks", "blanks", "tildes"],
)
def test_a_long_fence_is_read_in_linear_time(text: Callable[[int], str]) -> None:
    assert_linear(lambda size: partial(unfenced, text(size)), 100_000)


def test_spellings_of_many_labels_are_read_once() -> None:
    read = Counter[str]()

    class Label(str):
        def casefold(self) -> str:
            read[self] += 1
            return super().casefold()

    labels = tuple(Label(f"Queue {n}") for n in range(30))
    assert [resolve_label(f"queue_{n}.", labels) for n in range(30)] == list(labels)
    assert set(read.values()) <= {1, 2}


def test_a_long_list_is_split_in_linear_time() -> None:
    assert items_of("a" + " " * 9 + "x, b") == ["a" + " " * 9 + "x", "b"]
    assert_linear(lambda spaces: partial(items_of, "a" + " " * spaces + "x, b"), 30_000)


def test_prose_keeps_its_fences_quotes_and_joiners() -> None:
    for text in ('"Dear team"', "```\ncode\n```", "👩\u200d👧", "می\u200cخواهم"):
        assert resolve(text, Checks()) == text
    assert visible("a\u00a0b\u200b") == "a b"


@pytest.mark.parametrize(
    "text",
    [
        "delivery, billing",
        "Billing;delivery",
        '["delivery","billing"]',
        "- billing\n- delivery",
        "billing, billing, Delivery.",
        "['delivery', 'billing']",
        "[delivery, billing]",
        '"billing", "delivery"',
        "Topics: billing, delivery",
        "billing and delivery",
        "billing + delivery",
    ],
)
def test_a_set_of_labels_has_one_form_regardless_of_order_and_separator(text: str) -> None:
    assert resolve(text, ROW) == "billing, delivery"
    assert resolve(text, LIST) == '["billing","delivery"]'


def test_a_set_with_an_unknown_label_fails() -> None:
    assert failed_checks(resolve("billing, refund", ROW), "stop", ROW)
    assert failed_checks("billing, billing", "stop", ROW)
    assert failed_checks("billing", "stop", LIST)
    assert not failed_checks("[]", "stop", LIST)
    assert canonical("delivery,billing", ROW) == "billing, delivery"
    assert canonical("delivery,refund", ROW) == "delivery,refund"
    assert labels_of('["billing","other"]', LIST) == ("billing", "other")
    assert labels_of("billing", ONE) == ("billing",)


@given(st.text(), st.sampled_from([ONE, ROW, LIST, OBJECT, Checks()]))
def test_the_canonical_form_is_idempotent_and_never_raises(text: str, checks: Checks) -> None:
    once = resolve(text, checks)
    if not failed_checks(once, "stop", checks):
        assert resolve(once, checks) == once
    bare(text)


def test_a_share_in_a_label_is_no_confidence() -> None:
    assert resolve_label("Discount (20%)", ("discount", "discount (20%)")) == "discount (20%)"


@pytest.mark.parametrize("run", [" ", "(", "[p ", "label ", "a and "])
def test_a_long_answer_is_read_in_linear_time(run: str) -> None:
    checks = Checks(labels=("billing",), multiple="comma")
    assert_linear(lambda runs: partial(resolve_labels, "x" + run * runs + ")", checks), 20_000)
