"""Limits by user plan on requests per day to the heavy tier.

    plans:
      free: {heavy_escalations_per_day: 20}

Counts are in memory and per process: four router processes allow up to four times as many.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec

from traffic.policy import Verdict

HEAVY, STANDARD = 3, 2
MAX_COUNTED = 100_000
"""Maximum users with a counter; beyond it the oldest counter is removed and restarts at 0."""


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One entry of the section `plans` of `configs/router.yaml`; its name is the request's `metadata.plan`."""

    heavy_escalations_per_day: Annotated[int, msgspec.Meta(ge=0)]
    """Requests that the rules send to Tier 3, per user and UTC day."""
    per: Literal["user", "customer"] = "user"
    """Counter key: `metadata.user_id` or `metadata.customer_id`. A request without it is not limited."""
    beyond: Literal["tier_2", "refuse"] = "tier_2"
    """Treatment of requests beyond the limit."""
    message: str = "the daily limit of your plan for heavy requests is reached; it starts again at midnight UTC"
    """Error message for the client with `beyond: refuse`."""


class HeavyCounter:
    """Counts of requests to the heavy tier per plan and person on the current UTC day."""

    def __init__(self, max_counted: int = MAX_COUNTED) -> None:
        self._max = max_counted
        self._day = ""
        self._counts: dict[tuple[str, str], int] = {}

    def take(self, plan: str, person: str, limit: int, now: datetime) -> bool:
        """Counts one request if it is within the limit and returns whether it is. `now` must be time-zone aware."""
        day = now.astimezone(UTC).date().isoformat()
        # Requests may arrive out of order around midnight; the day never goes back.
        if day > self._day:
            self._day = day
            self._counts.clear()
        key = (plan, person)
        used = self._counts.get(key, 0)
        if used >= limit:
            return False
        if used == 0 and len(self._counts) >= self._max:
            del self._counts[next(iter(self._counts))]
        self._counts[key] = used + 1
        return True

    def __len__(self) -> int:
        return len(self._counts)


def modified(
    verdict: Verdict,
    plans: Mapping[str, Plan],
    counter: HeavyCounter,
    *,
    plan: str | None,
    user: str | None,
    customer: str | None,
    now: datetime,
) -> Verdict:
    """The verdict after applying the plan; only Tier 3 verdicts change."""
    if verdict.tier != HEAVY or verdict.refuse is not None or plan is None or plan not in plans:
        return verdict
    terms = plans[plan]
    person = user if terms.per == "user" else customer
    if person is None or counter.take(plan, person, terms.heavy_escalations_per_day, now):
        return verdict
    reason = f"plan {plan}: more than {terms.heavy_escalations_per_day} heavy requests of one {terms.per} today"
    refuse = terms.message if terms.beyond == "refuse" else None
    return Verdict(STANDARD, f"{verdict.rule} + plan {plan}", f"{verdict.reason}; {reason}", refuse)
