"""One endpoint of a request's fallback chain, with the requirements set by routing."""

import msgspec

from router.deployed import Prepared
from traffic.callsites import Checks
from traffic.tiers import Endpoint


class Target(msgspec.Struct, frozen=True):
    """One endpoint of the fallback chain."""

    endpoint: Endpoint
    tier: int
    prepared: Prepared | None = None
    """The prepared request, for an adapter."""
    max_tokens: int | None = None
    """The registry's cap on output tokens."""
    temperature: float | None = None
    """Temperature of a consistency run, in place of the client's."""
    without_thinking: bool = False
    """Remove earlier thinking, because the endpoint rejects its signatures."""
    checks: Checks | None = None
    """Checks of a hosted model's answer at Tier 1, as for an adapter's."""

    @property
    def judged(self) -> bool:
        """Whether the answer must be complete before it can be sent, because it may be rejected."""
        return self.checks is not None or (self.prepared is not None and self.prepared.judged)

    @property
    def model(self) -> str | None:
        if self.prepared is not None:
            return self.endpoint.model or self.prepared.deployment.adapter
        return self.endpoint.model
