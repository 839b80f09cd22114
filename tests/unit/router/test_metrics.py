"""`/metrics`, parsed with Prometheus' own parser."""

import datetime as dt
from typing import Any

import msgspec
from prometheus_client.parser import text_string_to_metric_families as parsed

from router.health import Health
from router.metrics import BUCKETS_S, MAX_LABELS, Gauges, Metrics, exposition, reason_class
from tests.unit.router.test_health import BAD, BREAKER, FakeEndpoint
from traffic.record import Record


def samples(
    metrics: Metrics, health: Health | None = None, now: float = 0.0
) -> dict[tuple[str, tuple[str, ...]], float]:
    """All of our samples by name and label values."""
    gauges = Gauges(
        circuits=lambda: (health or Health()).circuits,
        reloads=lambda: 3,
        reload_errors=lambda: {"deployments.yaml": True},
        log=lambda: {"records": 7},
        clock=lambda: now,
    )
    families = parsed(exposition(metrics, gauges)().decode())
    return {
        (
            sample.name.removeprefix("fasttier_"),
            tuple(value for _, value in sorted(sample.labels.items())),
        ): sample.value
        for family in families
        for sample in family.samples
        if sample.name.startswith("fasttier_")
    }


def attempt(metrics: Metrics, *, billed: bool = True, **changes: Any) -> None:
    fields = {"purpose": "serve", "call_site": "desk", "tier": 2, "endpoint": "a", "cost_usd": 0.25} | changes
    at, messages = dt.datetime(2026, 11, 1, tzinfo=dt.UTC), msgspec.Raw(b"[]")
    record = Record(id="r", request_id="r", ts=at, messages=messages, source_format="native", **fields)
    metrics.attempt(record, "answered", billed=billed)


def test_requests_are_counted_by_outcome_and_timed_by_tier() -> None:
    metrics = Metrics()
    for seconds in (0.3, 0.7, 500.0):
        metrics.request(2, "closed label", "a", "answered", seconds)
    sampled = samples(metrics)
    assert sampled["requests_total", ("a", "answered", "closed label", "2")] == 3
    assert sampled["request_seconds_bucket", ("0.5", "2")] == 1
    assert sampled["request_seconds_bucket", ("1.0", "2")] == 2
    assert sampled["request_seconds_bucket", ("+Inf", "2")] == sampled["request_seconds_count", ("2",)] == 3
    assert sampled["request_seconds_sum", ("2",)] == 501.0
    assert max(BUCKETS_S) < 500


def test_cost_is_summed_and_unpriced_attempts_are_counted() -> None:
    metrics = Metrics()
    attempt(metrics)
    attempt(metrics, purpose="retry")
    attempt(metrics, cost_usd=None)
    attempt(metrics, cost_usd=None, billed=False, ttft_ms=40.0)
    sampled = samples(metrics)
    assert sampled["cost_usd_total", ("desk", "2")] == 0.5
    assert sampled["unpriced_attempts_total", ("a",)] == 1
    assert sampled["retries_total", ()] == 1
    assert sampled["first_token_seconds_bucket", ("0.05", "2")] == 1


def test_call_sites_beyond_the_limit_are_counted_as_other() -> None:
    metrics = Metrics()
    for number in range(MAX_LABELS + 5):
        attempt(metrics, call_site=f"site{number}")
    costs = {labels[0]: value for (name, labels), value in samples(metrics).items() if name == "cost_usd_total"}
    assert len(costs) == MAX_LABELS + 1
    assert costs["other"] == 5 * 0.25


def test_reasons_are_counted_by_their_constant_part() -> None:
    reasons = {
        "check label: 'x' is not one of 3 labels": "check label",
        "confidence min_margin 0.4 < 0.5": "confidence",
        "timeout: no answer within 0.2 s": "timeout",
        "status 503": "status 503",
        "no_template": "no_template",
    }
    assert {reason: reason_class(reason) for reason in reasons} == reasons


def test_the_state_of_endpoints_is_read_at_the_scrape() -> None:
    health, endpoint = Health(), FakeEndpoint("a")
    for _ in range(3):
        health.end(health.begin(endpoint, 0.0), BAD, BREAKER, 0.0)
    health.begin(FakeEndpoint("b"), 0.0)
    early, late = samples(Metrics(), health, 1.0), samples(Metrics(), health, 6.0)
    assert (early["endpoint_circuit", ("a",)], late["endpoint_circuit", ("a",)]) == (2, 1)
    assert early["endpoint_circuit_opened_total", ("a",)] == 1
    assert (early["endpoint_in_flight", ("a",)], early["endpoint_in_flight", ("b",)]) == (0, 1)
    assert early["reload_error", ("deployments.yaml",)] == 1
    assert early["log_total", ("records",)] == 7
