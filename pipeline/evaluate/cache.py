"""Paid answers, stored by content of the request: the same request to the same model is never paid for twice.

One sqlite file per home, `runs/evaluate/answers.db`, for all runs, datasets and candidates. Answers are written as they
arrive, so a killed run loses only what was in flight. Unfinished provider batches are stored too, and a later run picks
them up.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from pipeline.evaluate.answers import Answer, Question
from pipeline.evaluate.endpoints import Endpoint
from traffic.artifacts import Home
from traffic.errors import InputError

_TABLES = """
CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batches (
    token TEXT PRIMARY KEY, source TEXT NOT NULL, batch_id TEXT, keys BLOB NOT NULL, most_usd REAL NOT NULL
) WITHOUT ROWID;
"""


class Batch(msgspec.Struct, frozen=True):
    """A batch that was sent to a provider, or was about to be sent."""

    token: str
    """Our own id in the batch's metadata, to find the batch if the process died before it got the provider's id."""
    source: str
    batch_id: str | None
    keys: tuple[str, ...]
    """Content keys of its requests; also their `custom_id`."""
    most_usd: float
    """Upper bound of its cost."""


def path(home: Home) -> Path:
    """Path of a home's cache."""
    return home.runs / "evaluate" / "answers.db"


def source_of(endpoint: Endpoint) -> str:
    """Server and model."""
    return f"{endpoint.base_url.rstrip('/')} {endpoint.model}"


def content_key(endpoint: Endpoint, question: Question) -> str:
    """SHA-256 of everything that can change an answer: server, model, parameters, messages, draw."""
    parts = (source_of(endpoint), question.body, question.repeat)
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()


class AnswerCache:
    """The sqlite file; a context manager. Safe for several processes at once."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Autocommit: every answer is its own transaction.
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
        """The answer stored under a key."""
        row = self._db.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
        return msgspec.json.decode(row[0], type=Answer) if row else None

    def put(self, key: str, answer: Answer) -> None:
        """Store a usable answer. Failed ones are not stored, so that a later run asks again."""
        if answer.error is None:
            self._db.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", (key, msgspec.json.encode(answer)))

    def add_batch(self, batch: Batch) -> None:
        """Store a batch, or update its provider id."""
        row = (batch.token, batch.source, batch.batch_id, msgspec.json.encode(batch.keys), batch.most_usd)
        self._db.execute("INSERT OR REPLACE INTO batches VALUES (?, ?, ?, ?, ?)", row)

    def finish_batch(self, batch: Batch, answers: Mapping[str, Answer]) -> None:
        """Store a batch's answers (by content key) and delete the batch, in one transaction."""
        self._db.execute("BEGIN IMMEDIATE")
        for key, answer in answers.items():
            self.put(key, answer)
        self._db.execute("DELETE FROM batches WHERE token = ?", (batch.token,))
        self._db.execute("COMMIT")

    def batches(self, source: str) -> list[Batch]:
        """Batches of a source whose answers were not fetched yet."""
        rows = self._db.execute(
            "SELECT token, source, batch_id, keys, most_usd FROM batches WHERE source = ? ORDER BY token", (source,)
        ).fetchall()
        decode = msgspec.json.Decoder(tuple[str, ...]).decode
        return [Batch(token, of, batch_id, decode(keys), most_usd) for token, of, batch_id, keys, most_usd in rows]


class CachedAnswers:
    """`Answers` to a list of questions, backed by the cache.

    Questions with the same content are asked once and share the answer.
    """

    def __init__(self, cache: AnswerCache, endpoint: Endpoint, questions: Iterable[Question]) -> None:
        self.cache = cache
        self.keys = {question.record_id: content_key(endpoint, question) for question in questions}
        self.answers: dict[str, Answer] = {}
        self._ids: dict[str, list[str]] = {}
        for record_id, key in self.keys.items():
            self._ids.setdefault(key, []).append(record_id)
        self.take({key: answer for key in self._ids if (answer := cache.get(key)) is not None})

    def add(self, answer: Answer) -> None:
        """Add an answer; a failed one is kept for this run only."""
        key = self.keys[answer.record_id]
        self.cache.put(key, answer)
        self._spread(key, answer)

    def take(self, answers: Mapping[str, Answer]) -> None:
        """Add answers by content key that the cache has already; keys of other questions are ignored."""
        for key, answer in answers.items():
            self._spread(key, answer)

    def open_items(self, record_ids: Iterable[str]) -> list[str]:
        """Record ids without a usable answer yet, in the given order; one per content."""
        by_key: dict[str, str] = {}
        for record_id in record_ids:
            if record_id not in self.answers or self.answers[record_id].error is not None:
                by_key.setdefault(self.keys[record_id], record_id)
        return list(by_key.values())

    def _spread(self, key: str, answer: Answer) -> None:
        for record_id in self._ids.get(key, ()):
            self.answers[record_id] = msgspec.structs.replace(answer, record_id=record_id)
