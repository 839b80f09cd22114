"""Retries the lines that earlier ingests rejected, after a fix of a mapping or of this program.

    fasttier ingest --retry-rejected [--format NAME] [--config MAPPING.yaml]

Lines that can be read now become records; the others stay rejected, with their new reason, file and line.
"""

import base64
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime

import msgspec

from pipeline.ingest import envelope
from pipeline.ingest.content import Piece
from pipeline.ingest.formats import FORMATS, formats_of
from pipeline.store.manifest import Commit
from pipeline.store.staging import RejectedLine
from traffic.artifacts import Home
from traffic.loose_json import json_or

_BLOCK_LINES = 5000

Group = tuple[str, envelope.Path]
"""Format, and path to the row inside the line."""


def rejected_parts(done: list[Commit]) -> list[str]:
    """Parts with rejected lines that were not retried yet, as named in the manifest."""
    again = {part for made in done for part in made.retried}
    return [part for made in done for part in made.parts.get("rejected", ()) if part not in again]


def blocks(home: Home, done: list[Commit], named: str | None) -> Iterator[tuple[Group, list[Piece]]]:
    """The rejected lines as pieces of one line each, grouped by how to read them."""
    formats = {source.path: source.format for made in done for source in made.sources}
    committed = {part: made.committed_at for made in done for part in made.parts.get("rejected", ())}
    waiting: dict[Group, list[Piece]] = defaultdict(list)
    for part in rejected_parts(done):
        for line in (home.root / part).read_bytes().splitlines():
            rejected = msgspec.json.decode(line, type=RejectedLine)
            data = (
                (rejected.raw or "").encode() if rejected.raw_base64 is None else base64.b64decode(rejected.raw_base64)
            )
            group = _group(data, named or formats.get(rejected.source, "native"))
            waiting[group].append(_piece(rejected, data, committed[part]))
            if len(waiting[group]) >= _BLOCK_LINES:
                yield group, waiting.pop(group)
    yield from waiting.items()


def _piece(rejected: RejectedLine, data: bytes, committed: datetime) -> Piece:
    return Piece(rejected.source, rejected.line, committed, data + b"\n")


def _group(data: bytes, name: str) -> Group:
    """How to read a rejected line: a whole line, or a row already extracted from one."""
    chosen = FORMATS.get(name, FORMATS["native"])
    tree = json_or(data)
    if not isinstance(tree, dict) or name in formats_of(tree):
        return chosen.name, ()
    return chosen.name, envelope.find(tree, chosen.recognises) or ()
