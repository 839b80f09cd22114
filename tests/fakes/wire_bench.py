"""A router between two raw upstreams, one of each protocol, and the answers that they are made to give."""

import contextlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec

from tests.fakes import raw_upstream as raw
from tests.fakes.raw_upstream import Play, RawUpstream, Wire, events
from tests.fakes.router import RunningRouter, endpoint, routing
from traffic.artifacts import Home
from traffic.record import Record

NO_RECORD = Record(
    id="", request_id="", ts=datetime.min.replace(tzinfo=UTC), messages=msgspec.Raw(b"[]"), source_format="native"
)
"""Of a request that was refused before it was one."""


class Heard(NamedTuple):
    """What came of one request."""

    status: int
    headers: httpx.Headers
    body: bytes
    parts: list[tuple[float, bytes]]
    """Pieces of the body with the seconds after which they came."""
    record: Record
    asked: list[Any]

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def events(self) -> list[Any]:
        lines = [line[5:].strip() for line in self.body.splitlines() if line.startswith(b"data:")]
        return [msgspec.json.decode(line) for line in lines if line not in (b"", b"[DONE]")]

    @property
    def text(self) -> str:
        deltas = [choice["delta"] for event in self.events for choice in event.get("choices") or ()]
        return "".join(delta.get("content") or "" for delta in deltas)

    @property
    def blocks(self) -> list[Any]:
        """Of a message's stream."""
        parts: list[Any] = []
        for event in self.events:
            if event["type"] == "content_block_start":
                parts.append(dict(event["content_block"]) | {"json": ""})
            elif event["type"] == "content_block_delta":
                for key, value in event["delta"].items():
                    if key != "type":
                        parts[event["index"]]["json" if key == "partial_json" else key] += value
        return parts

    def event(self, kind: str) -> Any:
        return next(event for event in self.events if event.get("type") == kind)


class Bench(NamedTuple):
    """A router with an endpoint of either protocol."""

    gpt: RawUpstream
    claude: RawUpstream
    router: RunningRouter

    def _ask(self, path: str, upstream: RawUpstream, play: Play | Wire, body: dict[str, Any], seconds: float) -> Heard:
        upstream.play, asked = play, len(upstream.bodies)
        records = len(self.router.log)
        headers = {"x-fasttier-call-site": "to.claude" if upstream is self.claude else "to.gpt"}
        began, parts = time.monotonic(), []
        with httpx.stream("POST", self.router.url + path, json=body, headers=headers, timeout=seconds) as response:
            parts = [(time.monotonic() - began, part) for part in response.iter_raw()]
        record = (self.router.log[records:] or [NO_RECORD])[-1]
        sent = upstream.bodies[asked:]
        return Heard(response.status_code, response.headers, b"".join(part for _, part in parts), parts, record, sent)

    def chat(self, upstream: RawUpstream, play: Play | Wire, **changes: Any) -> Heard:
        body = {"model": "m", "messages": [{"role": "user", "content": "hello"}]} | changes
        return self._ask("/v1/chat/completions", upstream, play, body, 20)

    def responses(self, upstream: RawUpstream, play: Play | Wire, **changes: Any) -> Heard:
        body = {"model": "m", "input": "hello"} | changes
        return self._ask("/v1/responses", upstream, play, body, 20)

    def messages(self, upstream: RawUpstream, play: Play | Wire, **changes: Any) -> Heard:
        body = {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "hello"}]} | changes
        return self._ask("/v1/messages", upstream, play, body, 20)


@contextlib.contextmanager
def running_bench(folder: Path, *, max_retries: int = 0, failures: int = 2, **gpt_settings: Any) -> Iterator[Bench]:
    """`folder`: the router's home; `failures`: after so many in a row an endpoint rests."""
    home = Home(folder)
    with RawUpstream() as gpt, RawUpstream() as claude:
        config = routing(
            [
                endpoint("gpt", f"http://127.0.0.1:{gpt.port}/v1", first_token_timeout_s=0.6, **gpt_settings),
                endpoint("claude", f"http://127.0.0.1:{claude.port}", kind="anthropic", model="claude-haiku-4-5"),
            ],
            tiers={1: [], 2: ["gpt"], 3: ["claude"]},
            rules=[
                {"name": "claude", "reason": "test", "tier": 3, "when": {"call_site": "to.claude"}},
                {"name": "gpt", "reason": "test", "tier": 2, "when": {"call_site": {"regex": "."}}},
            ],
            serving={"backoff_s": 0.001, "max_retries": max_retries, "breaker": {"failures": failures}},
        )
        with RunningRouter(config, home) as router:
            yield Bench(gpt, claude, router)


USAGE = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}


def choice(message: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"index": 0, "message": {"role": "assistant"} | message, "finish_reason": "stop"} | changes


def completion(*choices: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return (
        {"id": "c", "object": "chat.completion", "created": 1, "model": "up", "choices": [*choices]}
        | {"usage": USAGE}
        | changes
    )


def delta(said: dict[str, Any], finish: Any = None, **changes: Any) -> dict[str, Any]:
    """One chunk."""
    one = {"index": 0, "delta": said, "finish_reason": finish} | changes
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "up", "choices": [one]}


START, OK, STOP = delta({"role": "assistant", "content": ""}), delta({"content": "ok"}), delta({}, "stop")
LAST = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "up", "choices": [], "usage": USAGE}
WHOLE = events(START, OK, STOP, LAST, b"[DONE]")


HEAD = {"id": "msg", "type": "message", "role": "assistant", "model": "up", "content": [], "stop_reason": None}


def message(*content: dict[str, Any], **changes: Any) -> dict[str, Any]:
    ended = {"content": [*content], "stop_reason": "end_turn", "usage": {"input_tokens": 10, "output_tokens": 2}}
    return HEAD | ended | changes


def calls_of(*parts: dict[str, Any]) -> Play:
    chunks = [delta({"tool_calls": [part]}) for part in parts]
    return raw.stream(events(START, *chunks, delta({}, "tool_calls"), LAST, b"[DONE]"))


def part(arguments: str, **keys: Any) -> dict[str, Any]:
    name = {"name": keys.pop("name")} if "name" in keys else {}
    return keys | {"function": name | {"arguments": arguments}}
