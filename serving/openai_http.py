"""Shared by our model servers: authentication, messages and errors in OpenAI's format."""

import functools
import hmac
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from traffic.errors import FastTierError, InputError, NotFound

_TYPES = {
    400: "BadRequestError",
    401: "AuthenticationError",
    404: "NotFoundError",
    413: "BadRequestError",
    500: "InternalServerError",
    503: "ServiceUnavailableError",
}

Handler = Callable[[Request], Awaitable[Response]]
MAX_LOGPROBS = 20


class Part(msgspec.Struct):
    """One part of a message's content."""

    type: str
    text: str = ""


class Message(msgspec.Struct, omit_defaults=True):
    """One message of a chat."""

    role: str
    content: str | list[Part] | None = None
    name: str | None = None

    def rendered(self) -> dict[str, str]:
        """The message for a chat template. Raises: InputError for content other than text."""
        content = self.content or ""
        if not isinstance(content, str):
            other = next((part.type for part in content if part.type != "text"), None)
            if other is not None:
                raise InputError(f"messages: content of type {other!r} is not supported by this server")
            content = "\n".join(part.text for part in content)
        return {"role": self.role, "content": content} | ({"name": self.name} if self.name else {})


class StreamOptions(msgspec.Struct):
    """`stream_options`."""

    include_usage: bool = False


def check_logprobs(wanted: int | None) -> None:
    """Raises: InputError for more alternatives per token than a server gives."""
    if not 0 <= (wanted or 0) <= MAX_LOGPROBS:
        raise InputError(f"top_logprobs: must be between 0 and {MAX_LOGPROBS}, not {wanted}")


class Busy(FastTierError, RuntimeError):
    """Too many requests are waiting for the engine."""


def guarded(handler: Handler, api_key: str | None) -> Handler:
    """The handler with authentication (None: without) and our errors as HTTP replies."""

    @functools.wraps(handler)
    async def guard(request: Request) -> Response:
        if api_key is not None:
            key = request.headers.get("authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(key.encode(), api_key.encode()):
                return error_reply(401, "the key is missing or wrong")
        try:
            return await handler(request)
        except NotFound as error:
            return error_reply(404, str(error))
        except InputError as error:
            return error_reply(400, str(error))
        except Busy:
            return error_reply(503, "too many requests are waiting", {"Retry-After": "1"})
        except (FastTierError, RuntimeError) as error:
            return error_reply(500, str(error))

    return guard


def json_reply(body: Any) -> Response:
    return Response(msgspec.json.encode(body), media_type="application/json")


def error_reply(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    body = {"error": {"message": message, "type": _TYPES[status], "param": None, "code": status}}
    return Response(msgspec.json.encode(body), status_code=status, media_type="application/json", headers=headers)
