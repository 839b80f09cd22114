"""The gate of `register`: whether a decision file permits a deployment."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from serving.classifier_parity import ClassifierParity
from serving.parity import ParityReport
from traffic import config
from traffic.errors import ConfigError
from traffic.own_models import Card


class Promotion(msgspec.Struct, frozen=True):
    """Cohorts that the gate promoted."""

    only: dict[str, tuple[str, ...]] = {}
    """Promoted values by cohort key. Empty: all requests."""


class CohortVerdict(msgspec.Struct, frozen=True):
    """Verdict for a single cohort."""

    key: str
    value: str
    verdict: str
    adapter: str | None = None
    calibrations: dict[str, str] | None = None


class Decision(msgspec.Struct, frozen=True):
    """The fields of a decision file that `register` needs; other keys are ignored."""

    task: str
    verdict: str
    expires: Any
    adapter: str | msgspec.UnsetType | None = msgspec.UNSET
    """The adapter to build; null if the winner has none."""
    calibrations: dict[str, str] | None = None
    """For a cascade: folders of the calibrations it was evaluated with, by call site."""
    promotion: Promotion | None = None
    cohorts: tuple[CohortVerdict, ...] = ()

    def calibrations_of(self, adapter: str, cohort: Mapping[str, str]) -> dict[str, str] | None:
        """Calibrations of the cascade to build with this adapter; None without such a verdict."""
        if self.verdict == "build":
            return self.calibrations if self.adapter == adapter else None
        verdict = self._verdict_for(adapter, cohort)
        return verdict.calibrations if verdict else None

    def promoted(self, cohort: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
        """Promoted values by cohort key, except keys of `cohort`."""
        if self.promotion is None or self.verdict != "build":
            return {}
        return {key: values for key, values in self.promotion.only.items() if key not in cohort}

    def refusals(self, name: str, card: Card, cohort: Mapping[str, str], today: date) -> list[str]:
        """Reasons why this decision (file `name`) does not permit the deployment. Raises: ConfigError."""
        remedy = "to deploy it anyway, use --override REASON"
        reasons = []
        if self.task != card.task:
            reasons.append(f"{name} is about {self.task!r}, not about {card.task!r}")
        only = self.promotion.only if self.promotion and self.verdict == "build" else {}
        excluded = [f"{key} {value}" for key, value in cohort.items() if value not in only.get(key, (value,))]
        if excluded:
            reasons.append(f"the gate of {name} did not promote {', '.join(excluded)}; {remedy}")
        if self.verdict != "build" and self._verdict_for(card.name, cohort) is None:
            reasons.append(f'the verdict of {name} is "{self.verdict}", not "build"; {remedy}')
        elif self.verdict == "build" and self.adapter is not msgspec.UNSET and self.adapter != card.name:
            built = self.adapter or "a candidate without an adapter"
            reasons.append(f"{name} says to build {built}, not {card.name}; {remedy}")
        expires = self._expires(name)
        if expires < today:
            reasons.append(f"{name} expired on {expires}: prices move; decide again, or {remedy}")
        return reasons

    def _verdict_for(self, adapter: str, cohort: Mapping[str, str]) -> CohortVerdict | None:
        """The verdict to build this adapter for this single cohort."""
        if len(cohort) != 1:
            return None
        verdicts = (verdict for verdict in self.cohorts if {verdict.key: verdict.value} == dict(cohort))
        return next(
            (verdict for verdict in verdicts if verdict.verdict == "build" and verdict.adapter == adapter), None
        )

    def _expires(self, name: str) -> date:
        # YAML parses it as a date or a datetime.
        try:
            return date.fromisoformat(str(self.expires)[:10])
        except ValueError:
            raise ConfigError(f"{name}: expires: {self.expires!r} is not a date") from None


def refusals(
    card: Card,
    parity: ParityReport | ClassifierParity,
    *,
    decision: Path | None,
    override: str | None,
    cohort: Mapping[str, str],
    today: date,
) -> list[str]:
    """Reasons why the adapter must not be deployed; empty if it may. Raises: NotFound, ConfigError for the decision."""
    reasons = []
    if not parity.passed:
        reasons.append("the endpoint failed the parity check: " + "; ".join(parity.reasons))
    if override:
        return reasons
    if decision is None:
        return [*reasons, 'no decision says "build": name one with --decision FILE, or a reason with --override REASON']
    return reasons + config.load(decision, Decision).refusals(decision.name, card, cohort, today)
