"""Summary of a decision."""

import datetime as dt
from pathlib import Path

import msgspec

from pipeline.decide.record import Candidate, ScaleVerdict, VerdictName
from pipeline.gate.cohorts import Promotion
from pipeline.pages import aligned
from traffic.number_format import usd


class DecideSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Result of the stage."""

    task: str
    verdict: VerdictName
    winner: str | None
    """Candidate to build or buy; None for "wait"."""
    simulated: bool
    expires: dt.date
    requests_per_month: float
    reasons: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    scales: tuple[ScaleVerdict, ...]
    table: tuple[tuple[str, ...], ...]
    """The candidates side by side, the heading first."""
    promotion: Promotion | None
    """Requests that the winner may answer."""
    asked_about: str | None
    """Candidate whose differences from the incumbent need human labels; None if there are none."""
    ask: int
    """Number of such items."""
    paths: dict[str, Path]
    """decision, document, chart, and ask if there are items to label."""
    mlflow_run_id: str | None
    gate: bool

    @property
    def exit_status(self) -> int:
        """1 if a gate was requested and the verdict is not "build"."""
        return int(self.gate and self.verdict != "build")

    def lines(self) -> list[str]:
        """Verdict with reasons, candidates, other volumes, paths and the next command."""
        mark = " (simulated)" if self.simulated else ""
        volume = f"{self.requests_per_month:,.0f} requests a month"
        lines = [
            f"{self.task}: {self.verdict}{mark} at {volume}, valid until {self.expires}",
            *(f"  - {reason}" for reason in self.reasons),
            *aligned(self.table),
            *(self._scale(index, scale) for index, scale in enumerate(self.scales)),
            *self._promoted(),
            *(f"wrote {path}" for path in self.paths.values()),
        ]
        return [*lines, f"next: {self._next()}"]

    def _scale(self, index: int, scale: ScaleVerdict) -> str:
        by_name = {candidate.name: candidate for candidate in self.candidates}
        mark = " (simulated)" if scale.simulated else ""
        costs = [
            f"{by_name[name].label} {usd(by_name[name].at[index].cost_per_month_usd)}"
            for name in (scale.cheapest, scale.runner_up)
            if name
        ]
        cost_text = ", ".join(costs) or "no adequate candidate is priced"
        return f"at {scale.scale:g}x ({scale.requests_per_month:,.0f} a month): {scale.verdict}{mark}; {cost_text}"

    def _promoted(self) -> list[str]:
        lines = []
        if self.promotion is not None and self.promotion.by == "cohorts":
            lines.append(f"{self.winner} answers {self.promotion.share:.0%} of the requests:")
            lines += [f"  - {reason}" for reason in self.promotion.reasons]
        if self.asked_about is not None:
            lines.append(
                f"{self.asked_about} differs on {self.ask} items without a human label; labels "
                f"would settle its test: fasttier label export --task {self.task} "
                f"--items {self.paths['ask']} --out todo.csv"
            )
        return lines

    def _next(self) -> str:
        winner = next((candidate for candidate in self.candidates if candidate.name == self.winner), None)
        if self.verdict == "build" and winner is not None and winner.adapter is not None:
            return f"fasttier serve {winner.adapter}, then fasttier register with --decision {self.paths['decision']}"
        if self.verdict == "wait":
            return "see the reasons; then fasttier evaluate and fasttier decide again"
        return f"see {self.paths['document']}; decide again by {self.expires}"
