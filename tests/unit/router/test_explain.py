"""Explanations of routing decisions."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from router.deployed import Deployed, read
from router.explain import Explanation, explain
from tests.fakes.router import CALL_SITE, ENVIRON, SYSTEM, deploy, deployment, endpoint, routing, write_adapter
from traffic.artifacts import Home
from traffic.callsites import CallSite, Registry
from traffic.errors import InputError

A = endpoint("a", "https://a.example.com/v1")
LABEL = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "hello"}]
HARD = [{"role": "user", "content": "Prove by induction, step by step, that 3 divides n^3 - n."}]


def why(messages: list[dict[str, str]], *, deployed: Deployed | None = None, **changes: Any) -> Explanation:
    registry, environ = changes.pop("registry", Registry()), changes.pop("environ", ENVIRON)
    metadata, call_site = changes.pop("metadata", {}), changes.pop("call_site", None)
    body = msgspec.json.encode({"messages": messages, "metadata": metadata})
    return explain(
        body, routing([A], **changes), registry, deployed=deployed or Deployed(), environ=environ, call_site=call_site
    )


def test_every_rule_is_listed_with_its_first_failing_condition() -> None:
    reasons = why(LABEL)
    assert [(r.name, r.outcome) for r in reasons.rules] == [
        ("debug", "did not match because call_site is unset, not x.debug"),
        ("hard", "did not match because request_type is classification, not reasoning"),
        ("closed label", "fired"),
    ]
    assert (reasons.tier, reasons.rule) == (1, "closed label")
    assert reasons.features["asks_label"] is True


def test_the_adapter_or_the_reason_against_it_is_listed(tmp_path: Path) -> None:
    home = Home(tmp_path)
    write_adapter(home, "desk.intent@aaaaaaaa")
    deploy(home, deployment("desk.intent@aaaaaaaa", "http://127.0.0.1:9/v1"))
    reasons = why(LABEL, deployed=read(home), call_site=CALL_SITE)
    assert [(s.tier, s.endpoint, s.asked) for s in reasons.ladder] == [
        (1, "desk.intent@aaaaaaaa", True),
        (2, "a", True),
    ]
    assert "template 0a1b2c3d" in reasons.ladder[0].because
    assert reasons.adapter is None
    other = [{"role": "system", "content": "Answer with exactly one label: a, b."}, LABEL[1]]
    assert "matches no template" in str(why(other, deployed=read(home), call_site=CALL_SITE).adapter)
    assert "nothing is deployed" in str(why(LABEL).adapter)


def test_an_endpoint_without_its_key_is_shown_and_not_asked() -> None:
    (step,) = why(HARD, environ={}).ladder
    assert (step.asked, step.because) == (False, "not asked: environment variable HOSTED_KEY is not set")


def test_the_registry_overrules_the_rules_but_not_a_refusal() -> None:
    reasons = why(LABEL, registry=Registry(call_sites=(CallSite(name="s", tier=3),)), call_site="s")
    assert (reasons.tier, reasons.rule, reasons.registered) == (3, "call site", True)
    assert reasons.rules[2].outcome == "overruled: the registry puts the call site on tier 3"
    refused = why(LABEL, registry=Registry(call_sites=(CallSite(name="x.debug", tier=1),)), call_site="x.debug")
    assert (refused.tier, refused.refuse, refused.ladder) == (None, "debug calls are off", ())
    assert "refused by debug: debug calls are off" in refused.lines()


@pytest.mark.parametrize(
    "messages, metadata, says",
    [
        (
            HARD,
            {"plan": "free", "user_id": "u"},
            "plan free: after 2 heavy requests of one user a day it goes to Tier 2",
        ),
        (HARD, {"plan": "free"}, "plan free changes nothing: the request names no user"),
        (LABEL, {"plan": "free", "user_id": "u"}, "plan free changes nothing: it only limits Tier 3"),
        (HARD, {"plan": "pro", "user_id": "u"}, None),
    ],
)
def test_the_effect_of_the_plan_is_shown(
    messages: list[dict[str, str]], metadata: dict[str, str], says: str | None
) -> None:
    assert why(messages, metadata=metadata, plans={"free": {"heavy_escalations_per_day": 2}}).modifier == says


def test_an_invalid_request_is_an_input_error() -> None:
    with pytest.raises(InputError, match="not valid JSON"):
        explain(b"{", routing([A]), Registry(), deployed=Deployed(), environ={})
