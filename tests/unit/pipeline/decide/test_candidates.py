"""Candidates from evaluations: adequacy, cost and messages."""

import datetime as dt
import shutil
from datetime import date
from pathlib import Path

import msgspec
import pytest

from pipeline import dataset as datasets
from pipeline.decide import evidence, volume
from pipeline.decide.candidates import assemble
from pipeline.decide.config import DecideConfig, Rival
from pipeline.decide.pricing import Market
from pipeline.decide.record import Candidate
from tests.fakes import evaluated_homes as homes
from traffic import adapters, config
from traffic.artifacts import Home
from traffic.errors import NotFound
from traffic.prices import Override, PriceTable

pytestmark = pytest.mark.slow

EXPIRES = date(2027, 2, 21)
PRICES = PriceTable(
    [
        Override(
            model=model, from_=date(2026, 1, 1), input_mtok_usd=1.0, output_mtok_usd=10.0, source="t", deprecated_on=end
        )
        for model, end in (("big-model", None), ("old-model", date(2027, 1, 14)), ("long-lived", date(2027, 2, 22)))
    ]
)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("template")
    return homes.make(folder, requests_per_day=24, days=14)


@pytest.fixture
def home(template: Home, tmp_path: Path) -> Home:
    return Home(shutil.copytree(template.root, tmp_path / "home"))


def market(home: Home, **changes: object) -> Market:
    chosen = DecideConfig(**changes)  # type: ignore[arg-type]
    traffic = volume.read(home, datasets.load(home.dataset(homes.TASK)), min_hours=1)
    return Market(home, chosen, traffic, PRICES, homes.MACHINES, homes.TODAY, EXPIRES, agreement=False)


def candidates(home: Home, **changes: object) -> dict[str, Candidate]:
    recorded = evidence.read(home, home.dataset(homes.TASK).name)
    return {each.name: each for each in assemble(recorded, market(home, **changes))}


def test_logged_answers_are_adequate_and_have_the_logged_cost(home: Home) -> None:
    teacher = candidates(home)["teacher"]
    assert (teacher.side, teacher.state) == ("buy", "adequate")
    assert teacher.cost is not None
    assert teacher.cost.usd_per_request == pytest.approx(0.001)
    assert [at.scale for at in teacher.at] == [1, 10, 100]
    assert teacher.at[1].cost_per_month_usd == pytest.approx(10 * (teacher.at[0].cost_per_month_usd or 0))
    assert teacher.cost_per_1k_usd == pytest.approx(1.0)


def test_an_adapter_pays_for_its_machine_and_its_fine_tuning(home: Home) -> None:
    homes.evaluation(home, "adapter", "adapter", wrong=(), cost=homes.own_cost(2.0))
    candidate = candidates(home)["adapter"]
    assert (candidate.side, candidate.state, candidate.adapter) == ("build", "adequate", homes.ADAPTER)
    assert candidate.cost is not None
    # An hour of training on the box, over 90 days.
    assert candidate.cost.fixed_usd_per_month == pytest.approx(0.1 * 730 / 24 / 90)
    assert candidate.cost.machine_usd_per_month == pytest.approx(73.0)
    assert "2 requests/s measured at 16 in flight, planned for 70% of it" in candidate.basis
    assert "fine-tuning 3,600 s on box = $0.1 once, over 90 days" in candidate.basis
    assert candidate.break_even is not None
    assert candidate.break_even.requests_per_month == pytest.approx((73.0 + 0.0338) / 0.001, rel=1e-4)


def test_training_may_use_another_machine_and_paid_labour(home: Home) -> None:
    homes.evaluation(home, "adapter", "adapter", wrong=(), cost=homes.own_cost())
    candidate = candidates(home, training_machine="gpu", own_fixed_usd_per_month=500.0, expires_after_days=30)[
        "adapter"
    ]
    assert candidate.cost is not None
    assert candidate.cost.fixed_usd_per_month == pytest.approx(500 + 1.0 * 730 / 24 / 30)


def test_an_unknown_training_time_is_reported_not_guessed(home: Home) -> None:
    card = msgspec.structs.replace(adapters.load(home.adapter(homes.ADAPTER)), metrics={})
    (home.adapters / homes.ADAPTER / "adapter.yaml").write_text(config.dump(card))
    homes.evaluation(home, "adapter", "adapter", wrong=(), cost=homes.own_cost())
    assert "fine-tuning is not in the cost" in candidates(home)["adapter"].notes[0]


def test_a_base_model_needs_no_fine_tuning(home: Home) -> None:
    homes.evaluation(home, "base", "base", wrong=(), cost=homes.own_cost(machine="gpu"))
    candidate = candidates(home)["base"]
    assert (candidate.side, candidate.adapter) == ("build", None)
    assert candidate.cost is not None
    assert (candidate.cost.fixed_usd_per_month, candidate.cost.machine_usd_per_month) == (0, 730.0)


def test_a_shared_machine_is_stated(home: Home) -> None:
    homes.evaluation(home, "base", "base", wrong=(), cost=homes.own_cost())
    candidate = candidates(home, share_of_machine=0.25)["base"]
    assert candidate.basis.startswith("25% of box at $0.1/h")
    assert candidate.at[0].cost_per_month_usd == pytest.approx(73 / 4)


def test_a_machine_missing_from_the_price_list_is_an_error(home: Home) -> None:
    homes.evaluation(home, "base", "base", wrong=(), cost=homes.own_cost(machine="bix"))
    with pytest.raises(NotFound, match=r"no machine 'bix' in .*; did you mean `box`"):
        candidates(home)


def test_without_throughput_an_own_model_has_no_cost(home: Home) -> None:
    homes.evaluation(home, "base", "base", wrong=(), cost=homes.own_cost(None))
    candidate = candidates(home)["base"]
    assert (candidate.cost, candidate.cost_per_1k_usd, candidate.break_even) == (None, None, None)
    assert {at.cost_per_month_usd for at in candidate.at} == {None}


def test_a_classical_model_costs_cpu_seconds_only(home: Home) -> None:
    homes.evaluation(home, "classical", "classical", wrong=(), cost=homes.cpu_cost(0.01))
    candidate = candidates(home)["classical"]
    assert (candidate.side, candidate.at[0].machines) == ("build", 0)
    assert candidate.cost_per_1k_usd == pytest.approx(1000 * 0.01 * 0.1 / 7200)
    assert candidate.break_even is not None
    assert candidate.break_even.kind == "always"


def test_a_hosted_model_is_priced_at_the_tokens_of_the_log(home: Home) -> None:
    # The log has 30 tokens in and 3 out a request; the test items, without their duplicates, twice as many.
    teacher = msgspec.structs.replace(homes.cpu_cost(), input_tokens_mean=60.0, output_tokens_mean=6.0)
    newer = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
    homes.evaluation(home, "teacher", "teacher", wrong=(), cost=teacher, comparison=None, created_at=newer)
    homes.evaluation(home, "small", "openai", wrong=(), cost=homes.hosted_cost(0.0008, 80.0, 8.0))
    candidate = candidates(home)["small"]
    assert candidate.cost is not None
    assert candidate.cost.usd_per_request == pytest.approx(0.0004)
    assert "scaled to the log's (40 in, 4 out; prices.yaml 2026-11-01)" in candidate.basis


def test_a_hosted_model_without_a_price_is_unpriced(home: Home) -> None:
    homes.evaluation(home, "small", "openai", wrong=(), cost=homes.hosted_cost(None))
    candidate = candidates(home)["small"]
    assert candidate.cost is None
    assert "add one to configs/prices.yaml" in candidate.basis


def test_adequacy_follows_from_quality(home: Home) -> None:
    homes.evaluation(home, "fails", "openai", wrong=range(60), cost=homes.hosted_cost(0.0008))
    homes.evaluation(home, "open", "openai", wrong=range(8), cost=homes.hosted_cost(0.0008))
    listed = candidates(home)
    assert listed["fails"].state == "inadequate"
    assert listed["fails"].why.startswith("worse than the reference by more than the margin: accuracy -15.0 points (")
    assert listed["open"].state == "unsettled"
    assert listed["open"].why.startswith("400 items do not settle whether it is as good: accuracy -2.0 points (")
    assert listed["open"].why.endswith("more items would settle it")


@pytest.mark.parametrize(
    "ends, state", [(EXPIRES, "inadequate"), (date(2027, 2, 22), "adequate"), (date(2026, 12, 1), "inadequate")]
)
def test_a_retired_model_is_not_adequate(home: Home, ends: date, state: str) -> None:
    homes.evaluation(home, "small", "openai", wrong=(), cost=homes.hosted_cost(0.0008), deprecated_on=ends)
    candidate = candidates(home)["small"]
    assert (candidate.state, candidate.deprecated_on) == (state, ends)


def test_the_logged_model_may_be_retired(tmp_path: Path) -> None:
    home = homes.make(tmp_path, model="old-model")
    teacher = candidates(home)["teacher"]
    assert teacher.state == "inadequate"
    assert "2027-01-14" in teacher.why
    assert "2027-02-21" in teacher.why


def test_break_even_is_against_the_cheapest_adequate_bought_model(home: Home) -> None:
    homes.evaluation(home, "base", "base", wrong=(), cost=homes.own_cost())
    homes.evaluation(home, "small", "openai", wrong=(), cost=homes.hosted_cost(0.0005))
    homes.evaluation(home, "bad", "openai", wrong=range(99), cost=homes.hosted_cost(0.0001))
    break_even = candidates(home)["base"].break_even
    assert break_even is not None
    assert break_even.requests_per_month == pytest.approx(73.0 / 0.0005)


def test_listed_rivals_are_priced_but_not_evaluated(home: Home) -> None:
    rivals = (
        Rival(name="r", model="long-lived"),
        Rival(name="old", model="old-model"),
        Rival(name="x", model="nobody"),
    )
    listed = candidates(home, rivals=rivals)
    assert (listed["r"].kind, listed["r"].state, listed["r"].why) == (
        "listed",
        "unsettled",
        "not evaluated on this task",
    )
    assert listed["r"].cost is not None
    assert listed["r"].cost.usd_per_request == pytest.approx((30 + 3 * 10) / 1e6)
    assert listed["old"].state == "inadequate"
    assert (listed["x"].cost, listed["x"].state) == (None, "unsettled")
    assert "no price for nobody" in listed["x"].basis


def test_a_rival_that_was_evaluated_is_not_listed_again(home: Home) -> None:
    homes.evaluation(home, "small", "openai", wrong=(), cost=homes.hosted_cost(0.0008), model="long-lived")
    rivals = (Rival(name="r", model="long-lived"), Rival(name="small", model="other"))
    assert list(candidates(home, rivals=rivals)) == ["teacher", "small"]


def test_logged_answers_of_a_stand_in_are_simulated(tmp_path: Path) -> None:
    by_name = homes.make(tmp_path / "a", model="simulated-big")
    assert candidates(by_name)["teacher"].label == "teacher (simulated)"
    by_candidate = homes.make(tmp_path / "b", model="big-model")
    homes.evaluation(
        by_candidate, "small", "openai", wrong=(), cost=homes.hosted_cost(0.0008), model="big-model", simulated=True
    )
    listed = candidates(by_candidate)
    assert listed["teacher"].simulated
    assert listed["small"].label == "small (simulated)"


def test_a_log_without_costs_leaves_the_teacher_unpriced(tmp_path: Path) -> None:
    candidate = candidates(homes.make(tmp_path, usd_per_request=None))["teacher"]
    assert candidate.cost is None
    assert "add its model to configs/prices.yaml" in candidate.basis


def test_costs_that_are_missing_in_part_are_noted(home: Home) -> None:
    homes.log(home, 7, 3600, cost_usd=None)
    assert candidates(home)["teacher"].notes == ("7 logged answers have no cost: the mean is of the others",)
