"""Endpoints of the fidelity matrix: encode one answer in each dialect, and parse the request that they got."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from tests.fakes import bedrock
from tests.fakes.raw_upstream import Play, events, named, plain, stream
from tests.fakes.wire_bench import HEAD, choice, completion, delta

Tree = dict[str, Any]


class Said(NamedTuple):
    """A model's answer, independent of a dialect."""

    text: str = ""
    reasoning: str = ""
    calls: tuple[tuple[str, Tree], ...] = ()
    """Name and arguments."""
    input_tokens: int = 10
    """Includes cached tokens."""
    cached_tokens: int = 0
    output_tokens: int = 5
    source: str = ""
    """URL of a cited page."""


class Asked(NamedTuple):
    """A request to an endpoint, independent of a dialect."""

    texts: str
    """All texts of the messages, joined."""
    tools: tuple[str, ...]
    images: tuple[str, ...]
    """Base64 data."""
    documents: tuple[str, ...]
    """Base64 data."""
    schema: Tree | None
    """Schema of the answer."""
    results: tuple[tuple[str, str], ...]
    """Call id and text of each tool result."""
    reasons: bool
    """Whether thinking is requested."""


class Upstream(Protocol):
    """One endpoint dialect."""

    name: str

    def whole(self, said: Said) -> Play: ...

    def streamed(self, said: Said, *, cut: bool = False) -> Play:
        """The answer as a stream. `cut`: without its end marker."""
        ...

    def error(self, status: int, message: str) -> Play: ...

    def asked(self, body: Tree) -> Asked: ...


def _halves(text: str) -> list[str]:
    return [part for part in (text[: len(text) // 2], text[len(text) // 2 :]) if part]


def _stop_reason(said: Said) -> str:
    """Stop reason in Anthropic's and Bedrock's terms."""
    return "tool_use" if said.calls else "end_turn"


class ChatCompletions:
    """Servers of OpenAI's chat completions."""

    name = "chat completions"

    def whole(self, said: Said) -> Play:
        message: Tree = {"content": said.text or None}
        if said.reasoning:
            message["reasoning_content"] = said.reasoning
        if said.source:
            message["annotations"] = self._annotations(said)
        if said.calls:
            message["tool_calls"] = [self._call(number, *call) for number, call in enumerate(said.calls)]
        finish = "tool_calls" if said.calls else "stop"
        return plain(completion(choice(message, finish_reason=finish), usage=self._usage(said)))

    def streamed(self, said: Said, *, cut: bool = False) -> Play:
        chunks = [delta({"role": "assistant", "content": ""})]
        chunks += [delta({"reasoning_content": part}) for part in _halves(said.reasoning)]
        chunks += [delta({"content": part}) for part in _halves(said.text)]
        chunks += [delta({"annotations": self._annotations(said)})] if said.source else []
        opened = [self._call(number, *call) for number, call in enumerate(said.calls)]
        for number, call in enumerate(opened):
            empty = call["function"] | {"arguments": ""}
            chunks.append(delta({"tool_calls": [call | {"index": number, "function": empty}]}))
        # Interleaved, as some servers send parallel calls.
        for call_index in (0, 1):
            for number, call in enumerate(opened):
                part = _halves(call["function"]["arguments"])[call_index]
                chunks.append(delta({"tool_calls": [{"index": number, "function": {"arguments": part}}]}))
        if cut:
            return stream(events(*chunks[:-1]))
        last = delta({}) | {"choices": [], "usage": self._usage(said)}
        return stream(events(*chunks, delta({}, "tool_calls" if said.calls else "stop"), last, b"[DONE]"))

    def error(self, status: int, message: str) -> Play:
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
        return plain({"error": error}, status=status)

    def asked(self, body: Tree) -> Asked:
        messages: list[Tree] = body["messages"]
        parts = [p for m in messages if isinstance(m["content"], list) for p in m["content"]]
        texts = [m["content"] for m in messages if isinstance(m["content"], str)]
        texts += [part["text"] for part in parts if part["type"] == "text"]
        urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
        files = [part["file"]["file_data"] for part in parts if part["type"] == "file"]
        wanted = body.get("response_format") or {}
        return Asked(
            "\n".join(texts),
            tuple(tool["function"]["name"] for tool in body.get("tools", ())),
            tuple(url.partition("base64,")[2] for url in urls),
            tuple(url.partition("base64,")[2] for url in files),
            wanted.get("json_schema", {}).get("schema"),
            tuple((m["tool_call_id"], _flat(m["content"])) for m in messages if m["role"] == "tool"),
            body.get("reasoning_effort") is not None,
        )

    @staticmethod
    def _annotations(said: Said) -> list[Tree]:
        annotation = {"url": said.source, "title": "A page", "start_index": 0, "end_index": len(said.text)}
        return [{"type": "url_citation", "url_citation": annotation}]

    @staticmethod
    def _call(number: int, name: str, arguments: Tree) -> Tree:
        function = {"name": name, "arguments": json.dumps(arguments)}
        return {"id": f"call_{number}", "type": "function", "function": function}

    @staticmethod
    def _usage(said: Said) -> Tree:
        return {
            "prompt_tokens": said.input_tokens,
            "completion_tokens": said.output_tokens,
            "total_tokens": said.input_tokens + said.output_tokens,
            "prompt_tokens_details": {"cached_tokens": said.cached_tokens},
        }


class Messages:
    """Servers of Anthropic's messages."""

    name = "Anthropic messages"

    def whole(self, said: Said) -> Play:
        usage = self._usage(said) | {"output_tokens": said.output_tokens}
        return plain(HEAD | {"content": self._blocks(said), "stop_reason": _stop_reason(said), "usage": usage})

    def streamed(self, said: Said, *, cut: bool = False) -> Play:
        opened = {"type": "message_start", "message": HEAD | {"usage": self._usage(said) | {"output_tokens": 1}}}
        sent: list[Tree] = [opened]
        for index, block in enumerate(self._blocks(said)):
            empty, deltas = self._deltas(block)
            sent.append({"type": "content_block_start", "index": index, "content_block": empty})
            sent += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
            sent.append({"type": "content_block_stop", "index": index})
        if cut:
            return stream(named(*sent[:-2]))
        ended = {"stop_reason": _stop_reason(said), "stop_sequence": None}
        sent.append({"type": "message_delta", "delta": ended, "usage": {"output_tokens": said.output_tokens}})
        return stream(named(*sent, {"type": "message_stop"}))

    def error(self, status: int, message: str) -> Play:
        return plain({"type": "error", "error": {"type": "invalid_request_error", "message": message}}, status=status)

    def asked(self, body: Tree) -> Asked:
        blocks = [b for m in body["messages"] for b in _blocks_of(m["content"])]
        results = [block for block in blocks if block["type"] == "tool_result"]
        wanted = (body.get("output_config") or {}).get("format") or {}
        return Asked(
            "\n".join([_flat(body.get("system") or ""), *(b["text"] for b in blocks if b["type"] == "text")]),
            tuple(tool["name"] for tool in body.get("tools", ())),
            tuple(block["source"]["data"] for block in blocks if block["type"] == "image"),
            tuple(block["source"]["data"] for block in blocks if block["type"] == "document"),
            wanted.get("schema"),
            tuple((block["tool_use_id"], _flat(block["content"])) for block in results),
            "thinking" in body or (body.get("output_config") or {}).get("effort") is not None,
        )

    @staticmethod
    def _blocks(said: Said) -> list[Tree]:
        blocks: list[Tree] = []
        if said.reasoning:
            blocks.append({"type": "thinking", "thinking": said.reasoning, "signature": "c2ln"})
        if said.text:
            found = {"url": said.source, "title": "A page", "cited_text": "x", "encrypted_index": "RQ=="}
            cited = {"citations": [{"type": "web_search_result_location", **found}]} if said.source else {}
            blocks.append({"type": "text", "text": said.text, **cited})
        for number, (name, arguments) in enumerate(said.calls):
            blocks.append({"type": "tool_use", "id": f"call_{number}", "name": name, "input": arguments})
        return blocks

    @staticmethod
    def _deltas(block: Tree) -> tuple[Tree, list[Tree]]:
        if block["type"] == "thinking":
            deltas = [{"type": "thinking_delta", "thinking": part} for part in _halves(block["thinking"])]
            signed = {"type": "signature_delta", "signature": block["signature"]}
            return block | {"thinking": "", "signature": ""}, [*deltas, signed]
        if block["type"] == "text":
            pieces = [{"type": "text_delta", "text": part} for part in _halves(block["text"])]
            cited = [{"type": "citations_delta", "citation": one} for one in block.get("citations", ())]
            return {"type": "text", "text": ""}, [*pieces, *cited]
        parts = _halves(json.dumps(block["input"]))
        return block | {"input": {}}, [{"type": "input_json_delta", "partial_json": part} for part in parts]

    @staticmethod
    def _usage(said: Said) -> Tree:
        return {
            "input_tokens": said.input_tokens - said.cached_tokens,
            "cache_read_input_tokens": said.cached_tokens,
            "cache_creation_input_tokens": 0,
        }


def _blocks_of(content: str | list[Tree]) -> list[Tree]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _flat(content: str | list[Tree]) -> str:
    return "".join(block.get("text", "") for block in _blocks_of(content))


class Converse:
    """Amazon Bedrock's Converse."""

    name = "Bedrock Converse"

    def whole(self, said: Said) -> Play:
        message = {"role": "assistant", "content": self._blocks(said)}
        answer: Tree = {"output": {"message": message}, "stopReason": _stop_reason(said), "usage": self._usage(said)}
        return plain(answer | {"metrics": {"latencyMs": 1}})

    def streamed(self, said: Said, *, cut: bool = False) -> Play:
        frames = [bedrock.frame("messageStart", {"role": "assistant"})]
        for index, block in enumerate(self._blocks(said)):
            at = {"contentBlockIndex": index}
            if "toolUse" in block:
                use = block["toolUse"]
                start = {"toolUse": {key: use[key] for key in ("toolUseId", "name")}}
                frames.append(bedrock.frame("contentBlockStart", at | {"start": start}))
                deltas: list[Tree] = [{"toolUse": {"input": part}} for part in _halves(json.dumps(use["input"]))]
            elif "citationsContent" in block:
                cited = block["citationsContent"]
                deltas = [{"text": part} for part in _halves(cited["content"][0]["text"])]
                deltas.append({"citation": cited["citations"][0]})
            elif "text" in block:
                deltas = [{"text": part} for part in _halves(block["text"])]
            else:
                thought = block["reasoningContent"]["reasoningText"]
                deltas = [{"reasoningContent": {"text": part}} for part in _halves(thought["text"])]
                deltas.append({"reasoningContent": {"signature": thought["signature"]}})
            frames += [bedrock.frame("contentBlockDelta", at | {"delta": delta}) for delta in deltas]
            frames.append(bedrock.frame("contentBlockStop", at))
        if not cut:
            frames.append(bedrock.frame("messageStop", {"stopReason": _stop_reason(said)}))
            frames.append(bedrock.frame("metadata", {"usage": self._usage(said), "metrics": {"latencyMs": 1}}))
        return Play(tuple(frames), bedrock.EVENT_STREAM)

    def error(self, status: int, message: str) -> Play:
        return plain({"message": message}, status=status)

    def asked(self, body: Tree) -> Asked:
        blocks = [block for message in body["messages"] for block in message["content"]]
        results = [block["toolResult"] for block in blocks if "toolResult" in block]
        output = body.get("outputConfig") or {}
        schema = output.get("textFormat", {}).get("structure", {}).get("jsonSchema", {}).get("schema")
        return Asked(
            "\n".join(block["text"] for block in [*body.get("system", ()), *blocks] if "text" in block),
            tuple(tool["toolSpec"]["name"] for tool in body.get("toolConfig", {}).get("tools", ())),
            tuple(block["image"]["source"]["bytes"] for block in blocks if "image" in block),
            tuple(block["document"]["source"]["bytes"] for block in blocks if "document" in block),
            json.loads(schema) if schema else None,
            tuple((result["toolUseId"], _flat(result["content"])) for result in results),
            output.get("effort") is not None,
        )

    @staticmethod
    def _blocks(said: Said) -> list[Tree]:
        blocks: list[Tree] = []
        if said.reasoning:
            blocks.append({"reasoningContent": {"reasoningText": {"text": said.reasoning, "signature": "c2ln"}}})
        if said.source:
            citation = {"title": "A page", "location": {"web": {"url": said.source}}}
            blocks.append({"citationsContent": {"content": [{"text": said.text}], "citations": [citation]}})
        elif said.text:
            blocks.append({"text": said.text})
        for number, (name, arguments) in enumerate(said.calls):
            blocks.append({"toolUse": {"toolUseId": f"call_{number}", "name": name, "input": arguments}})
        return blocks

    @staticmethod
    def _usage(said: Said) -> Tree:
        return {
            "inputTokens": said.input_tokens - said.cached_tokens,
            "cacheReadInputTokens": said.cached_tokens,
            "outputTokens": said.output_tokens,
            "totalTokens": said.input_tokens + said.output_tokens,
        }


UPSTREAMS: Sequence[Upstream] = (ChatCompletions(), Messages(), Converse())
