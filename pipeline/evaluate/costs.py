"""Cost and speed of an evaluation's answers: arithmetic over measured tokens, seconds and prices.

`requests`: logged requests that each item stands for. Costs per 1,000 requests are weighted by them, as duplicates of
a request are one item.
"""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Sequence

import msgspec
import numpy as np

from pipeline.evaluate.answers import Answer
from pipeline.evaluate.config import HostedConfig
from traffic.errors import UnknownPrice
from traffic.prices import Machine, Price, PriceTable

SECONDS_PER_HOUR = 3600


class Latency(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Percentiles over `n` answers."""

    p50_ms: float
    p95_ms: float
    n: int
    concurrency: int | None
    """Requests in flight during the measurement; None: as logged, under unknown load."""


class Cost(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Cost of a candidate and what it is computed from."""

    usd_per_1k: float | None = None
    """Per 1,000 requests; None where a price, the usage or the throughput is unknown."""
    basis: str
    """How it was computed, in words."""
    source: str | None = None
    """Price table or machine, with its date."""
    machine: str | None = None
    machine_usd_per_hour: float | None = None
    requests_per_s: float | None = None
    """Measured at `concurrency`, the highest load of this evaluation."""
    concurrency: int | None = None
    cpu_s_per_request: float | None = None
    input_tokens_mean: float | None = None
    """Cached tokens included."""
    output_tokens_mean: float | None = None
    price: Price | None = None
    """USD per million tokens of a hosted model."""


class Costed(msgspec.Struct, frozen=True):
    """Cost of a candidate, and of each answer."""

    cost: Cost
    usd: list[float | None]
    """Per answer; None where unknown."""


def latency(answers: Sequence[Answer], concurrency: int | None) -> Latency | None:
    """Latency of the successful answers at this concurrency; None if there are none."""
    times = [
        a.latency_ms for a in answers if a.latency_ms is not None and a.error is None and a.concurrency == concurrency
    ]
    if not times:
        return None
    p50, p95 = np.percentile(times, [50, 95])
    return Latency(round(float(p50), 3), round(float(p95), 3), len(times), concurrency)


def load_concurrency(answers: Sequence[Answer]) -> int | None:
    """The concurrency under load: the most frequent above 1, else 1; None for logged answers."""
    counts = Counter(answer.concurrency for answer in answers if answer.concurrency is not None)
    loaded = {concurrency: count for concurrency, count in counts.items() if concurrency > 1}
    return max(loaded, key=lambda key: loaded[key]) if loaded else (1 if counts else None)


def throughput(answers: Sequence[Answer], concurrency: int) -> float | None:
    """Successful answers per second at a concurrency, over the sessions that ran at it; None if none did."""
    last: dict[str, float] = defaultdict(float)
    successful = 0
    for answer in answers:
        if answer.concurrency == concurrency and answer.session is not None and answer.elapsed_s is not None:
            last[answer.session] = max(last[answer.session], answer.elapsed_s)
            successful += answer.error is None
    seconds = sum(last.values())
    return successful / seconds if seconds and successful else None


def price_of(candidate: HostedConfig, table: PriceTable, on: dt.date) -> Price | None:
    """Price of a hosted candidate's model; None if unknown."""
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


def as_logged(answers: Sequence[Answer], requests: Sequence[int]) -> Costed:
    """Logged cost of the logged answers."""
    return _weighted(Cost(basis="as logged"), answers, [answer.cost_usd for answer in answers], requests)


def by_tokens(answers: Sequence[Answer], requests: Sequence[int], price: Price | None) -> Costed:
    """A hosted model: tokens times price."""
    cost = Cost(basis="tokens x price", source=price.source if price else None, price=price)
    usd = [None if a.usage is None or price is None else price.cost_usd(a.usage) for a in answers]
    return _weighted(cost, answers, usd, requests)


def by_cpu_time(answers: Sequence[Answer], requests: Sequence[int], machine: Machine) -> Costed:
    """A model in this process: CPU seconds of one core of a fully used machine."""
    per_cpu_s = machine.usd_per_hour / SECONDS_PER_HOUR / (machine.cpu_cores or 1)
    seconds = [answer.cpu_s for answer in answers if answer.cpu_s is not None]
    cost = Cost(
        basis=f"CPU seconds on {machine.name}, all cores in use",
        source=f"gpus.yaml {machine.date}",
        machine=machine.name,
        machine_usd_per_hour=machine.usd_per_hour,
        concurrency=1,
        cpu_s_per_request=float(np.mean(seconds)) if seconds else None,
    )
    usd = [None if answer.cpu_s is None else answer.cpu_s * per_cpu_s for answer in answers]
    return _weighted(cost, answers, usd, requests)


def by_machine_time(answers: Sequence[Answer], requests: Sequence[int], machine: Machine) -> Costed:
    """An own model: the machine's hours at full load. In production it costs more by as much as the machine idles."""
    concurrency = load_concurrency(answers)
    rate = None if concurrency is None else throughput(answers, concurrency)
    cost = Cost(
        basis=f"{machine.name} at full load, {concurrency} in flight",
        source=f"gpus.yaml {machine.date}",
        machine=machine.name,
        machine_usd_per_hour=machine.usd_per_hour,
        requests_per_s=rate,
        concurrency=concurrency,
    )
    usd = None if rate is None else machine.usd_per_hour / SECONDS_PER_HOUR / rate
    return _weighted(cost, answers, [usd] * len(answers), requests)


def _weighted(cost: Cost, answers: Sequence[Answer], usd: list[float | None], requests: Sequence[int]) -> Costed:
    # Failed requests without usage have no known cost; they do not count as free.
    priced = [(value, n) for value, n in zip(usd, requests, strict=True) if value is not None]
    used = [(answer.usage, n) for answer, n in zip(answers, requests, strict=True) if answer.usage is not None]
    return Costed(
        msgspec.structs.replace(
            cost,
            usd_per_1k=1000 * weighted_mean(priced) if priced else None,
            input_tokens_mean=weighted_mean([(usage.input_total, n) for usage, n in used]) if used else None,
            output_tokens_mean=weighted_mean([(usage.output, n) for usage, n in used]) if used else None,
        ),
        usd,
    )


def weighted_mean(pairs: Sequence[tuple[float, int]]) -> float:
    """Mean of (value, weight) pairs."""
    return sum(value * weight for value, weight in pairs) / sum(weight for _, weight in pairs)
