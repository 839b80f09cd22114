"""Selects the protocol modules for a client and an endpoint, one for each pair."""

from router.request import ChatRequest
from router.target import Target
from router.wire import (
    anthropic,
    anthropic_answers,
    anthropic_requests,
    chat_answers,
    chat_requests,
    converse,
    openai,
    openai_limits,
    openai_text,
    responses_answers,
    responses_requests,
)
from router.wire.converse import Converse
from router.wire.endpoint_body import excluded
from router.wire.protocol import ClientDialect, EndpointDialect, Untranslatable
from traffic.tiers import Endpoint

CLIENTS: dict[str, ClientDialect] = {
    "openai": openai,
    "anthropic": anthropic_requests,
    "completions": openai_text.COMPLETIONS,
    "embeddings": openai_text.EMBEDDINGS,
    "responses": responses_requests,
}
"""Client protocols by `ChatRequest.dialect`."""

_PAIRS: dict[tuple[str, bool], EndpointDialect] = {
    ("openai", False): openai,
    ("openai", True): chat_answers,
    ("anthropic", False): anthropic_answers,
    ("anthropic", True): anthropic,
    ("completions", False): openai_text.COMPLETIONS,
    ("embeddings", False): openai_text.EMBEDDINGS,
    ("responses", False): responses_answers.Responses(openai),
    ("responses", True): responses_answers.Responses(chat_answers),
}
"""Endpoint protocols by the client's dialect, and whether the endpoint uses Anthropic's protocol."""


_BEDROCK = {name: Converse(_PAIRS[name, False]) for name in ("openai", "anthropic", "responses")}


def of(request: ChatRequest, endpoint: Endpoint) -> EndpointDialect:
    """The dialect for this request and endpoint."""
    if endpoint.kind == "bedrock":
        return _BEDROCK[request.dialect]
    return _PAIRS[request.dialect, endpoint.kind == "anthropic"]


def untranslatable(request: ChatRequest, target: Target) -> str | None:
    """The parameter that the endpoint cannot accept; None if it can accept the request."""
    endpoint = target.endpoint
    if endpoint.kind == "anthropic":
        if request.dialect == "anthropic":
            return None
        try:
            chat_requests.body_for(request, endpoint)
        except Untranslatable as error:
            return str(error)
        return ", ".join(n for n in request.untranslated if n not in responses_requests.FOR_ANTHROPIC) or None
    if request.dialect == "anthropic" and (refused := openai_limits.refused(request, target)) is not None:
        return refused
    if not request.untranslated and endpoint.kind != "bedrock":
        return None
    # Parts of the messages and tools are essential and cannot be dropped.
    names = [name for name in request.untranslated if not name.isidentifier() or name not in endpoint.leave_out]
    if endpoint.kind == "bedrock" and not names:
        try:
            _BEDROCK[request.dialect].body(request, target, stream=request.stream)
        except Untranslatable as error:
            return str(error)
    return ", ".join(names) or None


def path(request: ChatRequest, target: Target, *, stream: bool) -> str:
    """Path below the endpoint's base URL."""
    if target.endpoint.kind == "bedrock":
        return converse.path(target, stream=stream)
    return of(request, target.endpoint).path(target.endpoint.base_url)


def left_out(request: ChatRequest, target: Target) -> tuple[str, ...]:
    """Hints and sampling parameters of the request that are not sent to the endpoint."""
    hints = _hints_left_out(request, target)
    refused = [name for name in target.endpoint.leave_out if name in openai.OPTIONAL and name in request.tree]
    refused += excluded(request.tree, target.endpoint)
    return tuple(dict.fromkeys((*hints, *refused))) if refused else hints


def _hints_left_out(request: ChatRequest, target: Target) -> tuple[str, ...]:
    if target.endpoint.kind == "anthropic":
        if request.dialect == "anthropic":
            return ()
        removed = [name for name in request.left_out if name != responses_requests.WEB_SEARCH]
        return (*chat_requests.left_out(request, target.endpoint), *removed)
    if target.endpoint.kind == "bedrock":
        return (*(name for name in chat_requests.HINTS if name in request.tree), *request.left_out)
    return request.left_out
