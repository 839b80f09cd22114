"""Assembles streamed answers that were logged as server-sent events or as a list of chunks."""

import base64
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from pipeline.ingest.bodies.exchange import Unreadable, message_text
from pipeline.ingest.values import opened_value
from traffic import loose_json
from traffic.loose_json import json_or
from traffic.tool_calls import ToolCalls
from traffic.usage import UsageCounter


def events_of(text: str) -> list[dict[str, Any]]:
    """The JSON objects of server-sent events. Raises: Unreadable if one is truncated."""
    events = []
    for line in text.splitlines():
        data = line.removeprefix("data:").strip() if line.startswith("data:") else ""
        if not data or data == "[DONE]":
            continue
        try:
            event = msgspec.json.decode(data)
        except msgspec.DecodeError:
            raise Unreadable("cut_stream", f"an event of the stream is not JSON: {data[:60]}") from None
        if isinstance(event, dict):
            events.append(event)
    return events


def opened(items: Sequence[Any]) -> list[Any]:
    """Chunks that are logged as texts: JSON, or lines of server-sent events."""
    values: list[Any] = []
    for item in items:
        is_event = isinstance(item, str) and item.startswith(("data:", "event:"))
        values += events_of(item) if is_event else [opened_value(item)]
    return values


def lines_of(text: str) -> list[dict[str, Any]] | None:
    """The events of a stream of JSON lines (Ollama); None for other text."""
    lines = text.split("\n") if text.startswith("{") and text.count("\n") else []
    events = [json_or(line) for line in lines if line.strip()]
    return events if len(events) > 1 and all(isinstance(event, dict) and "done" in event for event in events) else None


def joined(chunks: Sequence[Any]) -> dict[str, Any] | None:
    """The body assembled from chunks; None if they are not chunks of a known stream."""
    events = [_opened(chunk) for chunk in chunks if isinstance(chunk, dict)]
    if not events or len(events) != len(chunks):
        return None
    if all(event.get("type") == "error" or (event.get("error") and "choices" not in event) for event in events):
        # The request failed before the first piece, with status 200.
        return events[-1]
    kinds = [loose_json.text(event.get("type")) for event in events]
    if not _ANTHROPIC.isdisjoint(kinds):
        return _anthropic(events)
    if any(kind.startswith("response.") for kind in kinds):
        return _responses(events)
    if any(key in event for event in events for key in ("messageStart", "contentBlockDelta", "messageStop")):
        return _converse(events)
    if any(_has_choice_part(event) for event in events):
        return _chat(events)
    if any("candidates" in event for event in events):
        return _gemini(events)
    if any("done" in event and ("message" in event or "response" in event) for event in events):
        return _ollama(events)
    if any(part.keys() & set(_TEXTS) for part in map(_text_part, events)):
        return _text(events)
    return None


_ANTHROPIC = frozenset({"message_start", "content_block_start", "content_block_delta", "message_delta"})
_TEXTS = ("completion", "generation", "outputText", "text", "token")
"""Names of a piece of text; a chunk may repeat its piece under several of them."""


def _text_part(event: dict[str, Any]) -> dict[str, Any]:
    """The object with the text of an event: the first of Mistral's `outputs`, TGI's `token`, else the event itself."""
    token = event.get("token")
    if isinstance(token, dict):
        stop = loose_json.tree(event.get("details")).get("finish_reason")
        return {"token": "" if token.get("special") else token.get("text"), "stop_reason": stop}
    outputs = loose_json.trees(event.get("outputs"))
    return outputs[0] if outputs else event


def _opened(event: dict[str, Any]) -> dict[str, Any]:
    """Decodes Bedrock's events, which are base64 in `chunk.bytes`."""
    chunk = event.get("chunk", event)
    data = chunk.get("bytes") if isinstance(chunk, dict) else None
    if isinstance(data, str):
        with contextlib.suppress(ValueError):
            inside = json_or(base64.b64decode(data))
            return inside if isinstance(inside, dict) else event
    return event


def finish_of_choice(choice: Mapping[str, Any]) -> Any:
    """The choice's `finish_reason`, else a textual `stop_reason`.

    Models on Bedrock write the reason into `stop_reason`; vLLM the token or the text that stopped the generation.
    """
    stated, stop = choice.get("finish_reason", choice.get("finishReason")), choice.get("stop_reason")
    return stop if stated is None and isinstance(stop, str) else stated


def _has_choice_part(event: dict[str, Any]) -> bool:
    choices = event.get("choices")
    # Mistral's models on Bedrock name the pieces of a message like a whole one.
    named = ("delta", "text", "message") if event.get("object") == "chat.completion.chunk" else ("delta", "text")
    return isinstance(choices, list) and any(isinstance(c, dict) and any(k in c for k in named) for c in choices)


def _chat(events: Iterable[dict[str, Any]]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    message: dict[str, Any] = {"role": "assistant", "content": None}
    calls = ToolCalls()
    usage = UsageCounter()
    finish = None
    for event in events:
        body |= {key: event[key] for key in ("id", "model", "error") if event.get(key) is not None}
        usage.add(event.get("usage"))
        for choice in loose_json.trees(event.get("choices")):
            if choice.get("index") not in (0, None):
                continue
            given = choice.get("delta", choice.get("message"))
            delta: dict[str, Any] = given if isinstance(given, dict) else {"content": choice.get("text")}
            finish = finish_of_choice(choice) or finish
            for key in ("content", "refusal"):
                if isinstance(piece := message_text(delta.get(key)), str):
                    message[key] = (message.get(key) or "") + piece
            for call in loose_json.trees(delta.get("tool_calls")):
                calls.add(call)
    if calls.calls:
        # A generated id would change with the next ingest of the same line.
        message["tool_calls"] = [call.as_tree() | {"id": call.stated_id or ""} for call in calls.calls]
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return body | {"choices": [choice], "usage": usage.counts}


def _anthropic(events: Iterable[dict[str, Any]]) -> dict[str, Any]:
    body: dict[str, Any] = {"type": "message", "role": "assistant", "content": []}
    blocks: dict[int | None, dict[str, Any]] = {}
    usage = UsageCounter()
    for event in events:
        kind, position = event.get("type"), loose_json.index(event.get("index"))
        if kind == "message_start" and isinstance(event.get("message"), dict):
            message = event["message"]
            body |= {key: message[key] for key in ("id", "model") if message.get(key)}
            usage.add(message.get("usage"))
        elif kind == "content_block_start" and isinstance(event.get("content_block"), dict):
            blocks[position] = dict(event["content_block"])
        elif kind == "content_block_delta" and isinstance(event.get("delta"), dict):
            _add_delta(blocks.setdefault(position, {"type": "text", "text": ""}), event["delta"])
        elif kind == "message_delta":
            body["stop_reason"] = loose_json.tree(event.get("delta")).get("stop_reason")
            usage.add(event.get("usage"))
        elif kind == "error":
            body["error"] = event.get("error")
    for block in blocks.values():
        if isinstance(block.get("partial"), str):
            block["input"] = block.pop("partial") or "{}"
    return body | {"content": list(blocks.values()), "usage": usage.counts}


def _add_delta(block: dict[str, Any], delta: dict[str, Any]) -> None:
    if isinstance(delta.get("text"), str):
        block["text"] = str(block.get("text") or "") + delta["text"]
    if isinstance(delta.get("partial_json"), str):
        block["partial"] = str(block.get("partial") or "") + delta["partial_json"]


def _responses(events: Sequence[dict[str, Any]]) -> dict[str, Any]:
    last: dict[str, Any] = next((e["response"] for e in reversed(events) if isinstance(e.get("response"), dict)), {})
    if last.get("output"):
        return dict(last)
    text = "".join(str(e.get("delta") or "") for e in events if e.get("type") == "response.output_text.delta")
    content = [{"type": "output_text", "text": text}]
    return {**last, "object": "response", "output": [{"type": "message", "role": "assistant", "content": content}]}


def _converse(events: Iterable[dict[str, Any]]) -> dict[str, Any]:
    blocks: dict[int | None, dict[str, Any]] = {}
    body: dict[str, Any] = {}
    usage = UsageCounter()
    for event in events:
        if isinstance(start := event.get("contentBlockStart"), dict):
            tool = loose_json.tree(loose_json.tree(start.get("start")).get("toolUse"))
            position = loose_json.index(start.get("contentBlockIndex"))
            blocks[position] = {"toolUse": {**tool, "input": ""}} if tool else {"text": ""}
        elif isinstance(piece := event.get("contentBlockDelta"), dict):
            delta = loose_json.tree(piece.get("delta"))
            block = blocks.setdefault(loose_json.index(piece.get("contentBlockIndex")), {"text": ""})
            if isinstance(delta.get("text"), str):
                block["text"] = block.get("text", "") + delta["text"]
            elif isinstance(delta.get("toolUse"), dict) and "toolUse" in block:
                block["toolUse"]["input"] += str(delta["toolUse"].get("input") or "")
        elif isinstance(stop := event.get("messageStop"), dict):
            body["stopReason"] = stop.get("stopReason")
        elif isinstance(metadata := event.get("metadata"), dict):
            body |= {"metrics": metadata["metrics"]} if "metrics" in metadata else {}
            usage.add(metadata.get("usage"))
    body["usage"] = usage.counts
    return body | {"output": {"message": {"role": "assistant", "content": list(blocks.values())}}}


def _gemini(events: Sequence[dict[str, Any]]) -> dict[str, Any]:
    parts: list[Any] = []
    body: dict[str, Any] = {}
    usage = UsageCounter()
    finish = None
    for event in events:
        body |= {key: event[key] for key in ("modelVersion", "responseId") if key in event}
        usage.add(event.get("usageMetadata"))
        for candidate in loose_json.trees(event.get("candidates"))[:1]:
            pieces = loose_json.tree(candidate.get("content")).get("parts")
            parts += pieces if isinstance(pieces, list) else []
            finish = candidate.get("finishReason") or finish
    body["usageMetadata"] = usage.counts
    return body | {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": finish}]}


def _text(events: Sequence[dict[str, Any]]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for event in events:
        part = _text_part(event)
        texts = [part[key] for key in _TEXTS if isinstance(part.get(key), str)]
        if texts:
            body["completion"] = body.get("completion", "") + next(filter(None, texts), "")
        for key in ("stop_reason", "completionReason"):
            if part.get(key):
                body["stop_reason"] = part[key]
        counts = {key: value for key, value in event.items() if key.endswith(("_token_count", "TokenCount"))}
        # A later event writes null for a count of an earlier one.
        body |= {key: value for key, value in counts.items() if value is not None}
    return body


def _ollama(events: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The last event has the counts; the pieces are messages (`/api/chat`) or texts (`/api/generate`)."""
    body = dict(events[-1])
    if "response" in body:
        return body | {"response": "".join(str(event.get("response") or "") for event in events)}
    messages = [event["message"] for event in events if isinstance(event.get("message"), dict)]
    calls = [call for message in messages for call in loose_json.trees(message.get("tool_calls"))]
    content = "".join(str(message.get("content") or "") for message in messages)
    return body | {"message": {"role": "assistant", "content": content, "tool_calls": calls}}
