"""Log files: which there are, what they hold (by magic bytes, not by name), and blocks of whole lines out of them.

A plain file is cut into byte ranges that workers read themselves; a compressed one is one stream, which
is decompressed here, block by block, so that memory stays flat whatever its size.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec
import pyarrow as pa

from traffic.errors import InputError, NotFound

BLOCK_BYTES = 8 << 20
"""Workers hold a block, its records and its Arrow columns at once: about ten times this."""

PATTERNS = ("*.jsonl", "*.json", "*.ndjson", "*.gz", "*.zst")
"""What is taken from a folder; a file that is named itself may be called anything."""

_HEAD_BYTES = 1 << 20
_DOCUMENT_BYTES = 256 << 20
_SNIFFED_LINES = 50
_MAGIC: dict[bytes, Literal["gzip", "zstd"]] = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}


class LogFile(msgspec.Struct, frozen=True):
    """One file to read."""

    path: Path
    size: int
    """Bytes as stored."""
    compression: Literal["gzip", "zstd"] | None
    named: bool
    """Given by the user, not found in a folder."""


class Block(msgspec.Struct, frozen=True):
    """Whole lines: the bytes, or where they stand in a plain file."""

    first_line: int
    """Number of the first line, from 1."""
    position: int
    """Stored bytes of the file up to the end of this block."""
    data: bytes | None = None
    path: str = ""
    offset: int = 0
    length: int = 0

    def read(self) -> bytes:
        """The lines."""
        if self.data is not None:
            return self.data
        with Path(self.path).open("rb") as file:
            file.seek(self.offset)
            return file.read(self.length)


def find(sources: Sequence[Path]) -> list[LogFile]:
    """Files of `sources`, folders searched recursively, each file once. Raises: NotFound, InputError."""
    if not sources:
        raise InputError("no log given; say `fasttier ingest FILE_OR_FOLDER...`")
    found: dict[Path, bool] = {}
    for source in sources:
        if source.is_dir():
            inside = sorted({path for pattern in PATTERNS for path in source.rglob(pattern) if path.is_file()})
            if not inside:
                raise NotFound(f"no log in {source}: looked for {', '.join(PATTERNS)} in it and below")
            for path in inside:
                found.setdefault(path.resolve(), False)
        elif source.is_file():
            found[source.resolve()] = True
        else:
            raise NotFound(f"no such file or folder: {source}")
    return [_look(path, named) for path, named in found.items()]


def stored_sha256(file: LogFile) -> str:
    """Hash of the file's bytes as they are stored, up to the size it was found with."""
    digest, left = hashlib.sha256(), file.size
    with file.path.open("rb") as stream:
        while chunk := stream.read(min(left, BLOCK_BYTES)):
            digest.update(chunk)
            left -= len(chunk)
    return digest.hexdigest()


def first_trees(file: LogFile) -> list[Any]:
    """The first lines that are JSON, decoded. Raises: InputError for a damaged compressed file."""
    trees = []
    for line in _head(file).splitlines()[:_SNIFFED_LINES]:
        try:
            trees.append(msgspec.json.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
    return trees


def document(file: LogFile) -> list[msgspec.Raw] | None:
    """Rows of a file that is one JSON document (a list, or one object over several lines); None if it is none.

    Raises: InputError when it is too large to be read at once.
    """
    head = _head(file)
    if not head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"[", b"{")):
        return None
    data = b"".join(_chunks(file, limit=_DOCUMENT_BYTES + 1))
    try:
        rows = msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf"), type=list[msgspec.Raw] | dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError):
        if len(data) <= _DOCUMENT_BYTES or b"\n" in head:
            return None
        raise InputError(
            f"{file.path}: one JSON document of more than {_DOCUMENT_BYTES >> 20} MB; write one object per line "
            "(`jq -c '.[]'`) and ingest that"
        ) from None
    if isinstance(rows, list):
        return rows
    # Some exports wrap their rows: {"data": [...]}.
    wrapped = rows.get("data")
    if wrapped is not None and bytes(wrapped).lstrip().startswith(b"["):
        return msgspec.json.decode(wrapped, type=list[msgspec.Raw])
    return [msgspec.Raw(data.strip())]


def blocks(file: LogFile, digest: "hashlib._Hash", size: int = BLOCK_BYTES) -> Iterator[Block]:
    """The file in blocks of about `size` bytes that end with a line; `digest` is fed what they hold.

    Raises: InputError for a damaged compressed file.
    """
    line, offset, carried = 1, 0, b""
    with file.path.open("rb") as stored:
        for chunk in _chunks(file, stored=stored, step=size):
            digest.update(chunk)
            end = chunk.rfind(b"\n") + 1
            if not end:
                carried += chunk
                continue
            data = carried + chunk[:end]
            carried = chunk[end:]
            yield _block(file, data, line, offset, stored.tell())
            line += data.count(b"\n")
            offset += len(data)
    if carried:
        yield _block(file, carried, line, offset, file.size)


def document_blocks(rows: Sequence[msgspec.Raw], digest: "hashlib._Hash", size: int) -> Iterator[Block]:
    """The same for a document: one row a line, so that the line number is the row's."""
    waiting: list[bytes] = []
    first, held = 1, 0
    for number, row in enumerate(rows, start=1):
        line = msgspec.json.format(bytes(row), indent=-1) + b"\n"
        digest.update(line)
        waiting.append(line)
        held += len(line)
        if held >= BLOCK_BYTES or number == len(rows):
            yield Block(first, size * number // len(rows), b"".join(waiting))
            waiting, first, held = [], number + 1, 0


def _block(file: LogFile, data: bytes, line: int, offset: int, position: int) -> Block:
    if file.compression is None:
        return Block(line, offset + len(data), None, str(file.path), offset, len(data))
    return Block(line, position, data)


def _look(path: Path, named: bool) -> LogFile:
    try:
        with path.open("rb") as stream:
            start = stream.read(4)
            size = stream.seek(0, 2)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    compression = next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), None)
    return LogFile(path, size, compression, named)


def _head(file: LogFile) -> bytes:
    """The first lines: at least a whole one, without the last, which may be cut, unless it ends the file."""
    data = bytearray()
    for chunk in _chunks(file, step=_HEAD_BYTES, limit=64 * _HEAD_BYTES):
        data += chunk
        if b"\n" in chunk:
            # At the end of the file the last line is whole even without a line end.
            return bytes(data if len(chunk) < _HEAD_BYTES else data[: data.rfind(b"\n") + 1])
    return bytes(data)


def _chunks(
    file: LogFile, *, stored: BinaryIO | None = None, step: int = BLOCK_BYTES, limit: int | None = None
) -> Iterator[bytes]:
    """Decompressed bytes, at most `limit`. A plain file that grows meanwhile is read to its size when it was found."""
    left = limit if limit is not None else None
    if file.compression is None:
        left = file.size if left is None else min(left, file.size)
    if stored is None:
        with file.path.open("rb") as opened:
            yield from _chunks(file, stored=opened, step=step, limit=limit)
        return
    try:
        # Neither stream is closed here: the caller owns the file below it.
        stream: Any = stored if file.compression is None else pa.input_stream(stored, compression=file.compression)
        while left is None or left > 0:
            chunk = stream.read(step if left is None else min(step, left))
            if not chunk:
                return
            left = None if left is None else left - len(chunk)
            yield chunk
    except OSError as error:
        raise InputError(f"{file.path}: damaged {file.compression} file: {error}") from None
