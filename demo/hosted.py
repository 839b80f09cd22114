"""Stand-ins for hosted models: an OpenAI-compatible server with stated accuracy, latency and price.

    python -m demo.hosted --config configs/demo.yaml --gold data-demo/log/gold.jsonl --port 8100

Responses carry `system_fingerprint: simulated`; a message that is not in the log is refused.
"""

import argparse
import asyncio
import contextlib
import random
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from demo.config import load
from demo.stand_in import Refused, Reply, StandIn, read_ground_truth
from traffic.errors import EndpointError

FINGERPRINT = "simulated"
_FIRST_TOKEN = 0.4
"""Share of the whole time that passes before a stream's first token."""


def make_app(stand_in: StandIn) -> Starlette:
    """The HTTP side: `/v1/chat/completions` plain and streaming, `/v1/models`, `/health`."""
    scale = stand_in.config.time_scale

    async def chat(request: Request) -> Response:
        try:
            body = msgspec.json.decode(await request.body(), type=dict[str, Any])
            reply = stand_in.reply(body)
        except msgspec.DecodeError as error:
            return _error(400, f"the body is not a JSON object: {error}")
        except Refused as refused:
            return _error(refused.status, str(refused))
        head = {"id": f"chatcmpl-{random.getrandbits(96):024x}", "created": int(time.time()), "model": body["model"]}
        head |= {"system_fingerprint": FINGERPRINT}
        if body.get("stream"):
            counted = bool((body.get("stream_options") or {}).get("include_usage"))
            events = _events(head, reply, scale, counted=counted)
            return StreamingResponse(events, media_type="text/event-stream", headers={"x-simulated": "true"})
        await asyncio.sleep(reply.seconds * scale)
        message = {"role": "assistant", "content": reply.text, "tool_calls": reply.tool_calls}
        choice = {"index": 0, "message": message, "finish_reason": reply.finish_reason, "logprobs": None}
        payload = head | {"object": "chat.completion", "choices": [choice], "usage": reply.usage}
        return JSONResponse(payload, headers={"x-simulated": "true"})

    async def models(request: Request) -> Response:
        cards = [{"id": name, "object": "model", "created": 0, "owned_by": FINGERPRINT} for name in stand_in.models]
        return JSONResponse({"object": "list", "data": cards})

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok", "simulated": True})

    return Starlette(
        routes=[
            Route("/v1/chat/completions", chat, methods=["POST"]),
            Route("/v1/models", models),
            Route("/health", health),
        ]
    )


@contextlib.contextmanager
def serve(stand_in: StandIn, *, port: int = 0, start_timeout_s: float = 15.0) -> Iterator[str]:
    """Serve on loopback in a thread until the context exits; yields the base URL for an OpenAI client.

    `port` 0: any free port. Raises: EndpointError if the port is taken or the server does not start.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            raise EndpointError(f"the stand-in for hosted models cannot listen on port {port}: {error}") from None
        server = uvicorn.Server(uvicorn.Config(make_app(stand_in), log_level="error", lifespan="off", ws="none"))
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": [listener]}, name="hosted-stand-in", daemon=True
        )
        thread.start()
        deadline = time.monotonic() + start_timeout_s
        try:
            while not server.started:
                if not thread.is_alive() or time.monotonic() > deadline:
                    raise EndpointError(f"the stand-in for hosted models did not start within {start_timeout_s:g} s")
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            server.should_exit = True
            thread.join(start_timeout_s)


async def _events(head: dict[str, Any], reply: Reply, scale: float, *, counted: bool) -> AsyncIterator[bytes]:
    chunks = _chunks(reply.text or "")
    first = reply.seconds * _FIRST_TOKEN
    pause = (reply.seconds - first) / max(1, len(chunks))

    def event(delta: dict[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
        return _sse(head | {"object": "chat.completion.chunk", "choices": [choice]})

    await asyncio.sleep(first * scale)
    yield event({"role": "assistant", "content": ""})
    if reply.tool_calls:
        yield event({"tool_calls": [{"index": n, **call} for n, call in enumerate(reply.tool_calls)]})
    for chunk in chunks:
        await asyncio.sleep(pause * scale)
        yield event({"content": chunk})
    yield event({}, reply.finish_reason)
    if counted:
        yield _sse(head | {"object": "chat.completion.chunk", "choices": [], "usage": reply.usage})
    yield b"data: [DONE]\n\n"


def _sse(payload: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(payload) + b"\n\n"


def _chunks(text: str, size: int = 4) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def _error(status: int, message: str) -> Response:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return JSONResponse({"error": {"message": message, "type": kind, "param": None, "code": None}}, status)


def main() -> None:
    """Serve until the process is stopped."""
    parser = argparse.ArgumentParser(description="Serve stand-ins for hosted models.")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--gold", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()
    stand_in = StandIn(load(arguments.config).hosted, read_ground_truth(arguments.gold))
    with serve(stand_in, port=arguments.port) as base_url:
        sys.stdout.write(f"{base_url}\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
