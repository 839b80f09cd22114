"""One endpoint to ask for a request, with what routing decided about it."""

import msgspec

from router.deployed import Prepared
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

    @property
    def model(self) -> str | None:
        if self.prepared is not None:
            return self.endpoint.model or self.prepared.deployment.adapter
        return self.endpoint.model
