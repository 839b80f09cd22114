"""Converts chat completion requests to Anthropic messages, for OpenAI clients of Anthropic endpoints.

A parameter without an equivalent (`n`, `logprobs`, `logit_bias`, penalties, audio, ...) excludes the endpoint, unless
its value is the default (`n: 1`) or the endpoint's `leave_out` lists it. Best-effort hints (`seed`) are dropped and
listed in a response header. Values beyond the API's limits are adjusted (`endpoint_limits`).
"""

from collections.abc import Callable, Collection
from typing import Any

import msgspec

from router.request import ChatRequest
from router.target import Target
from router.wire import anthropic, custom_tools
from router.wire.call_ids import safe_id
from router.wire.chat_tools import add_called_tools, add_tools, web_search, without_functions
from router.wire.endpoint_limits import (
    ANTHROPIC,
    CACHE_MARKS,
    answer_schema,
    fitted_name,
    fitted_names,
    fitted_user,
    split_stops,
)
from router.wire.media import Media, media_of
from router.wire.protocol import Untranslatable, malformed
from router.wire.thinking import (
    ANTHROPIC_EFFORTS,
    fit_thinking,
    is_signed,
    is_thinking,
    reconcile,
    thinking_tokens,
    with_effort,
)
from router.wire.turns import NO_RESULT, as_parts, labelled_result, with_ids
from traffic.loose_json import Tree, encode, text, tree, trees
from traffic.tiers import Endpoint
from traffic.tool_calls import arguments_tree

PROVIDER_DEFAULTS: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "verbosity": ("medium",),
}
"""Values with no effect: they request what the endpoint does anyway."""

HINTS = ("seed", "prediction", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "verbosity")
"""Best effort at OpenAI too, so an answer without them is correct."""

_EXCLUDED = ("temperature", "top_p", "top_k", "thinking")
"""Parameters that are not sent beside some others."""
_SOMETIMES_SENT = ("service_tier", "store", "web_search_options", *_EXCLUDED)
_SAMPLING_DEFAULTS = {"temperature": 1, "top_p": 1}
_TIERS = {"auto": "auto", "default": "standard_only"}

_HANDLED = frozenset(
    {"messages", "model", "max_tokens", "max_completion_tokens", "temperature", "top_p", "stop", "tools", "tool_choice"}
    | {"parallel_tool_calls", "response_format", "reasoning_effort", "user", "safety_identifier", "stream"}
    # The router's own, and those on transport.
    | {"metadata", "stream_options", "cache_control", "thinking"}
    # Anthropic's own, and those that have another name there.
    | {"top_k", "service_tier", "store", "functions", "function_call", "web_search_options"}
)
_TEXTS = ("text", "input_text", "output_text", "refusal")
"""Types of message parts; some clients use those of the Responses API."""
_NO_EFFORT = (None, "none", "default", "auto", "")
"""Efforts that leave the decision to the model, and the one without thinking."""
_EFFORTS = {"minimal": "low"} | {effort: effort for effort in ANTHROPIC_EFFORTS}
_JSON_INSTRUCTION = "Answer with one valid JSON object and nothing else."


def is_optional(key: str, value: Any) -> bool:
    """Whether an answer without this parameter is correct: it is a hint, or requests what any endpoint does."""
    return key in HINTS or value in PROVIDER_DEFAULTS.get(key, ())


def left_out(request: ChatRequest, endpoint: Endpoint) -> tuple[str, ...]:
    """Hints of the request that are not sent to the endpoint, and parameters that others of the request exclude.

    Raises: Untranslatable.
    """
    names = [name for name in HINTS if name in request.tree]
    if b'"detail"' in bytes(request.tree["messages"]) and any(map(_states_detail, request.plain_messages)):
        names.append("image_url.detail")
    values = {key: msgspec.json.decode(request.tree[key]) for key in _SOMETIMES_SENT if key in request.tree}
    if not values:
        return tuple(names)
    if values.get("service_tier") not in (None, *_TIERS):
        names.append("service_tier")
    if values.get("store"):
        names.append("store")
    if "web_search_options" in values and web_search(values["web_search_options"])[1]:
        names.append("web_search_options.search_context_size")
    body = body_for(request, endpoint)
    stated = [key for key in _EXCLUDED if values.get(key) not in (None, _SAMPLING_DEFAULTS.get(key))]
    return (*names, *(key for key in stated if key not in body))


def names_and_stops(request: ChatRequest) -> tuple[dict[str, str], list[str]]:
    """The client's tool names by the names sent, if they differ; and the stop sequences that were not sent."""
    kinds = ("function", "custom")
    names = [
        text(next((tree(tool[kind]) for kind in kinds if kind in tool), tool).get("name"))
        for tool in request.tools or ()
    ]
    return fitted_names(filter(None, names), ANTHROPIC), split_stops(request.value("stop"), ANTHROPIC)[1]


# -------------------------------------------------------------------------------------------- payload


def payload(request: ChatRequest, target: Target, *, stream: bool) -> bytes:
    """Raises: Untranslatable."""
    body = {"model": target.model, **body_for(request, target.endpoint)}
    caps = [cap for cap in (body.get("max_tokens"), target.max_tokens) if cap is not None]
    body["max_tokens"] = min(caps) if caps else target.endpoint.default_max_tokens + thinking_tokens(body)
    fit_thinking(body)
    if stream:
        body["stream"] = True
    return encode(body)


def headers(key: str | None, request: ChatRequest, target: Target) -> dict[str, str]:
    """Headers with the newest API version that accepts the request."""
    sampled = not {"temperature", "top_p", "top_k"}.isdisjoint(body_for(request, target.endpoint))
    version = anthropic.SAMPLING_VERSION if sampled else anthropic.VERSION
    return {"anthropic-version": version} | ({"x-api-key": key} if key is not None else {})


def body_for(request: ChatRequest, endpoint: Endpoint) -> Tree:
    """The body without model and stream. Raises: Untranslatable, also for a body that OpenAI would reject."""
    # Called once to check the request and again for the body; cached, so that a large image is decoded once.
    bodies: dict[tuple[str, ...], Tree] = request.__dict__.setdefault("anthropic_bodies", {})
    if endpoint.leave_out in bodies:
        return dict(bodies[endpoint.leave_out])
    sent = {key: msgspec.json.decode(raw) for key, raw in request.tree.items()}
    try:
        bodies[endpoint.leave_out] = translated(sent, endpoint.leave_out)
        return dict(bodies[endpoint.leave_out])
    except (KeyError, TypeError, AttributeError) as error:
        raise Untranslatable(malformed(error)) from None


def translated(sent: Tree, leave_out: Collection[str] = ()) -> Tree:
    """The body without model and stream; `max_tokens` only if the client sets a cap. Raises: Untranslatable."""
    sent = {key: value for key, value in sent.items() if value is not None and key not in leave_out}
    sent = without_functions(with_effort(sent))
    for key, value in sent.items():
        if key not in _HANDLED and not is_optional(key, value):
            raise Untranslatable(key)
    system, turns = _conversation(sent["messages"], leave_out)
    body: Tree = {"messages": turns}
    caps = [sent[key] for key in ("max_tokens", "max_completion_tokens") if key in sent]
    if caps:
        body["max_tokens"] = min(caps)
    _sampling(sent, body)
    add_tools(sent, body)
    add_called_tools(body)
    if text(sent.get("service_tier")) in _TIERS:
        body["service_tier"] = _TIERS[sent["service_tier"]]
    system += _output(sent, body)
    reconcile(body)
    if system:
        # A single text without a cache mark becomes a string, which is easier to read in a log.
        body["system"] = system[0]["text"] if len(system) == 1 and len(system[0]) == 2 else system
    user = sent.get("user") or sent.get("safety_identifier")
    if user:
        body["metadata"] = {"user_id": fitted_user(str(user), ANTHROPIC)}
    if "cache_control" in sent:
        body["cache_control"] = sent["cache_control"]
    _limit_cache_marks(body)
    return body


def _sampling(sent: Tree, body: Tree) -> None:
    if sent.get("temperature", 0) > 1:
        raise Untranslatable("temperature above 1")
    for key, default in _SAMPLING_DEFAULTS.items():
        # Newer models accept neither.
        if sent.get(key, default) != default:
            body[key] = sent[key]
    if isinstance(sent.get("top_k"), int) and sent["top_k"] > 0:
        body["top_k"] = sent["top_k"]
    if "temperature" in body:
        # Newer models accept only one of the two.
        body.pop("top_p", None)
    stops, _ = split_stops(sent.get("stop"), ANTHROPIC)
    if stops:
        body["stop_sequences"] = stops


def _output(sent: Tree, body: Tree) -> list[Tree]:
    """Sets the format and effort of the answer; returns texts to add to the system prompt."""
    config: Tree = {}
    instructions: list[Tree] = []
    response_format = sent.get("response_format") or {"type": "text"}
    if response_format.get("type") == "json_schema":
        config["format"] = {"type": "json_schema", "schema": answer_schema(response_format["json_schema"]["schema"])}
    elif response_format.get("type") == "json_object":
        instructions.append({"type": "text", "text": _JSON_INSTRUCTION})
    elif response_format.get("type") != "text":
        raise Untranslatable(f"response_format {response_format.get('type')}")
    effort = fitted_effort(sent)
    if effort is not None:
        config["effort"] = effort
    elif sent.get("reasoning_effort") == "none":
        body["thinking"] = {"type": "disabled"}
    if isinstance(sent.get("thinking"), dict):
        # Anthropic's own parameter, from clients that know the model.
        body["thinking"] = sent["thinking"]
    if config:
        body["output_config"] = config
    return instructions


def fitted_effort(sent: Tree) -> str | None:
    """The effort as Anthropic and Bedrock name it, None for the model's own. Raises: Untranslatable."""
    effort = sent.get("reasoning_effort")
    if effort in _NO_EFFORT:
        return None
    if effort not in _EFFORTS:
        raise Untranslatable(f"reasoning_effort {effort}")
    return _EFFORTS[effort]


# ------------------------------------------------------------------------------------------- messages


def _conversation(messages: list[Tree], leave_out: Collection[str]) -> tuple[list[Tree], list[Tree]]:
    """System blocks and turns; consecutive messages of one role are merged."""
    system: list[Tree] = []
    turns: list[Tree] = []
    for message in with_ids(messages):
        role = message["role"]
        if message.get("name") and role != "tool" and "messages.name" not in leave_out:
            raise Untranslatable("messages.name")
        if role in ("system", "developer"):
            system += _marked_last(_blocks(message.get("content")), message)
            continue
        if role not in _TURNS:
            raise Untranslatable(f"messages of role {role}")
        speaker, blocks = _TURNS[role](message)
        blocks = _marked_last(blocks, message)
        if turns and turns[-1]["role"] == speaker:
            turns[-1]["content"] += blocks
        elif blocks:
            turns.append({"role": speaker, "content": blocks})
    _trim_prefill(turns)
    if not turns and not system:
        raise Untranslatable("messages without any text")
    if not turns or turns[0]["role"] == "assistant":
        # A conversation must begin with a user turn.
        turns.insert(0, {"role": "user", "content": [{"type": "text", "text": "."}]})
    _pair_results(turns)
    for turn in turns:
        # Tool results must come first.
        turn["content"].sort(key=lambda block: block["type"] != "tool_result")
        if len(turn["content"]) == 1 and turn["content"][0].keys() == {"type", "text"}:
            turn["content"] = turn["content"][0]["text"]
    return system, turns


def _pair_results(turns: list[Tree]) -> None:
    """Give each call a result in the next turn, and each result a call.

    Interrupted agents omit one of them, which the API rejects.
    """
    calls: dict[str, None] = {}
    if any(block["type"] == "tool_use" for block in turns[-1]["content"]):
        turns.append({"role": "user", "content": []})
    for turn in turns:
        blocks = turn["content"]
        results = {block["tool_use_id"]: block for block in reversed(blocks) if block["type"] == "tool_result"}
        # Equal results of one call count once; other second results become text.
        blocks = [
            block
            for block in blocks
            if block["type"] != "tool_result" or (first := results[block["tool_use_id"]]) is block or first != block
        ]
        turn["content"] = [
            {"type": "tool_result", "tool_use_id": call, "content": NO_RESULT} for call in calls if call not in results
        ] + [
            part
            for block in blocks
            for part in (
                as_parts(labelled_result(block["tool_use_id"], block.get("content", "")))
                if block["type"] == "tool_result"
                and (block["tool_use_id"] not in calls or results[block["tool_use_id"]] is not block)
                else [block]
            )
        ]
        calls = dict.fromkeys(block["id"] for block in blocks if block["type"] == "tool_use")


def _trim_prefill(turns: list[Tree]) -> None:
    """Strip trailing whitespace of a prefilled answer, which the API rejects."""
    while turns and turns[-1]["role"] == "assistant":
        last = turns[-1]["content"][-1]
        if last["type"] != "text":
            return
        last["text"] = last["text"].rstrip()
        if last["text"]:
            return
        turns[-1]["content"].pop()
        if turns[-1]["content"]:
            return
        turns.pop()


def _user(message: Tree) -> tuple[str, list[Tree]]:
    return "user", _blocks(message.get("content"))


def _assistant(message: Tree) -> tuple[str, list[Tree]]:
    if message.get("audio"):
        raise Untranslatable("messages.audio")
    # Signed thinking is sent back; unsigned thinking is dropped.
    thoughts = [block for block in trees(message.get("thinking_blocks")) if is_signed(block)]
    done = trees(tree(message.get("provider_specific_fields")).get("server_tool_blocks"))
    thoughts += [block for block in done if text(block.get("type")).endswith(_SERVER_TOOLS)]
    calls = [_tool_use(call) for call in message.get("tool_calls") or ()]
    call_ids = {call["id"] for call in calls}
    blocks = _blocks(message.get("content") or message.get("refusal"))
    # Some frameworks also send the calls in Anthropic's format.
    blocks = [block for block in blocks if block["type"] != "tool_use" or block["id"] not in call_ids]
    return "assistant", thoughts + blocks + calls


_SERVER_TOOLS = ("server_tool_use", "mcp_tool_use", "_tool_result")


_CONTENT_KEYS = {"image": "source", "document": "source", "tool_use": "input", "tool_result": "tool_use_id"}
"""A required key by type of the Anthropic blocks that frameworks send in chat completions."""


def _states_detail(message: Tree) -> bool:
    parts = trees(message.get("content"))
    return any(tree(part.get("image_url")).get("detail", "auto") not in ("auto", None) for part in parts)


def _tool_use(call: Tree) -> Tree:
    if custom_tools.name_of(call):
        call = custom_tools.as_function_call(call)
    if call.get("type", "function") != "function":
        raise Untranslatable(f"tool_calls of type {call['type']}")
    function = call["function"]
    # Invalid arguments and the error that followed are part of the conversation.
    value = arguments_tree(function.get("arguments"))
    name = fitted_name(function["name"], ANTHROPIC)
    return _marked({"type": "tool_use", "id": safe_id(str(call["id"])), "name": name, "input": value}, call)


def _result(message: Tree) -> tuple[str, list[Tree]]:
    blocks = _blocks(message.get("content"))
    result: Tree = {"type": "tool_result", "tool_use_id": safe_id(str(message["tool_call_id"]))}
    # A cache mark on a part applies to the whole result: the API accepts none inside.
    result = _marked(result, *reversed(blocks))
    blocks = [{key: value for key, value in block.items() if key != "cache_control"} for block in blocks]
    plain = len(blocks) == 1 and blocks[0].keys() == {"type", "text"}
    if blocks:
        result["content"] = blocks[0]["text"] if plain else blocks
    return "user", [result | ({"is_error": True} if message.get("is_error") is True else {})]


_TURNS: dict[str, Callable[[Tree], tuple[str, list[Tree]]]] = {
    "user": _user,
    "assistant": _assistant,
    "tool": _result,
}


def _blocks(content: Any) -> list[Tree]:
    """Content as blocks, without blank texts, which the API rejects."""
    if content is None or isinstance(content, str):
        return [{"type": "text", "text": content}] if content and content.strip() else []
    return [block for part in content if (block := _block(part)) is not None]


def _block(part: Tree | str) -> Tree | None:
    if isinstance(part, str):
        return {"type": "text", "text": part} if part.strip() else None
    kind = part.get("type")
    if kind in _TEXTS:
        text = part.get("refusal" if kind == "refusal" else "text")
        return _marked({"type": "text", "text": text}, part) if isinstance(text, str) and text.strip() else None
    if is_thinking(part):
        return part if is_signed(part) else None
    if kind in _CONTENT_KEYS and isinstance(part.get(_CONTENT_KEYS[kind]), str | dict):
        # Already in the API's format.
        return part
    if kind == "file":
        return _marked(_file(tree(part.get("file"))), part)
    if kind != "image_url" and not (kind == "input_image" and "image_url" in part):
        raise Untranslatable(f"messages.{kind}")
    image = part["image_url"] if isinstance(part["image_url"], dict) else {"url": part["image_url"]}
    return _marked(_image(image["url"]), part)


def _image(url: str) -> Tree:
    """An image block; a document block for a PDF, which some clients send as an image."""
    media = media_of(url)
    if media is not None and media.kind in ANTHROPIC.media_types:
        return {"type": "image", "source": {"type": "base64", "media_type": media.kind, "data": media.data}}
    if media is not None and media.kind == "application/pdf":
        return _document(media)
    if media is not None:
        raise Untranslatable(f"images of type {media.kind}")
    if url.lower().startswith("https://"):
        return {"type": "image", "source": {"type": "url", "url": url}}
    raise Untranslatable("image_url.url that is neither https: nor base64 data")


def _file(file: Tree) -> Tree:
    """A document block for a PDF or text; files uploaded to another provider cannot be read."""
    name = text(file.get("filename"))
    titled = {"title": name} if name else {}
    if not file.get("file_data") and text(file.get("file_url")).startswith("https://"):
        return {"type": "document", "source": {"type": "url", "url": file["file_url"]}} | titled
    media = media_of(text(file.get("file_data")), name)
    if media is None or not (media.is_text or media.kind == "application/pdf"):
        raise Untranslatable("messages.file that is neither a PDF nor a text with its data")
    return _document(media) | titled


def _document(media: Media) -> Tree:
    if media.is_text:
        return {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": media.text()}}
    return {"type": "document", "source": {"type": "base64", "media_type": media.kind, "data": media.data}}


# ----------------------------------------------------------------------------------------- cache marks


def _marked(block: Tree, *sources: Tree) -> Tree:
    """The block with the cache mark of its source."""
    mark = next((m for source in sources if isinstance(m := source.get("cache_control"), dict)), None)
    return block if mark is None else block | {"cache_control": mark}


def _marked_last(blocks: list[Tree], message: Tree) -> list[Tree]:
    """Move the cache mark of a message to its last block."""
    if isinstance(message.get("cache_control"), dict) and blocks:
        blocks[-1] = _marked(blocks[-1], message)
    return blocks


def _limit_cache_marks(body: Tree) -> None:
    """Keep the last four, the API's maximum: a mark caches everything before it."""
    system, turns = body.get("system"), body["messages"]
    blocks = [*body.get("tools", ()), *(system if isinstance(system, list) else ())]
    blocks += [block for turn in turns if isinstance(turn["content"], list) for block in turn["content"]]
    marked = [block for block in blocks if "cache_control" in block]
    room = CACHE_MARKS - ("cache_control" in body)
    for block in marked[: max(len(marked) - room, 0)]:
        del block["cache_control"]
