"""One attempt: sends the request to an endpoint, parses or forwards the answer, and judges it.

An adapter's answer with checks or a threshold is requested without streaming and judged before the client gets it; all
other streams are forwarded from their first token on.
"""

import asyncio
import contextlib
import re
import time
from collections.abc import Awaitable, Callable
from datetime import datetime

import msgspec

from router.addresses import ConnectionFailed
from router.content_encoding import GZIP_MAGIC
from router.http_client import RawHeaders, Response
from router.personal_data import restored_body, unknown_placeholder
from router.request import ChatRequest
from router.target import Target
from router.upstream import AttemptFailed, AttemptTimeout, Upstream, refusal
from router.wire import dialects
from router.wire.endpoint_body import adapted_payload
from router.wire.errors import error_text, stated_status
from router.wire.protocol import Answer, EndpointDialect, StatedError, Unreadable
from router.wire.refusals import classify_refusal, is_temporary
from router.wire.sse import KEEP_ALIVE
from router.wire.thinking import is_thinking, without_thinking
from traffic.checks import failed_checks
from traffic.loose_json import encode, loads
from traffic.record import Output, Usage
from traffic.retry_and_escalation import Outcome

DRAIN_SECONDS = 0.05
MAX_HEADER_CHARS = 256
MAX_HEADERS = 24
REQUEST_ID_HEADERS = frozenset({b"request-id", b"x-request-id", b"apim-request-id", b"x-amzn-requestid"})

_SERVICE_TIER = re.compile(rb'"service_tier"\s*:\s*"([a-z_]+)"')
_PRINTABLE = re.compile(rb"[\x20-\x7e]*")

ANSWERED = Outcome("answered")

Forward = Callable[[bytes], Awaitable[None]]
"""Sends events of a stream to the client."""


async def discard(events: bytes) -> None:
    """A `Forward` for answers that no client waits for."""
    del events


class Attempt(msgspec.Struct):
    """One attempt, with its result."""

    target: Target
    ts: datetime
    began: float
    """Start, in seconds of `time.perf_counter()`."""
    outcome: Outcome = ANSWERED
    status: int = 0
    output: Output = Output()
    usage: Usage | None = None
    service_tier: str | None = None
    """As the endpoint states it: what the answer is billed as."""
    confidence: float | None = None
    ttft_ms: float | None = None
    sent: bytes = b""
    """The body of a request that was refused."""
    body: bytes = b""
    """The complete answer, or the body of a 4xx; for a forwarded stream, the rest to send after logging."""
    forwarding: bool = False
    """Part of the answer was sent to the client."""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    """Headers of the endpoint's answer for the client: rate limits and request id."""

    def elapsed_ms(self) -> float:
        return (time.perf_counter() - self.began) * 1000


def payload_of(request: ChatRequest, target: Target) -> bytes:
    """The body of the request for an endpoint."""
    dialect = dialects.of(request, target.endpoint)
    payload = adapted_payload(dialect.payload(request, target, stream=_streams(request, target)), target.endpoint)
    return encode(without_thinking(loads(payload), is_thinking)) if target.without_thinking else payload


def _streams(request: ChatRequest, target: Target) -> bool:
    return request.stream and not target.judged


async def ask(
    attempt: Attempt,
    request: ChatRequest,
    upstream: Upstream,
    forward: Forward,
    *,
    budget_s: float,
    trace: bytes | None = None,
) -> None:
    """Run the attempt within `budget_s` seconds; the result, also a failure, is stored in `attempt`."""
    target = attempt.target
    stream = _streams(request, target)
    dialect = dialects.of(request, target.endpoint)
    payload = payload_of(request, target)
    headers = dialect.headers(upstream.key(target.endpoint), request, target)
    path = dialects.path(request, target, stream=stream)
    limits = target.endpoint.first_token_timeout_s, target.endpoint.idle_timeout_s
    time_limit = upstream.time_limit(budget_s, *(limits if stream else ()))
    body = b""
    response: Response | None = None
    try:
        with time_limit:
            response = await upstream.post(target.endpoint, payload, budget_s, trace, path=path, headers=headers)
            attempt.status = response.status
            attempt.headers = handed_on(response.raw_headers)
            first = await _first_bytes(response)
            if stream and not first.lstrip().startswith((b"{", b"[")):
                await _read_stream(attempt, request, dialect, response, first, forward, time_limit)
            else:
                # Some servers do not stream although asked to: the client gets a stream once the answer is logged.
                if stream:
                    time_limit.begun()
                body = first if response.drained else first + await response.read()
                _note_tier(attempt, body)
                if target.prepared is not None and target.prepared.originals:
                    body = restored_body(body, target.prepared)
                _take(attempt, request, dialect.read(body, request, target))
    except (Unreadable, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # Parts that only the translation reads may be invalid text or nested too deeply.
        reason = str(error) if isinstance(error, Unreadable) else "the answer cannot be read"
        detail = (error_text(body) or "") if body else ""
        attempt.outcome = Outcome("failed", reason, forwarded=attempt.forwarding, detail=detail)
        attempt.body = b""
        if isinstance(error, StatedError):
            _refused_inside(attempt, error, payload)
    except AttemptFailed as error:
        attempt.outcome = msgspec.structs.replace(error.outcome, forwarded=attempt.forwarding)
        attempt.status = error.status or attempt.status
        attempt.body = error.body or b""
    finally:
        if attempt.outcome.kind == "refused":
            attempt.sent = payload
        if response is not None:
            response.release()


def _refused_inside(attempt: Attempt, error: StatedError, sent: bytes) -> None:
    """Treat an error inside an answer of status 200 like an error of the status that it states. After the beginning of
    the answer it remains a failure, and the client learns its status."""
    status, body = stated_status(error.tree), encode(error.tree)
    if status is None:
        if classify_refusal(400, body, sent) in (None, "unknown") and not is_temporary(400, body, sent):
            return
        status = 400
    failure = refusal(status, body, sent=sent)
    if failure.outcome.kind != "failed" and not attempt.forwarding:
        attempt.outcome, attempt.body = failure.outcome, failure.body or b""
    attempt.status = status


def _take(attempt: Attempt, request: ChatRequest, answer: Answer) -> None:
    """Store a complete answer."""
    attempt.output, attempt.usage, attempt.body = answer.output, answer.usage, answer.body
    if attempt.target.prepared is not None or attempt.target.checks is not None:
        _judge(attempt, request, answer)


def _judge(attempt: Attempt, request: ChatRequest, answer: Answer) -> None:
    """Set the confidence; reject an answer that fails its checks, is below the threshold, or out of distribution."""
    signals = answer.signals
    prepared, checks = attempt.target.prepared, attempt.target.checks
    threshold = prepared.threshold if prepared is not None else None
    if prepared is not None:
        checks = prepared.checks
    assert checks is not None
    if signals is not None:
        attempt.confidence = threshold.value(signals) if threshold is not None else signals.min_margin
    failed = list(failed_checks(attempt.output.text, attempt.output.finish_reason, checks))
    if prepared is not None and (unknown := unknown_placeholder(attempt.output.text, request, prepared)) is not None:
        failed.append(f"placeholder: {unknown} stands for nothing")
    if failed:
        attempt.outcome = Outcome("rejected", f"check {failed[0]}")
    elif answer.unlike_training:
        attempt.outcome = Outcome("rejected", "unlike the training data", unsure=True)
    elif threshold is None:
        return
    elif attempt.confidence is None:
        attempt.outcome = Outcome("rejected", "confidence unknown: the server returned no log-probabilities")
    elif attempt.confidence < threshold.threshold:
        measured = f"{threshold.measure} {attempt.confidence:.4g} < {threshold.threshold:.4g}"
        attempt.outcome = Outcome("rejected", f"confidence {measured}", unsure=True)


async def _first_bytes(response: Response) -> bytes:
    """The body up to the first read with content: some servers send whitespace while they work."""
    first = b""
    while not first.strip() and (data := response.read_available() or await response.readany()):
        # Compressed without a request or a header for it.
        first += response.decode(data, "gzip") if not first and data.startswith(GZIP_MAGIC) else data
    return first


async def _read_stream(
    attempt: Attempt,
    request: ChatRequest,
    dialect: EndpointDialect,
    response: Response,
    first: bytes,
    forward: Forward,
    time_limit: AttemptTimeout,
) -> None:
    """Forward a stream; its last event is held back until the attempt is logged. `first`: bytes already read.

    Nothing is forwarded before the first token, so that until then another endpoint can answer.
    """
    stream = dialect.stream(request, attempt.target)
    waiting: list[bytes] = []
    data, complete = first, False
    _note_tier(attempt, first)
    try:
        while data:
            events = stream.feed(data)
            # Pings do not keep a complete answer open.
            if not complete or any(event != KEEP_ALIVE for event in events):
                time_limit.alive()
            waiting += events
            if stream.begun and attempt.ttft_ms is None:
                attempt.ttft_ms = attempt.elapsed_ms()
                time_limit.begun()
            if waiting and (stream.begun or stream.finish_reason):
                attempt.forwarding = True
                await time_limit.pausing(forward(b"".join(waiting)))
                waiting = []
            if stream.finish_reason is not None:
                _note_tier(attempt, data)
                # The reason is that of the first choice.
                if not (complete or stream.done) and request.body.n in (None, 1):
                    complete = True
                    time_limit.ending()
            if stream.done:
                break
            data = await (_rest(response, time_limit) if complete else response.readany())
        attempt.body = stream.end()
    finally:
        attempt.output, attempt.usage = stream.output, stream.usage
        signals = stream.signals()
        attempt.confidence = signals.min_margin if signals is not None else None
    await _drain(response)


def _note_tier(attempt: Attempt, data: bytes) -> None:
    """Read the service tier, which the protocols state in different places. Inside of a text its quotes are escaped;
    arguments that are an object stand before it."""
    # `in` is slow for bytes.
    if attempt.service_tier is None and (position := data.rfind(b'"service_tier"')) >= 0:
        match = _SERVICE_TIER.match(data, position)
        attempt.service_tier = match[1].decode() if match is not None else None


async def _rest(response: Response, time_limit: AttemptTimeout) -> bytes:
    """The next bytes behind a complete answer; none if the stream is cut or silent: only its usage is missing."""
    with contextlib.suppress(ConnectionError):
        try:
            return await response.readany()
        except asyncio.CancelledError:
            if not time_limit.forgive():
                raise
    return b""


def handed_on(headers: RawHeaders) -> tuple[tuple[bytes, bytes], ...]:
    """The endpoint's headers for the client: rate limits, and the request id for the provider's support."""
    returned: list[tuple[bytes, bytes]] = []
    for name, value in headers:
        # `in` is slow for bytes.
        limits = name.find(b"ratelimit") >= 0
        if (limits or name in REQUEST_ID_HEADERS) and len(value) <= MAX_HEADER_CHARS and _PRINTABLE.fullmatch(value):
            returned.append((name if limits else b"x-fasttier-upstream-request-id", value))
    return tuple(returned[:MAX_HEADERS])


async def _drain(response: Response) -> None:
    """Read the rest of a body, within limits, so that the connection can be reused."""
    with contextlib.suppress(TimeoutError, ConnectionFailed):
        async with asyncio.timeout(DRAIN_SECONDS):
            while await response.readany():
                pass
