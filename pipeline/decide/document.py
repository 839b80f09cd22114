"""Renders a decision as a Markdown page: tables for the template `decision.md.j2`."""

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
    bought = [
        candidate
        for candidate in decision.candidates
        if candidate.side == "buy" and candidate.state == "adequate" and candidate.cost
    ]
    return pages.markdown(
        "decision.md.j2",
        d=decision,
        chart=chart,
        cheapest=min(
            bought, key=lambda candidate: candidate.cost.usd_per_request if candidate.cost else 0, default=None
        ),
        hours_per_month=HOURS_PER_MONTH,
        tables=Tables(
            candidates=candidate_rows(decision),
            volumes=_volume_rows(decision),
            gate=_gate_rows(decision),
            gate_cohorts=[
                (candidate, _gate_cohort_rows(candidate))
                for candidate in decision.candidates
                if candidate.promotion is not None and candidate.promotion.cohorts
            ],
            cohorts=_cohort_rows(decision),
            evidence=_evidence_rows(decision),
        ),
    )


def candidate_rows(decision: Decision) -> Rows:
    """The candidates side by side: adequate, unsettled, inadequate; each group by cost."""
    metric = decision.candidates[0].quality.metric or "quality"
    month = f"USD/month at {decision.scale:g}x"
    heading = ("candidate", "side", f"{metric} (95%)", f"vs {decision.compared_with}", "p50 ms", "p95 ms", month)
    index = [scale.scale for scale in decision.scales].index(decision.scale)
    return [
        (*heading, "USD/1k", "break-even/month", "adequate"),
        *(_candidate_row(candidate, index) for candidate in ranked(decision.candidates, index)),
    ]


def break_even_text(point: BreakEven | None) -> str:
    """A table cell."""
    if point is None:
        return "-"
    return point.kind if point.requests_per_month is None else f"{point.requests_per_month:,.0f}"


def _candidate_row(candidate: Candidate, index: int) -> tuple[str, ...]:
    quality = candidate.quality
    return (
        candidate.label,
        candidate.side,
        _value(quality),
        number_format.points(quality.difference, quality.difference_low, quality.difference_high),
        number(candidate.latency_p50_ms),
        number(candidate.latency_p95_ms),
        usd(candidate.at[index].cost_per_month_usd),
        usd(candidate.cost_per_1k_usd),
        break_even_text(candidate.break_even),
        {"adequate": "yes", "unsettled": "not settled", "inadequate": "no"}[candidate.state],
    )


def _value(quality: Quality) -> str:
    if quality.value is None:
        return "not evaluated"
    if quality.low is None or quality.high is None:
        return f"{quality.value:.1%}"
    return f"{quality.value:.1%} ({quality.low:.1%}-{quality.high:.1%})"


def _volume_rows(decision: Decision) -> Rows:
    labels = (candidate.label for candidate in decision.candidates)
    rows: Rows = [("volume", "requests/month", "verdict", "cheapest adequate", *labels)]
    for index, scale in enumerate(decision.scales):
        costs = (_cost(candidate, index) for candidate in decision.candidates)
        verdict = f"{scale.verdict} (simulated)" if scale.simulated else scale.verdict
        volume = f"{scale.requests_per_month:,.0f}"
        rows.append((f"{scale.scale:g}x", volume, verdict, decision.label(scale.cheapest), *costs))
    return rows


def _cost(candidate: Candidate, index: int) -> str:
    scale_cost = candidate.at[index]
    return usd(scale_cost.cost_per_month_usd) + (
        f" ({scale_cost.machines} machines)" if scale_cost.machines > 1 else ""
    )


def _gate_rows(decision: Decision) -> Rows | None:
    """The test of each candidate."""
    heading = ("candidate", "gate", "difference", "p", "p (Holm)", "items that differ", "clusters", "design effect")
    rows: Rows = [(*heading, "items missing", "also", "may answer", "rests on")]
    for candidate in decision.candidates:
        test = candidate.quality.test
        if test is None:
            continue
        missing = "more would not help" if test.items_missing is None else f"{test.items_missing:,}"
        also = "better" if test.superior else "equivalent" if test.equivalent else "-"
        share = f"{candidate.promotion.share:.0%}" if candidate.promotion else "-"
        rows.append(
            (
                *(candidate.label, candidate.quality.verdict, points(test), f"{test.p_value:.3g}"),
                "-" if candidate.quality.p_holm is None else f"{candidate.quality.p_holm:.3g}",
                *(f"{test.discordant:,} of {test.items:,}", f"{test.clusters:,}", f"{test.design_effect:.2f}"),
                *(missing, also, share, _references(candidate.quality)),
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
    for cohort in candidate.promotion.cohorts if candidate.promotion else ():
        p_value = "-" if cohort.test is None else f"{cohort.test.p_value:.3g}"
        p_holm = "-" if cohort.p_holm is None else f"{cohort.p_holm:.3g}"
        rows.append((f"{cohort.key} {cohort.value}", f"{cohort.items:,}", p_value, p_holm, cohort.outcome, cohort.why))
    return rows


def _cohort_rows(decision: Decision) -> Rows:
    evaluated = [candidate for candidate in decision.candidates if candidate.evaluation]
    rows: Rows = [("cohort", "items", "verdict", "cheapest adequate", *(candidate.label for candidate in evaluated))]
    for cohort in decision.cohorts:
        verdict = f"{cohort.verdict} (simulated)" if cohort.simulated else cohort.verdict
        states = (_state(cohort, candidate.name) for candidate in evaluated)
        cheapest = decision.label(cohort.cheapest)
        rows.append((f"{cohort.key} {cohort.value}", str(cohort.n), verdict, cheapest, *states))
    return rows


def _state(cohort: CohortVerdict, name: str) -> str:
    outcome = cohort.outcome.get(name)
    return f"{cohort.quality[name]}, {outcome}" if outcome else cohort.quality[name]


def _evidence_rows(decision: Decision) -> Rows:
    rows: Rows = [("candidate", "evaluation", "SHA-256 of scores.yaml", "MLflow run")]
    for file in decision.evidence:
        label = decision.label(file.candidate)
        rows.append((label, file.evaluation, file.sha256[:16], file.mlflow_run_id or "-"))
    return rows
