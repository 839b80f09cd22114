"""Amazon Bedrock's Converse API: converts chat completion requests to it.

Wraps the dialect for the same client and an OpenAI endpoint: its requests are converted to Converse, and Bedrock's
answers are converted to chat completions before it parses them. `router.bedrock` signs requests.
"""

import re
from typing import Any
from urllib.parse import quote

import msgspec

from router.request import ChatRequest
from router.target import Target
from router.wire.anthropic_requests import full_tree
from router.wire.call_ids import fitted_id, safe_id
from router.wire.chat_requests import fitted_effort, is_optional
from router.wire.converse_answers import Chunks, ConverseStream, completion_of
from router.wire.endpoint_limits import CACHE_MARKS, OPENAI, answer_schema, fitted_name
from router.wire.media import media_of
from router.wire.openai_limits import original_names
from router.wire.protocol import Answer, EndpointDialect, Stream, Untranslatable, malformed
from router.wire.thinking import is_signed, with_effort
from router.wire.turns import in_order, with_ids, with_results
from traffic.loose_json import Tree, encode, text, tree, trees
from traffic.tool_calls import arguments_tree

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
_HINTS = frozenset({"user", "metadata", "store", "safety_identifier", "service_tier"})
"""Parameters without an effect on the content of the answer."""


_NOT_IN_NAME = re.compile(r"[^a-zA-Z0-9\s()\[\]-]")
"""Characters that a document's name must not have."""
_MOST_ID_CHARS = 64


def path(target: Target, *, stream: bool) -> str:
    """Path below the endpoint's base URL."""
    return f"/model/{quote(target.model or '', safe='')}/converse{'-stream' if stream else ''}"


def converse_body(body: Tree) -> Tree:
    """A chat completion body converted to Converse. Raises: Untranslatable."""
    body, known = with_effort(body), _SUPPORTED | _HINTS
    unknown = [key for key in body if key not in known and body[key] is not None and not is_optional(key, body[key])]
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
    stops = [body["stop"]] if isinstance(body.get("stop"), str) else body.get("stop") or ()
    limits = {
        "maxTokens": body.get("max_completion_tokens") or body.get("max_tokens"),
        "temperature": body.get("temperature"),
        "topP": body.get("top_p"),
        "stopSequences": [stop for stop in stops if stop] or None,
    }
    inference = {key: value for key, value in limits.items() if value is not None}
    if (body.get("temperature") or 0) > 1:
        raise Untranslatable("temperature above 1")
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
            inner = _blocks(message.get("content"))
            content = [block for block in inner if "cachePoint" not in block] or [{"text": "(empty)"}]
            result = {"toolUseId": _tool_use_id(message.get("tool_call_id")), "content": content}
            # The API permits no cache points inside results.
            role, blocks = "user", [{"toolResult": result}, *(block for block in inner if "cachePoint" in block)]
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
    blocks = (block for message in messages for block in message["content"])
    # In order of appearance, so that later turns rename nothing that is in a cache.
    inner = (part for block in blocks for part in (block, *tree(block.get("toolResult")).get("content", ())))
    for document in (part["document"] for part in inner if "document" in part):
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
        kept = []
        for block, previous in zip(reversed(blocks), [*reversed(blocks), None][1:], strict=True):
            if "cachePoint" in block:
                if points == CACHE_MARKS or previous is None or "cachePoint" in previous:
                    continue
                points += 1
            kept.append(block)
        blocks[:] = reversed(kept)


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
        elif is_signed(block):
            thought = {"text": text(block.get("thinking")), "signature": block["signature"]}
            blocks.append({"reasoningContent": {"reasoningText": thought}})
    return blocks


def _use(call: Tree) -> Tree:
    function = tree(call.get("function"))
    name, arguments = fitted_name(text(function.get("name")), OPENAI), arguments_tree(function.get("arguments"))
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
        fitted = encode(answer_schema(stated.get("schema") or {})).decode()
        schema: Tree = {"schema": fitted, "name": text(stated.get("name"))}
        output["textFormat"] = {"type": "json_schema", "structure": {"jsonSchema": schema}}
    elif response_format.get("type") not in (None, "text"):
        raise Untranslatable(f"response_format {response_format['type']}")
    effort = fitted_effort(body)
    return output | ({"effort": effort} if effort is not None else {})


def _without_marks(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_marks(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_marks(item) for key, item in value.items() if key != "cache_control"}
    return value


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
        left_out = target.endpoint.leave_out
        inner = {key: value for key, value in inner.items() if key not in left_out}
        if "cache_control" in left_out:
            # Models without a prompt cache reject cache marks.
            inner = tree(_without_marks(inner))
        try:
            return converse_body(inner)
        except (KeyError, TypeError, AttributeError) as error:
            raise Untranslatable(malformed(error)) from None

    def read(self, body: bytes, request: ChatRequest, target: Target) -> Answer:
        return self._inner.read(completion_of(body, original_names(request, target), target.model), request, target)

    def stream(self, request: ChatRequest, target: Target) -> Stream:
        return ConverseStream(
            self._inner.stream(request, target), Chunks(target.model, original_names(request, target))
        )
