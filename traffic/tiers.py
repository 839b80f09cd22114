"""Endpoints and tiers of `configs/router.yaml`: where a tier's requests go.

Exactly three tiers, each an ordered list of endpoints: the first that is up answers. Keys are named by
environment variable and read when they are needed; a key written into the file is refused.
"""

import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from traffic import config
from traffic.errors import MissingSecret
from traffic.policy import TIERS, Policy, Rule

Seconds = Annotated[float, msgspec.Meta(gt=0)]

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_KEY_SHAPES = re.compile(
    r"sk[-_]|pk[-_]|hf_[A-Za-z0-9]{16}|gsk_|xai-|r8_|gh[pousr]_|glpat-|AKIA[A-Z0-9]{12}|AIza[A-Za-z0-9_]{20}|ey[A-Z]|Bearer"
)


class Endpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One model server, own or hosted."""

    name: str
    kind: Literal["vllm", "classifier", "openai", "anthropic"]
    """`vllm` and `classifier` are own machines, `openai` is any server of that protocol."""
    base_url: str
    """Such as `https://api.openai.com/v1`."""
    model: str | None = None
    """Name that the server knows the model by; own endpoints of Tier 1 take it from the deployments."""
    price_model: str | None = None
    """Name in the price table where it differs from `model`; prices themselves stand in `configs/prices.yaml`."""
    api_key_env: str | None = None
    """Environment variable that holds the key."""
    allow_http: bool = False
    """Plain http to another machine: only inside a private network."""
    connect_timeout_s: Seconds = 3.0
    first_token_timeout_s: Seconds = 30.0
    total_timeout_s: Seconds = 120.0

    def __post_init__(self) -> None:
        place = f"endpoint {self.name!r}"
        try:
            url = urlsplit(self.base_url)
            host, _ = url.hostname, url.port
        except ValueError:
            raise ValueError(f"{place}: base_url is no URL") from None
        if url.scheme not in ("http", "https") or not host:
            raise ValueError(f"{place}: base_url must begin with https:// (or http:// on this machine) and name a host")
        # Not echoed: what stands there may be a password.
        if url.username or url.password or url.query or url.fragment:
            raise ValueError(f"{place}: base_url must hold no user, password, query or fragment; use api_key_env")
        if url.scheme == "http" and not self.allow_http and not _is_loopback(host):
            raise ValueError(f"{place}: base_url is plain http to {host}; use https, or say `allow_http: true`")
        if self.api_key_env is not None and not _is_variable_name(self.api_key_env):
            raise ValueError(
                f"{place}: api_key_env must be the name of an environment variable, such as OPENAI_API_KEY; "
                "what stands there looks like a key: take it out of the file and revoke it"
            )
        if self.kind in ("openai", "anthropic") and not self.model:
            raise ValueError(f"{place}: a hosted endpoint needs `model`")

    @property
    def price_name(self) -> str | None:
        """The model's name in the price table."""
        return self.price_model or self.model


class RoutingConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`configs/router.yaml`."""

    schema_version: Literal[1] = 1
    endpoints: tuple[Endpoint, ...]
    tiers: dict[int, tuple[str, ...]]
    """Names of endpoints per tier, in the order in which they are tried; Tier 1 may be empty until something is
    registered, then its requests go to Tier 2."""
    rules: tuple[Rule, ...]

    def __post_init__(self) -> None:
        if set(self.tiers) != set(TIERS):
            raise ValueError(
                f"tiers {', '.join(map(str, sorted(self.tiers)))} are given; there are exactly three, 1, 2 and 3: "
                "a fourth only moves the question which tier is right"
            )
        names = [endpoint.name for endpoint in self.endpoints]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"endpoint {name!r} stands there twice")
        for tier, wanted in self.tiers.items():
            unknown = [name for name in wanted if name not in names]
            if unknown:
                raise ValueError(f"tier {tier}: no endpoint {unknown[0]!r}; there are: {', '.join(names) or 'none'}")
            if tier != 1 and not wanted:
                raise ValueError(f"tier {tier} has no endpoint: requests that Tier 1 gives up would have nowhere to go")
        Policy(self.rules)

    @property
    def policy(self) -> Policy:
        """The rules, ready for `traffic.policy.decide`; keep it, conditions are compiled once per object."""
        return Policy(self.rules)

    def endpoints_of(self, tier: int) -> tuple[Endpoint, ...]:
        """The endpoints of a tier in the order in which they are tried."""
        by_name = {endpoint.name: endpoint for endpoint in self.endpoints}
        return tuple(by_name[name] for name in self.tiers[tier])


def load(path: Path, overrides: tuple[str, ...] = ()) -> RoutingConfig:
    """Raises: NotFound, ConfigError."""
    return config.load(path, RoutingConfig, overrides)


def api_key(endpoint: Endpoint, environ: Mapping[str, str] = os.environ) -> str | None:
    """The endpoint's key, None where it needs none. Raises: MissingSecret, with the variable's name."""
    if endpoint.api_key_env is None:
        return None
    value = environ.get(endpoint.api_key_env)
    if not value:
        raise MissingSecret(f"endpoint {endpoint.name!r}: environment variable {endpoint.api_key_env} is not set")
    return value


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_variable_name(text: str) -> bool:
    if not _VARIABLE.fullmatch(text) or _KEY_SHAPES.match(text):
        return False
    # Names are words; keys are long runs that mix letters and digits.
    return not any(len(part) >= 20 and re.search(r"\d", part) for part in text.split("_"))
