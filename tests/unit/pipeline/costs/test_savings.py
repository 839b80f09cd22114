import pytest

from pipeline.costs import savings
from pipeline.costs.config import CostsConfig, OwnMachine
from pipeline.costs.savings import Savings
from tests.fakes.metered import START, books, record
from traffic.prices import PriceTable
from traffic.record import Record, Usage

BASE = PriceTable().price("gpt-4o", "openai", START.date())
SMALL = PriceTable().price("gpt-4o-mini", "openai", START.date())


def ledger(log: list[Record], config: CostsConfig | None = None, rated: dict[str, str] | None = None) -> Savings:
    opened = books(log, config)
    if rated:
        opened.connection.executemany("insert into feedback values (?, ?)", list(rated.items()))
    return savings.run(opened, baseline="gpt-4o", provider="openai", prices=PriceTable())


def small(n: int | str, usage: Usage, **fields: object) -> Record:
    return record(n, model="gpt-4o-mini", usage=usage, **({"cost_usd": SMALL.cost_usd(usage)} | fields))


def test_the_parts_of_the_savings_add_up() -> None:
    usage = Usage(input_uncached=1000, output=50)
    cached = Usage(input_uncached=200, cache_read=800, output=50)
    log = [
        small(1, usage),
        small(2, cached),
        record(3, usage=usage, cost_usd=0.0, cache_hit=True),
        small(4, usage, tier=1),
        record("4-2", request_id="r4", purpose="escalation", attempt=2, usage=usage, cost_usd=BASE.cost_usd(usage)),
        small("4-3", usage, request_id="r4", purpose="shadow"),
        record(7, usage=None, status=500, cost_usd=0.0),
        record(8, adapter="own@1", endpoint="box", tier=1, cost_usd=None, provider="vllm", usage=usage),
    ]
    month = ledger(log, CostsConfig(machines=(OwnMachine(usd_per_hour=0.001),))).months[0]
    at_base, at_small = BASE.cost_usd(usage), SMALL.cost_usd(usage)
    assert month.counterfactual_usd == pytest.approx(5 * at_base)
    assert month.parts == {
        "routing": pytest.approx(2 * (at_base - at_small)),
        "prompt_cache": pytest.approx(at_small - SMALL.cost_usd(cached)),
        "answer_cache": pytest.approx(at_base),
        "escalation": pytest.approx(-at_small),
        "evidence": pytest.approx(-at_small),
        "own_models": pytest.approx(at_base - 0.024),
    }
    assert sum(month.parts.values()) == pytest.approx(month.saved_usd)


def test_shortened_prompts_are_valued_at_the_baselines_price() -> None:
    messages = b'[{"role": "user", "content": "' + b"x" * 4000 + b'"}]'
    import msgspec

    usage = Usage(input_uncached=100, output=5)
    month = ledger([small(1, usage, messages=msgspec.Raw(messages), template="abcdefgh")]).months[0]
    assert month.parts["shaping"] == pytest.approx(900 * BASE.input_mtok_usd / 1e6)
    assert sum(month.parts.values()) == pytest.approx(month.saved_usd)


def test_quality_is_reported_by_tier_and_month() -> None:
    log = [record(1, tier=1), record(2, tier=1), record(3), record(4, at=60 * 24 * 30, tier=1, status=500)]
    first, second = ledger(log, rated={"r1": "down", "r2": "up"}).months
    assert [(q.tier, q.answers, q.rated, q.thumbs_down) for q in first.quality] == [(1, 2, 2, 0.5), (2, 1, 0, None)]
    assert second.quality[0].errors == 1.0


def test_unpriced_attempts_are_excluded_from_both_sides() -> None:
    month = ledger([record(1, cost_usd=None, model="house")]).months[0]
    assert (month.counterfactual_usd, month.actual_usd, month.unknown) == (0, 0, 1)
