"""The playbook's steps on small routed logs."""

import datetime as dt
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline import store
from pipeline.profile import ProfileConfig, facts, measure, playbook, sample, shapes, waste
from pipeline.profile.playbook import Step
from traffic.artifacts import Home
from traffic.callsites import CallSite, Registry
from traffic.record import Output, Record, Usage

pytestmark = pytest.mark.slow

START = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)


def record(n: int, tier: int, *, cached: int = 0, **fields: Any) -> Record:
    messages = [{"role": "system", "content": "Which tray?"}, {"role": "user", "content": f"note {n}"}]
    answered = Record(
        id=f"r{n}", request_id=f"r{n}", ts=START + dt.timedelta(minutes=n), call_site="pier.box", tier=tier,
        messages=msgspec.Raw(msgspec.json.encode(messages)), output=Output(text="late", finish_reason="stop"),
        usage=Usage(input_uncached=100 - cached, cache_read=cached, output=1), latency_ms=200.0, cost_usd=0.001,
        model="gpt-4o", provider="openai", source_format="native",
    )  # fmt: skip
    return msgspec.structs.replace(answered, **fields)


def steps(folder: Path, records: list[Record], registry: Registry | None = None) -> dict[str, Step]:
    home = Home(folder)
    store.append(home, records, source="test")
    connection = store.connect(home)
    groups = sample.groups(connection)
    discovered = shapes.discover(connection, groups, sample.draw(connection, groups))
    facts.build(connection)
    profiled = measure.profiled(connection, discovered.shapes)
    wasted = waste.find(connection, profiled, ProfileConfig(), {})
    listed = playbook.steps(connection, profiled, wasted, registry or Registry(), (), 1)
    return {step.step: step for step in listed}


def test_an_escalated_request_is_one_request_of_tier_1(tmp_path: Path) -> None:
    served = [record(n, 1) for n in range(5)] + [record(n, 2) for n in range(5, 10)]
    escalated = record(10, 2, request_id="r0", purpose="escalation", attempt=2)
    measured = steps(tmp_path, [*served, escalated])
    assert measured["route by rules"].holds
    assert measured["escalate on low confidence"].value.startswith("20.0%")


def test_the_prompt_cache_of_tier_1_does_not_count(tmp_path: Path) -> None:
    listed = [record(n, 1) for n in range(8)] + [record(n, 3, cached=80) for n in range(8, 10)]
    assert steps(tmp_path, listed)["shape the request"].holds


def test_requests_that_the_gateway_answered_do_not_count_for_the_prompt_cache(tmp_path: Path) -> None:
    listed = [record(n, 2, cached=80) for n in range(4)] + [record(n, 2, cache_hit=True) for n in range(4, 9)]
    assert steps(tmp_path, listed)["shape the request"].holds


def test_a_registry_without_tier_1_says_nothing_about_own_models(tmp_path: Path) -> None:
    registry = Registry(call_sites=(CallSite(name="pier.box", tier=3),))
    assert steps(tmp_path, [record(1, 3)], registry)["fine-tune and self-host"].holds is None


def test_the_two_largest_sources_of_waste_are_named_with_their_cost(tmp_path: Path) -> None:
    sites = ["a.test"] * 9 + ["b.test"] * 21 + ["c.test"]
    listed = [record(n, 2, call_site=site) for n, site in enumerate(sites)]
    value = steps(tmp_path, listed)["kill waste"].value
    assert "debug at b.test 0.02 USD" in value
    assert "debug at a.test 0.01 USD" in value
    assert "c.test" not in value
