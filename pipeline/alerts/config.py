"""Settings of `fasttier alerts`: `configs/alerts.yaml`."""

from typing import Annotated, Literal

import msgspec

Days = Annotated[int, msgspec.Meta(ge=1)]


class AlertsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`configs/alerts.yaml`."""

    schema_version: Literal[1] = 1
    lookback_days: Days = 28
    batch_requests: Annotated[int, msgspec.Meta(ge=10)] = 30
    """Minimum number of requests of a call site per observation."""
    false_alarm_days: Annotated[float, msgspec.Meta(gt=0)] = 90.0
    """Mean time between false alarms, over all series together."""
    min_change: Annotated[float, msgspec.Meta(ge=0)] = 0.05
    """Smaller changes are not reported: relative for cost and tokens, a difference of shares for rates."""
    fresh_days: Days = 2
    """A change is reported if it began in the last N days of the log."""
    expiry_days: Days = 14
    deprecation_days: Days = 60
    budgets: dict[str, Annotated[float, msgspec.Meta(ge=0)]] = {}
    """USD a month by feature; `total`: all features."""
    webhook_url_env: str | None = None
    """Environment variable with the URL of the webhook."""
