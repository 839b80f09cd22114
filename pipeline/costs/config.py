"""Settings of `fasttier costs`: `configs/costs.yaml`."""

import datetime as dt
from typing import Annotated, Literal

import msgspec

from pipeline.costs.invoices import InvoiceConfig
from traffic.errors import ConfigError
from traffic.prices import Machines

Usd = Annotated[float, msgspec.Meta(ge=0)]


class OwnMachine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A machine that serves own models and is paid by the hour, busy or not."""

    endpoint: str | None = None
    """Endpoint of the log that it serves; None: every own endpoint that no other entry names."""
    machine: str | None = None
    """Name in configs/gpus.yaml, for its price."""
    usd_per_hour: Usd | None = None
    """In place of `machine`: what you pay."""
    count: Annotated[int, msgspec.Meta(ge=1)] = 1
    from_: dt.date | None = msgspec.field(name="from", default=None)
    """First day (UTC) that is paid; None: the day of the endpoint's first logged request."""
    until: dt.date | None = None
    """First day that is not paid any more; None: it still runs."""
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
    """How costs that no log states are known, and what savings are compared with."""

    schema_version: Literal[1] = 1
    machines: tuple[OwnMachine, ...] = ()
    baseline_model: str | None = None
    """Of the savings ledger: the model that would have answered everything. None: the first endpoint of Tier 3 in
    configs/router.yaml."""
    invoice: InvoiceConfig = InvoiceConfig()
    month_days: Annotated[int, msgspec.Meta(ge=1)] = 30
