"""Build, buy or wait: a documented decision about one task, at the log's volume and at multiples of it.

    fasttier decide --task support.intent

Reads the task's current evaluations, the records store and the prices; tests each candidate against the incumbent,
computes monthly costs, and applies the verdict's rule. Writes
home/decisions/<task>@<date>-<hash8>.{yaml,md,svg,ask.csv} and an MLflow run with one nested run per candidate.
"""

import datetime as dt
from collections.abc import Sequence

import msgspec

from pipeline import dataset as datasets
from pipeline.decide import document, pricing, ranking, verdict, volume, write
from pipeline.decide import evidence as evidence_
from pipeline.decide.candidates import assemble
from pipeline.decide.config import DecideConfig, Rival
from pipeline.decide.evidence import Evidence
from pipeline.decide.pricing import Market
from pipeline.decide.quality import to_ask
from pipeline.decide.record import Candidate, Decision, EvidenceFile, ScaleVerdict, load
from pipeline.decide.summary import DecideSummary
from traffic.artifacts import Home
from traffic.prices import Machines, PriceTable, load_machines

__all__ = ["DecideConfig", "DecideSummary", "Decision", "Rival", "load", "run"]

_SHORT_LOG_HOURS = 7 * 24


def run(
    task: str | None,
    *,
    home: Home,
    config: DecideConfig,
    today: dt.date,
    prices: PriceTable | None = None,
    machines: Machines | None = None,
    gate: bool = False,
) -> DecideSummary:
    """Decide about a task (None: that of the current dataset) from the evaluations on its current dataset.

    `prices`, `machines`: None for the shipped tables. `gate`: exit status 1 unless the verdict is "build".

    Raises: NotFound (no dataset, evaluation, record or machine), NotEnoughData (log too short), ConfigError,
    InputError.
    """
    card = datasets.load(home.dataset(task))
    evidence = evidence_.read(home, card.name, config)
    market = Market(
        home=home,
        config=config,
        volume=volume.read(
            home, card, min_hours=config.min_log_hours, log_from=config.log_from, log_until=config.log_until
        ),
        prices=prices or PriceTable.load(),
        machines=machines or load_machines(),
        today=today,
        expires=today + dt.timedelta(days=config.expires_after_days),
        agreement=evidence.reference.scores.reference == "logged",
    )
    decision = _decide(card.task, evidence, market)
    focus = next((evaluation for evaluation in evidence.evaluated if evaluation.name == decision.asked_about), None)
    ask = to_ask(focus, evidence.reference) if focus else []
    path, decision = write.write(home, decision, ask)
    paths = {"decision": path, "document": path.with_suffix(".md"), "chart": path.with_suffix(".svg")}
    if ask:
        paths["ask"] = path.with_suffix(write.ASK)
    return DecideSummary(
        task=decision.task,
        verdict=decision.verdict,
        winner=decision.winner,
        simulated=decision.simulated,
        expires=decision.expires,
        requests_per_month=decision.scale * decision.volume.requests_per_month,
        reasons=decision.reasons,
        candidates=decision.candidates,
        scales=decision.scales,
        table=tuple(document.candidate_rows(decision)),
        promotion=decision.promotion,
        asked_about=decision.asked_about if ask else None,
        ask=len(ask),
        paths=paths,
        mlflow_run_id=decision.mlflow_run_id,
        gate=gate,
    )


def _decide(task: str, evidence: Evidence, market: Market) -> Decision:
    config = market.config
    candidates = assemble(evidence, market)
    scales = verdict.by_scale(candidates, market)
    chosen = next(verdict for verdict in scales if verdict.scale == config.decide_at)
    winner = next((c for c in candidates if c.name == chosen.cheapest and chosen.verdict != "wait"), None)
    lead = _lead(candidates, winner)
    references = lead.quality.references if lead else None
    promoted = winner.promotion if winner else None
    no_case = ranking.without_case(candidates, evidence, market)
    return Decision(
        task=task,
        verdict=chosen.verdict,
        expires=market.expires,
        decided=market.today,
        winner=winner.name if winner else None,
        adapter=winner.adapter if winner and chosen.verdict == "build" else None,
        calibrations=evidence.calibrations(winner.name) if winner and chosen.verdict == "build" else None,
        promotion=msgspec.structs.replace(promoted, cohorts=()) if promoted else None,
        references=references,
        asked_about=lead.name if lead and references and references.ask else None,
        simulated=chosen.simulated,
        scale=config.decide_at,
        dataset=evidence.reference.scores.dataset,
        split=config.split,
        reference=evidence.reference.scores.reference,
        compared_with=evidence.reference.name,
        margin=config.margin,
        alpha=config.alpha,
        items=len(evidence.reference.items),
        requests=evidence.requests,
        reasons=(
            *chosen.reasons,
            *_cautions(chosen, winner, market),
            *(f"there is no case for {name}: {why}" for name, why in no_case.items()),
        ),
        volume=market.volume,
        candidates=candidates,
        scales=scales,
        cohorts=verdict.by_cohort(evidence, candidates, chosen.verdict, market),
        evidence=tuple(
            EvidenceFile(file.name, file.folder.name, file.sha256, file.scores.mlflow_run_id)
            for file in evidence.evaluated
        ),
        left_out=evidence.left_out,
        without_case=no_case,
        config=msgspec.to_builtins(config, str_keys=True),
    )


def _lead(candidates: Sequence[Candidate], winner: Candidate | None) -> Candidate | None:
    """The candidate to collect labels for: the winner, else the best own candidate."""
    tested = [candidate for candidate in candidates if candidate.quality.test is not None]
    if winner is not None and winner in tested:
        return winner
    own_candidates = [candidate for candidate in tested if candidate.side == "build"]
    return max(own_candidates, key=lambda candidate: candidate.quality.value or 0.0, default=None)


def _cautions(chosen: ScaleVerdict, winner: Candidate | None, market: Market) -> list[str]:
    """Caveats of the verdict."""
    cautions = []
    if chosen.verdict == "build" and winner is not None and winner.kind in pricing.CLASSIFIERS:
        cautions.append(f"{winner.label} is not a language model: no fine-tuning, no GPU")
    if chosen.simulated:
        cautions.append("the verdict depends on a simulated model: its answers, latency and price are not real")
    settled = winner is not None and winner.quality.references is not None and not winner.quality.references.ask
    if winner is not None and winner.promotion is not None and winner.promotion.by == "cohorts":
        cautions.append(f"{winner.label} is promoted for {winner.promotion.share:.0%} of the requests")
        cautions += winner.promotion.reasons
    if market.agreement and settled:
        cautions.append(
            "scores are agreement with the logged answers; the difference between the two models is one of accuracy, "
            "since people labelled every item on which they differ"
        )
    elif market.agreement:
        cautions.append(
            "quality is agreement with the logged answers: an answer better than the log's counts as wrong; human "
            "labels for the items on which the two differ would settle it"
        )
    if market.volume.hours < _SHORT_LOG_HOURS:
        days = market.volume.hours / 24
        cautions.append(f"the monthly volume is extrapolated from {days:.1f} days of log")
    return cautions
