"""Maps spellings of a path to the canonical one: doubled or missing `/v1`, trailing slashes, Azure's deployments.

canonical("/openai/deployments/gpt/chat/completions") == "/v1/chat/completions"
"""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

_AZURE = re.compile(r"^/openai/deployments/[^/]+/(.+)$")
_PREFIX = re.compile(r"^(?:/(?:openai|anthropic|v1|v1beta|api))*/v1/")
_OTHER_PREFIX = re.compile(r"^(?:/(?:openai|anthropic|v1beta|api))+(?=/)")
_BARE = re.compile(
    r"^/(?:chat/completions|completions|embeddings|messages(?:/.*)?|responses(?:/.*)?|models(?:/.*)?|moderations|rerank"
    r"|images/.*|audio/.*|files(?:/.*)?|batches(?:/.*)?)$"
)


def canonical(path: str) -> str:
    """The canonical path under `/v1`; other paths unchanged."""
    path = re.sub(r"/{2,}", "/", path)
    if len(path) > 1:
        path = path.rstrip("/")
    azure = _AZURE.match(path)
    if azure is not None:
        return f"/v1/{azure[1]}"
    if path.startswith("/openai/v1/") or _PREFIX.match(path):
        return _PREFIX.sub("/v1/", path)
    bare = _OTHER_PREFIX.sub("", path)
    return f"/v1{bare}" if _BARE.match(bare) else path


class CanonicalPaths:
    """ASGI middleware that rewrites paths with `canonical`."""

    def __init__(self, app: ASGIApp, known: frozenset[str]) -> None:
        """`known`: canonical paths, which are skipped."""
        self._app = app
        self._known = known

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in self._known:
            path = canonical(scope["path"])
            if path != scope["path"]:
                scope = {**scope, "path": path, "raw_path": path.encode()}
        await self._app(scope, receive, send)
