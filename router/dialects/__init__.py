"""How clients ask, how endpoints want to be asked, and the translation between the two, one module for each pair."""

from typing import TYPE_CHECKING

from router.dialects import (
    anthropic,
    anthropic_clients,
    anthropic_to_openai,
    openai,
    openai_to_anthropic,
    passed_through,
)
from router.dialects.base import ClientDialect, EndpointDialect, Untranslatable

if TYPE_CHECKING:
    from router.request import ChatRequest
    from router.routing import Target
    from traffic.tiers import Endpoint

CLIENTS: dict[str, ClientDialect] = {
    "openai": openai,
    "anthropic": anthropic_clients,
    "completions": passed_through.COMPLETIONS,
    "embeddings": passed_through.EMBEDDINGS,
}
"""By `ChatRequest.dialect`."""

_PAIRS: dict[tuple[str, bool], EndpointDialect] = {
    ("openai", False): openai,
    ("openai", True): openai_to_anthropic,
    ("anthropic", False): anthropic_to_openai,
    ("anthropic", True): anthropic,
    ("completions", False): passed_through.COMPLETIONS,
    ("embeddings", False): passed_through.EMBEDDINGS,
}
"""By the client's dialect, and whether the endpoint speaks Anthropic's."""


def of(request: "ChatRequest", endpoint: "Endpoint") -> EndpointDialect:
    """How the endpoint is asked for the request."""
    return _PAIRS[request.dialect, endpoint.kind == "anthropic"]


def untranslatable(request: "ChatRequest", target: "Target") -> str | None:
    """The parameter for which the endpoint cannot take the request; None: it can."""
    endpoint = target.endpoint
    if endpoint.kind == "anthropic":
        if request.dialect == "anthropic":
            return None
        try:
            openai_to_anthropic.body_for(request, endpoint)
        except Untranslatable as error:
            return str(error)
        return None
    # A part of the messages or of the tools is what the request is about: that cannot be left out.
    return next(
        (name for name in request.untranslated if not name.isidentifier() or name not in endpoint.leave_out), None
    )
