"""Learns corrections from refusals: parameters and roles with another name, unknown fields and hints, required
reasoning, limits of tools.

A refusal that names its cause (`'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.`)
is remembered until the process ends, the request is sent again, and `/health` shows the configuration to add.
"""

import re
from typing import Any

import msgspec

from router.wire.thinking import EFFORTS
from traffic.tiers import Endpoint, TurnRule

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
_HISTORY = frozenset(
    {"reasoning", "reasoning_content", "reasoning_details", "thinking_blocks", "provider_specific_fields"}
    | {"annotations", "refusal", "images"}
)
"""Fields of earlier answers in `messages` that can be removed without changing the conversation."""
_HINTS = frozenset(
    {"store", "metadata", "user", "service_tier", "prompt_cache_key", "prompt_cache_retention", "safety_identifier"}
    | {"stream_options", "verbosity", "prediction", "reasoning_effort"}
)
"""Parameters that can be removed without making the answer wrong."""
_FIELD = r"(?:[\w.\[\]]*[.\]])?(\w{1,64})"
_UNKNOWN = re.compile(
    rf"(?:unknown|unsupported|unrecognized|unexpected) (?:request )?(?:parameter|argument|field|property|key)"
    rf"(?: supplied)?:? ['\"`]?{_FIELD}['\"`]?"
    rf"|(?:property|parameter|field) ['\"`]{_FIELD}['\"`] is (?:unsupported|not supported|not allowed|unknown)"
    rf"|{_FIELD}: (?:extra inputs are not permitted|extra fields not permitted)"
    rf"|additional properties are not allowed \(['\"`]{_FIELD}['\"`] w(?:as|ere) unexpected\)"
    rf"|(?:argument|parameter) (?:is )?not supported (?:on|by|with) this model: {_FIELD}"
    rf"|does not support (?:the )?(?:parameter|argument):? ['\"`]?{_FIELD}",
    re.IGNORECASE,
)
_GATEWAY_FIELDS = ("reasoning_details", "thinking_blocks", "provider_specific_fields")
"""Of `_HISTORY`: known to gateways alone, so that a server which rejects one field of earlier answers has no use for
them. Learned together, because the retries of one request would not suffice to learn them one by one."""
_TURN_RULES: tuple[tuple[TurnRule, re.Pattern[str]], ...] = (
    ("assistant_after_tool", re.compile(r"unexpected role \W?user\W? after role \W?tool", re.IGNORECASE)),
    ("alternate", re.compile(r"roles must alternate", re.IGNORECASE)),
    (
        "system_first",
        re.compile(
            r"system (?:messages?|prompts?|role) (?:must|should|can only|may only|is only|are only)\b[^.]{0,60}"
            r"\b(?:beginning|start|first)\b|unexpected role \W?system\W? after",
            re.IGNORECASE,
        ),
    ),
)
_ADAPTIVE = re.compile(r"thinking\.type\.enabled\W{1,3}is not supported|use \W?thinking\.type\.adaptive", re.IGNORECASE)
_SCHEMA_KEYWORDS = frozenset(
    {
        "$schema",
        "$id",
        "$comment",
        "additionalProperties",
        "unevaluatedProperties",
        "propertyNames",
        "patternProperties",
    }
    | {"exclusiveMinimum", "exclusiveMaximum", "multipleOf", "uniqueItems", "contains", "examples", "default", "title"}
    | {"minProperties", "maxProperties", "dependentRequired", "contentEncoding", "contentMediaType", "deprecated"}
    | {"enumDescriptions", "markdownDescription", "readOnly", "writeOnly"}
)
"""Keywords of tool schemas that can be removed with little loss."""
_COMMENTS = ("$schema", "$id", "$comment", "enumDescriptions", "markdownDescription")
"""Keywords of `_SCHEMA_KEYWORDS` without effect on the arguments; learned together, like `_GATEWAY_FIELDS`."""
_UNKNOWN_KEYWORD = re.compile(r"Unknown name \"([$\w]+)\" at '[^']*(?:tools|function_declarations)\b")
_DESCRIPTION = re.compile(r"tools\W\d+\W[\w.]*description\b.{0,60}too long.{0,60}maximum length (\d+)", re.IGNORECASE)
_CALL_ID = re.compile(r"tool call id .{0,200}must be a-z, A-Z, 0-9,? with a length of (\d{1,3})", re.IGNORECASE)
_WANTED = re.compile(
    r"reasoning_content\W{1,4}[^.]{0,60}must be (?:passed|sent|provided)|missing\W{1,3}reasoning_content"
    r"|reasoning_content\W{1,4}is missing",
    re.IGNORECASE,
)
_TOOLS_WITHOUT_EFFORT = re.compile(r"tools with \W?reasoning_effort\W? are not supported", re.IGNORECASE)
_EFFORTS = re.compile(
    rf"(?:effort\b.{{0,80}}?|['\"`](?:{'|'.join(EFFORTS)})['\"`] is )not support.{{0,120}}?"
    r"(?:supported|valid|allowed) values are:?(.{1,120})",
    re.IGNORECASE,
)


class Learned:
    """Corrections by endpoint, kept across reloads of the configuration."""

    def __init__(self) -> None:
        self._settings: dict[tuple[str, str], dict[str, Any]] = {}
        """Settings of `Endpoint` by the endpoint's name and URL."""

    def apply(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint with the learned corrections; its configuration takes precedence."""
        # Mostly nothing was learned of any endpoint.
        settings = self._settings and self._settings.get((endpoint.name, endpoint.base_url))
        if not settings:
            return endpoint
        return msgspec.structs.replace(
            endpoint, **{name: _merged(getattr(endpoint, name), value) for name, value in settings.items()}
        )

    def learn(self, endpoint: Endpoint, text: str) -> bool:
        """Learn from the text of a refusal; returns whether there is a new correction, so that a retry may succeed."""
        settings = self._settings.get((endpoint.name, endpoint.base_url), {})
        new = _correction(self.apply(endpoint), text)
        for name, value in new.items():
            settings[name] = _merged(settings[name], value) if name in settings else value
        if new:
            self._settings[endpoint.name, endpoint.base_url] = settings
        return bool(new)

    def warnings(self) -> list[str]:
        """The configuration to add, one line per correction."""
        return [
            f"endpoint {name}: write `{setting}: {_yaml(value)}` into its configuration: "
            "until then it refuses the first request"
            for (name, _), settings in self._settings.items()
            for setting, value in settings.items()
        ]


def _merged(first: Any, second: Any) -> Any:
    """Two values of a setting; the first takes precedence."""
    if isinstance(first, dict):
        return second | first
    if isinstance(first, tuple):
        return tuple(dict.fromkeys((*first, *second)))
    return first or second


def _yaml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {inner}" for key, inner in value.items()) + "}"
    if isinstance(value, tuple):
        return f"[{', '.join(value)}]"
    return "true" if value is True else str(value)


def _correction(endpoint: Endpoint, text: str) -> dict[str, Any]:
    """Settings of the endpoint, all learned ones included, that the text of a refusal asks for; empty: none."""
    match = _RENAME.search(text)
    if match is not None and match[1] != match[2]:
        # Two names that replace each other would alternate forever.
        renames = endpoint.rename
        known = match[1] in renames or renames.get(match[2]) == match[1] or len(renames) >= MAX_RENAMES
        return {} if known else {"rename": {match[1]: match[2]}}
    if _DEVELOPER.search(text) and "developer" not in endpoint.roles:
        return {"roles": {"developer": "system"}}
    if _WANTED.search(text) and not endpoint.reasoning_history:
        return {"reasoning_history": True}
    if _ADAPTIVE.search(text) and not endpoint.adaptive_thinking:
        return {"adaptive_thinking": True}
    rule = next((rule for rule, pattern in _TURN_RULES if pattern.search(text)), None)
    if rule is not None:
        return {} if rule in endpoint.turn_rules else {"turn_rules": (rule,)}
    return _effort_correction(endpoint, text) or _tool_correction(endpoint, text) or _removal(endpoint, text)


def _effort_correction(endpoint: Endpoint, text: str) -> dict[str, Any]:
    """Efforts that the model has, and the one that it wants beside tools."""
    if _TOOLS_WITHOUT_EFFORT.search(text) and endpoint.tools_effort is None:
        return {"tools_effort": "none"}
    stated = _EFFORTS.search(text)
    efforts = tuple(effort for effort in EFFORTS if stated and re.search(rf"\b{effort}\b", stated[1]))
    return {"efforts": efforts} if efforts and not endpoint.efforts else {}


def _tool_correction(endpoint: Endpoint, text: str) -> dict[str, Any]:
    """Limits of tools."""
    removed = set(endpoint.tool_schema_leave_out)
    new = _SCHEMA_KEYWORDS.intersection(_UNKNOWN_KEYWORD.findall(text)) - removed
    if new:
        # A server that rejects a second kind knows few: the retries of one request must suffice.
        return {
            "tool_schema_leave_out": tuple(sorted((_SCHEMA_KEYWORDS if removed else new.union(_COMMENTS)) - removed))
        }
    exact = _CALL_ID.search(text)
    if exact is not None and endpoint.tool_call_id_chars is None:
        return {"tool_call_id_chars": max(1, int(exact[1]))}
    long = _DESCRIPTION.search(text)
    if long is None or endpoint.tool_description_chars is not None:
        return {}
    return {"tool_description_chars": int(long[1][:6])}


def _removal(endpoint: Endpoint, text: str) -> dict[str, Any]:
    """Fields that the server does not know."""
    match = _UNKNOWN.search(text)
    name = next((group for group in match.groups() if group), "") if match is not None else ""
    # xAI names parameters in camel case.
    name = re.sub(r"(?<=[a-z])[A-Z]", lambda capital: f"_{capital[0].lower()}", name)
    path = f"messages.{name}" if name in _HISTORY else name
    if name not in _HISTORY | _HINTS or path in endpoint.leave_out:
        return {}
    gateway_fields = [f"messages.{field}" for field in _GATEWAY_FIELDS] if name in _HISTORY else []
    return {"leave_out": tuple(dict.fromkeys((path, *gateway_fields)))}
