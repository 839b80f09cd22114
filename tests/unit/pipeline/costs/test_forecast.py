import datetime as dt

import pytest

from pipeline.costs import forecast
from pipeline.costs.forecast import Forecast, NewFeature
from tests.fakes.metered import books, record
from traffic.errors import NotEnoughData, NotFound
from traffic.prices import PriceTable
from traffic.record import Record, Usage

TODAY = dt.date(2026, 11, 28)
DAY = 24 * 60


def plan(log: list[Record], **options: object) -> Forecast:
    new: dict[str, object] = {"name": "new", "like": "desk", "requests_per_user": 12.0, "users": 4000}
    return forecast.run(books(log), NewFeature(**(new | options)), prices=PriceTable(), today=TODAY)  # type: ignore[arg-type]


def log() -> list[Record]:
    """Three days of 20 requests at 1, 1 and 2 cents; every fifth is escalated at the same cost."""
    records = []
    for n in range(60):
        usd = 0.02 if n >= 40 else 0.01
        records.append(record(n, at=n // 20 * DAY + n, cost_usd=usd))
        if n % 5 == 0:
            records.append(
                record(f"{n}-2", request_id=f"r{n}", purpose="escalation", at=n // 20 * DAY + n, cost_usd=usd)
            )
    return records


def test_a_new_feature_is_estimated_from_a_similar_one_with_its_escalations() -> None:
    forecast = plan(log())
    assert forecast.usd_per_request == pytest.approx(0.8 / 60 * 1.2)
    assert forecast.month_usd == pytest.approx(48_000 * forecast.usd_per_request)
    assert forecast.low_usd < 0.5 * forecast.month_usd + 1e-9
    assert forecast.high_usd > 1.5 * forecast.month_usd - 1e-9
    assert forecast.usd_per_user == pytest.approx(forecast.month_usd / 4000)
    assert len(forecast.assumptions) == 3


def test_another_model_is_priced_for_the_same_tokens() -> None:
    usage = Usage(input_uncached=600, cache_read=400, output=100)
    forecast = plan([record(n, usage=usage) for n in range(40)], model="gpt-4o-mini")
    price = PriceTable().price("gpt-4o-mini", None, TODAY)
    assert forecast.usd_per_request == pytest.approx(price.cost_usd(usage))
    assert forecast.high_usd == pytest.approx(72_000 * price.cost_usd(Usage(input_uncached=1000, output=100)))


def test_attempts_with_unknown_cost_are_reported() -> None:
    assert any(
        "1 attempt" in assumption for assumption in plan([*log(), record(99, cost_usd=None, model="x")]).assumptions
    )


def test_too_few_or_no_requests_are_refused() -> None:
    with pytest.raises(NotEnoughData):
        plan([record(1)])
    with pytest.raises(NotFound):
        plan(log(), like="elsewhere")
