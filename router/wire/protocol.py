"""What a dialect must be able to do, for endpoints and for clients; each is a module of this folder.

The form that all parts of the router share is OpenAI's: rules, templates and the request log see every request as a
chat completion. A request that goes out in the dialect it came in is passed as it was sent.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from router.request import ChatRequest
from router.target import Target
from traffic.confidence import Signals
from traffic.record import Output, Usage


class Unreadable(ValueError):
    """What an endpoint sent is no answer of its protocol; the message says why."""


class StatedError(Unreadable):
    """An answer whose status says that all is well is an error, or a stream's event is one."""

    def __init__(self, text: str, tree: Any) -> None:
        super().__init__(f"error: {text}")
        self.tree = tree
        """The error as it came."""


class Untranslatable(ValueError):
    """A request cannot be said in the endpoint's dialect; the message names the parameter."""


class Answer(msgspec.Struct, frozen=True):
    """An answer in one piece."""

    output: Output
    usage: Usage | None
    body: bytes
    """For the client, in the client's dialect."""
    signals: Signals | None = None
    """Only where the answer is judged."""
    unlike_training: bool = False
    """A classifier says that the request is unlike what it was trained on."""


class Stream(Protocol):
    """A streamed answer while it arrives."""

    @property
    def begun(self) -> bool:
        """Whether any of the answer itself has arrived: the first event only opens the message."""
        ...

    @property
    def finish_reason(self) -> str | None: ...

    @property
    def done(self) -> bool:
        """Whether the stream said that it is at its end."""
        ...

    @property
    def usage(self) -> Usage | None: ...

    @property
    def output(self) -> Output: ...

    def signals(self) -> Signals | None: ...

    def feed(self, data: bytes) -> list[bytes]:
        """Events for the client, in its dialect. Raises: Unreadable."""
        ...

    def end(self) -> bytes:
        """The events that are held back until the answer is logged. Raises: Unreadable if the stream was cut."""
        ...


class WrappedStream:
    """A stream around another one, which it asks for all that it does not say itself: a `Stream` without `feed`."""

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
    """How servers want to be asked, and how their answers read."""

    def path(self, base_url: str) -> str:
        """What comes behind the endpoint's base URL."""
        ...

    def headers(self, key: str | None, request: ChatRequest, target: Target) -> dict[str, str]:
        """Headers beside content type and tracing: the endpoint's key, never the client's."""
        ...

    def payload(self, request: ChatRequest, target: Target, *, stream: bool) -> bytes:
        """The body. Raises: Untranslatable."""
        ...

    def read(self, body: bytes, request: ChatRequest, target: Target) -> Answer:
        """Raises: Unreadable."""
        ...

    def stream(self, request: ChatRequest, target: Target) -> Stream: ...


class ClientDialect(Protocol):
    """How clients ask, and how they want to be answered."""

    def parse(self, data: bytes, headers: Mapping[bytes, bytes]) -> ChatRequest:
        """Raises: BadRequest."""
        ...

    def as_stream(self, body: bytes, *, usage: bool) -> bytes:
        """A whole answer (in this dialect) as a whole stream."""
        ...

    def error(self, status: int, message: str, kind: str, code: str | None = None) -> bytes: ...

    def error_of(self, status: int, body: bytes) -> bytes | None:
        """An endpoint's error in this dialect; None if it is none of any dialect."""
        ...

    def error_event(self, body: bytes, request: ChatRequest) -> bytes:
        """An error inside of a stream."""
        ...
