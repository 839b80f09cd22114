"""One request to an endpoint over HTTP, and every way in which it can go wrong as one kind of error."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp

from router.wire.refusals import classify_refusal
from traffic.escalation import Outcome
from traffic.tiers import Endpoint

ERROR_BODY_BYTES = 65_536
KEEP_ALIVE_SECONDS = 4.0
"""Below the 5 s after which uvicorn, and so vLLM, closes an idle connection."""


class AttemptFailed(Exception):
    """The endpoint gave no answer that could be used; `outcome` says what follows from it."""

    def __init__(self, outcome: Outcome, *, status: int = 0, body: bytes | None = None) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome
        self.status = status
        """HTTP status, 0 when none arrived."""
        self.body = body
        """The body of a 4xx."""


def failed(reason: str, *, status: int = 0) -> AttemptFailed:
    return AttemptFailed(Outcome("failed", reason), status=status)


class Patience:
    """How long an attempt may take: `budget_s` in all, and for a stream less up to its first token."""

    def __init__(self, budget_s: float, first_token_s: float | None = None) -> None:
        self._end = asyncio.get_running_loop().time() + budget_s
        self.limit_s = budget_s
        self.budget_s = budget_s
        self.awaited = "answer"
        if first_token_s is not None and first_token_s < budget_s:
            self.limit_s, self.awaited = first_token_s, "first token"
        self.timeout = asyncio.timeout(self.limit_s)

    def begun(self) -> None:
        """The first token is there: from now on the whole budget holds."""
        self.limit_s, self.awaited = self.budget_s, "end of the answer"
        self.timeout.reschedule(self._end)


class Upstream:
    """Asks endpoints. One per process, made inside its event loop."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            # Each attempt has its own budget; connecting has the endpoint's.
            timeout=aiohttp.ClientTimeout(total=None),
            skip_auto_headers=("User-Agent",),
        )

    async def close(self) -> None:
        await self._session.close()

    @contextlib.asynccontextmanager
    async def post(
        self,
        endpoint: Endpoint,
        payload: bytes,
        patience: "Patience",
        trace: bytes | None = None,
        *,
        path: str = "/chat/completions",
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The response (status 200, body not read) of `path` below the endpoint's base URL.

        `headers` are the dialect's own, the endpoint's key among them; None: OpenAI's.
        Failures while the block reads the body are turned into the same error.
        Raises: AttemptFailed, also when the block is not through in time.
        """
        url = endpoint.base_url.rstrip("/") + path
        try:
            async with (
                patience.timeout,
                self._session.post(
                    url,
                    data=payload,
                    headers=self._headers(endpoint, trace, headers, patience.budget_s),
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=None, sock_connect=endpoint.connect_timeout_s),
                ) as response,
            ):
                if response.status != 200:
                    raise await _refusal(response)
                yield response
        except aiohttp.ConnectionTimeoutError:
            raise failed(f"timeout: no connection within {endpoint.connect_timeout_s:g} s") from None
        except TimeoutError:
            if not patience.timeout.expired():
                raise
            raise failed(f"timeout: no {patience.awaited} within {patience.limit_s:.3g} s") from None
        except aiohttp.ClientConnectorError as error:
            raise failed(f"connection: {_strerror(error)}") from None
        except (aiohttp.ClientError, ConnectionError) as error:
            raise failed(f"connection: {type(error).__name__}") from None

    def key(self, endpoint: Endpoint) -> str | None:
        """The endpoint's key; the client's own is for us and stays here."""
        # A secret that comes from a file ends with a line end, which no header can hold.
        return self._environ[endpoint.api_key_env].strip() if endpoint.api_key_env is not None else None

    def _headers(
        self, endpoint: Endpoint, trace: bytes | None, own: Mapping[str, str] | None, budget_s: float
    ) -> dict[str, str]:
        headers = {
            "content-type": "application/json",
            "accept-encoding": "identity",
            # After this nobody waits for the answer any more: a server that knows the header can stop.
            "x-fasttier-deadline-ms": str(int(budget_s * 1000)),
        }
        if own is not None:
            headers.update(own)
        elif endpoint.api_key_env is not None:
            headers["authorization"] = f"Bearer {self.key(endpoint)}"
        if trace:
            headers["traceparent"] = trace.decode("latin-1")
        return headers


async def _refusal(response: aiohttp.ClientResponse) -> AttemptFailed:
    """What a status other than 200 means."""
    status = response.status
    body = await _beginning(response.content, ERROR_BODY_BYTES)
    reason = f"status {status}"
    if status == 429:
        return AttemptFailed(Outcome("throttled", reason, _retry_after(response.headers)), status=status, body=body)
    # 408 is the server's timeout; redirects are not followed, because a key would go along.
    if 400 <= status < 500 and status != 408:
        refusal = classify_refusal(status, body)
        if refusal is not None:
            reason = f"{reason}: {refusal}"
        return AttemptFailed(Outcome("refused", reason, refusal=refusal), status=status, body=body)
    return failed(reason, status=status)


async def _beginning(content: aiohttp.StreamReader, most_bytes: int) -> bytes:
    """The first bytes of a body; one read gives what has arrived, which may be half of an error."""
    read = b""
    while len(read) < most_bytes and (data := await content.read(most_bytes - len(read))):
        read += data
    return read


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from `retry-after-ms` or `Retry-After` (seconds or a date); None where it does not say."""
    value, factor = headers.get("retry-after-ms"), 0.001
    if value is None:
        value, factor = headers.get("retry-after"), 1.0
    if value is None:
        return None
    try:
        seconds = float(value) * factor
    except ValueError:
        try:
            at = parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    # "nan" and "inf" are floats too.
    return max(seconds, 0.0) if seconds < 86_400 else 86_400.0


def _strerror(error: aiohttp.ClientConnectorError) -> str:
    return error.os_error.strerror or type(error.os_error).__name__
