"""One request to an endpoint over HTTP, and every way in which it can go wrong as one kind of error."""

import asyncio
import contextlib
import functools
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import aiohttp

from router.wire.errors import error_text
from router.wire.refusals import classify_refusal
from traffic.escalation import Outcome
from traffic.tiers import Endpoint, is_loopback

ERROR_BODY_BYTES = 65_536
MAX_HEADER_BYTES = 131_072
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


class AttemptTimeout:
    """Time limit of one attempt: `budget_s` for a whole answer; of a stream `first_token_s` up to its first token and
    then `idle_s` between two pieces, however long the answer is.
    """

    def __init__(self, budget_s: float, first_token_s: float | None = None, idle_s: float | None = None) -> None:
        self.budget_s = budget_s
        self.limit_s = budget_s
        self.awaited = "answer"
        self._idle_s = idle_s
        if first_token_s is not None and first_token_s < budget_s:
            self.limit_s, self.awaited = first_token_s, "first token"
        self.timeout = asyncio.timeout(self.limit_s)

    def begun(self) -> None:
        """The first token is there: from now on silence is what is limited."""
        if self._idle_s is not None:
            self.limit_s, self.awaited = self._idle_s, "further token"
            self.alive()

    def alive(self) -> None:
        """A piece of the stream arrived."""
        if self.awaited == "further token":
            self.timeout.reschedule(asyncio.get_running_loop().time() + self.limit_s)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """While the client reads: its slowness is not the endpoint's."""
        began = asyncio.get_running_loop().time()
        when = self.timeout.when()
        self.timeout.reschedule(None)
        try:
            yield
        finally:
            if when is not None:
                self.timeout.reschedule(when + asyncio.get_running_loop().time() - began)


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
            # Corporate proxies add long cookies and policies to every answer.
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
        )

    async def close(self) -> None:
        await self._session.close()

    @contextlib.asynccontextmanager
    async def post(
        self,
        endpoint: Endpoint,
        payload: bytes,
        time_limit: AttemptTimeout,
        trace: bytes | None = None,
        *,
        path: str = "/chat/completions",
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The response (status 2xx, body not read) of `path` below the endpoint's base URL.

        `headers` are the dialect's own, the endpoint's key among them; None: OpenAI's.
        Failures while the block reads the body are turned into the same error.
        Raises: AttemptFailed, also when the block is not through in time.
        """
        json_body = {"content-type": "application/json"}
        own = json_body | (dict(headers) if headers is not None else self._bearer(endpoint))
        async with self.send("POST", endpoint, path, payload, time_limit, trace, headers=own) as response:
            if not 200 <= response.status < 300:
                raise await _refusal(response)
            yield response

    @contextlib.asynccontextmanager
    async def send(
        self,
        method: str,
        endpoint: Endpoint,
        path: str,
        data: bytes,
        time_limit: AttemptTimeout,
        trace: bytes | None = None,
        *,
        headers: Mapping[str, str],
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The response of any status, body not read. Raises: AttemptFailed where there is none, or none in time."""
        url = endpoint.base_url.rstrip("/") + path
        try:
            async with (
                time_limit.timeout,
                self._session.request(
                    method,
                    url,
                    params=endpoint.query or None,
                    proxy=_proxy(endpoint.base_url),
                    data=data or None,
                    headers=self._headers(endpoint, trace, headers, time_limit.budget_s),
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=None, sock_connect=endpoint.connect_timeout_s),
                ) as response,
            ):
                yield response
        except aiohttp.ConnectionTimeoutError:
            raise failed(f"timeout: no connection within {endpoint.connect_timeout_s:g} s") from None
        except TimeoutError:
            if not time_limit.timeout.expired():
                raise
            raise failed(f"timeout: no {time_limit.awaited} within {time_limit.limit_s:.3g} s") from None
        except aiohttp.ClientConnectorError as error:
            raise failed(f"connection: {_strerror(error)}") from None
        except (aiohttp.ClientError, ConnectionError) as error:
            raise failed(f"connection: {type(error).__name__}") from None

    def key(self, endpoint: Endpoint) -> str | None:
        """The endpoint's key; the client's own is for us and stays here."""
        # A secret that comes from a file ends with a line end, which no header can hold.
        return self._environ[endpoint.api_key_env].strip() if endpoint.api_key_env is not None else None

    def _bearer(self, endpoint: Endpoint) -> dict[str, str]:
        key = self.key(endpoint)
        return {"authorization": f"Bearer {key}"} if key is not None else {}

    def _headers(
        self, endpoint: Endpoint, trace: bytes | None, own: Mapping[str, str], budget_s: float
    ) -> dict[str, str]:
        headers = {
            "accept-encoding": "identity",
            # After this nobody waits for the answer any more: a server that knows the header can stop.
            "x-fasttier-deadline-ms": str(int(budget_s * 1000)),
            **own,
        }
        if endpoint.key_header is not None and (key := self.key(endpoint)) is not None:
            headers = {name: value for name, value in headers.items() if name not in ("authorization", "x-api-key")}
            headers[endpoint.key_header.lower()] = key
        if endpoint.headers:
            headers |= endpoint.sent_headers(self._environ)
        if trace:
            headers["traceparent"] = trace.decode("latin-1")
        return headers


@functools.lru_cache(maxsize=256)
def _proxy(url: str) -> str | None:
    """The proxy that `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` name for a URL; never one for this machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host) or urllib.request.proxy_bypass(host):
        return None
    return urllib.request.getproxies().get(parts.scheme)


async def _refusal(response: aiohttp.ClientResponse) -> AttemptFailed:
    """What a status other than 2xx means."""
    status = response.status
    body = await _beginning(response.content, ERROR_BODY_BYTES)
    reason, detail = f"status {status}", error_text(body) or ""
    retry_after_s = _retry_after(response.headers)
    # 408 is the server's timeout; redirects are not followed, because a key would go along.
    if not 400 <= status < 500 or status == 408:
        failure = Outcome("failed", reason, retry_after_s if status in (503, 529) else None, detail=detail)
        return AttemptFailed(failure, status=status, body=body)
    refusal = classify_refusal(status, body)
    if status == 429 and refusal is None:
        return AttemptFailed(Outcome("throttled", reason, retry_after_s, detail=detail), status=status, body=body)
    if refusal is not None:
        reason = f"{reason}: {refusal}"
    return AttemptFailed(Outcome("refused", reason, refusal=refusal, detail=detail), status=status, body=body)


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
