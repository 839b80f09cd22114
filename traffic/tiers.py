"""Endpoints and tiers of `configs/router.yaml`: where a tier's requests go.

Exactly three tiers, each an ordered list of endpoints: the first that is up answers. Keys are named by
environment variable and read when they are needed; a key written into the file is refused.
"""

import functools
import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

from traffic import config
from traffic.errors import ConfigError, MissingSecret
from traffic.plans import Plan
from traffic.policy import TIERS, Policy, Rule
from traffic.retry_and_escalation import MAX_RETRIES, Breaker, Limits

Seconds = Annotated[float, msgspec.Meta(gt=0)]

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_KEY_SHAPES = re.compile(
    r"sk[-_]|pk[-_]|hf_[A-Za-z0-9]{16}|gsk_|xai-|r8_|gh[pousr]_|glpat-|AKIA[A-Z0-9]{12}|AIza[A-Za-z0-9_]{20}|ey[A-Z]|Bearer"
)


_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_SECRET_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "x-api-key", "api-key", "cookie", "x-goog-api-key"}
)


class Endpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One model server, own or hosted."""

    name: str
    kind: Literal["vllm", "classifier", "openai", "anthropic", "bedrock"]
    """`vllm` and `classifier` are own machines, `openai` is any server of that protocol, `bedrock` is Converse."""
    base_url: str
    """Such as `https://api.openai.com/v1`."""
    model: str | None = None
    """Name that the server knows the model by; own endpoints of Tier 1 take it from the deployments."""
    price_model: str | None = None
    """Name in the price table where it differs from `model`; prices themselves stand in `configs/prices.yaml`."""
    provider: str | None = None
    """Who bills for it, as the price table calls them; left out: by `base_url`."""
    api_key_env: str | None = None
    """Environment variable that holds the key."""
    default_max_tokens: Annotated[int, msgspec.Meta(ge=1)] = 8192
    """For `anthropic`, whose protocol wants a cap in every request, where neither client nor registry gives one."""
    leave_out: tuple[str, ...] = ()
    """Parameters that this endpoint does not take and that are left out of its requests, such as `temperature` for
    Claude models after 4.6; without it a request that has one goes to the next endpoint, or is refused by name."""
    headers: dict[str, str] = {}
    """Sent with every request; `${NAME}` is the environment variable NAME."""
    body: dict[str, Any] = {}
    """Added to every request's body where the request itself does not say otherwise."""
    rename: dict[str, str] = {}
    """Parameters under the name that this endpoint knows, such as `max_tokens: max_completion_tokens`."""
    roles: dict[str, str] = {}
    """Message roles under the name that this endpoint knows, such as `developer: system`."""
    query: dict[str, str] = {}
    """Query string of every request, such as Azure's `api-version`."""
    key_header: str | None = None
    """Header that holds the key as it is, such as `api-key`; left out: the protocol's own."""
    region: str | None = None
    """Of `bedrock`, where the base URL does not name it."""
    allow_http: bool = False
    """Plain http to another machine: only inside a private network."""
    group: str | None = None
    """Endpoints of a tier with the same group are replicas: the one with the fewest requests in flight goes first."""
    context_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """What the model can read: a request that is too long for another one goes where there is more room."""
    connect_timeout_s: Seconds = 3.0
    first_token_timeout_s: Seconds = 30.0
    idle_timeout_s: Seconds = 60.0
    """Of a stream that has begun: the longest silence between two pieces."""
    total_timeout_s: Seconds = 120.0
    """For a whole answer. A stream that keeps bringing tokens has no such limit."""

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
        if url.scheme == "http" and not self.allow_http and not is_loopback(host):
            raise ValueError(f"{place}: base_url is plain http to {host}; use https, or say `allow_http: true`")
        if self.api_key_env is not None and not _is_variable_name(self.api_key_env):
            raise ValueError(
                f"{place}: api_key_env must be the name of an environment variable, such as OPENAI_API_KEY; "
                "what stands there looks like a key: take it out of the file and revoke it"
            )
        if not self.own and not self.model:
            raise ValueError(f"{place}: a hosted endpoint needs `model`")
        for name, value in self.headers.items():
            if not _HEADER.fullmatch(name) or "\r" in value or "\n" in value:
                raise ValueError(f"{place}: headers: {name!r} is no header that can be sent")
            if (name.lower() in _SECRET_HEADERS or _KEY_SHAPES.search(value)) and not _REFERENCE.search(value):
                raise ValueError(f"{place}: headers.{name} looks like a key: write ${{NAME}} and set that variable")
        if self.key_header is not None and not _HEADER.fullmatch(self.key_header):
            raise ValueError(f"{place}: key_header is no header name")

    def secrets_missing(self, environ: Mapping[str, str]) -> list[str]:
        """Environment variables that this endpoint needs and that are not set."""
        names = [self.api_key_env] if self.api_key_env is not None else []
        names += [name for value in self.headers.values() for name in _REFERENCE.findall(value)]
        return [name for name in dict.fromkeys(names) if not environ.get(name)]

    def sent_headers(self, environ: Mapping[str, str]) -> dict[str, str]:
        """`headers` with the environment's values in place, names in lower case."""
        return {
            name.lower(): _REFERENCE.sub(lambda found: environ.get(found[1], "").strip(), value)
            for name, value in self.headers.items()
        }

    @property
    def price_name(self) -> str | None:
        """The model's name in the price table."""
        return self.price_model or self.model

    @property
    def own(self) -> bool:
        """A machine that is paid by the hour, not by the token."""
        return self.kind in ("vllm", "classifier")

    @property
    def provider_name(self) -> str | None:
        """Who serves it, as logs and the price table name them; None where only the model's name says."""
        if self.provider or self.own:
            return self.provider or self.kind
        return _provider_at(self.base_url)


_PROVIDERS = {
    "amazonaws.com": "bedrock",
    "openai.azure.com": "azure",
    "openai.com": "openai",
    "anthropic.com": "anthropic",
    "googleapis.com": "google",
    "groq.com": "groq",
    "together.ai": "together",
    "together.xyz": "together",
    "fireworks.ai": "fireworks",
    "deepseek.com": "deepseek",
    "mistral.ai": "mistral",
    "openrouter.ai": "openrouter",
}


@functools.lru_cache(maxsize=1024)
def _provider_at(base_url: str) -> str | None:
    host = urlsplit(base_url).hostname or ""
    return next((name for domain, name in _PROVIDERS.items() if host == domain or host.endswith(f".{domain}")), None)


class Serving(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The section `serving` of `configs/router.yaml`: how the router itself runs."""

    host: str = "127.0.0.1"
    """Anything but this machine needs `client_keys_env`."""
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8080
    """0: any free one."""
    client_keys_env: str | None = None
    """Environment variable with the keys (separated by commas) of which a client must send one; None: no key. A key can
    be bound: `key=support.intent` to a call site, `key=customer:acme` to a customer."""
    deadline_s: Seconds = 120.0
    """For one request with all its attempts."""
    tier1_timeout_s: Seconds = 10.0
    """For an attempt at a registered adapter, where its endpoint does not say less: Tier 2 must still be in time."""
    tier_timeouts_s: dict[Annotated[int, msgspec.Meta(ge=1, le=3)], Seconds] = {}
    """Per tier, for one attempt, where the endpoint does not say less."""
    breaker: Breaker = Breaker()
    """When an endpoint that fails is left alone."""
    consistency_temperature: Annotated[float, msgspec.Meta(gt=0, le=2)] = 0.7
    """For the second answer of call sites with `high_stakes`."""
    max_shadows: Annotated[int, msgspec.Meta(ge=0)] = 8
    """Requests to shadow deployments at a time; more are dropped and counted."""
    max_retries: Annotated[int, msgspec.Meta(ge=0, le=MAX_RETRIES)] = MAX_RETRIES
    """In all; one escalation from Tier 1 comes on top."""
    backoff_s: Annotated[float, msgspec.Meta(ge=0)] = 0.25
    """Longest pause before the same endpoint is asked again; it doubles."""
    min_margin: Annotated[float, msgspec.Meta(ge=-1, le=1)] | None = None
    """Least margin of the least sure token (p1 - p2) of an adapter's answer, where its deployment names no
    calibration; less goes to Tier 2. None: off."""
    max_body_mib: Annotated[float, msgspec.Meta(gt=0)] = 16.0
    """Largest request that is read."""
    pass_through: dict[str, str] = {}
    """Endpoint that requests of a path prefix, such as `/v1/files`, are passed to as they are. Every client of the
    router can then reach what lies there under the endpoint's key."""

    def __post_init__(self) -> None:
        if self.client_keys_env is not None and not _is_variable_name(self.client_keys_env):
            raise ValueError(
                "client_keys_env must be the name of an environment variable, such as FASTTIER_CLIENT_KEYS"
            )
        if not is_loopback(self.host) and self.client_keys_env is None:
            raise ValueError(
                f"host {self.host} can be reached from other machines: name the environment variable that holds the "
                "clients' keys in `client_keys_env`, or listen on 127.0.0.1"
            )

    @property
    def limits(self) -> Limits:
        """For `traffic.retry_and_escalation`."""
        return Limits(
            max_retries=self.max_retries,
            backoff_s=self.backoff_s,
            deadline_s=self.deadline_s,
            wait_s=self.breaker.wait_s,
        )


class RoutingConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`configs/router.yaml`."""

    schema_version: Literal[1] = 1
    endpoints: tuple[Endpoint, ...]
    tiers: dict[int, tuple[str, ...]]
    """Names of endpoints per tier, in the order in which they are tried; Tier 1 may be empty until something is
    registered, then its requests go to Tier 2."""
    rules: tuple[Rule, ...]
    plans: dict[str, Plan] = {}
    """What a user's plan changes; only how much may go to Tier 3, and nothing else."""
    unknown_call_sites: Literal["allow", "refuse"] = "allow"
    """Of a call site without an entry in the registry, or of none: `allow` counts them, `/health` names them."""
    serving: Serving = msgspec.field(default_factory=Serving)

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
        for prefix, name in self.serving.pass_through.items():
            if name not in names or not prefix.startswith("/v1/"):
                raise ValueError(f"serving.pass_through: {prefix!r}: {name!r}: expected a path below /v1/, an endpoint")
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
    """The router's configuration; an endpoint with `preset: NAME` takes what it leaves out from configs/providers.yaml.

    Raises: NotFound, ConfigError.
    """
    tree = config.read(path, overrides)
    listed = tree.get("endpoints") if isinstance(tree, dict) else None
    if isinstance(listed, list):
        tree = tree | {"endpoints": [_with_preset(item, path) for item in listed]}
    return config.convert(tree, RoutingConfig, source=str(path))


def _with_preset(endpoint: Any, path: Path) -> Any:
    if not isinstance(endpoint, dict) or "preset" not in endpoint:
        return endpoint
    presets = config.read(config.CONFIGS / "providers.yaml")
    own = {key: value for key, value in endpoint.items() if key != "preset"}
    if endpoint["preset"] not in presets:
        name, names = endpoint.get("name"), ", ".join(presets)
        raise ConfigError(f"{path}: endpoint {name!r}: no preset {endpoint['preset']!r}; there are: {names}")
    return presets[endpoint["preset"]] | own


def api_key(endpoint: Endpoint, environ: Mapping[str, str] = os.environ) -> str | None:
    """The endpoint's key, None where it needs none. Raises: MissingSecret, with the variable's name."""
    if endpoint.api_key_env is None:
        return None
    value = environ.get(endpoint.api_key_env)
    if not value:
        raise MissingSecret(f"endpoint {endpoint.name!r}: environment variable {endpoint.api_key_env} is not set")
    return value


def is_loopback(host: str) -> bool:
    """Only this machine can reach it."""
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
