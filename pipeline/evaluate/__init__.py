"""Score candidates side by side on one split of a task dataset.

    fasttier evaluate --dataset support.intent --labels labels.jsonl --budget 5

Asks each candidate about the same items (own models and hosted ones over the OpenAI protocol), scores
the answers overall and per cohort, measures latency and cost; writes home/evaluations/<candidate>@<hash>/
and one MLflow run per candidate. An interrupted run continues where it stopped, and what hosted models
will cost is said before the first of them is asked.
"""

import contextlib
import datetime as dt
import functools
import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pipeline import dataset as datasets
from pipeline import labels as human
from pipeline import metrics
from pipeline.evaluate import budget as budgets
from pipeline.evaluate import cache as caches
from pipeline.evaluate import cascade, classical, costs, judge, labels, logged, questions, traces
from pipeline.evaluate import items as items_
from pipeline.evaluate import scores as scores_
from pipeline.evaluate import write as write_
from pipeline.evaluate.answers import Answer, AnswerLog
from pipeline.evaluate.asking import Asker
from pipeline.evaluate.budget import Budget
from pipeline.evaluate.candidates import (
    AdapterCandidate,
    BaseCandidate,
    Candidate,
    CandidatesConfig,
    CascadeCandidate,
    ClassicalCandidate,
    OpenAICandidate,
    TeacherCandidate,
    kind_of,
    missing_key,
)
from pipeline.evaluate.endpoints import Endpoint, OwnModel, ServerNeed, needs_server, own_model
from pipeline.evaluate.hosted import Hosted
from pipeline.evaluate.items import Item
from pipeline.evaluate.judge import Judgement
from pipeline.evaluate.report import Duel, EvaluateSummary
from pipeline.evaluate.scores import Scores
from pipeline.metrics import ItemScore
from traffic import prices
from traffic.artifacts import Home, hash8, slug
from traffic.errors import BudgetReached, EndpointError, NotEnoughData
from traffic.prices import Machine, PriceTable

__all__ = ["CandidatesConfig", "Endpoint", "EvaluateSummary", "ServerNeed", "needs_server", "run"]


def run(
    dataset: Path,
    candidates: CandidatesConfig,
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
    """Evaluate the candidates that can be evaluated here; the others are in the summary with the reason.

    `endpoints`: where own models (kinds adapter and base) run, by candidate name. `labels`: human
    labels to score against instead of the logged answers; without it, those that were imported
    (`fasttier label import`) count where there are any. `today`: the day whose prices count.
    `budget_usd`: what hosted models may cost in this run; a candidate for whom it is not enough keeps its
    answers and is in the summary as stopped. `announce`: takes a line before hosted models are asked.

    Raises: ConfigError, InputError, NotFound, NotEnoughData, EndpointError, Unsupported; BudgetReached where the
    budget stopped every candidate.
    """
    day = today or dt.datetime.now(dt.UTC).date()
    stage = _Stage(dataset, candidates, home, endpoints, split, limit, labels, day, Budget(budget_usd), announce)
    return stage.run()


class _Compared(NamedTuple):
    """The candidate that all others are compared with."""

    name: str
    scored: list[ItemScore]
    answers: list[Answer]


class _Stage:
    """One evaluation: what all candidates share."""

    def __init__(
        self,
        dataset: Path,
        candidates: CandidatesConfig,
        home: Home,
        endpoints: Mapping[str, Endpoint],
        split: str,
        limit: int | None,
        labels_file: Path | None,
        today: dt.date,
        budget: Budget,
        announce: Callable[[str], None],
    ) -> None:
        self.config, self.home, self.endpoints, self.today = candidates, home, endpoints, today
        self.budget, self.announce = budget, announce
        self.hosted: dict[str, Hosted] = {}
        self.notes: list[str] = []
        self.labels_sha = None
        references, stored = None, {}
        if labels_file is not None:
            found = _labels(labels_file, dataset, split)
            references = found.references
            self.labels_sha = hashlib.sha256(labels_file.read_bytes()).hexdigest()
            ids = datasets.read_split(dataset, split)["record_id"].to_pylist()
            kinds = Counter(found.unusable[record_id] for record_id in ids if record_id in found.unusable)
            self.notes += [f"{n} labels are of kind {kind}, which no answer is scored by" for kind, n in kinds.items()]
        else:
            stored = human.stored(home)
        self.items = items_.load(dataset, split, limit=limit, labels=references, stored=stored)
        if self.items.relabelled:
            used = {item.record_id: str(item.reference) for item in self.items.items if item.record_id in stored}
            self.labels_sha = hashlib.sha256(msgspec.json.encode(used, order="sorted")).hexdigest()
            self.notes.append(f"{self.items.relabelled} items are scored against imported human labels")
        machines = prices.load_machines()
        self.machines = {name: machines.get(name, today) for name in (candidates.machine, candidates.cpu_machine)}
        self.prices = PriceTable.load()

    def run(self) -> EvaluateSummary:
        skipped = {c.name: reason for c in self.config.candidates if (reason := self._skip_reason(c))}
        cascades = [c for c in self.config.candidates if isinstance(c, CascadeCandidate)]
        chosen = [c for c in self.config.candidates if c.name not in skipped and c not in cascades]
        if not chosen:
            raise NotEnoughData(f"no candidate can be evaluated: {'; '.join(f'{k}: {v}' for k, v in skipped.items())}")
        # The one that all others are compared with comes first: the teacher, else the first of the file.
        reference = next((c for c in chosen if isinstance(c, TeacherCandidate)), chosen[0])
        base: _Compared | None = None
        done: dict[str, tuple[Path, Scores]] = {}
        scored: dict[str, list[ItemScore]] = {}
        stopped: dict[str, str] = {}
        with contextlib.ExitStack() as files:
            self._prepare_hosted(chosen, files)
            for candidate in [reference, *(c for c in chosen if c is not reference)]:
                own = own_model(candidate, self.items.dataset.task, self.home)
                try:
                    answers = self._answers(candidate, own)
                except BudgetReached as reached:
                    stopped[candidate.name] = str(reached)
                    continue
                found = scores_.score_items(self.items, {answer.record_id: answer for answer in answers})
                judged = self._judged(candidate, answers, base, stopped)
                done[candidate.name] = self._write(candidate, own, answers, found, base, judged)
                scored[candidate.name] = found
                base = base or _Compared(candidate.name, found, answers)
        if base is None:
            raise BudgetReached("; ".join(stopped.values()))
        whole, apart = cascade.add(
            self.home, self.items.folder, cascades, done, base.name, out_of_scope=self.config.out_of_scope
        )
        done, skipped = done | whole, skipped | apart
        return EvaluateSummary(
            task=self.items.dataset.task,
            dataset=self.items.dataset.name,
            split=self.items.split,
            reference=self.items.source,
            n=len(self.items.items),
            without_label=self.items.without_label,
            compared_with=base.name,
            scores=tuple(done[c.name][1] for c in self.config.candidates if c.name in done),
            folders={c.name: done[c.name][0] for c in self.config.candidates if c.name in done},
            skipped=skipped,
            duels=self._duels(chosen, scored),
            spent_usd=self.budget.spent_usd if self.hosted else None,
            budget_usd=self.budget.limit_usd,
            stopped=stopped,
            notes=tuple(self.notes),
        )

    def _duels(self, chosen: Sequence[Candidate], scored: Mapping[str, list[ItemScore]]) -> tuple[Duel, ...]:
        """Each adapter against each classical baseline, on the same items."""
        adapters = [c.name for c in chosen if isinstance(c, AdapterCandidate) and c.name in scored]
        baselines = [c.name for c in chosen if isinstance(c, ClassicalCandidate) and c.name in scored]
        return tuple(
            Duel(adapter, baseline, scores_.compare(baseline, scored[adapter], scored[baseline]))
            for adapter in adapters
            for baseline in baselines
        )

    # ---------------------------------------------------------------------------------------- hosted models

    def _prepare_hosted(self, chosen: Sequence[Candidate], files: contextlib.ExitStack) -> None:
        """Open the kept answers and say what the others will cost, before anybody is asked."""
        hosted = [candidate for candidate in chosen if isinstance(candidate, OpenAICandidate)]
        judging = self._judge()
        asked = hosted + ([judging] if judging and judging not in hosted else [])
        if not asked:
            return
        cache = files.enter_context(caches.AnswerCache(caches.path(self.home)))
        for each in asked:
            price = costs.price_of(each, self.prices, self.today)
            self.hosted[each.name] = Hosted(each, self.config, price, self.budget, cache, self.announce)
        items = {item.record_id: item for item in self.items.items}
        estimates = [self.hosted[each.name].estimate(self._questions(each), items) for each in hosted]
        if judging and self.config.judge:
            rivals = sum(candidate.name != judging.name for candidate in chosen) - 1
            estimate = self.hosted[judging.name].estimate(judge.rehearsal(judging, self.items, self.config.judge), {})
            estimates.append(estimate.times(f"judge {judging.name}", max(0, rivals)))
        for estimate in estimates:
            self.announce(estimate.line())
        self.announce(budgets.total_line(estimates, self.budget))

    def _judge(self) -> OpenAICandidate | None:
        """Who judges texts here; None where nobody does, or cannot."""
        judging = self.config.judging()
        if judging is None:
            return None
        variable = missing_key(judging)
        if variable:
            self._note(f"no judge: the environment variable {variable} is not set")
            return None
        if self.budget.limit_usd is not None and costs.price_of(judging, self.prices, self.today) is None:
            self._note(f"no judge: no price of {judging.model} is known, so no budget can be kept")
            return None
        if not any(judge.is_free_text(self.items, item) for item in self.items.items):
            self._note("no judge is asked: these answers are labels or JSON, which a program compares better")
            return None
        return judging

    def _judged(
        self, candidate: Candidate, answers: Sequence[Answer], base: _Compared | None, stopped: dict[str, str]
    ) -> Judgement | None:
        """The candidate's texts beside the incumbent's, by the judge, who does not judge itself."""
        judging, config = self._judge(), self.config.judge
        if judging is None or config is None or base is None or judging.name == candidate.name:
            return None
        mine, theirs = ({answer.record_id: answer for answer in each} for each in (answers, base.answers))
        compared = judge.pairs(self.items, mine, theirs, config)
        asked = judge.questions(judging, compared, config)
        hosted = self.hosted[judging.name]
        kept = hosted.kept(asked)
        try:
            with _progress() as progress:
                bar = progress.add_task(f"{judging.name} judges {candidate.name}", total=len(asked))
                hosted.ask(asked, kept, lambda left: progress.update(bar, completed=len(asked) - left))
        except BudgetReached as reached:
            stopped[f"judge of {candidate.name}"] = str(reached)
            return None
        return judge.judgement(judging, base.name, compared, kept.answers, config)

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    def _skip_reason(self, candidate: Candidate) -> str | None:
        variable = missing_key(candidate)
        if variable:
            return f"the environment variable {variable} is not set"
        if isinstance(candidate, OpenAICandidate):
            if candidate.only_judge:
                return "it only judges"
            if self.budget.limit_usd is not None and costs.price_of(candidate, self.prices, self.today) is None:
                return f"no price of {candidate.model} is known, so no budget can be kept; see configs/prices.yaml"
        types = {site.request_type for site in self.items.dataset.call_sites.values()}
        unfit = sorted(types.difference(classical.REQUEST_TYPES))
        if isinstance(candidate, ClassicalCandidate) and unfit:
            return f"a classifier has no answer to {', '.join(unfit)}"
        return classical.shortage(self._learnt_from) if isinstance(candidate, ClassicalCandidate) else None

    # --------------------------------------------------------------------------------------- answers

    def _answers(self, candidate: Candidate, own: OwnModel | None) -> list[Answer]:
        """One answer per item, in their order."""
        items = self.items.items
        assert not isinstance(candidate, CascadeCandidate), "a cascade is put together from answers of others"
        if isinstance(candidate, TeacherCandidate):
            return logged.answers(items)
        if isinstance(candidate, OpenAICandidate):
            return self._hosted_answers(candidate)
        with AnswerLog(self._log_path(candidate, own)) as log, _progress() as progress:
            todo = log.open_items(item.record_id for item in items)
            bar = progress.add_task(candidate.name, total=len(items), completed=len(items) - len(todo))

            def advance() -> None:
                progress.advance(bar)

            if isinstance(candidate, ClassicalCandidate):
                if todo:
                    # All at once: its latencies belong to one fitted model.
                    progress.update(bar, completed=0)
                    for site, model in self._fitted(candidate).items():
                        mine = [item for item in items if item.call_site == site]
                        for answer in classical.answer(model, mine, advance):
                            log.add(answer)
            elif todo:
                self._asker(candidate, own).ask(self._questions(candidate), log, advance)
            return [log.answers[item.record_id] for item in items]

    def _hosted_answers(self, candidate: OpenAICandidate) -> list[Answer]:
        items, hosted = self.items.items, self.hosted[candidate.name]
        asked = self._questions(candidate)
        kept = hosted.kept(asked)
        with _progress() as progress:
            todo = len(kept.open_items(item.record_id for item in items))
            bar = progress.add_task(candidate.name, total=len(items), completed=len(items) - todo)
            hosted.ask(asked, kept, lambda left: progress.update(bar, completed=len(items) - left))
        return [kept.answers[item.record_id] for item in items]

    def _questions(self, candidate: AdapterCandidate | BaseCandidate | OpenAICandidate) -> list[questions.Question]:
        prompts = self.items.dataset.call_sites
        return [questions.question(candidate, item, prompts[item.call_site]) for item in self.items.items]

    def _log_path(self, candidate: Candidate, own: OwnModel | None) -> Path:
        """Answers are kept per candidate, model, dataset, split and machine: what could change them or their times."""
        config: dict[str, Any] = msgspec.to_builtins(candidate)
        config.pop("name")
        items = self.items
        identity, machine = own.identity if own else classical.VERSION, self._machine(candidate).name
        key = hash8(config, identity, items.dataset.name, items.split, machine)
        return self.home.runs / "evaluate" / f"{slug(candidate.name)}@{key}" / "answers.jsonl"

    def _fitted(self, candidate: ClassicalCandidate) -> dict[str, classical.Model]:
        """A model for each call site."""
        calibration = items_.rows(self.items.folder, "calibration")
        return {
            site: classical.fit(rows, candidate.c, calibration=[row for row in calibration if row.call_site == site])
            for site, rows in self._learnt_from.items()
        }

    @functools.cached_property
    def _learnt_from(self) -> dict[str, list[Item]]:
        """Of each call site that is evaluated, the rows that a classifier is fitted on."""
        rows = [row for split in ("train", "validation") for row in items_.rows(self.items.folder, split)]
        sites = dict.fromkeys(item.call_site for item in self.items.items)
        return {site: [row for row in rows if row.call_site == site] for site in sites}

    def _asker(self, candidate: AdapterCandidate | BaseCandidate, own: OwnModel | None) -> Asker:
        endpoint = self.endpoints.get(candidate.name)
        if endpoint is None:
            raise EndpointError(
                f"candidate {candidate.name}: no server is running for it; pass --endpoint {candidate.name}=URL"
            )
        return Asker(
            candidate=candidate.name,
            endpoint=endpoint,
            concurrency=self.config.concurrency,
            timeout_s=self.config.timeout_s,
            max_retries=self.config.max_retries,
            latency_sample=self.config.latency_sample,
            warm_up=own is not None,
        )

    # ---------------------------------------------------------------------------------------- scores

    def _write(
        self,
        candidate: Candidate,
        own: OwnModel | None,
        answers: Sequence[Answer],
        scored: list[ItemScore],
        base: _Compared | None,
        judged: Judgement | None,
    ) -> tuple[Path, Scores]:
        items = self.items
        price = costs.price_of(candidate, self.prices, self.today)
        cost, each = costs.cost(candidate, answers, self._machine(candidate), price)
        loaded = costs.load_concurrency(answers)
        ends = getattr(candidate, "deprecated_on", None) or (price.deprecated_on if price else None)
        found = metrics.aggregate(items.request_type, scored, self.config.out_of_scope)
        paid = [value * answer.price_share for value, answer in zip(each, answers, strict=True) if value is not None]
        result = Scores(
            candidate=candidate.name,
            kind=kind_of(candidate),
            task=items.dataset.task,
            request_type=items.request_type,
            dataset=items.dataset.name,
            split=items.split,
            reference=items.source,
            labels=self.labels_sha,
            model=next((answer.model for answer in answers if answer.model), None),
            adapter=own.adapter.name if own and own.adapter else None,
            base_model=own.base_name if own else None,
            simulated=getattr(candidate, "simulated", False),
            deprecated_on=ends,
            n=len(scored),
            failed=sum(answer.error is not None for answer in answers),
            without_label=items.without_label,
            main_metric=scores_.main_metric(found),
            metrics=found,
            cohorts=scores_.by_cohort(
                items, scored, base.name if base else None, base.scored if base else None, self.config.out_of_scope
            ),
            comparison=scores_.compare(base.name, scored, base.scored) if base else None,
            judge=judged,
            paid_usd=sum(paid) if isinstance(candidate, OpenAICandidate) and paid else None,
            latency=costs.latency(answers, 1 if loaded is not None else None) or costs.latency(answers, loaded),
            latency_loaded=costs.latency(answers, loaded) if loaded is not None and loaded > 1 else None,
            cost=cost,
            notes=tuple(self._remarks(candidate, own, answers, scored, cost)),
        )
        parameters = {"candidate": msgspec.to_builtins(candidate), "split": items.split, "model": result.model}
        table = write_.predictions(items, answers, scored, each)

        def more() -> None:
            if self.config.traces:
                traces.log(items, answers, scored, self.config.traces)

        return write_.write(self.home, result, table, parameters, more=more)

    def _machine(self, candidate: Candidate) -> Machine:
        name = self.config.cpu_machine if isinstance(candidate, ClassicalCandidate) else self.config.machine
        return self.machines[name]

    def _remarks(
        self,
        candidate: Candidate,
        own: OwnModel | None,
        answers: Sequence[Answer],
        scored: Sequence[ItemScore],
        cost: costs.Cost,
    ) -> list[str]:
        """What a reader of the scores has to know."""
        remarks = []
        if isinstance(candidate, OpenAICandidate) and cost.price is None:
            remarks.append(f"no price for {candidate.model}: its cost is unknown; add one to configs/prices.yaml")
        if own and own.adapter and own.adapter.dataset != self.items.dataset.name:
            remarks.append(
                f"{own.adapter.name} was trained on {own.adapter.dataset}, not on {self.items.dataset.name}: "
                "it may have seen these items"
            )
        shares = [answer.price_share for answer in answers if answer.price_share < 1]
        if shares:
            remarks.append(
                f"{len(shares)} answers came through the batch API at {min(shares):.0%} of the price, without a "
                "latency; the cost shown is that of live requests"
            )
        reasons = sorted({answer.error for answer in answers if answer.error is not None})
        remarks += [f"some requests failed: {reason}" for reason in reasons[:3]]
        retried = sum(answer.retries > 0 for answer in answers)
        if retried:
            remarks.append(f"{retried} requests were retried; their latency includes the wait")
        if isinstance(candidate, ClassicalCandidate):
            remarks += classical.remarks(answers, scored)
            if self.items.split in ("train", "validation", "calibration"):
                remarks.append(f"it was fitted on the {self.items.split} split: these scores are too good")
        return remarks


def _labels(path: Path, dataset: Path, split: str) -> labels.Labels:
    """Labels of a file; what kind a bare value is depends on its row's call site."""
    types = {name: site.request_type for name, site in datasets.load(dataset).call_sites.items()}
    by_type = {request_type: labels.load(path, request_type) for request_type in dict.fromkeys(types.values())}
    found = next(iter(by_type.values()))
    if len(by_type) == 1:
        return found
    rows = datasets.read_split(dataset, split).select(["record_id", "call_site"]).to_pylist()
    own = {row["record_id"]: by_type[types[row["call_site"]]].references for row in rows}
    return labels.Labels({name: known[name] for name, known in own.items() if name in known}, found.unusable)


def _progress() -> Progress:
    return Progress(
        TextColumn("evaluate {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
