"""Answers of a candidate, kept as they come, so that an interrupted evaluation continues where it stopped."""

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import msgspec

from traffic.confidence import Signals
from traffic.errors import InputError
from traffic.record import Usage


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a candidate said about one item, and what it took."""

    record_id: str
    text: str | None = None
    """None when it failed."""
    finish_reason: str | None = None
    error: str | None = None
    """Why there is no answer; such an item counts as wrong and is asked again by a later run."""
    refused: bool = False
    """The server answered with an error status: nothing is billed."""
    usage: Usage | None = None
    signals: Signals | None = None
    latency_ms: float | None = None
    """From the first attempt to the last byte, the SDK's retries included."""
    retries: int = 0
    concurrency: int | None = None
    """Requests in flight at the time; None for logged answers."""
    session: str | None = None
    elapsed_s: float | None = None
    """Seconds since this session began to ask at this concurrency: throughput without a stopwatch of its own."""
    cpu_s: float | None = None
    """CPU time of a model that runs in this process."""
    cost_usd: float | None = None
    """Only where the log states it."""
    model: str | None = None
    """As the server names it."""
    confidence: float | None = None
    """Probability of being right, where the candidate itself has a calibrated one."""
    price_share: float = 1.0
    """Of the list price, what was paid for it: a half through a batch API."""


class Answers(Protocol):
    """Where answers to items are kept while they come in."""

    answers: dict[str, Answer]
    """By record id."""

    def add(self, answer: Answer) -> None: ...

    def open_items(self, record_ids: Iterable[str]) -> list[str]: ...


class AnswerLog:
    """A JSONL file of answers, one line each, appended and flushed; a context manager.

    A line that a killed process left unfinished is cut off. Of several answers to one item the last counts.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answers: dict[str, Answer] = {}

    def __enter__(self) -> Self:
        data = self.path.read_bytes() if self.path.exists() else b""
        whole = data[: data.rfind(b"\n") + 1]
        decoder = msgspec.json.Decoder(Answer)
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                answer = decoder.decode(line)
            except msgspec.DecodeError as error:
                raise InputError(f"{self.path}:{number}: {error}; delete the file to ask again") from None
            self.answers[answer.record_id] = answer
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("ab")
        self._file.truncate(len(whole))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, answer: Answer) -> None:
        """Keep an answer."""
        self._file.write(msgspec.json.encode(answer) + b"\n")
        self._file.flush()
        self.answers[answer.record_id] = answer

    def open_items(self, record_ids: Iterable[str]) -> list[str]:
        """Those without a good answer yet, in the order given."""
        return [
            record_id
            for record_id in record_ids
            if record_id not in self.answers or self.answers[record_id].error is not None
        ]
