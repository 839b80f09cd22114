"""Treats a forced call of one function as a JSON answer: the arguments are the answer, the parameters its schema.

Applications force a function (`tool_choice` names it, or requires a call and offers only one) to get JSON of a given
shape. A call that the model was free to make is not an answer.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

_CONFIDENCE_KEYS = frozenset({"confidence", "score", "probability", "certainty"})


class ForcedCall(NamedTuple):
    """Arguments of the forced function, and their schema."""

    arguments: str
    """JSON text of an object."""
    response_format: str
    """JSON text; the parameters as the answer's schema."""


def of(
    calls: Sequence[Mapping[str, Any]] | None,
    tools: Sequence[Mapping[str, Any]] | None,
    parameters: Mapping[str, Any],
) -> ForcedCall | None:
    """The forced call of an answer; None if none was forced or its form is unknown.

    `tools` in the form of OpenAI, Anthropic or the older `functions` parameter; `parameters` of the request.
    """
    if not calls or len(calls) != 1:
        return None
    format_ = response_format(tools, parameters)
    function = calls[0].get("function") or calls[0]
    if format_ is None or function.get("name") != format_["json_schema"]["name"]:
        return None
    arguments = function.get("arguments", function.get("input"))
    text = arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()
    return ForcedCall(text, msgspec.json.encode(format_).decode())


def choice(parameters: Mapping[str, Any]) -> Any:
    """The request's `tool_choice`, or its older name `function_call`."""
    return parameters.get("tool_choice") or parameters.get("function_call")


def response_format(tools: Sequence[Any] | None, parameters: Mapping[str, Any]) -> dict[str, Any] | None:
    """The schema of the function that a request forces, as the format of its answer; None if none is forced."""
    chosen = choice(parameters)
    if not tools or not chosen:
        return None
    listed = [_function(tool) for tool in tools if isinstance(tool, Mapping)]
    functions = {name: schema for name, schema in listed if name}
    name = _forced(chosen, list(functions))
    if name is None:
        return None
    return {"type": "json_schema", "json_schema": {"name": name, "schema": functions[name] or {"type": "object"}}}


def chooses(format_: Mapping[str, Any] | None) -> bool:
    """Whether a forced call is a choice among labels: one argument has an enum, and none is open.

    A confidence beside them counts as neither.
    """
    schema = format_["json_schema"]["schema"] if format_ is not None else None
    if not isinstance(schema, Mapping) or not isinstance(properties := schema.get("properties"), Mapping):
        return False
    definitions = schema.get("$defs", schema.get("definitions"))
    known = _Definitions(definitions if isinstance(definitions, Mapping) else {})
    values = [known.values(value) for key, value in properties.items() if str(key).lower() not in _CONFIDENCE_KEYS]
    return "labels" in values and "open" not in values


_Values = Literal["labels", "closed", "open"]
_MAX_DEPTH = 20
"""Of schemas inside one another: deeper ones are open."""


class _Definitions:
    """The named definitions of a schema, each looked at once."""

    def __init__(self, schemas: Mapping[str, Any]) -> None:
        self._schemas = schemas
        self._known: dict[str, _Values] = {}

    def values(self, schema: Any, depth: int = 0) -> _Values:
        """Whether a schema lists its values, has as few by its type (yes or no, null), or is open."""
        if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
            return "open"
        if isinstance(schema.get("enum"), list):
            return "labels"
        if schema.get("type") in ("boolean", "null") or "const" in schema:
            return "closed"
        if schema.get("type") == "array":
            return self.values(schema.get("items"), depth + 1)
        name = str(schema.get("$ref", "")).rpartition("/")[2]
        if name in self._schemas:
            return self._named(name, depth)
        options = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
        values = [self.values(option, depth + 1) for option in options] if isinstance(options, list) else ["open"]
        return "open" if "open" in values else "labels" if "labels" in values else "closed"

    def _named(self, name: str, depth: int) -> _Values:
        if name not in self._known:
            # A definition that refers to itself is open.
            self._known[name] = "open"
            self._known[name] = self.values(self._schemas[name], depth + 1)
        return self._known[name]


def _function(tool: Mapping[str, Any]) -> tuple[str | None, Any]:
    function = tool.get("function") if isinstance(tool.get("function"), Mapping) else tool
    assert isinstance(function, Mapping)
    name = function.get("name")
    return name if isinstance(name, str) else None, function.get("parameters", function.get("input_schema"))


def _forced(choice: Any, names: Sequence[str]) -> str | None:
    """Name of the function that the model had to call; None if it had a choice."""
    if isinstance(choice, Mapping):
        function = choice.get("function") if isinstance(choice.get("function"), Mapping) else choice
        assert isinstance(function, Mapping)
        if function.get("name") in names:
            return str(function["name"])
        if isinstance(allowed := _allowed(choice), list):
            names = [name for name in names if name in allowed]
        choice = _mode(choice)
    required = isinstance(choice, str) and choice.lower() in ("required", "any")
    return names[0] if required and len(names) == 1 else None


def _mode(choice: Mapping[str, Any]) -> Any:
    allowed = choice.get("allowed_tools")
    mode = allowed.get("mode") if isinstance(allowed, Mapping) else choice.get("mode")
    return mode or choice.get("type")


def _allowed(choice: Mapping[str, Any]) -> list[Any] | None:
    """Names that the choice is limited to; None without a limit."""
    allowed = choice.get("allowed_tools")
    listed = allowed.get("tools") if isinstance(allowed, Mapping) else choice.get("tools")
    if not isinstance(listed, list):
        return None
    return [_function(tool)[0] if isinstance(tool, Mapping) else tool for tool in listed]
