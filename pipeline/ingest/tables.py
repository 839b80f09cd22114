"""Rows of CSV, Parquet and Arrow files as JSON lines."""

import codecs
import contextlib
import csv
import io
import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.ingest import lenient
from pipeline.ingest.content import BOM, Content
from pipeline.ingest.sources import LogFile
from traffic.errors import InputError

csv.field_size_limit(64 << 20)

_EMPTY = (None, "", "\\N", "NULL")
"""Cells without a value; Postgres and MySQL write `\\N` for null, tools of SQL Server and MySQL `NULL`."""
_SEPARATOR_LINE = re.compile(rb'"?sep=[,;\t|]"?\r?\n')
"""First line with which a spreadsheet says what separates the cells."""
_COPY = re.compile(rb"^COPY [^\n(]+\(([^\n)]+)\) FROM stdin;\r?$", re.MULTILINE | re.IGNORECASE)
"""Statement of a Postgres dump before the rows of a table, with the columns."""
_NULL_CELL = re.compile(rb"(?:^|\t)\\N(?:\t|\r?$)", re.MULTILINE)
_QUOTED_CELL = re.compile(rb'\A"|(?:^|\t)"[^"\t\n]*(?:""[^\t\r\n]|\n)', re.MULTILINE)
"""A quoted column name, or a quoted cell that needs its quotes: it holds quotes, doubled, or several lines."""
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_BACKSLASHED = re.compile(rb'(?:^|[,;\t|])"[\[{]+\s*\\"', re.MULTILINE)
"""A JSON cell whose quotes are escaped with backslashes instead of doubled (RFC 4180)."""


def parquet_rows(file: LogFile) -> Iterator[bytes]:
    """Rows of a Parquet or Arrow file as JSON. Raises: InputError for a damaged one."""
    try:
        with file.open() as stored:
            for batch in _batches(stored):
                for row in batch.to_pylist(maps_as_pydicts="lossy"):
                    cells = {key: _decoded_bytes(value) for key, value in row.items() if value is not None}
                    yield msgspec.json.encode(cells, enc_hook=str)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{file.path}: damaged Parquet or Arrow file: {error}") from None


def _decoded_bytes(value: Any) -> Any:
    """Decodes text that a warehouse stored as bytes; other values are unchanged."""
    if isinstance(value, bytes):
        with contextlib.suppress(UnicodeDecodeError):
            return value.decode()
    return value


def _batches(stored: BinaryIO) -> Iterator[pa.RecordBatch]:
    magic = stored.read(4)
    stored.seek(0)
    if magic == b"PAR1":
        yield from pq.ParquetFile(stored).iter_batches(batch_size=512)
    elif magic == b"ARRO":
        opened = pa.ipc.open_file(stored)
        yield from map(opened.get_batch, range(opened.num_record_batches))
    else:
        yield from pa.ipc.open_stream(stored)


def csv_rows(content: Content) -> Iterator[bytes]:
    """Rows of a CSV file with a header or of a Postgres dump as JSON objects of text; empty cells are left out."""
    head = content.head()
    lines = itertools.islice(_lines(content), int(_SEPARATOR_LINE.match(head.removeprefix(BOM)) is not None), None)
    for row in _copied(lines) if _is_copied(head) else csv.DictReader(lines, dialect=_dialect(head)):
        cells = {key: _json_cell(value) for key, value in row.items() if key and value not in _EMPTY}
        # Azure's portal writes the zone into the names of times.
        yield msgspec.json.encode({key.removesuffix(" [UTC]"): value for key, value in cells.items()})


def _is_copied(head: bytes) -> bool:
    """Whether cells are separated by tabs and escaped with backslashes, never quoted (COPY of Postgres, MySQL)."""
    if _COPY.search(head) is not None:
        return True
    table = _table(head)
    return b"\t" in table.split(b"\n", 1)[0] and bool(_NULL_CELL.search(table)) and not _QUOTED_CELL.search(table)


def _copied(lines: Iterable[str]) -> Iterator[dict[str, str]]:
    """Rows between `COPY ... FROM stdin;` and `\\.`, or all rows of a file that begins with their columns."""
    columns: list[str] = []
    for number, line in enumerate(lines):
        cells = line.rstrip("\r\n").split("\t")
        if (statement := _COPY.match(line.rstrip("\r\n").encode())) is not None:
            columns = _columns(statement)
        elif cells == ["\\."]:
            columns = []
        elif number == 0 and len(cells) > 1:
            columns = cells
        elif columns:
            yield {
                name: cell if cell == "\\N" else _ESCAPE.sub(lambda escape: _ESCAPED.get(escape[1], escape[1]), cell)
                for name, cell in zip(columns, cells, strict=False)
            }


def _columns(statement: re.Match[bytes]) -> list[str]:
    return [name.strip().strip('"') for name in statement[1].decode("utf-8", "replace").split(",")]


def _json_cell(cell: Any) -> Any:
    """An object as Python prints it, which data frames write into cells, as JSON; other cells are unchanged.

    Formats that decode a column as raw JSON (LiteLLM's) read no other spelling.
    """
    if not isinstance(cell, str) or not cell.startswith(("{'", "[{'")):
        return cell
    repaired = lenient.repaired(cell.encode())
    return cell if repaired is None else repaired.decode()


def _table(head: bytes) -> bytes:
    """The head from its header on."""
    head = head.removeprefix(BOM)
    named = _SEPARATOR_LINE.match(head)
    return head[named.end() :] if named else head


def _dialect(head: bytes) -> Any:
    first = _table(head).split(b"\n", 1)[0].decode("utf-8", "replace")
    delimiter = max(",;\t|", key=first.count)
    if not _BACKSLASHED.search(head):
        return type("Dialect", (csv.excel,), {"delimiter": delimiter})
    return type("Dialect", (csv.excel,), {"delimiter": delimiter, "doublequote": False, "escapechar": "\\"})


def _as_windows(error: UnicodeError) -> tuple[str, int]:
    """Error handler: decodes bytes that are not UTF-8 as Windows-1252, as spreadsheets write them."""
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


def _lines(content: Content) -> Iterator[str]:
    codecs.register_error("cp1252", _as_windows)
    decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="cp1252")
    carried = ""
    for chunk in content.chunks():
        # Line ends are kept: the CSV reader joins lines inside quoted cells.
        *lines, carried = (carried + decoder.decode(chunk)).split("\n")
        for line in lines:
            yield line + "\n"
    if carried:
        yield carried


def csv_header(head: bytes) -> list[str]:
    """Column names, if the first line looks like a header of several columns or a dump names them."""
    if (statement := _COPY.search(head)) is not None:
        return _columns(statement)
    first = _table(head).split(b"\n", 1)[0].decode("utf-8", "replace").strip()
    try:
        names = next(csv.reader(io.StringIO(first), dialect=_dialect(head)), [])
    except csv.Error:
        return []
    return names if len(names) > 1 and all(name.strip() and len(name) < 80 for name in names) else []
