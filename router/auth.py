"""Authentication: client keys, the call site or customer a key is bound to, and protection against browsers."""

import functools
import hmac
from collections.abc import Mapping

import msgspec

from router.request import ChatRequest
from traffic.errors import MissingSecret
from traffic.tiers import is_loopback

Headers = Mapping[bytes, bytes]
"""Headers by name in lower case."""


class Binding(msgspec.Struct, frozen=True):
    """Call site and customer of a client key."""

    call_site: str | None = None
    customer_id: str | None = None


class Refusal(msgspec.Struct, frozen=True):
    """Error response for a client without access."""

    status: int
    message: str
    kind: str
    code: str | None = None


class Auth:
    """Checks client keys; without any, serves only clients that address this machine as localhost."""

    def __init__(self, variable: str | None, environ: Mapping[str, str]) -> None:
        """Raises: MissingSecret."""
        self._keys = client_keys(variable, environ)
        self._binds = any(binding != Binding() for binding in self._keys.values())

    def refusal(self, headers: Headers) -> Refusal | None:
        """The error for a client without access; None if it has access.

        A key is a bearer token or the header `x-api-key` (Anthropic's clients) or `api-key` (Azure's).
        """
        if self._keys:
            accepted = False
            for token in _stated_keys(headers):
                # Every key is compared, so that the response time does not reveal a partial match.
                for key in self._keys if token else ():
                    accepted |= hmac.compare_digest(token, key)
            if accepted:
                return None
            return Refusal(401, "this router requires one of its own keys", "invalid_api_key", "invalid_api_key")
        if _is_this_machine(headers.get(b"host", b"")):
            return None
        message = "without client keys (serving.client_keys_env) this router answers only as localhost or 127.0.0.1"
        return Refusal(403, message, "invalid_request_error")

    def bind(self, request: ChatRequest, headers: Headers) -> ChatRequest:
        """The request with the call site and customer of its key."""
        if not self._binds:
            return request
        binding = next((self._keys[key] for key in _stated_keys(headers) if key in self._keys), None)
        if binding is None or not (binding.call_site or binding.customer_id):
            return request
        return msgspec.structs.replace(
            request,
            call_site=binding.call_site or request.call_site,
            customer_id=binding.customer_id or request.customer_id,
        )


def client_keys(variable: str | None, environ: Mapping[str, str]) -> dict[bytes, Binding]:
    """Accepted keys with their bindings; empty if no key is required.

    `key1,key2=support.intent,key3=customer:acme`. Raises: MissingSecret.
    """
    if variable is None:
        return {}
    keys: dict[bytes, Binding] = {}
    for part in filter(None, map(str.strip, environ.get(variable, "").split(","))):
        # A key may end with `=`, so only text after the last one is a binding.
        key, _, name = part.rpartition("=")
        if not key or not name:
            keys[part.encode()] = Binding()
        elif name.startswith("customer:"):
            keys[key.strip().encode()] = Binding(customer_id=name.removeprefix("customer:"))
        else:
            keys[key.strip().encode()] = Binding(call_site=name.strip())
    if not keys:
        raise MissingSecret(
            f"environment variable {variable} is not set: it holds the keys (separated by commas) that clients "
            "of the router may use"
        )
    return keys


@functools.lru_cache(maxsize=64)
def _is_this_machine(host: bytes) -> bool:
    """Whether a `Host` header names this machine; a web page with DNS rebound to 127.0.0.1 sends its own name."""
    name = host.decode("latin-1").strip().lower()
    name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
    return not name or is_loopback(name)


def _stated_keys(headers: Headers) -> tuple[bytes, bytes, bytes]:
    """Where clients put their key; empty if missing."""
    return _bearer_token(headers), headers.get(b"x-api-key", b""), headers.get(b"api-key", b"")


def _bearer_token(headers: Headers) -> bytes:
    """The bearer token; empty if missing."""
    stated = headers.get(b"authorization", b"")
    if stated[:7] == b"Bearer ":
        return stated[7:].strip()
    scheme, _, token = stated.partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else b""
