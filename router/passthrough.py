"""Forwards paths that the router does not interpret to an endpoint unchanged, and logs them without content.

Inference paths (audio, images, moderations, rerank, ...) go to the endpoint with the `model` in the JSON or multipart
body. All other paths (files, batches, ...) need an entry in `serving.pass_through`: otherwise a client could use our
key to access data of the account. Nothing is retried, since that may not be safe.
"""

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec
from starlette.types import Receive, Scope, Send

from router.answers import Refused, read_body
from router.attempt import Attempt, handed_on
from router.client import AsgiClient, Client, ClientLeft, header_list
from router.http_client import Response
from router.process import Router
from router.records import Records
from router.request import Body, ChatRequest, chat_request, header_map
from router.routing import PASSED_THROUGH, Route
from router.target import Target
from router.upstream import AttemptFailed, AttemptTimeout
from router.wire import anthropic, openai
from traffic.policy import Verdict
from traffic.retry_and_escalation import Outcome
from traffic.tiers import Endpoint

INFERENCE = ("/v1/audio/", "/v1/images/", "/v1/moderations", "/v1/rerank", "/v1/score", "/v1/ocr", "/v1/videos")
"""Inference paths, whose endpoint is found by the model's name."""
METHODS = ("GET", "POST", "DELETE")
_MODEL_FIELD = re.compile(rb'name="model"\r?\n(?:[^\r\n]+\r?\n)*\r?\n([^\r\n]{1,200})\r?\n')
_SENT_ON = frozenset({b"content-type", b"accept", b"anthropic-version", b"anthropic-beta", b"openai-beta"})
_RETURNED = frozenset({"content-type", "content-disposition", "retry-after"})
_ROUTED_BY = "passed through"


class PassThrough:
    """ASGI application for `/v1/...` paths without another handler."""

    def __init__(self, router: Router) -> None:
        self._router = router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client, headers = AsgiClient(scope, receive, send), header_map(scope["headers"])
        refused = self._router.refusal(headers)
        if refused is not None:
            await client.reply(*refused)
            return
        try:
            await self._pass(scope, client, headers)
        except Refused as error:
            body = openai.error(error.status, str(error), "invalid_request_error", "unsupported")
            await client.reply(error.status, body)
        except ClientLeft:
            return

    async def _pass(self, scope: Scope, client: Client, headers: Mapping[bytes, bytes]) -> None:
        method, path = scope["method"], scope["path"]
        if method not in METHODS or ".." in path or not path.isascii():
            raise Refused(404, f"{method} {path} is not served here")
        # Web pages can send plain forms and text across origins without a preflight request.
        kind = headers.get(b"content-type", b"").lower()
        if method == "POST" and b"origin" in headers and not kind.startswith(b"application/json"):
            raise Refused(415, "requests of web pages must be application/json")
        data = await read_body(client, headers, self._router.max_body_bytes)
        endpoint = self._endpoint(path, data, headers)
        services = self._router.current_services()
        attempt = Attempt(Target(endpoint, 2), datetime.now(UTC), time.perf_counter())
        request = self._described(scope, headers)
        ticket = services.health.begin(endpoint, attempt.began)
        outcome: Outcome | None = None
        try:
            await client.run(self._ask(attempt, client, scope, data, headers))
            outcome = None if client.left else attempt.outcome
        finally:
            services.health.end(ticket, outcome, services.serving.breaker, time.perf_counter())
            if outcome is None:
                attempt.outcome = Outcome("failed", "client disconnected", forwarded=True)
            verdict = Verdict(2, _ROUTED_BY, f"{method} {path}")
            route = Route(verdict=verdict, request_type="other", entry=None)
            Records(request, route, services).attempt(attempt, 1, "serve", None)
        # Logged before the last byte is sent.
        if client.started:
            await client.end()
        else:
            late = attempt.outcome.reason.startswith("timeout")
            status, kind_of_error = (504, "upstream_timeout") if late else (502, "upstream_error")
            message = f"endpoint {endpoint.name}: {attempt.outcome.reason}"
            await client.reply(status, openai.error(status, message, kind_of_error))

    def _endpoint(self, path: str, data: bytes, headers: Mapping[bytes, bytes]) -> Endpoint:
        """The endpoint for a path. Raises: Refused, naming the path."""
        config = self._router.deps.config
        by_name = {endpoint.name: endpoint for endpoint in config.endpoints}
        configured = [prefix for prefix in config.serving.pass_through if path.startswith(prefix)]
        if configured:
            return by_name[config.serving.pass_through[max(configured, key=len)]]
        model = model_of(data, headers.get(b"content-type", b""))
        if path.startswith(INFERENCE) and model is not None:
            for endpoint in config.endpoints:
                # As for text completions: an OpenAI endpoint by its model's name.
                if endpoint.kind in PASSED_THROUGH and endpoint.model == model:
                    return endpoint
        for_model = f" for the model {model!r}" if model is not None else ""
        raise Refused(404, f"{path} is not served here{for_model}: name an endpoint for it in `serving.pass_through`")

    async def _ask(
        self, attempt: Attempt, client: Client, scope: Scope, data: bytes, headers: Mapping[bytes, bytes]
    ) -> None:
        endpoint, upstream = attempt.target.endpoint, self._router.current_services().upstream
        time_limit = upstream.time_limit(endpoint.total_timeout_s, endpoint.total_timeout_s, endpoint.idle_timeout_s)
        sent = {name.decode(): value.decode("latin-1") for name, value in headers.items() if name in _SENT_ON}
        protocol = anthropic if endpoint.kind == "anthropic" else openai
        request = self._described(scope, headers)
        sent |= protocol.headers(upstream.key(endpoint), request, attempt.target)
        response: Response | None = None
        try:
            with time_limit:
                response = await upstream.send(
                    scope["method"], endpoint, _below(endpoint, scope), data, time_limit.budget_s, headers=sent
                )
                attempt.status = response.status
                reason = f"status {response.status}"
                if response.status in (401, 402, 403):
                    # An error of our account is not shown to the client.
                    attempt.outcome = Outcome("refused", reason, refusal="account")
                    return
                if response.status >= 400:
                    attempt.outcome = Outcome("failed" if response.status >= 500 else "refused", reason)
                await _forward(response, client, time_limit, attempt)
        except AttemptFailed as error:
            attempt.outcome = error.outcome
        finally:
            if response is not None:
                response.release()

    def _described(self, scope: Scope, headers: Mapping[bytes, bytes]) -> ChatRequest:
        """The request for the log: its path, without content."""
        tree = {"messages": msgspec.Raw(b"[]"), "path": msgspec.Raw(msgspec.json.encode(scope["path"]))}
        return self._router.identified(chat_request(Body(messages=[]), tree, {}, headers), headers)


async def _forward(response: Response, client: Client, time_limit: AttemptTimeout, attempt: Attempt) -> None:
    sent = response.headers
    returned = [(name.encode(), value.encode("latin-1")) for name, value in sent.items() if name in _RETURNED]
    ours = header_list({b"x-fasttier-endpoint": attempt.target.endpoint.name})
    kind = dict(returned).pop(b"content-type", b"application/octet-stream")
    other_headers = [header for header in returned if header[0] != b"content-type"]
    await client.start(response.status, kind, [*other_headers, *ours, *handed_on(response.raw_headers)])
    attempt.forwarding = True
    time_limit.begun()
    while piece := await response.readany():
        time_limit.alive()
        await time_limit.pausing(client.write(piece))


def model_of(data: bytes, content_type: bytes) -> str | None:
    """The field `model` of a JSON or multipart body."""
    if content_type.lower().startswith(b"application/json"):
        try:
            model = msgspec.json.decode(data, type=_ModelField).model
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
        return model
    match = _MODEL_FIELD.search(data) if content_type.lower().startswith(b"multipart/form-data") else None
    return match[1].decode("utf-8", "replace").strip() if match is not None else None


class _ModelField(msgspec.Struct):
    model: str | None = None


def _below(endpoint: Endpoint, scope: Scope) -> str:
    """Path and query below the endpoint's base URL, which may end in `/v1` too."""
    path: str = scope["path"]
    if endpoint.base_url.rstrip("/").endswith("/v1") or endpoint.kind != "anthropic":
        path = path.removeprefix("/v1")
    query = scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path
