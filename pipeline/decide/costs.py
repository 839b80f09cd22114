"""Monthly cost of a candidate as a function of volume, and the break-even volume: pure arithmetic.

A bought model costs by the request. An own model costs by the machine: as many as the busiest hour needs, always on.
"""

import math
from typing import Literal

import msgspec

from traffic.prices import Machine, Price
from traffic.record import Usage

HOURS_PER_MONTH = 730.0
"""365 days / 12."""
DAYS_PER_MONTH = HOURS_PER_MONTH / 24
SECONDS_PER_HOUR = 3600


class CostModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Monthly cost = fixed + per request x volume + machines(volume) x machine."""

    usd_per_request: float = 0.0
    machine_usd_per_month: float = 0.0
    """Per machine, or the share of it that the task pays for."""
    requests_per_machine_month: float | None = None
    """Monthly volume at which the busiest hour fills one machine; None: no own machine."""
    fixed_usd_per_month: float = 0.0
    """Fine-tuning spread over the decision's lifetime, and other costs independent of volume."""

    def machines(self, requests_per_month: float) -> int:
        """Machines that run all month: at least one if the candidate needs any."""
        if self.requests_per_machine_month is None:
            return 0
        # Rounding must not add a machine to a volume that fills k machines exactly.
        return max(1, math.ceil(requests_per_month / self.requests_per_machine_month * (1 - 1e-12)))

    def monthly_usd(self, requests_per_month: float) -> float:
        """USD for a month with this volume."""
        machines = self.machines(requests_per_month) * self.machine_usd_per_month
        return self.fixed_usd_per_month + self.usd_per_request * requests_per_month + machines


def machine_cost(
    machine: Machine,
    *,
    requests_per_s: float,
    peak_requests_per_hour: float,
    requests_per_month: float,
    utilisation: float,
    share: float,
    fixed_usd_per_month: float = 0.0,
) -> CostModel:
    """An own model on machines that are always on.

    `requests_per_s`: measured at full load. One machine carries the month whose busiest hour loads it to
    `utilisation`; the log's busiest hour gives the ratio of peak to monthly volume.
    """
    capacity_per_hour = requests_per_s * share * utilisation * SECONDS_PER_HOUR
    return CostModel(
        machine_usd_per_month=machine.usd_per_hour * HOURS_PER_MONTH * share,
        requests_per_machine_month=capacity_per_hour * requests_per_month / peak_requests_per_hour,
        fixed_usd_per_month=fixed_usd_per_month,
    )


def cpu_cost(machine: Machine, cpu_s_per_request: float, fixed_usd_per_month: float = 0.0) -> CostModel:
    """A classifier on a machine that runs anyway: CPU seconds of one core."""
    per_second = machine.usd_per_hour / SECONDS_PER_HOUR / (machine.cpu_cores or 1)
    return CostModel(usd_per_request=cpu_s_per_request * per_second, fixed_usd_per_month=fixed_usd_per_month)


def hosted_cost(
    price: Price,
    measured_usd_per_request: float,
    measured: tuple[float, float],
    expected: tuple[float, float],
) -> CostModel:
    """A hosted model with the tokens of live traffic instead of those of the test items.

    `measured` and `expected`: mean input and output tokens per request, on the test items and in the traffic. The
    savings of the provider's prompt cache are assumed to be the same.
    """
    on_items = list_price(price, *measured)
    scale = list_price(price, *expected) / on_items if on_items else 1.0
    return CostModel(usd_per_request=measured_usd_per_request * scale)


def shared_cost(own: CostModel, other: CostModel, share: float) -> CostModel:
    """One model answers a share (above 0) of the requests, the other the rest; machines of both stay on."""
    carries = own.requests_per_machine_month
    return CostModel(
        usd_per_request=share * own.usd_per_request + (1 - share) * other.usd_per_request,
        machine_usd_per_month=own.machine_usd_per_month,
        requests_per_machine_month=None if carries is None else carries / share,
        fixed_usd_per_month=own.fixed_usd_per_month + other.fixed_usd_per_month + other.machine_usd_per_month,
    )


def cascade_cost(first: CostModel, second: CostModel, escalation: float) -> CostModel:
    """Every request goes to the first model, the escalated share to the second too; machines of both stay on."""
    return CostModel(
        usd_per_request=first.usd_per_request + escalation * second.usd_per_request,
        machine_usd_per_month=first.machine_usd_per_month,
        requests_per_machine_month=first.requests_per_machine_month,
        fixed_usd_per_month=first.fixed_usd_per_month + second.fixed_usd_per_month + second.machine_usd_per_month,
    )


def list_price(price: Price, input_tokens: float, output_tokens: float) -> float:
    """USD of a mean request without prompt caching."""
    # Rounded to whole tokens, far below the uncertainty of a mean.
    return price.cost_usd(Usage(input_uncached=round(input_tokens), output=round(output_tokens)))


def cheapest_cpu(machines: tuple[Machine, ...]) -> Machine | None:
    """The machine without a GPU with the lowest price per core; None if there is none."""
    plain = [machine for machine in machines if machine.gpu is None and machine.cpu_cores]
    return min(plain, key=lambda machine: machine.usd_per_hour / (machine.cpu_cores or 1), default=None)


def per_month(once_usd: float, life_days: float) -> float:
    """A one-time cost spread over a number of days, per month."""
    return once_usd * DAYS_PER_MONTH / life_days


class BreakEven(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The volume at which the cost of building equals that of buying."""

    kind: Literal["always", "never", "from"]
    """always: cheaper at any volume; never: at none; from: from `requests_per_month` on."""
    requests_per_month: float | None = None
    """The lowest volume at which building costs no more."""
    for_good_from: float | None = None
    """Volume from which it stays cheaper; higher if the next machine makes it dearer again for a while."""
    machines: int = 0
    """Machines running at `requests_per_month`."""


def break_even(own: CostModel, bought_usd_per_request: float) -> BreakEven:
    """Volume at which `own` costs as much as buying at this price per request.

    With fixed cost F, M per machine, K its monthly volume and s saved per request: k machines pay off if
    s v >= F + k M and carry v <= k K, so the first k with k (s K - M) >= F decides.
    """
    saved = bought_usd_per_request - own.usd_per_request
    fixed, machine, carries = own.fixed_usd_per_month, own.machine_usd_per_month, own.requests_per_machine_month
    if saved <= 0:
        return BreakEven("never")
    if carries is None:
        return _break_even_at(fixed / saved, fixed / saved, 0)
    # Monthly gain of one more full machine.
    gain = saved * carries - machine
    if gain <= 0:
        return BreakEven("never")
    first = max(1, math.ceil(fixed / gain))
    # Just above k full machines the next one is idle: the lead must survive that.
    last = max(1, math.ceil((fixed + machine) / gain))
    return _break_even_at((fixed + first * machine) / saved, (fixed + last * machine) / saved, first)


def _break_even_at(first: float, for_good: float, machines: int) -> BreakEven:
    if for_good == 0:
        return BreakEven("always", machines=machines)
    return BreakEven("from", first, for_good, machines)
