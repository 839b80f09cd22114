"""Joins requests and answers on rows of their own by their correlation id: `{"id", "request"}`, `{"id", "response"}`.

Only in files that no format recognises, where nothing but the rows says which fields are the id; parts of known
formats are joined by `companions.py`. Rows wait in memory for their other half, which usually follows soon, or in
another file.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import msgspec

from pipeline.ingest import envelope, lenient
from pipeline.ingest.bodies.streams import events_of, joined
from pipeline.ingest.values import opened_value
from traffic.loose_json import json_or

_MAX_WAITING_BYTES = 128 << 20
"""Size of the rows in memory, undecoded; above it the oldest one is read without its other half."""
_ROW_BYTES = 256
"""Overhead of a row in memory."""
_UNIQUE = 0.8
"""Minimum share of different values for an id to be of one request each; others are of a trace, session or customer."""
_MAX_ID_CHARS = 512
_MAX_ID_FIELDS = 32
"""Fields of requests, and of answers, that are compared in pairs."""
_ID = re.compile(r"(?:.*[_.-])?(?:[a-z]?id|uuid|guid|ref|correlation|reply_to|key)|.*(?:Id|ID|Uuid|Ref|Key)")
_TIMES = (
    *("timestamp", "ts", "time", "@timestamp", "created_at", "createdAt", "datetime", "date", "at", "started_at"),
    *("start_time", "ended_at", "end_time", "finished_at", "event_time", "logged_at"),
)
_KINDS = ("event", "type", "kind", "direction", "msg", "message", "stage", "phase", "name", "action")
_ANSWERS = re.compile(r"respon|complet|answer|reply|result|finish|receiv|\bend", re.IGNORECASE)
_ANSWER_TEXTS = ("response", "answer", "completion", "output", "reply", "content", "text")
_PROMPT_TEXTS = ("prompt", "input", "question", "query")


class Half(NamedTuple):
    """A row with a request or an answer."""

    is_answer: bool
    body: Any
    key: str | None
    """Where the body is in the row; None: the row is the body."""


class Keys(NamedTuple):
    """Fields with the same id in both halves."""

    request: str
    answer: str
    is_unique: bool
    """Whether each id is of one request. If not, only an answer that directly follows a request of its id is joined."""


Ids = tuple[dict[str, Counter[str]], dict[str, Counter[str]]]
"""Values of fields that may be ids, of rows with requests and of those with answers."""


class Halves(NamedTuple):
    """A file with rows that are requests or answers."""

    ids: Ids
    """Of the first rows."""
    path: envelope.Path
    """Path from a line to the rows."""
    rows: Callable[[], Iterator[bytes]]
    why_not: str
    """Why the file is not read if nothing in it, or in other files, belongs together."""


def half_of(row: Mapping[str, Any]) -> Half | None:
    """The half that a row is; None if it is neither or both."""
    halves = []
    for key, value in row.items():
        body = events_of(value) if isinstance(value, str) and value.startswith("data:") else opened_value(value)
        if _is_answer(body):
            halves.append(Half(True, body, key))
        elif _is_request(body):
            halves.append(Half(False, body, key))
    if halves:
        return halves[0] if len({half.is_answer for half in halves}) == 1 else None
    if _is_request(row):
        return Half(False, row, None)
    return _in_words(row)


def _in_words(row: Mapping[str, Any]) -> Half | None:
    """A half whose prompt or answer is a text, or whose answer is an error."""
    is_answer = any(isinstance(row.get(key), str) and _ANSWERS.search(row[key]) for key in _KINDS)
    texts = _ANSWER_TEXTS if is_answer else _PROMPT_TEXTS
    key = next((key for key in texts if isinstance(row.get(key), str) and row[key]), None)
    if key is not None:
        return Half(True, row[key], key) if is_answer else Half(False, {"prompt": row[key]}, key)
    errors = ((key, opened_value(value)) for key, value in row.items()) if is_answer else ()
    failed = next(
        (Half(True, body, key) for key, body in errors if isinstance(body, Mapping) and "error" in body), None
    )
    return failed or (Half(True, None, None) if row.get("error") else None)


def _is_request(body: Any) -> bool:
    if not isinstance(body, Mapping) or not body.keys().isdisjoint(("choices", "candidates", "output", "completion")):
        return False
    messages = opened_value(body.get("messages", body.get("contents")))
    if isinstance(messages, list):
        return bool(messages) and all(isinstance(m, Mapping) and ("role" in m or "parts" in m) for m in messages)
    return "model" in body and any(key in body for key in ("input", "prompt"))


def _is_answer(body: Any) -> bool:
    if isinstance(body, list):
        return bool(body) and joined(body) is not None
    if not isinstance(body, Mapping):
        return False
    if any(isinstance(body.get(key), list) and body[key] for key in ("choices", "candidates")):
        return True
    if body.get("object") == "response" or (isinstance(inner := body.get("output"), Mapping) and "message" in inner):
        return "output" in body
    return body.get("type") == "message" and isinstance(body.get("content"), list)


def ids_of(rows: Iterable[Mapping[str, Any]]) -> Ids:
    """What may be the ids of these rows."""
    ids: Ids = ({}, {})
    for row in rows:
        if (half := half_of(row)) is not None:
            fields = ids[half.is_answer]
            for key, value in row.items():
                has_room = key in fields or len(fields) < _MAX_ID_FIELDS
                if isinstance(value, str | int) and not isinstance(value, bool) and has_room and _ID.fullmatch(key):
                    fields.setdefault(key, Counter())[str(value)[:_MAX_ID_CHARS]] += 1
    return ids


def keys_of(ids: Ids) -> Keys | None:
    """The fields by which some requests and answers belong together; None if none do."""
    ranked = []
    for (own, asked), (other, answered) in product(ids[False].items(), ids[True].items()):
        if common := (asked & answered).total():
            is_unique = _are_unique(asked) and _are_unique(answered)
            rank = is_unique, common, len(asked.keys() & answered.keys()), own == other
            ranked.append((rank, Keys(own, other, is_unique)))
    return max(ranked)[1] if ranked else None


def _are_unique(values: Counter[str]) -> bool:
    return len(values) >= _UNIQUE * values.total()


def path_of(rows: Sequence[Mapping[str, Any]]) -> envelope.Path:
    """The path from a line to such a row."""
    for row in rows:
        if half_of(row) is not None:
            return ()
        if (path := envelope.find(row, lambda inside: half_of(inside) is not None)) is not None:
            return path
    return ()


def opened_rows(tree: Mapping[str, Any], path: envelope.Path) -> Iterator[Mapping[str, Any]]:
    """The decoded rows at a path of a decoded line."""
    for data in _inside(msgspec.json.encode(tree), path):
        if isinstance(row := json_or(data), dict):
            yield row


class Waiting:
    """Rows without their other half, by what they are (an answer or not) and their id."""

    def __init__(self, most_bytes: int = _MAX_WAITING_BYTES) -> None:
        self._rows: dict[tuple[bool, str], bytes] = {}
        self._most_bytes, self._bytes = most_bytes, 0
        self.ambiguous: set[str] = set()
        """Ids of which two requests waited at the same time."""

    def take(self, is_answer: bool, name: str) -> bytes | None:
        row = self._rows.pop((is_answer, name), None)
        self._bytes -= 0 if row is None else len(row) + _ROW_BYTES
        return row

    def add(self, is_answer: bool, name: str, row: bytes) -> Iterator[bytes]:
        """Add a row; yields the oldest ones for which there is no room."""
        self._rows[is_answer, name] = row
        self._bytes += len(row) + _ROW_BYTES
        while self._bytes > self._most_bytes and (oldest := self.take(*next(iter(self._rows)))) is not None:
            yield oldest

    def rest(self) -> Iterator[bytes]:
        yield from self._rows.values()


class Joining(NamedTuple):
    """How the rows of a file are joined."""

    keys: Keys
    waiting: Waiting
    """Shared by files whose rows may belong together."""


def joinings(files: Sequence[Ids]) -> list[Joining | None]:
    """How each file's rows are joined with each other or with those of other files; None: they are not.

    Between files only ids of one request each say what belongs together, and only if they do not begin anew in each.
    """
    keys_of_file = [keys_of(ids) for ids in files]
    shared = {
        keys: Waiting()
        for keys in set(keys_of_file)
        if keys is not None
        and keys.is_unique
        and all(map(_are_unique, _values(_together(files, keys_of_file, keys), keys)))
    }
    apart = _together(files, keys_of_file, None)
    between = keys_of(apart)
    asked, answered = ((), ()) if between is None or not between.is_unique else _values(apart, between)
    common = {value for value in asked if value in answered}
    waiting = Waiting()
    joined: list[Joining | None] = []
    for ids, keys in zip(files, keys_of_file, strict=True):
        if keys is not None:
            joined.append(Joining(keys, shared.get(keys) or Waiting()))
        elif between is not None and any(not common.isdisjoint(values) for values in _values(ids, between)):
            joined.append(Joining(between, waiting))
        else:
            joined.append(None)
    return joined


def _together(files: Sequence[Ids], keys_of_file: Sequence[Keys | None], keys: Keys | None) -> Ids:
    """The ids of all files with these keys."""
    together: Ids = ({}, {})
    for ids, own in zip(files, keys_of_file, strict=True):
        for place, fields in zip(together, ids, strict=True) if own == keys else ():
            for field, values in fields.items():
                place.setdefault(field, Counter()).update(values)
    return together


def _values(ids: Ids, keys: Keys) -> tuple[Counter[str], Counter[str]]:
    """The ids of requests and of answers."""
    return ids[False].get(keys.request, Counter()), ids[True].get(keys.answer, Counter())


def pairs(
    rows: Callable[[], Iterator[bytes]], path: envelope.Path, keys: Keys, waiting: Waiting, *, is_last: bool = True
) -> Iterator[bytes]:
    """Rows with a request and its answer; halves without the other one, and other rows, stay as they are.

    `waiting`: rows of earlier files. The rows of the last one do not wait for another.
    """
    for line in rows():
        for data in _inside(line, path):
            row, half = _decoded(data)
            value = None if half is None else row.get(keys.answer if half.is_answer else keys.request)
            if half is None or value is None:
                yield data
                continue
            name = str(value)
            if (earlier := waiting.take(half.is_answer, name)) is not None:
                yield _alone(earlier)
                if not keys.is_unique:
                    # Two requests of a trace at the same time: neither order nor id says whose the answers are.
                    waiting.ambiguous.add(name)
            if name in waiting.ambiguous:
                yield _alone(data)
            elif (other := waiting.take(not half.is_answer, name)) is not None:
                yield _pair(other, data) if half.is_answer else _pair(data, other)
            elif half.is_answer and not keys.is_unique:
                yield data
            else:
                yield from map(_alone, waiting.add(half.is_answer, name, data))
    if is_last:
        yield from map(_alone, waiting.rest())


def _decoded(data: bytes) -> tuple[dict[str, Any], Half | None]:
    row = json_or(data) or json_or(lenient.repaired(data) or b"")
    return (row, half_of(row)) if isinstance(row, dict) else ({}, None)


def _inside(line: bytes, path: envelope.Path) -> Iterable[bytes]:
    try:
        return list(envelope.rows_at(line, path)) if path else [line]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return [line]


def _alone(data: bytes) -> bytes:
    row, half = _decoded(data)
    if half is None or half.is_answer:
        return data
    return msgspec.json.encode({**_around(row, half), "request": half.body, "response": None})


def _pair(asking: bytes, answering: bytes) -> bytes:
    (asked, request), (answered, answer) = _decoded(asking), _decoded(answering)
    assert request is not None
    assert answer is not None
    before, after = _around(asked, request), _around(answered, answer)
    merged = {**before, **after}
    for key in before.keys() & after.keys():
        if isinstance(before[key], dict) and isinstance(after[key], dict):
            merged[key] = {**before[key], **after[key]}
    # A refusal of training beside the request counts, whatever is beside the answer.
    replaced = {key: before[key] for key in before.keys() & after.keys() if before[key] != merged[key]}
    start, end = _time(asked), _time(answered)
    times = {"timestamp": start, "end_time": end} if start is not None else {}
    return msgspec.json.encode(
        {
            **{k: v for k, v in merged.items() if k not in _TIMES},
            **times,
            **({"request_row": replaced} if replaced else {}),
            "request": request.body,
            "response": answer.body,
        }
    )


def _around(row: Mapping[str, Any], half: Half) -> dict[str, Any]:
    if half.key is None and not half.is_answer:
        # The row is the body, with tags beside the messages.
        return {key: value for key, value in row.items() if key not in ("messages", "contents", "tools", "input")}
    return {key: value for key, value in row.items() if key != half.key}


def _time(row: Mapping[str, Any]) -> Any:
    return next((row[key] for key in _TIMES if row.get(key) is not None), None)
