"""Questions to a candidate and its answers, stored as they arrive so that an interrupted evaluation continues."""

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import msgspec

from traffic.confidence import Signals
from traffic.errors import InputError
from traffic.record import Usage


class Question(msgspec.Struct, frozen=True):
    """One chat request: keyword arguments of the SDK's `chat.completions.create`, without the model."""

    record_id: str
    body: dict[str, Any]
    repeat: int = 0
    """Number of the draw, when the same request is sent several times."""


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A candidate's answer to one item, with its tokens and times."""

    record_id: str
    text: str | None = None
    """None if the request failed."""
    finish_reason: str | None = None
    error: str | None = None
    """Why there is no answer. Such an item counts as wrong, and a later run asks it again."""
    refused: bool = False
    """The server rejected the request with an error status, so nothing is billed."""
    usage: Usage | None = None
    signals: Signals | None = None
    latency_ms: float | None = None
    """From the first attempt to the last byte, retries included."""
    retries: int = 0
    concurrency: int | None = None
    """Requests in flight at the time; None for logged answers."""
    session: str | None = None
    elapsed_s: float | None = None
    """Seconds since this session began asking at this concurrency; throughput follows from it."""
    cpu_s: float | None = None
    """CPU time of a model that runs in this process."""
    cost_usd: float | None = None
    """As logged; other candidates are priced by `costs`."""
    model: str | None = None
    """Model name as the server reports it."""
    confidence: float | None = None
    """Calibrated probability of being right, if the candidate has one."""
    price_share: float = 1.0
    """Share of the list price that was paid: 0.5 through a batch API."""
    tier: int | None = None
    """Of a cascade: the tier whose answer the client gets."""


class Answers(Protocol):
    """Storage for answers while they arrive."""

    answers: dict[str, Answer]
    """By record id."""

    def add(self, answer: Answer) -> None: ...

    def open_items(self, record_ids: Iterable[str]) -> list[str]: ...


class AnswerLog:
    """JSONL file of answers, appended and flushed line by line; a context manager.

    An incomplete last line (of a killed process) is truncated. Of several answers to one item the last counts.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answers: dict[str, Answer] = {}

    def __enter__(self) -> Self:
        data = self.path.read_bytes() if self.path.exists() else b""
        complete = data[: data.rfind(b"\n") + 1]
        decoder = msgspec.json.Decoder(Answer)
        for number, line in enumerate(complete.splitlines(), start=1):
            try:
                answer = decoder.decode(line)
            except msgspec.DecodeError as error:
                raise InputError(f"{self.path}:{number}: {error}; delete the file to ask again") from None
            self.answers[answer.record_id] = answer
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("ab")
        self._file.truncate(len(complete))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, answer: Answer) -> None:
        """Append an answer."""
        self._file.write(msgspec.json.encode(answer) + b"\n")
        self._file.flush()
        self.answers[answer.record_id] = answer

    def open_items(self, record_ids: Iterable[str]) -> list[str]:
        """Record ids without a usable answer yet, in the given order."""
        return [
            record_id
            for record_id in record_ids
            if record_id not in self.answers or self.answers[record_id].error is not None
        ]
