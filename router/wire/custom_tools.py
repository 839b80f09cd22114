"""Converts custom tools, whose input is a text, to functions with one argument, for endpoints without custom tools."""

from traffic.loose_json import Tree, dumped, json_or, text, tree

PARAMETERS: Tree = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}


def name_of(tool: Tree) -> str:
    """Name in a custom tool, its call or its choice; empty for others."""
    return text(tree(tool.get("custom")).get("name")) if tool.get("type") == "custom" else ""


def as_function(tool: Tree) -> Tree:
    """A custom tool of chat completions as a function; unchanged if a grammar restricts its input."""
    custom = tree(tool.get("custom"))
    if not name_of(tool) or tree(custom.get("format")).get("type", "text") != "text":
        return tool
    function = {key: custom[key] for key in ("name", "description") if custom.get(key)}
    marks = {"cache_control": tool["cache_control"]} if "cache_control" in tool else {}
    return {"type": "function", "function": function | {"parameters": PARAMETERS}} | marks


def as_function_call(call: Tree) -> Tree:
    """A call of a custom tool as a function call."""
    custom = tree(call.get("custom"))
    fields = {key: value for key, value in call.items() if key != "custom"}
    return fields | {
        "type": "function",
        "function": {"name": text(custom.get("name")), "arguments": arguments(text(custom.get("input")))},
    }


def as_custom_call(call: Tree) -> Tree:
    """The function call as a call of the custom tool."""
    function = tree(call.get("function"))
    fields = {key: value for key, value in call.items() if key != "function"}
    custom = {"name": function.get("name"), "input": input_of(text(function.get("arguments")))}
    return fields | {"type": "custom", "custom": custom}


def arguments(text: str) -> str:
    """The function's arguments for a custom tool's input."""
    return dumped({"input": text})


def input_of(arguments: str) -> str:
    """The input text in the function's arguments; the arguments themselves if they have another form."""
    value = json_or(arguments)
    return value["input"] if isinstance(value, dict) and isinstance(value.get("input"), str) else arguments
