"""The decision for people: one Markdown page, with the arithmetic."""

from collections.abc import Iterable

from pipeline import pages
from pipeline.decide.break_even import BreakEven
from pipeline.decide.costs import HOURS_PER_MONTH
from pipeline.decide.quality import Quality
from pipeline.decide.record import Candidate, CohortVerdict, Decision
from pipeline.gate.paired import points
from traffic import formats
from traffic.formats import number, usd


def render(decision: Decision, chart: str) -> str:
    """`chart`: file name of the picture, beside the page."""
    simulated = " (simulated)" if decision.simulated else ""
    parts = [
        f"# {decision.task}: {decision.verdict}{simulated}",
        "\n\n".join(_summary(decision)),
        "## Why",
        _bullets(decision.reasons),
        "## Candidates",
        pages.markdown_table(candidate_rows(decision)),
        _bullets(f"{each.label}: {each.why}" for each in decision.candidates),
        "## Cost by volume",
        pages.markdown_table(_scale_rows(decision)),
        _bullets(
            f"{found.scale:g}x, {found.verdict}: {'; '.join(found.reasons)}"
            for found in decision.scales
            if found.scale != decision.scale
        ),
        f"![Cost per month by volume]({chart})",
        "## Break-even",
        "\n\n".join(_break_even(decision)),
        *_gate(decision),
        *_cohorts(decision),
        "## What this rests on",
        _bullets(_assumptions(decision)),
        pages.markdown_table(_evidence_rows(decision)),
        *([_bullets(f"{name} {reason}" for name, reason in decision.left_out.items())] if decision.left_out else []),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def candidate_rows(decision: Decision) -> list[tuple[str, ...]]:
    """The candidates side by side; the heading first."""
    metric = decision.candidates[0].quality.metric or "quality"
    month = f"USD/month at {decision.scale:g}x"
    heading = ("candidate", "side", f"{metric} (95%)", f"vs {decision.compared_with}", "p50 ms", "p95 ms", month)
    index = [found.scale for found in decision.scales].index(decision.scale)
    return [
        (*heading, "USD/1k", "break-even/month", "adequate"),
        *(_candidate_row(each, index) for each in decision.candidates),
    ]


def _candidate_row(each: Candidate, index: int) -> tuple[str, ...]:
    return (
        each.label,
        each.side,
        _value(each.quality),
        _difference(each.quality),
        number(each.latency_p50_ms),
        number(each.latency_p95_ms),
        usd(each.at[index].cost_per_month_usd),
        usd(each.cost_per_1k_usd),
        break_even_text(each.break_even),
        {"adequate": "yes", "unsettled": "not settled", "inadequate": "no"}[each.state],
    )


def break_even_text(found: BreakEven | None) -> str:
    if found is None:
        return "-"
    if found.requests_per_month is None:
        return found.kind
    return f"{found.requests_per_month:,.0f}"


def _summary(decision: Decision) -> list[str]:
    volume = decision.volume
    against = "scored against human labels" if decision.reference == "labels" else "scored by agreement with the log"
    what = {"build": "Build", "buy": "Buy", "wait": "Wait"}[decision.verdict]
    named = f": {decision.label(decision.winner)}" if decision.winner else ""
    decided = (
        f"**{what}{named}.** Decided {decision.decided}, holds until {decision.expires}, for {decision.scale:g}x the "
        f"log's volume of {volume.requests_per_month:,.0f} requests a month. "
        f"The log's own spend on it is {usd(volume.spend_usd_per_month)} a month."
    )
    evidence = (
        f"{decision.items:,} items of {decision.dataset} ({decision.split} split), {against}; adequate is what is at "
        f"most {100 * decision.margin:g} points worse than {decision.label(decision.compared_with)} "
        f"(one-sided, alpha {decision.alpha:g})."
    )
    if decision.simulated:
        return [decided, "**The verdict rests on a simulated model: a stand-in answered for it.**", evidence]
    return [decided, evidence]


def _scale_rows(decision: Decision) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [
        ("volume", "requests/month", "verdict", "cheapest adequate", *(each.label for each in decision.candidates))
    ]
    for index, found in enumerate(decision.scales):
        costs = (_cell(each, index) for each in decision.candidates)
        verdict = f"{found.verdict} (simulated)" if found.simulated else found.verdict
        scale, volume = f"{found.scale:g}x", f"{found.requests_per_month:,.0f}"
        rows.append((scale, volume, verdict, decision.label(found.cheapest), *costs))
    return rows


def _cell(candidate: Candidate, index: int) -> str:
    at = candidate.at[index]
    return f"{usd(at.cost_per_month_usd)}" + (f" ({at.machines} machines)" if at.machines > 1 else "")


def _break_even(decision: Decision) -> list[str]:
    bought = [each for each in decision.candidates if each.side == "buy" and each.state == "adequate" and each.cost]
    if not bought:
        return ["No bought candidate is adequate and priced: there is nothing to break even with."]
    cheapest = min(bought, key=lambda each: each.cost.usd_per_request if each.cost else 0)
    assert cheapest.cost is not None
    price = cheapest.cost.usd_per_request
    against = f"Against {cheapest.label}, the cheapest adequate bought candidate, at ${price:.4g} a request:"
    own = (each for each in decision.candidates if each.break_even is not None)
    return [against, _bullets(f"**{each.label}**: {_arithmetic(each, price)}" for each in own) or "Nothing to build."]


def _arithmetic(each: Candidate, bought: float) -> str:
    cost, found = each.cost, each.break_even
    assert cost is not None
    assert found is not None
    saved = bought - cost.usd_per_request
    own = f" - ${cost.usd_per_request:.4g} = ${saved:.4g}" if cost.usd_per_request else ""
    saves = f"a request saves ${bought:.4g}{own}"
    if saved <= 0:
        return f"never: {saves}"
    carries, machine, fixed = cost.requests_per_machine_month, cost.machine_usd_per_month, cost.fixed_usd_per_month
    if found.kind == "never" and carries is not None:
        return (
            f"never: a machine costs {usd(machine)} a month, carries {carries:,.0f} requests of this log's daily "
            f"rhythm, and {saves}, so a full one saves only {usd(carries * saved)}"
        )
    if found.requests_per_month is None or found.for_good_from is None:
        return f"always: {saves}, and nothing is paid by the month"
    machines = f" + {found.machines} x {usd(machine)} machine" if found.machines else ""
    text = (
        f"({usd(fixed)} fixed{machines}) / ${saved:.4g} saved a request = {found.requests_per_month:,.0f} requests a "
        f"month; {saves}"
    )
    if carries is not None:
        text += f"; one machine carries {carries:,.0f} a month"
    if found.for_good_from > found.requests_per_month:
        text += f"; for good from {found.for_good_from:,.0f}, as each machine more has to be paid first"
    return text


def _gate(decision: Decision) -> list[str]:
    """The test of each candidate: two methods, the bounds of the more doubtful one."""
    tested = [each for each in decision.candidates if each.quality.test is not None]
    if not tested:
        return []
    head = ("candidate", "gate", "difference", "p", "differ in score", "clusters", "design effect")
    rows: list[tuple[str, ...]] = [(*head, "items missing", "also", "may answer", "rests on")]
    for each in tested:
        test = each.quality.test
        assert test is not None
        missing = "more would not help" if test.items_missing is None else f"{test.items_missing:,}"
        also = "better" if test.superior else "equivalent" if test.equivalent else "-"
        share = f"{each.promotion.share:.0%}" if each.promotion else "-"
        rows.append(
            (
                *(each.label, test.verdict, points(test), f"{test.p_value:.3g}"),
                *(f"{test.discordant:,} of {test.items:,}", f"{test.clusters:,}", f"{test.design_effect:.2f}"),
                *(missing, also, share, _basis(each.quality)),
            )
        )
    method = (
        f"Worse by less than {100 * decision.margin:g} points than {decision.label(decision.compared_with)}, shown at "
        f"alpha {decision.alpha:g} for each candidate by Tango's score test and by a bootstrap of whole clusters; the "
        "bounds are those of the more doubtful one. "
        '"Items missing" is for 80% power.'
    )
    parts = ["## Gate", method, pages.markdown_table(rows)]
    for each in tested:
        if each.promotion is not None and each.promotion.cohorts:
            parts += [f"### Cohorts of {each.label}", pages.markdown_table(_cohort_rows(each))]
    return parts


def _basis(quality: Quality) -> str:
    found = quality.references
    if found is None:
        return "-"
    shares = ", ".join(f"{share:.0%} {source}" for source, share in found.shares.items())
    if found.basis == "accuracy":
        return f"accuracy ({shares})"
    return f"agreement, not accuracy ({shares}; {found.ask:,} of {found.differ:,} differences without a person's label)"


def _cohort_rows(candidate: Candidate) -> list[tuple[str, ...]]:
    assert candidate.promotion is not None
    rows: list[tuple[str, ...]] = [("cohort", "items", "p", "p (Holm)", "outcome", "why")]
    for each in candidate.promotion.cohorts:
        p_value = "-" if each.test is None else f"{each.test.p_value:.3g}"
        p_holm = "-" if each.p_holm is None else f"{each.p_holm:.3g}"
        rows.append((f"{each.key} {each.value}", f"{each.items:,}", p_value, p_holm, each.outcome, each.why))
    return rows


def _cohorts(decision: Decision) -> list[str]:
    if not decision.cohorts:
        return ["## Cohorts", "No cohort has enough items for a verdict of its own."]
    evaluated = [each for each in decision.candidates if each.evaluation]
    rows = [("cohort", "items", "verdict", "cheapest adequate", *(each.label for each in evaluated))]
    for found in decision.cohorts:
        verdict = f"{found.verdict} (simulated)" if found.simulated else found.verdict
        states = (_state(found, each.name) for each in evaluated)
        rows.append((f"{found.key} {found.value}", str(found.n), verdict, decision.label(found.cheapest), *states))
    basis = {
        "task": "Costs are the task's: its machines are there anyway.",
        "alone": "Costs are those of the cohort's own volume: it alone would have to pay for the machines.",
    }[decision.cohorts[0].basis]
    return ["## Cohorts", pages.markdown_table(rows), basis]


def _state(found: CohortVerdict, name: str) -> str:
    outcome = found.outcome.get(name)
    return f"{found.quality[name]}, {outcome}" if outcome else found.quality[name]


def _assumptions(decision: Decision) -> list[str]:
    volume = decision.volume
    tokens = "unknown tokens"
    if volume.input_tokens_mean is not None and volume.output_tokens_mean is not None:
        tokens = f"{volume.input_tokens_mean:,.0f} tokens in, {volume.output_tokens_mean:,.0f} out on average"
    period = f"{volume.hours:,.0f} hours of log ({volume.first} to {volume.last})"
    stated = (
        f"Volume: {volume.requests:,} requests of {', '.join(volume.call_sites)} in {period}, "
        f"{volume.movable_share:.1%} of them fit for an own model, scaled to a month of {HOURS_PER_MONTH:g} hours; "
        f"{volume.peak_requests_per_hour:,.0f} in the busiest hour; {tokens}."
    )
    lines = [stated]
    for each in decision.candidates:
        lines += [f"{each.label}: {text}." for text in (each.basis, *each.notes)]
    if decision.config["share_of_machine"] < 1:
        share = decision.config["share_of_machine"]
        lines.append(f"Other tasks share the machines: this one pays for, and may load, {share:.0%} of each.")
    fixed = decision.config["own_fixed_usd_per_month"]
    people = f"taken for {usd(fixed)} a month" if fixed else "not in the costs (own_fixed_usd_per_month)"
    lines.append(f"People's time to run an own model is {people}.")
    return lines


def _evidence_rows(decision: Decision) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("candidate", "evaluation", "SHA-256 of scores.yaml", "MLflow run")]
    for each in decision.evidence:
        label = decision.label(each.candidate)
        rows.append((label, each.evaluation, each.sha256[:16], each.mlflow_run_id or "-"))
    return rows


def _value(quality: Quality) -> str:
    if quality.value is None:
        return "not evaluated"
    if quality.low is None or quality.high is None:
        return f"{quality.value:.1%}"
    return f"{quality.value:.1%} ({quality.low:.1%}-{quality.high:.1%})"


def _difference(quality: Quality) -> str:
    if quality.difference is None or quality.difference_low is None or quality.difference_high is None:
        return "-"
    return formats.points(quality.difference, quality.difference_low, quality.difference_high)


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
