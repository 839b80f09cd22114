"""Amazon Bedrock's Converse API: converts chat completion requests to it, and its answers to chat completions.

Wraps the dialect for the same client and an OpenAI endpoint: its requests are converted to Converse, and Bedrock's
answers are converted to chat completions before it parses them. `router.bedrock` signs requests.
"""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import msgspec

from router.request import ChatRequest
from router.target import Target
from router.wire.anthropic import UNSIGNED
from router.wire.anthropic_requests import full_tree
from router.wire.call_ids import fitted_id, safe_id
from router.wire.chat_answers import usage_tree
from router.wire.citations import Citation
from router.wire.endpoint_limits import CACHE_MARKS, OPENAI, fitted_name, fitted_names
from router.wire.errors import error_in
from router.wire.media import media_of
from router.wire.protocol import (
    Answer,
    EndpointDialect,
    StatedError,
    Stream,
    Unreadable,
    Untranslatable,
    WrappedStream,
)
from router.wire.sse import DONE, event
from router.wire.turns import in_order, with_ids, with_results
from traffic.loose_json import NotJson, Tree, encode, loads, text, tree, trees
from traffic.usage import usage_of

_IMAGES = {"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
_DOCUMENTS = {
    "application/pdf": "pdf",
    "text/plain": "txt",
    "text/csv": "csv",
    "text/html": "html",
    "text/markdown": "md",
}
_SUPPORTED = frozenset(
    {"model", "messages", "tools", "tool_choice", "response_format", "reasoning_effort", "max_tokens", "temperature"}
    | {"max_completion_tokens", "top_p", "stop", "stream", "stream_options", "parallel_tool_calls"}
)
_HINTS = frozenset({"user", "metadata", "seed", "store", "prompt_cache_key", "safety_identifier", "service_tier"})
"""Parameters without an effect on the content of the answer."""
_FINISHES = {
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}


_NOT_IN_NAME = re.compile(r"[^a-zA-Z0-9\s()\[\]-]")
"""Characters that a document's name must not have."""
_MOST_ID_CHARS = 64


def path(target: Target, *, stream: bool) -> str:
    """Path below the endpoint's base URL."""
    return f"/model/{quote(target.model or '', safe='')}/converse{'-stream' if stream else ''}"


def converse_body(body: Tree) -> Tree:
    """A chat completion body converted to Converse. Raises: Untranslatable."""
    unknown = [key for key in body if key not in _SUPPORTED | _HINTS and body[key] is not None]
    if body.get("n") == 1:
        unknown.remove("n")
    if body.get("logprobs") is False:
        unknown.remove("logprobs")
    if unknown:
        raise Untranslatable(", ".join(unknown))
    system, messages = _conversation(with_results(in_order(list(with_ids(trees(body.get("messages")))))))
    if not messages or messages[0]["role"] == "assistant":
        # A conversation must begin with a user turn.
        messages.insert(0, {"role": "user", "content": [{"text": "."}]})
    for message in messages:
        kinds = {kind for block in message["content"] for kind in block}
        if "document" in kinds and "text" not in kinds:
            # The API rejects a document without text.
            message["content"].append({"text": "(see the document)"})
    _make_names_unique(messages)
    sent: Tree = {"messages": messages}
    if system:
        sent["system"] = system
    limits = {
        "maxTokens": body.get("max_completion_tokens") or body.get("max_tokens"),
        "temperature": body.get("temperature"),
        "topP": body.get("top_p"),
        "stopSequences": [body["stop"]] if isinstance(body.get("stop"), str) else body.get("stop") or None,
    }
    inference = {key: value for key, value in limits.items() if value is not None}
    if inference:
        sent["inferenceConfig"] = inference
    tools = _tools(body) or _called_tools(messages)
    if tools is not None:
        sent["toolConfig"] = tools
    _limit_cache_points(sent)
    output = _output(body)
    if output:
        sent["outputConfig"] = output
    return sent


def _conversation(messages: list[Tree]) -> tuple[list[Tree], list[Tree]]:
    """System blocks, and alternating turns: consecutive messages of one role are merged."""
    system: list[Tree] = []
    turns: list[Tree] = []
    for message in messages:
        role = message.get("role")
        if role in ("system", "developer"):
            system += _blocks(message.get("content")) + _cache_point(message)
            continue
        if role == "tool":
            content = _blocks(message.get("content")) or [{"text": "(empty)"}]
            result = {"toolUseId": _tool_use_id(message.get("tool_call_id")), "content": content}
            role, blocks = "user", [{"toolResult": result}]
        elif role == "assistant":
            blocks = [
                *_thinking(message),
                *_blocks(message.get("content")),
                *map(_use, trees(message.get("tool_calls"))),
            ]
        elif role == "user":
            blocks = _blocks(message.get("content"))
        else:
            raise Untranslatable(f"messages.role {role}")
        if not blocks:
            continue
        blocks += _cache_point(message)
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    return system, turns


def _blocks(content: Any) -> list[Tree]:
    """Content blocks without blank texts, which the API rejects."""
    if isinstance(content, str):
        return [{"text": content}] if content.strip() else []
    blocks: list[Tree] = []
    for part in trees(content):
        kind = part.get("type")
        if kind in ("text", "refusal"):
            content_text = text(part.get("text")) or text(part.get("refusal"))
            blocks += [{"text": content_text}] if content_text.strip() else []
        elif kind == "image_url":
            blocks.append({"image": _file(text(tree(part.get("image_url")).get("url")), _IMAGES, "image_url")})
        elif kind == "file":
            file = tree(part.get("file"))
            name = " ".join(_NOT_IN_NAME.sub(" ", text(file.get("filename"))).split())
            document = _file(text(file.get("file_data")), _DOCUMENTS, "file", text(file.get("filename")))
            blocks.append({"document": document | {"name": name[:200].strip() or "document"}})
        else:
            raise Untranslatable(f"messages.{kind}")
        blocks += _cache_point(part)
    return blocks


def _make_names_unique(messages: list[Tree]) -> None:
    """Number documents of equal names, which the API rejects."""
    names = set[str]()
    numbers: dict[str, int] = {}
    for document in (block["document"] for message in messages for block in message["content"] if "document" in block):
        stem = document["name"][:190]
        number = numbers.get(stem.lower(), 1)
        while document["name"].lower() in names:
            number += 1
            document["name"] = f"{stem} {number}"
        names.add(document["name"].lower())
        numbers[stem.lower()] = number


def _cache_point(marked: Tree) -> list[Tree]:
    """The block that represents a cache mark; it follows the marked block."""
    mark = tree(marked.get("cache_control"))
    if not mark:
        return []
    return [{"cachePoint": {"type": "default"} | ({"ttl": "1h"} if mark.get("ttl") == "1h" else {})}]


def _limit_cache_points(sent: Tree) -> None:
    """Keep the last four, the API's maximum: a mark caches everything before it. Adjacent marks are merged."""
    lists = [tree(sent.get("toolConfig")).get("tools", []), sent.get("system", [])]
    lists += [message["content"] for message in sent["messages"]]
    points = 0
    for blocks in reversed(lists):
        for position in range(len(blocks) - 1, -1, -1):
            if "cachePoint" not in blocks[position]:
                continue
            points += 1
            if points > CACHE_MARKS or position == 0 or "cachePoint" in blocks[position - 1]:
                points -= 1
                del blocks[position]


def _file(url: str, formats: dict[str, str], kind: str, name: str = "") -> Tree:
    media = media_of(url, name)
    if media is None or media.kind not in formats:
        raise Untranslatable(f"messages.{kind} that is not data of a known type")
    return {"format": formats[media.kind], "source": {"bytes": media.data}}


def _thinking(message: Tree) -> list[Tree]:
    """Thinking of earlier turns, only if it has a signature of an Anthropic model."""
    blocks: list[Tree] = []
    for block in trees(message.get("thinking_blocks")):
        if text(block.get("data")):
            blocks.append({"reasoningContent": {"redactedContent": block["data"]}})
        elif text(block.get("signature")) not in ("", UNSIGNED):
            thought = {"text": text(block.get("thinking")), "signature": block["signature"]}
            blocks.append({"reasoningContent": {"reasoningText": thought}})
    return blocks


def _use(call: Tree) -> Tree:
    function = tree(call.get("function"))
    try:
        arguments = loads(text(function.get("arguments")).encode() or b"{}")
    except NotJson:
        arguments = None
    if not isinstance(arguments, dict):
        raise Untranslatable("messages.tool_calls.arguments that are not a JSON object")
    name = fitted_name(text(function.get("name")), OPENAI)
    return {"toolUse": {"toolUseId": _tool_use_id(call.get("id")), "name": name, "input": arguments}}


def _tool_use_id(identity: Any) -> str:
    return fitted_id(safe_id(text(identity)), _MOST_ID_CHARS)


def _tools(body: Tree) -> Tree | None:
    tools = []
    for tool in trees(body.get("tools")):
        function = tree(tool.get("function"))
        if tool.get("type") != "function":
            raise Untranslatable(f"tools of type {tool.get('type')}")
        schema = {"type": "object", **tree(function.get("parameters"))}
        spec: Tree = {"name": fitted_name(text(function.get("name")), OPENAI), "inputSchema": {"json": schema}}
        spec |= {key: function[key] for key in ("description", "strict") if function.get(key)}
        tools += [{"toolSpec": spec}, *(_cache_point(tool) or _cache_point(function))]
    if not tools:
        return None
    config: Tree = {"tools": tools}
    choice = body.get("tool_choice")
    if body.get("parallel_tool_calls") is False:
        raise Untranslatable("parallel_tool_calls")
    if choice == "none":
        raise Untranslatable("tool_choice none")
    if choice == "required":
        config["toolChoice"] = {"any": {}}
    elif isinstance(choice, dict):
        config["toolChoice"] = {"tool": {"name": fitted_name(text(tree(choice.get("function")).get("name")), OPENAI)}}
    return config


def _called_tools(messages: list[Tree]) -> Tree | None:
    """Stubs of the tools that a conversation called: the API accepts no calls without tools."""
    uses = [use for message in messages for block in message["content"] if (use := tree(block.get("toolUse")))]
    specs = [
        {"name": name, "inputSchema": {"json": {"type": "object"}}} for name in {use["name"]: None for use in uses}
    ]
    return {"tools": [{"toolSpec": spec} for spec in specs]} if specs else None


def _output(body: Tree) -> Tree:
    output: Tree = {}
    response_format = tree(body.get("response_format"))
    if response_format.get("type") == "json_schema":
        stated = tree(response_format.get("json_schema"))
        schema: Tree = {"schema": encode(stated.get("schema") or {}).decode(), "name": text(stated.get("name"))}
        output["textFormat"] = {"type": "json_schema", "structure": {"jsonSchema": schema}}
    elif response_format.get("type") not in (None, "text"):
        raise Untranslatable(f"response_format {response_format['type']}")
    if body.get("reasoning_effort") is not None:
        output["effort"] = body["reasoning_effort"]
    return output


# ------------------------------------------------------------------------------------------ answers


def completion_of(body: bytes, names: dict[str, str] | None = None) -> bytes:
    """A Converse answer as a chat completion. `names`: the client's tool names by those sent. Raises: Unreadable."""
    try:
        answer = loads(body)
    except NotJson:
        raise Unreadable("the body is not JSON") from None
    failure = error_in(answer)
    message = tree(tree(tree(answer).get("output")).get("message"))
    if failure is not None or not message:
        raise Unreadable(f"error: {failure}" if failure else "the answer has no message")
    reply = _message_of(trees(message.get("content")), names or {})
    finish = _finish(answer.get("stopReason"), called="tool_calls" in reply)
    choice = {"index": 0, "message": reply, "logprobs": None, "finish_reason": finish}
    completion: Tree = {"id": "", "object": "chat.completion", "created": 0, "model": None, "choices": [choice]}
    usage = usage_of(answer.get("usage"))
    return encode(completion | ({"usage": usage_tree(usage)} if usage is not None else {}))


def _message_of(content: list[Tree], names: dict[str, str]) -> Tree:
    """The message of a chat completion from content blocks."""
    reply: Tree = {"role": "assistant", "content": None}
    texts, calls, thoughts, annotations = list[str](), list[Tree](), list[Tree](), list[Tree]()
    for block in content:
        if text(block.get("text")):
            texts.append(block["text"])
        if cited := tree(block.get("citationsContent")):
            start = len("".join(texts))
            texts += [text(part.get("text")) for part in trees(cited.get("content"))]
            annotations += _annotations(cited.get("citations"), start, len("".join(texts)))
        if redacted := text(tree(block.get("reasoningContent")).get("redactedContent")):
            thoughts.append({"type": "redacted_thinking", "data": redacted})
        use, thought = tree(block.get("toolUse")), tree(tree(block.get("reasoningContent")).get("reasoningText"))
        if use:
            name = text(use.get("name"))
            function = {"name": names.get(name, name), "arguments": encode(use.get("input") or {}).decode()}
            calls.append({"id": text(use.get("toolUseId")), "type": "function", "function": function})
        if thought:
            signature = text(thought.get("signature"))
            thoughts.append({"type": "thinking", "thinking": text(thought.get("text")), "signature": signature})
    if texts:
        reply["content"] = "".join(texts)
    if thoughts:
        reply["reasoning_content"] = "".join(block.get("thinking", "") for block in thoughts)
        reply["thinking_blocks"] = thoughts
    if annotations:
        reply["annotations"] = annotations
    if calls:
        reply["tool_calls"] = calls
    return reply


def _annotations(citations: Any, start: int, end: int) -> list[Tree]:
    """Annotations for citations of web pages; others refer to documents of the request."""
    annotations = []
    for citation in trees(citations):
        url = text(tree(tree(citation.get("location")).get("web")).get("url"))
        source = Citation(url, text(citation.get("title")), "", start, end)
        annotations += [annotation for annotation in (source.as_annotation(),) if annotation is not None]
    return annotations


def _finish(reason: Any, *, called: bool) -> str:
    return "tool_calls" if called else _FINISHES.get(text(reason), "stop")


class Chunks:
    """Converts frames of a Converse stream to events of a chat completion stream."""

    def __init__(self, model: str | None, names: dict[str, str] | None = None) -> None:
        from botocore.eventstream import EventStreamBuffer

        self._frames = EventStreamBuffer()
        self._head: Tree = {"id": "", "object": "chat.completion.chunk", "created": 0, "model": model}
        self._names = names or {}
        self._calls: dict[int, int] = {}
        """Positions of tool calls by block index."""
        self._without_input: set[int] = set()
        """Block indexes of calls without input so far."""
        self._thought: list[str] = []
        self._chars = 0
        """Characters of text so far."""

    def feed(self, data: bytes) -> bytes:
        """Raises: Unreadable, also for an error inside the stream."""
        from botocore.eventstream import ParserError

        self._frames.add_data(data)
        try:
            return b"".join(sent for frame in self._frames for sent in self._events(frame.to_response_dict()))
        except ParserError as error:
            raise Unreadable(f"the stream is broken: {error}") from None

    def _events(self, frame: Tree) -> Iterator[bytes]:
        headers = frame["headers"]
        try:
            payload = tree(loads(frame["body"] or b"{}"))
        except NotJson:
            raise Unreadable("a frame is not JSON") from None
        if headers.get(":message-type") != "event":
            kind = headers.get(":exception-type") or headers.get(":error-code") or "error"
            message = text(payload.get("message")) or text(headers.get(":error-message"))
            raise StatedError(f"{kind}: {message}", {"error": {"type": kind, "message": message}})
        kind = headers.get(":event-type")
        if kind == "messageStart":
            yield self._chunk({"role": "assistant", "content": ""})
        elif kind == "contentBlockStart" and (use := tree(tree(payload.get("start")).get("toolUse"))):
            position = self._calls.setdefault(payload.get("contentBlockIndex", 0), len(self._calls))
            self._without_input.add(payload.get("contentBlockIndex", 0))
            name = text(use.get("name"))
            function = {"name": self._names.get(name, name), "arguments": ""}
            call = {"index": position, "id": text(use.get("toolUseId")), "type": "function", "function": function}
            yield self._chunk({"tool_calls": [call]})
        elif kind == "contentBlockDelta":
            yield from self._delta(tree(payload.get("delta")), payload.get("contentBlockIndex", 0))
        elif kind == "contentBlockStop" and (index := payload.get("contentBlockIndex", 0)) in self._without_input:
            yield self._chunk({"tool_calls": [{"index": self._calls[index], "function": {"arguments": "{}"}}]})
        elif kind == "messageStop":
            yield self._chunk({}, _finish(payload.get("stopReason"), called=bool(self._calls)))
        elif kind == "metadata":
            usage = usage_of(payload.get("usage"))
            if usage is not None:
                yield event(encode(self._head | {"choices": [], "usage": usage_tree(usage)}))
            yield DONE

    def _delta(self, delta: Tree, index: int) -> Iterator[bytes]:
        thought, use = tree(delta.get("reasoningContent")), tree(delta.get("toolUse"))
        if text(delta.get("text")):
            self._chars += len(delta["text"])
            yield self._chunk({"content": delta["text"]})
        if annotations := _annotations([tree(delta.get("citation"))], 0, self._chars):
            yield self._chunk({"annotations": annotations})
        if text(thought.get("redactedContent")):
            block = {"type": "redacted_thinking", "data": thought["redactedContent"]}
            yield self._chunk({"thinking_blocks": [block]})
        if text(use.get("input")):
            self._without_input.discard(index)
            position = self._calls.setdefault(index, len(self._calls))
            yield self._chunk({"tool_calls": [{"index": position, "function": {"arguments": use["input"]}}]})
        if text(thought.get("text")):
            self._thought.append(thought["text"])
            yield self._chunk({"reasoning_content": thought["text"]})
        if text(thought.get("signature")):
            block = {"type": "thinking", "thinking": "".join(self._thought), "signature": thought["signature"]}
            self._thought = []
            yield self._chunk({"thinking_blocks": [block]})

    def _chunk(self, delta: Tree, finish: str | None = None) -> bytes:
        return event(encode(self._head | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}))


class ConverseStream(WrappedStream):
    """The inner dialect's stream, fed with converted frames."""

    def __init__(self, inner: Stream, chunks: Chunks) -> None:
        super().__init__(inner)
        self._chunks = chunks

    def feed(self, data: bytes) -> list[bytes]:
        return self._inner.feed(self._chunks.feed(data))


def _without_marks(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_marks(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_marks(item) for key, item in value.items() if key != "cache_control"}
    return value


def _names(request: ChatRequest) -> dict[str, str]:
    """The client's tool names by those sent."""
    names = [text(tree(tool.get("function")).get("name")) for tool in request.tools or ()]
    return fitted_names(filter(None, names), OPENAI)


class Converse:
    """A client's dialect for Bedrock endpoints."""

    def __init__(self, inner: EndpointDialect) -> None:
        """`inner`: the dialect for an OpenAI endpoint."""
        self._inner = inner

    def path(self, base_url: str) -> str:
        return self._inner.path(base_url)

    def headers(self, key: str | None, request: ChatRequest, target: Target) -> dict[str, str]:
        """The header with Bedrock's API key; without a key the request is signed."""
        del request, target
        return {} if key is None else {"authorization": f"Bearer {key}"}

    def payload(self, request: ChatRequest, target: Target, *, stream: bool) -> bytes:
        return encode(self.body(request, target, stream=stream))

    def body(self, request: ChatRequest, target: Target, *, stream: bool) -> Tree:
        """Raises: Untranslatable."""
        native = request.native.values() if request.dialect == "anthropic" else ()
        if any(word in bytes(value) for value in native for word in (b'"cache_control"', b"thinking")):
            full = {key: msgspec.Raw(encode(value)) for key, value in full_tree(request.native).items()}
            request = msgspec.structs.replace(request, tree=full)
        inner: Tree = msgspec.json.decode(self._inner.payload(request, target, stream=stream))
        if "cache_control" in target.endpoint.leave_out:
            # Models without a prompt cache reject cache marks.
            inner = tree(_without_marks(inner))
        return converse_body(inner)

    def read(self, body: bytes, request: ChatRequest, target: Target) -> Answer:
        return self._inner.read(completion_of(body, _names(request)), request, target)

    def stream(self, request: ChatRequest, target: Target) -> Stream:
        return ConverseStream(self._inner.stream(request, target), Chunks(target.model, _names(request)))
