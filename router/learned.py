"""What endpoints taught us by refusing: the name of a parameter, or a message role, that they know under another name.

A refusal that names both (`'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.`) is
learned for the life of the process, the request is sent once more, and `/health` says what to write into the
configuration.
"""

import re

import msgspec

from traffic.tiers import Endpoint

_RENAME = re.compile(
    r"['\"`](\w{1,64})['\"`] (?:is|was) (?:not supported|unsupported|deprecated|not allowed)[^.]{0,120}\.?\s*"
    r"(?:please )?use ['\"`](\w{1,64})['\"`]",
    re.IGNORECASE,
)
_DEVELOPER = re.compile(
    r"(?:unknown|invalid|unsupported|unexpected|not (?:one of|a valid|supported))[^.]{0,80}\bdeveloper\b"
    r"|\bdeveloper\b[^.]{0,80}(?:is not|not (?:one of|a valid|supported|allowed))",
    re.IGNORECASE,
)
MAX_RENAMES = 8


class Learned:
    """By endpoint, across reloads of the configuration."""

    def __init__(self) -> None:
        self._renames: dict[tuple[str, str], dict[str, str]] = {}
        self._roles: dict[tuple[str, str], dict[str, str]] = {}

    def apply(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint with what it taught us; what its configuration says wins."""
        key = (endpoint.name, endpoint.base_url)
        renames, roles = self._renames.get(key), self._roles.get(key)
        if renames is None and roles is None:
            return endpoint
        return msgspec.structs.replace(
            endpoint, rename=(renames or {}) | endpoint.rename, roles=(roles or {}) | endpoint.roles
        )

    def learn(self, endpoint: Endpoint, text: str) -> bool:
        """Take what the text of a refusal says; whether it is new, so that the request is worth sending again."""
        key = (endpoint.name, endpoint.base_url)
        found = _RENAME.search(text)
        if found is not None and found[1] != found[2]:
            renames = self._renames.setdefault(key, {})
            if found[1] in renames or found[1] in endpoint.rename or len(renames) >= MAX_RENAMES:
                return False
            # Two names that point at each other would be sent to and fro.
            if renames.get(found[2]) == found[1]:
                return False
            renames[found[1]] = found[2]
            return True
        if _DEVELOPER.search(text) and "developer" not in endpoint.roles and key not in self._roles:
            self._roles[key] = {"developer": "system"}
            return True
        return False

    def warnings(self) -> list[str]:
        """What to write into the configuration."""
        lines = [f"endpoint {name}: write `rename: {_yaml(renames)}`" for (name, _), renames in self._renames.items()]
        lines += [f"endpoint {name}: write `roles: {_yaml(roles)}`" for (name, _), roles in self._roles.items()]
        return [f"{line} into its configuration: until then it refuses the first request" for line in lines]


def _yaml(mapping: dict[str, str]) -> str:
    return "{" + ", ".join(f"{key}: {value}" for key, value in mapping.items()) + "}"
