"""The report of a stored decision."""

from pathlib import Path

import msgspec
import pytest

from pipeline.decide import document, record
from pipeline.decide.costs import BreakEven, CostModel, break_even
from pipeline.decide.record import CohortVerdict, Decision

GOLDEN = Path(__file__).parents[3] / "golden" / "decision_v1.yaml"


@pytest.fixture
def decision() -> Decision:
    return record.load(GOLDEN)


def line(text: str, start: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(start))


def test_the_page_states_verdict_expiry_volume_and_evidence(decision: Decision) -> None:
    text = document.render(decision, "x.svg")
    assert text.startswith("# support.intent: buy (simulated)\n")
    assert "**Buy: small (simulated).** Decided 2026-11-23, valid until 2027-02-21, for 1x the log's volume" in text
    assert "**The verdict depends on a simulated model" in text
    assert "6,720 requests of support.intent in 336 hours of log" in text
    assert "![Cost per month by volume](x.svg)" in text
    for each in decision.evidence:
        assert f"{each.evaluation} | {each.sha256[:16]} | {each.mlflow_run_id}" in text


def test_simulated_numbers_are_always_marked(decision: Decision) -> None:
    text = document.render(decision, "x.svg")
    assert "small (simulated)" in text
    assert "small" not in text.replace("small (simulated)", "").replace("small@", "").replace("run-of-small", "")


def test_the_break_even_arithmetic_can_be_followed(decision: Decision) -> None:
    text = document.render(decision, "x.svg")
    assert "Against small (simulated), the cheapest adequate hosted candidate, at $0.0008 per request:" in text
    assert line(text, "- **adapter**:") == (
        "- **adapter**: ($0.0338 fixed + 1 x $73.00 machine) / $0.0008 saved per request = 91,292 requests a month; "
        "a request saves $0.0008; one machine carries 367,975 a month"
    )
    assert line(text, "- **classical**:").startswith("- **classical**: always: a request saves $0.0008 - $1.389e-08")


def test_a_machine_that_never_pays_is_explained(decision: Decision) -> None:
    cost = CostModel(machine_usd_per_month=100, requests_per_machine_month=1000)
    text = document.render(with_cost(decision, cost), "x.svg")
    assert line(text, "- **adapter**:") == (
        "- **adapter**: never: a machine costs $100 a month and carries 1,000 requests of this log's daily pattern, "
        "and a request saves $0.0008, so a full machine saves only $0.80"
    )


def test_a_lead_that_the_next_machine_takes_back_is_explained(decision: Decision) -> None:
    cost = CostModel(machine_usd_per_month=80, requests_per_machine_month=150_000)
    text = document.render(with_cost(decision, cost), "x.svg")
    assert "permanently from 200,000" in line(text, "- **adapter**:")


def test_without_an_adequate_bought_candidate_there_is_no_break_even(decision: Decision) -> None:
    bought = tuple(
        msgspec.structs.replace(candidate, state="inadequate", break_even=None) for candidate in decision.candidates
    )
    text = document.render(msgspec.structs.replace(decision, candidates=bought), "x.svg")
    assert "there is no break-even" in text


def test_pipes_in_names_do_not_break_tables(decision: Decision) -> None:
    odd = msgspec.structs.replace(decision.cohorts[0], value="a|b")
    text = document.render(msgspec.structs.replace(decision, cohorts=(odd,)), "x.svg")
    tables = [part.splitlines() for part in text.replace("\\|", "").split("\n\n") if part.startswith("|")]
    assert len(tables) == 4  # candidates, volumes, cohorts, evidence
    for table in tables:
        assert {row.count("|") for row in table} == {table[0].count("|")}
    assert tables[2][2].startswith("| plan ab |")


def test_missing_numbers_are_never_zero(decision: Decision) -> None:
    text = document.render(decision, "x.svg")
    assert line(text, "| luna |").startswith("| luna | buy | not evaluated | - | - | - | $0.0657")
    unpriced = msgspec.structs.replace(
        decision.candidates[0],
        cost=None,
        cost_per_1k_usd=None,
        at=tuple(msgspec.structs.replace(at, cost_per_month_usd=None) for at in decision.candidates[0].at),
    )
    changed = msgspec.structs.replace(decision, candidates=(unpriced, *decision.candidates[1:]))
    assert "| unpriced | unpriced | - | yes |" in line(document.render(changed, "x.svg"), "| teacher |")


def test_cohorts_state_the_basis_of_their_costs(decision: Decision) -> None:
    assert "the cohort's volume alone" in document.render(decision, "x.svg")
    shared = tuple(msgspec.structs.replace(cohort, basis="task") for cohort in decision.cohorts)
    assert "Costs are those of the whole task" in document.render(
        msgspec.structs.replace(decision, cohorts=shared), "x.svg"
    )
    none: tuple[CohortVerdict, ...] = ()
    assert "No cohort has enough items" in document.render(msgspec.structs.replace(decision, cohorts=none), "x.svg")


def test_shared_machines_and_peoples_time_are_stated(decision: Decision) -> None:
    assert "Staff cost of running an own model: not included" in document.render(decision, "x.svg")
    settings = decision.config | {"share_of_machine": 0.25, "own_fixed_usd_per_month": 1500.0}
    text = document.render(msgspec.structs.replace(decision, config=settings), "x.svg")
    assert "25% of each" in text
    assert "Staff cost of running an own model: $1,500 a month" in text


@pytest.mark.parametrize(
    "break_even, shown",
    [
        (None, "-"),
        (BreakEven("never"), "never"),
        (BreakEven("always"), "always"),
        (BreakEven("from", 1e6), "1,000,000"),
    ],
)
def test_break_even_in_a_table_cell(break_even: BreakEven | None, shown: str) -> None:
    assert document.break_even_text(break_even) == shown


def with_cost(decision: Decision, cost: CostModel) -> Decision:
    """The decision with a different cost of its adapter."""
    changed = tuple(
        msgspec.structs.replace(candidate, cost=cost, break_even=break_even(cost, 0.0008))
        if candidate.name == "adapter"
        else candidate
        for candidate in decision.candidates
    )
    return msgspec.structs.replace(decision, candidates=changed)
