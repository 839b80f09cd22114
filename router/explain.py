"""Explains the routing of a request: features, every rule, tier, endpoints, plan. Sends and counts nothing.

fasttier explain request.json [--call-site NAME]
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from router.deployed import Deployed
from router.request import CALL_SITE_HEADER, BadRequest, ChatRequest, parse
from router.routing import Route, Routes
from traffic.callsites import Registry
from traffic.errors import InputError
from traffic.features import FIELDS, Features, features_of, request_type
from traffic.policy import fields_of, first_failing
from traffic.tiers import RoutingConfig

_NO_ADAPTER = {
    "no_deployment": "nothing is deployed for this call site and cohort",
    "canary": "the request is outside the canary's share",
    "several_choices": "more than one answer is asked for (n)",
    "tools": "the request has tools",
    "no_template": "the request matches no template that the adapter was trained with",
    "personal_data": "it has more personal data than the router can redact during a request",
    "missing_key": "its endpoint's key is not in the environment",
    "shadow": "it is deployed as a shadow: asked in addition, its answer only logged",
    "untranslatable": "its endpoint does not support a parameter of the request",
}


class RuleLine(msgspec.Struct, frozen=True):
    """One rule and its outcome."""

    name: str
    tier: int | None
    """None: the rule refuses the request."""
    outcome: str
    """`fired`, `not reached`, `overruled` by the registry, or why it did not match."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint of the fallback chain."""

    tier: int
    endpoint: str
    model: str | None
    asked: bool
    because: str


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """The routing decision for one request."""

    call_site: str | None
    registered: bool
    """Whether the registry has an entry for the call site."""
    request_type: str
    features: dict[str, Any]
    """Features that the rules use and that are not empty."""
    rules: tuple[RuleLine, ...]
    tier: int | None
    """None: the request is refused."""
    rule: str
    reason: str
    refuse: str | None
    ladder: tuple[Step, ...]
    """Endpoints in the order of attempts; then those that cannot be asked, with the reason."""
    adapter: str | None
    """Why no adapter is asked; None if one is, and for Tiers 2 and 3."""
    modifier: str | None

    def lines(self) -> list[str]:
        site = self.call_site or "none"
        text = [f"call site: {site}{'' if self.registered else ' (not in the registry)'}"]
        text.append(f"request type: {self.request_type}")
        text.append("features: " + ", ".join(f"{name}={_value_text(value)}" for name, value in self.features.items()))
        text.append("rules:")
        text += [f"  {'refuse' if r.tier is None else f'tier {r.tier}'}  {r.name}: {r.outcome}" for r in self.rules]
        if self.refuse is not None:
            text.append(f"refused by {self.rule}: {self.refuse}")
        else:
            text.append(f"tier {self.tier}, by {self.rule}: {self.reason}")
            text.append("endpoints:")
            text += [
                f"  tier {s.tier}  {s.endpoint}{f' ({s.model})' if s.model else ''}: {s.because}" for s in self.ladder
            ]
        if self.adapter is not None:
            text.append(f"no adapter: {self.adapter}")
        text.append(f"modifier: {self.modifier or 'none'}")
        return text


def explain(
    data: bytes,
    config: RoutingConfig,
    registry: Registry,
    *,
    deployed: Deployed,
    environ: Mapping[str, str],
    call_site: str | None = None,
) -> Explanation:
    """The decision for the body of a chat request. Raises: InputError for an invalid body, ConfigError."""
    headers = {CALL_SITE_HEADER: call_site.encode()} if call_site else {}
    try:
        request = parse(data, headers)
    except BadRequest as error:
        raise InputError(f"the request to explain: {error}") from None
    routes = Routes(config, registry, environ)
    request = routes.with_call_site(request, deployed)
    route = routes.route(request, deployed)
    body = request.body
    features = features_of(body.messages, request.tools, body.response_format, request.params)
    refused = route.verdict.refuse is not None
    return Explanation(
        call_site=request.call_site,
        registered=route.entry is not None,
        request_type=request_type(features, body.messages, route.entry),
        features=_used_features(features, config),
        rules=_rules(config, features, route, request.call_site or ""),
        tier=None if refused else route.verdict.tier,
        rule=route.verdict.rule,
        reason=route.verdict.reason,
        refuse=route.verdict.refuse,
        ladder=() if refused else _fallback_chain(route, config, environ),
        adapter=_NO_ADAPTER.get(route.passed_over, route.passed_over) if route.passed_over else None,
        modifier=_modifier(request, config, route),
    )


def _used_features(features: Features, config: RoutingConfig) -> dict[str, Any]:
    names = dict.fromkeys(name for rule in config.rules for name in fields_of(rule.when))
    values = {name: getattr(features, name) for name in names if name in FIELDS}
    empty = Features()
    shape = {"input_tokens_estimate": features.input_tokens_estimate}
    return shape | {name: value for name, value in values.items() if value != getattr(empty, name)}


def _rules(config: RoutingConfig, features: Features, route: Route, call_site: str) -> tuple[RuleLine, ...]:
    stated = route.entry.tier if route.entry is not None else None
    lines: list[RuleLine] = []
    fired = False
    for rule in config.rules:
        if fired:
            outcome = "not reached"
        elif stated is not None and rule.refuse is None:
            outcome = f"overruled: the registry puts the call site on tier {stated}"
        else:
            failing = first_failing(rule.when, features, route.request_type, call_site)
            fired = failing is None
            outcome = "fired" if failing is None else f"did not match because {failing}"
        lines.append(RuleLine(rule.name, rule.tier, outcome))
    return tuple(lines)


def _fallback_chain(route: Route, config: RoutingConfig, environ: Mapping[str, str]) -> tuple[Step, ...]:
    steps: list[Step] = []
    regular = len(route.levels) - route.overflow
    for position, level in enumerate(route.levels):
        for target in level:
            because = "asked first" if not steps else "asked if those before fail"
            if position >= regular:
                because = "asked only if the request is too long for those before"
            if target.prepared is not None:
                because += f"; adapter with template {target.prepared.template}"
            steps.append(
                Step(tier=target.tier, endpoint=target.endpoint.name, model=target.model, asked=True, because=because)
            )
    for tier in (1, 2) if route.verdict.tier == 1 else (route.verdict.tier,):
        for endpoint in config.endpoints_of(tier):
            if any(step.endpoint == endpoint.name for step in steps):
                continue
            because = "cannot take a parameter of the request"
            if endpoint.api_key_env is not None and not environ.get(endpoint.api_key_env):
                because = f"environment variable {endpoint.api_key_env} is not set"
            steps.append(
                Step(
                    tier=tier,
                    endpoint=endpoint.name,
                    model=endpoint.model,
                    asked=False,
                    because=f"not asked: {because}",
                )
            )
    return tuple(steps)


def _modifier(request: ChatRequest, config: RoutingConfig, route: Route) -> str | None:
    name = request.cohort.get("plan")
    plan = config.plans.get(name) if name is not None else None
    if plan is None:
        return None
    if route.verdict.tier != 3 and "+ plan" not in route.verdict.rule:
        return f"plan {name} changes nothing: it only limits Tier 3"
    then = "it is refused" if plan.beyond == "refuse" else "it goes to Tier 2"
    person = request.user_id if plan.per == "user" else request.customer_id
    if person is None:
        return f"plan {name} changes nothing: the request names no {plan.per}"
    return f"plan {name}: after {plan.heavy_escalations_per_day} heavy requests of one {plan.per} a day {then}"


def _value_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
