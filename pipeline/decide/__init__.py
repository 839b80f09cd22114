"""Build, buy or wait: a documented decision about one task, at the log's own volume and at stated multiples.

    fasttier decide --task support.intent

Reads the task's newest evaluations, the records store and the prices; writes
home/decisions/<task>@<date>-<hash8>.{yaml,md,svg,ask.csv} and, in MLflow, a run with one nested run per candidate.
"""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import msgspec

from pipeline import dataset as datasets
from pipeline.decide import document, verdicts, volume, write
from pipeline.decide import evidence as evidence_
from pipeline.decide.candidates import Market, assemble
from pipeline.decide.config import DecideConfig, Rival
from pipeline.decide.evidence import Evidence
from pipeline.decide.quality import to_ask
from pipeline.decide.record import Candidate, Decision, EvidenceFile, ScaleVerdict, load
from pipeline.decide.verdict import VerdictName
from pipeline.gate.cohorts import Promotion
from traffic.artifacts import Home
from traffic.formats import usd
from traffic.prices import Machines, PriceTable, load_machines

__all__ = ["DecideConfig", "DecideSummary", "Decision", "Rival", "load", "run"]

_SHORT_LOG_HOURS = 7 * 24


class DecideSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Result of the stage."""

    task: str
    verdict: VerdictName
    winner: str | None
    """What to build or to buy; None while the verdict is to wait."""
    simulated: bool
    expires: dt.date
    requests_per_month: float
    reasons: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    scales: tuple[ScaleVerdict, ...]
    table: tuple[tuple[str, ...], ...]
    """The candidates side by side as text, the heading first."""
    promotion: Promotion | None
    """Whose requests the winner may have."""
    asked_about: str | None
    """The candidate whose differences from the incumbent a person should decide; None where there is nothing to ask."""
    ask: int
    """Such items."""
    paths: dict[str, Path]
    """decision, document, chart, and where there is something to ask, ask."""
    mlflow_run_id: str | None
    gate: bool

    @property
    def exit_status(self) -> int:
        """1 where a gate was asked for and the verdict is not to build."""
        return int(self.gate and self.verdict != "build")

    def lines(self) -> list[str]:
        """The verdict with its reasons, the table, the other volumes, the paths and the next command."""
        mark = " (simulated)" if self.simulated else ""
        volume = f"{self.requests_per_month:,.0f} requests a month"
        lines = [
            f"{self.task}: {self.verdict}{mark} at {volume}, until {self.expires}",
            *(f"  - {reason}" for reason in self.reasons),
            *_aligned(self.table),
            *(self._scale(found) for found in self.scales),
            *self._promoted(),
            *(f"wrote {path}" for path in self.paths.values()),
        ]
        return [*lines, f"next: {self._next()}"]

    def _scale(self, found: ScaleVerdict) -> str:
        by_name = {each.name: each for each in self.candidates}
        mark = " (simulated)" if found.simulated else ""
        index = self.scales.index(found)
        costs = [
            f"{by_name[name].label} {usd(by_name[name].at[index].cost_per_month_usd)}"
            for name in (found.cheapest, found.runner_up)
            if name
        ]
        shown = ", ".join(costs) or "nothing adequate is priced"
        return f"at {found.scale:g}x ({found.requests_per_month:,.0f} a month): {found.verdict}{mark}; {shown}"

    def _promoted(self) -> list[str]:
        found = self.promotion
        lines = []
        if found is not None and found.by == "cohorts":
            lines.append(f"{self.winner} answers {found.share:.0%} of the requests:")
            lines += [f"  - {reason}" for reason in found.reasons]
        if self.asked_about is not None:
            lines.append(
                f"{self.ask} items are answered differently by {self.asked_about} and have no person's label: only "
                f"they would change its test; fasttier label export --task {self.task} --items {self.paths['ask']} "
                "--out todo.csv"
            )
        return lines

    def _next(self) -> str:
        winner = next((each for each in self.candidates if each.name == self.winner), None)
        if self.verdict == "build" and winner is not None and winner.adapter is not None:
            return f"fasttier serve {winner.adapter}, then fasttier register with --decision {self.paths['decision']}"
        if self.verdict == "wait":
            return "see the reasons; then fasttier evaluate and fasttier decide again"
        return f"see {self.paths['document']}; decide again by {self.expires}"


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
    """Decide about a task (None: that of the newest dataset) by the evaluations of its newest dataset.

    `prices`, `machines`: None for the shipped tables. `gate`: exit status 1 unless the verdict is "build".

    Raises: NotFound (no dataset, evaluation, record or machine), NotEnoughData (too short a log),
    ConfigError, InputError.
    """
    card = datasets.load(home.dataset(task))
    evidence = evidence_.read(
        home,
        card.name,
        config.split,
        incumbent=config.incumbent,
        cluster_by=config.cluster_by,
        label_groups=config.label_groups,
    )
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
    focus = next((each for each in evidence.evaluated if each.name == decision.asked_about), None)
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
    scales = verdicts.by_scale(candidates, market)
    chosen = next(found for found in scales if found.scale == config.decide_at)
    winner = next((each for each in candidates if each.name == chosen.cheapest and chosen.verdict != "wait"), None)
    lead = _lead(candidates, winner)
    references = lead.quality.references if lead else None
    promoted = winner.promotion if winner else None
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
        reasons=(*chosen.reasons, *_cautions(chosen, winner, market)),
        volume=market.volume,
        candidates=candidates,
        scales=scales,
        cohorts=verdicts.by_cohort(evidence, candidates, chosen.verdict, market),
        evidence=tuple(
            EvidenceFile(each.name, each.folder.name, each.sha256, each.scores.mlflow_run_id)
            for each in evidence.evaluated
        ),
        left_out=evidence.left_out,
        config=msgspec.to_builtins(config, str_keys=True),
    )


def _lead(candidates: Sequence[Candidate], winner: Candidate | None) -> Candidate | None:
    """Whose comparison with the incumbent is worth settling: the winner, else the best of the own candidates."""
    tested = [each for each in candidates if each.quality.test is not None]
    if winner is not None and winner in tested:
        return winner
    own = [each for each in tested if each.side == "build"]
    return max(own, key=lambda each: each.quality.value or 0.0, default=None)


def _cautions(chosen: ScaleVerdict, winner: Candidate | None, market: Market) -> list[str]:
    """What a reader of the verdict has to know besides its reasons."""
    cautions = []
    if chosen.verdict == "build" and winner is not None and winner.kind == "classical":
        cautions.append(f"{winner.label} is no language model: nothing is fine-tuned, and it needs no GPU")
    if chosen.simulated:
        cautions.append("the verdict rests on a simulated model: its answers, latency and price are stated, not real")
    settled = winner is not None and winner.quality.references is not None and not winner.quality.references.ask
    if winner is not None and winner.promotion is not None and winner.promotion.by == "cohorts":
        cautions.append(f"{winner.label} is promoted for {winner.promotion.share:.0%} of the requests")
        cautions += winner.promotion.reasons
    if market.agreement and settled:
        cautions.append(
            "scores are agreement with the logged answers; the difference between the two models is one of accuracy: "
            "wherever they differ a person has decided"
        )
    elif market.agreement:
        cautions.append(
            "quality is agreement with the logged answers: an answer that is better than the log's counts as wrong; "
            "people's labels on the items on which the two differ settle it"
        )
    if market.volume.hours < _SHORT_LOG_HOURS:
        days = market.volume.hours / 24
        cautions.append(f"a month's volume is extrapolated from {days:.1f} days of log")
    return cautions


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
