"""Limits of providers' APIs, and how translated requests are fitted to them without loss. Pure.

Names and ids are shortened (and restored in the answer), schemas rewritten, and stop sequences that the endpoint does
not accept applied to the answer. Sources: OpenAI's and Anthropic's API references and error messages, November 2026.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from traffic.loose_json import Tree, dumped, tree, trees


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one API; None: no limit."""

    tool_name_chars: int
    user_id_chars: int | None
    stop_sequences: int | None
    blank_stop: bool
    """Whether a stop sequence may consist of whitespace."""
    tools: int | None
    call_id_chars: int | None = None
    media_types: frozenset[str]
    """Accepted media types of images."""


_IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})

OPENAI = Limits(
    tool_name_chars=64,
    user_id_chars=64,
    stop_sequences=4,
    blank_stop=True,
    tools=128,
    call_id_chars=40,
    media_types=_IMAGES,
)
ANTHROPIC = Limits(
    tool_name_chars=128, user_id_chars=256, stop_sequences=None, blank_stop=False, tools=None, media_types=_IMAGES
)
OWN = Limits(
    tool_name_chars=64, user_id_chars=None, stop_sequences=None, blank_stop=True, tools=None, media_types=_IMAGES
)
"""vLLM."""

CACHE_MARKS = 4
"""Maximum cache breakpoints of one Anthropic request."""

_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_NOT_IN_NAME = re.compile(r"[^a-zA-Z0-9_-]")


def fitted_name(name: str, limits: Limits) -> str:
    """A tool name that the API accepts; deterministic."""
    if len(name) <= limits.tool_name_chars and _NAME.fullmatch(name):
        return name
    tail = "_" + hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:8]
    return _NOT_IN_NAME.sub("_", name)[: limits.tool_name_chars - len(tail)] + tail


def fitted_names(names: Iterable[str], limits: Limits) -> dict[str, str]:
    """Original names by the names sent, for names that change."""
    return {sent: name for name in names if (sent := fitted_name(name, limits)) != name}


def fitted_user(user: str, limits: Limits) -> str:
    """An end user's id; one that is too long is hashed, so that users remain distinct."""
    if limits.user_id_chars is None or len(user) <= limits.user_id_chars:
        return user
    return hashlib.sha256(user.encode("utf-8", "replace")).hexdigest()[: limits.user_id_chars]


def split_stops(stop: Any, limits: Limits) -> tuple[list[str], list[str]]:
    """Stop sequences that the API accepts, and those to apply to its answer."""
    stops = [stop] if isinstance(stop, str) else stop if isinstance(stop, list) else []
    sent: list[str] = []
    applied: list[str] = []
    for text in stops:
        if not isinstance(text, str) or not text or text in sent or text in applied:
            continue
        full = limits.stop_sequences is not None and len(sent) >= limits.stop_sequences
        (applied if full or (not limits.blank_stop and not text.strip()) else sent).append(text)
    return sent, applied


# ---------------------------------------------------------------------------------------------- schemas


def is_strict(schema: Any) -> bool:
    """Whether OpenAI accepts the schema with `strict`: all objects are closed and require every property."""
    if isinstance(schema, list):
        return all(map(is_strict, schema))
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties")
    if isinstance(properties, dict) or schema.get("type") == "object":
        required = schema.get("required")
        if schema.get("additionalProperties") is not False:
            return False
        if set(required if isinstance(required, list) else ()) != set(tree(properties)):
            return False
    if _REFUSED_UNDER_STRICT & schema.keys() or ("format" in schema and not _is_known_format(schema["format"])):
        return False
    # Property names are not keywords, and values of an enum are not schemas.
    by_name = [value for key in SCHEMAS_BY_NAME for value in tree(schema.get(key)).values()]
    inner = [value for key, value in schema.items() if key not in SCHEMA_VALUES.union(SCHEMAS_BY_NAME)]
    return all(map(is_strict, by_name + inner))


def _is_known_format(value: Any) -> bool:
    # A property may be called `format`; its value is then a schema.
    return not isinstance(value, str) or value in _FORMATS


_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
"""Formats that both APIs support in enforced schemas."""
SCHEMAS_BY_NAME = ("properties", "$defs", "definitions")
"""Keywords whose value has schemas by name."""
_REFUSED_UNDER_STRICT = frozenset(
    {"allOf", "oneOf", "not", "dependentRequired", "dependentSchemas", "if", "then", "else", "patternProperties"}
    | {"unevaluatedProperties", "propertyNames", "minProperties", "maxProperties", "contains", "uniqueItems"}
)


def tool_schema(schema: Any) -> Tree:
    """A tool's parameters for Anthropic: type object, without alternatives at the top level."""
    parameters = {key: value for key, value in tree(schema).items() if value is not None}
    alternatives = [key for key in ("anyOf", "oneOf", "allOf") if key in parameters]
    if alternatives:
        parts = [part for key in alternatives for part in trees(parameters.pop(key))]
        properties = dict(tree(parameters.get("properties")))
        for part in parts:
            properties |= tree(part.get("properties"))
        if properties:
            parameters["properties"] = properties
        if not parameters.get("description"):
            parameters["description"] = f"One of: {dumped(parts)}"[:1000]
    return parameters | {"type": "object"}


def function_schema(schema: Any) -> Tree:
    """A tool's parameters for OpenAI: as for Anthropic, with properties, and with items in every array."""
    return tree(_with_items({"properties": {}} | tool_schema(schema)))


def _with_items(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_with_items(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    fitted = {key: value if key in SCHEMA_VALUES else _with_items(value) for key, value in schema.items()}
    if fitted.get("type") == "array" and "prefixItems" not in fitted:
        fitted.setdefault("items", {})
    return fitted


SCHEMA_VALUES = frozenset({"enum", "const", "default", "examples", "required"})
"""Keywords whose value is no schema."""


def answer_schema(schema: Any) -> Any:
    """An answer's schema for Anthropic: objects are closed; unsupported bounds move to the description."""
    if isinstance(schema, list):
        return [answer_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    fitted: Tree = {}
    bounds: Tree = {}
    for key, value in schema.items():
        if _is_refused(key, value):
            bounds[key] = value
        elif key in SCHEMAS_BY_NAME and isinstance(value, dict):
            fitted[key] = {name: answer_schema(inner) for name, inner in value.items()}
        elif key in SCHEMA_VALUES:
            fitted[key] = value
        else:
            fitted[key] = answer_schema(value)
    if "oneOf" in fitted:
        fitted["anyOf"] = fitted.pop("oneOf")
    if fitted.get("type") == "object" or "properties" in fitted:
        fitted["additionalProperties"] = False
    if bounds:
        stated = fitted.get("description")
        fitted["description"] = f"{stated} ({dumped(bounds)})" if isinstance(stated, str) else dumped(bounds)
    return fitted


def _is_refused(key: str, value: Any) -> bool:
    if key == "minItems":
        return value not in (0, 1)
    if key == "format":
        return isinstance(value, str) and value not in _FORMATS | {"uri"}
    return key in _REFUSED_BOUNDS and not isinstance(value, dict)


_REFUSED_BOUNDS = frozenset(
    {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "maxItems"}
    | {"uniqueItems", "minProperties", "maxProperties"}
)


# ------------------------------------------------------------------------------------- stop sequences


class StopCutter:
    """Cuts a streamed text before the stop sequence that is complete first, as generation would have ended there."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._matchers = [_Matcher(stop) for stop in stops]
        self._pending = ""
        self.matched: str | None = None

    def feed(self, text: str) -> str:
        """The text that is certainly part of the answer so far."""
        if self.matched is not None:
            return ""
        for number, char in enumerate(text, start=1):
            complete = [matcher.stop for matcher in self._matchers if matcher.feed(char)]
            if complete:
                self.matched = max(complete, key=len)
                text, self._pending = self._pending + text[:number], ""
                return text[: len(text) - len(self.matched)]
        # The end may be the beginning of a stop sequence.
        keep = max(matcher.length for matcher in self._matchers)
        text = self._pending + text
        self._pending = text[len(text) - keep :]
        return text[: len(text) - keep]

    def close(self) -> str:
        """The text that was held back, at the end of the answer."""
        pending, self._pending = self._pending, ""
        return pending if self.matched is None else ""


class _Matcher:
    """The longest end of a text that begins a stop sequence, in linear time (Knuth, Morris and Pratt, 1977)."""

    def __init__(self, stop: str) -> None:
        self.stop = stop
        self.length = 0
        self._borders = [0]
        """By position in the stop sequence: length of the longest end that also begins it; as far as needed."""

    def feed(self, char: str) -> bool:
        """Whether the stop sequence is complete."""
        while self.length and char != self.stop[self.length]:
            self.length = self._border(self.length)
        self.length += char == self.stop[self.length]
        return self.length == len(self.stop)

    def _border(self, length: int) -> int:
        borders = self._borders
        while len(borders) < length:
            char, border = self.stop[len(borders)], borders[-1]
            while border and char != self.stop[border]:
                border = borders[border - 1]
            borders.append(border + (char == self.stop[border]))
        return borders[length - 1]
