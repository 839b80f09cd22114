"""Where a request goes: its tier by the rules, and the ladder of endpoints that are asked for it. Pure.

Tier 1 is the registered adapter where it can take the request, then the hosted endpoints that the configuration
gives the tier; Tier 2 stands in for it. Tiers 2 and 3 have their own endpoints and nothing above.
"""

from collections.abc import Mapping

import msgspec

from router.deployed import Deployed, Prepared
from router.request import ChatRequest
from traffic.callsites import CallSite, Registry
from traffic.errors import ConfigError
from traffic.features import features_of, request_type
from traffic.policy import TIERS, Verdict, decide
from traffic.tiers import Endpoint, RoutingConfig

SPOKEN = ("vllm", "openai", "classifier")
"""Kinds of endpoints whose protocol the router speaks."""


class Target(msgspec.Struct, frozen=True):
    """One endpoint to ask."""

    endpoint: Endpoint
    tier: int
    prepared: Prepared | None = None
    """Set for an adapter."""
    max_tokens: int | None = None
    """The registry's cap."""

    @property
    def model(self) -> str | None:
        if self.prepared is not None:
            return self.endpoint.model or self.prepared.deployment.adapter
        return self.endpoint.model


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """The decision about one request."""

    verdict: Verdict
    request_type: str
    entry: CallSite | None
    rungs: tuple[tuple[Target, ...], ...] = ()
    """Empty when it is refused, or when no endpoint can be asked."""
    passed_over: str | None = None
    """Why Tier 1, or its adapter, is not asked although the rules chose it."""
    missing: tuple[str, ...] = ()
    """Environment variables without which endpoints on the way cannot be asked."""


class Routes:
    """The rules, the registry and the endpoints, ready for requests.

    Raises: ConfigError if Tier 2 or 3 has no endpoint whose protocol the router speaks.
    """

    def __init__(self, config: RoutingConfig, registry: Registry, environ: Mapping[str, str]) -> None:
        self._policy = config.policy
        self._registry = {site.name: site for site in registry.call_sites}
        self._environ = environ
        self._min_margin = config.serving.min_margin
        self.warnings: list[str] = []
        self._tiers: dict[int, tuple[Endpoint, ...]] = {}
        self._missing: dict[int, tuple[str, ...]] = {}
        for tier in TIERS:
            self._take(tier, config)

    def route(self, request: ChatRequest, deployed: Deployed) -> Route:
        """Tier and endpoints of a request."""
        entry = self._registry.get(request.call_site) if request.call_site is not None else None
        body = request.body
        features = features_of(body.messages, request.tools, body.response_format, request.params)
        kind = request_type(features, body.messages, entry)
        verdict = decide(self._policy, features, kind, entry, call_site=request.call_site)
        if verdict.refuse is not None:
            return Route(verdict=verdict, request_type=kind, entry=entry)
        cap = entry.max_tokens if entry is not None else None
        if verdict.tier != 1:
            rungs = [self._targets(verdict.tier, cap)]
            passed_over = None
        else:
            prepared = deployed.prepare(request, min_margin=self._min_margin, environ=self._environ)
            passed_over = prepared if isinstance(prepared, str) else None
            own = () if isinstance(prepared, str) else (Target(prepared.deployment.endpoint, 1, prepared, cap),)
            rungs = [own + self._targets(1, cap), self._targets(2, cap)]
        tiers = (1, 2) if verdict.tier == 1 else (verdict.tier,)
        return Route(
            verdict=verdict,
            request_type=kind,
            entry=entry,
            rungs=tuple(rung for rung in rungs if rung),
            passed_over=passed_over,
            missing=tuple(dict.fromkeys(name for tier in tiers for name in self._missing[tier])),
        )

    def _targets(self, tier: int, cap: int | None) -> tuple[Target, ...]:
        return tuple(Target(endpoint, tier, None, cap) for endpoint in self._tiers[tier])

    def _take(self, tier: int, config: RoutingConfig) -> None:
        listed = config.endpoints_of(tier)
        spoken = [endpoint for endpoint in listed if endpoint.kind in SPOKEN]
        if listed and not spoken:
            raise ConfigError(
                f"tier {tier}: this version does not speak the protocol of {', '.join(e.name for e in listed)} "
                f"({listed[0].kind}); give the tier an endpoint of kind openai"
            )
        unspoken = [endpoint for endpoint in listed if endpoint not in spoken]
        unset = [e for e in spoken if e.api_key_env is not None and not self._environ.get(e.api_key_env)]
        self._tiers[tier] = tuple(endpoint for endpoint in spoken if endpoint not in unset)
        self._missing[tier] = tuple(endpoint.api_key_env or "" for endpoint in unset)
        self.warnings += [
            f"tier {tier}: endpoint {e.name} is left out: this version does not speak its protocol ({e.kind})"
            for e in unspoken
        ]
        self.warnings += [
            f"tier {tier}: endpoint {e.name} cannot be asked: environment variable {e.api_key_env} is not set"
            for e in unset
        ]
