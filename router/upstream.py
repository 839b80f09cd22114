"""Sends a request to an endpoint over HTTP, and maps every kind of failure to `AttemptFailed`."""

import asyncio
import math
from collections.abc import Awaitable, Mapping
from types import TracebackType
from typing import Self
from urllib.parse import urlencode

from router import bedrock
from router.addresses import ConnectionFailed, ConnectTimeout
from router.http_client import HttpClient, Response
from router.wire.errors import error_text, stated_delay_s
from router.wire.refusals import classify_refusal, is_temporary
from traffic.retry_and_escalation import Outcome, stated_pause_s
from traffic.tiers import Endpoint

ERROR_BODY_BYTES = 65_536
NO_CONTENT = (204, 205)
WHOLE_SECONDS_FROM = 10.0
TAIL_S = 5.0
"""Longest silence behind a complete answer of a stream."""
TRY_AGAIN = (408, 409, 424, 425, 499)
"""4xx that concern the server's state rather than the request: timeout, conflict, a model that failed (Bedrock), too
early, cancelled (Google)."""


class AttemptFailed(Exception):
    """The endpoint gave no usable answer; `outcome` classifies the failure."""

    def __init__(self, outcome: Outcome, *, status: int = 0, body: bytes | None = None) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome
        self.status = status
        """HTTP status; 0 if none arrived."""
        self.body = body
        """The body of a 4xx."""


def failed(reason: str) -> AttemptFailed:
    return AttemptFailed(Outcome("failed", reason))


class AttemptTimeout:
    """Time limit of one attempt: `budget_s` for a complete answer; for a stream `first_token_s` until its first token,
    then `idle_s` between two pieces, without a limit on the total. As a context manager it converts timeouts and
    connection errors to `AttemptFailed`.
    """

    def __init__(
        self, deadlines: "Deadlines", budget_s: float, first_token_s: float | None = None, idle_s: float | None = None
    ) -> None:
        self.budget_s = budget_s
        self.limit_s = budget_s
        self.awaited = "answer"
        self.ends_at = math.inf
        """On the loop's clock; infinite: no limit at the moment."""
        self._idle_s = idle_s
        if first_token_s is not None and first_token_s < budget_s:
            self.limit_s, self.awaited = first_token_s, "first token"
        self._deadlines = deadlines
        self._loop = deadlines.loop
        self._expired = False

    def __enter__(self) -> Self:
        task = asyncio.current_task(self._loop)
        assert task is not None
        self._task, self._cancelled_before = task, task.cancelling()
        self._set(self._loop.time() + self.limit_s)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._deadlines.forget(self)
        # Like asyncio.timeout(): a simultaneous cancellation from outside takes precedence.
        if self._expired and self._task.uncancel() <= self._cancelled_before and kind is asyncio.CancelledError:
            raise failed(f"timeout: no {self.awaited} within {self.limit_s:.3g} s") from None
        if isinstance(error, ConnectionError):
            cause = str(error) if isinstance(error, ConnectionFailed) else type(error).__name__
            raise failed(f"connection: {cause}") from None

    def begun(self) -> None:
        """The first token arrived: from now on the limit is `idle_s`."""
        if self._idle_s is not None:
            self.limit_s, self.awaited = self._idle_s, "further token"
            self._set(self._loop.time() + self.limit_s)

    def alive(self) -> None:
        """A piece of the stream arrived: restart the idle limit."""
        if self.awaited == "further token":
            # The timer is not moved; it checks this time when it fires.
            self.ends_at = self._loop.time() + self.limit_s

    def ending(self) -> None:
        """The answer is complete, and only its usage may follow."""
        if self._idle_s is not None:
            self.limit_s = min(self.limit_s, TAIL_S)
            self._set(self._loop.time() + self.limit_s)

    def forgive(self) -> bool:
        """Whether only this limit cancelled the attempt, which may go on then."""
        if not self._expired or self._task.cancelling() - 1 > self._cancelled_before:
            return False
        self._task.uncancel()
        self._expired = False
        return True

    async def pausing(self, sending: Awaitable[None]) -> None:
        """Pause the limit while sending to the client, whose slowness must not count against the endpoint."""
        began, ends_at = self._loop.time(), self.ends_at
        self.ends_at = math.inf
        try:
            await sending
        finally:
            self._set(ends_at + self._loop.time() - began)

    def expire(self) -> None:
        """Cancel the attempt."""
        self._expired = True
        self._task.cancel()

    def _set(self, ends_at: float) -> None:
        self.ends_at = ends_at
        self._deadlines.watch(self)


class Deadlines:
    """Cancels attempts at the end of their time limits, with one timer of the event loop for all of them.

    A timer per attempt costs a handle, and an iteration of the loop with a system call when it is cancelled.
    """

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._watched: set[AttemptTimeout] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._fires_at = math.inf

    def watch(self, limit: AttemptTimeout) -> None:
        """Start a limit, or move it."""
        self._watched.add(limit)
        self._fire_at(limit.ends_at)

    def forget(self, limit: AttemptTimeout) -> None:
        """Remove a limit. The timer is not moved: mostly another attempt ends later."""
        self._watched.discard(limit)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _fire_at(self, ends_at: float) -> None:
        if ends_at >= self._fires_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._fires_at = ends_at
        self._timer = self.loop.call_at(ends_at, self._fire)

    def _fire(self) -> None:
        self._timer, self._fires_at = None, math.inf
        now = self.loop.time()
        for limit in [limit for limit in self._watched if limit.ends_at <= now]:
            self._watched.discard(limit)
            limit.expire()
        self._fire_at(min((limit.ends_at for limit in self._watched), default=math.inf))


class Upstream:
    """HTTP client for endpoints. One per process, used inside its event loop."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._client = HttpClient()
        self._deadlines = Deadlines()

    def close(self) -> None:
        self._client.close()
        self._deadlines.close()

    def time_limit(
        self, budget_s: float, first_token_s: float | None = None, idle_s: float | None = None
    ) -> AttemptTimeout:
        """The time limit of one attempt."""
        return AttemptTimeout(self._deadlines, budget_s, first_token_s, idle_s)

    async def post(
        self,
        endpoint: Endpoint,
        payload: bytes,
        budget_s: float,
        trace: bytes | None = None,
        *,
        path: str,
        headers: Mapping[str, str],
    ) -> Response:
        """POST to `path` below the endpoint's base URL. The response (2xx, body not read) must be released.

        `headers`: those of the dialect, including the endpoint's key.
        Raises: AttemptFailed, ConnectionFailed.
        """
        request_headers = {"content-type": "application/json", **headers}
        response = await self.send("POST", endpoint, path, payload, budget_s, trace, headers=request_headers)
        if 200 <= response.status < 300 and response.status not in NO_CONTENT:
            return response
        try:
            raise await _refusal(response, payload)
        finally:
            response.release()

    async def send(
        self,
        method: str,
        endpoint: Endpoint,
        path: str,
        data: bytes,
        budget_s: float,
        trace: bytes | None = None,
        *,
        headers: Mapping[str, str],
    ) -> Response:
        """Send a request. The response (any status, body not read) must be released.

        Raises: AttemptFailed, ConnectionFailed.
        """
        url = endpoint.base_url.rstrip("/") + path
        if endpoint.query:
            url += ("&" if "?" in path else "?") + urlencode(endpoint.query)
        sent = self._headers(endpoint, trace, headers, budget_s)
        if endpoint.kind == "bedrock" and endpoint.api_key_env is None:
            try:
                sent |= await bedrock.signed(endpoint, url, data)
            except bedrock.NoCredentials as error:
                # An error of our account, like a 403.
                raise AttemptFailed(Outcome("refused", str(error), refusal="account")) from None
        try:
            return await self._client.request(method, url, sent, data, connect_s=endpoint.connect_timeout_s)
        except ConnectTimeout:
            raise failed(f"timeout: no connection within {endpoint.connect_timeout_s:g} s") from None

    def key(self, endpoint: Endpoint) -> str | None:
        """The endpoint's key; the client's key is for the router and never forwarded."""
        # A secret read from a file ends with a newline, which headers cannot contain.
        return self._environ[endpoint.api_key_env].strip() if endpoint.api_key_env is not None else None

    def _headers(
        self, endpoint: Endpoint, trace: bytes | None, request_headers: Mapping[str, str], budget_s: float
    ) -> dict[str, str]:
        headers = {
            "accept-encoding": "identity",
            # After this time nobody waits for the answer: a server that knows the header can stop. Rounded to seconds
            # if long, so that headers of most requests are equal and can be cached.
            "x-fasttier-deadline-ms": str(
                int(budget_s * 1000) if budget_s < WHOLE_SECONDS_FROM else math.ceil(budget_s) * 1000
            ),
            **request_headers,
        }
        if endpoint.key_header is not None and (key := self.key(endpoint)) is not None:
            headers = {name: value for name, value in headers.items() if name not in ("authorization", "x-api-key")}
            headers[endpoint.key_header.lower()] = key
        if endpoint.headers:
            headers |= endpoint.sent_headers(self._environ)
        if trace:
            headers["traceparent"] = trace.decode("latin-1")
        return headers


async def _refusal(response: Response, sent: bytes) -> AttemptFailed:
    """The failure for a status other than 2xx."""
    body = (await response.read(ERROR_BODY_BYTES))[:ERROR_BODY_BYTES]
    if 300 <= response.status < 400:
        # Redirects are not followed, because the key would be sent along.
        location = response.headers.get("location", "")
        outcome = Outcome("failed", f"status {response.status}", detail=f"moved: set base_url for {location}"[:500])
        return AttemptFailed(outcome, status=response.status, body=body)
    return refusal(response.status, body, stated_pause_s(response.headers), sent=sent)


def refusal(status: int, body: bytes, retry_after_s: float | None = None, *, sent: bytes = b"") -> AttemptFailed:
    """The failure for an error status and body; `sent`: the body of the request."""
    reason, detail = f"status {status}", error_text(body) or ""
    if retry_after_s is None:
        retry_after_s = stated_delay_s(body)
    kind = classify_refusal(status, body, sent)
    if (status >= 500 and kind is None) or not 400 <= status <= 500 or status in TRY_AGAIN:
        failure = Outcome("failed", reason, retry_after_s if status in (503, 529) else None, detail=detail)
        return AttemptFailed(failure, status=status, body=body)
    if kind is None and (status == 429 or is_temporary(status, body, sent)):
        return AttemptFailed(Outcome("throttled", reason, retry_after_s, detail=detail), status=status, body=body)
    if kind is not None:
        reason = f"{reason}: {kind}"
    return AttemptFailed(Outcome("refused", reason, refusal=kind, detail=detail), status=status, body=body)
