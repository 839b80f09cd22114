"""A model as judge: its requests, and the aggregation of its verdicts."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import dataset
from pipeline.evaluate import items as items_
from pipeline.evaluate import pairwise_judge
from pipeline.evaluate.answers import Answer
from pipeline.evaluate.config import HostedConfig, JudgeConfig
from pipeline.evaluate.items import Items
from pipeline.evaluate.pairwise_judge import Judgement, Pair
from tests.fakes.task_datasets import make
from traffic import config

WISE = HostedConfig(name="wise", base_url="http://x/v1", model="w", max_tokens_field="max_completion_tokens")
TWICE = JudgeConfig(candidate="wise", repeats=2)


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> Items:
    folder = make(tmp_path_factory.mktemp("home"), train=4, others=6)
    card = dataset.load(folder)
    sites = {name: msgspec.structs.replace(site, request_type="rewrite") for name, site in card.call_sites.items()}
    (folder / "dataset.yaml").write_text(config.dump(msgspec.structs.replace(card, call_sites=sites)))
    return items_.load(folder, "test")


def answers(items: Items, *texts: str | None) -> list[Answer]:
    return [Answer(record_id=item.record_id, text=text) for item, text in zip(items.items, texts, strict=True)]


def said(
    pairs: list[Pair], verdict: dict[tuple[str, int], str], places: dict[int, dict[tuple[str, int], str]] | None = None
) -> dict[str, Answer]:
    """Answers of the judge: the same verdicts for every pair, except those at `places`."""
    verdicts = {}
    for place, pair in enumerate(pairs):
        for (order, repeat), word in ((places or {}).get(place) or verdict).items():
            name = f"{pair.item.record_id} {order} {repeat}"
            verdicts[name] = Answer(record_id=name, text=f'{{"better": "{word}"}}')
    return verdicts


THIS, OTHER = pairwise_judge.ORDERS
ALWAYS_THIS = {(THIS, 0): "A", (THIS, 1): "A", (OTHER, 0): "B", (OTHER, 1): "B"}
ALWAYS_FIRST = {(THIS, 0): "A", (THIS, 1): "A", (OTHER, 0): "A", (OTHER, 1): "A"}
ALWAYS_OTHER = {(THIS, 0): "B", (THIS, 1): "B", (OTHER, 0): "A", (OTHER, 1): "A"}
WAVERS = {(THIS, 0): "A", (THIS, 1): "tie", (OTHER, 0): "B", (OTHER, 1): "tie"}


def judged(
    items: Items, verdict: dict[tuple[str, int], str], places: dict[int, dict[tuple[str, int], str]] | None = None
) -> Judgement:
    compared = [Pair(item, "this", "other") for item in items.items]
    judgement = pairwise_judge.judgement(WISE, "teacher", compared, said(compared, verdict, places), TWICE)
    assert judgement is not None
    return judgement


def test_every_differing_pair_is_judged_in_both_orders_repeatedly(items: Items) -> None:
    compared = [Pair(items.items[0], "one", "two"), Pair(items.items[1], "same", "same")]
    questions = pairwise_judge.questions(WISE, compared, TWICE)
    assert len(questions) == 4
    texts = [question.body["messages"][1]["content"] for question in questions]
    assert texts[0] == texts[1]
    assert "<answer_a>\none\n</answer_a>\n<answer_b>\ntwo" in texts[0]
    assert "<answer_a>\ntwo\n</answer_a>\n<answer_b>\none" in texts[2]
    # The request as the application sent it.
    assert "Answer with one label." in texts[0]
    # A repeat is another request although its text is the same.
    assert [question.repeat for question in questions] == [0, 1, 0, 1]
    assert questions[0].body["max_completion_tokens"] == TWICE.max_tokens


def test_a_consistent_judge_has_no_flips(items: Items) -> None:
    verdicts = judged(items, ALWAYS_THIS, {0: ALWAYS_OTHER})
    assert (verdicts.wins, verdicts.ties, verdicts.losses) == (5, 0, 1)
    assert verdicts.win_rate is not None
    assert verdicts.win_rate.value == pytest.approx(5 / 6)
    assert verdicts.win_rate.interval.low < 5 / 6 < verdicts.win_rate.interval.high
    assert (verdicts.flipped, verdicts.flip_rate, verdicts.first_preferred) == (0, 0.0, 0.5)


def test_a_position_biased_judge_gives_only_ties_and_flips(items: Items) -> None:
    verdicts = judged(items, ALWAYS_FIRST)
    assert (verdicts.wins, verdicts.ties, verdicts.losses) == (0, 6, 0)
    assert (verdicts.flip_rate, verdicts.first_preferred) == (1.0, 1.0)


def test_an_inconsistent_judge_counts_as_flipped(items: Items) -> None:
    verdicts = judged(items, WAVERS)
    assert (verdicts.wins, verdicts.flip_rate) == (6, 1.0)


def test_equal_answers_are_a_tie_without_a_request(items: Items) -> None:
    compared = [Pair(item, "same", "same") for item in items.items]
    judgement = pairwise_judge.judgement(WISE, "teacher", compared, {}, TWICE)
    assert judgement is not None
    assert (judgement.identical, judgement.ties, judgement.flip_rate, judgement.unreadable) == (6, 6, None, 0)


def test_unreadable_verdicts_are_counted_and_ignored(items: Items) -> None:
    garbled = dict.fromkeys(ALWAYS_THIS, "perhaps")
    verdicts = judged(items, ALWAYS_THIS, {0: garbled})
    assert (verdicts.n, verdicts.wins, verdicts.ties, verdicts.undecided, verdicts.unreadable) == (6, 5, 0, 1, 4)
    assert verdicts.win_rate is not None
    assert (verdicts.win_rate.value, verdicts.win_rate.n) == (1.0, 5)
    partly = judged(items, ALWAYS_THIS, {0: garbled | {(THIS, 0): "A"}})
    assert (partly.wins, partly.undecided, partly.unreadable) == (6, 0, 3)


def test_without_a_readable_verdict_there_is_no_win_rate(items: Items) -> None:
    verdicts = judged(items, dict.fromkeys(ALWAYS_THIS, "perhaps"))
    assert (verdicts.wins, verdicts.ties, verdicts.losses, verdicts.undecided, verdicts.win_rate) == (0, 0, 0, 6, None)


def test_pairs_are_free_texts_of_both_candidates_up_to_the_limit(items: Items) -> None:
    mine = answers(items, "a", "b", None, "d", "e", "f")
    theirs = answers(items, "a", "x", "y", "z", None, "w")
    pairs = pairwise_judge.pairs(items, mine, theirs, TWICE)
    assert [(pair.this, pair.other) for pair in pairs] == [("a", "a"), ("b", "x"), ("d", "z"), ("f", "w")]
    two = pairwise_judge.pairs(items, mine, theirs, JudgeConfig(candidate="wise", items=2))
    assert len(two) == 2
    assert all(pair in pairs for pair in two)


def test_labels_are_not_judged(tmp_path: Path) -> None:
    labelled = items_.load(make(tmp_path, train=4, others=4), "test")
    same = answers(labelled, *["refund"] * 4)
    assert pairwise_judge.pairs(labelled, same, same, TWICE) == []
    assert pairwise_judge.sample_questions(WISE, labelled, TWICE) == []


def test_an_estimate_counts_the_maximum_number_of_judgements(items: Items) -> None:
    assert len(pairwise_judge.sample_questions(WISE, items, TWICE)) == 6 * 2 * 2


@pytest.mark.parametrize(
    "text, verdict",
    [
        ('{"better": "A"}', "A"),
        ('Sure!\n```json\n{"better":"b"}\n```', "B"),
        ("tie", "tie"),
        ('{"better": "tie"}', "tie"),
        ("B.", "B"),
        ("Answer A is better", None),
        ("", None),
        (None, None),
    ],
)
def test_verdicts_are_parsed_with_or_without_surrounding_prose(text: str | None, verdict: str | None) -> None:
    assert pairwise_judge.parse(text) == verdict


@given(st.text())
def test_any_answer_of_a_judge_is_parsed_without_an_error(text: str) -> None:
    assert pairwise_judge.parse(text) in ("A", "B", "tie", None)
