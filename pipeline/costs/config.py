"""Settings of `fasttier costs`: `configs/costs.yaml`."""

import datetime as dt
from typing import Annotated, Literal

import msgspec

from pipeline.costs.invoices import InvoiceConfig
from traffic.errors import ConfigError
from traffic.prices import Machines

Usd = Annotated[float, msgspec.Meta(ge=0)]


class OwnMachine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A machine for own models that is paid by the hour, busy or idle."""

    endpoint: str | None = None
    """Its endpoint in the log; None: every own endpoint without an entry."""
    machine: str | None = None
    """Name in configs/gpus.yaml, for its price."""
    usd_per_hour: Usd | None = None
    """Your price, instead of `machine`."""
    count: Annotated[int, msgspec.Meta(ge=1)] = 1
    from_: dt.date | None = msgspec.field(name="from", default=None)
    """First paid day (UTC); None: the day of the endpoint's first logged request."""
    until: dt.date | None = None
    """First day after the last paid one; None: still running."""
    hours_per_day: Annotated[float, msgspec.Meta(gt=0, le=24)] = 24.0

    @property
    def name(self) -> str:
        return self.machine or self.endpoint or "own machine"

    def rate_usd_per_hour(self, machines: Machines) -> float:
        """Of all `count` machines. Raises: ConfigError, NotFound."""
        if (self.machine is None) == (self.usd_per_hour is None):
            raise ConfigError("costs.yaml: machines: each needs either `machine` or `usd_per_hour`")
        rate = self.usd_per_hour if self.machine is None else machines.get(self.machine).usd_per_hour
        assert rate is not None
        return self.count * rate


class CostsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Costs that logs do not contain, and the baseline of savings."""

    schema_version: Literal[1] = 1
    machines: tuple[OwnMachine, ...] = ()
    baseline_model: str | None = None
    """Baseline of the savings ledger: one model that answers everything. None: the first endpoint of Tier 3 in
    configs/router.yaml."""
    invoice: InvoiceConfig = InvoiceConfig()
    month_days: Annotated[int, msgspec.Meta(ge=1)] = 30
