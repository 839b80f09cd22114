"""Converts chat completions to answers of OpenAI's Responses API: complete responses, and events of a stream.

The endpoint's own dialect produces a chat completion or its chunks, which are encoded again here.
"""

import secrets
import time
from typing import Any

import msgspec

from router.request import ChatRequest
from router.target import Target
from router.wire import openai, openai_limits
from router.wire.call_ids import with_signature
from router.wire.chat import Assembly, Piece
from router.wire.citations import Citation
from router.wire.custom_tools import input_of
from router.wire.media import media_of
from router.wire.protocol import Answer, EndpointDialect, Stream, WrappedStream
from router.wire.responses_requests import joined
from router.wire.responses_tools import SEARCH, offered_in, tools_by_name
from router.wire.sse import StreamReader
from router.wire.thinking import sealed
from traffic.loose_json import Tree, encode, index, is_object, json_or, tree, trees
from traffic.record import Usage
from traffic.tool_calls import EMPTY, ToolCall

_ECHOED = ("max_output_tokens", "temperature", "top_p", "tool_choice", "tools", "text", "metadata", "user", "reasoning")
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Reasons of incomplete answers, by finish reason."""


class Responses:
    """Wraps an endpoint's dialect, with answers for clients of the Responses API."""

    def __init__(self, inner: EndpointDialect) -> None:
        self._inner = inner
        self.path = inner.path
        self.headers = inner.headers

    def payload(self, request: ChatRequest, target: Target, *, stream: bool) -> bytes:
        if target.endpoint.kind != "anthropic":
            parameters = {key: value for key, value in request.tree.items() if key != "web_search_options"}
            request = openai_limits.fitted(msgspec.structs.replace(request, tree=parameters), target)
        return self._inner.payload(request, target, stream=stream)

    def read(self, body: bytes, request: ChatRequest, target: Target) -> Answer:
        answer = self._inner.read(body, request, target)
        encoder = ResponseEncoder(request)
        events = [event for chunk in openai.chunks_of(answer.body, usage=False) for event in encoder.take(chunk)]
        events += encoder.end(answer.usage)
        body = joined(events) if request.stream else encode(encoder.response)
        return Answer(answer.output, answer.usage, body, answer.signals)

    def stream(self, request: ChatRequest, target: Target) -> "ResponseStream":
        return ResponseStream(self._inner.stream(request, target), ResponseEncoder(request))


class ResponseStream(WrappedStream):
    """Encodes the inner stream's chunks as events."""

    def __init__(self, inner: Stream, encoder: "ResponseEncoder") -> None:
        super().__init__(inner)
        self._encoder = encoder
        self._reader = StreamReader()

    def feed(self, data: bytes) -> list[bytes]:
        return [event for piece in self._inner.feed(data) if (event := self._encode(piece))]

    def end(self) -> bytes:
        last = self._encode(self._inner.end())
        return last + joined(self._encoder.end(self._inner.usage))

    def _encode(self, piece: bytes) -> bytes:
        events: list[Tree] = []
        for data in self._reader.feed(piece):
            chunk = msgspec.json.decode(data) if data.strip() != b"[DONE]" else None
            if isinstance(chunk, dict):
                events += self._encoder.take(chunk)
        return joined(events)


class ResponseEncoder:
    """Converts chat completion chunks to the events of one response, and accumulates the response."""

    def __init__(self, request: ChatRequest) -> None:
        sent = {key: msgspec.json.decode(request.native[key]) for key in _ECHOED if key in request.native}
        self._tools = tools_by_name(offered_in(request.native))
        self._request = request
        self._number = 0
        self._open: list[Tree] = []
        """Open output items since the last close."""
        self._unfinished: dict[str, Tree] = {}
        """Calls by the item's id whose arguments were incomplete at the last close: they may arrive interleaved."""
        self._grown: dict[str, None] = {}
        """Ids of `_unfinished` with new arguments since."""
        self._positions: dict[str, int] = {}
        """Indexes in the output by the item's id."""
        self._assembly = Assembly()
        self._calls: dict[int, Tree] = {}
        """Function call items by position of the call."""
        self._call_of: dict[str, ToolCall] = {}
        """Calls by the id of their item."""
        self._finish_reason: str | None = None
        self._logprobs: list[Tree] = []
        """Log-probabilities of the current chunk."""
        self._thoughts: list[Tree] = []
        """Signed thinking of the open reasoning item."""
        self.response: Tree = {
            "id": f"resp_{request.id}",
            "object": "response",
            "created_at": int(time.time()),
            "status": "in_progress",
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "model": request.body.model,
            "output": [],
            "parallel_tool_calls": True,
            "previous_response_id": None,
            "store": False,
            "temperature": None,
            "top_p": None,
            "tool_choice": "auto",
            "tools": [],
            "text": {"format": {"type": "text"}},
            "truncation": "disabled",
            "metadata": {},
            "usage": None,
        } | {key: value for key, value in sent.items() if value is not None}

    def take(self, chunk: Tree) -> list[Tree]:
        """The events of one chunk."""
        events: list[Tree] = []
        # Azure's first chunk has an empty model.
        self.response["model"] = chunk.get("model") or self.response["model"]
        if self._number == 0:
            snapshot = self.response | {"output": []}
            self._request.__dict__["response"] = snapshot
            events += [self._event("response.created", response=snapshot)]
            events += [self._event("response.in_progress", response=snapshot)]
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            # The Responses API supports a single choice.
            if not isinstance(choice, dict) or index(choice.get("index")):
                continue
            reason = choice.get("finish_reason")
            self._finish_reason = reason if isinstance(reason, str) else self._finish_reason
            delta = tree(choice.get("delta"))
            self._logprobs = trees(tree(choice.get("logprobs")).get("content"))
            thoughts = [b for b in trees(delta.get("thinking_blocks")) if b.get("signature") or b.get("data")]
            for piece in self._assembly.add(delta):
                if thoughts and piece.kind not in ("reasoning", "block"):
                    events += self._thinking(thoughts)
                    thoughts = []
                events += self._piece(piece)
            events += self._thinking(thoughts) if thoughts else []
        return events

    def _piece(self, piece: Piece) -> list[Tree]:
        if piece.kind == "reasoning":
            return self._reasoning(piece.text) if piece.text else []
        if piece.kind == "tool_call":
            return self._call(piece)
        if piece.citation is not None:
            return self._annotation(piece.citation)
        if piece.kind == "block":
            return []
        if piece.kind == "image":
            return self._image(piece.text)
        return self._text(piece.text, *(("refusal", "refusal") if piece.kind == "refusal" else ("output_text", "text")))

    def end(self, usage: Usage | None) -> list[Tree]:
        """The last events."""
        events = [] if self._number else self.take({})
        reason = _INCOMPLETE.get(self._finish_reason or "")
        self.response["status"] = "incomplete" if reason else "completed"
        events += self._close(last=True)
        self.response["incomplete_details"] = {"reason": reason} if reason else None
        self.response["usage"] = _usage(usage or self._request.estimated_usage(self._assembly.output))
        return [*events, self._event(f"response.{self.response['status']}", response=self.response)]

    # ----------------------------------------------------------------------------------------- items

    def _thinking(self, blocks: list[Tree]) -> list[Tree]:
        """Thinking that the endpoint requires in later turns."""
        _, events = self._reasoning_item()
        self._thoughts += blocks
        return events

    def _reasoning_item(self) -> tuple[Tree, list[Tree]]:
        """The open reasoning item, and the events if it is new."""
        item = self._open_item("reasoning")
        if item is not None:
            return item, []
        events = self._close()
        item = {"id": _id("rs"), "type": "reasoning", "status": "in_progress", "summary": []}
        return item, events + self._begin(item)

    def _reasoning(self, text: str) -> list[Tree]:
        item, events = self._reasoning_item()
        if not item["summary"]:
            part = {"type": "summary_text", "text": ""}
            item["summary"].append(part)
            events += [self._at(item, "response.reasoning_summary_part.added", summary_index=0, part=dict(part))]
        item["summary"][0]["text"] += text
        return [*events, self._at(item, "response.reasoning_summary_text.delta", summary_index=0, delta=text)]

    def _text(self, text: str, kind: str, key: str) -> list[Tree]:
        events = []
        item = self._open_item("message")
        if item is None:
            events += self._close()
            item = {"id": _id("msg"), "type": "message", "role": "assistant", "status": "in_progress", "content": []}
            events += self._begin(item)
        content = item["content"]
        if not content or content[-1]["type"] != kind:
            events += self._end_part(item)
            extra: Tree = {"annotations": [], "logprobs": []} if kind == "output_text" else {}
            part: Tree = {"type": kind, key: "", **extra}
            content.append(part)
            index = len(content) - 1
            events += [self._at(item, "response.content_part.added", content_index=index, part=_copied(part))]
        content[-1][key] += text
        fields: Tree = {"content_index": len(content) - 1, "delta": text}
        if kind == "output_text":
            fields["logprobs"], self._logprobs = self._logprobs, []
            content[-1]["logprobs"] += fields["logprobs"]
        return [*events, self._at(item, f"response.{kind}.delta", **fields)]

    def _image(self, url: str) -> list[Tree]:
        media = media_of(url)
        drawn = media.data if media is not None else url
        item = {"id": _id("ig"), "type": "image_generation_call", "status": "in_progress", "result": drawn}
        events = [*self._close(), *self._begin(item)]
        return [*events, *self._close()]

    def _annotation(self, citation: Citation) -> list[Tree]:
        """Adds an annotation to the open text."""
        item, annotation = self._open_item("message"), citation.as_response_annotation()
        if item is None or annotation is None or item["content"][-1]["type"] != "output_text":
            return []
        annotations = item["content"][-1]["annotations"]
        annotations.append(annotation)
        fields: Tree = {"content_index": len(item["content"]) - 1, "annotation_index": len(annotations) - 1}
        return [self._at(item, "response.output_text.annotation.added", **fields, annotation=annotation)]

    def _call(self, piece: Piece) -> list[Tree]:
        call = piece.call
        assert call is not None
        events: list[Tree] = []
        item = self._calls.get(call.position)
        if item is None:
            events += self._close()
            tool = self._tools.get(call.name)
            custom = tool is not None and tool.custom
            item = {"id": _id("ctc" if custom else "fc"), "type": "custom_tool_call" if custom else "function_call"}
            tool_name = tool.as_called() if tool is not None else {"name": call.name}
            item |= {"status": "in_progress", "call_id": with_signature(call), **tool_name}
            item |= {"input" if custom else "arguments": ""}
            if tool is not None and tool.kind == SEARCH:
                item = {
                    "id": _id("tsc"),
                    "type": "tool_search_call",
                    "status": "in_progress",
                    "call_id": item["call_id"],
                }
                item |= {"execution": "client", "arguments": {}}
            self._calls[call.position], self._call_of[item["id"]] = item, call
            events += self._begin(item)
            if item["type"] == "tool_search_call":
                # An object for the client; until it is complete, its text.
                item["arguments"] = ""
        if not piece.text or item["status"] != "in_progress":
            return events
        if item["id"] in self._unfinished:
            self._grown[item["id"]] = None
        if item["type"] == "custom_tool_call":
            # The text is inside a JSON object and can be decoded only when that is complete.
            item["input"] += piece.text
            return events
        item["arguments"] += piece.text
        if item["type"] == "tool_search_call":
            return events
        return [*events, self._at(item, "response.function_call_arguments.delta", delta=piece.text)]

    def _open_item(self, kind: str) -> Tree | None:
        """The last open item, if it is of this kind."""
        return self._open[-1] if self._open and self._open[-1]["type"] == kind else None

    def _begin(self, item: Tree) -> list[Tree]:
        self._open.append(item)
        self._positions[item["id"]] = len(self.response["output"])
        self.response["output"].append(item)
        return [self._event("response.output_item.added", output_index=self._index(item), item=_copied(item))]

    def _close(self, *, last: bool = False) -> list[Tree]:
        """Close the open items; calls with incomplete arguments stay open unless `last`."""
        # Calls without new arguments are not looked at again, so that many of them take linear time.
        checked = list(self._unfinished) if last else self._grown
        items = [*map(self._unfinished.pop, checked), *self._open]
        self._open, self._grown = [], {}
        events: list[Tree] = []
        for item in items:
            if not last and self._is_unfinished_call(item):
                self._unfinished[item["id"]] = item
            else:
                events += self._end_item(item)
        return events

    def _is_unfinished_call(self, item: Tree) -> bool:
        call = self._call_of.get(item["id"])
        if call is None:
            return False
        arguments = item["input"] if "input" in item else item["arguments"]
        return not is_object(arguments) if arguments else not call.held_back

    def _end_item(self, item: Tree) -> list[Tree]:
        events = self._end_part(item)
        if item["type"] == "function_call":
            if not item["arguments"]:
                item["arguments"] = EMPTY
                events.append(self._at(item, "response.function_call_arguments.delta", delta=EMPTY))
            done: Tree = {"name": item["name"], "arguments": item["arguments"]}
            events += [self._at(item, "response.function_call_arguments.done", **done)]
        elif item["type"] == "custom_tool_call":
            item["input"] = input_of(item["input"])
            events += [self._at(item, "response.custom_tool_call_input.delta", delta=item["input"])]
            events += [self._at(item, "response.custom_tool_call_input.done", input=item["input"])]
        elif item["type"] == "tool_search_call":
            item["arguments"] = tree(json_or(item["arguments"]))
        elif item["type"] == "reasoning" and self._thoughts:
            item["encrypted_content"], self._thoughts = sealed(self._thoughts), []
        # An answer that was cut ends with an incomplete item.
        item["status"] = "incomplete" if self.response["status"] == "incomplete" else "completed"
        return [*events, self._event("response.output_item.done", output_index=self._index(item), item=_copied(item))]

    def _end_part(self, item: Tree) -> list[Tree]:
        if item["type"] == "reasoning":
            return [
                event
                for part in item["summary"]
                for event in (
                    self._at(item, "response.reasoning_summary_text.done", summary_index=0, text=part["text"]),
                    self._at(item, "response.reasoning_summary_part.done", summary_index=0, part=dict(part)),
                )
            ]
        if item["type"] != "message" or not item["content"]:
            return []
        part, index = item["content"][-1], len(item["content"]) - 1
        key = "text" if part["type"] == "output_text" else "refusal"
        extra: Tree = {"logprobs": part["logprobs"]} if key == "text" else {}
        return [
            self._at(item, f"response.{part['type']}.done", content_index=index, **{key: part[key]}, **extra),
            self._at(item, "response.content_part.done", content_index=index, part=_copied(part)),
        ]

    def _index(self, item: Tree) -> int:
        return self._positions[item["id"]]

    def _at(self, item: Tree, kind: str, **fields: Any) -> Tree:
        """An event about an item."""
        return self._event(kind, item_id=item["id"], output_index=self._index(item), **fields)

    def _event(self, kind: str, **fields: Any) -> Tree:
        event = {"type": kind, "sequence_number": self._number} | fields
        self._number += 1
        # Needed by the event that ends a failed stream.
        self._request.__dict__["response_events"] = self._number
        # Copied, because the response and its items keep changing.
        return _copied(event)


def _usage(usage: Usage) -> Tree:
    """Token counts in OpenAI's convention: cached tokens are part of the input."""
    return {
        "input_tokens": usage.input_total,
        "input_tokens_details": {"cached_tokens": usage.cache_read, "cache_write_tokens": usage.cache_write},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input_total + usage.output,
    }


def _id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"


def _copied(tree: Tree) -> Tree:
    copy: Tree = msgspec.json.decode(msgspec.json.encode(tree))
    return copy
