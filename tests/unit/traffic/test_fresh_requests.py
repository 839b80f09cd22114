"""The shipped rules on held-out requests."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from traffic import policy
from traffic.config import CONFIGS
from traffic.features import features_of, request_type
from traffic.record import Message, Params

REQUESTS = yaml.safe_load((Path(__file__).parent / "fresh_requests.yaml").read_text(encoding="utf-8"))
RULES = policy.load(CONFIGS / "router.yaml")
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def tier_of(request: dict[str, Any]) -> int:
    turns = list(request["turns"])
    turns[-1] *= request.get("repeat_last", 1)
    messages = [Message("system", request["system"])] if "system" in request else []
    messages += [Message("assistant" if n % 2 else "user", turn) for n, turn in enumerate(turns)]
    form: dict[str, Any] | None = {"type": "json_object"} if request.get("json_object") else None
    if "schema" in request:
        keys = {k: {"enum": t} if isinstance(t, list) else {"type": t} for k, t in request["schema"].items()}
        form = {"type": "json_schema", "json_schema": {"schema": {"type": "object", "properties": keys}}}
    params = Params(max_tokens=request.get("max_tokens"))
    features = features_of(messages, [TOOL] * request.get("tools", 0), form, params)
    return policy.decide(RULES, features, request_type(features, messages), None).tier


@pytest.mark.parametrize("tier", [2, 3])
def test_no_hard_request_reaches_tier_1(tier: int) -> None:
    low = [request["turns"][0][:60] for request in REQUESTS if request["tier"] == tier and tier_of(request) == 1]
    assert low == []


def test_few_requests_are_routed_too_low_or_too_high() -> None:
    cells = Counter((request["tier"], tier_of(request)) for request in REQUESTS)
    assert sum(n for (true, sent), n in cells.items() if sent < true) <= 0.02 * len(REQUESTS)
    assert sum(n for (true, sent), n in cells.items() if sent > true) <= 0.05 * len(REQUESTS)
