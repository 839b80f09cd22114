"""Detects a file's format and the path to its rows from its first rows, never from its name."""

import functools
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from pipeline.ingest import content, correlation, documents, envelope, lenient, tables
from pipeline.ingest.content import Content
from pipeline.ingest.correlation import Halves, Joining
from pipeline.ingest.formats import FORMATS, Format, formats_of
from pipeline.ingest.sources import SPREADSHEET
from pipeline.ingest.typed_values import untyped
from traffic.errors import InputError
from traffic.loose_json import json_or

_SAMPLE = 50
_STRAY = 0.05
"""Ratio of rows of other formats to the most frequent one above which a file counts as mixed."""
_AMBIGUOUS_INSIDE = frozenset({"openai_finetune", "openai_stored"})
"""Formats whose rows look like bodies: inside another row they are bodies, not rows."""


class Recognised(msgspec.Struct, frozen=True):
    """How to read a file."""

    format: Format
    path: envelope.Path = ()
    """Path to the rows inside each line."""
    rows: Callable[[], Iterator[bytes]] | None = None
    """The rows of a document, a CSV or a Parquet file; None: the file's lines are its rows."""
    why: str = ""


def recognise_content(
    opened: Content, named: Format | None = None, path: envelope.Path | None = None
) -> Recognised | Halves | str:
    """How to read a file, or the reason why not. `named`: format given by the user; `path`: path to its rows.

    Raises: InputError for a file that is damaged or too large.
    """
    file = opened.file
    if file.foreign is not None:
        return f"{file.foreign}; {'save it as CSV' if file.foreign == SPREADSHEET else 'unpack it first'}"
    if file.is_parquet:
        return _of_rows(opened, functools.partial(tables.parquet_rows, file), "Parquet", named)
    head = opened.head()
    trees = content.first_trees(head)
    objects = [tree for tree in trees if isinstance(tree, Mapping)]
    if (why := _unreadable(head, objects)) is not None:
        return why
    if (
        named is not None
        and path is not None
        and (recognised := _by_mapping(opened, named, path, head, objects)) is not None
    ):
        return recognised
    chosen = recognise(objects, named)
    if chosen is not None and (chosen.path == () or len(objects) > 1):
        return chosen
    document = _of_document(opened, named, has_rows=any(objects))
    if isinstance(document, Recognised) or (document is not None and chosen is None):
        return document
    if chosen is not None:
        return chosen
    if not objects and tables.csv_header(head) and b"\x00" not in head:
        return _of_rows(opened, functools.partial(tables.csv_rows, opened), "CSV", named)
    if not head.strip() and opened.damage is not None:
        return opened.damage
    if named is not None or not head.strip():
        return Recognised(named or FORMATS["native"], why="as said" if named else "empty")
    return _of_halves(objects, lambda: content.lines(opened), _unrecognised(head, objects))


def _by_mapping(
    opened: Content, named: Format, path: envelope.Path, head: bytes, objects: Sequence[Mapping[str, Any]]
) -> Recognised | None:
    """How to read a file whose mapping gives the path to the rows; None for a single document without one."""
    if not objects and tables.csv_header(head):
        return Recognised(named, (), functools.partial(tables.csv_rows, opened), "as the mapping says (CSV)")
    if len(objects) > 1 or (path and objects):
        return Recognised(named, path, None, "as the mapping says")
    document = opened.document()
    if document is None:
        return Recognised(named, path, None, "as the mapping says")
    tree = json_or(document, msgspec.UNSET)
    if tree is msgspec.UNSET:
        return Recognised(named, path, None, "as the mapping says")
    where = path or (envelope.list_path(tree) or () if isinstance(tree, Mapping) and not objects else ())
    listed = list(envelope.rows_at(document, where))
    return Recognised(named, (), lambda: iter(listed), "as the mapping says")


def recognise(trees: Sequence[Mapping[str, Any]], named: Format | None = None) -> Recognised | None:
    """The most frequent format of these rows, and the path to them in each line."""
    accepts = _names if named is None else lambda tree: [named.name] if named.recognises(tree) else []
    votes: Counter[tuple[str, envelope.Path]] = Counter()
    sample = [tree for tree in trees[:_SAMPLE] if not lenient.is_deep(tree)]
    for tree in sample:
        plain = untyped(tree)
        if names := accepts(tree if plain is None else plain):
            votes.update((name, () if plain is None else (envelope.TYPED,)) for name in names)
        elif (path := envelope.find(tree, lambda inside: bool(_inner_names(inside, accepts)))) is not None:
            inside = _at(tree, path)
            votes.update((name, path) for name in _inner_names(inside, accepts))
    if not votes:
        return None
    (name, path), rows = votes.most_common(1)[0]
    if named is None and path == ():
        others = Counter(names[0] for tree in sample if (names := accepts(tree)) and name not in names)
        if others.total() > _STRAY * rows:
            counted = ", ".join(f"{other} {n}" for other, n in (Counter({name: rows}) + others).most_common())
            return Recognised(FORMATS["mixed"], (), None, f"{counted} of the first {len(trees[:_SAMPLE])} rows")
    where = f" at {'.'.join(path)}" if path else ""
    return Recognised(FORMATS[name], path, None, f"{rows} of the first {len(trees[:_SAMPLE])} rows{where}")


def _names(tree: Mapping[str, Any]) -> list[str]:
    return formats_of(tree)


def _inner_names(tree: Mapping[str, Any], accepts: Callable[[Mapping[str, Any]], list[str]]) -> list[str]:
    return [name for name in accepts(tree) if name not in _AMBIGUOUS_INSIDE]


def _at(tree: Any, path: envelope.Path) -> Mapping[str, Any]:
    row = next(envelope.rows_at(msgspec.json.encode(tree), path))
    return msgspec.json.decode(row, type=dict[str, Any])


def _of_document(opened: Content, named: Format | None, *, has_rows: bool) -> Recognised | Halves | str | None:
    """The rows of a JSON document, or of several unless the file's lines are rows."""
    data = opened.document()
    if data is None:
        return None
    if (decoded := documents.whole(data)) is None:
        return None if has_rows else _of_objects(data, named)
    document, tree = decoded
    if named is None and (product := _chat_product(tree)) is not None:
        return product
    accepts = formats_of if named is None else lambda row: [named.name] if named.recognises(row) else []
    rows, kind = documents.rows_of(tree, lambda row: bool(_inner_names(row, accepts)))
    if rows:
        return _of_listed(document, rows, named, f"of {kind}")
    path: envelope.Path | None = ()
    if (isinstance(tree, Mapping) and recognise([tree], named) is None) or (
        isinstance(tree, Mapping) and not formats_of(tree)
    ):
        path = envelope.list_path(tree)
    return _of_listed(document, list(envelope.rows_at(document, path or ())), named, "of one JSON document")


def _of_objects(data: bytes, named: Format | None) -> Recognised | Halves | str | None:
    """Concatenated objects or a truncated list; None for a file with one complete object per line."""
    listed = documents.objects(data)
    return _of_listed(data, listed, named, "of JSON objects one after the other") if listed else None


def _of_listed(data: bytes, listed: list[bytes], named: Format | None, where: str) -> Recognised | Halves | str:
    objects = [tree for row in listed[:_SAMPLE] if isinstance(tree := json_or(row), Mapping)]
    chosen = recognise(objects, named)
    if chosen is None:
        if named is None:
            return _of_halves(objects, lambda: iter(listed), _unrecognised(data, objects))
        chosen = Recognised(named, why="as said")
    return msgspec.structs.replace(chosen, rows=lambda: iter(listed), why=f"{chosen.why} {where}")


def _of_rows(
    opened: Content, rows: Callable[[], Iterator[bytes]], kind: str, named: Format | None
) -> Recognised | Halves | str:
    sample = []
    try:
        for row in rows():
            sample.append(msgspec.json.decode(row, type=dict[str, Any]))
            if len(sample) >= _SAMPLE:
                break
    except InputError:
        if not sample:
            raise
    chosen = recognise(sample, named)
    if chosen is None:
        columns = list(dict.fromkeys(name for row in sample for name in row))
        if named is None and columns and all(name.lower() != name == name.upper() for name in columns):
            # Snowflake and Oracle unload column names in capitals.
            return _of_rows(opened, lambda: map(_in_lower_case, rows()), kind, named)
        if named is None:
            listed = ", ".join(columns[:8]) or "none"
            why_not = f"no log format recognises it; {kind} with the columns {listed}. {_hint()}"
            return _of_halves(sample, rows, why_not)
        chosen = Recognised(named, why="as said")
    return msgspec.structs.replace(chosen, rows=rows, why=f"{chosen.why} ({kind})")


def _of_halves(objects: Sequence[Mapping[str, Any]], rows: Callable[[], Iterator[bytes]], why_not: str) -> Halves | str:
    """Rows with a request or an answer each, which may belong together with others; else why the file is not read."""
    path = correlation.path_of(objects)
    inside = [row for tree in objects for row in correlation.opened_rows(tree, path)]
    ids = correlation.ids_of(inside)
    return Halves(ids, path, rows, why_not) if any(ids) else why_not


def joined_halves(halves: Halves, joining: Joining, *, is_last: bool) -> Recognised:
    """How to read a file of halves after others whose rows may wait for it."""

    def rows() -> Iterator[bytes]:
        return correlation.pairs(halves.rows, halves.path, *joining, is_last=is_last)

    why = f"requests and answers on rows of their own, joined by {joining.keys.request}"
    return Recognised(FORMATS["openai_pairs"], (), rows, why)


def _in_lower_case(row: bytes) -> bytes:
    return msgspec.json.encode({key.lower(): v for key, v in msgspec.json.decode(row, type=dict[str, Any]).items()})


def _unreadable(head: bytes, objects: Sequence[Any]) -> str | None:
    """Why a file is not read that is an archive or a dump of a database; None for any other."""
    if head[257:262] == b"ustar":
        return "tar archive; unpack it first"
    if not objects and _INSERTS.search(head):
        return (
            "it is a database dump with INSERT statements; export the table as CSV or JSON lines instead "
            "(psql: `\\copy (select ...) to 'log.csv' csv header`; mysqldump: `--tab`; pg_dump: without `--inserts`)"
        )
    return None


_INSERTS = re.compile(rb"^[ \t]*+(?:INSERT|REPLACE)\s+(?:IGNORE\s+)?INTO\s", re.MULTILINE | re.IGNORECASE)
_CHAT_PRODUCTS = {
    "ChatGPT's conversations": {"mapping", "create_time"},
    "Claude's conversations": {"chat_messages"},
    "Open WebUI's chats": {"chat", "user_id", "title"},
    "LibreChat's conversations": {"conversationId", "messages", "title"},
}
"""Keys of a conversation in the exports of products for chatting."""


def _chat_product(tree: Any) -> str | None:
    """Why the export of a product for chatting is not read; None for other documents."""
    first = next((row for row in tree if isinstance(row, Mapping)), None) if isinstance(tree, list) else tree
    keys = first.keys() if isinstance(first, Mapping) else set()
    name = next((name for name, marks in _CHAT_PRODUCTS.items() if marks <= keys), None)
    return name and (
        f"it is an export of {name}, not a log of API requests: there are no calls, tokens or costs in it. To train on "
        'such chats, write each as a line {"messages": [...]} and pass --format openai_finetune'
    )


def _unrecognised(head: bytes, objects: Sequence[Mapping[str, Any]]) -> str:
    hidden = [
        key for row in objects[:1] for key, v in row.items() if isinstance(v, Mapping) and v.get("type") == "encrypted"
    ]
    if hidden:
        seen = f"its fields {', '.join(map(str, hidden))} are encrypted: decrypt them first"
    elif (product := _chat_product(objects)) is not None:
        return product
    elif objects:
        seen = f"its rows have the keys {', '.join(map(str, list(objects[0])[:8]))}"
    elif b"\x00" in head[:4096]:
        seen = "it is no text"
    elif head.lstrip()[:1] in (b"{", b"["):
        seen = "its first lines are no whole JSON"
    else:
        seen = "it does not begin with a JSON object"
    return f"no log format recognises it (tried {', '.join(FORMATS)}); {seen}. {_hint()}"


def _hint() -> str:
    return (
        "If it is one of them, say which: --format NAME; for any other, `fasttier ingest --suggest FILE` "
        "proposes a mapping to pass with --config"
    )
