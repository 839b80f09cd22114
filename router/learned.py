"""Learns corrections from refusals: parameters and roles with another name, unknown fields and hints, required
reasoning, limits of tools.

A refusal that names its cause (`'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.`)
is remembered until the process ends, the request is sent again, and `/health` shows the configuration to add.
"""

import re

import msgspec

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
    | {"stream_options", "verbosity", "prediction"}
)
"""Parameters that can be removed without making the answer wrong."""
_FIELD = r"(?:[\w.\[\]]*[.\]])?(\w{1,64})"
_UNKNOWN = re.compile(
    rf"(?:unknown|unsupported|unrecognized|unexpected) (?:request )?(?:parameter|argument|field|property|key)"
    rf"(?: supplied)?:? ['\"`]?{_FIELD}['\"`]?"
    rf"|(?:property|parameter|field) ['\"`]{_FIELD}['\"`] is (?:unsupported|not supported|not allowed|unknown)"
    rf"|{_FIELD}: (?:extra inputs are not permitted|extra fields not permitted)"
    rf"|additional properties are not allowed \(['\"`]{_FIELD}['\"`] w(?:as|ere) unexpected\)",
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
    r"reasoning_content\W{1,4}[^.]{0,60}must be (?:passed|sent|provided)|missing\W{1,3}reasoning_content", re.IGNORECASE
)


class Learned:
    """Corrections by endpoint, kept across reloads of the configuration."""

    def __init__(self) -> None:
        self._any = False
        self._renames: dict[tuple[str, str], dict[str, str]] = {}
        self._roles: dict[tuple[str, str], dict[str, str]] = {}
        self._unknown: dict[tuple[str, str], tuple[str, ...]] = {}
        """Fields to remove."""
        self._wants_reasoning: set[tuple[str, str]] = set()
        self._keywords: dict[tuple[str, str], tuple[str, ...]] = {}
        """Keywords to remove from tool schemas."""
        self._description_chars: dict[tuple[str, str], int] = {}
        self._call_id_chars: dict[tuple[str, str], int] = {}
        self._turn_rules: dict[tuple[str, str], tuple[TurnRule, ...]] = {}
        self._adaptive: set[tuple[str, str]] = set()

    def apply(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint with the learned corrections; its configuration takes precedence."""
        if not self._any:
            return endpoint
        key = (endpoint.name, endpoint.base_url)
        renames, roles, unknown = self._renames.get(key), self._roles.get(key), self._unknown.get(key, ())
        wants_reasoning = key in self._wants_reasoning
        keywords, chars = self._keywords.get(key, ()), self._description_chars.get(key)
        id_chars, turn_rules, adapts = (
            self._call_id_chars.get(key),
            self._turn_rules.get(key, ()),
            key in self._adaptive,
        )
        others = unknown or wants_reasoning or keywords or chars or id_chars or turn_rules or adapts
        if renames is None and roles is None and not others:
            return endpoint
        return msgspec.structs.replace(
            endpoint,
            rename=(renames or {}) | endpoint.rename,
            roles=(roles or {}) | endpoint.roles,
            leave_out=(*endpoint.leave_out, *unknown),
            reasoning_history=endpoint.reasoning_history or wants_reasoning,
            tool_schema_leave_out=(*endpoint.tool_schema_leave_out, *keywords),
            tool_description_chars=endpoint.tool_description_chars or chars,
            tool_call_id_chars=endpoint.tool_call_id_chars or id_chars,
            turn_rules=(*endpoint.turn_rules, *turn_rules),
            adaptive_thinking=endpoint.adaptive_thinking or adapts,
        )

    def learn(self, endpoint: Endpoint, text: str) -> bool:
        """Learn from the text of a refusal; returns whether there is a new correction, so that a retry may succeed."""
        learned = self._learn(endpoint, text)
        self._any = self._any or learned
        return learned

    def _learn(self, endpoint: Endpoint, text: str) -> bool:
        key = (endpoint.name, endpoint.base_url)
        match = _RENAME.search(text)
        if match is not None and match[1] != match[2]:
            renames = self._renames.setdefault(key, {})
            if match[1] in renames or match[1] in endpoint.rename or len(renames) >= MAX_RENAMES:
                return False
            # Two names that replace each other would alternate forever.
            if renames.get(match[2]) == match[1]:
                return False
            renames[match[1]] = match[2]
            return True
        if _DEVELOPER.search(text) and "developer" not in endpoint.roles and key not in self._roles:
            self._roles[key] = {"developer": "system"}
            return True
        if _WANTED.search(text) and not endpoint.reasoning_history and key not in self._wants_reasoning:
            self._wants_reasoning.add(key)
            return True
        if _ADAPTIVE.search(text) and not endpoint.adaptive_thinking and key not in self._adaptive:
            self._adaptive.add(key)
            return True
        configured = (*endpoint.turn_rules, *self._turn_rules.get(key, ()))
        rule = next((rule for rule, pattern in _TURN_RULES if pattern.search(text)), None)
        if rule is not None:
            self._turn_rules[key] = tuple(dict.fromkeys((*self._turn_rules.get(key, ()), rule)))
            return rule not in configured
        return self._learn_tools(key, endpoint, text) or self._learn_unknown(key, endpoint, text)

    def _learn_tools(self, key: tuple[str, str], endpoint: Endpoint, text: str) -> bool:
        """Learn limits of tools."""
        removed = {*endpoint.tool_schema_leave_out, *self._keywords.get(key, ())}
        new = _SCHEMA_KEYWORDS.intersection(_UNKNOWN_KEYWORD.findall(text)) - removed
        if new:
            # A server that rejects a second kind knows few: the retries of one request must suffice.
            new = (_SCHEMA_KEYWORDS if removed else new.union(_COMMENTS)) - removed
            self._keywords[key] = (*self._keywords.get(key, ()), *sorted(new))
            return True
        exact = _CALL_ID.search(text)
        if exact is not None and endpoint.tool_call_id_chars is None and key not in self._call_id_chars:
            self._call_id_chars[key] = max(1, int(exact[1]))
            return True
        long = _DESCRIPTION.search(text)
        if long is None or endpoint.tool_description_chars is not None or key in self._description_chars:
            return False
        self._description_chars[key] = int(long[1][:6])
        return True

    def _learn_unknown(self, key: tuple[str, str], endpoint: Endpoint, text: str) -> bool:
        match = _UNKNOWN.search(text)
        name = next((group for group in match.groups() if group), "") if match is not None else ""
        path = f"messages.{name}" if name in _HISTORY else name
        removed = (*endpoint.leave_out, *self._unknown.get(key, ()))
        if name not in _HISTORY | _HINTS or path in removed:
            return False
        gateway_fields = [f"messages.{field}" for field in _GATEWAY_FIELDS] if name in _HISTORY else []
        self._unknown[key] = tuple(dict.fromkeys((*self._unknown.get(key, ()), path, *gateway_fields)))
        return True

    def warnings(self) -> list[str]:
        """The configuration to add, one line per correction."""
        lines = [f"endpoint {name}: write `rename: {_yaml(renames)}`" for (name, _), renames in self._renames.items()]
        lines += [
            f"endpoint {name}: write `leave_out: [{', '.join(names)}]`" for (name, _), names in self._unknown.items()
        ]
        lines += [f"endpoint {name}: write `reasoning_history: true`" for name, _ in sorted(self._wants_reasoning)]
        lines += [
            f"endpoint {name}: write `tool_schema_leave_out: [{', '.join(words)}]`"
            for (name, _), words in self._keywords.items()
        ]
        lines += [
            f"endpoint {name}: write `tool_description_chars: {chars}`"
            for (name, _), chars in self._description_chars.items()
        ]
        lines += [
            f"endpoint {name}: write `tool_call_id_chars: {chars}`" for (name, _), chars in self._call_id_chars.items()
        ]
        lines += [
            f"endpoint {name}: write `turn_rules: [{', '.join(rules)}]`"
            for (name, _), rules in self._turn_rules.items()
        ]
        lines += [f"endpoint {name}: write `adaptive_thinking: true`" for name, _ in sorted(self._adaptive)]
        lines += [f"endpoint {name}: write `roles: {_yaml(roles)}`" for (name, _), roles in self._roles.items()]
        return [f"{line} into its configuration: until then it refuses the first request" for line in lines]


def _yaml(mapping: dict[str, str]) -> str:
    return "{" + ", ".join(f"{key}: {value}" for key, value in mapping.items()) + "}"
