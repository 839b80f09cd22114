"""From which volume on an own model is cheaper than a bought one: pure arithmetic."""

import math
from typing import Literal

import msgspec

from pipeline.decide.costs import CostModel


class BreakEven(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the cost of building meets that of buying."""

    kind: Literal["always", "never", "from"]
    """always: cheaper at any volume; never: at none; from: see the volumes."""
    requests_per_month: float | None = None
    """The lowest volume at which building costs no more."""
    for_good_from: float | None = None
    """From here on it stays so; higher than the first where one machine more costs the lead once again."""
    machines: int = 0
    """That run at `requests_per_month`."""


def break_even(own: CostModel, bought_usd_per_request: float) -> BreakEven:
    """Volume at which `own` costs as much as buying at this price per request.

    With F fixed, M a machine, K its monthly volume and s what each request saves: k machines are paid
    when s v >= F + k M, and they carry v <= k K. So the first k with k (s K - M) >= F decides.
    """
    saved = bought_usd_per_request - own.usd_per_request
    fixed, machine, carries = own.fixed_usd_per_month, own.machine_usd_per_month, own.requests_per_machine_month
    if saved <= 0:
        return BreakEven("never")
    if carries is None:
        return _at(fixed / saved, fixed / saved, 0)
    # What one more full machine brings in beyond its own price.
    gain = saved * carries - machine
    if gain <= 0:
        return BreakEven("never")
    first = max(1, math.ceil(fixed / gain))
    # Just above j full machines the next one is paid for by nothing yet: the lead must survive that.
    last = max(1, math.ceil((fixed + machine) / gain))
    return _at((fixed + first * machine) / saved, (fixed + last * machine) / saved, first)


def _at(first: float, for_good: float, machines: int) -> BreakEven:
    if for_good == 0:
        return BreakEven("always", machines=machines)
    return BreakEven("from", first, for_good, machines)
