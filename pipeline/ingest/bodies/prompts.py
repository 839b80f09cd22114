"""Request bodies of every provider's API, recognised by their own keys."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeGuard

from pipeline.ingest.bodies.exchange import Prompt, Unreadable, function_tool
from pipeline.ingest.bodies.messages import Conversation, items_of, read_conversation
from pipeline.ingest.values import Notes, count, flag, number, opened_value, text
from traffic.record import Params

_CAPS = (
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "maxTokens",
    "maxOutputTokens",
    "maxTokenCount",
    "max_gen_len",
    "max_new_tokens",
    "max_tokens_to_sample",
    "num_predict",
    "n_predict",
)
_TEMPERATURES = ("temperature",)
PARAMETERS = ("optional_params", "model_parameters", "parameters", "kwargs")
"""Keys of an object with sampling parameters inside a request; the first one counts."""
_SORTED_ELSEWHERE = frozenset(
    {*_CAPS, "temperature", "stream", "tools", "functions", "response_format", "messages", "model", "metadata"}
)


def read_messages(value: Any) -> list[dict[str, Any]]:
    """Messages of any API in OpenAI's form. Raises: Unreadable if there are none."""
    messages = read_conversation(value).messages
    if not messages:
        raise Unreadable("not_chat", "the list of messages is empty")
    return messages


def read_prompt(tree: Any, notes: Notes, *, parameters: Mapping[str, Any] | None = None) -> Prompt:
    """Reads a request body of any API; `parameters`: logged separately from the body. Raises: Unreadable."""
    tree = opened_value(tree)
    if isinstance(tree, list | str) and tree:
        tree = {"messages": tree}
    if not isinstance(tree, Mapping):
        raise Unreadable("wrong_types", f"the request is {type(tree).__name__}, not an object")
    if isinstance(inside := tree.get("input"), Mapping) and not inside.keys().isdisjoint(("messages", "prompt")):
        # DashScope's requests.
        tree = {**_beside(tree, "input"), **inside}
    apart = next((inside for key in PARAMETERS if isinstance(inside := opened_value(tree.get(key)), Mapping)), None)
    if apart is not None:
        tree, parameters = _beside(tree, *PARAMETERS), {**apart, **(parameters or {})}
    read = next((read for recognises, read in _READERS if recognises(tree)), None)
    if read is None:
        keys = ", ".join(map(str, list(tree)[:8]))
        raise Unreadable("not_chat", f"the request has no messages, input or prompt: keys {keys}")
    prompt = read({k: v for k, v in {**tree, **(parameters or {})}.items() if not _is_unset(v)}, notes)
    if not prompt.messages:
        raise Unreadable("not_chat", "the list of messages is empty")
    prompt.model = prompt.model or text(tree.get("model"), "model", notes)
    return prompt


def _is_unset(value: Any) -> bool:
    """Whether a value is a client's printed marker for "not given"."""
    return isinstance(value, str) and (
        value in _UNSET or (value.startswith("<") and _UNSET_OBJECT.match(value) is not None)
    )


_UNSET = frozenset({"NOT_GIVEN", "omit", "Omit"})
_UNSET_OBJECT = re.compile(r"<[\w.]*(?:omit|not_?given)\b[^<>]*>$", re.IGNORECASE)


def read_params(tree: Mapping[str, Any], notes: Notes, left_out: Iterable[str] = ()) -> Params:
    """Sampling parameters; unreadable values become null."""
    skipped = _SORTED_ELSEWHERE.union(left_out) if left_out else _SORTED_ELSEWHERE
    cap = next((count(tree[key], key, notes) for key in _CAPS if tree.get(key) is not None), None)
    temperature = next((number(tree[key], key, notes) for key in _TEMPERATURES if tree.get(key) is not None), None)
    return Params(
        # Some clients write 0 or -1 for "no cap".
        max_tokens=cap or None,
        temperature=None if temperature is None else float(temperature),
        stream=bool(flag(tree.get("stream"), "stream", notes)),
        other={str(key): value for key, value in tree.items() if key not in skipped and value is not None},
    )


def _made(conversation: Conversation, **fields: Any) -> Prompt:
    return Prompt(messages=conversation.messages, images=conversation.media, **fields)


def read_tools(tree: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """Tool definitions of any API in OpenAI's form."""
    listed = opened_value(tree.get("tools"))
    if not isinstance(listed, list):
        functions = opened_value(tree.get("functions"))
        listed = functions if isinstance(functions, list) else []
    tools: list[dict[str, Any]] = []
    for tool in listed:
        if isinstance(tool, Mapping):
            tools += _tool(tool)
    return tools or None


def _tool(tool: Mapping[str, Any]) -> list[dict[str, Any]]:
    if isinstance(tool.get("function"), Mapping):
        return [dict(tool)]
    if isinstance(spec := tool.get("toolSpec"), Mapping):
        schema = spec.get("inputSchema")
        schema = schema.get("json", schema) if isinstance(schema, Mapping) else schema
        return [function_tool(spec.get("name"), spec.get("description"), schema)]
    declared = tool.get("functionDeclarations", tool.get("function_declarations"))
    if isinstance(declared, list):
        return [
            function_tool(d.get("name"), d.get("description"), d.get("parameters"))
            for d in declared
            if isinstance(d, Mapping)
        ]
    schema = next((tool[key] for key in _TOOL_SCHEMAS if key in tool), None)
    if "name" in tool and (schema is not None or tool.get("type") == "function"):
        return [function_tool(tool["name"], tool.get("description"), schema)]
    # Tools that the provider runs (web search, code): kept unchanged.
    return [dict(tool)] if "type" in tool else []


_TOOL_SCHEMAS = ("input_schema", "parameters", "inputSchema", "schema")


def _format(value: Any) -> dict[str, Any] | None:
    value = opened_value(value)
    if isinstance(value, str):
        return {"type": value}
    if not isinstance(value, Mapping):
        return None
    if value.get("type") in ("object", "array") or "$schema" in value or "properties" in value:
        # A bare schema.
        return {"type": "json_schema", "json_schema": {"name": "response", "schema": dict(value)}}
    return dict(value)


def _user(tree: Mapping[str, Any], notes: Notes) -> str | None:
    metadata = tree.get("metadata")
    user = metadata.get("user_id") if isinstance(metadata, Mapping) else None
    return text(tree.get("user") or tree.get("safety_identifier") or user, "user", notes)


def _chat(tree: Mapping[str, Any], notes: Notes) -> Prompt:
    conversation = Conversation()
    # Anthropic separates the system prompt from the messages.
    conversation.add_system(opened_value(tree.get("system")))
    rest = read_conversation(tree["messages"])
    conversation.messages += rest.messages
    conversation.media += rest.media
    return _made(
        conversation,
        tools=read_tools(tree),
        response_format=_format(tree.get("response_format")),
        params=read_params(_with_options(tree), notes, ("system",)),
        user=_user(tree, notes),
    )


def _with_options(tree: Mapping[str, Any]) -> Mapping[str, Any]:
    """The request with the sampling parameters that Ollama keeps under `options`."""
    options = tree.get("options")
    return {**options, **_beside(tree, "options")} if isinstance(options, Mapping) else tree


def _responses(tree: Mapping[str, Any], notes: Notes) -> Prompt:
    conversation = Conversation()
    conversation.add_system(tree.get("instructions"))
    items = tree.get("input", None if _is_stored(tree) else tree.get("prompt"))
    for item in items_of([] if items is None else items, "input"):
        kind = item.get("type") if isinstance(item, Mapping) else None
        if kind in ("reasoning", "item_reference"):
            continue
        conversation.add(
            item if kind not in ("function_call", "function_call_output") else {"role": "assistant", "content": [item]}
        )
    wanted = tree.get("text")
    form = wanted.get("format") if isinstance(wanted, Mapping) else None
    if isinstance(form, Mapping) and form.get("type") == "json_schema":
        form = {"type": "json_schema", "json_schema": {key: value for key, value in form.items() if key != "type"}}
    elif isinstance(form, Mapping) and form.get("type") == "text":
        form = None
    return _made(
        conversation,
        tools=read_tools(tree),
        response_format=_format(form if form is not None else tree.get("response_format")),
        params=read_params(tree, notes, ("input", "instructions", "text", *(() if _is_stored(tree) else ("prompt",)))),
        user=_user(tree, notes),
    )


def _is_stored(tree: Mapping[str, Any]) -> bool:
    """Whether OpenAI keeps a part of the prompt (`{"id", "variables"}`)."""
    return isinstance(tree.get("prompt"), Mapping)


def _converse(tree: Mapping[str, Any], notes: Notes) -> Prompt:
    conversation = Conversation()
    conversation.add_system(tree.get("system"))
    rest = read_conversation(tree.get("messages"))
    conversation.messages += rest.messages
    conversation.media += rest.media
    tools, inference = tree.get("toolConfig"), tree.get("inferenceConfig")
    parameters = {
        **(inference if isinstance(inference, Mapping) else {}),
        **_beside(tree, "toolConfig", "inferenceConfig"),
    }
    if isinstance(tools, Mapping) and tools.get("toolChoice"):
        parameters["tool_choice"] = _converse_choice(tools["toolChoice"])
    return _made(
        conversation,
        tools=read_tools(tools) if isinstance(tools, Mapping) else None,
        params=read_params(parameters, notes, ("system",)),
    )


def _converse_choice(choice: Any) -> Any:
    if isinstance(choice, Mapping):
        if isinstance(tool := choice.get("tool"), Mapping):
            return {"type": "function", "function": {"name": tool.get("name")}}
        return {"any": "required", "auto": "auto"}.get(next(iter(choice), ""), dict(choice))
    return choice


def _gemini(tree: Mapping[str, Any], notes: Notes) -> Prompt:
    conversation = Conversation()
    config = tree.get("generationConfig", tree.get("generation_config", tree.get("config")))
    config = config if isinstance(config, Mapping) else {}
    # Google's SDKs put the instruction and the tools into the configuration.
    instruction = next((t[key] for t in (tree, config) for key in _INSTRUCTIONS if t.get(key)), None)
    conversation.add_system(instruction)
    for content in items_of(tree["contents"], "contents"):
        conversation.add({"role": "user", **content} if isinstance(content, Mapping) else content)
    schema = next((config[key] for key in _SCHEMAS if config.get(key) is not None), None)
    mime = config.get("responseMimeType", config.get("response_mime_type"))
    form: dict[str, Any] | None = {"type": "json_object"} if mime == "application/json" else None
    if schema is not None:
        form = {"type": "json_schema", "json_schema": {"name": "response", "schema": schema}}
    own = ("contents", "generationConfig", "generation_config", "config", "toolConfig", "tool_config", *_INSTRUCTIONS)
    parameters = {**_beside(config, *_INSTRUCTIONS), **_beside(tree, *own)}
    if (
        choice := _gemini_choice(tree.get("toolConfig", tree.get("tool_config", config.get("tool_config"))))
    ) is not None:
        parameters["tool_choice"] = choice
    tools = read_tools(tree) or read_tools(config)
    return _made(conversation, tools=tools, response_format=form, params=read_params(parameters, notes))


_INSTRUCTIONS = ("systemInstruction", "system_instruction")
_SCHEMAS = ("responseSchema", "responseJsonSchema", "response_schema", "response_json_schema")


def _gemini_choice(config: Any) -> Any:
    """The choice among functions in OpenAI's form."""
    calling = config.get("functionCallingConfig", config.get("function_calling_config")) if _is_object(config) else None
    if not isinstance(calling, Mapping):
        return None
    mode = str(calling.get("mode", "")).rpartition(".")[2].casefold()
    allowed = calling.get("allowedFunctionNames", calling.get("allowed_function_names"))
    chosen = {"any": "required", "auto": "auto", "none": "none"}.get(mode)
    if chosen != "required" or not isinstance(allowed, list) or not allowed:
        return chosen
    functions = [{"type": "function", "function": {"name": name}} for name in allowed]
    if len(functions) == 1:
        return functions[0]
    return {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": functions}}


def _is_object(value: Any) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(value, Mapping)


def _text(tree: Mapping[str, Any], notes: Notes) -> Prompt:
    """Completions without chat: the prompt is one user message."""
    key = next(key for key in _TEXT_KEYS if key in tree)
    prompt = tree[key]
    if isinstance(prompt, list):
        if not all(isinstance(item, str) for item in prompt):
            raise Unreadable("not_chat", "the prompt is a list of tokens")
        prompt = "\n".join(prompt)
    conversation = Conversation()
    conversation.add_system(next((tree[key] for key in _PREAMBLES if key in tree), None))
    for earlier in items_of(tree.get("chat_history", tree.get("chatHistory")) or [], "chat_history"):
        conversation.add(
            {"role": earlier.get("role"), "content": earlier.get("message")} if _is_object(earlier) else earlier
        )
    if prompt:
        conversation.add(str(prompt))
    config = tree.get("textGenerationConfig")
    own = ("textGenerationConfig", "chat_history", "chatHistory", *_PREAMBLES)
    parameters = {**(config if isinstance(config, Mapping) else {}), **_beside(_with_options(tree), *own)}
    return _made(conversation, params=read_params(parameters, notes, _TEXT_KEYS), user=_user(tree, notes))


def _beside(tree: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in tree.items() if key not in keys}


_PREAMBLES = ("system", "system_prompt", "preamble", "preambleOverride", "preamble_override")
"""Names of the system prompt (Ollama, Replicate, Cohere, OCI) in completions without chat."""
_TEXT_KEYS = ("prompt", "inputs", "inputText", "message", "question", "query")


def _is_converse(tree: Mapping[str, Any]) -> bool:
    if "inferenceConfig" in tree or "toolConfig" in tree:
        return "messages" in tree
    return isinstance(tree.get("system"), list) and any(
        isinstance(p, Mapping) and "type" not in p for p in tree["system"]
    )


_READERS: tuple[tuple[Callable[[Mapping[str, Any]], bool], Callable[[Mapping[str, Any], Notes], Prompt]], ...] = (
    (lambda t: _is_converse(t) and "messages" in t, _converse),
    (lambda t: "messages" in t, _chat),
    (lambda t: "contents" in t, _gemini),
    (lambda t: "input" in t or ("instructions" in t and "prompt" in t), _responses),
    (lambda t: any(isinstance(t.get(key), str | list) for key in _TEXT_KEYS), _text),
)
