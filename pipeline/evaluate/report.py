"""What `fasttier evaluate` says at the end: the candidates side by side."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from pipeline.evaluate.costs import Latency
from pipeline.evaluate.items import ReferenceSource
from pipeline.evaluate.scores import Comparison, Scores
from traffic import formats


class Duel(msgspec.Struct, frozen=True):
    """An adapter beside the classical baseline, on the same items."""

    adapter: str
    baseline: str
    comparison: Comparison
    """The adapter minus the baseline."""

    def line(self) -> str:
        """Who wins; a draw goes to the cheaper one."""
        gap = _difference(self.comparison, graded=False)
        on = f"{gap} points of accuracy on the same items"
        if self.comparison.interval.low > 0:
            return f"{self.adapter} beats the classical baseline {self.baseline}: {on}."
        if self.comparison.interval.high < 0:
            return (
                f"{self.baseline} beats {self.adapter}: {on}. "
                "An adapter that loses to the classical baseline has no case."
            )
        return (
            f"{self.adapter} is not shown to be better than the classical baseline {self.baseline}: {on}. "
            "Until it is, the cheaper of the two has the better case."
        )


class EvaluateSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Result of the stage."""

    task: str
    dataset: str
    split: str
    reference: ReferenceSource
    n: int
    without_label: int
    compared_with: str
    """The reference candidate of the paired differences."""
    scores: tuple[Scores, ...]
    """In the order of the candidates file."""
    folders: dict[str, Path]
    """Candidate to folder of its evaluation."""
    skipped: dict[str, str]
    """Candidate to reason."""
    duels: tuple[Duel, ...] = ()
    spent_usd: float | None = None
    """What hosted models cost in this run; None where none was to be asked."""
    budget_usd: float | None = None
    stopped: dict[str, str] = {}
    """Candidate (or judge) to reason, where the budget was not enough."""
    notes: tuple[str, ...] = ()

    @property
    def exit_status(self) -> int:
        """1 where the budget stopped a candidate: the evaluation is not complete."""
        return 1 if self.stopped else 0

    def lines(self) -> list[str]:
        """The table, what to know when reading it, the paths and the next command."""
        against = "scored against human labels" if self.reference == "labels" else "agreement with the logged answers"
        lines = [f"{self.dataset}, {self.split} split, {self.n} items, {against}"]
        lines += table(self.scores, self.compared_with)
        lines += paired(self.scores, self.compared_with)
        lines += [duel.line() for duel in self.duels]
        lines += [judged(scores) for scores in self.scores if scores.judge is not None]
        if self.reference == "logged":
            lines.append(
                "The teacher is scored against itself but for corrected answers; --labels FILE takes human labels."
            )
        if self.without_label:
            lines.append(f"{self.without_label} rows of the split have no label and were left out.")
        lines += self.notes
        lines += [f"{scores.candidate}: {note}" for scores in self.scores for note in scores.notes]
        lines += [f"skipped {name}: {reason}" for name, reason in self.skipped.items()]
        lines += [f"stopped {name}: {reason}" for name, reason in self.stopped.items()]
        if self.spent_usd is not None:
            limit = f" of a budget of {formats.usd(self.budget_usd)}" if self.budget_usd is not None else ""
            lines.append(f"hosted models cost {formats.usd(self.spent_usd)}{limit} in this run")
        lines += [f"wrote {folder}" for folder in self.folders.values()]
        return [*lines, f"next: {self._next()}"]

    def _next(self) -> str:
        if self.stopped:
            return "the same command with a larger --budget; what was answered is not paid for again"
        if any(scores.kind == "adapter" for scores in self.scores):
            return f"fasttier decide --task {self.task}"
        return f"fasttier train --dataset {self.dataset}"


def table(scores: Sequence[Scores], compared_with: str) -> list[str]:
    """One line per candidate under a heading, in aligned columns."""
    metric = scores[0].main_metric if scores else "accuracy"
    heading = ("candidate", "n", f"{metric} (95%)", f"vs {compared_with}", "p50 ms", "p95 ms", "USD/1k", "notes")
    return _aligned([heading, *(_row(each, metric) for each in scores)])


def paired(scores: Sequence[Scores], compared_with: str) -> list[str]:
    """Who is right where the other is not, on the same items; empty where there is nothing to compare."""
    rows = []
    for each in scores:
        found = each.comparison
        if found is not None:
            counts = (found.both, found.only_this, found.only_other, found.neither)
            rows.append((each.candidate, *(f"{count:,}" for count in counts), _difference(found, graded=False)))
    if not rows:
        return []
    heading = ("right on the same items", "both", "only it", f"only {compared_with}", "neither", "points (95%)")
    return _aligned([heading, *rows])


def judged(scores: Scores) -> str:
    """What a judge found, with how far it can be trusted."""
    found = scores.judge
    assert found is not None
    rate = "no win rate"
    if found.win_rate is not None:
        low, high = found.win_rate.interval.low, found.win_rate.interval.high
        rate = f"win rate {found.win_rate.value:.1%} ({low:.1%}-{high:.1%})"
    line = (
        f"judge {found.judge} on {scores.candidate} against {found.against}, {found.n} items: {found.wins} better, "
        f"{found.ties} equal ({found.identical} the same), {found.losses} worse, {rate}"
    )
    if found.flip_rate is not None:
        line += f"; it changed its mind on {found.flip_rate:.0%} of the pairs"
    if found.first_preferred is not None:
        line += f", and chose the answer shown first in {found.first_preferred:.0%} of its verdicts"
    if found.unreadable:
        line += f"; {found.unreadable} verdicts could not be read"
    if found.undecided:
        line += f", none of those on {found.undecided} items, which are left out"
    return f"SIMULATED {line}" if found.simulated else line


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _row(scores: Scores, metric: str) -> tuple[str, ...]:
    found = scores.metrics.get(metric)
    score = f"{found.value:.1%} ({found.interval.low:.1%}-{found.interval.high:.1%})" if found else "-"
    difference = _difference(scores.comparison, graded=metric == "similarity")
    p50, p95 = _times(scores.latency)
    return (
        scores.candidate,
        str(scores.n),
        score,
        difference,
        p50,
        p95,
        formats.usd(scores.cost.usd_per_1k),
        _remarks(scores),
    )


def _difference(paired: Comparison | None, *, graded: bool) -> str:
    """In points: of accuracy, or of the mean score where a text is rarely the very same."""
    if paired is None:
        return "-"
    value, interval = paired.difference, paired.interval
    if graded and paired.score_difference is not None and paired.score_interval is not None:
        value, interval = paired.score_difference, paired.score_interval
    return formats.points(value, interval.low, interval.high)


def _times(latency: Latency | None) -> tuple[str, str]:
    if latency is None:
        return "-", "-"
    return _ms(latency.p50_ms), _ms(latency.p95_ms)


def _ms(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def _remarks(scores: Scores) -> str:
    remarks = []
    if scores.simulated:
        remarks.append("SIMULATED")
    if scores.failed:
        remarks.append(f"{scores.failed} without an answer")
    if scores.latency is not None and scores.latency.concurrency is not None and scores.latency.n < scores.n:
        remarks.append(f"latency of {scores.latency.n} requests at concurrency {scores.latency.concurrency}")
    elif scores.latency is not None and scores.latency.concurrency is None:
        remarks.append("latency as logged")
    remarks.append(f"cost {scores.cost.basis}")
    if scores.deprecated_on is not None:
        remarks.append(f"ends {scores.deprecated_on}")
    return "; ".join(remarks)
