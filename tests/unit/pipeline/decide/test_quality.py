"""The test against the reference, on synthetic items."""

import datetime as dt

import msgspec
import pytest

from pipeline.decide import evidence
from pipeline.decide.evidence import Evaluated, Item
from pipeline.decide.quality import judge, judge_all, state_of
from pipeline.gate import paired
from tests.fakes import evaluated_homes as homes
from traffic.artifacts import Home

ITEMS = 400


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = homes.make(tmp_path_factory.mktemp("quality"), requests_per_day=1, days=2, items=ITEMS)
    homes.evaluation(home, "good", "adapter", wrong=range(1), cost=homes.own_cost())
    homes.evaluation(home, "close", "adapter", wrong=range(8), cost=homes.own_cost())
    homes.evaluation(home, "bad", "adapter", wrong=range(60), cost=homes.own_cost())
    return home


@pytest.fixture(scope="module")
def evaluated(home: Home) -> dict[str, Evaluated]:
    return {evaluation.name: evaluation for evaluation in evidence.read(home, home.dataset(homes.TASK).name).evaluated}


@pytest.mark.parametrize(
    "name, verdict", [("teacher", "reference"), ("good", "pass"), ("close", "insufficient evidence"), ("bad", "fail")]
)
def test_the_verdict_follows_the_difference_and_its_interval(
    evaluated: dict[str, Evaluated], name: str, verdict: str
) -> None:
    assert judge(evaluated[name], evaluated["teacher"], 0.02, 0.05).verdict == verdict


def test_more_candidates_require_stronger_evidence(evaluated: dict[str, Evaluated]) -> None:
    teacher, good = evaluated["teacher"], evaluated["good"]
    alone = judge_all([teacher, good], teacher, 0.02, 0.05)
    assert (alone["good"].verdict, alone["good"].p_holm) == ("pass", alone["good"].test.p_value)  # type: ignore[union-attr]
    assert (alone["teacher"].verdict, alone["teacher"].p_holm) == ("reference", None)
    others = [good._replace(scores=msgspec.structs.replace(good.scores, candidate=f"copy{n}")) for n in range(30)]
    quality = judge_all([teacher, good, *others], teacher, 0.02, 0.05)["good"]
    assert (quality.verdict, quality.compared) == ("insufficient evidence", 31)
    assert quality.items_needed is not None
    assert quality.items_needed > ITEMS
    state, why = state_of(quality, None, dt.date(2026, 12, 1), agreement=False)
    assert state == "unsettled"
    assert "31" in why


def test_differences_are_those_of_the_paired_test(evaluated: dict[str, Evaluated]) -> None:
    quality = judge(evaluated["close"], evaluated["teacher"], 0.02, 0.05)
    test = paired.compare([0.0] * 8 + [1.0] * (ITEMS - 8), [1.0] * ITEMS, range(ITEMS), margin=0.02, alpha=0.05)
    assert (quality.test, quality.difference, quality.difference_low) == (test, -0.02, test.low)
    assert (quality.value, quality.n, quality.metric) == (0.98, ITEMS, "accuracy")


def test_a_wider_margin_passes_more_candidates(evaluated: dict[str, Evaluated]) -> None:
    assert judge(evaluated["close"], evaluated["teacher"], 0.05, 0.05).verdict == "pass"


def test_a_cohort_is_tested_on_its_own_items(evaluated: dict[str, Evaluated]) -> None:
    ids = list(evaluated["bad"].items)
    wrong_ones, right_ones = ids[:60], ids[60:]
    assert judge(evaluated["bad"], evaluated["teacher"], 0.02, 0.05, right_ones).verdict == "pass"
    quality = judge(evaluated["bad"], evaluated["teacher"], 0.02, 0.05, wrong_ones)
    assert (quality.verdict, quality.value, quality.n) == ("fail", 0.0, 60)


@pytest.mark.parametrize(
    "lost, verdict", [(0.0, "pass"), (0.01, "pass"), (0.1, "fail"), (0.02, "insufficient evidence")]
)
def test_rewrites_are_compared_by_similarity(evaluated: dict[str, Evaluated], lost: float, verdict: str) -> None:
    # Never word for word the same: accuracy would call all of them equally wrong.
    reference = [0.8 + 0.02 * (place % 5) for place in range(ITEMS)]
    new = [score - lost + (0.02 if place % 2 else -0.02) for place, score in enumerate(reference)]
    quality = judge(graded(evaluated["good"], new), graded(evaluated["teacher"], reference), 0.02, 0.05)
    assert (quality.verdict, quality.metric) == (verdict, "similarity")
    assert quality.difference == pytest.approx(-lost)
    assert quality.difference_low is not None
    assert quality.difference_low < -lost


def graded(each: Evaluated, scores: list[float]) -> Evaluated:
    items = {record_id: Item(False, score, {}) for record_id, score in zip(each.items, scores, strict=True)}
    return each._replace(items=items, scores=msgspec.structs.replace(each.scores, main_metric="similarity"))


def test_items_are_weighted_by_their_requests(evaluated: dict[str, Evaluated]) -> None:
    first, *rest = evaluated["good"].items
    weighted = {name: with_requests(evaluation, {first: 100}) for name, evaluation in evaluated.items()}
    quality = judge(weighted["good"], weighted["teacher"], 0.02, 0.05)
    assert (quality.n, quality.requests) == (ITEMS, ITEMS + 99)
    assert quality.difference == pytest.approx(-100 / (ITEMS + 99))
    assert quality.verdict != "pass"
    often_right = with_requests(evaluated["good"], {rest[0]: 100})
    assert judge(often_right, weighted["teacher"], 0.02, 0.05).difference == pytest.approx(-1 / (ITEMS + 99))


def with_requests(each: Evaluated, requests: dict[str, int]) -> Evaluated:
    items = {name: item._replace(requests=requests.get(name, 1)) for name, item in each.items.items()}
    return each._replace(items=items)
