"""One endpoint to ask for a request, with what routing decided about it."""

import msgspec

from router.deployed import Prepared
from traffic.callsites import Checks
from traffic.tiers import Endpoint


class Target(msgspec.Struct, frozen=True):
    """One endpoint to ask."""

    endpoint: Endpoint
    tier: int
    prepared: Prepared | None = None
    """Set for an adapter."""
    max_tokens: int | None = None
    """The registry's cap."""
    temperature: float | None = None
    """Of a consistency run: instead of the client's."""
    checks: Checks | None = None
    """Of a hosted model at Tier 1: what its answer must satisfy, as an adapter's."""

    @property
    def judged(self) -> bool:
        """Its answer must be seen whole before any of it is sent."""
        return self.checks is not None or (self.prepared is not None and self.prepared.judged)

    @property
    def model(self) -> str | None:
        if self.prepared is not None:
            return self.endpoint.model or self.prepared.deployment.adapter
        return self.endpoint.model
