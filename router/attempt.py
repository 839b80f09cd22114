"""One attempt: ask an endpoint, read or forward what it says, and judge it.

An adapter's answer that has checks or a threshold is asked for in one piece and judged before anybody sees it;
every other stream is forwarded as it comes, from its first token on.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from datetime import datetime

import aiohttp
import msgspec

from router.dialects import openai
from router.dialects.openai import Assembly, StreamReader
from router.request import ChatRequest
from router.routing import Target
from router.upstream import AttemptFailed, Patience, Upstream, failed
from traffic.checks import failed_checks
from traffic.confidence import Signals
from traffic.escalation import Outcome
from traffic.record import Output, Usage

DRAIN_SECONDS = 0.05

ANSWERED = Outcome("answered")

Forward = Callable[[bytes], Awaitable[None]]
"""Sends events of a stream to the client."""


class Attempt(msgspec.Struct):
    """One attempt while it is made, and what came of it."""

    target: Target
    ts: datetime
    began: float
    """`time.perf_counter()` seconds."""
    outcome: Outcome = ANSWERED
    status: int = 0
    output: Output = Output()
    usage: Usage | None = None
    confidence: float | None = None
    ttft_ms: float | None = None
    body: bytes = b""
    """The whole answer, or the body of a 4xx; of a forwarded stream, what is left to send when it is logged."""
    forwarding: bool = False
    """The client has seen a part of it."""

    def elapsed_ms(self) -> float:
        return (time.perf_counter() - self.began) * 1000


async def ask(
    attempt: Attempt,
    request: ChatRequest,
    upstream: Upstream,
    forward: Forward,
    *,
    budget_s: float,
    trace: bytes | None = None,
) -> None:
    """Make the attempt within `budget_s` seconds; what came of it is in `attempt`, failures too."""
    target = attempt.target
    stream = request.stream and not (target.prepared is not None and target.prepared.judged)
    payload = openai.payload(request, target, stream=stream)
    patience = Patience(budget_s, target.endpoint.first_token_timeout_s if stream else None)
    try:
        async with upstream.post(target.endpoint, payload, patience, trace) as response:
            attempt.status = response.status
            if stream:
                await _read_stream(attempt, request, response, forward, patience)
            else:
                _read_answer(attempt, request, await response.read())
    except AttemptFailed as error:
        attempt.outcome = msgspec.structs.replace(error.outcome, forwarded=attempt.forwarding)
        attempt.status = error.status or attempt.status
        attempt.body = error.body or b""


def _read_answer(attempt: Attempt, request: ChatRequest, body: bytes) -> None:
    try:
        completion = openai.decode_completion(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise failed("the body is no chat completion") from None
    if not completion.choices:
        raise failed("the answer has no choice")
    attempt.output = completion.output
    attempt.usage = completion.usage.normalised() if completion.usage is not None else None
    attempt.body = body
    if attempt.target.prepared is not None:
        _judge(attempt, completion.signals())
        if not request.body.logprobs:
            attempt.body = openai.without_logprobs(body)


def _judge(attempt: Attempt, signals: Signals | None) -> None:
    """Set the confidence, and reject an answer that fails its checks or is too unsure."""
    prepared = attempt.target.prepared
    assert prepared is not None
    threshold = prepared.threshold
    if signals is not None:
        attempt.confidence = threshold.value(signals) if threshold is not None else signals.min_margin
    found = failed_checks(attempt.output.text, attempt.output.finish_reason, prepared.checks)
    if found:
        attempt.outcome = Outcome("rejected", f"check {found[0]}")
    elif threshold is None:
        return
    elif attempt.confidence is None:
        attempt.outcome = Outcome("rejected", "confidence unknown: the server returned no log-probabilities")
    elif attempt.confidence < threshold.threshold:
        said = f"{threshold.signal} {attempt.confidence:.4g} < {threshold.threshold:.4g}"
        attempt.outcome = Outcome("rejected", f"confidence {said}")


async def _read_stream(
    attempt: Attempt, request: ChatRequest, response: aiohttp.ClientResponse, forward: Forward, patience: Patience
) -> None:
    """Forward a stream as it comes; its last event is held back until the attempt is logged.

    Nothing is forwarded before the first token: until then another endpoint can still answer.
    """
    reader, assembly = StreamReader(), Assembly()
    strip = attempt.target.prepared is not None and not request.body.logprobs
    waiting: list[bytes] = []
    try:
        async for data in response.content.iter_any():
            waiting += [
                openai.event(openai.without_logprobs(sent) if strip else sent)
                for sent in reader.feed(data)
                if _take(assembly, sent, usage=request.wants_usage)
            ]
            if assembly.begun and attempt.ttft_ms is None:
                attempt.ttft_ms = attempt.elapsed_ms()
                patience.begun()
            if waiting and (assembly.begun or assembly.finish_reason):
                attempt.forwarding = True
                await forward(b"".join(waiting))
                waiting = []
            if assembly.done:
                break
    finally:
        attempt.output, attempt.usage = assembly.output, assembly.usage
        signals = assembly.signals()
        attempt.confidence = signals.min_margin if signals is not None else None
    if assembly.finish_reason is None:
        raise failed("cut: the stream ended without a finish reason")
    attempt.body = openai.DONE
    await _drain(response)


def _take(assembly: Assembly, sent: bytes, *, usage: bool) -> bool:
    """Add an event; whether the client gets to see it now. Raises: AttemptFailed if it is an error."""
    if sent == b"[DONE]":
        assembly.done = True
        return False
    try:
        chunk = openai.decode_chunk(sent)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise failed("an event of the stream is no chat completion chunk") from None
    if chunk.error is not None:
        raise failed("error: the stream says that it failed")
    assembly.add(chunk)
    return bool(chunk.choices) or chunk.usage is None or usage


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Read the end of a body behind `[DONE]`, so that the connection can be used again; not at any price."""
    with contextlib.suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout(DRAIN_SECONDS):
            while await response.content.readany():
                pass
