"""Clients that speak OpenAI's chat completions, endpoints that speak Anthropic's messages.

What has no counterpart (`n`, `seed`, `logprobs`, `logit_bias`, penalties, audio, ...) means that the endpoint cannot
take the request, unless the endpoint's `leave_out` names it; what is the case anyway (`n: 1`) is no reason. System
messages become `system` wherever they stand; thinking is not shown to the client, but counted as reasoning.
"""

import re
import time
from collections.abc import Callable, Collection, Iterable
from typing import Any

import msgspec

from router.request import ChatRequest
from router.target import Target
from router.wire import anthropic
from router.wire.anthropic import Message, dumped
from router.wire.protocol import Answer, Untranslatable
from router.wire.sse import DONE
from router.wire.sse import event as chunk_event
from traffic.record import Usage
from traffic.tiers import Endpoint

Tree = dict[str, Any]

_ANYWAY: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "store": (False,),
    "service_tier": ("auto", "default"),
    "functions": ([],),
    "function_call": ("auto",),
    "verbosity": ("medium",),
}
"""Values that ask for nothing beyond what every answer of the endpoint is."""

_HANDLED = frozenset(
    {"messages", "model", "max_tokens", "max_completion_tokens", "temperature", "top_p", "stop", "tools", "tool_choice"}
    | {"parallel_tool_calls", "response_format", "reasoning_effort", "user", "safety_identifier", "stream"}
    # Ours, and hints about billing and transport that change no answer.
    | {"metadata", "stream_options", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options"}
)
_DATA_URL = re.compile(r"data:(image/[a-z0-9.+-]+);base64,(.*)", re.IGNORECASE | re.DOTALL)
_NOT_IN_ID = re.compile(r"[^a-zA-Z0-9_-]")
_EFFORTS = ("low", "medium", "high", "xhigh", "max")


def translated(tree: Tree, leave_out: Collection[str] = ()) -> Tree:
    """The body without model and stream; `max_tokens` only where the client caps. Raises: Untranslatable."""
    tree = {key: value for key, value in tree.items() if value is not None and key not in leave_out}
    for key, value in tree.items():
        if key not in _HANDLED and not (key in _ANYWAY and value in _ANYWAY[key]):
            raise Untranslatable(key)
    system, messages = _conversation(tree["messages"], leave_out)
    body: Tree = {"messages": messages}
    if system:
        body["system"] = system[0] if len(system) == 1 else [{"type": "text", "text": text} for text in system]
    caps = [tree[key] for key in ("max_tokens", "max_completion_tokens") if key in tree]
    if caps:
        body["max_tokens"] = min(caps)
    _sampling(tree, body)
    _tools(tree, body)
    _output(tree, body)
    user = tree.get("user") or tree.get("safety_identifier")
    if user:
        body["metadata"] = {"user_id": user}
    return body


def _sampling(tree: Tree, body: Tree) -> None:
    if tree.get("temperature", 0) > 1:
        raise Untranslatable("temperature above 1")
    for key in ("temperature", "top_p"):
        # 1 is the default of both, and newer models take neither.
        if tree.get(key, 1) != 1:
            body[key] = tree[key]
    if "stop" in tree:
        stop = [tree["stop"]] if isinstance(tree["stop"], str) else tree["stop"]
        if stop:
            body["stop_sequences"] = stop


def _tools(tree: Tree, body: Tree) -> None:
    tools = tree.get("tools") or []
    if tools:
        body["tools"] = [_tool(tool) for tool in tools]
    choice = tree.get("tool_choice")
    if isinstance(choice, dict):
        if choice.get("type") != "function":
            raise Untranslatable(f"tool_choice {choice.get('type')}")
        body["tool_choice"] = {"type": "tool", "name": choice["function"]["name"]}
    elif choice is not None and tools:
        body["tool_choice"] = {"type": {"auto": "auto", "none": "none", "required": "any"}[choice]}
    if tools and tree.get("parallel_tool_calls") is False and choice != "none":
        body.setdefault("tool_choice", {"type": "auto"})["disable_parallel_tool_use"] = True


def _tool(tool: Tree) -> Tree:
    if tool.get("type") != "function":
        raise Untranslatable(f"tools of type {tool.get('type')}")
    function = tool["function"]
    made = {"name": function["name"], "input_schema": function.get("parameters") or {"type": "object"}}
    if function.get("description"):
        made["description"] = function["description"]
    return made | ({"strict": True} if function.get("strict") else {})


def _output(tree: Tree, body: Tree) -> None:
    config: Tree = {}
    wanted = tree.get("response_format") or {"type": "text"}
    if wanted.get("type") == "json_schema":
        config["format"] = {"type": "json_schema", "schema": wanted["json_schema"]["schema"]}
    elif wanted.get("type") != "text":
        raise Untranslatable(f"response_format {wanted.get('type')}")
    effort = tree.get("reasoning_effort")
    if effort == "none":
        body["thinking"] = {"type": "disabled"}
    elif effort in _EFFORTS:
        config["effort"] = effort
    elif effort is not None:
        raise Untranslatable(f"reasoning_effort {effort}")
    if config:
        body["output_config"] = config


# ------------------------------------------------------------------------------------------- messages


def _conversation(messages: list[Tree], leave_out: Collection[str]) -> tuple[list[str], list[Tree]]:
    """System texts and turns; neighbours of one role are one turn."""
    system: list[str] = []
    turns: list[Tree] = []
    for message in messages:
        role = message["role"]
        if message.get("name") and role != "tool" and "messages.name" not in leave_out:
            raise Untranslatable("messages.name")
        if role in ("system", "developer"):
            system += [block["text"] for block in _blocks(message.get("content"), leave_out)]
            continue
        if role not in _TURNS:
            raise Untranslatable(f"messages of role {role}")
        speaker, blocks = _TURNS[role](message, leave_out)
        if turns and turns[-1]["role"] == speaker:
            turns[-1]["content"] += blocks
        elif blocks:
            turns.append({"role": speaker, "content": blocks})
    if not turns:
        raise Untranslatable("messages without any text beside the system prompt")
    for turn in turns:
        if len(turn["content"]) == 1 and turn["content"][0]["type"] == "text":
            turn["content"] = turn["content"][0]["text"]
    return system, turns


def _user(message: Tree, leave_out: Collection[str]) -> tuple[str, list[Tree]]:
    return "user", _blocks(message.get("content"), leave_out)


def _assistant(message: Tree, leave_out: Collection[str]) -> tuple[str, list[Tree]]:
    for key in ("audio", "function_call"):
        if message.get(key):
            raise Untranslatable(f"messages.{key}")
    blocks = _blocks(message.get("content") or message.get("refusal"), leave_out)
    return "assistant", blocks + [_tool_use(call) for call in message.get("tool_calls") or ()]


def _tool_use(call: Tree) -> Tree:
    if call.get("type", "function") != "function":
        raise Untranslatable(f"tool_calls of type {call['type']}")
    arguments = call["function"].get("arguments") or "{}"
    try:
        given = msgspec.json.decode(arguments, type=Tree)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Untranslatable("tool_calls with arguments that are no JSON object") from None
    return {"type": "tool_use", "id": _id(call["id"]), "name": call["function"]["name"], "input": given}


def _result(message: Tree, leave_out: Collection[str]) -> tuple[str, list[Tree]]:
    blocks = _blocks(message.get("content"), leave_out)
    content = blocks[0]["text"] if len(blocks) == 1 and blocks[0]["type"] == "text" else blocks
    return "user", [{"type": "tool_result", "tool_use_id": _id(message["tool_call_id"]), "content": content}]


_TURNS: dict[str, Callable[[Tree, Collection[str]], tuple[str, list[Tree]]]] = {
    "user": _user,
    "assistant": _assistant,
    "tool": _result,
}


def _id(identity: str) -> str:
    """Of a tool call: other servers' ids hold characters that are refused here; both sides are changed alike."""
    return _NOT_IN_ID.sub("_", identity)


def _blocks(content: Any, leave_out: Collection[str]) -> list[Tree]:
    """Content as blocks; empty texts, which the API refuses, are left out."""
    if content is None or isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return [block for part in content if (block := _block(part, leave_out)) is not None]


def _block(part: Tree, leave_out: Collection[str]) -> Tree | None:
    kind = part.get("type")
    if kind in ("text", "refusal"):
        return {"type": "text", "text": part[kind]} if part[kind] else None
    if kind != "image_url":
        raise Untranslatable(f"messages.{kind}")
    image = part["image_url"]
    if image.get("detail", "auto") != "auto" and "image_url.detail" not in leave_out:
        raise Untranslatable("image_url.detail")
    found = _DATA_URL.fullmatch(image["url"])
    if found:
        source = {"type": "base64", "media_type": found[1].lower(), "data": found[2]}
    elif image["url"].lower().startswith("https://"):
        source = {"type": "url", "url": image["url"]}
    else:
        raise Untranslatable("image_url.url that is neither https: nor base64 data")
    return {"type": "image", "source": source}


# -------------------------------------------------------------------------------------------- payload


def body_for(request: ChatRequest, endpoint: Endpoint) -> Tree:
    """Raises: Untranslatable, also for a body that OpenAI would refuse."""
    # Asked first whether it can be said, and then for the body: a large image is not decoded twice.
    kept: dict[tuple[str, ...], Tree] = request.__dict__.setdefault("said_to_anthropic", {})
    if endpoint.leave_out in kept:
        return dict(kept[endpoint.leave_out])
    tree = {key: msgspec.json.decode(raw) for key, raw in request.tree.items()}
    try:
        kept[endpoint.leave_out] = translated(tree, endpoint.leave_out)
        return dict(kept[endpoint.leave_out])
    except (KeyError, TypeError, AttributeError) as error:
        raise Untranslatable(f"a malformed request ({type(error).__name__}: {error})") from None


def payload(request: ChatRequest, target: Target, *, stream: bool) -> bytes:
    body = {"model": target.model, **body_for(request, target.endpoint)}
    caps = [cap for cap in (body.get("max_tokens"), target.max_tokens) if cap is not None]
    body["max_tokens"] = min(caps, default=target.endpoint.default_max_tokens)
    if stream:
        body["stream"] = True
    return msgspec.json.encode(body)


path = anthropic.path


def headers(key: str | None, request: ChatRequest, target: Target) -> dict[str, str]:
    """The newest version that takes the request."""
    sampled = not {"temperature", "top_p"}.isdisjoint(body_for(request, target.endpoint))
    version = anthropic.SAMPLING_VERSION if sampled else anthropic.VERSION
    return {"anthropic-version": version} | ({"x-api-key": key} if key is not None else {})


# -------------------------------------------------------------------------------------------- answers


def usage_of(usage: Usage) -> Tree:
    """Tokens as OpenAI counts them: cached ones inside the prompt."""
    prompt = usage.input_total
    return {
        "prompt_tokens": prompt,
        "completion_tokens": usage.output,
        "total_tokens": prompt + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read, "cache_write_tokens": usage.cache_write},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }


def _head(message: Message | None, kind: str) -> Tree:
    named = message or Message([])
    return {"id": named.id, "object": kind, "created": int(time.time()), "model": named.model}


def completion(message: Message) -> bytes:
    """A message as a chat completion."""
    output = message.output
    said: Tree = {"role": "assistant", "content": output.text, "refusal": None}
    if output.tool_calls:
        said["tool_calls"] = output.tool_calls
    choice = {"index": 0, "message": said, "logprobs": None, "finish_reason": output.finish_reason}
    tree = _head(message, "chat.completion") | {"choices": [choice]}
    if message.usage is not None:
        tree["usage"] = usage_of(message.usage.normalised())
    return msgspec.json.encode(tree)


def read(body: bytes, request: ChatRequest, target: Target) -> Answer:
    del request, target
    message = anthropic.message_of(body)
    usage = message.usage.normalised() if message.usage is not None else None
    return Answer(message.output, usage, completion(message))


class ChunkStream(anthropic.Events):
    """A message's events as chat completion chunks."""

    def __init__(self, *, usage: bool) -> None:
        super().__init__()
        self._wants_usage = usage
        self._head: Tree = {}

    def feed(self, data: bytes) -> list[bytes]:
        return [
            self._chunk([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}])
            for _, event in self.decoded(data)
            for delta, reason in self._said(event)
        ]

    def _said(self, event: anthropic.Event) -> Iterable[tuple[Tree, str | None]]:
        if event.message is not None:
            self._head = _head(event.message, "chat.completion.chunk")
            yield {"role": "assistant", "content": ""}, None
        elif event.type == "content_block_start" and event.content_block is not None:
            block, place = event.content_block, self.position(event.index)
            if place is not None:
                call = anthropic.tool_call(block.id, block.name, dumped(block.input) if block.input else "")
                yield {"tool_calls": [{"index": place} | call]}, None
            elif block.text:
                yield {"content": block.text}, None
        elif event.type == "content_block_delta":
            place = self.position(event.index)
            if event.delta.text:
                yield {"content": event.delta.text}, None
            elif event.delta.partial_json and place is not None:
                yield _arguments(place, event.delta.partial_json), None
        elif event.type == "content_block_stop":
            place = self.position(event.index)
            if place is not None and not self.has_arguments(event.index):
                yield _arguments(place, "{}"), None
        elif event.type == "message_delta" and event.delta.stop_reason is not None:
            yield {}, self.finish_reason

    def _chunk(self, choices: list[Tree], **more: Any) -> bytes:
        return chunk_event(msgspec.json.encode(self._head | {"choices": choices} | more))

    def end(self) -> bytes:
        self.check()
        if self._wants_usage and self.usage is not None:
            return self._chunk([], usage=usage_of(self.usage)) + DONE
        return DONE


def _arguments(place: int, text: str) -> Tree:
    return {"tool_calls": [{"index": place, "function": {"arguments": text}}]}


def stream(request: ChatRequest, target: Target) -> ChunkStream:
    del target
    return ChunkStream(usage=request.wants_usage)
