"""Invariants of costs for any log."""

import math
import tempfile
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import costs, store
from pipeline.costs.config import CostsConfig
from pipeline.costs.ledger import DIMENSIONS
from pipeline.costs.report import Line
from tests.fakes.metered import START, books, record
from traffic.artifacts import Home
from traffic.prices import Machines, PriceTable
from traffic.record import Params, Record, Usage

pytestmark = pytest.mark.slow

tokens = st.integers(0, 5000)
usages = st.builds(Usage, input_uncached=tokens, cache_read=tokens, output=tokens)
names = st.sampled_from((None, "a", "b", "'; drop table cells --", ""))


@st.composite
def attempts(draw: st.DrawFn) -> list[Record]:
    records = []
    for n in range(draw(st.integers(1, 8))):
        fields: dict[str, Any] = {
            "feature": draw(names), "call_site": draw(names), "customer_id": draw(names), "model": draw(names),
            "cohort": draw(st.sampled_from(({}, {"plan": "pro"}, {"plan": "", "x": "y"}))),
            "tier": draw(st.sampled_from((None, 1, 2, 3))),
            "status": draw(st.sampled_from((200, 200, 408, 429, 499, 0))),
            "cost_usd": draw(st.one_of(st.none(), st.floats(0, 10))), "at": draw(st.integers(0, 4000)),
            "usage": draw(st.one_of(st.none(), usages)),
            "params": Params(stream=draw(st.booleans())), "cache_hit": draw(st.booleans()),
            "adapter": draw(st.sampled_from((None, "own@1"))), "endpoint": draw(names),
        }  # fmt: skip
        records.append(record(n, **fields))
        for purpose in draw(
            st.lists(st.sampled_from(("retry", "escalation", "shadow", "audit")), max_size=2, unique=True)
        ):
            cost = draw(st.one_of(st.none(), st.floats(0, 10)))
            records.append(record(f"{n}-{purpose}", request_id=f"r{n}", purpose=purpose, **fields | {"cost_usd": cost}))
    return records


def sums(lines: list[Line]) -> tuple[float, int, int, int, int, int]:
    return (
        sum(line.usd or 0.0 for line in lines), sum(line.requests for line in lines),
        sum(line.attempts for line in lines), sum(line.unpriced for line in lines),
        sum(line.input_tokens for line in lines), sum(line.output_tokens for line in lines),
    )  # fmt: skip


@given(attempts(), st.lists(st.sampled_from(list(DIMENSIONS)), min_size=1, max_size=3, unique=True))
@settings(max_examples=8)
def test_every_grouping_sums_to_the_total_of_the_log(log: list[Record], by: list[str]) -> None:
    result = costs.run(books(log), by=by)
    whole = sums([result.total])
    assert sums(list(result.rows))[1:] == whole[1:]
    assert math.isclose(sums(list(result.rows))[0], whole[0], rel_tol=1e-9, abs_tol=1e-12)
    assert len({line.key for line in result.rows}) == len(result.rows)
    known = [r.cost_usd for r in log if r.cost_usd is not None]
    assert math.isclose(whole[0], sum(known), rel_tol=1e-9, abs_tol=1e-12)
    # What has no cost is free (refused, or from the gateway's cache) or counted as unpriced: nothing vanishes.
    refused = [
        r for r in log
        if r.cost_usd is None and r.adapter is None and (r.cache_hit or (r.usage is None and r.status == 429))
    ]  # fmt: skip
    assert whole[1:] == (
        sum(r.purpose == "serve" for r in log), len(log), len(log) - len(known) - len(refused),
        sum(r.usage.input_total for r in log if r.usage), sum(r.usage.output for r in log if r.usage),
    )  # fmt: skip
    assert sum(u.attempts for u in result.unpriced) == result.total.unpriced


@given(attempts(), st.randoms(use_true_random=False))
@settings(max_examples=3)
def test_amounts_are_summed_exactly_in_any_order_and_any_grouping(log: list[Record], random: Random) -> None:
    shuffled = list(log)
    random.shuffle(shuffled)
    opened = books(log)
    one, other = costs.run(opened, by=["feature", "plan"]), costs.run(books(shuffled), by=["feature", "plan"])
    assert (one.total, set(one.rows)) == (other.total, set(other.rows))
    known = sum((Decimal(r.cost_usd).quantize(Decimal("1e-12")) for r in log if r.cost_usd is not None), Decimal())
    assert abs(Decimal(one.total.usd or 0.0) - known) <= len(log) * Decimal("1e-12")
    for by in DIMENSIONS:
        rows = costs.run(opened, by=[by]).rows
        whole = sum((Decimal(row.usd or 0.0).quantize(Decimal("1e-12")) for row in rows), Decimal())
        assert float(whole) == float(Decimal(one.total.usd or 0.0).quantize(Decimal("1e-12")))


@given(attempts())
@settings(max_examples=4)
def test_a_streamed_answer_costs_as_much_as_a_complete_one(log: list[Record]) -> None:
    import msgspec

    once = [msgspec.structs.replace(r, params=Params(stream=not r.params.stream)) for r in log]
    assert costs.run(books(log), by=["feature"]).rows == costs.run(books(once), by=["feature"]).rows


@given(usages, st.sampled_from(("gpt-4o", "claude-haiku-4-5")))
@settings(max_examples=5)
def test_cached_tokens_are_priced_once(usage: Usage, model: str) -> None:
    prices = PriceTable.load()
    at = prices.price(model, None, START.date())
    totals = books([record(1, usage=usage, model=model, provider=None, cost_usd=None)], prices=prices)
    total = costs.run(totals, by=["model"]).total
    assert total.input_tokens == usage.input_total
    assert total.usd == pytest.approx(at.cost_usd(usage), abs=1e-9)


@given(attempts(), st.data())
@settings(max_examples=3, deadline=None)
def test_a_record_counts_once_however_often_it_is_ingested(log: list[Record], data: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        for part in (*data.draw(st.lists(st.lists(st.sampled_from(log)), max_size=3)), log, log):
            if part:
                store.append(home, part, source="part")
        opened = costs.open_books(
            CostsConfig(), home=home, prices=PriceTable(), machines=Machines(),
            asked=costs.PeriodRequest(everything=True),
        )  # fmt: skip
        assert costs.run(opened, by=["feature"]).total == costs.run(books(log), by=["feature"]).total
