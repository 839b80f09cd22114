"""What the dashboard is given: the home that it shows, and how."""

import datetime as dt
from collections.abc import Callable

import msgspec

from pipeline.alerts import AlertsConfig
from pipeline.dashboard.books import Opener
from pipeline.ingest.live import LiveLog
from traffic.artifacts import Home
from traffic.prices import PriceTable


class Deps(msgspec.Struct, frozen=True, kw_only=True):
    """What the dashboard reads."""

    home: Home
    opener: Opener
    log: LiveLog
    prices: PriceTable
    alerts: AlertsConfig = AlertsConfig()
    """When to alert."""
    baseline: str | None
    """Model that the savings are counted against."""
    baseline_provider: str | None = None
    key: str | None = None
    """None: only this machine may look."""
    content: bool = False
    """Whether texts of prompts and answers are shown."""
    refresh_s: float = 10.0
    """How often an open page asks for news."""
    today: Callable[[], dt.date] = lambda: dt.datetime.now(dt.UTC).date()
