"""Learns corrections from refusals: parameters and roles with another name, unknown fields and hints, sampling that the
model does not take, required reasoning, limits of tools.

A refusal that names its cause (`'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.`)
is remembered until the process ends, the request is sent again, and `/health` shows the configuration to add.

What is learned applies to the requests of all clients, and errors repeat texts of requests: words that occur in the
refused request teach nothing, and neither does a refusal whose correction would leave that request unchanged.
"""

import re
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import msgspec

from router.wire.anthropic_requests import TOOL_HINTS
from router.wire.openai import OPTIONAL
from router.wire.thinking import EFFORTS
from traffic.loose_json import json_or
from traffic.tiers import Endpoint, TurnRule

_RENAME = re.compile(
    r"['\"`](\w{1,64})['\"`] (?:is|was) (?:not supported|unsupported|deprecated|not allowed)[^.]{0,120}\.?\s*"
    r"(?:please )?use ['\"`](\w{1,64})['\"`]",
    re.IGNORECASE,
)
_DEVELOPER = re.compile(
    r"(?:unknown|invalid|unsupported|unexpected|not (?:one of|a valid|supported))[^.]{0,80}\bdeveloper\b"
    r"|\bdeveloper\b[^.]{0,80}(?:is not|does not match|not (?:one of|a valid|supported|allowed))",
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
    | {
        "stream_options",
        "verbosity",
        "prediction",
        "reasoning_effort",
        "context_management",
        "speed",
        "diagnostics",
        "thinking",
    }
)
"""Parameters that can be removed without making the answer wrong."""
_NEW_CAP, _OLD_CAP = "max_completion_tokens", "max_tokens"
_FIELD = r"(?:[\w.\[\]]*[.\]])?(\w{1,64})"
_UNKNOWN = re.compile(
    rf"(?:unknown|unsupported|unrecognized|unexpected) (?:request )?(?:parameter|argument|field|property|key)"
    rf"(?: supplied)?:? ['\"`]?{_FIELD}['\"`]?"
    rf"|(?:property|parameter|field) ['\"`]{_FIELD}['\"`] is (?:unsupported|not supported|not allowed|unknown)"
    rf"|{_FIELD}:? (?:extra inputs are not permitted|extra fields not permitted)"
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
FOREIGN_THINKING = re.compile(
    r"\b(?:signature|data)\W{1,3}in\W{1,3}(?:redacted_)?thinking\W{1,3}block|\bthinking\.signature\b.{0,40}required"
    r"|thinking\W{1,3}blocks?\b.{0,80}cannot be modified",
    re.IGNORECASE,
)
"""Thinking in the history that another provider signed."""
_NOT_ADAPTIVE = re.compile(
    r"tag \W?adaptive\b.{0,40}does not match|adaptive thinking\W{1,3}is not supported|not support adaptive thinking"
    r"|\bthinking\.type: input should be",
    re.IGNORECASE,
)
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
_VALUES = r".{0,120}?(?:supported|valid|allowed) values are:?([^.]{1,120})"
_EFFORTS = re.compile(
    rf"effort\b.{{0,80}}?not support{_VALUES}|output_config\.effort: input should be ([^.]{{1,120}})", re.IGNORECASE
)
_NO_EFFORT = re.compile(
    r"not support (?:the )?\W?(?:reasoning_)?effort\b|effort\W{1,3}(?:parameter )?is not supported", re.IGNORECASE
)
_EFFORT_VALUES = re.compile(rf"not support{_VALUES}", re.IGNORECASE)
"""For an error whose `param` is the effort."""
_NO_THINKING = re.compile(r"\bdoes not support (?:thinking|reasoning)\W*$", re.IGNORECASE)
_EFFORT_FIELDS = ("reasoning_effort", "output_config.effort")
_WORD = re.compile(r"[\w.$-]*")
_ECHO_CHARS = 16
"""Beginning of a text by which its repetition in an error is recognised, also if that is cut."""
_SHORTEST_ECHO = 4
_SHOWN_CHARS = 80
"""Of a model's name, which may be a client's."""
MAX_LEARNED = 1000
"""Endpoints and models; the names of models that are passed through come from clients."""

Key = tuple[str, str, str | None]
Payload = Callable[[Endpoint], bytes]
"""The body that the refused request has for an endpoint."""


class RefusalText:
    """The error of a refused request."""

    def __init__(self, text: str, param: Any = None, *, unsupported: bool = False, sent: bytes = b"") -> None:
        """`param`: the parameter that the error names in a field of its own; `unsupported`: another model may accept
        it; `sent`: the body of the request."""
        self.text = text
        self.param = param if isinstance(param, str) and param != "None" else ""
        self.unsupported = unsupported
        self.sent = sent

    def search(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """The first match that is not the request's own text."""
        if pattern.search(self.text) is None:
            return None
        matches = pattern.finditer(self.own_text)
        return next((match for match in matches if match[0].lower() not in self._request_text), None)

    def concerns(self, *names: str) -> bool:
        """Whether the error names one of these parameters, or none at all, in its field."""
        return not self.param or any(name in self.param for name in names)

    @cached_property
    def own_text(self) -> str:
        """The text without repetitions of the request's texts; single words, which may be names of parameters, stay."""
        text = self.text
        for echo in dict.fromkeys(self._strings):
            # A shorter one is a mark or a word of the error itself. A longer one is longer than what replaces it.
            if len(echo) >= _SHORTEST_ECHO and not _WORD.fullmatch(echo) and echo[:_ECHO_CHARS] in text:
                text = _without_echo(text, echo)
        return text

    @cached_property
    def _strings(self) -> list[str]:
        # As in `router.wire.errors.masked`.
        return [" ".join(string.split()) for string in _strings(json_or(self.sent))]

    @cached_property
    def _request_text(self) -> str:
        return "\n".join(self._strings).lower()


def _without_echo(text: str, echo: str) -> str:
    head, *parts = text.split(echo[:_ECHO_CHARS])
    kept = [head]
    for part in parts:
        rest = echo[_ECHO_CHARS:]
        same = next((n for n, (a, b) in enumerate(zip(part, rest, strict=False)) if a != b), min(len(part), len(rest)))
        kept.append(part[same:])
    return "''".join(kept)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, dict):
        yield from value
        for item in value.values():
            yield from _strings(item)


class Learned:
    """Corrections by endpoint and model, kept across reloads of the configuration."""

    def __init__(self) -> None:
        self._settings: dict[Key, dict[str, Any]] = {}
        """Settings of `Endpoint`."""
        self._sampling: dict[Key, dict[str, Any]] = {}
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
        new = _correction(current, refusal)
        kind = self._settings
        if routed and not new:
            new, kind = _refused_sampling(refusal), self._sampling
        if not new or payload(_with(current, new)) == refusal.sent:
            return False
        kind[key] = _joined(kind.get(key, {}), new)
        return True

    def warnings(self) -> list[str]:
        """The configuration to add, one line per correction."""
        lines = []
        for key in self._settings.keys() | self._sampling.keys():
            settings = _joined(self._settings.get(key, {}), self._sampling.get(key, {}))
            name, _, model = key
            served = f", model {model[:_SHOWN_CHARS]}" if model else ""
            lines += [
                f"endpoint {name}{served}: write `{setting}: {_yaml(value)}` into its configuration: "
                "until then it refuses the first request"
                for setting, value in settings.items()
            ]
        return sorted(lines)


def _key(endpoint: Endpoint) -> Key:
    return endpoint.name, endpoint.base_url, endpoint.model


def _with(endpoint: Endpoint, settings: dict[str, Any]) -> Endpoint:
    merged = {name: _merged(getattr(endpoint, name), value) for name, value in settings.items()}
    return msgspec.structs.replace(endpoint, **merged)


def _joined(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Two sets of settings as one."""
    return first | {name: _merged(first[name], value) if name in first else value for name, value in second.items()}


def _merged(first: Any, second: Any) -> Any:
    """Two values of a setting; the first takes precedence."""
    if isinstance(first, dict):
        return second | first
    if isinstance(first, tuple):
        return tuple(dict.fromkeys((*first, *second)))
    return second if first is None else first or second


def _yaml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {inner}" for key, inner in value.items()) + "}"
    if isinstance(value, tuple):
        return f"[{', '.join(value)}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _correction(endpoint: Endpoint, error: RefusalText) -> dict[str, Any]:
    """Settings of the endpoint, all learned ones included, that a refusal asks for; empty: none."""
    match = error.search(_RENAME)
    if match is not None and match[1] != match[2]:
        # Two names that replace each other would alternate forever.
        renames = endpoint.rename
        known = match[1] in renames or renames.get(match[2]) == match[1] or len(renames) >= MAX_RENAMES
        return {} if known else {"rename": {match[1]: match[2]}}
    if error.concerns("role", "messages", "input") and error.search(_DEVELOPER) and "developer" not in endpoint.roles:
        return {"roles": {"developer": "system"}}
    if error.search(_WANTED) and not endpoint.reasoning_history:
        return {"reasoning_history": True}
    if endpoint.adaptive_thinking is None and error.search(_ADAPTIVE):
        return {"adaptive_thinking": True}
    if endpoint.adaptive_thinking is None and error.search(_NOT_ADAPTIVE):
        return {"adaptive_thinking": False}
    rule = next((rule for rule, pattern in _TURN_RULES if error.search(pattern)), None)
    if rule is not None:
        return {} if rule in endpoint.turn_rules else {"turn_rules": (rule,)}
    return _effort_correction(endpoint, error) or _tool_correction(endpoint, error) or _removal(endpoint, error)


def _effort_correction(endpoint: Endpoint, error: RefusalText) -> dict[str, Any]:
    """Efforts that the model has, and the one that it wants beside tools."""
    if endpoint.tools_effort is None and error.concerns("effort", "tools") and error.search(_TOOLS_WITHOUT_EFFORT):
        return {"tools_effort": "none"}
    if not error.concerns("effort"):
        return {}
    stated = error.search(_EFFORT_VALUES if "effort" in error.param else _EFFORTS)
    values = (stated[1] or stated[stated.lastindex or 1]) if stated else ""
    efforts = tuple(effort for effort in EFFORTS if re.search(rf"\b{effort}\b", values))
    if efforts and not endpoint.efforts:
        return {"efforts": efforts}
    if error.search(_NO_THINKING):
        return {"leave_out": (*_EFFORT_FIELDS, "thinking")}
    return {"leave_out": _EFFORT_FIELDS} if error.search(_NO_EFFORT) else {}


def _tool_correction(endpoint: Endpoint, error: RefusalText) -> dict[str, Any]:
    """Limits of tools."""
    removed = set(endpoint.tool_schema_leave_out)
    unknown = _UNKNOWN_KEYWORD.findall(error.own_text) if error.search(_UNKNOWN_KEYWORD) else ()
    new = _SCHEMA_KEYWORDS.intersection(unknown) - removed
    if new:
        # A server that rejects a second kind knows few: the retries of one request must suffice.
        return {
            "tool_schema_leave_out": tuple(sorted((_SCHEMA_KEYWORDS if removed else new.union(_COMMENTS)) - removed))
        }
    exact = error.search(_CALL_ID)
    if exact is not None and endpoint.tool_call_id_chars is None:
        return {"tool_call_id_chars": max(1, int(exact[1]))}
    long = error.search(_DESCRIPTION)
    if long is None or endpoint.tool_description_chars is not None:
        return {}
    return {"tool_description_chars": int(long[1][:6])}


def _removal(endpoint: Endpoint, error: RefusalText) -> dict[str, Any]:
    """Fields that the server does not know."""
    match = error.search(_UNKNOWN)
    name = _snake_case(next((group for group in match.groups() if group), "") if match is not None else "")
    if match is None and error.unsupported:
        # A value that is not supported; of the efforts there are others.
        named = error.param.rpartition(".")[2]
        name = named if named in _HINTS - {"reasoning_effort"} else ""
    if name == _NEW_CAP and name not in endpoint.rename and endpoint.rename.get(_OLD_CAP) != name:
        return {"rename": {name: _OLD_CAP}}
    if match is not None and "cache_control" in match[0]:
        return _unmarked(name, endpoint)
    if name == "output_config" and _EFFORT_FIELDS[1] not in endpoint.leave_out:
        return {"leave_out": _EFFORT_FIELDS[1:]}
    path = f"messages.{name}" if name in _HISTORY else f"tools.{name}" if name in TOOL_HINTS else name
    if name not in _HISTORY | _HINTS | TOOL_HINTS or path in endpoint.leave_out:
        return {}
    gateway_fields = [f"messages.{field}" for field in _GATEWAY_FIELDS] if name in _HISTORY else []
    return {"leave_out": tuple(dict.fromkeys((path, *gateway_fields)))}


def _unmarked(name: str, endpoint: Endpoint) -> dict[str, Any]:
    """Removes cache marks, or a field of theirs; they affect the cost alone."""
    field = "cache_control" if name == "cache_control" else f"cache_control.{name}"
    paths = tuple(f"{place}{field}" for place in _MARKED)
    return {"leave_out": paths} if paths[0] not in endpoint.leave_out else {}


_MARKED = ("", "system.", "tools.", "messages.content.", "messages.content.content.")


def _refused_sampling(error: RefusalText) -> dict[str, Any]:
    """A setting for the sampling parameters that the error names as unsupported, in its field, else in its first
    sentence."""
    if not error.unsupported:
        return {}
    named = error.param or error.own_text.partition(". ")[0]
    words = dict.fromkeys(re.findall(r"\w+", _snake_case(named)))
    names = [word for word in words if word in OPTIONAL]
    if "both" in words and len(names) > 1:
        return {"exclusive": tuple(names)}
    if "logprobs" in names:
        # The one makes no sense without the other.
        names.append("top_logprobs")
    return {"leave_out": tuple(sorted(set(names)))} if names else {}


def _snake_case(name: str) -> str:
    """xAI names parameters in camel case."""
    return re.sub(r"(?<=[a-z])[A-Z]", lambda capital: f"_{capital[0].lower()}", name)
