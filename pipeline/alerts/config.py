"""Settings of `fasttier alerts`: `configs/alerts.yaml`."""

from typing import Annotated, Literal

import msgspec

Days = Annotated[int, msgspec.Meta(ge=1)]


class AlertsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When to alert, and where to."""

    schema_version: Literal[1] = 1
    lookback_days: Days = 28
    batch_requests: Annotated[int, msgspec.Meta(ge=10)] = 30
    """Requests of a call site that make one observation."""
    false_alarm_days: Annotated[float, msgspec.Meta(gt=0)] = 90.0
    """Mean time between alarms without a cause, of all series together."""
    min_change: Annotated[float, msgspec.Meta(ge=0)] = 0.05
    """Smaller changes are not told: of cost and tokens as a share, of rates as a difference of shares."""
    fresh_days: Days = 2
    """A change is reported while it began in the log's last so many days."""
    expiry_days: Days = 14
    deprecation_days: Days = 60
    budgets: dict[str, Annotated[float, msgspec.Meta(ge=0)]] = {}
    """USD a month by feature; `total` is everything."""
    webhook_url_env: str | None = None
    """Environment variable with the URL of the webhook."""
