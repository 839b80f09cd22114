"""Interfaces of a dialect, for clients and for endpoints; each dialect is a module of this folder.

Rules, templates and request log see every request as an OpenAI chat completion. If client and endpoint use the same
dialect, the request is forwarded unchanged.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from router.request import ChatRequest
from router.target import Target
from traffic.confidence import Signals
from traffic.record import Output, Usage


class Unreadable(ValueError):
    """An endpoint's answer does not conform to its protocol; the message says why."""


class StatedError(Unreadable):
    """An error inside an answer of status 200, or in an event of a stream."""

    def __init__(self, text: str, tree: Any) -> None:
        super().__init__(f"error: {text}")
        self.tree = tree
        """The decoded error."""


class Untranslatable(ValueError):
    """A request cannot be expressed in the endpoint's dialect; the message names the parameter."""


def malformed(error: Exception) -> str:
    """What is wrong with a request, for an exception while it was converted."""
    if isinstance(error, KeyError):
        return f"malformed request: field {error} is missing"
    if isinstance(error, TypeError | AttributeError):
        return "malformed request: a field has the wrong type"
    return f"malformed request: {error}"


class Answer(msgspec.Struct, frozen=True):
    """A complete answer."""

    output: Output
    usage: Usage | None
    body: bytes
    """Body for the client, in the client's dialect."""
    signals: Signals | None = None
    """Confidence signals, only if the answer is judged."""
    unlike_training: bool = False
    """A classifier found the request unlike its training data."""


class Stream(Protocol):
    """A streamed answer."""

    @property
    def begun(self) -> bool:
        """Whether part of the answer has arrived; the first event only opens the message."""
        ...

    @property
    def finish_reason(self) -> str | None: ...

    @property
    def done(self) -> bool:
        """Whether the stream's end marker was received."""
        ...

    @property
    def usage(self) -> Usage | None: ...

    @property
    def output(self) -> Output: ...

    def signals(self) -> Signals | None: ...

    def feed(self, data: bytes) -> list[bytes]:
        """Parse data; returns the events for the client, in its dialect. Raises: Unreadable."""
        ...

    def end(self) -> bytes:
        """The last events, held back until the answer is logged. Raises: Unreadable if the stream was cut."""
        ...


class WrappedStream:
    """Base class of a `Stream` around another one: delegates everything except `feed`."""

    def __init__(self, inner: Stream) -> None:
        self._inner = inner

    @property
    def begun(self) -> bool:
        return self._inner.begun

    @property
    def finish_reason(self) -> str | None:
        return self._inner.finish_reason

    @property
    def done(self) -> bool:
        return self._inner.done

    @property
    def usage(self) -> Usage | None:
        return self._inner.usage

    @property
    def output(self) -> Output:
        return self._inner.output

    def signals(self) -> Signals | None:
        return self._inner.signals()

    def end(self) -> bytes:
        return self._inner.end()


class EndpointDialect(Protocol):
    """Builds requests for an endpoint and parses its answers."""

    def path(self, base_url: str) -> str:
        """Path below the endpoint's base URL."""
        ...

    def headers(self, key: str | None, request: ChatRequest, target: Target) -> dict[str, str]:
        """Headers besides content type and tracing, with the endpoint's key, never the client's."""
        ...

    def payload(self, request: ChatRequest, target: Target, *, stream: bool) -> bytes:
        """The body. Raises: Untranslatable."""
        ...

    def read(self, body: bytes, request: ChatRequest, target: Target) -> Answer:
        """Raises: Unreadable."""
        ...

    def stream(self, request: ChatRequest, target: Target) -> Stream: ...


class ClientDialect(Protocol):
    """Parses requests of a client and encodes errors and answers for it."""

    def parse(self, data: bytes, headers: Mapping[bytes, bytes]) -> ChatRequest:
        """Raises: BadRequest."""
        ...

    def as_stream(self, body: bytes, *, usage: bool) -> bytes:
        """A complete answer (in this dialect) as a stream."""
        ...

    def error(self, status: int, message: str, kind: str, code: str | None = None) -> bytes: ...

    def error_of(self, status: int, body: bytes, code: str | None = None) -> bytes | None:
        """An endpoint's error in this dialect; None if it is not a known error format. `code`: OpenAI's code for it, if
        known."""
        ...

    def error_event(self, body: bytes, request: ChatRequest) -> bytes:
        """An error as an event of a stream."""
        ...
