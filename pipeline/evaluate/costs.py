"""What an evaluation's answers cost and how fast they came: arithmetic over measured tokens, seconds and prices."""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Sequence

import msgspec
import numpy as np

from pipeline.evaluate.answers import Answer
from pipeline.evaluate.candidates import (
    Candidate,
    ClassicalCandidate,
    OpenAICandidate,
    TeacherCandidate,
)
from traffic.errors import UnknownPrice
from traffic.prices import Machine, Price, PriceTable

SECONDS_PER_HOUR = 3600


class Latency(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Percentiles over `n` answers."""

    p50_ms: float
    p95_ms: float
    n: int
    concurrency: int | None
    """Requests in flight while it was measured; None: as logged, under whatever load there was."""


class Cost(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Cost of a candidate, with what it follows from."""

    usd_per_1k: float | None = None
    """Per 1,000 requests; None where a price, the usage or the throughput is unknown."""
    basis: str
    """How it was reckoned, in words."""
    source: str | None = None
    """The price table or machine and its date."""
    machine: str | None = None
    machine_usd_per_hour: float | None = None
    requests_per_s: float | None = None
    """Measured at `concurrency`, the most that was asked of it here."""
    concurrency: int | None = None
    cpu_s_per_request: float | None = None
    input_tokens_mean: float | None = None
    """Cached ones included."""
    output_tokens_mean: float | None = None
    price: Price | None = None
    """USD per million tokens of a hosted model."""


def latency(answers: Sequence[Answer], concurrency: int | None) -> Latency | None:
    """Latency of the answers that were given at this concurrency; None if there are none."""
    times = [
        a.latency_ms for a in answers if a.latency_ms is not None and a.error is None and a.concurrency == concurrency
    ]
    if not times:
        return None
    p50, p95 = np.percentile(times, [50, 95])
    return Latency(round(float(p50), 3), round(float(p95), 3), len(times), concurrency)


def load_concurrency(answers: Sequence[Answer]) -> int | None:
    """The concurrency under load: the most frequent above 1, else 1; None for logged answers."""
    seen = Counter(answer.concurrency for answer in answers if answer.concurrency is not None)
    loaded = {concurrency: count for concurrency, count in seen.items() if concurrency > 1}
    return max(loaded, key=lambda key: loaded[key]) if loaded else (1 if seen else None)


def throughput(answers: Sequence[Answer], concurrency: int) -> float | None:
    """Good answers per second at a concurrency, over the sessions that asked at it; None if none did."""
    last: dict[str, float] = defaultdict(float)
    good = 0
    for answer in answers:
        if answer.concurrency == concurrency and answer.session is not None and answer.elapsed_s is not None:
            last[answer.session] = max(last[answer.session], answer.elapsed_s)
            good += answer.error is None
    seconds = sum(last.values())
    return good / seconds if seconds and good else None


def price_of(candidate: Candidate, table: PriceTable, on: dt.date) -> Price | None:
    """Price of a hosted candidate's model; None for other kinds and where nobody knows it."""
    if not isinstance(candidate, OpenAICandidate):
        return None
    if candidate.price is not None:
        return Price(
            input_mtok_usd=candidate.price.input_mtok_usd,
            output_mtok_usd=candidate.price.output_mtok_usd,
            cache_read_mtok_usd=candidate.price.cache_read_mtok_usd,
            source="candidates file",
        )
    try:
        return table.price(candidate.model, candidate.provider, on)
    except UnknownPrice:
        return None


def cost(
    candidate: Candidate, answers: Sequence[Answer], machine: Machine, price: Price | None
) -> tuple[Cost, list[float | None]]:
    """Cost per 1,000 requests and of each answer, by the candidate's kind.

    Hosted: tokens times price. Own model: the machine's hours at full load, so its cost in use is
    higher by as much as the machine idles. Classical: CPU seconds of one core. Teacher: as logged.
    """
    if isinstance(candidate, TeacherCandidate):
        found, each = Cost(basis="as logged"), [answer.cost_usd for answer in answers]
    elif isinstance(candidate, OpenAICandidate):
        found = Cost(basis="tokens x price", source=price.source if price else None, price=price)
        each = [None if a.usage is None or price is None else price.cost_usd(a.usage) for a in answers]
    elif isinstance(candidate, ClassicalCandidate):
        found, each = _on_cpu(answers, machine)
    else:
        found, each = _on_own_server(answers, machine)
    usages = [answer.usage for answer in answers if answer.usage is not None]
    found = msgspec.structs.replace(
        found,
        usd_per_1k=_per_1k(each),
        input_tokens_mean=float(np.mean([u.input_total for u in usages])) if usages else None,
        output_tokens_mean=float(np.mean([u.output for u in usages])) if usages else None,
    )
    return found, each


def _on_cpu(answers: Sequence[Answer], machine: Machine) -> tuple[Cost, list[float | None]]:
    per_cpu_s = machine.usd_per_hour / SECONDS_PER_HOUR / (machine.cpu_cores or 1)
    seconds = [answer.cpu_s for answer in answers if answer.cpu_s is not None]
    found = Cost(
        basis=f"CPU seconds on {machine.name}, all cores in use",
        source=f"gpus.yaml {machine.date}",
        machine=machine.name,
        machine_usd_per_hour=machine.usd_per_hour,
        concurrency=1,
        cpu_s_per_request=float(np.mean(seconds)) if seconds else None,
    )
    return found, [None if answer.cpu_s is None else answer.cpu_s * per_cpu_s for answer in answers]


def _on_own_server(answers: Sequence[Answer], machine: Machine) -> tuple[Cost, list[float | None]]:
    concurrency = load_concurrency(answers)
    rate = None if concurrency is None else throughput(answers, concurrency)
    found = Cost(
        basis=f"{machine.name} at full load, {concurrency} in flight",
        source=f"gpus.yaml {machine.date}",
        machine=machine.name,
        machine_usd_per_hour=machine.usd_per_hour,
        requests_per_s=rate,
        concurrency=concurrency,
    )
    busy = None if rate is None else machine.usd_per_hour / SECONDS_PER_HOUR / rate
    return found, [busy] * len(answers)


def _per_1k(each: Sequence[float | None]) -> float | None:
    """From the answers whose cost is known; failed requests without usage are not taken for free ones."""
    known = [value for value in each if value is not None]
    return 1000 * sum(known) / len(known) if known else None
