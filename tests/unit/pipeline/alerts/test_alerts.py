import datetime as dt
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline import alerts
from pipeline.alerts import Alert, AlertsConfig, AlertsSummary
from tests.fakes.metered import books, record
from traffic import config
from traffic.artifacts import Home
from traffic.prices import PriceTable
from traffic.record import Record, Usage

TODAY = dt.date(2026, 11, 16)
CHANGE_DAY = 8
Change = Callable[[dict[str, Any]], dict[str, Any]]


def log(changed: Change | None = None, *, sites: tuple[str, ...] = ("desk.topic",), days: int = 12) -> list[Record]:
    """40 requests per day and call site, with a change from day 8."""
    r = random.Random(5)
    records = []
    for n in range(days * 40):
        for site in sites:
            plain, output = int(r.gauss(1000, 80)), int(r.gauss(50, 5))
            fields = {
                "plain": plain,
                "cached": 1000,
                "output": output,
                "model": "gpt-4o",
                "tier": 2,
                "rate": 1.0,
                "status": 200,
            }
            if changed is not None and n >= CHANGE_DAY * 40:
                fields = changed(fields)
            usd = fields["rate"] * (fields["plain"] * 2.5 + fields["cached"] * 1.25 + fields["output"] * 10) / 1e6
            usage = Usage(input_uncached=fields["plain"], cache_read=fields["cached"], output=fields["output"])
            records.append(
                record(
                    f"{site}-{n}", at=n * 36, call_site=site, feature=site, model=fields["model"], usage=usage,
                    tier=fields["tier"], cost_usd=usd, status=fields["status"],
                )
            )  # fmt: skip
    return records


def run(records: list[Record], folder: Path, **settings: Any) -> AlertsSummary:
    configuration = AlertsConfig(**({"batch_requests": 10} | settings))
    return alerts.run(
        books(records), configuration, home=Home(folder), prices=PriceTable(), today=TODAY, everything=True
    )


def changes(summary: AlertsSummary) -> list[Alert]:
    return [alert for alert in summary.alerts if alert.kind == "change"]


def test_a_log_without_changes_gives_no_alert(tmp_path: Path) -> None:
    summary = run(log(), tmp_path)
    assert (summary.alerts, summary.exit_status) == ((), 0)
    assert summary.observations > 100


@pytest.mark.parametrize(
    "change, cause",
    [
        (lambda f: f | {"plain": f["plain"] + 1500}, "prompt"),
        (lambda f: f | {"plain": f["plain"] + f["cached"], "cached": 0}, "cache"),
        (lambda f: f | {"output": f["output"] * 8}, "output"),
        (lambda f: f | {"rate": 1.6}, "price"),
        (lambda f: f | {"model": "gpt-4o-mini", "rate": 0.06}, "model gpt-4o gpt-4o-mini"),
        (lambda f: f | {"tier": 1, "rate": 0.06}, "routing"),
        (lambda f: f | ({"status": 503, "rate": 0.0, "output": 0} if f["plain"] % 4 == 0 else {}), "errors"),
    ],
)
def test_a_change_is_one_alert_with_cause_and_start(change: Change, cause: str, tmp_path: Path) -> None:
    summary = run(log(change), tmp_path)
    (alert,) = changes(summary)
    assert alert.cause.startswith(f"{cause}:")
    assert summary.exit_status == 1
    assert alert.since is not None
    began = dt.datetime.fromisoformat(alert.since)
    assert abs(began - dt.datetime(2026, 11, 2 + CHANGE_DAY, 9, tzinfo=dt.UTC)) <= dt.timedelta(hours=36)


def test_one_cause_at_several_call_sites_is_one_alert(tmp_path: Path) -> None:
    sites = ("desk.topic", "desk.tone", "mail.reply")
    (alert,) = changes(run(log(lambda f: f | {"rate": 1.7}, sites=sites), tmp_path))
    assert set(alert.call_sites) == set(sites)


def test_old_changes_are_omitted_by_default(tmp_path: Path) -> None:
    listed = log(lambda f: f | {"rate": 1.7}, days=14)
    settings = AlertsConfig(batch_requests=10, fresh_days=2)
    options: dict[str, Any] = {"home": Home(tmp_path), "prices": PriceTable(), "today": TODAY}
    assert changes(alerts.run(books(listed), settings, **options)) == []
    assert changes(alerts.run(books(listed), settings, **options, everything=True))


def test_unpriced_models_budgets_and_deprecated_models_are_reported(tmp_path: Path) -> None:
    prices = PriceTable.load()
    records = [
        record(1, cost_usd=None, model="house"),
        record(2, at=60, model="gpt-5-nano", cost_usd=3.0),
        record(3, at=120, feature="mail", cost_usd=1.0),
    ]
    settings = AlertsConfig(budgets={"total": 3.5, "mail": 5.0, "desk": 100.0})
    summary = alerts.run(books(records), settings, home=Home(tmp_path), prices=prices, today=TODAY)
    raised = {alert.cause for alert in summary.alerts}
    assert raised == {"unpriced openai/house", "budget total", "deprecation gpt-5-nano"}


def test_decisions_that_expire_soon_are_reported_once_per_task(tmp_path: Path) -> None:
    folder = tmp_path / "decisions"
    folder.mkdir()
    for name, task, day in (("a@2026-11-20-1", "a", "2026-11-20"), ("b@2027-03-01-1", "b", "2027-03-01")):
        tree = {"task": task, "verdict": "buy", "expires": day, "created_at": "2026-11-01T00:00:00Z"}
        (folder / f"{name}.yaml").write_text(config.dump(tree))
    summary = run([record(1)], tmp_path)
    assert [alert.cause for alert in summary.alerts] == ["decision a@2026-11-20-1"]


def test_the_shipped_settings_load() -> None:
    assert config.load(config.CONFIGS / "alerts.yaml", AlertsConfig) == AlertsConfig()
