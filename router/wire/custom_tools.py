"""Custom tools, which take a text, as functions with that one argument, for endpoints that have only functions."""

from traffic.loose_json import Tree, dumped, json_or, text, tree

PARAMETERS: Tree = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}


def name_of(tool: Tree) -> str:
    """Of a custom tool, or of a call or choice of one; empty for any other."""
    return text(tree(tool.get("custom")).get("name")) if tool.get("type") == "custom" else ""


def as_function(tool: Tree) -> Tree:
    """A custom tool of chat completions as a function; as it is where a grammar bounds its text."""
    custom = tree(tool.get("custom"))
    if not name_of(tool) or tree(custom.get("format")).get("type", "text") != "text":
        return tool
    function = {key: custom[key] for key in ("name", "description") if custom.get(key)}
    marks = {"cache_control": tool["cache_control"]} if "cache_control" in tool else {}
    return {"type": "function", "function": function | {"parameters": PARAMETERS}} | marks


def as_function_call(call: Tree) -> Tree:
    """A call of a custom tool as one of a function."""
    custom = tree(call.get("custom"))
    kept = {key: value for key, value in call.items() if key != "custom"}
    return kept | {
        "type": "function",
        "function": {"name": text(custom.get("name")), "arguments": arguments(text(custom.get("input")))},
    }


def as_custom_call(call: Tree) -> Tree:
    """The function's call as one of the custom tool."""
    function = tree(call.get("function"))
    kept = {key: value for key, value in call.items() if key != "function"}
    custom = {"name": function.get("name"), "input": input_of(text(function.get("arguments")))}
    return kept | {"type": "custom", "custom": custom}


def arguments(given: str) -> str:
    """The function's arguments for a custom tool's text."""
    return dumped({"input": given})


def input_of(arguments: str) -> str:
    """The text of a custom tool's call; what the model wrote where it is no such object."""
    given = json_or(arguments)
    return given["input"] if isinstance(given, dict) and isinstance(given.get("input"), str) else arguments
