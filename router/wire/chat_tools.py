"""Converts tools of chat completions to Anthropic's: functions, their deprecated form, web search."""

from collections.abc import Iterable
from typing import Any

from router.wire import custom_tools
from router.wire.endpoint_limits import ANTHROPIC, answer_schema, fitted_name, tool_schema
from router.wire.protocol import Untranslatable
from traffic.loose_json import Tree, distinct, text, tree, trees

_CHOICES = {"auto": "auto", "none": "none", "required": "any"}
_WEB_SEARCH = {"type": "web_search_20250305", "name": "web_search"}


def without_functions(sent: Tree) -> Tree:
    """Replaces the deprecated `functions` by `tools`, also in the messages."""
    functions = trees(sent.get("functions"))
    modern = {key: value for key, value in sent.items() if key not in ("functions", "function_call")}
    if functions:
        modern["tools"] = [{"type": "function", "function": function} for function in functions]
        choice = sent.get("function_call")
        if choice is not None:
            choice_by_name = {"type": "function", "function": {"name": tree(choice).get("name")}}
            modern["tool_choice"] = choice_by_name if isinstance(choice, dict) else choice
    modern["messages"] = list(_modern_messages(sent["messages"]))
    return modern


def _modern_messages(messages: Iterable[Tree]) -> Iterable[Tree]:
    for message in messages:
        if isinstance(message.get("function_call"), dict):
            call = {"type": "function", "function": message["function_call"]}
            modern = {key: value for key, value in message.items() if key != "function_call"}
            yield modern | {"tool_calls": [call]}
        elif message.get("role") == "function":
            yield message | {"role": "tool"}
        else:
            yield message


def add_tools(sent: Tree, body: Tree) -> None:
    """Add tools and tool choice to `body`. Raises: Untranslatable."""
    tools = [as_function(tool) for tool in trees(sent.get("tools"))]
    choice, tools = _among_allowed(_as_choice(sent.get("tool_choice")), tools)
    # An agent that starts a tool server twice offers its tools twice.
    translated = distinct(map(anthropic_tool, tools))
    if "web_search_options" in sent:
        translated.append(web_search(sent["web_search_options"])[0])
    if not translated:
        return
    body["tools"] = translated
    if isinstance(choice, dict):
        if choice.get("type") != "function":
            raise Untranslatable(f"tool_choice {choice.get('type')}")
        body["tool_choice"] = {"type": "tool", "name": fitted_name(choice["function"]["name"], ANTHROPIC)}
    elif choice is not None:
        if choice not in _CHOICES:
            raise Untranslatable(f"tool_choice {choice}")
        body["tool_choice"] = {"type": _CHOICES[choice]}
    if sent.get("parallel_tool_calls") is False and choice != "none":
        body.setdefault("tool_choice", {"type": "auto"})["disable_parallel_tool_use"] = True


def add_called_tools(body: Tree) -> None:
    """Declare the tools that the conversation called, if the client sends none: the API rejects calls without tools."""
    blocks = [block for turn in body["messages"] for block in trees(turn["content"])]
    names = dict.fromkeys(block["name"] for block in blocks if block["type"] == "tool_use")
    if names and "tools" not in body:
        body["tools"] = [{"name": name, "input_schema": {"type": "object"}} for name in names]
        body["tool_choice"] = {"type": "none"}


def as_function(tool: Tree) -> Tree:
    """A tool in the format of chat completions; some clients use that of the Responses API or of Anthropic."""
    if custom_tools.name_of(tool):
        return custom_tools.as_function(tool)
    if "function" in tool or not text(tool.get("name")) or tool.get("type") not in ("function", "custom", None):
        return tool
    schema = tool.get("input_schema", tool.get("parameters"))
    if tool.get("type") == "custom" and schema is None:
        return custom_tools.as_function({"type": "custom", "custom": tool})
    function = {key: tool[key] for key in ("name", "description", "strict", "cache_control") if key in tool}
    return {"type": "function", "function": function | {"parameters": schema}}


def is_flat(tool: Tree) -> bool:
    """Whether a tool has the format of the Responses API or of Anthropic, which servers of chat completions reject."""
    return "name" in tool and "function" not in tool and "custom" not in tool


def nested(tool: Tree) -> Tree:
    """A flat tool in the format of chat completions, for endpoints with custom tools."""
    if not is_flat(tool):
        return tool
    if tool.get("type") != "custom" or "parameters" in tool or "input_schema" in tool:
        return as_function(tool)
    custom = {key: tool[key] for key in ("name", "description", "format") if key in tool}
    grammar = {key: value for key, value in tree(tool.get("format")).items() if key != "type"}
    if tree(tool.get("format")).get("type") == "grammar" and "grammar" not in grammar:
        custom["format"] = {"type": "grammar", "grammar": grammar}
    return {"type": "custom", "custom": custom}


def nested_choice(choice: Any) -> Any:
    """A flat tool choice in the format of chat completions, for endpoints with custom tools."""
    if tree(choice).get("type") == "custom" and is_flat(choice):
        return {"type": "custom", "custom": {"name": choice["name"]}}
    return choice if "custom" in tree(choice) else _as_choice(choice)


def _as_choice(choice: Any) -> Any:
    """A tool choice in the format of chat completions; some clients use those of other APIs."""
    words = {"any": "required", "auto": "auto", "none": "none", "required": "required"}
    if isinstance(choice, str):
        return words.get(choice, choice)
    if not isinstance(choice, dict):
        return choice
    kind, name = choice.get("type"), custom_tools.name_of(choice) or text(choice.get("name"))
    if kind in ("tool", "function", "custom") and name and "function" not in choice:
        return {"type": "function", "function": {"name": name}}
    return words.get(text(kind), choice)


def _among_allowed(choice: Any, tools: list[Tree]) -> tuple[Any, list[Tree]]:
    """Tool choice and tools, with an `allowed_tools` choice resolved to its mode and the allowed tools."""
    if tree(choice).get("type") != "allowed_tools":
        return choice, tools
    stated = tree(choice.get("allowed_tools")) or choice
    allowed = {_name(as_function(tool)) for tool in trees(stated.get("tools"))}
    return stated.get("mode", "auto"), [tool for tool in tools if _name(tool) in allowed]


def _name(tool: Tree) -> str:
    return text((tree(tool.get("function")) or tree(tool.get("custom"))).get("name"))


def web_search(options: Any) -> tuple[Tree, bool]:
    """`web_search_options` as Anthropic's tool, and whether they set a context size, which has no equivalent."""
    stated = tree(options)
    location = tree(stated.get("user_location"))
    approximate = {"type": "approximate", **(tree(location.get("approximate")) or location)}
    tool = _WEB_SEARCH | ({"user_location": approximate} if location else {})
    return tool, stated.get("search_context_size") is not None


def anthropic_tool(tool: Tree) -> Tree:
    """Anthropic's definition of a function tool. Raises: Untranslatable."""
    if custom_tools.name_of(tool):
        raise Untranslatable("tools.custom.format that is a grammar")
    if tool.get("type") != "function":
        raise Untranslatable(f"tools of type {tool.get('type')}")
    function = tool["function"]
    name = fitted_name(function["name"], ANTHROPIC)
    definition: Tree = {"name": name, "input_schema": tool_schema(function.get("parameters"))}
    if function.get("description"):
        definition["description"] = function["description"]
    if function.get("strict"):
        definition |= {"strict": True, "input_schema": answer_schema(definition["input_schema"])}
    mark = next((m for source in (tool, function) if isinstance(m := source.get("cache_control"), dict)), None)
    return definition if mark is None else definition | {"cache_control": mark}
