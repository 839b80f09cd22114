"""The registry of call sites (`<home>/callsites.yaml`): owner, reason, request type and checks of each.

`fasttier profile` proposes one from logged traffic; `fasttier profile --accept` installs the proposal.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from traffic import config
from traffic.errors import ConfigError, NotFound
from traffic.prompts import MessagePattern
from traffic.record import Visibility

FILE = "callsites.yaml"
SEPARATORS = frozenset(",;|\n、，；")
"""Separators of labels in a set that is not a JSON list."""

RequestType = Literal[
    "classification", "intent", "moderation", "extraction", "rewrite",
    "generation", "summarization", "structured", "tool_use",
    "reasoning", "long_context", "code", "chat",
]  # fmt: skip
"""The playbook's request types; the first five are Tier 1, the next four Tier 2, the rest Tier 3."""


class Checks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Checks of an answer; each is off by default, except the one for refusals."""

    labels: tuple[str, ...] = ()
    """Closed set of labels; an answer must be exactly one of them (or a set of them, see `multiple`)."""
    multiple: Literal["comma", "json"] | None = None
    """Format of an answer that is a set of labels: separated by commas, or a JSON list. None: exactly one label."""
    json_schema: dict[str, Any] | None = None
    """JSON Schema of the answer; implies that the answer is JSON."""
    json: bool = False
    """The answer must be one JSON object, of any shape."""
    max_chars: Annotated[int, msgspec.Meta(ge=1)] | None = None
    refuse_refusals: bool = True
    """A refusal ("I cannot help with ...") is a failed answer."""

    @property
    def needs_json(self) -> bool:
        """Whether the answer must be JSON."""
        return self.json or self.json_schema is not None


class ShapeTemplate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Fixed text of one request shape, by which requests without a call-site tag are matched."""

    id: Annotated[str, msgspec.Meta(min_length=8, max_length=8)]
    """First 8 hex digits of the SHA-256 of `messages`."""
    messages: tuple[MessagePattern, ...]
    """The leading system messages joined by a blank line (role `system`), then the first user message if it has fixed
    text too. Without a system pattern the request has no system message."""
    request_type: RequestType | None = None
    """Overrides the call site's."""
    tier: Literal[1, 2, 3] | None = None
    """Overrides the call site's."""


class CallSite(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One place in the application that calls a model."""

    name: str
    owner: str | None = None
    reason: str | None = None
    """Why this call exists; step 2 of the playbook requires one for each."""
    request_type: RequestType | None = None
    """None: derived from the request by rules."""
    visibility: Visibility = "unknown"
    tier: Literal[1, 2, 3] | None = None
    """None: decided by rules."""
    checks: Checks = Checks()
    max_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Cap on output tokens that the router enforces."""
    high_stakes: bool = False
    """An adapter's answer counts only if a second one, drawn at a higher temperature, is the same."""
    degrade: Literal["serve_unsure", "error"] | None = None
    """What the client gets if Tier 1's answer is below its threshold and Tier 2 fails: that answer, marked by a header,
    or an error. None: an error at `high_stakes` and background call sites, the answer at others."""

    @property
    def serves_unsure(self) -> bool:
        if self.degrade is not None:
            return self.degrade == "serve_unsure"
        return not self.high_stakes and self.visibility != "background"

    confidence: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    """Confidence of a proposed tier; None in entries written by hand."""
    templates: tuple[ShapeTemplate, ...] = ()
    """Request shapes of the call site."""


class Registry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`<home>/callsites.yaml`."""

    schema_version: Literal[1] = 1
    call_sites: tuple[CallSite, ...] = ()

    def get(self, name: str | None) -> CallSite | None:
        """The entry of a call site; None if it is not registered (allowed, and reported)."""
        return next((site for site in self.call_sites if site.name == name), None)


def load(path: Path) -> Registry:
    """Raises: NotFound, ConfigError; also for a duplicate name."""
    registry = config.load(path, Registry)
    seen: set[str] = set()
    for site in registry.call_sites:
        if site.name in seen:
            raise ConfigError(f"{path}: duplicate call site {site.name!r}")
        seen.add(site.name)
        if fault := _label_fault(site.checks):
            raise ConfigError(f"{path}: {site.name}: checks.labels: {fault}")
    return registry


def _label_fault(checks: Checks) -> str | None:
    """Why no answer could be, or could only be, one of the labels; None if all can be told apart."""
    for label in checks.labels:
        if label != label.strip() or not label:
            return f"{label!r} is empty or has spaces around it; answers are compared without those"
        if checks.multiple == "comma" and SEPARATORS.intersection(label):
            return f"{label!r} contains a separator of labels; ask for JSON lists and set multiple: json"
    duplicate = next((label for label in checks.labels if checks.labels.count(label) > 1), None)
    return None if duplicate is None else f"duplicate label {duplicate!r}"


def load_or_empty(path: Path) -> Registry:
    """The registry at `path`; empty if there is no such file. Raises: ConfigError."""
    try:
        return load(path)
    except NotFound:
        return Registry()


def chosen(home: Path, path: Path | None = None, *, ignore: bool = False) -> Registry:
    """The registry that a command uses: the given file, else the home's own; an empty one with `ignore`.

    Raises: NotFound if the given file does not exist, ConfigError.
    """
    if ignore:
        return Registry()
    return load(path) if path is not None else load_or_empty(home / FILE)
