"""Score candidates side by side on one split of a task dataset.

    fasttier evaluate --dataset support.intent --labels labels.jsonl

Asks each candidate about the same items (own models and hosted ones over the OpenAI protocol), scores
the answers overall and per cohort, measures latency and cost; writes home/evaluations/<candidate>@<hash>/
and one MLflow run per candidate. An interrupted run continues where it stopped.
"""

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pipeline import dataset as datasets
from pipeline import labels as human
from pipeline import metrics
from pipeline.evaluate import classical, costs, labels, logged, questions
from pipeline.evaluate import items as items_
from pipeline.evaluate import scores as scores_
from pipeline.evaluate import write as write_
from pipeline.evaluate.answers import Answer, AnswerLog
from pipeline.evaluate.asking import Asker
from pipeline.evaluate.candidates import (
    AdapterCandidate,
    BaseCandidate,
    Candidate,
    CandidatesConfig,
    ClassicalCandidate,
    OpenAICandidate,
    TeacherCandidate,
    kind_of,
    missing_key,
    read_key,
)
from pipeline.evaluate.endpoints import Endpoint, OwnModel, ServerNeed, needs_server, own_model
from pipeline.evaluate.report import EvaluateSummary
from pipeline.evaluate.scores import Scores
from pipeline.metrics import ItemScore
from traffic import prices
from traffic.errors import EndpointError, NotEnoughData
from traffic.home import Home, hash8
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
) -> EvaluateSummary:
    """Evaluate the candidates that can be evaluated here; the others are in the summary with the reason.

    `endpoints`: where own models (kinds adapter and base) run, by candidate name. `labels`: human
    labels to score against instead of the logged answers; without it, those that were imported
    (`fasttier label import`) count where there are any. `today`: the day whose prices count.

    Raises: ConfigError, InputError, NotFound, NotEnoughData, EndpointError, Unsupported.
    """
    day = today or dt.datetime.now(dt.UTC).date()
    stage = _Stage(dataset, candidates, home, endpoints, split, limit, labels, day)
    return stage.run()


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
    ) -> None:
        self.config, self.home, self.endpoints, self.today = candidates, home, endpoints, today
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
        chosen = [candidate for candidate in self.config.candidates if candidate.name not in skipped]
        if not chosen:
            raise NotEnoughData(f"no candidate can be evaluated: {'; '.join(f'{k}: {v}' for k, v in skipped.items())}")
        # The one that all others are compared with comes first: the teacher, else the first of the file.
        reference = next((c for c in chosen if isinstance(c, TeacherCandidate)), chosen[0])
        base: tuple[str, list[ItemScore]] | None = None
        done: dict[str, tuple[Path, Scores]] = {}
        for candidate in [reference, *(c for c in chosen if c is not reference)]:
            own = own_model(candidate, self.items.dataset.task, self.home)
            answers = self._answers(candidate, own)
            scored = scores_.score_items(self.items, {answer.record_id: answer for answer in answers})
            done[candidate.name] = self._write(candidate, own, answers, scored, base)
            base = base or (candidate.name, scored)
        return EvaluateSummary(
            task=self.items.dataset.task,
            dataset=self.items.dataset.name,
            split=self.items.split,
            reference=self.items.source,
            n=len(self.items.items),
            without_label=self.items.without_label,
            compared_with=reference.name,
            scores=tuple(done[candidate.name][1] for candidate in chosen),
            folders={candidate.name: done[candidate.name][0] for candidate in chosen},
            skipped=skipped,
            notes=tuple(self.notes),
        )

    def _skip_reason(self, candidate: Candidate) -> str | None:
        variable = missing_key(candidate)
        if variable:
            return f"the environment variable {variable} is not set"
        types = {site.request_type for site in self.items.dataset.call_sites.values()}
        unfit = sorted(types.difference(classical.REQUEST_TYPES))
        if isinstance(candidate, ClassicalCandidate) and unfit:
            return f"a classifier has no answer to {', '.join(unfit)}"
        return None

    # --------------------------------------------------------------------------------------- answers

    def _answers(self, candidate: Candidate, own: OwnModel | None) -> list[Answer]:
        """One answer per item, in their order."""
        items = self.items.items
        if isinstance(candidate, TeacherCandidate):
            return logged.answers(items)
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
                prompts = self.items.dataset.call_sites
                asked = [questions.question(candidate, item, prompts[item.call_site]) for item in items]
                self._asker(candidate, own).ask(asked, log, advance)
            return [log.answers[item.record_id] for item in items]

    def _log_path(self, candidate: Candidate, own: OwnModel | None) -> Path:
        """Answers are kept per candidate, model, dataset and split: whatever could change an answer."""
        config: dict[str, Any] = msgspec.to_builtins(candidate)
        for key in ("name", "api_key_env", "price", "provider", "deprecated_on", "max_concurrency"):
            config.pop(key, None)
        items = self.items
        key = hash8(config, own.identity if own else None, items.dataset.name, items.split)
        return self.home.runs / "evaluate" / f"{candidate.name}@{key}" / "answers.jsonl"

    def _fitted(self, candidate: ClassicalCandidate) -> dict[str, Any]:
        """A model for each call site."""
        folder = self.items.folder
        rows = [row for split in ("train", "validation") for row in items_.load(folder, split).items]
        sites = dict.fromkeys(item.call_site for item in self.items.items)
        return {site: classical.fit([row for row in rows if row.call_site == site], candidate.c) for site in sites}

    def _asker(self, candidate: AdapterCandidate | BaseCandidate | OpenAICandidate, own: OwnModel | None) -> Asker:
        concurrency = self.config.concurrency
        if isinstance(candidate, OpenAICandidate):
            endpoint = Endpoint(candidate.base_url, candidate.model, read_key(candidate))
            concurrency = min(concurrency, candidate.max_concurrency or concurrency)
        elif candidate.name in self.endpoints:
            endpoint = self.endpoints[candidate.name]
        else:
            raise EndpointError(
                f"candidate {candidate.name}: no server is running for it; pass --endpoint {candidate.name}=URL"
            )
        return Asker(
            candidate=candidate.name,
            endpoint=endpoint,
            concurrency=concurrency,
            timeout_s=self.config.timeout_s,
            max_retries=self.config.max_retries,
            latency_sample=self.config.latency_sample,
            warm_up=own is not None,
            key_name=getattr(candidate, "api_key_env", None),
        )

    # ---------------------------------------------------------------------------------------- scores

    def _write(
        self,
        candidate: Candidate,
        own: OwnModel | None,
        answers: Sequence[Answer],
        scored: list[ItemScore],
        base: tuple[str, list[ItemScore]] | None,
    ) -> tuple[Path, Scores]:
        items = self.items
        price = costs.price_of(candidate, self.prices, self.today)
        cost, each = costs.cost(candidate, answers, self._machine(candidate), price)
        loaded = costs.load_concurrency(answers)
        ends = getattr(candidate, "deprecated_on", None) or (price.deprecated_on if price else None)
        found = metrics.aggregate(items.request_type, scored)
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
            cohorts=scores_.by_cohort(items, scored, base[0] if base else None, base[1] if base else None),
            comparison=scores_.compare(base[0], scored, base[1]) if base else None,
            latency=costs.latency(answers, 1 if loaded is not None else None) or costs.latency(answers, loaded),
            latency_loaded=costs.latency(answers, loaded) if loaded is not None and loaded > 1 else None,
            cost=cost,
            notes=tuple(self._remarks(candidate, own, answers, cost)),
        )
        parameters = {"candidate": msgspec.to_builtins(candidate), "split": items.split, "model": result.model}
        table = write_.predictions(items, answers, scored, each)
        return write_.write(self.home, result, table, parameters)

    def _machine(self, candidate: Candidate) -> Machine:
        name = self.config.cpu_machine if isinstance(candidate, ClassicalCandidate) else self.config.machine
        return self.machines[name]

    def _remarks(
        self, candidate: Candidate, own: OwnModel | None, answers: Sequence[Answer], cost: costs.Cost
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
        reasons = sorted({answer.error for answer in answers if answer.error is not None})
        remarks += [f"some requests failed: {reason}" for reason in reasons[:3]]
        retried = sum(answer.retries > 0 for answer in answers)
        if retried:
            remarks.append(f"{retried} requests were retried; their latency includes the wait")
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
