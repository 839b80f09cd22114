"""Chooses the tier of a request by rules, and its fallback chain of endpoints. Pure.

Tier 1: the registered adapter if it accepts the request, then the tier's hosted endpoints, then Tier 2. Tiers 2 and 3:
their own endpoints only, except that requests which turn out to be too long may go to Tier 3.
"""

from collections import Counter
from collections.abc import Mapping

import msgspec

from router.deployed import Deployed
from router.request import ChatRequest
from router.target import Target
from router.wire import dialects
from traffic.callsites import CallSite, Checks, Registry
from traffic.features import features_of, request_type
from traffic.plan_limits import HeavyCounter, modified
from traffic.policy import TIERS, Verdict, decide
from traffic.shapes import ShapeIndex
from traffic.tiers import Endpoint, RoutingConfig

MAX_UNKNOWN = 1000
"""Maximum unknown call sites that are counted by name."""

PASSED_THROUGH = ("openai", "vllm")
"""Endpoint kinds for text completions and embeddings."""

ALIAS = "fasttier"
"""The model name for clients; other names of chat models are routed in the same way."""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """The routing decision for one request."""

    verdict: Verdict
    request_type: str
    entry: CallSite | None
    levels: tuple[tuple[Target, ...], ...] = ()
    """Empty if the request is refused, or no endpoint can be asked."""
    overflow: int = 0
    """Number of levels at the end that are reserved for requests too long for the others."""
    shadow: Target | None = None
    """A shadow adapter, asked after the client has its answer."""
    passed_over: str | None = None
    """Why Tier 1, or its adapter, is not asked although the rules chose it."""
    missing: tuple[str, ...] = ()
    """Unset environment variables that endpoints of the chain need."""
    untranslatable: str | None = None
    """If no endpoint supports the request: the reasons, by endpoint and parameter."""


class Routes:
    """Rules, registry and endpoints, prepared for requests."""

    def __init__(
        self,
        config: RoutingConfig,
        registry: Registry,
        environ: Mapping[str, str],
        counter: HeavyCounter | None = None,
    ) -> None:
        self._policy = config.policy
        self._plans = config.plans
        self._heavy = counter or HeavyCounter()
        self._strict = config.unknown_call_sites == "refuse"
        self.unknown: Counter[str] = Counter()
        """Number of requests of call sites without a registry entry, by name."""
        self._shapes = ShapeIndex(registry)
        self._environ = environ
        self._min_margin = config.serving.min_margin
        self.warnings: list[str] = []
        self._tiers: dict[int, tuple[Endpoint, ...]] = {}
        self._targets_of: dict[int, tuple[Target, ...]] = {}
        self._missing: dict[int, tuple[str, ...]] = {}
        for tier in TIERS:
            self._take(tier, config)
        # Tier 2 answers what Tier 1 cannot.
        missing_either = tuple(dict.fromkeys(self._missing[1] + self._missing[2]))
        self._missing_on_way = {**self._missing, 1: missing_either}
        self._passing = tuple(
            e for e in config.endpoints if e.kind in PASSED_THROUGH and not e.secrets_missing(environ)
        )
        # Requests too long for all regular endpoints go to Tier 3, if it has other endpoints.
        near = {1: (1, 2), 2: (2,), 3: (3,)}
        self._larger = {
            tier: tuple(e for e in self._tiers[3] if all(e not in self._tiers[other] for other in near[tier]))
            for tier in TIERS
        }

    def route(self, request: ChatRequest, deployed: Deployed) -> Route:
        """Tier and endpoints of a request. A Tier 3 request counts towards its user's plan limit."""
        body = request.body
        entry = self._shapes.entry(request.call_site, body.messages)
        features = features_of(body.messages, request.tools, body.response_format, request.params)
        kind = request_type(features, body.messages, entry)
        verdict = decide(self._policy, features, kind, entry, call_site=request.call_site)
        if entry is None and request.call_site not in deployed.call_sites:
            verdict = self._unknown(request.call_site, verdict)
        # Last, so that refused requests do not count towards the plan limit.
        verdict = modified(
            verdict,
            self._plans,
            self._heavy,
            plan=request.cohort.get("plan"),
            user=request.user_id,
            customer=request.customer_id,
            now=request.ts,
        )
        if verdict.refuse is not None:
            return Route(verdict=verdict, request_type=kind, entry=entry)
        cap = entry.max_tokens if entry is not None else None
        if verdict.tier != 1:
            levels = [self._targets(verdict.tier, cap)]
            passed_over, shadow = None, None
        else:
            own, passed_over, shadow = self._own_target(request, deployed, entry, cap)
            checks = entry.checks if entry is not None and request.body.n in (None, 1) else None
            levels = [own + self._targets(1, cap, checks), self._targets(2, cap)]
        reasons: dict[str, str] = {}
        levels = [able for level in levels if (able := _able(request, level, reasons))]
        if verdict.tier == 1 and own and own[0].endpoint.name in reasons:
            passed_over = "untranslatable"
        if shadow is not None and dialects.untranslatable(request, shadow):
            shadow = None
        larger = self._larger[verdict.tier] if levels else ()
        larger_level = (
            _able(request, tuple(Target(endpoint, 3, None, cap) for endpoint in larger), {}) if larger else ()
        )
        if larger_level:
            levels.append(larger_level)
        return Route(
            verdict=verdict,
            request_type=kind,
            entry=entry,
            levels=tuple(levels),
            overflow=int(bool(larger_level)),
            shadow=shadow,
            passed_over=passed_over,
            missing=self._missing_on_way[verdict.tier],
            untranslatable=_in_words(reasons) if reasons else None,
        )

    def passed_through(self, request: ChatRequest) -> Route:
        """Route of a text completion or embedding: the OpenAI endpoint with the requested model, else the first one of
        Tier 2, which gets the client's model name. Of the rules only refusals apply.
        """
        entry = self._shapes.entry(request.call_site, request.body.messages)
        model = request.body.model
        matching = [endpoint for endpoint in self._passing if endpoint.model == model]
        standard = [endpoint for endpoint in self._tiers[2] if endpoint.kind in PASSED_THROUGH]
        endpoint = next(iter(matching or standard or self._passing), None)
        verdict = Verdict(2, "passed through", "text completions and embeddings go to the endpoint of their model")
        kind = "embedding" if request.dialect == "embeddings" else "generation"
        features = features_of(request.body.messages, None, None, request.params)
        ruled = decide(self._policy, features, kind, entry, call_site=request.call_site)
        if ruled.refuse is not None:
            verdict = ruled
        elif entry is None:
            verdict = self._unknown(request.call_site, verdict)
        if verdict.refuse is not None:
            return Route(verdict=verdict, request_type=kind, entry=entry)
        if endpoint is None:
            reason = "none supports OpenAI's protocol"
            return Route(verdict=verdict, request_type=kind, entry=entry, untranslatable=reason)
        if model is not None and model not in (endpoint.model, ALIAS):
            endpoint = msgspec.structs.replace(endpoint, model=model, price_model=None)
        target = Target(endpoint, 2, None, entry.max_tokens if entry is not None else None)
        return Route(verdict=verdict, request_type=kind, entry=entry, levels=((target,),))

    def with_call_site(self, request: ChatRequest, deployed: Deployed) -> ChatRequest:
        """The request with a call site: its own, else by its model name (`support.intent`, `fasttier/support.intent`)
        if the registry or the deployments have that call site, else by the template that it matches.
        """
        if request.call_site is not None:
            return request
        name = (request.body.model or "").removeprefix(f"{ALIAS}/")
        if name and (name in self._shapes or name in deployed.call_sites):
            return msgspec.structs.replace(request, call_site=name)
        matched = self._shapes.entry(None, request.body.messages)
        return msgspec.structs.replace(request, call_site=matched.name) if matched is not None else request

    def _unknown(self, call_site: str | None, verdict: Verdict) -> Verdict:
        name = call_site or "(none)"
        # Names come from clients, so their number is limited.
        self.unknown[name if name in self.unknown or len(self.unknown) < MAX_UNKNOWN else "(others)"] += 1
        if not self._strict or verdict.refuse is not None:
            return verdict
        problem = f"call site {call_site!r} has no entry" if call_site else "no call site is named; each needs an entry"
        message = f"{problem} in the home's callsites.yaml: add it there, with its owner and reason"
        return Verdict(verdict.tier, "unknown call site", "unknown_call_sites: refuse", message)

    def _own_target(
        self, request: ChatRequest, deployed: Deployed, entry: CallSite | None, cap: int | None
    ) -> tuple[tuple[Target, ...], str | None, Target | None]:
        """The adapter as first level, or the reason against it; and the shadow adapter."""
        stakes = entry is not None and entry.high_stakes
        prepared = deployed.prepare(request, min_margin=self._min_margin, environ=self._environ, high_stakes=stakes)
        targets: tuple[Target, ...] = ()
        reason: str | None = None
        shadow: Target | None = None
        if isinstance(prepared, str):
            reason = prepared
        else:
            targets = (Target(prepared.deployment.endpoint, 1, prepared, cap),)
        if deployed.shadows:
            prepared_shadow = deployed.prepare(request, min_margin=self._min_margin, environ=self._environ, shadow=True)
            if not isinstance(prepared_shadow, str):
                shadow = Target(prepared_shadow.deployment.endpoint, 1, prepared_shadow, cap)
            if reason == "no_deployment":
                reason = prepared_shadow if isinstance(prepared_shadow, str) else "shadow"
        return targets, reason, shadow

    def _targets(self, tier: int, cap: int | None, checks: Checks | None = None) -> tuple[Target, ...]:
        if cap is None and checks is None:
            return self._targets_of[tier]
        return tuple([Target(endpoint, tier, None, cap, checks=checks) for endpoint in self._tiers[tier]])

    def _take(self, tier: int, config: RoutingConfig) -> None:
        listed = config.endpoints_of(tier)
        unset = {e.name: missing for e in listed if (missing := e.secrets_missing(self._environ))}
        self._tiers[tier] = tuple(endpoint for endpoint in listed if endpoint.name not in unset)
        self._targets_of[tier] = tuple(Target(endpoint, tier) for endpoint in self._tiers[tier])
        self._missing[tier] = tuple(dict.fromkeys(name for missing in unset.values() for name in missing))
        self.warnings += [
            f"tier {tier}: endpoint {name} cannot be asked: environment variable {', '.join(missing)} is not set"
            for name, missing in unset.items()
        ]


def _in_words(reasons: Mapping[str, str]) -> str:
    return "; ".join(f"endpoint {name} does not take {problem}" for name, problem in reasons.items())


def _able(request: ChatRequest, level: tuple[Target, ...], reasons: dict[str, str]) -> tuple[Target, ...]:
    """The endpoints that support the request; reasons against the others are added to `reasons`, by name."""
    able = []
    for target in level:
        problem = dialects.untranslatable(request, target)
        if problem is None:
            able.append(target)
        else:
            reasons[target.endpoint.name] = problem
    return level if len(able) == len(level) else tuple(able)
