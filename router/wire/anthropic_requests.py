"""Clients that speak Anthropic's messages: their requests in the router's own form, their errors, whole streams.

Text, images, tools and their results, system prompt, tool choice, stop sequences, structured output and effort have a
counterpart in chat completions. Cache marks and earlier thinking change nothing there and are left out. Everything else
(`top_k`, thinking that is asked for, documents, server tools, ...) is noted as untranslated: only an endpoint of this
protocol, to which the body goes as it was sent, can take such a request.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from router.request import BadRequest, Body, ChatRequest, made
from router.wire.anthropic import ERROR_TYPES, dumped, tool_call
from router.wire.sse import named_event

Tree = dict[str, Any]

_decode_tree = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_HEADERS = ("anthropic-version", "anthropic-beta")

_HANDLED = frozenset(
    {"messages", "system", "model", "max_tokens", "temperature", "top_p", "stop_sequences", "tools", "tool_choice"}
    | {"stream", "metadata", "output_config", "thinking", "service_tier", "cache_control"}
)
_LEFT_OUT = frozenset({"thinking", "redacted_thinking"})
"""Blocks of earlier answers that only the model that wrote them can read."""
_TOOL_KEYS = frozenset({"name", "description", "input_schema", "type", "strict", "cache_control"})
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_EFFORTS = ("low", "medium", "high", "xhigh", "max")


def parse(data: bytes, headers: Mapping[bytes, bytes]) -> ChatRequest:
    """Raises: BadRequest."""
    try:
        native = _decode_tree(data)
        sent: Tree = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"the body is not valid JSON: {error}") from None
    for key in ("messages", "max_tokens", "model"):
        if key not in sent:
            raise BadRequest(f"{key}: field required")
    translation = _Translation()
    try:
        tree = translation.body(sent)
        body = msgspec.convert(tree, Body)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise BadRequest(f"not a request for a message: {type(error).__name__}: {error}") from None
    if not body.messages:
        raise BadRequest("messages: at least one message is required")
    return made(
        body,
        {key: msgspec.Raw(msgspec.json.encode(value)) for key, value in tree.items()},
        sent.get("metadata") or {},
        headers,
        dialect="anthropic",
        native=native,
        native_headers={
            name: headers[name.encode()].decode("latin-1") for name in _HEADERS if name.encode() in headers
        },
        untranslated=tuple(dict.fromkeys(translation.missing)),
    )


class _Translation:
    """A request's body as a chat completion's."""

    def __init__(self) -> None:
        self.missing: list[str] = []
        """What has no counterpart."""

    def body(self, sent: Tree) -> Tree:
        sent = {key: value for key, value in sent.items() if value is not None}
        self.missing += [key for key in sent if key not in _HANDLED]
        tree: Tree = {"messages": self._messages(sent), "max_completion_tokens": sent["max_tokens"]}
        for key in ("model", "temperature", "top_p", "stream"):
            if key in sent:
                tree[key] = sent[key]
        if sent.get("stop_sequences"):
            tree["stop"] = sent["stop_sequences"]
        if sent.get("metadata", {}).get("user_id"):
            tree["user"] = sent["metadata"]["user_id"]
        if sent.get("thinking", {}).get("type", "disabled") != "disabled":
            self.missing.append("thinking")
        if sent.get("service_tier", "auto") != "auto":
            self.missing.append("service_tier")
        if sent["max_tokens"] == 0:
            self.missing.append("max_tokens 0")
        self._tools(sent, tree)
        self._output(sent.get("output_config", {}), tree)
        return tree

    def _tools(self, sent: Tree, tree: Tree) -> None:
        tools = []
        for tool in sent.get("tools", ()):
            if tool.get("type", "custom") not in ("custom", None):
                # As it is, for the rules and the log.
                self.missing.append(f"tools of type {tool['type']}")
                tools.append(tool)
                continue
            self.missing += [f"tools.{key}" for key in tool if key not in _TOOL_KEYS]
            function = {"name": tool["name"], "parameters": tool["input_schema"]}
            function |= {key: tool[key] for key in ("description", "strict") if tool.get(key)}
            tools.append({"type": "function", "function": function})
        if tools:
            tree["tools"] = tools
        choice = sent.get("tool_choice")
        if choice is None or not tools:
            return
        if choice["type"] == "tool":
            tree["tool_choice"] = {"type": "function", "function": {"name": choice["name"]}}
        else:
            tree["tool_choice"] = _CHOICES[choice["type"]]
        if choice.get("disable_parallel_tool_use"):
            tree["parallel_tool_calls"] = False

    def _output(self, config: Tree, tree: Tree) -> None:
        self.missing += [f"output_config.{key}" for key in config if key not in ("format", "effort")]
        wanted = config.get("format")
        if wanted is not None:
            schema = {"name": "answer", "schema": wanted["schema"], "strict": True}
            tree["response_format"] = {"type": "json_schema", "json_schema": schema}
        if config.get("effort") in _EFFORTS:
            tree["reasoning_effort"] = config["effort"]
        elif config.get("effort") is not None:
            self.missing.append(f"output_config.effort {config['effort']}")

    # --------------------------------------------------------------------------------------- messages

    def _messages(self, sent: Tree) -> list[Tree]:
        system = self._content(sent.get("system"))
        messages: list[Tree] = [{"role": "system", "content": system}] if system else []
        for message in sent["messages"]:
            role, content = message["role"], message["content"]
            if role == "assistant":
                messages.append(self._assistant(content))
            elif role in ("user", "system"):
                messages += self._turn(role, content)
            else:
                raise ValueError(f"role {role!r} is not user, assistant or system")
        return messages

    def _turn(self, role: str, content: str | list[Tree]) -> list[Tree]:
        """Results of tools are messages of their own, before what the user says to them."""
        if isinstance(content, str):
            return [{"role": role, "content": content}]
        results = [self._result(block) for block in content if block["type"] == "tool_result"]
        rest = [block for block in content if block["type"] != "tool_result"]
        return results + ([{"role": role, "content": self._content(rest)}] if rest or not results else [])

    def _result(self, block: Tree) -> Tree:
        content = block.get("content", "")
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        self.missing += [f"tool_result.{part['type']}" for part in parts if part["type"] != "text"]
        text = self._content([part for part in parts if part["type"] == "text"])
        return {"role": "tool", "tool_call_id": block["tool_use_id"], "content": text}

    def _assistant(self, content: str | list[Tree]) -> Tree:
        if isinstance(content, str):
            return {"role": "assistant", "content": content}
        calls = [tool_call(b["id"], b["name"], dumped(b["input"])) for b in content if b["type"] == "tool_use"]
        kept = [b for b in content if b["type"] not in _LEFT_OUT and b["type"] != "tool_use"]
        message: Tree = {"role": "assistant", "content": self._content(kept) or None}
        return message | ({"tool_calls": calls} if calls else {})

    def _content(self, content: Any) -> str | list[Tree]:
        """A string where it is one text: templates and small servers know that form best."""
        if content is None or isinstance(content, str):
            return content or ""
        parts = [self._part(block) for block in content]
        if not parts:
            return ""
        if len(parts) == 1 and parts[0]["type"] == "text":
            text: str = parts[0]["text"]
            return text
        return parts

    def _part(self, block: Tree) -> Tree:
        """What has no counterpart stays as it is, for the log: no endpoint of the other protocol gets it."""
        if block["type"] == "text":
            return {"type": "text", "text": block["text"]}
        source = block.get("source", {}).get("type") if block["type"] == "image" else None
        if source == "base64":
            url = f"data:{block['source']['media_type']};base64,{block['source']['data']}"
        elif source == "url":
            url = block["source"]["url"]
        else:
            self.missing.append(f"messages.{block['type']}" + (f".{source}" if source else ""))
            return block
        return {"type": "image_url", "image_url": {"url": url}}


# ------------------------------------------------------------------------------------ answers and errors


def as_stream(body: bytes, *, usage: bool) -> bytes:
    """A whole message as the events of a stream."""
    del usage
    message: Tree = msgspec.json.decode(body)
    opened = message | {"content": [], "stop_reason": None, "stop_sequence": None}
    events: list[Tree] = [{"type": "message_start", "message": opened}]
    for index, block in enumerate(message["content"]):
        at = {"index": index}
        if block["type"] == "text":
            events.append({"type": "content_block_start", **at, "content_block": block | {"text": ""}})
            delta = {"type": "text_delta", "text": block["text"]}
            events.append({"type": "content_block_delta", **at, "delta": delta})
        elif block["type"] == "tool_use":
            events.append({"type": "content_block_start", **at, "content_block": block | {"input": {}}})
            delta = {"type": "input_json_delta", "partial_json": dumped(block["input"])}
            events.append({"type": "content_block_delta", **at, "delta": delta})
        else:
            events.append({"type": "content_block_start", **at, "content_block": block})
        events.append({"type": "content_block_stop", **at})
    ended = {key: message.get(key) for key in ("stop_reason", "stop_sequence")}
    events.append({"type": "message_delta", "delta": ended, "usage": message.get("usage")})
    events.append({"type": "message_stop"})
    return b"".join(named_event(event["type"], msgspec.json.encode(event)) for event in events)


def error(status: int, message: str, kind: str, code: str | None = None) -> bytes:
    """`kind` and `code` are OpenAI's names; here the status says the type."""
    del kind, code
    return msgspec.json.encode({"type": "error", "error": {"type": error_type(status), "message": message}})


def error_type(status: int) -> str:
    return ERROR_TYPES.get(status, "invalid_request_error" if 400 <= status < 500 else "api_error")


def error_of(status: int, body: bytes) -> bytes | None:
    """An endpoint's error as this dialect's clients read it; as it came where it is one already."""
    try:
        tree = msgspec.json.decode(body, type=Tree)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    said = tree.get("error")
    if not isinstance(said, dict):
        return None
    return body if tree.get("type") == "error" else error(status, str(said.get("message")), "")


def error_event(body: bytes) -> bytes:
    return named_event("error", body)


def models(names: list[str]) -> Tree:
    """The list of models, on one page."""
    card = {"type": "model", "created_at": "1970-01-01T00:00:00Z"}
    cards = [card | {"id": name, "display_name": name} for name in names]
    return {"data": cards, "has_more": False, "first_id": names[0], "last_id": names[-1]}
