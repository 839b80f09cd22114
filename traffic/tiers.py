"""Endpoints and tiers of `configs/router.yaml`.

Exactly three tiers, each an ordered list of endpoints: the first available one answers. The file names the environment
variable of each API key; a key written into the file is refused.
"""

import functools
import ipaddress
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

from traffic import config
from traffic.errors import ConfigError
from traffic.plan_limits import Plan
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


TurnRule = Literal["system_first", "assistant_after_tool", "alternate"]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
"""Values of `reasoning_effort` in ascending order."""


class Endpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """One model server, own or hosted."""

    name: str
    kind: Literal["vllm", "classifier", "openai", "anthropic", "bedrock"]
    """`vllm`, `classifier`: own machines; `openai`: any server of that protocol; `bedrock`: the Converse API."""
    base_url: str
    """For example `https://api.openai.com/v1`."""
    model: str | None = None
    """Model name sent to the server; own endpoints of Tier 1 take it from the deployments."""
    price_model: str | None = None
    """Model name in the price table (`configs/prices.yaml`), where it differs from `model`."""
    provider: str | None = None
    """Billing provider as named in the price table; default: derived from `base_url`."""
    api_key_env: str | None = None
    """Environment variable that holds the key."""
    default_max_tokens: Annotated[int, msgspec.Meta(ge=1)] = 8192
    """max_tokens for `anthropic`, whose protocol requires it, where neither client nor registry sets one."""
    leave_out: tuple[str, ...] = ()
    """Parameters that are removed from requests to this endpoint because it rejects them, such as `temperature` for
    Claude models after 4.6. Other unsupported parameters send the request to the next endpoint, or refuse it."""
    exclusive: tuple[str, ...] = ()
    """Parameters that exclude each other, such as `temperature` and `top_p`; only the first that a request has is
    sent."""
    headers: dict[str, str] = {}
    """Sent with every request; `${NAME}` is the environment variable NAME."""
    body: dict[str, Any] = {}
    """Fields added to every request body that does not set them."""
    tool_schema_leave_out: tuple[str, ...] = ()
    """Keywords that are removed from tools' schemas because the endpoint rejects them, such as `$schema`."""
    tool_description_chars: int | None = None
    """Maximum length of a tool's description; a longer one is truncated, and appended in full to the system prompt."""
    tool_call_id_chars: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Exact length of tool call ids (letters and digits only), if the endpoint rejects others (Mistral: 9)."""
    reasoning_history: bool = False
    """Whether to send the reasoning of earlier answers (`reasoning_content`, `thinking_blocks`). DeepSeek's thinking
    mode, Kimi's and gateways in front of Claude require it; most other endpoints reject it. A call without reasoning
    gets a blank one."""
    turn_rules: tuple[TurnRule, ...] = ()
    """Orders of messages that the server requires. `system_first`: one system message, at the beginning (many chat
    templates); `assistant_after_tool`: no user message directly after a tool result (Mistral); `alternate`: no two
    consecutive user messages."""
    efforts: tuple[Effort, ...] = ()
    """Values of `reasoning_effort` (`output_config.effort` of Anthropic) that the model has; another value becomes the
    nearest of them. Empty: all."""
    tools_effort: Effort | None = None
    """`reasoning_effort` of every request with tools, whatever the client asks for (`none` for OpenAI's gpt-5.4 to 5.6,
    which take no tools with reasoning in chat completions)."""
    adaptive_thinking: bool | None = None
    """`true`: a thinking budget becomes adaptive thinking with an effort, as Claude models after 4.6 require; `false`:
    adaptive thinking becomes a budget, for earlier models."""
    rename: dict[str, str] = {}
    """Parameter names to replace, such as `max_tokens: max_completion_tokens`."""
    roles: dict[str, str] = {}
    """Message roles to replace, such as `developer: system`."""
    query: dict[str, str] = {}
    """Query string of every request, such as Azure's `api-version`."""
    key_header: str | None = None
    """Header that carries the bare key, such as `api-key`; default: the protocol's header."""
    region: str | None = None
    """AWS region for `bedrock`, where the base URL does not name it."""
    allow_http: bool = False
    """Permit plain http to another machine; use only inside a private network."""
    group: str | None = None
    """Endpoints of a tier with the same group are replicas; the one with the fewest requests in flight is first."""
    context_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Context size of the model; a request that is too long for one endpoint goes to one with a larger context."""
    connect_timeout_s: Seconds = 3.0
    first_token_timeout_s: Seconds = 30.0
    idle_timeout_s: Seconds = 60.0
    """Maximum time between two chunks of a stream."""
    total_timeout_s: Seconds = 120.0
    """Maximum time for a complete answer without streaming; a stream is limited by `idle_timeout_s` alone."""

    def __post_init__(self) -> None:
        location = f"endpoint {self.name!r}"
        try:
            url = urlsplit(self.base_url)
            host, _ = url.hostname, url.port
        except ValueError:
            raise ValueError(f"{location}: base_url is not a valid URL") from None
        if url.scheme not in ("http", "https") or not host:
            raise ValueError(
                f"{location}: base_url must begin with https:// (or http:// on this machine) and name a host"
            )
        # The value is not echoed because it may be a password.
        if url.username or url.password or url.query or url.fragment:
            raise ValueError(f"{location}: base_url must hold no user, password, query or fragment; use api_key_env")
        if url.scheme == "http" and not self.allow_http and not is_loopback(host):
            raise ValueError(f"{location}: base_url is plain http to {host}; use https, or set `allow_http: true`")
        if self.api_key_env is not None and not _is_variable_name(self.api_key_env):
            raise ValueError(
                f"{location}: api_key_env must be the name of an environment variable, such as OPENAI_API_KEY; "
                "the value looks like a key: remove it from the file and revoke it"
            )
        if not self.own and not self.model:
            raise ValueError(f"{location}: a hosted endpoint needs `model`")
        for name, value in self.headers.items():
            if not _HEADER.fullmatch(name) or "\r" in value or "\n" in value:
                raise ValueError(f"{location}: headers: {name!r} is not a valid header")
            if (name.lower() in _SECRET_HEADERS or _KEY_SHAPES.search(value)) and not _REFERENCE.search(value):
                raise ValueError(f"{location}: headers.{name} looks like a key: write ${{NAME}} and set that variable")
        if self.key_header is not None and not _HEADER.fullmatch(self.key_header):
            raise ValueError(f"{location}: key_header is not a valid header name")

    def secrets_missing(self, environ: Mapping[str, str]) -> list[str]:
        """Environment variables that this endpoint requires but that are not set."""
        names = [self.api_key_env] if self.api_key_env is not None else []
        names += [name for value in self.headers.values() for name in _REFERENCE.findall(value)]
        return [name for name in dict.fromkeys(names) if not environ.get(name)]

    def sent_headers(self, environ: Mapping[str, str]) -> dict[str, str]:
        """`headers` with `${NAME}` replaced from the environment, header names in lower case."""
        return {
            name.lower(): _REFERENCE.sub(lambda reference: environ.get(reference[1], "").strip(), value)
            for name, value in self.headers.items()
        }

    @property
    def price_name(self) -> str | None:
        """The model's name in the price table."""
        return self.price_model or self.model

    @cached_property
    def own(self) -> bool:
        """Whether the endpoint runs on the company's own machine, which is paid by the hour, not by the token."""
        return self.kind in ("vllm", "classifier")

    @cached_property
    def provider_name(self) -> str | None:
        """Provider as named in logs and the price table; None where only the model name identifies it."""
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


class Serving(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """Section `serving` of `configs/router.yaml`: the router's own settings."""

    host: str = "127.0.0.1"
    """An address other than loopback requires `client_keys_env`."""
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8080
    """0: any free port."""
    client_keys_env: str | None = None
    """Environment variable with the accepted client keys, separated by commas; None: no authentication. A key can be
    bound to a call site (`key=support.intent`) or a customer (`key=customer:acme`)."""
    deadline_s: Seconds = 120.0
    """Deadline of one request including all attempts."""
    tier1_timeout_s: Seconds = 10.0
    """Maximum time of one attempt at a registered adapter, so that Tier 2 can still answer before the deadline."""
    tier_timeouts_s: dict[Annotated[int, msgspec.Meta(ge=1, le=3)], Seconds] = {}
    """Maximum time of one attempt, by tier; a shorter timeout of the endpoint takes precedence."""
    breaker: Breaker = Breaker()
    """Circuit breaker of every endpoint."""
    consistency_temperature: Annotated[float, msgspec.Meta(gt=0, le=2)] = 0.7
    """Temperature of the second answer for call sites with `high_stakes`."""
    max_shadows: Annotated[int, msgspec.Meta(ge=0)] = 8
    """Maximum concurrent requests to shadow deployments; further ones are dropped and counted."""
    max_retries: Annotated[int, msgspec.Meta(ge=0, le=MAX_RETRIES)] = MAX_RETRIES
    """Retries of one request over all endpoints, not counting the escalation from Tier 1."""
    backoff_s: Annotated[float, msgspec.Meta(ge=0)] = 0.25
    """Maximum pause before the first retry; doubles with each retry."""
    min_margin: Annotated[float, msgspec.Meta(ge=-1, le=1)] | None = None
    """Minimum margin (p1 - p2) of the least certain token of an adapter's answer, for deployments without a
    calibration; answers below it escalate to Tier 2. None: off."""
    max_body_mib: Annotated[float, msgspec.Meta(gt=0)] = 32.0
    """Maximum size of a request body. Anthropic's API accepts 32 MB."""
    allow_origins: tuple[str, ...] = ()
    """Browser origins, besides those of this machine, that may send requests if no client keys are configured, such as
    `app://obsidian.md`."""
    pass_through: dict[str, str] = {}
    """Endpoint by path prefix, such as `/v1/files`, to which requests are passed unchanged. Every client of the router
    then has access to these paths with the endpoint's key."""

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

    @cached_property
    def limits(self) -> Limits:
        """Limits for `traffic.retry_and_escalation`."""
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
    """Endpoint names per tier, in the order in which they are tried. Requests of an empty Tier 1 go to Tier 2."""
    rules: tuple[Rule, ...]
    plans: dict[str, Plan] = {}
    """Effect of a user's plan: limits on the use of Tier 3, nothing else."""
    unknown_call_sites: Literal["allow", "refuse"] = "allow"
    """Requests without a call site in the registry; `allow` counts them and lists them in `/health`."""
    serving: Serving = msgspec.field(default_factory=Serving)

    def __post_init__(self) -> None:
        if set(self.tiers) != set(TIERS):
            raise ValueError(f"tiers: expected exactly 1, 2 and 3, got {', '.join(map(str, sorted(self.tiers)))}")
        names = [endpoint.name for endpoint in self.endpoints]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"endpoints: duplicate name {name!r}")
        for prefix, name in self.serving.pass_through.items():
            if name not in names or not prefix.startswith("/v1/"):
                raise ValueError(
                    f"serving.pass_through: expected a path below /v1/ and an endpoint name, got {prefix!r}: {name!r}"
                )
        for tier, tier_names in self.tiers.items():
            unknown = [name for name in tier_names if name not in names]
            if unknown:
                raise ValueError(f"tier {tier}: unknown endpoint {unknown[0]!r}; defined: {', '.join(names) or 'none'}")
            if tier != 1 and not tier_names:
                raise ValueError(f"tier {tier}: expected at least one endpoint")
        Policy(self.rules)

    @property
    def policy(self) -> Policy:
        """The rules for `traffic.policy.decide`. Conditions are compiled once per object, so keep it."""
        return Policy(self.rules)

    def endpoints_of(self, tier: int) -> tuple[Endpoint, ...]:
        """The endpoints of a tier in the order in which they are tried."""
        by_name = {endpoint.name: endpoint for endpoint in self.endpoints}
        return tuple(by_name[name] for name in self.tiers[tier])


def load(path: Path, overrides: tuple[str, ...] = ()) -> RoutingConfig:
    """Load the router's configuration; `preset: NAME` gives an endpoint the defaults of NAME in configs/providers.yaml.

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
    settings = {key: value for key, value in endpoint.items() if key != "preset"}
    if endpoint["preset"] not in presets:
        name, names = endpoint.get("name"), ", ".join(presets)
        raise ConfigError(f"{path}: endpoint {name!r}: unknown preset {endpoint['preset']!r}; known: {names}")
    return presets[endpoint["preset"]] | settings


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the host."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_variable_name(text: str) -> bool:
    if not _VARIABLE.fullmatch(text) or _KEY_SHAPES.match(text):
        return False
    # A long part with digits is a key rather than a word of a variable name.
    return not any(len(part) >= 20 and re.search(r"\d", part) for part in text.split("_"))
