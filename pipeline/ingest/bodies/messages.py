"""Chat messages of every API in OpenAI's form: roles, content parts, tool calls and their results."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from pipeline.ingest.bodies.exchange import Unreadable, arguments_text, message_text, tool_call
from pipeline.ingest.values import opened_value
from traffic import loose_json

_ROLES = {
    "human": "user",
    "ai": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "chatbot": "assistant",
    "bard": "assistant",
    "bing": "assistant",
    "claude": "assistant",
    "function_call": "assistant",
    "function": "tool",
    "observation": "tool",
    "function_response": "tool",
    "tool_response": "tool",
    "ipython": "tool",
}
_IN_CAMEL_CASE = {"toolCalls": "tool_calls", "toolCallId": "tool_call_id"}
_BEGINS = re.compile(r"\s*(?:\[\s*)?\{\s*\"(?:role|parts|content|type|messages|system)\"")


def begins_like_messages(text: str) -> bool:
    """Whether a text that is not JSON begins like messages, which a logger then truncated."""
    return _BEGINS.match(text) is not None


KNOWN_ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})
_OPENAI_PARTS = frozenset({"text", "image_url", "input_audio", "file", "refusal"})
_MEDIA_PARTS = frozenset(
    {
        "image",
        "image_url",
        "input_image",
        "input_audio",
        "audio",
        "video",
        "file",
        "input_file",
        "document",
        "blob",
        "uri",
        "media",
    }
)
_ASIDE = frozenset({"thinking", "redacted_thinking", "reasoning", "step-start"})
_MEDIA_KEYS = ("image", "document", "video", "audio", "inlineData", "inline_data", "fileData", "file_data")


class Conversation:
    """Collects messages and counts their media parts."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.media = 0

    def add(self, message: Any) -> None:
        """One message of any API. Raises: Unreadable."""
        if isinstance(message, str):
            self.messages.append({"role": "user", "content": message})
            return
        if not isinstance(message, Mapping):
            raise Unreadable("wrong_types", f"messages: expected an object, got {type(message).__name__}")
        if isinstance(message.get("kwargs"), Mapping) and "lc" in message:
            message = {"type": _class_of(message), **message["kwargs"]}
        if "from" in message and "value" in message and "role" not in message:
            # ShareGPT's names.
            message = {"role": message["from"], "content": message["value"]}
        if "toolCalls" in message or "toolCallId" in message:
            message = {_IN_CAMEL_CASE.get(key, key): value for key, value in message.items()}
        role = self._role(message)
        content = message.get("content", message.get("parts"))
        if not isinstance(content, list):
            self._add_plain(message, role, content)
        elif all(_is_openai_part(part) for part in content) and "parts" not in message:
            self.messages.append({**message, "role": role, "content": [self._without_bytes(part) for part in content]})
        else:
            self._add_parts(message, role, content)

    def add_system(self, content: Any) -> None:
        """Add a system prompt that is separate from the messages."""
        if isinstance(content, Mapping):
            content = content.get("parts", content)
        if isinstance(content, Mapping):
            content = [content]
        if content in (None, "", []):
            return
        if isinstance(content, list):
            content = "\n".join(text for part in content if (text := message_text([part])))
        if not isinstance(content, str):
            raise Unreadable("wrong_types", f"the system prompt is {type(content).__name__}, not text")
        self.messages.append({"role": "system", "content": content})

    def _role(self, message: Mapping[str, Any]) -> str:
        role = message.get("role", message.get("type"))
        if not isinstance(role, str):
            raise Unreadable("wrong_types", "messages: a message has no role")
        lowered = role.casefold().removesuffix("message")
        return lowered if lowered in KNOWN_ROLES else _ROLES.get(lowered, role)

    def _add_plain(self, message: Mapping[str, Any], role: str, content: Any) -> None:
        if content is None and role != "assistant" and not message.keys() & {"content", "parts", "tool_calls"}:
            raise Unreadable("wrong_types", f"messages: a message of {role} has no content")
        if content is not None and not isinstance(content, str):
            if isinstance(content, Mapping) and (text := message_text(content)) is not None:
                content = text
            else:
                content = msgspec.json.encode(content).decode()
        plain = {
            key: value
            for key, value in message.items()
            if key not in ("parts", "type") or (key == "type" and "role" in message)
        }
        if isinstance(calls := plain.get("tool_calls"), list):
            plain["tool_calls"] = [_call(call) for call in calls if isinstance(call, Mapping)]
        elif "tool_calls" in plain:
            plain.pop("tool_calls")
        self.messages.append({**plain, "role": role, "content": content})

    def _add_parts(self, message: Mapping[str, Any], role: str, parts: list[Any]) -> None:
        texts: list[str] = []
        media: list[dict[str, Any]] = []
        calls: list[dict[str, Any]] = []
        results: list[dict[str, Any]] = []
        for part in parts:
            if (call := _call_part(part)) is not None:
                calls.append(call)
            elif (result := _result_part(part)) is not None:
                results.append(result)
            elif _is_media(part):
                media.append(self._without_bytes(part))
            elif (text := message_text([part])) is not None:
                texts.append(text)
            elif isinstance(part, Mapping) and not _is_aside(part):
                # An unknown kind of part (arguments of a template): kept unchanged.
                texts.append(msgspec.json.encode(part).decode())
        # LangChain writes the calls of a message's parts a second time beside them.
        calls = calls or [_call(call) for call in loose_json.trees(message.get("tool_calls"))]
        # Tool results come first: they answer the previous assistant message.
        self.messages += results
        if not texts and not media and not calls and results:
            return
        content: Any = "\n".join(texts) if texts or not calls else None
        if media:
            content = [{"type": "text", "text": text} for text in texts] + media
        whole: dict[str, Any] = {"role": role, "content": content}
        if calls:
            whole["tool_calls"] = calls
        whole |= {key: message[key] for key in ("name", "tool_call_id") if isinstance(message.get(key), str)}
        self.messages.append(whole)

    def _without_bytes(self, part: Any) -> dict[str, Any]:
        """Kind and hash of a media part, whose bytes are not stored."""
        if not _is_media(part):
            return dict(part) if isinstance(part, Mapping) else {"type": "text", "text": str(part)}
        self.media += 1
        kind = str(part.get("type") or next((key for key in _MEDIA_KEYS if key in part), "media"))
        digest = hashlib.blake2b(msgspec.json.encode(part, order="sorted"), digest_size=8).hexdigest()
        return {"type": kind, "removed": digest}


def read_conversation(value: Any) -> Conversation:
    """Messages: a list, one message, a text, or JSON text of them. Raises: Unreadable."""
    conversation = Conversation()
    messages = items_of(value, "messages") if value != "" else []
    if len(messages) == 1 and isinstance(messages[0], list):
        messages = messages[0]
    for message in messages:
        conversation.add(message)
    return conversation


def items_of(value: Any, field: str) -> list[Any]:
    """The items of a list, also of JSON text; an object or a text is the only item. Raises: Unreadable."""
    value = opened_value(value)
    if isinstance(value, str | Mapping):
        return [value]
    if not isinstance(value, list):
        raise Unreadable("wrong_types", f"{field}: expected a list, got {type(value).__name__}")
    return value


def _class_of(message: Mapping[str, Any]) -> Any:
    """Class of a message serialised by LangChain: the last item of `id`."""
    path = message.get("id")
    return str(path[-1]).removesuffix("Chunk") if isinstance(path, list) and path else None


def _is_openai_part(part: Any) -> bool:
    return (
        isinstance(part, Mapping)
        and loose_json.text(part.get("type")) in _OPENAI_PARTS
        and not isinstance(part.get("content"), str)
    )


def _is_aside(part: Mapping[str, Any]) -> bool:
    """Parts without content: reasoning and cache points."""
    return loose_json.text(part.get("type")) in _ASIDE or any(key in part for key in ("cachePoint", "reasoningContent"))


def _is_media(part: Any) -> bool:
    if not isinstance(part, Mapping) or "removed" in part:
        return False
    if "type" in part:
        return loose_json.text(part["type"]) in _MEDIA_PARTS
    return any(key in part for key in _MEDIA_KEYS)


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call.get("function")
    if isinstance(function, Mapping):
        if isinstance(function.get("arguments"), str):
            return dict(call)
        return {**call, "function": {**function, "arguments": arguments_text(function.get("arguments"))}}
    arguments = call.get("args", call.get("arguments", call.get("input")))
    return tool_call(call.get("id", call.get("tool_id")), call.get("name"), arguments)


def _call_part(part: Any) -> dict[str, Any] | None:
    if not isinstance(part, Mapping):
        return None
    kind = part.get("type")
    if kind in ("tool_use", "tool_call", "tool-call", "function_call"):
        identity = part.get("call_id", part.get("id", part.get("toolCallId")))
        arguments = part.get("input", part.get("arguments", part.get("args")))
        return tool_call(identity, part.get("name", part.get("toolName")), arguments)
    if isinstance(used := part.get("toolUse"), Mapping):
        return tool_call(used.get("toolUseId"), used.get("name"), used.get("input"))
    if isinstance(called := part.get("functionCall", part.get("function_call")), Mapping):
        return tool_call(called.get("id"), called.get("name"), called.get("args"))
    return None


def _result_part(part: Any) -> dict[str, Any] | None:
    if not isinstance(part, Mapping):
        return None
    kind = part.get("type")
    if kind in ("tool_result", "tool_call_response", "tool-result", "function_call_output"):
        identity = part.get("tool_use_id", part.get("call_id", part.get("id", part.get("toolCallId"))))
        content = next((part[key] for key in ("content", "response", "result", "output") if key in part), None)
        return _result(identity, content)
    if isinstance(result := part.get("toolResult"), Mapping):
        return _result(result.get("toolUseId"), result.get("content"))
    if isinstance(response := part.get("functionResponse", part.get("function_response")), Mapping):
        return _result(response.get("id", response.get("name")), response.get("response"))
    return None


def _result(identity: Any, content: Any) -> dict[str, Any]:
    if isinstance(content, list):
        # Converse wraps structured results: [{"json": {...}}].
        if len(content) == 1 and isinstance(content[0], Mapping) and "json" in content[0]:
            content = content[0]["json"]
        else:
            content = message_text(content) if message_text(content) is not None else content
    if not isinstance(content, str):
        content = msgspec.json.encode(content).decode()
    return {"role": "tool", "tool_call_id": str(identity or ""), "content": content}
