"""Protocol of a candidate, and the resources that candidates share."""

import datetime as dt
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec

from pipeline.evaluate.answers import Answer
from pipeline.evaluate.budget import Budget
from pipeline.evaluate.cache import AnswerCache
from pipeline.evaluate.config import CandidateConfig, CandidatesConfig
from pipeline.evaluate.costs import Costed, Latency
from pipeline.evaluate.endpoints import Endpoint
from pipeline.evaluate.items import Items
from pipeline.evaluate.scores import Graded, Parts
from traffic.artifacts import Home, hash8, slug
from traffic.prices import Machine, PriceTable


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate's answers, in the order of the items, with their cost and what identifies the model."""

    answers: list[Answer]
    costed: Costed
    latency: Latency | None = None
    """One request at a time, if measured."""
    latency_loaded: Latency | None = None
    """Under load."""
    adapter: str | None = None
    base_model: str | None = None
    simulated: bool = False
    deprecated_on: dt.date | None = None
    paid_usd: float | None = None
    """Paid for these answers, in this run or earlier."""
    parts: Parts | None = None
    """Composition of a cascade."""


class Candidate(Protocol):
    """One way to answer the items of an evaluation."""

    @property
    def config(self) -> CandidateConfig:
        """Its entry in the candidates file."""
        ...

    def unavailable(self, items: Items) -> str | None:
        """Why it cannot answer here (no key, no price, no training rows); None if it can."""
        ...

    def answers(self, items: Items) -> Answered:
        """Answers to all items. Raises: EndpointError, BudgetReached, NotFound."""
        ...

    def notes(self, items: Items, graded: Graded) -> list[str]:
        """Caveats to print with the scores."""
        ...


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """Shared by the candidates of one evaluation."""

    home: Home
    config: CandidatesConfig
    endpoints: Mapping[str, Endpoint]
    """Endpoints of own models by candidate name."""
    machines: Mapping[str, Machine]
    prices: PriceTable
    today: dt.date
    budget: Budget
    cache: AnswerCache
    announce: Callable[[str], None]
    """Takes progress messages for the user."""

    def answer_log(self, config: CandidateConfig, identity: str, items: Items, machine: Machine) -> Path:
        """File of a candidate's answers: one per model, dataset, split and machine."""
        fields: dict[str, Any] = msgspec.to_builtins(config)
        fields.pop("name")
        key = hash8(fields, identity, items.dataset.name, items.split, machine.name)
        return self.home.runs / "evaluate" / f"{slug(config.name)}@{key}" / "answers.jsonl"
