"""Handlers of the model paths: chat completions, messages, responses, text completions, embeddings, token counts.

Plain ASGI applications, which `router.http_server` also calls without ASGI.
"""

import codecs
import time
from collections.abc import Mapping

import msgspec
from starlette.types import Receive, Scope, Send

from router import content_encoding
from router.client import AsgiClient, Client, ClientLeft, TooLarge
from router.exchange import Exchange
from router.process import Router
from router.request import BadRequest, ChatRequest, Dialect, decode_tree, header_map
from router.routing import Route
from router.target import Target
from router.upstream import AttemptFailed
from router.wire import anthropic
from router.wire.dialects import CLIENTS
from traffic.features import features_of
from traffic.loose_json import without_half_characters

COUNT_S = 10.0
NOT_AGAIN = ((b"x-should-retry", b"false"),)
"""The model may have answered and been billed, so the client's SDK must not retry on its own."""
NESTED = "the body is nested too deeply"


class Refused(Exception):
    """The request is rejected: status and message for the client."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Answers:
    """Handler of one model path, in one dialect."""

    def __init__(self, router: Router, dialect: Dialect) -> None:
        self._router = router
        self._name = dialect
        self._dialect = CLIENTS[dialect]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry point."""
        await self.answer(AsgiClient(scope, receive, send), header_map(scope["headers"]))

    async def answer(self, client: Client, headers: Mapping[bytes, bytes]) -> None:
        """Answer one request; `headers` by name in lower case."""
        began = time.perf_counter()
        router = self._router
        refused = router.refusal(headers, self._name)
        if refused is not None:
            await client.reply(*refused)
            return
        try:
            request, route = await self._read(client, headers)
            exchange = Exchange(request, route, client, router.current_services(), began)
            exchange.trace = headers.get(b"traceparent")
            await self._serve(client, exchange)
        except Refused as error:
            await self._refuse(client, error)
        except RecursionError:
            # The stack is deeper in an exchange than where the request was parsed.
            if client.started:
                raise
            await self._refuse(client, Refused(400, NESTED))
        except ClientLeft:
            return

    async def _serve(self, client: Client, exchange: Exchange) -> None:
        self._router.counts["requests"] += 1
        await client.run(exchange.run())

    async def crashed(self, client: Client, error: Exception) -> None:
        """Send an error to the client for a failure of the router, such as a full disk of the request log."""
        message = f"the router failed: {type(error).__name__}"
        await client.reply(500, self._dialect.error(500, message, "internal_error"), NOT_AGAIN)

    async def _read(self, client: Client, headers: Mapping[bytes, bytes]) -> tuple[ChatRequest, Route]:
        """Parse the request and choose its route. Raises: Refused, ClientLeft."""
        router = self._router
        # Web pages can send all other types across origins without a preflight request.
        if not headers.get(b"content-type", b"").lower().startswith(b"application/json"):
            raise Refused(415, "send content-type: application/json")
        try:
            data = await read_body(client, headers, router.max_body_bytes)
            # A byte order mark, written by PowerShell and some editors.
            request = self._parsed(data.removeprefix(codecs.BOM_UTF8), headers)
            request = router.identified(request, headers)
            if self._name in ("completions", "embeddings"):
                return request, router.routes.passed_through(request)
            return request, router.routes.route(request, router.watcher.deployed)
        except BadRequest as error:
            raise Refused(400, str(error)) from None
        except msgspec.ValidationError as error:
            # A number out of range, in a part of the messages that only templates and translations read.
            raise Refused(400, f"not a request: {error}") from None
        except RecursionError:
            raise Refused(400, NESTED) from None

    def _parsed(self, data: bytes, headers: Mapping[bytes, bytes]) -> ChatRequest:
        """Raises: BadRequest."""
        try:
            return self.parse(data, headers)
        except BadRequest:
            valid = without_half_characters(data)
            if valid == data:
                raise
        return self.parse(valid, headers)

    def parse(self, data: bytes, headers: Mapping[bytes, bytes]) -> ChatRequest:
        """Raises: BadRequest."""
        return self._dialect.parse(data, headers)

    async def _refuse(self, client: Client, error: Refused) -> None:
        await client.reply(error.status, self._dialect.error(error.status, str(error), "invalid_request_error"))


class TokenCount(Answers):
    """Anthropic's `/v1/messages/count_tokens`: from the endpoint if it supports the protocol, else estimated."""

    def __init__(self, router: Router) -> None:
        super().__init__(router, "anthropic")

    async def _serve(self, client: Client, exchange: Exchange) -> None:
        request, route = exchange.request, exchange.route
        target = route.levels[0][0] if route.levels else None
        if target is not None and target.endpoint.kind == "anthropic":
            body = request.native | {"model": msgspec.Raw(msgspec.json.encode(target.model))}
            count_body = await self._count_at_endpoint(request, target, msgspec.json.encode(body))
            if count_body is not None:
                await client.reply(200, count_body)
                return
        features = features_of(request.body.messages, request.tools, request.body.response_format, request.params)
        estimate = msgspec.json.encode({"input_tokens": features.input_tokens_estimate})
        await client.reply(200, estimate, [(b"x-fasttier-estimated", b"true")])

    def parse(self, data: bytes, headers: Mapping[bytes, bytes]) -> ChatRequest:
        """As for messages, but `max_tokens` is not required."""
        try:
            tree = decode_tree(data)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise BadRequest(f"the body is not valid JSON: {error}") from None
        request = self._dialect.parse(msgspec.json.encode({"max_tokens": 1, **tree}), headers)
        return msgspec.structs.replace(request, native=tree)

    async def _count_at_endpoint(self, request: ChatRequest, target: Target, body: bytes) -> bytes | None:
        upstream, endpoint = self._router.current_services().upstream, target.endpoint
        headers = anthropic.headers(upstream.key(endpoint), request, target)
        path = f"{anthropic.path(endpoint.base_url)}/count_tokens"
        try:
            with upstream.time_limit(COUNT_S):
                response = await upstream.post(endpoint, body, COUNT_S, path=path, headers=headers)
                try:
                    return await response.read()
                finally:
                    response.release()
        except AttemptFailed:
            return None


async def read_body(client: Client, headers: Mapping[bytes, bytes], max_bytes: int) -> bytes:
    """The decoded body of the request. Raises: Refused, ClientLeft."""
    try:
        data = await client.read(max_bytes)
    except TooLarge:
        raise Refused(413, f"the request is larger than serving.max_body_mib, {max_bytes / 2**20:g} MiB") from None
    encoding = headers.get(b"content-encoding", b"identity").strip().lower().decode("latin-1")
    if encoding in ("", "identity"):
        return data
    try:
        return content_encoding.unpacked(data, encoding, max_bytes)
    except content_encoding.UnknownEncoding:
        raise Refused(415, f"content-encoding {encoding}: send gzip, deflate, zstd, br or identity") from None
    except content_encoding.BadEncoding as error:
        raise Refused(400, str(error)) from None
    except content_encoding.TooLarge:
        raise Refused(413, f"the request is larger than serving.max_body_mib, {max_bytes / 2**20:g} MiB") from None
