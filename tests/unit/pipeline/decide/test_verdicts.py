"""Verdicts by volume and cohort, from stored evaluations."""

from pathlib import Path

import pytest

from pipeline import dataset as datasets
from pipeline.decide import evidence, verdict, volume
from pipeline.decide.candidates import assemble
from pipeline.decide.config import DecideConfig
from pipeline.decide.evidence import Evidence
from pipeline.decide.pricing import Market
from tests.fakes import evaluated_homes as homes
from traffic.artifacts import Home
from traffic.prices import PriceTable

pytestmark = pytest.mark.slow

EXPIRES = homes.TODAY.replace(year=2027)


def market(home: Home, **changes: object) -> Market:
    chosen = DecideConfig(**changes)  # type: ignore[arg-type]
    traffic = volume.read(home, datasets.load(home.dataset(homes.TASK)), min_hours=1)
    return Market(home, chosen, traffic, PriceTable(), homes.MACHINES, homes.TODAY, EXPIRES, agreement=False)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """About 730 requests a month at $0.01: $7.30 bought, $73 on an own machine."""
    return homes.make(tmp_path, usd_per_request=0.01, items=600)


def found(home: Home) -> Evidence:
    return evidence.read(home, home.dataset(homes.TASK).name)


def of_plan(evidence_: Evidence, plan: str) -> list[int]:
    """Indices of the items of a plan."""
    return [place for place, item in enumerate(evidence_.reference.items.values()) if item.cohort["plan"] == plan]


def test_the_verdict_turns_from_buy_to_build_as_the_volume_grows(home: Home) -> None:
    homes.evaluation(home, "base", "base", wrong=(), cost=homes.own_cost())
    here = market(home)
    scales = verdict.by_scale(assemble(found(home), here), here)
    assert [(scale.scale, scale.verdict, scale.cheapest) for scale in scales] == [
        (1, "buy", "teacher"),
        (10, "build", "base"),
        (100, "build", "base"),
    ]
    assert [scale.runner_up for scale in scales] == ["base", "teacher", "teacher"]
    assert not any(scale.simulated for scale in scales)


def test_a_verdict_is_simulated_only_if_it_depends_on_a_simulated_model(home: Home) -> None:
    homes.evaluation(home, "base", "base", wrong=(), cost=homes.own_cost())
    homes.evaluation(home, "cheap", "openai", wrong=range(99), cost=homes.hosted_cost(0.001), simulated=True)
    here = market(home)
    assert not any(scale.simulated for scale in verdict.by_scale(assemble(found(home), here), here))
    homes.evaluation(home, "fair", "openai", wrong=(), cost=homes.hosted_cost(0.005), simulated=True)
    assert all(scale.simulated for scale in verdict.by_scale(assemble(found(home), here), here))


def test_cohorts_of_a_built_task_share_its_machines_and_are_judged_by_their_own_quality(home: Home) -> None:
    paid = of_plan(found(home), "paid")
    homes.evaluation(home, "base", "base", wrong=paid[:30], cost=homes.own_cost())
    here = market(home, margin=0.1, decide_at=100.0)
    candidates = assemble(found(home), here)
    cohorts = {cohort.value: cohort for cohort in verdict.by_cohort(found(home), candidates, "build", here)}
    assert {cohort.basis for cohort in cohorts.values()} == {"task"}
    assert (cohorts["free"].verdict, cohorts["free"].quality["base"]) == ("build", "pass")
    assert (cohorts["paid"].verdict, cohorts["paid"].quality["base"]) == ("buy", "fail")
    assert (cohorts["free"].n, cohorts["paid"].n) == (400, 200)


@pytest.mark.parametrize("wrong_on, blocks", [("paid", {"degraded_cohorts": "block"}), ("all", {})])
def test_no_cohort_is_built_with_a_candidate_without_promotion(
    home: Home, wrong_on: str, blocks: dict[str, str]
) -> None:
    free, paid = (of_plan(found(home), plan) for plan in ("free", "paid"))
    # Everything that is wrong is in one plan; the other one alone would pass.
    wrong = paid[:30] if wrong_on == "paid" else paid[:150]
    homes.evaluation(home, "base", "base", wrong=wrong, cost=homes.own_cost())
    here = market(home, margin=0.1, decide_at=100.0, **blocks)
    candidates = assemble(found(home), here)
    base = next(candidate for candidate in candidates if candidate.name == "base")
    assert base.promotion is not None
    assert (base.promotion.by, len(free)) == ("none", 400)
    cohorts = {cohort.value: cohort for cohort in verdict.by_cohort(found(home), candidates, "buy", here)}
    assert (cohorts["free"].quality["base"], cohorts["free"].outcome["base"]) == ("pass", "promoted")
    assert cohorts["free"].verdict == "buy"
    assert any(base.why in reason for reason in cohorts["free"].reasons)


def test_a_build_verdict_for_a_cascade_names_its_calibrations(home: Home) -> None:
    first = homes.evaluation(home, "base", "base", wrong=range(200), cost=homes.own_cost())
    made_of = homes.cascade_of(home, first, calibrations={homes.TASK: f"{homes.TASK}@0c0c0c0c"})
    homes.evaluation(home, "cascade", "cascade", wrong=(), cost=homes.own_cost(), parts=made_of)
    here = market(home, decide_at=100.0)
    evidence_ = found(home)
    cohorts = verdict.by_cohort(evidence_, assemble(evidence_, here), "build", here)
    assert {(cohort.cheapest, cohort.verdict) for cohort in cohorts} == {("cascade", "build")}
    assert [cohort.calibrations for cohort in cohorts] == 2 * [{homes.TASK: f"{homes.TASK}@0c0c0c0c"}]
    assert [evidence_.calibrations(name) for name in ("base", None)] == [None, None]
    bought = verdict.by_cohort(evidence_, assemble(evidence_, market(home)), "wait", market(home))
    assert {(candidate.verdict, candidate.calibrations) for candidate in bought} == {("buy", None)}


def test_a_degraded_label_group_blocks_every_cohort(home: Home) -> None:
    groups = {"hard": ("refund",)}
    evidence_ = evidence.read(home, home.dataset(homes.TASK).name, DecideConfig(label_groups=groups))
    items = evidence_.reference.items.values()
    hard = [place for place, item in enumerate(items) if item.cohort["label_group"] == "hard"]
    homes.evaluation(home, "base", "base", wrong=hard[: len(hard) // 4], cost=homes.own_cost())
    evidence_ = evidence.read(home, home.dataset(homes.TASK).name, DecideConfig(label_groups=groups))
    here = market(home, margin=0.1, decide_at=100.0, label_groups=groups)
    candidates = assemble(evidence_, here)
    base = next(candidate for candidate in candidates if candidate.name == "base")
    assert (base.quality.verdict, base.state) == ("pass", "inadequate")
    cohorts = verdict.by_cohort(evidence_, candidates, "wait", here)
    assert {cohort.outcome["base"] for cohort in cohorts} == {"promoted"}
    assert {cohort.verdict for cohort in cohorts} == {"buy"}


def test_cohorts_of_a_task_that_is_not_built_pay_for_the_machines_alone(home: Home) -> None:
    homes.evaluation(home, "base", "base", wrong=(), cost=homes.own_cost())
    here = market(home, decide_at=10.0)
    # The whole task would pay its machine at this volume ($73.2 against $73), two thirds or a third of it do not.
    candidates = assemble(found(home), here)
    cohorts = verdict.by_cohort(found(home), candidates, "wait", here)
    assert [(cohort.value, cohort.verdict, cohort.basis) for cohort in cohorts] == [
        ("free", "buy", "alone"),
        ("paid", "buy", "alone"),
    ]


def test_small_cohorts_have_no_verdict(home: Home) -> None:
    here = market(home, min_cohort_items=300)
    cohorts = verdict.by_cohort(found(home), assemble(found(home), here), "buy", here)
    assert [cohort.value for cohort in cohorts] == ["free"]
