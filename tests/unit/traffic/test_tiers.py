"""Endpoints, tiers and keys in the configuration."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffic import tiers
from traffic.config import CONFIGS, convert
from traffic.errors import ConfigError
from traffic.tiers import Endpoint, RoutingConfig

HOSTED = {"name": "h", "kind": "openai", "base_url": "https://api.example.com/v1", "model": "m"}
RULE = {"name": "r", "reason": "b", "tier": 2, "when": {"request_type": "chat"}}


def endpoint(**changes: Any) -> Endpoint:
    return convert({**HOSTED, **changes}, Endpoint, source="router.yaml")


def routing(**changes: Any) -> RoutingConfig:
    tree = {"endpoints": [HOSTED], "tiers": {1: [], 2: ["h"], 3: ["h"]}, "rules": [RULE], **changes}
    return convert(tree, RoutingConfig, source="router.yaml")


def test_the_shipped_router_configuration_loads_and_its_keys_are_names() -> None:
    shipped = tiers.load(CONFIGS / "router.yaml")
    assert set(shipped.tiers) == {1, 2, 3}
    assert all(e.api_key_env and e.api_key_env.endswith("_API_KEY") for e in shipped.endpoints)
    assert [e.name for e in shipped.endpoints_of(2)] == list(shipped.tiers[2])


@pytest.mark.parametrize("changes", [{"efforts": ["turbo"]}, {"tools_effort": "turbo"}])
def test_an_effort_that_no_model_has_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="effort"):
        endpoint(**changes)


def test_overrides_apply(tmp_path: Path) -> None:
    assert tiers.load(CONFIGS / "router.yaml", ("tiers.1=[openai-standard]",)).tiers[1] == ("openai-standard",)


@pytest.mark.parametrize(
    "given_", [{1: [], 2: ["h"], 3: ["h"], 4: ["h"]}, {1: [], 2: ["h"]}, {0: [], 1: [], 2: [], 3: []}]
)
def test_any_number_of_tiers_but_three_is_refused(given_: dict[int, list[str]]) -> None:
    with pytest.raises(ConfigError, match="tiers: expected exactly 1, 2 and 3"):
        routing(tiers=given_)


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"tiers": {1: ["x"], 2: ["h"], 3: ["h"]}}, "tier 1: unknown endpoint 'x'"),
        ({"tiers": {1: [], 2: [], 3: ["h"]}}, "tier 2: expected at least one endpoint"),
        ({"endpoints": [HOSTED, HOSTED]}, "endpoints: duplicate name 'h'"),
        ({"rules": [RULE, RULE]}, "duplicate rule name 'r'"),
        ({"endpoint": []}, "endpoint"),
    ],
)
def test_an_invalid_routing_configuration_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        routing(**changes)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000/v1", "http://localhost:8000", "http://[::1]:8000", "https://x.example"]
)
def test_https_and_plain_http_to_this_machine_are_allowed(url: str) -> None:
    assert endpoint(base_url=url).base_url == url


def test_plain_http_to_another_machine_requires_allow_http() -> None:
    with pytest.raises(ConfigError, match="plain http to gpu-box; use https"):
        endpoint(base_url="http://gpu-box:8000/v1")
    assert endpoint(base_url="http://gpu-box:8000/v1", allow_http=True).allow_http


@pytest.mark.parametrize("url", ["http://localhost.example.com/v1", "http://127.0.0.1.example.com", "http://1270.0.1"])
def test_names_similar_to_localhost_are_other_machines(url: str) -> None:
    with pytest.raises(ConfigError, match="plain http to"):
        endpoint(base_url=url)


@pytest.mark.parametrize("url", ["", "api.example.com", "ftp://x", "https://", "https://x:port", "https://[x"])
def test_an_invalid_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="base_url"):
        endpoint(base_url=url)


@pytest.mark.parametrize(
    "url", ["https://user:hunter2@x.example", "https://x.example/?key=hunter2", "https://x.example/#hunter2"]
)
def test_a_secret_in_the_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError) as error:
        endpoint(base_url=url)
    assert "hunter2" not in str(error.value)


KEYS = [
    "sk-proj-abc123",
    "sk_live_abc",
    "hf_abcdefghijklmnopqrst",
    "gsk_abc",
    "ghp_abc",
    "AKIAIOSFODNN7EXAMPLE",
    "AIzaSyA1234567890abcdefghijklm",
    "Bearer",
    "eyJhbGciOiJIUzI1NiJ9",
    "0123456789abcdef",
    "a3f9c2d1e8b7a6f5c4d3e2f1",
    "MY KEY",
    "",
]


@pytest.mark.parametrize("key", KEYS)
def test_a_key_in_place_of_a_variable_name_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(ConfigError, match="must be the name of an environment variable") as error:
        endpoint(api_key_env=key)
    assert not key or key not in str(error.value).replace("OPENAI_API_KEY", "")


@given(st.lists(st.sampled_from(["OPENAI", "MY", "KEY", "TOKEN", "V2", "llm"]), min_size=1, max_size=4).map("_".join))
def test_ordinary_variable_names_are_accepted(name: str) -> None:
    assert endpoint(api_key_env=name).api_key_env == name


def test_a_hosted_endpoint_needs_a_model_and_an_own_one_does_not() -> None:
    with pytest.raises(ConfigError, match="needs `model`"):
        endpoint(model=None)
    assert endpoint(kind="vllm", model=None, base_url="http://127.0.0.1:8000/v1").price_name is None


def test_price_model_overrides_the_name_for_the_price_lookup() -> None:
    assert endpoint().price_name == "m"
    assert endpoint(price_model="vendor/m").price_name == "vendor/m"


@pytest.mark.parametrize("changes", [{"kind": "grpc"}, {"total_timeout_s": 0}, {"timeout": 3}])
def test_unknown_kinds_keys_and_idle_timeouts_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"^router\.yaml: "):
        endpoint(**changes)
