"""Converts tools of OpenAI's Responses API to chat completions, and maps their names back.

A tool in a namespace (used by Codex for agents and MCP servers) becomes the function `namespace__tool`; in its calls,
namespace and name are restored.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from router.wire import custom_tools
from router.wire.endpoint_limits import OPENAI, fitted_name
from traffic.loose_json import Tree, text, tree, trees


class ResponseTool(msgspec.Struct, frozen=True):
    """A function or a custom tool."""

    sent_name: str
    """Name in chat completions."""
    name: str
    namespace: str
    custom: bool
    spec: Tree = {}

    def as_function(self) -> Tree:
        """The tool in the format of chat completions."""
        parameters = custom_tools.PARAMETERS if self.custom else self.spec.get("parameters") or {"type": "object"}
        function: Tree = {"name": self.sent_name, "parameters": parameters}
        keys = ("description",) if self.custom else ("description", "strict")
        function |= {key: self.spec[key] for key in keys if self.spec.get(key) is not None}
        grammar = tree(self.spec.get("format"))
        if self.custom and text(grammar.get("definition")):
            # The grammar is not enforced, but the model can read it.
            grammar_note = f"The input follows this {grammar.get('syntax', '')} grammar:\n{grammar['definition']}"
            function["description"] = "\n\n".join(filter(None, (text(function.get("description")), grammar_note)))
        return {"type": "function", "function": function}

    def as_called(self) -> Tree:
        """Name fields of a call."""
        return {"name": self.name} | ({"namespace": self.namespace} if self.namespace else {})


def sent_name(name: str, namespace: Any) -> str:
    """Name of a tool in chat completions."""
    return fitted_name(f"{namespace}__{name}", OPENAI) if isinstance(namespace, str) and namespace else name


def tools_of(tools: Any, namespace: str = "") -> Iterator[ResponseTool]:
    """Functions and custom tools, including those in namespaces."""
    for tool in trees(tools):
        kind, name = tool.get("type"), text(tool.get("name"))
        if kind == "namespace" and not namespace:
            yield from tools_of(tool.get("tools"), name)
        elif kind in ("function", "custom"):
            yield ResponseTool(sent_name(name, namespace), name, namespace, kind == "custom", tool)


def hosted(tools: Any) -> list[str]:
    """Types of hosted tools."""
    return [
        str(tool.get("type")) for tool in trees(tools) if tool.get("type") not in ("function", "custom", "namespace")
    ]
