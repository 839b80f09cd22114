"""Clients of the fidelity matrix: send requests with the real SDKs, and read the answers from their objects."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import anthropic
import openai
from pydantic import BaseModel

Tree = dict[str, Any]

IMAGE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
DOCUMENT = "JVBERi0xLjQKJeLjz9MK"
QUESTION = "What is in Graz?"
PARAMETERS: Tree = {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}
TOOLS = ("find", "book")
RESULT = "two rooms are free"
CALL_ID = "call_0"


class Place(BaseModel):
    """The schema of a structured answer."""

    city: str
    days: int


class Got(NamedTuple):
    """A client's answer, read from the SDK's objects."""

    text: str = ""
    reasoning: str = ""
    calls: tuple[tuple[str, Tree], ...] = ()
    finish: str = ""
    """`stop` or `tools`."""
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    parsed: BaseModel | None = None
    sources: tuple[str, ...] = ()
    """URLs of cited pages."""


class Client(Protocol):
    """One SDK and dialect, connected to the router."""

    name: str
    error: type[Exception]
    """Base class of the SDK's errors."""

    def ask(self, *, stream: bool = False, tools: bool = False, file: str = "", think: bool = False) -> Got:
        """Ask the question. `file`: attach an `image` or a `document`."""
        ...

    def answer_tool(self) -> Got:
        """Send a second turn with the result of a tool call."""
        ...

    def parse(self) -> Got:
        """Request an answer with the schema of `Place`."""
        ...


class Chat:
    """openai, chat completions."""

    name = "openai: chat completions"
    error: type[Exception] = openai.APIError

    def __init__(self, url: str) -> None:
        self._sdk = openai.OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0, timeout=20)

    def ask(self, *, stream: bool = False, tools: bool = False, file: str = "", think: bool = False) -> Got:
        content: Any = QUESTION
        if file == "image":
            url = {"url": f"data:image/png;base64,{IMAGE}"}
            content = [{"type": "text", "text": QUESTION}, {"type": "image_url", "image_url": url}]
        elif file:
            document = {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{DOCUMENT}"}
            content = [{"type": "text", "text": QUESTION}, {"type": "file", "file": document}]
        body: Tree = {"model": "m", "messages": [{"role": "user", "content": content}]}
        if tools:
            body["tools"] = self._tools()
        if think:
            body["reasoning_effort"] = "low"
        if not stream:
            return self._whole(self._sdk.chat.completions.create(**body))
        body |= {"stream": True, "stream_options": {"include_usage": True}}
        return self._joined(self._sdk.chat.completions.create(**body))

    def answer_tool(self) -> Got:
        call = {"id": CALL_ID, "type": "function", "function": {"name": "find", "arguments": '{"id": 7}'}}
        messages: Any = [
            {"role": "user", "content": QUESTION},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": CALL_ID, "content": RESULT},
        ]
        tools: Any = self._tools()
        return self._whole(self._sdk.chat.completions.create(model="m", messages=messages, tools=tools))

    def parse(self) -> Got:
        messages: Any = [{"role": "user", "content": QUESTION}]
        answer = self._sdk.chat.completions.parse(model="m", messages=messages, response_format=Place)
        return self._whole(answer)._replace(parsed=answer.choices[0].message.parsed)

    @staticmethod
    def _tools() -> list[Tree]:
        return [{"type": "function", "function": {"name": name, "parameters": PARAMETERS}} for name in TOOLS]

    def _whole(self, answer: Any) -> Got:
        message = answer.choices[0].message
        calls = tuple((c.function.name, json.loads(c.function.arguments)) for c in message.tool_calls or ())
        return Got(
            message.content or "",
            getattr(message, "reasoning_content", None) or "",
            calls,
            {"stop": "stop", "tool_calls": "tools"}.get(answer.choices[0].finish_reason, "?"),
            **self._usage(answer.usage),
            sources=tuple(found.url_citation.url for found in message.annotations or ()),
        )

    def _joined(self, chunks: Iterable[Any]) -> Got:
        text = reasoning = finish = ""
        calls: dict[int, list[str]] = {}
        usage: Tree = {}
        sources: list[str] = []
        for chunk in chunks:
            usage |= self._usage(chunk.usage) if chunk.usage else {}
            for choice in chunk.choices:
                text += choice.delta.content or ""
                reasoning += getattr(choice.delta, "reasoning_content", None) or ""
                finish = choice.finish_reason or finish
                # The SDK has no such field yet, but its objects keep unknown ones.
                annotations = getattr(choice.delta, "annotations", None) or ()
                sources += [annotation["url_citation"]["url"] for annotation in annotations]
                for part in choice.delta.tool_calls or ():
                    call = calls.setdefault(part.index, ["", ""])
                    call[0] = part.function.name or call[0]
                    call[1] += part.function.arguments or ""
        calls_made = tuple((name, json.loads(arguments)) for name, arguments in calls.values())
        ended = {"stop": "stop", "tool_calls": "tools"}.get(finish, "?")
        return Got(text, reasoning, calls_made, ended, **usage, sources=tuple(sources))

    @staticmethod
    def _usage(usage: Any) -> Tree:
        details = usage.prompt_tokens_details
        return {
            "input_tokens": usage.prompt_tokens,
            "cached_tokens": (details.cached_tokens or 0) if details else 0,
            "output_tokens": usage.completion_tokens,
        }


class Responses:
    """openai, responses."""

    name = "openai: responses"
    error: type[Exception] = openai.APIError

    def __init__(self, url: str) -> None:
        self._sdk = openai.OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0, timeout=20)

    def ask(self, *, stream: bool = False, tools: bool = False, file: str = "", think: bool = False) -> Got:
        content: list[Tree] = [{"type": "input_text", "text": QUESTION}]
        if file == "image":
            content.append({"type": "input_image", "detail": "auto", "image_url": f"data:image/png;base64,{IMAGE}"})
        elif file:
            data = f"data:application/pdf;base64,{DOCUMENT}"
            content.append({"type": "input_file", "filename": "a.pdf", "file_data": data})
        body: Tree = {"model": "m", "input": [{"role": "user", "content": content}]}
        if tools:
            body["tools"] = self._tools()
        if think:
            body["reasoning"] = {"effort": "low", "summary": "auto"}
        if not stream:
            return self._whole(self._sdk.responses.create(**body))
        return self._joined(self._sdk.responses.create(**body, stream=True))

    def answer_tool(self) -> Got:
        turns: Any = [
            {"role": "user", "content": QUESTION},
            {"type": "function_call", "call_id": CALL_ID, "name": "find", "arguments": '{"id": 7}'},
            {"type": "function_call_output", "call_id": CALL_ID, "output": RESULT},
        ]
        tools: Any = self._tools()
        return self._whole(self._sdk.responses.create(model="m", input=turns, tools=tools))

    def parse(self) -> Got:
        answer = self._sdk.responses.parse(model="m", input=QUESTION, text_format=Place)
        return self._whole(answer)._replace(parsed=answer.output_parsed)

    @staticmethod
    def _tools() -> list[Tree]:
        return [{"type": "function", "name": name, "parameters": PARAMETERS, "strict": False} for name in TOOLS]

    def _whole(self, answer: Any) -> Got:
        calls = tuple((i.name, json.loads(i.arguments)) for i in answer.output if i.type == "function_call")
        reasoning = "".join(s.text for i in answer.output if i.type == "reasoning" for s in i.summary)
        finish = ("tools" if calls else "stop") if answer.status == "completed" else str(answer.status)
        usage = answer.usage
        parts = [part for item in answer.output if item.type == "message" for part in item.content]
        return Got(
            answer.output_text,
            reasoning,
            calls,
            finish,
            usage.input_tokens,
            usage.input_tokens_details.cached_tokens,
            usage.output_tokens,
            sources=tuple(found.url for part in parts if part.type == "output_text" for found in part.annotations),
        )

    def _joined(self, events: Iterable[Any]) -> Got:
        text, arguments, ended = "", "", None
        for event in events:
            if event.type == "response.output_text.delta":
                text += event.delta
            elif event.type == "response.function_call_arguments.delta":
                arguments += event.delta
            elif event.type in ("response.completed", "response.incomplete", "response.failed"):
                ended = event.response
        if ended is None:
            raise openai.APIError("the stream has no end", request=None, body=None)  # type: ignore[arg-type]
        if ended.status == "failed":
            raise openai.APIError(ended.error.message, request=None, body=None)  # type: ignore[arg-type]
        got = self._whole(ended)
        # The deltas and the final response must agree.
        assert got.text == text
        assert sum(len(json.dumps(given)) for _, given in got.calls) == len(arguments)
        return got


class Anthropic:
    """anthropic, messages."""

    name = "anthropic: messages"
    error: type[Exception] = anthropic.APIError

    def __init__(self, url: str) -> None:
        self._sdk = anthropic.Anthropic(base_url=url, api_key="k", max_retries=0, timeout=20)

    def ask(self, *, stream: bool = False, tools: bool = False, file: str = "", think: bool = False) -> Got:
        content: Any = QUESTION
        if file:
            kind, data = ("image/png", IMAGE) if file == "image" else ("application/pdf", DOCUMENT)
            source = {"type": "base64", "media_type": kind, "data": data}
            content = [{"type": "text", "text": QUESTION}, {"type": file, "source": source}]
        body: Tree = {"model": "m", "max_tokens": 2000, "messages": [{"role": "user", "content": content}]}
        if tools:
            body["tools"] = self._tools()
        if think:
            body["thinking"] = {"type": "enabled", "budget_tokens": 1024}
        if not stream:
            return self._whole(self._sdk.messages.create(**body))
        with self._sdk.messages.stream(**body) as events:
            return self._whole(events.get_final_message())

    def answer_tool(self) -> Got:
        messages: Any = [
            {"role": "user", "content": QUESTION},
            {"role": "assistant", "content": [{"type": "tool_use", "id": CALL_ID, "name": "find", "input": {"id": 7}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": CALL_ID, "content": RESULT}]},
        ]
        tools: Any = self._tools()
        return self._whole(self._sdk.messages.create(model="m", max_tokens=2000, messages=messages, tools=tools))

    def parse(self) -> Got:
        messages: Any = [{"role": "user", "content": QUESTION}]
        answer = self._sdk.messages.parse(model="m", max_tokens=2000, messages=messages, output_format=Place)
        return self._whole(answer)._replace(parsed=answer.parsed_output)

    @staticmethod
    def _tools() -> list[Tree]:
        return [{"name": name, "input_schema": PARAMETERS} for name in TOOLS]

    def _whole(self, answer: Any) -> Got:
        usage = answer.usage
        cached = usage.cache_read_input_tokens or 0
        return Got(
            "".join(block.text for block in answer.content if block.type == "text"),
            "".join(block.thinking for block in answer.content if block.type == "thinking"),
            tuple((block.name, dict(block.input)) for block in answer.content if block.type == "tool_use"),
            {"end_turn": "stop", "tool_use": "tools"}.get(answer.stop_reason, "?"),
            usage.input_tokens + cached + (usage.cache_creation_input_tokens or 0),
            cached,
            usage.output_tokens,
            sources=tuple(found.url for b in answer.content if b.type == "text" for found in b.citations or ()),
        )


CLIENTS: Sequence[type[Chat] | type[Responses] | type[Anthropic]] = (Chat, Responses, Anthropic)
