"""Clients that speak OpenAI's Responses API: their requests as chat completions, their errors.

Instructions, input items (messages, function calls and their outputs), function and custom tools, tool choice, text
format, reasoning effort and sampling have a counterpart in chat completions. What needs a store of earlier responses
(`previous_response_id`, `conversation`, `item_reference`) is refused by name, because nothing is stored here; hosted
tools (`web_search` and others) are noted as untranslatable.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from router.request import BadRequest, Body, ChatRequest, decode_tree, made
from router.wire import openai
from router.wire.sse import named_event

Tree = dict[str, Any]

_NEEDS_A_STORE = ("previous_response_id", "conversation", "prompt")
_SAME = ("model", "temperature", "top_p", "stream", "parallel_tool_calls", "user", "metadata", "service_tier")
_SAME_TOO = ("prompt_cache_key", "safety_identifier", "top_logprobs")
_NO_EFFECT = frozenset({"store", "include", "truncation", "stream_options", "background", "client_metadata"})
"""Nothing is stored or cut here, and answers are never left behind: leaving these out changes nothing."""
_TEXT_PARTS = frozenset({"input_text", "output_text", "text", "summary_text", "reasoning_text"})
CUSTOM_TOOL_PARAMETERS: Tree = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}
"""A custom tool takes a text: in chat completions a function with that one argument."""


def parse(data: bytes, headers: Mapping[bytes, bytes]) -> ChatRequest:
    """Raises: BadRequest."""
    try:
        native = decode_tree(data)
        sent: Tree = msgspec.json.decode(data)
    except msgspec.ValidationError as error:
        raise BadRequest(f"not a request for a response: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"the body is not valid JSON: {error}") from None
    translation = _Translation()
    try:
        tree = translation.body(sent)
        body = msgspec.convert(tree, Body)
    except (KeyError, TypeError, AttributeError, msgspec.ValidationError) as error:
        raise BadRequest(f"not a request for a response: {type(error).__name__}: {error}") from None
    if not body.messages:
        raise BadRequest("`input` is missing or empty")
    return made(
        body,
        {key: msgspec.Raw(msgspec.json.encode(value)) for key, value in tree.items()},
        body.metadata or {},
        headers,
        dialect="responses",
        native=native,
        untranslated=tuple(dict.fromkeys(translation.missing)),
    )


class _Translation:
    """A request's body as a chat completion's."""

    def __init__(self) -> None:
        self.missing: list[str] = []
        """What has no counterpart."""

    def body(self, sent: Tree) -> Tree:
        sent = {key: value for key, value in sent.items() if value is not None}
        for key in _NEEDS_A_STORE:
            if key in sent:
                raise BadRequest(f"`{key}` is not supported: this router stores no responses; send the whole input")
        if sent.get("background"):
            raise BadRequest("`background` is not supported: this router stores no responses")
        tree: Tree = {"messages": self._messages(sent)}
        tree |= {key: sent[key] for key in (*_SAME, *_SAME_TOO) if key in sent}
        if "max_output_tokens" in sent:
            tree["max_completion_tokens"] = sent["max_output_tokens"]
        if "top_logprobs" in sent:
            tree["logprobs"] = True
        self._tools(sent, tree)
        self._text(sent.get("text", {}), tree)
        self._reasoning(sent.get("reasoning", {}), tree)
        known = {"input", "instructions", "max_output_tokens", "tools", "tool_choice", "text", "reasoning"}
        known |= {*_SAME, *_SAME_TOO, *_NO_EFFECT}
        self.missing += [key for key in sent if key not in known]
        return tree

    def _tools(self, sent: Tree, tree: Tree) -> None:
        tools = []
        for tool in sent.get("tools", ()):
            kind = tool["type"]
            if kind == "function":
                function = {"name": tool["name"], "parameters": tool.get("parameters") or {"type": "object"}}
                function |= {key: tool[key] for key in ("description", "strict") if tool.get(key) is not None}
                tools.append({"type": "function", "function": function})
            elif kind == "custom":
                function = {"name": tool["name"], "parameters": CUSTOM_TOOL_PARAMETERS}
                function |= {key: tool[key] for key in ("description",) if tool.get(key)}
                tools.append({"type": "function", "function": function})
            else:
                self.missing.append(f"tools of type {kind}")
        if tools:
            tree["tools"] = tools
        choice = sent.get("tool_choice")
        if choice is None or not tools:
            return
        if isinstance(choice, str):
            tree["tool_choice"] = choice
        elif choice["type"] in ("function", "custom"):
            tree["tool_choice"] = {"type": "function", "function": {"name": choice["name"]}}
        else:
            self.missing.append(f"tool_choice of type {choice['type']}")

    def _text(self, text: Tree, tree: Tree) -> None:
        self.missing += [f"text.{key}" for key in text if key not in ("format", "verbosity")]
        if text.get("verbosity") is not None:
            tree["verbosity"] = text["verbosity"]
        wanted = text.get("format") or {"type": "text"}
        if wanted["type"] == "json_schema":
            schema = {key: wanted[key] for key in ("name", "schema", "strict", "description") if key in wanted}
            tree["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif wanted["type"] == "json_object":
            tree["response_format"] = {"type": "json_object"}
        elif wanted["type"] != "text":
            self.missing.append(f"text.format of type {wanted['type']}")

    def _reasoning(self, reasoning: Tree, tree: Tree) -> None:
        # A summary is a view of the answer's reasoning: whatever the endpoint shows of it is handed on.
        self.missing += [
            f"reasoning.{key}" for key in reasoning if key not in ("effort", "summary", "generate_summary", "context")
        ]
        if reasoning.get("effort") is not None:
            tree["reasoning_effort"] = reasoning["effort"]

    # ----------------------------------------------------------------------------------------- input

    def _messages(self, sent: Tree) -> list[Tree]:
        messages: list[Tree] = []
        if sent.get("instructions"):
            messages.append({"role": "system", "content": sent["instructions"]})
        given = sent.get("input", [])
        if isinstance(given, str):
            return [*messages, {"role": "user", "content": given}]
        for item in given:
            self._item(item, messages)
        return messages

    def _item(self, item: Tree, messages: list[Tree]) -> None:
        kind = item.get("type", "message")
        if kind == "message":
            messages.append({"role": item["role"], "content": self._content(item["content"])})
        elif kind in ("function_call", "custom_tool_call"):
            given = item["arguments"] if kind == "function_call" else _custom_arguments(item["input"])
            call = {"id": item["call_id"], "type": "function", "function": {"name": item["name"], "arguments": given}}
            # Calls of one turn stand in one message.
            if messages and messages[-1]["role"] == "assistant":
                messages[-1].setdefault("tool_calls", []).append(call)
            else:
                messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
        elif kind in ("function_call_output", "custom_tool_call_output"):
            output = item["output"]
            content = output if isinstance(output, str) else self._content(output)
            messages.append({"role": "tool", "tool_call_id": item["call_id"], "content": content})
        elif kind == "item_reference":
            raise BadRequest("`item_reference` is not supported: this router stores no responses")
        elif kind != "reasoning":
            # Reasoning of earlier turns is readable only by the model that wrote it; the others are about the request.
            self.missing.append(f"input.{kind}")

    def _content(self, content: Any) -> str | list[Tree]:
        """A string where it is text alone: templates and small servers know that form best."""
        if isinstance(content, str):
            return content
        parts = [self._part(part) for part in content]
        if all(part["type"] == "text" for part in parts):
            return "".join(part["text"] for part in parts) if len(parts) < 2 else parts
        return parts

    def _part(self, part: Tree) -> Tree:
        kind = part["type"]
        if kind in _TEXT_PARTS:
            return {"type": "text", "text": part["text"]}
        if kind == "refusal":
            return {"type": "text", "text": part["refusal"]}
        if kind == "input_image" and part.get("image_url"):
            image = {"url": part["image_url"]} | ({"detail": part["detail"]} if part.get("detail") else {})
            return {"type": "image_url", "image_url": image}
        if kind == "input_file" and part.get("file_data"):
            return {"type": "file", "file": {key: part[key] for key in ("filename", "file_data") if key in part}}
        if kind == "input_audio":
            return part
        self.missing.append(f"input.{kind}")
        return part


def _custom_arguments(text: str) -> str:
    return msgspec.json.encode({"input": text}).decode()


error = openai.error
error_of = openai.error_of


def error_event(body: bytes) -> bytes:
    """An error inside of a stream: the fields stand in the event itself."""
    said = msgspec.json.decode(body).get("error") or {}
    code = said.get("code") or said.get("type")
    event = {"type": "error", "code": code, "message": said.get("message"), "param": None}
    return named_event("error", msgspec.json.encode(event))


def as_stream(body: bytes, *, usage: bool) -> bytes:
    """A whole response as the events of a stream."""
    del usage
    response: Tree = msgspec.json.decode(body)
    opened = response | {"status": "in_progress", "output": [], "usage": None}
    events: list[Tree] = [{"type": "response.created", "response": opened}]
    events += [{"type": "response.in_progress", "response": opened}]
    for index, item in enumerate(response["output"]):
        at = {"output_index": index}
        events.append({"type": "response.output_item.added", **at, "item": item | {"status": "in_progress"}})
        events += [event | at | {"item_id": item["id"]} for event in _inner_events(item)]
        events.append({"type": "response.output_item.done", **at, "item": item})
    events.append({"type": f"response.{response['status']}", "response": response})
    return joined([event | {"sequence_number": number} for number, event in enumerate(events)])


def _inner_events(item: Tree) -> list[Tree]:
    if item["type"] == "function_call":
        kind, given = "response.function_call_arguments", item["arguments"]
        done = {"type": f"{kind}.done", "arguments": given, "name": item["name"]}
        return [{"type": f"{kind}.delta", "delta": given}, done]
    if item["type"] == "custom_tool_call":
        kind, given = "response.custom_tool_call_input", item["input"]
        return [{"type": f"{kind}.delta", "delta": given}, {"type": f"{kind}.done", "input": given}]
    events: list[Tree] = []
    for index, part in enumerate(item.get("content") or ()):
        key = "text" if part["type"] == "output_text" else "refusal"
        at = {"content_index": index}
        events += [
            {"type": "response.content_part.added", **at, "part": part | {key: ""}},
            {"type": f"response.{part['type']}.delta", **at, "delta": part[key], "logprobs": []},
            {"type": f"response.{part['type']}.done", **at, key: part[key], "logprobs": []},
            {"type": "response.content_part.done", **at, "part": part},
        ]
    return events


def joined(events: list[Tree]) -> bytes:
    """Events as they are sent."""
    return b"".join(named_event(event["type"], msgspec.json.encode(event)) for event in events)
