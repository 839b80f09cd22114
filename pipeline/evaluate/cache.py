"""Paid answers, kept by what was asked: the same request to the same model is never paid for twice.

One sqlite file per home, `runs/evaluate/answers.db`, for all runs, datasets and candidates. An answer is
written when it comes, so a killed run has lost nothing but what was in flight; batches that a provider still
works on stand beside the answers, so that another run picks them up.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from pipeline.evaluate.answers import Answer
from pipeline.evaluate.endpoints import Endpoint
from pipeline.evaluate.questions import Question
from traffic.artifacts import Home
from traffic.errors import InputError

_TABLES = """
CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batches (
    token TEXT PRIMARY KEY, source TEXT NOT NULL, batch_id TEXT, keys BLOB NOT NULL, most_usd REAL NOT NULL
) WITHOUT ROWID;
"""


class Batch(msgspec.Struct, frozen=True):
    """A batch that was sent to a provider, or was about to be."""

    token: str
    """Ours, in the batch's metadata: finds it again if the process died before it learnt the id."""
    source: str
    batch_id: str | None
    keys: tuple[str, ...]
    """Content keys of its requests; also their `custom_id`."""
    most_usd: float
    """What it may cost at most."""


def path(home: Home) -> Path:
    """Where a home's paid answers are."""
    return home.runs / "evaluate" / "answers.db"


def source_of(endpoint: Endpoint) -> str:
    """Who is asked: the server and the model."""
    return f"{endpoint.base_url.rstrip('/')} {endpoint.model}"


def content_key(endpoint: Endpoint, question: Question) -> str:
    """SHA-256 of all that can change an answer: server, model, parameters and messages."""
    parts = (source_of(endpoint), question.body, question.repeat)
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()


class AnswerCache:
    """The file; a context manager. Several processes may use it at once."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Autocommit: every answer is a transaction of its own.
        self._db = sqlite3.connect(self.path, timeout=60, isolation_level=None)
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_TABLES)
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise InputError(f"{self.path}: cannot be read ({error}); move it away to ask again") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def get(self, key: str) -> Answer | None:
        """The answer kept under a key."""
        row = self._db.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
        return msgspec.json.decode(row[0], type=Answer) if row else None

    def put(self, key: str, answer: Answer) -> None:
        """Keep a good answer. A failed one is not kept: it is asked again by a later run."""
        if answer.error is None:
            self._db.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", (key, msgspec.json.encode(answer)))

    def add_batch(self, batch: Batch) -> None:
        """Keep a batch, or the id that it has got."""
        row = (batch.token, batch.source, batch.batch_id, msgspec.json.encode(batch.keys), batch.most_usd)
        self._db.execute("INSERT OR REPLACE INTO batches VALUES (?, ?, ?, ?, ?)", row)

    def finish_batch(self, batch: Batch, answers: Mapping[str, Answer]) -> None:
        """Keep a batch's answers (by content key) and forget the batch, both or neither."""
        self._db.execute("BEGIN IMMEDIATE")
        for key, answer in answers.items():
            self.put(key, answer)
        self._db.execute("DELETE FROM batches WHERE token = ?", (batch.token,))
        self._db.execute("COMMIT")

    def batches(self, source: str) -> list[Batch]:
        """Batches of a source whose answers have not been fetched."""
        rows = self._db.execute(
            "SELECT token, source, batch_id, keys, most_usd FROM batches WHERE source = ? ORDER BY token", (source,)
        ).fetchall()
        decode = msgspec.json.Decoder(tuple[str, ...]).decode
        return [Batch(token, of, batch_id, decode(keys), most_usd) for token, of, batch_id, keys, most_usd in rows]


class CachedAnswers:
    """The answers to some questions, as `AnswerLog` has them, out of and into the cache.

    Questions of the same content are asked once and share the answer.
    """

    def __init__(self, cache: AnswerCache, endpoint: Endpoint, questions: Iterable[Question]) -> None:
        self.cache = cache
        self.keys = {question.record_id: content_key(endpoint, question) for question in questions}
        self.answers: dict[str, Answer] = {}
        self._ids: dict[str, list[str]] = {}
        for record_id, key in self.keys.items():
            self._ids.setdefault(key, []).append(record_id)
        self.take({key: found for key in self._ids if (found := cache.get(key)) is not None})

    def add(self, answer: Answer) -> None:
        """Keep an answer; a failed one only as long as this run."""
        key = self.keys[answer.record_id]
        self.cache.put(key, answer)
        self._spread(key, answer)

    def take(self, answers: Mapping[str, Answer]) -> None:
        """Answers by content key that the cache has already; those of other questions are passed over."""
        for key, answer in answers.items():
            self._spread(key, answer)

    def open_items(self, record_ids: Iterable[str]) -> list[str]:
        """Those without a good answer yet, in the order given; of those of one content the first."""
        found: dict[str, str] = {}
        for record_id in record_ids:
            if record_id not in self.answers or self.answers[record_id].error is not None:
                found.setdefault(self.keys[record_id], record_id)
        return list(found.values())

    def _spread(self, key: str, answer: Answer) -> None:
        for record_id in self._ids.get(key, ()):
            self.answers[record_id] = msgspec.structs.replace(answer, record_id=record_id)
