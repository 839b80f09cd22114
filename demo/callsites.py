"""The six call sites of Brightdesk's application: prompts, shares of the traffic, and good answers."""

import datetime as dt
import random
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from demo import orders, prose, tickets
from demo.mistakes import Task


class Exchange(NamedTuple):
    """A user message and a good answer: a text, or one function call."""

    text: str
    answer: str | None
    tool_calls: list[dict[str, Any]] | None = None
    gold: Any = None
    """The right answer if there is exactly one."""
    gold_kind: str | None = None


Writer = Callable[[random.Random, str, dt.date], Exchange]


class Site(NamedTuple):
    """One call site."""

    name: str
    feature: str
    task: Task
    task_type: str
    tier: int
    share: float
    """Share of all requests; the sum is 1."""
    repeated: float
    """Share of its requests that repeat an earlier message verbatim."""
    system: str
    write: Writer
    max_tokens: int | None
    temperature: float
    streams: bool = False
    background: bool = False
    english_only: bool = False
    response_format: dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None


def _order(rng: random.Random, language: str, today: dt.date) -> Exchange:
    mail = orders.order(rng, language, today)
    return Exchange(mail.text, msgspec.json.encode(mail.values).decode(), gold=mail.values, gold_kind="json")


def _ticket(rng: random.Random, language: str, today: dt.date) -> Exchange:
    sample = tickets.ticket(rng, language)
    return Exchange(sample.text, sample.label, gold=sample.label, gold_kind="label")


def _polish(rng: random.Random, language: str, today: dt.date) -> Exchange:
    sample = prose.polish(rng, language)
    return Exchange(sample.text, sample.answer, gold=[sample.answer], gold_kind="any_of_text")


def _summary(rng: random.Random, language: str, today: dt.date) -> Exchange:
    sample = prose.summary(rng, language)
    return Exchange(sample.text, sample.answer)


def _digest(rng: random.Random, language: str, today: dt.date) -> Exchange:
    sample = prose.digest(rng, language, today)
    return Exchange(sample.text, sample.answer)


def _errand(rng: random.Random, language: str, today: dt.date) -> Exchange:
    text, call = prose.errand(rng, today)
    function = {"name": call["name"], "arguments": msgspec.json.encode(call["arguments"]).decode()}
    return Exchange(text, None, [{"id": f"call_{rng.getrandbits(48):012x}", "type": "function", "function": function}])


SITES = (
    Site(
        name=orders.CALL_SITE,
        feature="Orders",
        task="extraction",
        task_type="extraction",
        tier=1,
        share=0.34,
        repeated=0.04,
        system=orders.SYSTEM,
        write=_order,
        max_tokens=1024,
        temperature=0.0,
        background=True,
        response_format=orders.RESPONSE_FORMAT,
    ),
    Site(
        name=tickets.CALL_SITE,
        feature="Help desk",
        task="classification",
        task_type="classification",
        tier=1,
        share=0.36,
        repeated=0.35,
        system=tickets.SYSTEM,
        write=_ticket,
        max_tokens=64,
        temperature=0.0,
    ),
    Site(
        name=prose.POLISH,
        feature="Editor",
        task="rewrite",
        task_type="rewrite",
        tier=1,
        share=0.11,
        repeated=0.03,
        system=prose.SYSTEMS.polish,
        write=_polish,
        max_tokens=1024,
        temperature=0.2,
        streams=True,
    ),
    Site(
        name=prose.SUMMARY,
        feature="Notes",
        task="free",
        task_type="summarization",
        tier=2,
        share=0.08,
        repeated=0.12,
        system=prose.SYSTEMS.summary,
        write=_summary,
        max_tokens=4096,
        temperature=0.5,
        streams=True,
    ),
    Site(
        name=prose.DIGEST,
        feature="Digest",
        task="free",
        task_type="summarization",
        tier=2,
        share=0.05,
        repeated=0.0,
        system=prose.SYSTEMS.digest,
        write=_digest,
        max_tokens=4096,
        temperature=0.5,
        background=True,
    ),
    Site(
        name=prose.AGENT,
        feature="Planner",
        task="free",
        task_type="tool_use",
        tier=3,
        share=0.06,
        repeated=0.02,
        system=prose.SYSTEMS.agent,
        write=_errand,
        max_tokens=None,
        temperature=0.7,
        english_only=True,
        tools=prose.TOOLS,
    ),
)
