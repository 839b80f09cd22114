"""Services that all requests of one process share."""

import random
from collections import Counter
from collections.abc import Callable

import msgspec

from router.alerts import Alerts
from router.health import Health
from router.learned import Learned
from router.log.writer import RequestLog
from router.metrics import Metrics
from router.shadow import Shadows
from router.upstream import Upstream
from traffic.prices import PriceTable
from traffic.tiers import Serving


class Services(msgspec.Struct, frozen=True):
    """Dependencies of an exchange."""

    upstream: Upstream
    log: RequestLog
    prices: PriceTable
    serving: Serving
    counts: Counter[str]
    """Counters for `/health`: requests, attempts, escalations, errors."""
    health: Health = msgspec.field(default_factory=Health)
    metrics: Metrics = msgspec.field(default_factory=Metrics)
    alerts: Alerts = msgspec.field(default_factory=Alerts)
    shadows: Shadows = msgspec.field(default_factory=Shadows)
    learned: Learned = msgspec.field(default_factory=Learned)
    jitter: Callable[[], float] = random.random
