"""Result of reading bodies: a prompt and an answer."""

from typing import Any

import msgspec

from traffic.record import Output, Params, Usage


class Unreadable(ValueError):
    """A row of JSON that cannot become a record; `reason` is a short code."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Prompt(msgspec.Struct, kw_only=True):
    """One request in OpenAI's form."""

    messages: list[dict[str, Any]]
    model: str | None = None
    tools: list[dict[str, Any]] | None = None
    response_format: dict[str, Any] | None = None
    params: Params = Params()
    user: str | None = None
    """The end user, from the API's field."""
    images: int = 0
    """Number of images, audio and files in the messages; their bytes are not stored."""


class Answer(msgspec.Struct, kw_only=True):
    """One answer, or the error that came instead."""

    id: str | None = None
    model: str | None = None
    text: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    finish_reason: str | None = None
    usage: Usage | None = None
    cost_usd: float | None = None
    """Where the usage states it, as OpenRouter's and Perplexity's do."""
    service_tier: str | None = None
    """Billed service tier according to the provider: default, flex, batch, priority."""
    error: str | None = None
    status: int | None = None
    """HTTP status, if the body is wrapped with one."""

    def output(self, *, may_call_tools: bool) -> Output:
        """The record's output; `may_call_tools`: whether the request had tools or may have had some."""
        reason = self.finish_reason
        if reason == "tool_calls" and self.text and not self.tool_calls and not may_call_tools:
            # Some servers report it for plain answers. With tools, the log may have lost the call.
            reason = "stop"
        return Output(text=self.text, tool_calls=self.tool_calls, finish_reason=reason)

    @property
    def is_empty(self) -> bool:
        return self.text is None and not self.tool_calls and self.error is None


def message_text(content: Any) -> str | None:
    """Text of a message's content: a string, or the text parts of a list."""
    if content is None or isinstance(content, str):
        return content
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        return None
    texts = [_part_text(part) for part in content]
    return "".join(piece for piece in texts if piece) if any(piece is not None for piece in texts) else None


def _part_text(part: Any) -> str | None:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict) or part.get("type") in ("thinking", "reasoning", "redacted_thinking"):
        return None
    for key in ("text", "content", "refusal"):
        if isinstance(part.get(key), str):
            return str(part[key])
    return None


def content_text(content: Any) -> str | None:
    """Text of an answer's content; numbers, truth values and objects (parsed JSON) as JSON text."""
    text = message_text(content)
    return msgspec.json.encode(content).decode() if text is None and isinstance(content, dict | int | float) else text


def arguments_text(value: Any) -> str:
    """Arguments of a tool call as JSON text."""
    return value if isinstance(value, str) else msgspec.json.encode({} if value is None else value).decode()


def tool_call(identity: Any, name: Any, arguments: Any) -> dict[str, Any]:
    """A tool call in OpenAI's form."""
    function = {"name": str(name or ""), "arguments": arguments_text(arguments)}
    return {"id": str(identity or ""), "type": "function", "function": function}


def function_tool(name: Any, description: Any, parameters: Any) -> dict[str, Any]:
    """A tool definition in OpenAI's form."""
    function: dict[str, Any] = {"name": str(name or "")}
    if description is not None:
        function["description"] = description
    if parameters is not None:
        function["parameters"] = parameters
    return {"type": "function", "function": function}
