"""The decision as a Markdown page: its tables, for the template `decision.md.j2`."""

from typing import NamedTuple

from pipeline import pages
from pipeline.decide.costs import HOURS_PER_MONTH, BreakEven
from pipeline.decide.quality import Quality
from pipeline.decide.ranking import ranked
from pipeline.decide.record import Candidate, CohortVerdict, Decision
from pipeline.gate.paired import points
from traffic import number_format
from traffic.number_format import number, usd

Rows = list[tuple[str, ...]]
"""A table; the heading first."""


class Tables(NamedTuple):
    """The page's tables."""

    candidates: Rows
    volumes: Rows
    gate: Rows | None
    """None if nothing was tested."""
    gate_cohorts: list[tuple[Candidate, Rows]]
    cohorts: Rows
    evidence: Rows


def render(decision: Decision, chart: str) -> str:
    """The page; `chart`: file name of the picture beside it."""
    bought = [each for each in decision.candidates if each.side == "buy" and each.state == "adequate" and each.cost]
    return pages.markdown(
        "decision.md.j2",
        d=decision,
        chart=chart,
        cheapest=min(bought, key=lambda each: each.cost.usd_per_request if each.cost else 0, default=None),
        hours_per_month=HOURS_PER_MONTH,
        tables=Tables(
            candidates=candidate_rows(decision),
            volumes=_volume_rows(decision),
            gate=_gate_rows(decision),
            gate_cohorts=[
                (each, _gate_cohort_rows(each))
                for each in decision.candidates
                if each.promotion is not None and each.promotion.cohorts
            ],
            cohorts=_cohort_rows(decision),
            evidence=_evidence_rows(decision),
        ),
    )


def candidate_rows(decision: Decision) -> Rows:
    """The candidates side by side: those that are adequate first, each group by cost."""
    metric = decision.candidates[0].quality.metric or "quality"
    month = f"USD/month at {decision.scale:g}x"
    heading = ("candidate", "side", f"{metric} (95%)", f"vs {decision.compared_with}", "p50 ms", "p95 ms", month)
    index = [scale.scale for scale in decision.scales].index(decision.scale)
    return [
        (*heading, "USD/1k", "break-even/month", "adequate"),
        *(_candidate_row(each, index) for each in ranked(decision.candidates, index)),
    ]


def break_even_text(point: BreakEven | None) -> str:
    """A table cell."""
    if point is None:
        return "-"
    return point.kind if point.requests_per_month is None else f"{point.requests_per_month:,.0f}"


def _candidate_row(each: Candidate, index: int) -> tuple[str, ...]:
    quality = each.quality
    return (
        each.label,
        each.side,
        _value(quality),
        number_format.points(quality.difference, quality.difference_low, quality.difference_high),
        number(each.latency_p50_ms),
        number(each.latency_p95_ms),
        usd(each.at[index].cost_per_month_usd),
        usd(each.cost_per_1k_usd),
        break_even_text(each.break_even),
        {"adequate": "yes", "unsettled": "not settled", "inadequate": "no"}[each.state],
    )


def _value(quality: Quality) -> str:
    if quality.value is None:
        return "not evaluated"
    if quality.low is None or quality.high is None:
        return f"{quality.value:.1%}"
    return f"{quality.value:.1%} ({quality.low:.1%}-{quality.high:.1%})"


def _volume_rows(decision: Decision) -> Rows:
    labels = (each.label for each in decision.candidates)
    rows: Rows = [("volume", "requests/month", "verdict", "cheapest adequate", *labels)]
    for index, scale in enumerate(decision.scales):
        costs = (_cost(each, index) for each in decision.candidates)
        verdict = f"{scale.verdict} (simulated)" if scale.simulated else scale.verdict
        volume = f"{scale.requests_per_month:,.0f}"
        rows.append((f"{scale.scale:g}x", volume, verdict, decision.label(scale.cheapest), *costs))
    return rows


def _cost(candidate: Candidate, index: int) -> str:
    at = candidate.at[index]
    return usd(at.cost_per_month_usd) + (f" ({at.machines} machines)" if at.machines > 1 else "")


def _gate_rows(decision: Decision) -> Rows | None:
    """The test of each candidate."""
    heading = ("candidate", "gate", "difference", "p", "p (Holm)", "items that differ", "clusters", "design effect")
    rows: Rows = [(*heading, "items missing", "also", "may answer", "rests on")]
    for each in decision.candidates:
        test = each.quality.test
        if test is None:
            continue
        missing = "more would not help" if test.items_missing is None else f"{test.items_missing:,}"
        also = "better" if test.superior else "equivalent" if test.equivalent else "-"
        share = f"{each.promotion.share:.0%}" if each.promotion else "-"
        rows.append(
            (
                *(each.label, each.quality.verdict, points(test), f"{test.p_value:.3g}"),
                "-" if each.quality.p_holm is None else f"{each.quality.p_holm:.3g}",
                *(f"{test.discordant:,} of {test.items:,}", f"{test.clusters:,}", f"{test.design_effect:.2f}"),
                *(missing, also, share, _references(each.quality)),
            )
        )
    return rows if len(rows) > 1 else None


def _references(quality: Quality) -> str:
    references = quality.references
    if references is None:
        return "-"
    shares = ", ".join(f"{share:.0%} {source}" for source, share in references.shares.items())
    if references.basis == "accuracy":
        return f"accuracy ({shares})"
    ask = f"{references.ask:,} of {references.differ:,}"
    return f"agreement, not accuracy ({shares}; {ask} differences without a person's label)"


def _gate_cohort_rows(candidate: Candidate) -> Rows:
    rows: Rows = [("cohort", "items", "p", "p (Holm)", "outcome", "why")]
    for each in candidate.promotion.cohorts if candidate.promotion else ():
        p_value = "-" if each.test is None else f"{each.test.p_value:.3g}"
        p_holm = "-" if each.p_holm is None else f"{each.p_holm:.3g}"
        rows.append((f"{each.key} {each.value}", f"{each.items:,}", p_value, p_holm, each.outcome, each.why))
    return rows


def _cohort_rows(decision: Decision) -> Rows:
    evaluated = [each for each in decision.candidates if each.evaluation]
    rows: Rows = [("cohort", "items", "verdict", "cheapest adequate", *(each.label for each in evaluated))]
    for cohort in decision.cohorts:
        verdict = f"{cohort.verdict} (simulated)" if cohort.simulated else cohort.verdict
        states = (_state(cohort, each.name) for each in evaluated)
        cheapest = decision.label(cohort.cheapest)
        rows.append((f"{cohort.key} {cohort.value}", str(cohort.n), verdict, cheapest, *states))
    return rows


def _state(cohort: CohortVerdict, name: str) -> str:
    outcome = cohort.outcome.get(name)
    return f"{cohort.quality[name]}, {outcome}" if outcome else cohort.quality[name]


def _evidence_rows(decision: Decision) -> Rows:
    rows: Rows = [("candidate", "evaluation", "SHA-256 of scores.yaml", "MLflow run")]
    for each in decision.evidence:
        label = decision.label(each.candidate)
        rows.append((label, each.evaluation, each.sha256[:16], each.mlflow_run_id or "-"))
    return rows
