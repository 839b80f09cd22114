from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.alerts.causes import UNKNOWN, Weights, decompose, dominant, likely, parts_text
from pipeline.alerts.series import Batch, Flow, FlowKey
from traffic.prices import PriceTable

PRICES = PriceTable()
NAMES = {
    "attempts", "escalations", "answer_cache", "errors", "unpriced", "cache", "prompt", "output", "routing", "model",
    "price",
}  # fmt: skip


def flow(n: float = 100, *, plain: float = 1000, cached: float = 1000, output: float = 50, rate: float = 1.0,
         hits: float = 0, lost: float = 0, unpriced: float = 0) -> Flow:  # fmt: skip
    """`n` attempts with the given tokens each; `rate`: USD per million weighted tokens."""
    billed = n - hits - lost - unpriced
    sums = {"billed_plain": billed * plain, "billed_cached": billed * cached, "billed_output": billed * output}
    usd = rate * billed * (plain + 0.25 * cached + 4 * output) / 1e6
    return Flow(
        attempts=n, usd=usd, plain=n * plain, cached=n * cached, errors=lost, hits=hits, lost=lost, unpriced=unpriced,
        **sums,
    )  # fmt: skip


def batch(flows: dict[FlowKey, Flow]) -> Batch:
    batch = Batch(start=1.8e9)
    for key, each in flows.items():
        batch.add_flow(key, each)
    return batch


SERVE: FlowKey = ("serve", 1, "small")
OTHER: FlowKey = ("serve", 1, "other")
HEAVY: FlowKey = ("serve", 2, "heavy")
ESCALATED: FlowKey = ("escalation", 2, "heavy")
RETRIED: FlowKey = ("extra", 1, "small")
BEFORE = {SERVE: flow()}


@pytest.mark.parametrize(
    "after, cause",
    [
        ({SERVE: flow(plain=2000)}, "prompt"),
        ({SERVE: flow(plain=2000, cached=0)}, "cache"),
        ({SERVE: flow(output=400)}, "output"),
        ({SERVE: flow(rate=1.4)}, "price"),
        ({SERVE: flow(lost=20)}, "errors"),
        ({SERVE: flow(hits=30)}, "answer_cache"),
        ({SERVE: flow(unpriced=40)}, "unpriced"),
        ({SERVE: flow(n=50), HEAVY: flow(n=50, rate=4.0)}, "routing"),
        ({SERVE: flow(n=50), OTHER: flow(n=50, rate=4.0)}, "model small small"),
        ({OTHER: flow(rate=2.0)}, "model small other"),
        ({SERVE: flow(), ESCALATED: flow(n=20, rate=4.0)}, "escalations"),
        ({SERVE: flow(), RETRIED: flow(n=40)}, "attempts"),
        # Requests that fail by chance make nothing dearer, and another name at the same price neither.
        ({SERVE: flow(plain=1800, lost=10)}, "prompt"),
        ({SERVE: flow(rate=1.4, lost=12)}, "price"),
        ({OTHER: flow(rate=1.0, plain=2000)}, "prompt"),
        # As many cached tokens in a longer prompt: its share fell, but the cache works as before.
        ({SERVE: flow(plain=1800, cached=990)}, "prompt"),
        # A failed attempt and its retry are one answer.
        ({SERVE: flow(lost=30, plain=1400), RETRIED: flow(n=30, plain=1400)}, "prompt"),
        ({SERVE: flow(plain=1500, rate=1.3)}, "prompt+price"),
        ({SERVE: flow(plain=1250, output=110, rate=1.2)}, UNKNOWN),
    ],
)
def test_the_largest_part_of_a_cost_change_is_its_cause(after: dict[FlowKey, Flow], cause: str) -> None:
    assert likely("cost_per_request", batch(BEFORE), batch(after), PRICES).name == cause


@pytest.mark.parametrize("series", ["tokens_per_request", "cache_hit_rate"])
def test_longer_prompts_and_cache_misses_are_distinguished(series: str) -> None:
    longer, colder = {SERVE: flow(plain=2000)}, {SERVE: flow(plain=2000, cached=0)}
    assert likely(series, batch(BEFORE), batch(longer), PRICES).name == "prompt"
    if series == "cache_hit_rate":
        assert likely(series, batch(BEFORE), batch(colder), PRICES).name == "cache"


def test_the_price_of_the_new_tier_belongs_to_the_tier_change() -> None:
    cheap_before = {SERVE: flow(n=70), HEAVY: flow(n=30, rate=1.0)}
    causes = likely(
        "cost_per_request", batch(cheap_before), batch({SERVE: flow(n=35), HEAVY: flow(n=65, rate=3)}), PRICES
    )
    assert causes.name == "routing"


def test_a_redirected_model_is_reported_beside_another_cause() -> None:
    causes = likely("cost_per_request", batch(BEFORE), batch({OTHER: flow(plain=3000)}), PRICES)
    assert (causes.name, "other in place of small" in causes.sentence) == ("prompt", True)


def test_only_the_largest_parts_are_reported() -> None:
    assert parts_text({"price": 0.4, "prompt": -0.2, "errors": 0.01}, 1.0) == "price +40.0%, prompt -20.0%"
    assert dominant({"price": 0.0}) == ()


sizes = st.floats(0, 3000)
flows = st.builds(
    lambda n, plain, cached, output, rate, free: flow(
        n, plain=plain, cached=cached, output=output, rate=rate,
        hits=n * free[0] / 4, lost=n * free[1] / 4, unpriced=n * free[2] / 4,
    ),
    n=st.integers(1, 500), plain=sizes, cached=sizes, output=sizes, rate=st.floats(0, 20),
    free=st.tuples(*[st.sampled_from([0.0, 1.0, 0.5, 4 / 3])] * 3),
)  # fmt: skip
others = st.dictionaries(st.sampled_from([OTHER, HEAVY, ESCALATED, RETRIED]), flows)


@given(flows, others, flows, others)
def test_the_parts_add_up_to_the_change(one: Flow, beside: Any, two: Flow, later: Any) -> None:
    before, after = batch({SERVE: one} | beside), batch({SERVE: two} | later)
    parts = decompose(before, after, Weights(), lambda each: each.usd)
    change = after.usd / after.requests - before.usd / before.requests
    scale = max(map(abs, parts.values()), default=0.0) + before.usd / before.requests + after.usd / after.requests
    assert sum(parts.values()) == pytest.approx(change, abs=1e-9 * max(1.0, scale))
    assert parts.keys() <= NAMES
