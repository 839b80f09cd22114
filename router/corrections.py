"""What refusals ask for: a table of the errors of servers, and the settings of an endpoint that correct them. Pure.

    error = RefusalText("'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.")
    next(corrections(endpoint, error)) == {"rename": {"max_tokens": "max_completion_tokens"}}

Settings are those of `traffic.tiers.Endpoint`, as in the configuration.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from router.refusal_text import RefusalText
from router.wire.anthropic_requests import TOOL_HINTS
from router.wire.openai import OPTIONAL
from router.wire.thinking import EFFORTS
from traffic.tiers import Endpoint

Settings = dict[str, Any]
"""Settings of an endpoint by name."""
MAX_RENAMES = 8


class Rule(NamedTuple):
    """An error, and the settings that correct it."""

    error: re.Pattern[str]
    settings: Settings | Callable[[Endpoint, re.Match[str]], Settings]
    """Empty: none."""
    parameters: tuple[str, ...] = ()
    """Parts of names: if the error names a parameter in a field of its own, it has one of them. Empty: any."""
    must_be_named: bool = False
    """The error has to name a parameter in a field of its own."""

    def concerns(self, error: RefusalText) -> bool:
        return error.names(*self.parameters) if self.must_be_named or (self.parameters and error.param) else True


def corrections(endpoint: Endpoint, error: RefusalText) -> Iterator[Settings]:
    """Settings that the refusal may ask for, the most specific ones first. `endpoint`: with all that was learned."""
    for rule in RULES:
        if rule.concerns(error) and (match := error.search(rule.error)) is not None:
            settings = rule.settings
            yield settings(endpoint, match) if callable(settings) else settings
    hint = error.param.rpartition(".")[2]
    if error.unsupported and hint in HINTS - {"reasoning_effort"}:
        # A value that is not supported; of the efforts there are others.
        yield {"leave_out": (hint,)}


def refused_sampling(error: RefusalText) -> Settings:
    """Settings for the sampling parameters that the error names as unsupported, in its field, else in the first
    sentence that names anything."""
    if not error.unsupported:
        return {}
    sentences = error.own_text.split(". ")
    sentence = _words(next((stated for stated in sentences if _NAME.search(stated)), sentences[0]))
    named = [word for word in sentence if word in OPTIONAL]
    if "both" in sentence and len(named) > 1:
        return {"exclusive": tuple(named)}
    if error.names_a_field_of_the_request:
        named = [word for word in _words(error.param) if word in OPTIONAL]
    if "logprobs" in named:
        # The one makes no sense without the other.
        named.append("top_logprobs")
    return {"leave_out": tuple(sorted(set(named)))} if named else {}


_NAME = re.compile(r"['\"`]\w|\w_\w|\btemperature\b|\bseed\b|\blogprobs\b")


def _words(text: str) -> list[str]:
    return list(dict.fromkeys(re.findall(r"\w+", _snake_case(text))))


def _snake_case(name: str) -> str:
    """xAI names parameters in camel case."""
    return re.sub(r"(?<=[a-z])[A-Z]", lambda capital: f"_{capital[0].lower()}", name)


# ----------------------------------------------------------------------------------- what can be removed

HINTS = frozenset(
    {"store", "metadata", "user", "service_tier", "prompt_cache_key", "prompt_cache_retention", "safety_identifier"}
    | {"stream_options", "verbosity", "prediction", "reasoning_effort", "thinking", "context_management", "speed"}
    | {"diagnostics"}
)
"""Parameters that can be removed without making the answer wrong."""
_HISTORY = frozenset(
    {"reasoning", "reasoning_content", "reasoning_details", "thinking_blocks", "provider_specific_fields"}
    | {"annotations", "refusal", "images"}
)
"""Fields of earlier answers in `messages` that can be removed without changing the conversation."""
_GATEWAY_FIELDS = ("reasoning_details", "thinking_blocks", "provider_specific_fields")
"""Of `_HISTORY`: known to gateways alone, so that a server which rejects one field of earlier answers has no use for
them. Learned together, because the retries of one request would not suffice to learn them one by one."""
_EFFORTS = ("reasoning_effort", "output_config.effort")
_MARKED = ("", "system.", "tools.", "messages.content.", "messages.content.content.")
"""Where cache marks may be; they affect the cost alone."""
REMOVABLE: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name in HINTS},
    **{name: (f"tools.{name}",) for name in TOOL_HINTS},
    **{name: tuple(f"messages.{field}" for field in dict.fromkeys((name, *_GATEWAY_FIELDS))) for name in _HISTORY},
    "output_config": _EFFORTS[1:],
}
"""Paths for `leave_out`, by the name of the unknown field."""
_COMMENTS = frozenset({"$schema", "$id", "$comment", "enumDescriptions", "markdownDescription"})
"""Schema keywords without effect on the arguments; learned together, like `_GATEWAY_FIELDS`."""
_SCHEMA_KEYWORDS = _COMMENTS.union(
    {"additionalProperties", "unevaluatedProperties", "propertyNames", "patternProperties", "exclusiveMinimum"}
    | {"exclusiveMaximum", "multipleOf", "uniqueItems", "contains", "examples", "default", "title", "minProperties"}
    | {"maxProperties", "dependentRequired", "contentEncoding", "contentMediaType", "deprecated", "readOnly"}
    | {"writeOnly"}
)
"""Keywords of tool schemas that can be removed with little loss."""


# ------------------------------------------------------------------------- settings that depend on the error


def _renamed(endpoint: Endpoint, old: str, new: str) -> Settings:
    renames = endpoint.rename
    # Two names that replace each other would alternate forever.
    if old == new or old in renames or renames.get(new) == old or len(renames) >= MAX_RENAMES:
        return {}
    return {"rename": {old: new}}


def _efforts(endpoint: Endpoint, match: re.Match[str]) -> Settings:
    efforts = tuple(effort for effort in EFFORTS if re.search(rf"\b{effort}\b", match[match.lastindex or 0]))
    return {"efforts": efforts} if efforts and not endpoint.efforts else {}


def _without_keywords(endpoint: Endpoint, match: re.Match[str]) -> Settings:
    removed = set(endpoint.tool_schema_leave_out)
    new = _SCHEMA_KEYWORDS.intersection(match.re.findall(match.string)) - removed
    # A server that rejects a second kind knows few: the retries of one request must suffice.
    left_out = (_SCHEMA_KEYWORDS if removed else new | _COMMENTS) - removed
    return {"tool_schema_leave_out": tuple(sorted(left_out))} if new else {}


def _without_field(endpoint: Endpoint, match: re.Match[str]) -> Settings:
    name = _snake_case(match[match.lastindex or 0])
    if name == "max_completion_tokens":
        return _renamed(endpoint, name, "max_tokens")
    if "cache_control" in match[0]:
        field = "cache_control" if name == "cache_control" else f"cache_control.{name}"
        return {"leave_out": tuple(f"{place}{field}" for place in _MARKED)}
    return {"leave_out": REMOVABLE[name]} if name in REMOVABLE else {}


# ---------------------------------------------------------------------------------------------- the table


def _error(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_VALUES = r"not support.{0,120}?(?:supported|valid|allowed) values are:?([^.]{1,120})"
_FIELD = r"(?:[\w.\[\]]*[.\]])?(\w{1,64})"

RULES = (
    Rule(
        _error(
            r"['\"`](\w{1,64})['\"`] (?:is|was) (?:not supported|unsupported|deprecated|not allowed)[^.]{0,120}\.?\s*"
            r"(?:please )?use ['\"`](\w{1,64})['\"`]"
        ),
        lambda endpoint, match: _renamed(endpoint, match[1], match[2]),
    ),
    Rule(
        _error(
            r"(?:unknown|invalid|unsupported|unexpected|not (?:one of|a valid|supported))[^.]{0,80}\bdeveloper\b"
            r"|\bdeveloper\b[^.]{0,80}(?:is not|does not match|not (?:one of|a valid|supported|allowed))"
        ),
        {"roles": {"developer": "system"}},
        ("role", "messages", "input"),
    ),
    Rule(
        _error(
            r"reasoning_content\W{1,4}[^.]{0,60}must be (?:passed|sent|provided)|missing\W{1,3}reasoning_content"
            r"|reasoning_content\W{1,4}is missing"
        ),
        {"reasoning_history": True},
    ),
    Rule(
        _error(r"thinking\.type\.enabled\W{1,3}is not supported|use \W?thinking\.type\.adaptive"),
        {"adaptive_thinking": True},
    ),
    Rule(
        _error(
            r"tag \W?adaptive\b.{0,40}does not match|adaptive thinking\W{1,3}is not supported"
            r"|not support adaptive thinking|\bthinking\.type: input should be"
        ),
        {"adaptive_thinking": False},
    ),
    Rule(
        _error(r"unexpected role \W?user\W? after role \W?tool"),
        {"turn_rules": ("assistant_after_tool",)},
    ),
    Rule(_error(r"roles must alternate"), {"turn_rules": ("alternate",)}),
    Rule(
        _error(
            r"system (?:messages?|prompts?|role) (?:must|should|can only|may only|is only|are only)\b[^.]{0,60}"
            r"\b(?:beginning|start|first)\b|unexpected role \W?system\W? after"
        ),
        {"turn_rules": ("system_first",)},
    ),
    Rule(
        _error(r"tools with \W?reasoning_effort\W? are not supported"),
        {"tools_effort": "none"},
        ("effort", "tools"),
    ),
    Rule(_error(_VALUES), _efforts, ("effort",), must_be_named=True),
    Rule(
        _error(rf"effort\b.{{0,80}}?{_VALUES}|output_config\.effort: input should be ([^.]{{1,120}})"),
        _efforts,
        ("effort",),
    ),
    Rule(
        _error(r"\bdoes not support (?:thinking|reasoning)\W*$"),
        {"leave_out": (*_EFFORTS, "thinking", "context_management")},
        ("effort",),
    ),
    Rule(
        _error(r"not support (?:the )?\W?(?:reasoning_)?effort\b|effort\W{1,3}(?:parameter )?is not supported"),
        {"leave_out": _EFFORTS},
        ("effort",),
    ),
    Rule(_error(r"Unknown name \"([$\w]+)\" at '[^']*(?:tools|function_declarations)\b"), _without_keywords),
    Rule(
        _error(r"tool call id .{0,200}must be a-z, A-Z, 0-9,? with a length of (\d{1,3})"),
        lambda _, match: {"tool_call_id_chars": max(1, int(match[1]))},
    ),
    Rule(
        _error(r"tools\W\d+\W[\w.]*description\b.{0,60}too long.{0,60}maximum length (\d{1,6})"),
        lambda _, match: {"tool_description_chars": int(match[1])},
    ),
    Rule(
        _error(
            rf"(?:unknown|unsupported|unrecognized|unexpected) (?:request )?(?:parameter|argument|field|property|key)"
            rf"(?: supplied)?:? ['\"`]?{_FIELD}['\"`]?"
            rf"|(?:property|parameter|field) ['\"`]{_FIELD}['\"`] is (?:unsupported|not supported|not allowed|unknown)"
            rf"|{_FIELD}:? (?:extra inputs are not permitted|extra fields not permitted)"
            rf"|additional properties are not allowed \(['\"`]{_FIELD}['\"`] w(?:as|ere) unexpected\)"
            rf"|(?:argument|parameter) (?:is )?not supported (?:on|by|with) this model: {_FIELD}"
            rf"|does not support (?:the )?(?:parameter|argument):? ['\"`]?{_FIELD}"
        ),
        _without_field,
    ),
)
"""The most specific errors first."""

FOREIGN_THINKING = _error(
    r"\b(?:signature|data)\W{1,3}in\W{1,3}(?:redacted_)?thinking\W{1,3}block|\bthinking\.signature\b.{0,40}required"
    r"|thinking\W{1,3}blocks?\b.{0,80}cannot be modified"
)
"""Thinking in the history that another provider signed. It concerns one conversation, so no setting corrects it."""
