"""Summary of an evaluation: the candidates side by side."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from pipeline.evaluate.items import ReferenceSource
from pipeline.evaluate.pairwise_judge import Judgement
from pipeline.evaluate.scores import Comparison, Scores
from pipeline.metrics import Metric
from pipeline.pages import aligned
from traffic import number_format

OWN_KINDS = ("adapter", "classical", "encoder")
"""Candidates that could be deployed."""


class Duel(msgspec.Struct, frozen=True):
    """An adapter compared with a classifier on the same items."""

    adapter: str
    baseline: str
    comparison: Comparison
    """The adapter minus the baseline."""
    adapter_usd: float | None = None
    """Per 1,000 requests."""
    baseline_usd: float | None = None

    def line(self) -> str:
        """Result and consequence; a draw favours the cheaper model."""
        gap = f"{_difference(self.comparison, graded=False)} points of accuracy on the same items"
        pair = f"{self.adapter} vs classifier {self.baseline}: {gap}"
        if self.comparison.interval.low > 0:
            return f"{pair}; the adapter is better."
        if self.comparison.interval.high < 0:
            return f"{pair}; the adapter is worse: there is no case for it."
        if self.adapter_usd is not None and self.baseline_usd is not None and self.baseline_usd <= self.adapter_usd:
            costs = f"{number_format.usd(self.baseline_usd)} against {number_format.usd(self.adapter_usd)} per 1,000"
            return f"{pair}; no difference shown, and it costs {costs}: there is no case for the adapter."
        return f"{pair}; no difference shown: the cheaper of the two has the better case."


class Rank(msgspec.Struct, frozen=True):
    """A candidate beside the best of the evaluation, on the same items."""

    candidate: str
    usd_per_1k: float | None
    comparison: Comparison | None
    """With the best; None for the best itself."""
    worse: bool
    """Shown to be worse: the 95% interval lies below 0."""


def ranking(ranks: Sequence[Rank]) -> list[str]:
    """Candidates not shown worse than the best, the cheapest first; then the others."""
    best = next((rank.candidate for rank in ranks if rank.comparison is None), None)
    if best is None or len(ranks) < 2:
        return []
    level = [f"{rank.candidate} {number_format.usd(rank.usd_per_1k)}" for rank in ranks if not rank.worse]
    worse = [f"{rank.candidate} {number_format.usd(rank.usd_per_1k)}" for rank in ranks if rank.worse]
    lines = [f"by cost per 1,000 at equal quality (not shown worse than {best}, the best here): {', '.join(level)}"]
    return [*lines, *([f"shown to be worse: {', '.join(worse)}"] if worse else [])]


class EvaluateSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Result of the stage."""

    task: str
    dataset: str
    split: str
    reference: ReferenceSource
    n: int
    requests: int
    """Logged requests that the items stand for."""
    without_label: int
    compared_with: str
    """The incumbent: candidate of the paired differences."""
    scores: tuple[Scores, ...]
    """In the order of the candidates file."""
    folders: dict[str, Path]
    """Candidate to folder of its evaluation."""
    skipped: dict[str, str]
    """Candidate to reason."""
    duels: tuple[Duel, ...] = ()
    ranks: tuple[Rank, ...] = ()
    """Candidates not shown to be worse than the best, by cost; then the others, by cost."""
    spent_usd: float | None = None
    """Spent on hosted models in this run; None without any."""
    budget_usd: float | None = None
    stopped: dict[str, str] = {}
    """Candidate (or judge) to reason, where the budget was not enough."""
    notes: tuple[str, ...] = ()

    @property
    def exit_status(self) -> int:
        """1 if the budget stopped a candidate: the evaluation is incomplete."""
        return 1 if self.stopped else 0

    def lines(self) -> list[str]:
        """Tables, notes, paths and the next command."""
        against = "scored against human labels" if self.reference == "labels" else "agreement with the logged answers"
        lines = [f"{self.dataset}, {self.split} split, {self.n} items ({self.requests} requests), {against}"]
        lines += table(self.scores, self.compared_with)
        lines += paired(self.scores, self.compared_with)
        lines += ranking(self.ranks)
        lines += [duel.line() for duel in self.duels]
        lines += [judge_line(scores.candidate, scores.judge) for scores in self.scores if scores.judge is not None]
        if self.reference == "logged":
            lines.append("The teacher is scored against its own answers; --labels FILE takes human labels.")
        if self.without_label:
            lines.append(f"left out: {self.without_label} rows without a label")
        lines += self.notes
        lines += [f"{scores.candidate}: {note}" for scores in self.scores for note in scores.notes]
        lines += [f"skipped {name}: {reason}" for name, reason in self.skipped.items()]
        lines += [f"stopped {name}: {reason}" for name, reason in self.stopped.items()]
        if self.spent_usd is not None:
            limit = f" of a budget of {number_format.usd(self.budget_usd)}" if self.budget_usd is not None else ""
            lines.append(f"spent on hosted models in this run: {number_format.usd(self.spent_usd)}{limit}")
        lines += [f"wrote {folder}" for folder in self.folders.values()]
        return [*lines, f"next: {self._next()}"]

    def _next(self) -> str:
        if self.stopped:
            return "the same command with a larger --budget; stored answers are not paid for again"
        if any(scores.kind in OWN_KINDS for scores in self.scores):
            return f"fasttier decide --task {self.task}"
        return f"fasttier train --dataset {self.dataset}"


def table(scores: Sequence[Scores], compared_with: str) -> list[str]:
    """One line per candidate under a heading."""
    metric = scores[0].main_metric if scores else "accuracy"
    weighted = any(row.traffic is not None and row.traffic.requests > row.n for row in scores)
    heading = ["candidate", "n", f"{metric} (95%)", f"vs {compared_with}", "p50 ms", "p95 ms", "USD/1k", "notes"]
    rows = [[*_row(row, metric)] for row in scores]
    if weighted:
        heading.insert(3, "by requests (95%)")
        for cells, row in zip(rows, scores, strict=True):
            cells.insert(3, _by_requests(row, metric))
    return aligned([heading, *rows])


def paired(scores: Sequence[Scores], compared_with: str) -> list[str]:
    """Counts of who is right on the same items; empty without a comparison."""
    rows = []
    for row in scores:
        comparison = row.comparison
        if comparison is not None:
            counts = (comparison.both, comparison.only_this, comparison.only_other, comparison.neither)
            rows.append((row.candidate, *(f"{count:,}" for count in counts), _difference(comparison, graded=False)))
    if not rows:
        return []
    return aligned(
        [("right on the same items", "both", "only it", f"only {compared_with}", "neither", "points (95%)"), *rows]
    )


def judge_line(candidate: str, judgement: Judgement) -> str:
    """Verdicts of the judge, with its consistency and position bias."""
    rate = "no win rate"
    if judgement.win_rate is not None:
        low, high = judgement.win_rate.interval.low, judgement.win_rate.interval.high
        rate = f"win rate {judgement.win_rate.value:.1%} ({low:.1%}-{high:.1%})"
    parts = [
        f"judge {judgement.judge} on {candidate} vs {judgement.against}, {judgement.n} items: {judgement.wins} better",
        f"{judgement.ties} equal ({judgement.identical} identical), {judgement.losses} worse",
        rate,
    ]
    if judgement.flip_rate is not None:
        parts.append(f"flip rate {judgement.flip_rate:.0%}")
    if judgement.first_preferred is not None:
        parts.append(f"first answer preferred in {judgement.first_preferred:.0%} of the verdicts")
    if judgement.unreadable:
        parts.append(f"{judgement.unreadable} unreadable verdicts")
    if judgement.undecided:
        parts.append(f"{judgement.undecided} items without a verdict left out")
    line = ", ".join(parts)
    return f"SIMULATED {line}" if judgement.simulated else line


def _row(scores: Scores, metric: str) -> tuple[str, ...]:
    latency = scores.latency
    return (
        scores.candidate,
        str(scores.n),
        _score(scores.metrics.get(metric)),
        _difference(scores.comparison, graded=metric == "similarity"),
        _ms(latency.p50_ms) if latency else "-",
        _ms(latency.p95_ms) if latency else "-",
        number_format.usd(scores.cost.usd_per_1k),
        _remarks(scores),
    )


def _score(metric: Metric | None) -> str:
    return f"{metric.value:.1%} ({metric.interval.low:.1%}-{metric.interval.high:.1%})" if metric else "-"


def _by_requests(scores: Scores, metric: str) -> str:
    if scores.traffic is None:
        return "-"
    return _score(scores.traffic.score if metric == "similarity" else scores.traffic.accuracy)


def _difference(comparison: Comparison | None, *, graded: bool) -> str:
    """In points: of accuracy, or of the mean score for graded texts."""
    if comparison is None:
        return "-"
    value, interval = comparison.difference, comparison.interval
    if graded and comparison.score_difference is not None and comparison.score_interval is not None:
        value, interval = comparison.score_difference, comparison.score_interval
    return number_format.points(value, interval.low, interval.high)


def _ms(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def _remarks(scores: Scores) -> str:
    remarks = []
    if scores.simulated:
        remarks.append("SIMULATED")
    if scores.failed:
        remarks.append(f"{scores.failed} without an answer")
    if scores.parts is not None:
        remarks.append(f"{scores.parts.escalation:.1%} of the requests escalate")
    if scores.latency is not None and scores.latency.concurrency is not None and scores.latency.n < scores.n:
        remarks.append(f"latency of {scores.latency.n} requests at concurrency {scores.latency.concurrency}")
    elif scores.latency is not None and scores.latency.concurrency is None:
        remarks.append("latency as logged")
    remarks.append(f"cost {scores.cost.basis}")
    if scores.deprecated_on is not None:
        remarks.append(f"ends {scores.deprecated_on}")
    return "; ".join(remarks)
