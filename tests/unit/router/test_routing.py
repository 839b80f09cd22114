"""The fallback chain of endpoints for a request."""

from typing import Any

import msgspec

from router.deployed import Deployed
from router.request import parse
from router.routing import Route, Routes
from tests.fakes.router import ENVIRON, endpoint, routing
from traffic import tiers
from traffic.callsites import CallSite, Registry
from traffic.config import CONFIGS
from traffic.plan_limits import HeavyCounter

A, B = endpoint("a", "https://a.example.com/v1"), endpoint("b", "https://b.example.com/v1")
LABEL = "Answer with exactly one label: refund, delivery or other."


def route(routes: Routes, text: str, call_site: str = "desk.intent", **tags: str) -> Route:
    body = {"messages": [{"role": "user", "content": text}], "metadata": {"call_site": call_site} | tags}
    return routes.route(parse(msgspec.json.encode(body), {}), Deployed())


def names(route: Route) -> list[list[tuple[str, int]]]:
    """Endpoint names of the regular levels."""
    regular = route.levels[: len(route.levels) - route.overflow]
    return [[(target.endpoint.name, target.tier) for target in level] for level in regular]


def routes(*, registry: Registry | None = None, environ: dict[str, str] | None = None, **changes: Any) -> Routes:
    return Routes(routing([A, B], **changes), registry or Registry(), ENVIRON if environ is None else environ)


def test_only_tier_1_falls_back_to_the_next_tier() -> None:
    routed = routes(tiers={1: ["b"], 2: ["a"], 3: ["b"]})
    assert names(route(routed, f"{LABEL} hello")) == [[("b", 1)], [("a", 2)]]
    assert names(route(routed, "Write to the client.")) == [[("a", 2)]]
    assert names(route(routed, "Prove by induction, step by step, that 3 divides n^3 - n.")) == [[("b", 3)]]


def test_requests_that_are_too_long_overflow_to_untried_endpoints_of_tier_3() -> None:
    overflowing = routes(tiers={1: [], 2: ["a"], 3: ["a", "b"]})
    routed = route(overflowing, "Write to the client.")
    assert routed.overflow == 1
    assert [(target.endpoint.name, target.tier) for target in routed.levels[-1]] == [("b", 3)]
    assert route(overflowing, "Prove by induction, step by step, that 3 divides n^3 - n.").overflow == 0
    assert route(routes(tiers={1: [], 2: ["a"], 3: ["a"]}), "Write to the client.").overflow == 0


def test_without_a_deployment_an_empty_tier_1_goes_to_tier_2_with_the_reason() -> None:
    routed = route(routes(), f"{LABEL} hello")
    assert names(routed) == [[("a", 2), ("b", 2)]]
    assert (routed.verdict.tier, routed.passed_over) == (1, "no_deployment")


def test_the_registry_states_tier_and_cap() -> None:
    registered = routes(registry=Registry(call_sites=(CallSite(name="mail.draft", tier=3, max_tokens=9),)))
    routed = route(registered, f"{LABEL} hello", "mail.draft")
    assert (names(routed), routed.verdict.rule) == ([[("a", 3)]], "call site")
    assert routed.levels[0][0].max_tokens == 9


def test_a_refusing_rule_leaves_no_endpoint() -> None:
    routed = route(routes(), "hello", "x.debug")
    assert (routed.levels, routed.verdict.refuse) == ((), "debug calls are off")


def test_an_endpoint_without_its_key_is_skipped_and_reported() -> None:
    incomplete = Routes(routing([A, msgspec.to_builtins(B) | {"api_key_env": "OTHER_KEY"}]), Registry(), ENVIRON)
    routed = route(incomplete, "Write to the client.")
    assert (names(routed), routed.missing) == ([[("a", 2)]], ("OTHER_KEY",))
    assert incomplete.warnings == ["tier 2: endpoint b cannot be asked: environment variable OTHER_KEY is not set"]
    nobody = route(routes(environ={}), "Write to the client.")
    assert (nobody.levels, nobody.missing) == ((), ("HOSTED_KEY",))


def test_the_shipped_configuration_works_with_only_an_openai_key() -> None:
    routed = Routes(tiers.load(CONFIGS / "router.yaml"), Registry(), {"OPENAI_API_KEY": "k"})
    assert names(route(routed, f"{LABEL} hello")) == [[("openai-standard", 2)]]
    assert names(route(routed, "Prove by induction, step by step, that 3 divides n^3 - n.")) == [[("openai-heavy", 3)]]
    assert [warning.split(":")[1].split()[1] for warning in routed.warnings] == [
        "hosted-small",
        "anthropic-standard",
        "anthropic-heavy",
    ]


def test_a_refused_unknown_call_site_does_not_count_against_the_plan() -> None:
    heavy = "Prove by induction, step by step, that 3 divides n^3 - n."
    counter = HeavyCounter()
    plans = {"free": {"heavy_escalations_per_day": 1}}
    known = Registry(call_sites=(CallSite(name="known"),))
    routed = Routes(routing([A], plans=plans, unknown_call_sites="refuse"), known, ENVIRON, counter)
    tags = {"plan": "free", "user_id": "u"}
    assert route(routed, heavy, "new.place", **tags).verdict.rule == "unknown call site"
    assert route(routed, heavy, "known", **tags).verdict.tier == 3
    assert route(routed, heavy, "known", **tags).verdict.tier == 2
