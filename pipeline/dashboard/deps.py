"""Dependencies of the dashboard."""

import datetime as dt
from collections.abc import Callable

import msgspec

from pipeline.alerts import AlertsConfig
from pipeline.dashboard.books import Opener
from pipeline.ingest.live import LiveLog
from traffic.artifacts import Home
from traffic.prices import PriceTable


class Deps(msgspec.Struct, frozen=True, kw_only=True):
    """Dependencies and settings of the dashboard."""

    home: Home
    opener: Opener
    log: LiveLog
    prices: PriceTable
    alerts: AlertsConfig = AlertsConfig()
    baseline: str | None
    """Baseline model of the savings."""
    baseline_provider: str | None = None
    key: str | None = None
    """None: only this machine has access."""
    content: bool = False
    """Whether texts of prompts and answers are shown."""
    refresh_s: float = 10.0
    """Refresh interval of an open page."""
    today: Callable[[], dt.date] = lambda: dt.datetime.now(dt.UTC).date()
