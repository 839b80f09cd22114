"""The stage as a straight line: read the items, ask each candidate, score its answers, write the evaluation."""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pipeline import metrics
from pipeline.evaluate import budget as budgets
from pipeline.evaluate import cache as caches
from pipeline.evaluate import candidates as kinds
from pipeline.evaluate import items as items_
from pipeline.evaluate import predictions, traces, write
from pipeline.evaluate import scores as scores_
from pipeline.evaluate.budget import Budget
from pipeline.evaluate.candidates import Answered, Candidate, Cascade, HostedModel, Resources
from pipeline.evaluate.config import (
    AdapterConfig,
    CandidatesConfig,
    ClassicalConfig,
    EncoderConfig,
    TeacherConfig,
    kind_of,
)
from pipeline.evaluate.endpoints import Endpoint
from pipeline.evaluate.items import Items
from pipeline.evaluate.judge import Judge
from pipeline.evaluate.pairwise_judge import Judgement
from pipeline.evaluate.report import Duel, EvaluateSummary, Rank
from pipeline.evaluate.scores import Graded, Scores
from traffic import prices
from traffic.artifacts import Home
from traffic.errors import BudgetReached, NotEnoughData
from traffic.prices import PriceTable


def run(
    dataset: Path,
    config: CandidatesConfig,
    *,
    home: Home,
    endpoints: Mapping[str, Endpoint],
    split: str = "test",
    limit: int | None = None,
    labels: Path | None = None,
    today: dt.date | None = None,
    budget_usd: float | None = None,
    announce: Callable[[str], None] = lambda line: None,
) -> EvaluateSummary:
    """Evaluate the candidates that are available here; the summary has the reason for the others.

    `endpoints`: where own models (kinds adapter and base) run, by candidate name. `labels`: file of human labels to
    score against; without it, imported labels (`fasttier label import`) replace logged answers. `today`: day of the
    prices. `budget_usd`: limit for hosted models in this run; a candidate that reaches it keeps its answers and is
    reported as stopped. `announce`: takes progress messages.

    Raises: ConfigError, InputError, NotFound, NotEnoughData, EndpointError, Unsupported; BudgetReached if the budget
    stopped every candidate.
    """
    items = items_.read(home, dataset, split, limit=limit, labels=labels)
    finished: dict[str, Evaluation] = {}
    folders: dict[str, Path] = {}
    stopped: dict[str, str] = {}
    with caches.AnswerCache(caches.path(home)) as cache:
        resources = _resources(home, config, endpoints, cache, Budget(budget_usd), today, announce)
        every = [kinds.build(entry, items.dataset.task, resources, folders) for entry in config.candidates]
        skipped = _unavailable(every, items)
        chosen = _in_order([c for c in every if c.config.name not in skipped])
        if all(isinstance(candidate, Cascade) for candidate in chosen):
            reasons = "; ".join(f"{name}: {reason}" for name, reason in skipped.items())
            raise NotEnoughData(f"no candidate can be evaluated: {reasons}")
        judge = Judge.of(config, resources, items)
        hosted = _announce_costs(chosen, judge, items, resources)
        for candidate in chosen:
            name = candidate.config.name
            # A cascade needs the evaluations of the candidates before it.
            if isinstance(candidate, Cascade) and (reason := candidate.missing(items)):
                skipped[name] = reason
                continue
            try:
                answered = candidate.answers(items)
            except BudgetReached as reached:
                stopped[name] = str(reached)
                continue
            incumbent = next((done.graded for done in finished.values()), None)
            judgement = _judgement(judge, candidate, answered, incumbent, items, stopped)
            finished[name] = evaluate(
                candidate, answered, items, home=home, config=config, incumbent=incumbent, judgement=judgement
            )
            folders[name] = finished[name].folder
    if not finished:
        raise BudgetReached("; ".join(stopped.values()))
    order = [entry.name for entry in config.candidates if entry.name in finished]
    return EvaluateSummary(
        task=items.dataset.task,
        dataset=items.dataset.name,
        split=items.split,
        reference=items.source,
        n=len(items.items),
        requests=sum(items.requests),
        without_label=items.without_label,
        compared_with=next(iter(finished)),
        scores=tuple(finished[name].scores for name in order),
        folders={name: folders[name] for name in order},
        skipped=skipped,
        duels=_duels(config, finished),
        ranks=_ranks(finished),
        spent_usd=resources.budget.spent_usd if hosted else None,
        budget_usd=budget_usd,
        stopped=stopped,
        notes=(*items.notes, *judge.notes),
    )


class Evaluation(NamedTuple):
    """A written evaluation."""

    folder: Path
    scores: Scores
    graded: Graded


def evaluate(
    candidate: Candidate,
    answered: Answered,
    items: Items,
    *,
    home: Home,
    config: CandidatesConfig,
    incumbent: Graded | None,
    judgement: Judgement | None = None,
) -> Evaluation:
    """Score a candidate's answers and write its evaluation."""
    graded = scores_.grade(candidate.config.name, items, answered.answers)
    scores = _scores(candidate, answered, graded, items, config, incumbent)
    scores = msgspec.structs.replace(scores, judge=judgement)
    table = predictions.table(items, graded.answers, graded.scores, answered.costed.usd)
    parameters = {"candidate": msgspec.to_builtins(candidate.config), "split": items.split, "model": scores.model}

    def log_traces() -> None:
        if config.traces:
            traces.log(items, graded, config.traces)

    return Evaluation(*write.write(home, scores, table, parameters, log_more=log_traces), graded)


def _scores(
    candidate: Candidate,
    answered: Answered,
    graded: Graded,
    items: Items,
    config: CandidatesConfig,
    incumbent: Graded | None,
) -> Scores:
    totals = metrics.aggregate(items.request_type, graded.scores, config.out_of_scope)
    other = incumbent.scores if incumbent else None
    return Scores(
        candidate=graded.candidate,
        kind=kind_of(candidate.config),
        task=items.dataset.task,
        request_type=items.request_type,
        dataset=items.dataset.name,
        split=items.split,
        reference=items.source,
        labels=items.labels_sha256,
        model=next((answer.model for answer in graded.answers if answer.model), None),
        adapter=answered.adapter,
        base_model=answered.base_model,
        simulated=answered.simulated,
        deprecated_on=answered.deprecated_on,
        n=len(graded.scores),
        failed=sum(answer.error is not None for answer in graded.answers),
        without_label=items.without_label,
        main_metric=scores_.main_metric(totals),
        metrics=totals,
        traffic=scores_.traffic(items, graded.scores, other),
        cohorts=scores_.by_cohort(
            items, graded.scores, incumbent.candidate if incumbent else None, other, config.out_of_scope
        ),
        comparison=scores_.compare(incumbent.candidate, graded.scores, incumbent.scores) if incumbent else None,
        latency=answered.latency,
        latency_loaded=answered.latency_loaded,
        cost=answered.costed.cost,
        parts=answered.parts,
        paid_usd=answered.paid_usd,
        notes=(*candidate.notes(items, graded), *_request_notes(graded)),
    )


def _request_notes(graded: Graded) -> Iterator[str]:
    errors = sorted({answer.error for answer in graded.answers if answer.error is not None})
    yield from (f"some requests failed: {error}" for error in errors[:3])
    retried = sum(answer.retries > 0 for answer in graded.answers)
    if retried:
        yield f"{retried} requests were retried; their latency includes the wait"


def _resources(
    home: Home,
    config: CandidatesConfig,
    endpoints: Mapping[str, Endpoint],
    cache: caches.AnswerCache,
    budget: Budget,
    today: dt.date | None,
    announce: Callable[[str], None],
) -> Resources:
    day = today or dt.datetime.now(dt.UTC).date()
    machines = prices.load_machines()
    return Resources(
        home=home,
        config=config,
        endpoints=endpoints,
        machines={name: machines.get(name, day) for name in (config.machine, config.cpu_machine)},
        prices=PriceTable.load(),
        today=day,
        budget=budget,
        cache=cache,
        announce=announce,
    )


def _unavailable(candidates: Iterable[Candidate], items: Items) -> dict[str, str]:
    reasons = {candidate.config.name: candidate.unavailable(items) for candidate in candidates}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def _in_order(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The incumbent (the teacher, else the first of the file) comes first, cascades of the others last."""
    return sorted(candidates, key=lambda c: (isinstance(c, Cascade), not isinstance(c.config, TeacherConfig)))


def _announce_costs(chosen: Sequence[Candidate], judge: Judge, items: Items, resources: Resources) -> bool:
    """Announce the estimated cost of hosted models before any request; False if there are none."""
    by_id = {item.record_id: item for item in items.items}
    estimates = [c.estimate(c.questions(items), by_id) for c in chosen if isinstance(c, HostedModel)]
    judging = judge.estimate(items, [c.config.name for c in chosen if not isinstance(c, Cascade)])
    estimates += [judging] if judging is not None else []
    if not estimates:
        return False
    for estimate in estimates:
        resources.announce(estimate.line())
    resources.announce(budgets.total_line(estimates, resources.budget))
    return True


def _judgement(
    judge: Judge,
    candidate: Candidate,
    answered: Answered,
    incumbent: Graded | None,
    items: Items,
    stopped: dict[str, str],
) -> Judgement | None:
    """Verdicts on the candidate's texts; a cascade's answers were judged with its parts."""
    if incumbent is None or isinstance(candidate, Cascade):
        return None
    try:
        return judge.compare(candidate.config.name, answered.answers, incumbent, items)
    except BudgetReached as reached:
        stopped[f"judge of {candidate.config.name}"] = str(reached)
        return None


def _duels(config: CandidatesConfig, finished: Mapping[str, Evaluation]) -> tuple[Duel, ...]:
    """Each adapter against each classifier, on the same items."""

    def names(kind: type[Any]) -> list[str]:
        return [entry.name for entry in config.candidates if isinstance(entry, kind) and entry.name in finished]

    return tuple(
        Duel(
            adapter,
            baseline,
            scores_.compare(baseline, finished[adapter].graded.scores, finished[baseline].graded.scores),
            finished[adapter].scores.cost.usd_per_1k,
            finished[baseline].scores.cost.usd_per_1k,
        )
        for adapter in names(AdapterConfig)
        for baseline in (*names(ClassicalConfig), *names(EncoderConfig))
    )


def _ranks(finished: Mapping[str, Evaluation]) -> tuple[Rank, ...]:
    """The candidates beside the best of them, by cost at equal quality."""

    def value(name: str) -> float:
        scores = finished[name].scores
        return scores.metrics[scores.main_metric].value

    def rank(name: str) -> Rank:
        usd = finished[name].scores.cost.usd_per_1k
        if name == best:
            return Rank(name, usd, None, worse=False)
        comparison = scores_.compare(best, finished[name].graded.scores, finished[best].graded.scores)
        graded = finished[name].scores.main_metric == "similarity"
        interval = comparison.score_interval if graded and comparison.score_interval else comparison.interval
        return Rank(name, usd, comparison, worse=interval.high < 0)

    best = max(finished, key=value)
    return tuple(sorted(map(rank, finished), key=lambda r: (r.worse, r.usd_per_1k is None, r.usd_per_1k or 0.0)))
