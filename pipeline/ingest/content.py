"""Contents of a file: decompressed text, blocks of whole lines, JSON documents; tables are read by tables.py.

A plain file is split into byte ranges that workers read themselves. Everything else is read here as a stream, block by
block, so memory does not depend on the file's size.
"""

import codecs
import contextlib
import hashlib
import io
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa

from pipeline.ingest import containers, lenient
from pipeline.ingest.sources import LogFile
from traffic.errors import InputError

BLOCK_BYTES = 8 << 20
"""A worker holds a block, its records and its Arrow columns at the same time: about ten times this size."""
HEAD_BYTES = 1 << 20
SMALL_BYTES = 1 << 20
"""Files up to this size are read once and kept in memory."""
DOCUMENT_BYTES = 256 << 20
_SNIFFED_LINES = 50
_SALVAGE_BYTES = 4 << 10
BOM = b"\xef\xbb\xbf"
BLANK = b" \t\r\n\f\v,"
"""Stripped from rows; in a JSON list with one row per line each ends with a comma."""


class Piece(msgspec.Struct, frozen=True):
    """Whole lines of one file: their bytes, or their byte range in a plain file."""

    source: str
    first_line: int
    """1-based number of the first line; in a document of the first row."""
    modified: datetime
    """Modification time of the file, used for rows without a time."""
    data: bytes | None = None
    offset: int = 0
    length: int = 0

    def read(self) -> bytes:
        """The lines."""
        if self.data is not None:
            return self.data
        with Path(self.source).open("rb") as file:
            file.seek(self.offset)
            return file.read(self.length)

    @property
    def size(self) -> int:
        return self.length if self.data is None else len(self.data)


class Content:
    """The readable content of one file. `damage` describes faults found while reading."""

    def __init__(self, file: LogFile) -> None:
        self.file = file
        self.damage: str | None = None
        self._kept: bytes | None = None

    def open(self) -> BinaryIO:
        """The stored bytes. Small files are read once: on an object store every open is a request."""
        if self.file.size > SMALL_BYTES:
            return self.file.open()
        if self._kept is None:
            with self.file.open() as stored:
                self._kept = stored.read(self.file.size)
        return io.BytesIO(self._kept)

    def stored_sha256(self) -> str:
        """Hash of the stored bytes, up to the size at discovery."""
        digest, left = hashlib.sha256(), self.file.size
        with self.open() as stream:
            while chunk := stream.read(min(left, BLOCK_BYTES)):
                digest.update(chunk)
                left -= len(chunk)
        return digest.hexdigest()

    def head(self) -> bytes:
        """The first lines, at least one; a partial last line is dropped."""
        data = bytearray()
        for chunk in self.chunks(step=HEAD_BYTES, limit=64 * HEAD_BYTES):
            data += chunk
            if b"\n" in chunk and len(data) >= HEAD_BYTES:
                return bytes(data[: data.rfind(b"\n") + 1])
        return bytes(data)

    def document(self) -> bytes | None:
        """The whole content if it is a single JSON document, else None.

        Raises: InputError when it is too large to be read at once.
        """
        head = self.head().lstrip(b"\xef\xbb\xbf \t\r\n")
        if not head.startswith((b"[", b"{")):
            return None
        data = b"".join(self.chunks(limit=DOCUMENT_BYTES + 1)).removeprefix(BOM).strip()
        if len(data) <= DOCUMENT_BYTES:
            return data
        if b"\n" in head[:HEAD_BYTES].rstrip():
            return None
        raise InputError(
            f"{self.file.path}: one JSON document of more than {DOCUMENT_BYTES >> 20} MB; write one object per line "
            "(`jq -c '.[]'`) and ingest that"
        )

    @property
    def is_as_stored(self) -> bool:
        """Whether the content equals the stored bytes."""
        return self.file.compression is None and self.file.encoding == "utf-8"

    def pieces(self, digest: "hashlib._Hash | None", size: int | None = None) -> Iterator[tuple[Piece, int]]:
        """Pieces of about `size` bytes (default: a block) of whole lines, each with the stored position of its end.

        Updates `digest` with the content.
        """
        line, offset, carried = 1, 0, b""
        with self.open() as stored:
            for chunk in self.chunks(stored=stored, step=size or BLOCK_BYTES):
                if digest is not None:
                    digest.update(chunk)
                end = chunk.rfind(b"\n") + 1
                if end and (b"\n" in carried or containers.may_continue(chunk, end)):
                    end += len(carried)
                    carried, chunk = b"", carried + chunk  # noqa: PLW2901 - what was carried belongs to this chunk
                    end = containers.end_of_lines(chunk[:end])
                if not end:
                    carried += chunk
                    continue
                data = b"" if self._is_plain_local else carried + chunk[:end]
                length = len(carried) + end
                carried = chunk[end:]
                yield self._piece(data, line, offset, length), self._position(stored)
                line += chunk.count(b"\n", 0, end)
                offset += length
        if self.damage is not None:
            carried = carried[: carried.rfind(b"\n") + 1]
        if carried:
            yield self._piece(carried, line, offset, len(carried)), self.file.size

    def chunks(
        self, *, stored: BinaryIO | None = None, step: int = BLOCK_BYTES, limit: int | None = None
    ) -> Iterator[bytes]:
        """Decompressed UTF-8, at most `limit` bytes. Of a growing plain file only the size at discovery is read."""
        if stored is None:
            with self.open() as opened:
                yield from self.chunks(stored=opened, step=step, limit=limit)
            return
        raw = self._decompressed(stored, step, limit)
        if self.file.encoding == "utf-8":
            yield from raw
            return
        decoder = codecs.getincrementaldecoder(self.file.encoding)(errors="replace")
        for chunk in raw:
            yield decoder.decode(chunk).removeprefix("\ufeff").encode("utf-8", "replace")

    def _decompressed(self, stored: BinaryIO, step: int, limit: int | None) -> Iterator[bytes]:
        left = limit
        if self.file.compression is None:
            left = self.file.size if left is None else min(left, self.file.size)
        given = 0
        try:
            # The streams are not closed here: the caller owns the underlying file.
            stream: Any = stored
            if self.file.compression is not None:
                stream = pa.input_stream(stored, compression=self.file.compression)
            while left is None or left > 0:
                chunk = stream.read(step if left is None else min(step, left))
                if not chunk:
                    return
                left = None if left is None else left - len(chunk)
                given += len(chunk)
                yield chunk
        except OSError as error:
            self.damage = f"damaged {self.file.compression} file: {error}"
            yield from self._salvaged(given, limit)

    def _salvaged(self, given: int, limit: int | None) -> Iterator[bytes]:
        """Decompress what precedes the damage in small steps; skips the `given` bytes already read."""
        read = 0
        with self.open() as stored:
            for chunk in self._members(stored) if self.file.compression == "gzip" else self._steps(stored):
                if read + len(chunk) > given:
                    yield chunk[max(0, given - read) :]
                read += len(chunk)
                if limit is not None and read >= limit:
                    return

    def _steps(self, stored: BinaryIO) -> Iterator[bytes]:
        stream = pa.input_stream(stored, compression=self.file.compression)
        with contextlib.suppress(OSError):
            while chunk := stream.read(_SALVAGE_BYTES):
                yield chunk

    def _members(self, stored: BinaryIO) -> Iterator[bytes]:
        """Members of a gzip file. Zeros after the last one are padding, not damage."""
        member, data, begun = zlib.decompressobj(wbits=31), b"", False
        while data or (data := stored.read(_SALVAGE_BYTES)):
            try:
                yield member.decompress(data)
            except zlib.error:
                rest = data + stored.read()
                self.damage = self.damage if begun or rest.strip(b"\x00") else None
                return
            data, begun = member.unused_data, not member.eof
            if member.eof:
                member = zlib.decompressobj(wbits=31)

    @property
    def _is_plain_local(self) -> bool:
        """Whether workers can read byte ranges of the file themselves."""
        return self.is_as_stored and self.file.is_local and self.file.unprintable is None

    def _piece(self, data: bytes, line: int, offset: int, length: int) -> Piece:
        if self._is_plain_local:
            return Piece(self.file.path, line, self.file.modified, None, offset, length)
        return Piece(self.file.path, line, self.file.modified, data)

    def _position(self, stored: BinaryIO) -> int:
        try:
            return min(stored.tell(), self.file.size)
        except (OSError, ValueError):
            return self.file.size


def first_trees(head: bytes) -> list[Any]:
    """Decodes those of the first lines that are JSON."""
    trees = []
    lines = enumerate(head.removeprefix(BOM).split(b"\n", _SNIFFED_LINES)[:_SNIFFED_LINES])
    for _, row in containers.joined(lines) if containers.has_pieces(head) else lines:
        line = row.strip(BLANK)
        tree: Any = None
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            tree = msgspec.json.decode(line)
        if not isinstance(tree, dict | list):
            repaired = lenient.repaired(line)
            tree = tree if repaired is None else msgspec.json.decode(repaired)
        if tree is not None:
            trees.append(tree)
    return trees


def lines(content: Content) -> Iterator[bytes]:
    """The lines of a file without line ends; those that a container runtime split are joined."""
    physical = _physical_lines(content)
    if containers.has_pieces(content.head()):
        return (line for _, line in containers.joined(enumerate(physical)))
    return physical


def _physical_lines(content: Content) -> Iterator[bytes]:
    carried = b""
    for chunk in content.chunks():
        *whole, carried = (carried + chunk).split(b"\n")
        yield from whole
    if carried:
        yield carried


def row_pieces(file: LogFile, rows: Iterator[bytes]) -> Iterator[Piece]:
    """Pieces of rows, one row per line; line numbers are row numbers."""
    waiting: list[bytes] = []
    first, size = 1, 0
    number = 0
    for number, row in enumerate(rows, start=1):
        waiting.append(row)
        size += len(row) + 1
        if size >= BLOCK_BYTES:
            yield Piece(file.path, first, file.modified, b"\n".join(waiting) + b"\n")
            waiting, first, size = [], number + 1, 0
    if waiting:
        yield Piece(file.path, first, file.modified, b"\n".join(waiting) + b"\n")


def compact(row: bytes) -> bytes:
    """A row on one line."""
    if b"\n" not in row:
        return row
    try:
        return msgspec.json.format(row, indent=-1)
    except (msgspec.DecodeError, RecursionError):
        return row.replace(b"\n", b" ")


def compacted(rows: Iterator[bytes], digest: "hashlib._Hash | None") -> Iterator[bytes]:
    """Rows, each on one line. Updates `digest` with the lines."""
    for row in rows:
        line = compact(row)
        if digest is not None:
            digest.update(line + b"\n")
        yield line
