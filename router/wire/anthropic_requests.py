"""Anthropic clients: parses their requests, encodes their errors, and encodes whole messages as streams.

Text, images, PDF files, tools and their results, system prompt, tool choice, stop sequences, structured output, effort
and thinking have an equivalent in chat completions. Cache marks and earlier thinking have no effect there and are
dropped, as are hints on context management (`left_out`, listed in a response header). Everything else (`top_k`, server
tools, a prefilled answer, ...) is recorded as untranslated: only an endpoint of this protocol, which gets the original
body, can answer such a request.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from router.request import BadRequest, ChatRequest
from router.wire.anthropic import ERROR_TYPES
from router.wire.call_ids import without_signature
from router.wire.errors import CONTEXT_LENGTH_EXCEEDED
from router.wire.sse import named_event
from router.wire.thinking import ANTHROPIC_EFFORTS, effort_of, is_thinking, is_unsigned
from router.wire.translation import Translation
from router.wire.turns import in_order
from traffic.loose_json import Tree, distinct, dumped, json_or, loads, text, tree, trees
from traffic.tool_calls import tool_call

_HANDLED = frozenset(
    {"messages", "system", "model", "max_tokens", "temperature", "top_p", "stop_sequences", "tools", "tool_choice"}
    | {"stream", "metadata", "output_config", "output_format", "thinking", "service_tier", "cache_control"}
)
_HINTS = frozenset({"context_management", "speed", "diagnostics"})
"""Fields that do not affect the content of an answer."""
_TOOL_KEYS = frozenset({"name", "description", "input_schema", "type", "strict", "cache_control"})
TOOL_HINTS = frozenset({"defer_loading", "eager_input_streaming", "input_examples"})
"""Fields of tools that affect neither their arguments nor their use."""
_OFFERED = ("web_search_", "web_fetch_")
_IN_RESULTS = ("text", "image_url", "file")
"""Parts that a tool result may have."""
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_TOO_LONG = "prompt is too long"
"""The words by which clients recognize this error, since it has no type or code of its own."""


def parse(data: bytes, headers: Mapping[bytes, bytes]) -> ChatRequest:
    """Raises: BadRequest."""
    return _Translation().request(data, headers)


def full_tree(native: Mapping[str, msgspec.Raw]) -> Tree:
    """A request as a chat completion that keeps cache marks and thinking, which only Anthropic's models understand."""
    sent = {key: loads(bytes(value)) for key, value in native.items()}
    return _Translation(full=True).body(sent)


class _Translation(Translation):
    dialect, prompt = "anthropic", "messages"
    kept_headers = (b"anthropic-version", b"anthropic-beta")

    def __init__(self, *, full: bool = False) -> None:
        super().__init__()
        self._full = full
        """Keep cache marks and signed thinking."""

    def body(self, sent: Tree) -> Tree:
        for key in ("messages", "max_tokens", "model"):
            if key not in sent:
                raise BadRequest(f"{key}: field required")
        sent = {key: value for key, value in sent.items() if value is not None}
        # An empty list of servers or containers has no effect.
        self.missing += [key for key in sent if key not in _HANDLED | _HINTS and sent[key] not in ([], {})]
        self.left_out += [key for key in sent if key in _HINTS]
        tree: Tree = {"messages": self._messages(sent), "max_completion_tokens": sent["max_tokens"]}
        for key in ("model", "temperature", "top_p", "stream"):
            if key in sent:
                tree[key] = sent[key]
        if sent.get("stop_sequences"):
            tree["stop"] = sent["stop_sequences"]
        if sent.get("metadata", {}).get("user_id"):
            tree["user"] = sent["metadata"]["user_id"]
        if sent.get("service_tier", "auto") not in ("auto", "standard_only"):
            self.missing.append("service_tier")
        if sent["max_tokens"] == 0:
            self.missing.append("max_tokens 0")
        self._tools(sent, tree)
        # `output_format` is the earlier name of the format.
        self._output({"format": sent.get("output_format")} | sent.get("output_config", {}), tree)
        self._thinking(sent.get("thinking", {}), tree)
        return tree

    def _thinking(self, thinking: Tree, tree: Tree) -> None:
        """A budget becomes an effort if no effort is stated; otherwise the model decides whether to think."""
        if "reasoning_effort" in tree:
            return
        if thinking.get("type") == "enabled":
            tree["reasoning_effort"] = effort_of(thinking.get("budget_tokens") or 0)

    def _tools(self, sent: Tree, tree: Tree) -> None:
        tools = []
        has_client_tools = any(tool.get("type", "custom") in ("custom", None) for tool in sent.get("tools", ()))
        choice = sent.get("tool_choice") or {}
        for tool in sent.get("tools", ()):
            forced = choice.get("type") == "any" or choice.get("name") == tool.get("name")
            if has_client_tools and not forced and text(tool.get("type")).startswith(_OFFERED):
                # Agents offer it in addition to their own tools, so it is optional.
                self.left_out.append(f"tools.{tool.get('name')}")
                continue
            if tool.get("type", "custom") not in ("custom", None):
                # Unchanged, for the rules and the log.
                self.missing.append(f"tools of type {tool['type']}")
                tools.append(tool)
                continue
            known_keys = (
                _TOOL_KEYS | TOOL_HINTS | ({"allowed_callers"} if tool.get("allowed_callers") == ["direct"] else set())
            )
            self.missing += [f"tools.{key}" for key in tool if key not in known_keys]
            self.left_out += [f"tools.{key}" for key in tool if key in TOOL_HINTS and tool[key]]
            function = {"name": tool["name"], "parameters": tool["input_schema"]}
            function |= {key: tool[key] for key in ("description", "strict") if tool.get(key)}
            tools.append(self._marked({"type": "function", "function": function}, tool))
        if tools:
            # An agent that starts a tool server twice offers its tools twice.
            tree["tools"] = distinct(tools)
        if not choice or not tools:
            return
        if choice["type"] == "tool":
            tree["tool_choice"] = {"type": "function", "function": {"name": choice["name"]}}
        else:
            tree["tool_choice"] = _CHOICES[choice["type"]]
        if choice.get("disable_parallel_tool_use"):
            tree["parallel_tool_calls"] = False

    def _output(self, config: Tree, tree: Tree) -> None:
        self.missing += [f"output_config.{key}" for key in config if key not in ("format", "effort")]
        output_format = config.get("format")
        if output_format is not None:
            schema = {"name": "answer", "schema": output_format["schema"], "strict": True}
            tree["response_format"] = {"type": "json_schema", "json_schema": schema}
        if text(config.get("effort")) in ANTHROPIC_EFFORTS:
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
                messages += self._assistant(content)
            elif role in ("user", "system"):
                messages += self._turn(role, content)
            else:
                raise ValueError(f"role {role!r} is not user, assistant or system")
        messages = in_order(messages)
        if messages and messages[-1]["role"] == "assistant":
            self.missing.append("messages.prefill (the last message is the assistant's)")
        return messages

    def _turn(self, role: str, content: str | list[Tree]) -> list[Tree]:
        """Tool results become separate messages before the user's text."""
        if isinstance(content, str):
            return [{"role": role, "content": content}]
        results = [self._result(block) for block in content if block["type"] == "tool_result"]
        other_blocks = [block for block in content if block["type"] != "tool_result"]
        user_content = self._content(other_blocks)
        return results + ([{"role": role, "content": user_content}] if user_content or not results else [])

    def _result(self, block: Tree) -> Tree:
        """A tool result as a message, with its images and documents."""
        content = self._content(block.get("content"))
        if isinstance(content, list):
            self.missing += [f"tool_result.{part['type']}" for part in content if part["type"] not in _IN_RESULTS]
        if block.get("is_error"):
            # Chat completions cannot express it otherwise.
            content = (
                f"Error: {content}" if isinstance(content, str) else [{"type": "text", "text": "Error:"}, *content]
            )
        identity, _ = without_signature(block["tool_use_id"])
        return self._marked({"role": "tool", "tool_call_id": identity, "content": content}, block)

    def _assistant(self, content: str | list[Tree]) -> list[Tree]:
        if isinstance(content, str):
            return [{"role": "assistant", "content": content}]
        calls = [self._call(block) for block in content if block["type"] == "tool_use"]
        # Assistant messages cannot contain images.
        self.left_out += ["messages.image"] if any(block["type"] == "image" for block in content) else []
        # Search results are encrypted; the text contains what the model used of them.
        self.left_out += [f"messages.{block['type']}" for block in content if _is_search(block)]
        text_blocks = [
            block
            for block in content
            if block["type"] not in ("tool_use", "image") and not is_thinking(block) and not _is_search(block)
        ]
        text_content = self._content(text_blocks) or None
        if text_content is None and not calls:
            # The turn contained only thinking.
            return []
        message: Tree = {"role": "assistant", "content": text_content} | ({"tool_calls": calls} if calls else {})
        # Only the model that wrote it can read earlier thinking.
        thoughts = [block for block in content if is_thinking(block)]
        reasoning = "\n\n".join(block["thinking"] for block in thoughts if block.get("thinking"))
        if reasoning:
            # Only for endpoints that require it.
            message["reasoning_content"] = reasoning
        signed = [block for block in thoughts if not is_unsigned(block)]
        if self._full and signed:
            message["thinking_blocks"] = signed
        return [message]

    def _call(self, block: Tree) -> Tree:
        identity, extra = without_signature(block["id"])
        return self._marked(extra | tool_call(identity, block["name"], dumped(block.get("input") or {})), block)

    def _content(self, content: Any) -> str | list[Tree]:
        """A string if it is a single text: templates and small servers handle that form best."""
        if content is None or isinstance(content, str):
            return content or ""
        parts = [part for block in content for part in self._parts(block)]
        if not parts:
            return ""
        if len(parts) == 1 and parts[0].keys() == {"type", "text"} and parts[0]["type"] == "text":
            text: str = parts[0]["text"]
            return text
        return parts

    def _parts(self, block: Tree) -> list[Tree]:
        """Blocks without an equivalent are kept unchanged for the log; no endpoint of the other protocol gets them."""
        if tree(block.get("citations")).get("enabled"):
            self.missing.append("messages.citations")
        parts = self._untouched(block)
        if parts and isinstance(block.get("cache_control"), dict):
            parts[-1] = self._marked(parts[-1], block)
        return parts

    def _untouched(self, block: Tree) -> list[Tree]:
        kind, source = block["type"], tree(block.get("source"))
        if kind == "text":
            return [{"type": "text", "text": block["text"]}] if block["text"] else []
        if kind == "document" and source.get("type") in ("base64", "text", "content"):
            return self._document(block, source)
        if kind == "tool_reference":
            return [{"type": "text", "text": f"Tool: {block['tool_name']}"}]
        if kind == "search_result":
            inner = self._content(block["content"])
            inner_text = inner if isinstance(inner, str) else "\n".join(part.get("text", "") for part in inner)
            return [{"type": "text", "text": f"{block['title']} ({block['source']})\n{inner_text}"}]
        if kind == "image" and source.get("type") == "base64":
            url = f"data:{source['media_type']};base64,{source['data']}"
        elif kind == "image" and source.get("type") == "url":
            url = source["url"]
        else:
            origin = source.get("type") if kind in ("image", "document") else None
            self.missing.append(f"messages.{kind}" + (f".{origin}" if origin else ""))
            return [block]
        return [{"type": "image_url", "image_url": {"url": url}}]

    def _document(self, block: Tree, source: Tree) -> list[Tree]:
        title, context = block.get("title"), block.get("context")
        if source["type"] == "base64":
            data = f"data:{source['media_type']};base64,{source['data']}"
            file = {"type": "file", "file": {"filename": title or "document.pdf", "file_data": data}}
            return [*([{"type": "text", "text": context}] if context else []), file]
        content = source["data"] if source["type"] == "text" else self._content(source["content"])
        head = "\n\n".join(filter(None, (title, context)))
        if isinstance(content, str):
            return [{"type": "text", "text": f"{head}\n\n{content}" if head else content}]
        return [*([{"type": "text", "text": head}] if head else []), *content]

    def _marked(self, part: Tree, block: Tree) -> Tree:
        """The part with the cache mark of its block, if cache marks are kept."""
        mark = block.get("cache_control")
        return part | {"cache_control": mark} if self._full and isinstance(mark, dict) else part


# ------------------------------------------------------------------------------------ answers and errors


def _is_search(block: Tree) -> bool:
    """Whether the block is a web search by the server, or its result."""
    if block["type"] == "server_tool_use":
        return text(block.get("name")) in ("web_search", "web_fetch")
    return block["type"] in ("web_search_tool_result", "web_fetch_tool_result")


def as_stream(body: bytes, *, usage: bool) -> bytes:
    """A complete message as the events of a stream."""
    del usage
    message: Tree = loads(body)
    opened = message | {"content": [], "stop_reason": None, "stop_sequence": None}
    events: list[Tree] = [{"type": "message_start", "message": opened}]
    for index, block in enumerate(trees(message.get("content"))):
        position = {"index": index}
        opened, deltas = _as_deltas(block)
        events.append({"type": "content_block_start", **position, "content_block": opened})
        events += [{"type": "content_block_delta", **position, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", **position})
    ending = {key: message.get(key) for key in ("stop_reason", "stop_sequence")}
    events.append({"type": "message_delta", "delta": ending, "usage": message.get("usage")})
    events.append({"type": "message_stop"})
    return b"".join(named_event(event["type"], msgspec.json.encode(event)) for event in events)


def _as_deltas(block: Tree) -> tuple[Tree, list[Tree]]:
    """A block as its start event and the deltas that follow."""
    kind = block.get("type")
    if kind == "text":
        return block | {"text": ""}, [{"type": "text_delta", "text": block.get("text") or ""}]
    if kind == "thinking":
        deltas = [{"type": "thinking_delta", "thinking": block.get("thinking") or ""}]
        if block.get("signature"):
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        return block | {"thinking": "", "signature": ""}, deltas
    if kind in ("tool_use", "server_tool_use"):
        return block | {"input": {}}, [{"type": "input_json_delta", "partial_json": dumped(block.get("input") or {})}]
    return block, []


def error(status: int, message: str, kind: str, code: str | None = None) -> bytes:
    """The error body. `kind` and `code` are OpenAI's names; in this protocol the type follows from the status."""
    del kind
    if code == CONTEXT_LENGTH_EXCEEDED and _TOO_LONG not in message.lower():
        message = f"{_TOO_LONG}: {message}"
    return msgspec.json.encode({"type": "error", "error": {"type": error_type(status), "message": message}})


def error_type(status: int) -> str:
    return ERROR_TYPES.get(status, "invalid_request_error" if 400 <= status < 500 else "api_error")


def error_of(status: int, body: bytes, code: str | None = None) -> bytes | None:
    """An endpoint's error in this protocol; unchanged if it is in this protocol already."""
    tree = json_or(body)
    stated = tree.get("error") if isinstance(tree, dict) else None
    if not isinstance(stated, dict):
        return None
    return body if tree.get("type") == "error" else error(status, str(stated.get("message")), "", code)


def error_event(body: bytes, request: ChatRequest) -> bytes:
    del request
    return named_event("error", body)


def models(names: list[str]) -> Tree:
    """The list of models as a single page."""
    card = {"type": "model", "lifecycle": "active", "created_at": "1970-01-01T00:00:00Z"}
    cards = [card | {"id": name, "display_name": name} for name in names]
    return {"data": cards, "has_more": False, "first_id": names[0], "last_id": names[-1]}
