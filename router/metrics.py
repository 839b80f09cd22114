"""Counters and histograms of one process, for `/metrics` in Prometheus' text format.

Requests add to plain dictionaries; text is produced only on a scrape. The number of labels is bounded: rules, endpoints
and tiers by the configuration, call sites and reasons by `MAX_LABELS`.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from router.health import Circuit, State
from traffic.record import Record

CONTENT_TYPE = CONTENT_TYPE_LATEST
BUCKETS_S = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Upper bounds of the buckets; 1 s is the playbook's target for Tier 1."""
MAX_LABELS = 200
"""Maximum distinct call sites, and distinct reasons; further ones are counted as `other`."""

_STATES: Mapping[State, float] = {"closed": 0.0, "half_open": 1.0, "open": 2.0, "resting": 3.0}


class Histogram:
    """Durations in buckets."""

    __slots__ = ("counts", "total_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_S) + 1)
        self.total_s = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BUCKETS_S, seconds)] += 1
        self.total_s += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Cumulative counts by upper bound, as Prometheus requires."""
        bounds = [*map(str, BUCKETS_S), "+Inf"]
        return [(bound, float(sum(self.counts[: index + 1]))) for index, bound in enumerate(bounds)]


class BoundedLabels:
    """Bounds the number of distinct labels: the first `limit` are kept, all others become `other`."""

    def __init__(self, limit: int = MAX_LABELS) -> None:
        self._known: dict[str, str] = {}
        self._limit = limit

    def __call__(self, label: str) -> str:
        bounded = self._known.get(label)
        if bounded is None:
            if len(self._known) >= self._limit:
                return "other"
            bounded = self._known[label] = label
        return bounded


class Metrics:
    """The counters of one process."""

    def __init__(self) -> None:
        self.requests: dict[tuple[int, str, str, str], int] = defaultdict(int)
        """Requests by tier (0: none), rule, endpoint and outcome."""
        self.attempts: dict[tuple[int, str, str, str], int] = defaultdict(int)
        """Attempts by tier, endpoint, purpose and outcome."""
        self.escalations: dict[str, int] = defaultdict(int)
        self.latency: dict[int, Histogram] = defaultdict(Histogram)
        self.ttft: dict[int, Histogram] = defaultdict(Histogram)
        self.cost_usd: dict[tuple[int, str], float] = defaultdict(float)
        self.unpriced: dict[str, int] = defaultdict(int)
        self.not_used: dict[tuple[str, str], int] = defaultdict(int)
        """Tier 1 requests that did not go to an adapter, by reason and call site."""
        self.unsure_served: dict[str, int] = defaultdict(int)
        """Low-confidence Tier 1 answers that were sent because Tier 2 failed, by call site."""
        self.shadows_dropped = 0
        self.in_flight = 0
        self._sites = BoundedLabels()
        self._reasons = BoundedLabels()

    def request(self, tier: int, rule: str, endpoint: str, outcome: str, seconds: float) -> None:
        """Count a finished request, answered or with an error."""
        self.requests[tier, rule, endpoint, outcome] += 1
        self.latency[tier].add(seconds)

    def attempt(self, record: Record, outcome: str, *, billed: bool) -> None:
        """Count a logged attempt. `billed`: it used tokens, so a missing cost means a missing price."""
        tier, endpoint = record.tier or 0, record.endpoint or ""
        self.attempts[tier, endpoint, record.purpose, outcome] += 1
        if record.ttft_ms is not None:
            self.ttft[tier].add(record.ttft_ms / 1000)
        if record.cost_usd is not None:
            self.cost_usd[tier, self._sites(record.call_site or "")] += record.cost_usd
        elif billed:
            self.unpriced[endpoint] += 1

    def escalation(self, reason: str) -> None:
        self.escalations[self._reasons(reason_class(reason))] += 1

    def passed_over(self, reason: str, call_site: str | None) -> None:
        """Count a Tier 1 request that does not go to an adapter."""
        self.not_used[reason_class(reason), self._sites(call_site or "")] += 1

    def degraded(self, call_site: str | None) -> None:
        """Count a low-confidence answer that was sent because Tier 2 failed."""
        self.unsure_served[self._sites(call_site or "")] += 1


def reason_class(reason: str) -> str:
    """The constant part of a reason: `check label: 'x' is not one of 3` -> `check label`."""
    head = reason.partition(":")[0]
    return "confidence" if head.startswith("confidence") else head[:60]


class _Collector:
    """Adapter to Prometheus' library, called once per scrape."""

    def __init__(self, collect: Callable[[], Iterable[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterable[Metric]:
        return self._collect()


class Gauges(NamedTuple):
    """Values of other parts of the router, read on a scrape."""

    circuits: Callable[[], Mapping[tuple[str, str], Circuit]]
    reloads: Callable[[], int]
    reload_errors: Callable[[], Mapping[str, bool]]
    log: Callable[[], Mapping[str, int]]
    clock: Callable[[], float]


def exposition(metrics: Metrics, gauges: Gauges) -> Callable[[], bytes]:
    """A function that returns the text of one scrape."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(lambda: [*_counted(metrics), *_gauged(metrics, gauges)]))
    ProcessCollector(registry=registry)
    return lambda: generate_latest(registry)


def _counted(m: Metrics) -> Iterator[Metric]:
    yield _counter("requests", "Requests of clients", ("tier", "rule", "endpoint", "outcome"), m.requests)
    yield _counter("attempts", "Requests to endpoints", ("tier", "endpoint", "purpose", "outcome"), m.attempts)
    retries = sum(n for (_, _, purpose, _), n in m.attempts.items() if purpose == "retry")
    yield _counter("retries", "Attempts after the first that were no escalation", (), {(): retries})
    yield _counter("escalations", "Requests that went to the next tier", ("reason",), m.escalations)
    yield _counter(
        "adapter_not_used", "Requests of Tier 1 that no adapter was asked for", ("reason", "call_site"), m.not_used
    )
    yield _counter("cost_usd", "Cost of attempts with a known price", ("tier", "call_site"), m.cost_usd)
    yield _counter("unpriced_attempts", "Attempts that used tokens without a known price", ("endpoint",), m.unpriced)
    yield _counter("unsure_served", "Unsure answers sent because Tier 2 failed", ("call_site",), m.unsure_served)
    yield _counter(
        "shadows_dropped", "Shadow requests that were not made: too many at once", (), {(): m.shadows_dropped}
    )
    yield _histogram("request_seconds", "From a request's arrival to the end of its answer", m.latency)
    yield _histogram("first_token_seconds", "From an attempt's start to its first token, of streams", m.ttft)


def _gauged(m: Metrics, gauges: Gauges) -> Iterator[Metric]:
    now = gauges.clock()
    yield _gauge("requests_in_flight", "Requests of clients that have no answer yet", (), {(): m.in_flight})
    circuits = gauges.circuits()
    names = sorted({name for name, _ in circuits})
    # For two addresses under one name the worse state is shown: a label for an old address would never disappear.
    worst = {name: max(_STATES[c.state(now)] for (of, _), c in circuits.items() if of == name) for name in names}
    cooling = {name: max(0.0, *(c.cool_until - now for (of, _), c in circuits.items() if of == name)) for name in names}
    flying = {name: sum(c.in_flight for (of, _), c in circuits.items() if of == name) for name in names}
    opened = {name: sum(c.opened for (of, _), c in circuits.items() if of == name) for name in names}
    yield _gauge(
        "endpoint_circuit",
        "0 closed, 1 half-open, 2 open, 3 resting after a refusal of our account",
        ("endpoint",),
        worst,
    )
    yield _gauge("endpoint_cooling_seconds", "Time until the endpoint accepts requests again", ("endpoint",), cooling)
    yield _gauge("endpoint_in_flight", "Requests to an endpoint that are under way", ("endpoint",), flying)
    yield _counter("endpoint_circuit_opened", "Times its circuit was opened", ("endpoint",), opened)
    yield _counter("reloads", "Deployment tables that were taken", (), {(): gauges.reloads()})
    yield _gauge(
        "reload_error", "1 while a newer file is broken and the last good one holds", ("file",), gauges.reload_errors()
    )
    yield _counter("log", "Of the request log", ("what",), gauges.log())


def _labels(key: Any) -> list[str]:
    return [str(part) for part in key] if isinstance(key, tuple) else [str(key)]


def _counter(name: str, about: str, labels: tuple[str, ...], values: Mapping[Any, float]) -> Metric:
    return _filled(CounterMetricFamily(f"fasttier_{name}", about, labels=labels), values)


def _gauge(name: str, about: str, labels: tuple[str, ...], values: Mapping[Any, float]) -> Metric:
    return _filled(GaugeMetricFamily(f"fasttier_{name}", about, labels=labels), values)


def _filled(family: CounterMetricFamily | GaugeMetricFamily, values: Mapping[Any, float]) -> Metric:
    for key, value in list(values.items()):
        family.add_metric(_labels(key), float(value))
    return family


def _histogram(name: str, about: str, values: Mapping[int, Histogram]) -> Metric:
    family = HistogramMetricFamily(f"fasttier_{name}", about, labels=("tier",))
    for tier, histogram in list(values.items()):
        family.add_metric([str(tier)], histogram.buckets(), histogram.total_s)
    return family
