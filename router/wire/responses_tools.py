"""Converts tools of OpenAI's Responses API to chat completions, and maps their names back.

A tool in a namespace (used by Codex for agents and MCP servers) becomes the function `namespace__tool`; in its calls,
namespace and name are restored. A tool search that the client runs becomes the function `tool_search`.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from router.wire import custom_tools
from router.wire.endpoint_limits import OPENAI, fitted_name
from traffic.loose_json import Tree, text, tree, trees

SEARCH = "tool_search"
_WITH_TOOLS = ("additional_tools", "tool_search_output")
"""Types of input items that offer tools."""


class ResponseTool(msgspec.Struct, frozen=True):
    """A tool that the client runs."""

    sent_name: str
    """Name in chat completions."""
    name: str
    namespace: str
    kind: str
    """`function`, `custom` or `tool_search`."""
    spec: Tree = {}

    @property
    def custom(self) -> bool:
        return self.kind == "custom"

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
    return fitted_name(f"{namespace}__{name}" if isinstance(namespace, str) and namespace else name, OPENAI)


def tools_of(tools: Any, namespace: str = "") -> Iterator[ResponseTool]:
    """Functions and custom tools, including those in namespaces."""
    for tool in trees(tools):
        kind, name = tool.get("type"), text(tool.get("name"))
        if kind == "namespace" and not namespace:
            yield from tools_of(tool.get("tools"), name)
        elif kind in ("function", "custom"):
            yield ResponseTool(sent_name(name, namespace), name, namespace, kind, tool)
        elif is_client_search(tool):
            yield ResponseTool(SEARCH, SEARCH, "", SEARCH, tool)


def tools_by_name(offered: list[Tree]) -> dict[str, ResponseTool]:
    """The tools by their name in chat completions; of one that is offered again, after a search, the last."""
    return {tool.sent_name: tool for tool in tools_of(offered)}


def is_client_search(tool: Tree) -> bool:
    """Whether the tool is a tool search that the client runs."""
    return tool.get("type") == SEARCH and tool.get("execution") == "client"


def hosted(tools: Any) -> list[str]:
    """Types of hosted tools."""
    return [
        str(tool.get("type"))
        for tool in trees(tools)
        if tool.get("type") not in ("function", "custom", "namespace") and not is_client_search(tool)
    ]


def offered_tools(tools: Any, items: Any) -> list[Tree]:
    """Tools of a request, including those of its input items."""
    return trees(tools) + [tool for item in trees(items) if offers_tools(item) for tool in trees(item["tools"])]


def offers_tools(item: Tree) -> bool:
    return item.get("type") in _WITH_TOOLS and isinstance(item.get("tools"), list)


def offered_in(native: dict[str, msgspec.Raw]) -> list[Tree]:
    """`offered_tools` of an undecoded request."""
    tools, items = native.get("tools", msgspec.Raw(b"[]")), bytes(native.get("input", b""))
    adding = any(items.find(b'"%b"' % kind.encode()) >= 0 for kind in _WITH_TOOLS)
    return offered_tools(msgspec.json.decode(tools), msgspec.json.decode(items) if adding else [])
