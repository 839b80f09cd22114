"""Remembers corrections of requests that endpoints refused (`router.corrections`) until the process ends.

What is learned applies to the requests of all clients; `/health` shows the configuration to add. Errors repeat texts of
requests: words that occur in the refused request teach nothing, and neither does a refusal whose correction would leave
that request unchanged.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from router.corrections import Settings, corrections, refused_sampling
from router.refusal_text import RefusalText
from traffic.tiers import Endpoint

_SHOWN_CHARS = 80
"""Of a model's name, which may be a client's."""
MAX_LEARNED = 1000
"""Endpoints and models; the names of models that are passed through come from clients."""

Key = tuple[str, str, str | None]
Payload = Callable[[Endpoint], bytes]
"""The body that the refused request has for an endpoint."""


class Learned:
    """Corrections by endpoint and model, kept across reloads of the configuration."""

    def __init__(self) -> None:
        self._settings: dict[Key, Settings] = {}
        self._sampling: dict[Key, Settings] = {}
        """Settings about sampling parameters that the model does not take; for models that the router chose."""

    def apply(self, endpoint: Endpoint, *, routed: bool = True) -> Endpoint:
        """The endpoint with the learned corrections; its configuration takes precedence. `routed`: the client did not
        name the model."""
        # Mostly nothing was learned of any endpoint.
        if not (self._settings or self._sampling):
            return endpoint
        settings = self._settings.get(_key(endpoint), {})
        sampling = self._sampling.get(_key(endpoint), {}) if routed else {}
        return _with(endpoint, _joined(settings, sampling)) if settings or sampling else endpoint

    def learn(self, endpoint: Endpoint, refusal: RefusalText, payload: Payload, *, routed: bool = True) -> bool:
        """Learn from a refusal; returns whether there is a new correction, so that a retry may succeed."""
        current, key = self.apply(endpoint, routed=routed), _key(endpoint)
        keys = self._settings.keys() | self._sampling.keys()
        if key not in keys and len(keys) >= MAX_LEARNED:
            return False
        if key in keys and payload(current) != refusal.sent:
            # Another request learned it while this one was under way.
            return True
        candidates = [(self._settings, new) for new in corrections(current, refusal)]
        if routed:
            candidates.append((self._sampling, refused_sampling(refusal)))
        for kind, new in candidates:
            corrected = _with(current, new)
            if corrected != current and payload(corrected) != refusal.sent:
                kind[key] = _joined(kind.get(key, {}), new)
                return True
        return False

    def warnings(self) -> list[str]:
        """The configuration to add, one line per correction."""
        lines = []
        for key in self._settings.keys() | self._sampling.keys():
            settings = _joined(self._settings.get(key, {}), self._sampling.get(key, {}))
            name, _, model = key
            served = f", model {model[:_SHOWN_CHARS]}" if model else ""
            lines += [
                f"endpoint {name}{served}: add `{setting}: {_yaml(value)}` to its configuration; without it, the first "
                "request after every start is refused"
                for setting, value in settings.items()
            ]
        return sorted(lines)


def _key(endpoint: Endpoint) -> Key:
    return endpoint.name, endpoint.base_url, endpoint.model


_DEFAULTS = {field.name: field.default for field in msgspec.structs.fields(Endpoint)}


def _with(endpoint: Endpoint, settings: Settings) -> Endpoint:
    """The endpoint with settings beside those of its configuration."""
    merged = {}
    for name, value in settings.items():
        configured = getattr(endpoint, name)
        merged[name] = value if configured == _DEFAULTS[name] else _merged(configured, value)
    return msgspec.structs.replace(endpoint, **merged)


def _joined(first: Settings, second: Settings) -> Settings:
    """Two sets of settings as one."""
    return first | {name: _merged(first[name], value) if name in first else value for name, value in second.items()}


def _merged(first: Any, second: Any) -> Any:
    """Two values of a setting; the first takes precedence."""
    if isinstance(first, dict):
        return second | first
    if isinstance(first, tuple):
        return tuple(dict.fromkeys((*first, *second)))
    return first


def _yaml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {inner}" for key, inner in value.items()) + "}"
    if isinstance(value, tuple):
        return f"[{', '.join(value)}]"
    return str(value).lower() if isinstance(value, bool) else str(value)
