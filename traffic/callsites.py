"""The registry of call sites: who asks, why, what a good answer is (`configs/callsites.yaml`)."""

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from traffic import config
from traffic.errors import ConfigError
from traffic.record import Visibility

RequestType = Literal[
    "classification", "intent", "moderation", "extraction", "rewrite",
    "generation", "summarization", "structured", "tool_use",
    "reasoning", "long_context", "code", "chat",
]  # fmt: skip
"""The playbook's request types; the first five are Tier 1, the next four Tier 2, the rest Tier 3."""


class Checks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an answer must satisfy; each is off unless it is given."""

    labels: tuple[str, ...] = ()
    """The closed set of labels; an answer must be exactly one of them."""
    json_schema: dict[str, Any] | None = None
    """JSON Schema of the answer; implies that the answer is JSON."""
    json: bool = False
    """The answer must be one JSON object, of any shape."""
    max_chars: Annotated[int, msgspec.Meta(ge=1)] | None = None
    refuse_refusals: bool = True
    """A refusal ("I cannot help with ...") is a failed answer."""


class CallSite(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One place in the application that calls a model."""

    name: str
    owner: str | None = None
    reason: str | None = None
    """Why this call exists; the playbook's step 2 wants one for each."""
    request_type: RequestType | None = None
    """None: by rules, from the request's shape."""
    visibility: Visibility = "unknown"
    tier: Literal[1, 2, 3] | None = None
    """None: by rules."""
    checks: Checks = Checks()
    max_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Cap on output tokens that the router enforces."""
    high_stakes: bool = False
    """An adapter's answer counts only if a second one, drawn at a higher temperature, is the same."""


class Registry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`configs/callsites.yaml`."""

    schema_version: Literal[1] = 1
    call_sites: tuple[CallSite, ...] = ()

    def get(self, name: str | None) -> CallSite | None:
        """The entry of a call site, or None: unknown call sites are legal, and reported."""
        return next((site for site in self.call_sites if site.name == name), None)


def load(path: Path) -> Registry:
    """Raises: NotFound, ConfigError; also when a name stands twice."""
    registry = config.load(path, Registry)
    names = [site.name for site in registry.call_sites]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{path}: call site {name!r} stands there twice")
    return registry
