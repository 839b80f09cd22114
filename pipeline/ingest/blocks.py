"""Reads one block of lines into staged records; this is what the workers run.

The output depends on block, format and mapping only, not on the process.
"""

import contextlib
import gc
import io
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from itertools import chain, islice
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from pipeline.ingest import containers, envelope, lenient
from pipeline.ingest.content import BLANK, Piece
from pipeline.ingest.formats import FORMATS, LineReader, NotARequest, Reading, Unreadable
from pipeline.ingest.formats.format import UNDATED, StepReader
from pipeline.ingest.mapping import TagMapping
from pipeline.ingest.stored_content import StoredElsewhere, with_stored
from pipeline.ingest.summary import DATED_WITH_FILE
from pipeline.ingest.values import TIMEOUTS
from pipeline.store.derived import read_row
from pipeline.store.identity import content_hash
from pipeline.store.manifest import Signal
from pipeline.store.staging import RejectedLine, stage_block
from traffic.gateway_marks import mark_in
from traffic.prices import PriceTable
from traffic.record import ArrowRow, Record, decode_messages, to_table
from traffic.usage import estimate

_BOM = b"\xef\xbb\xbf"
_BRACKETS = frozenset({b"[", b"]"})
"""Lines before and after the rows of a JSON list with one row per line."""
_LINES_AT_ONCE = 64
_MAX_SEARCHES = 20
_SHOWN_DETAIL = 120
"""A file may hold many lines of other programs. What is a request may depend on values too, so one is not enough."""


class Job(msgspec.Struct, frozen=True):
    """Settings shared by all pieces of a block."""

    format: str
    mapping: bytes
    """The mapping as JSON; workers cache the reader built from it."""
    staging: str
    path: envelope.Path = ()
    """Path to the rows inside each line."""
    since: datetime | None = None
    until: datetime | None = None


class PieceCount(msgspec.Struct):
    """Row counts of one piece."""

    read: int = 0
    rejected: int = 0


class Report(msgspec.Struct, frozen=True):
    """Result of one block."""

    block: int
    bytes: int
    pieces: list[PieceCount]
    days: list[str]
    counts: dict[str, dict[str, int]]
    """By name: `reasons`, `examples` (one per reason and block), `unpriced`,
    `call_sites`, `nulled`, `unknown`, `passed_over`, `marks`, `tags`, `notes`."""


_Row = tuple[int, bytes, Reading | Exception]
"""Line number, the row, and what was read or why not."""


class _Block:
    """Collects the rows of one block."""

    def __init__(self, job: Job, *, each_fits: bool) -> None:
        self.job, self.each_fits = job, each_fits
        self.is_limited = job.since is not None or job.until is not None
        self.read = _reader(job.format, job.mapping)
        self.steps = None if job.path else _step_reader(job.format, job.mapping)
        self.expand = FORMATS[job.format].expand
        self.rows: list[ArrowRow] = []
        self.piece_of: list[int] = []
        self.signals: dict[Signal, list[dict[str, Any]]] = {"feedback": [], "consumed": []}
        self.rejected: list[RejectedLine] = []
        self.searches: Counter[tuple[Any, ...] | None] = Counter()
        """Searches in vain for rows, by the keys of the line."""
        self.counts: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def add_piece(self, number: int, piece: Piece, data: bytes) -> PieceCount:
        counted = PieceCount()
        lines = _lines(data, piece.first_line)
        # A group of lines at a time, all of them through one step before the next: its code stays in the CPU cache.
        while group := list(islice(lines, _LINES_AT_ONCE)):
            rows: list[_Row] = []
            for (line_number, line), reading in zip(group, self._in_steps([line for _, line in group]), strict=True):
                rows += self._read_line(line_number, line) if reading is None else [(line_number, line, reading)]
            for line_number, row, reading_or_error in rows:
                self._add_row(number, piece, line_number, row, reading_or_error, counted)
        return counted

    def _in_steps(self, lines: list[bytes]) -> list[Reading | Exception | None]:
        """Results of the format's reader in steps; None without such a reader, and for lines it cannot decode."""
        results: list[Reading | Exception | None] = [None] * len(lines)
        if self.steps is None:
            return results
        running = {number: self.steps(line) for number, line in enumerate(lines) if _is_utf8(line)}
        while running:
            for number, steps in list(running.items()):
                try:
                    next(steps)
                except StopIteration as done:
                    results[number] = done.value
                    del running[number]
                except msgspec.DecodeError:
                    del running[number]
                except _READ_ERRORS as error:
                    results[number] = error
                    del running[number]
        return results

    def _read_line(self, line_number: int, line: bytes) -> list[_Row]:
        """The rows of a line."""
        try:
            # Decoders skip unused fields, so this is the only UTF-8 check of their bytes.
            if not line.isascii():
                line.decode()
            return [(line_number, row, self._reading(row)) for row in self._rows(line)]
        except _ROW_ERRORS as error:
            return [(line_number, line, error)]

    def _rows(self, line: bytes) -> Iterable[bytes]:
        """The rows of a line, usually the line itself."""
        if not self.job.path and self.expand is None:
            return (line,)
        try:
            rows = self._inside(line) if self.job.path else [line]
            return [inner for row in rows for inner in self.expand(row)] if self.expand else rows
        except msgspec.DecodeError:
            if (repaired := lenient.repaired(line)) is None or repaired == line:
                raise
            return self._rows(repaired)

    def _inside(self, line: bytes) -> list[bytes]:
        """The rows inside a line, of which a few may be wrapped otherwise than the file's others."""
        try:
            return list(envelope.rows_at(line, self.job.path))
        except KeyError:
            tree = msgspec.json.decode(line)
            if not isinstance(tree, dict) or (path := self._path_in(tree)) is None:
                raise
            return list(envelope.rows_at(line, path))

    def _path_in(self, tree: dict[str, Any]) -> envelope.Path | None:
        """The path to the rows of a line; None if it has none, also if that was so for lines with the same keys."""
        keys = envelope.keys_of(tree)
        if keys is not None and self.searches[keys] >= _MAX_SEARCHES:
            return None
        recognises = FORMATS[self.job.format].recognises
        path = () if recognises(tree) else envelope.find(tree, recognises)
        if path is None:
            self.searches[keys] += 1
        return path

    def _add_row(
        self, number: int, piece: Piece, line_number: int, row: bytes, reading: Reading | Exception, counted: PieceCount
    ) -> None:
        try:
            if isinstance(reading, StoredElsewhere):
                reading = self._reading(with_stored(row, reading.names, piece.source))
            if isinstance(reading, Exception):
                raise reading
            record = reading.record
            if record.ts is UNDATED:
                record = msgspec.structs.replace(record, ts=piece.modified)
                self.counts["notes"][DATED_WITH_FILE] += 1
            if self.is_limited and self._is_outside(record.ts):
                self.counts["passed_over"]["outside --since and --until"] += 1
                return
            if record.usage is None:
                record = self._with_usage(record)
            if record.cost_usd is None:
                record = _priced(record, self.counts["unpriced"])
            arrow_row, texts = read_row(record, reading.plain)
            if self.each_fits:
                to_table([arrow_row])
        except NotARequest as other:
            self.counts["passed_over"][other.kind] += 1
            return
        except _ROW_ERRORS as error:
            self._reject(piece, line_number, row, error, counted)
            return
        counted.read += 1
        self.rows.append(arrow_row)
        self.piece_of.append(number)
        self._note(reading, record, arrow_row.request_hash)
        if record.status == 200 and not record.output.text and not record.output.tool_calls:
            self.counts["notes"]["answers with neither text nor tool call (only reasoning, or not logged)"] += 1
        if mark := mark_in([record.output.text or "", *texts]):
            self.counts["marks"][mark] += 1

    def _reading(self, row: bytes) -> Reading | Exception:
        try:
            return self._read(row)
        except _READ_ERRORS as error:
            return error

    def _read(self, row: bytes) -> Reading:
        try:
            return self.read(row)
        except msgspec.DecodeError as error:
            is_strict = "Number out of range" in str(error)  # 1e400 becomes null, like Infinity.
            is_object = isinstance(error, msgspec.ValidationError) and row.startswith(b"{") and not is_strict
            repaired = None if is_object else lenient.repaired(row)
            if repaired is None:
                raise
            reading = self.read(repaired)
            self.counts["notes"]["rows mended (NaN, lone surrogates, text around the object, Python's spelling)"] += 1
            return reading

    def _with_usage(self, record: Record) -> Record:
        """Estimates the tokens of an answered request whose log has no usage."""
        output = record.output
        if (output.text is None and not output.tool_calls) or record.cache_hit:
            return record
        asked = sum(len(message.text) for message in decode_messages(record.messages))
        if not asked:
            return record
        asked += sum(len(msgspec.json.encode(part)) for part in (record.tools, record.response_format) if part)
        answered = len(output.text or "") + sum(len(str(call.get("function"))) for call in output.tool_calls or ())
        self.counts["notes"]["tokens estimated, the log has none"] += 1
        return msgspec.structs.replace(record, usage=estimate(asked, answered))

    def _is_outside(self, ts: datetime) -> bool:
        since, until = self.job.since, self.job.until
        return (since is not None and ts < since) or (until is not None and ts >= until)

    def _reject(self, piece: Piece, line_number: int, row: bytes, error: Exception, counted: PieceCount) -> None:
        reason, detail = _why(row, error)
        counted.read += 1
        counted.rejected += 1
        if not self.counts["reasons"][reason]:
            self.counts["examples"][f"{reason}: {detail[:_SHOWN_DETAIL]}"] += 1
        self.counts["reasons"][reason] += 1
        self.rejected.append(RejectedLine.of(piece.source, line_number, reason, detail, row))

    def _note(self, reading: Reading, record: Record, request_hash: str) -> None:
        feedback = reading.feedback
        if feedback is not None or reading.consumed_at is not msgspec.UNSET:
            owner = {"id": record.id, "content": content_hash(record, request_hash)}
            if feedback is not None:
                verdict = {"thumb": feedback.thumb, "corrected": feedback.corrected, "ts": feedback.ts or record.ts}
                self.signals["feedback"].append({**owner, **verdict})
            if reading.consumed_at is not msgspec.UNSET:
                self.signals["consumed"].append({**owner, "consumed_at": reading.consumed_at})
        if reading.nulled:
            self.counts["nulled"].update(reading.nulled)
        if reading.unknown:
            self.counts["unknown"].update(reading.unknown)
        if reading.media:
            self.counts["notes"]["images and files not kept"] += reading.media

    def count_tags(self) -> None:
        """Counts call sites and tags of all rows."""
        records = [row.record for row in self.rows]
        self.counts["call_sites"].update(record.call_site for record in records if record.call_site)
        tags = self.counts["tags"]
        for field in ("call_site", "user_id", "customer_id", "session_id"):
            tags[field] = len(records) - list(map(attrgetter(field), records)).count(None)
        tags.update(chain.from_iterable(record.cohort for record in records))
        tags["visibility"] = sum(record.visibility != "unknown" for record in records)


_ROW_ERRORS = (
    msgspec.MsgspecError,
    UnicodeError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
)
"""Errors that a damaged row can raise, since readers convert JSON of any shape. They reject the row, not the run."""
_READ_ERRORS = (NotARequest, *_ROW_ERRORS)


def read_block(number: int, pieces: tuple[Piece, ...], job: Job) -> Report:
    """Read a block and stage its records under `number`, which is unique in the commit."""
    _configure_arrow()
    loaded = [(piece, piece.read()) for piece in pieces]
    with _without_collections():
        try:
            return _read_pieces(number, loaded, job)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            # A number is too large for its column. This is rare, so rows are checked one by one only now.
            return _read_pieces(number, loaded, job, each_fits=True)


class _NoPandas:
    """Import finder that blocks pandas."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        if name == "pandas":
            raise ImportError(name)


@lru_cache(maxsize=1)
def _configure_arrow() -> None:
    """Once per process: make pyarrow use the system allocator and not import pandas.

    Its own allocator retains several times the memory in use. With the first array it would import pandas (0.2 s) to
    detect data frames. It tries only once; conversions to pandas try again.
    """
    pa.set_memory_pool(pa.system_memory_pool())
    sys.meta_path.insert(0, _NoPandas)
    try:
        pa.array([])
    finally:
        sys.meta_path.remove(_NoPandas)


@contextlib.contextmanager
def _without_collections() -> Iterator[None]:
    """Disables garbage collection: records have no cycles, and searching for them takes a tenth of a block's time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _read_pieces(number: int, loaded: list[tuple[Piece, bytes]], job: Job, *, each_fits: bool = False) -> Report:
    block = _Block(job, each_fits=each_fits)
    counted = [block.add_piece(position, piece, data) for position, (piece, data) in enumerate(loaded)]
    block.count_tags()
    days = stage_block(
        Path(job.staging),
        number,
        block.rows,
        block.signals,
        block.rejected,
        pieces=block.piece_of,
    )
    size = sum(len(data) for _, data in loaded)
    return Report(block=number, bytes=size, pieces=counted, days=days, counts=_counted(block.counts))


def _counted(counts: Mapping[str, Counter[str]]) -> dict[str, dict[str, int]]:
    counted = {name: {key: n for key, n in counter.items() if n} for name, counter in counts.items()}
    return {name: counter for name, counter in counted.items() if counter}


@lru_cache(maxsize=8)
def _reader(name: str, mapping: bytes) -> LineReader:
    return FORMATS[name].reader(msgspec.json.decode(mapping, type=TagMapping))


@lru_cache(maxsize=8)
def _step_reader(name: str, mapping: bytes) -> StepReader | None:
    steps = FORMATS[name].steps
    return None if steps is None else steps(msgspec.json.decode(mapping, type=TagMapping))


@lru_cache(maxsize=1)
def _prices() -> PriceTable:
    return PriceTable.load()


def _is_utf8(line: bytes) -> bool:
    try:
        return line.isascii() or line.decode() is not None
    except UnicodeDecodeError:
        return False


def _lines(data: bytes, first: int) -> Iterator[tuple[int, bytes]]:
    if first == 1:
        data = data.removeprefix(_BOM)
    # Not split at once: each copied line is read while it is in the CPU cache.
    lines = enumerate(io.BytesIO(data), start=first)
    for number, line in containers.joined(lines) if containers.has_pieces(data) else lines:
        row = line.strip(BLANK)
        # A set lookup hashes the whole row, so only rows of one byte are looked up.
        if len(row) > 1 or row not in _BRACKETS:
            yield number, row


def _priced(record: Record, unpriced: Counter[str]) -> Record:
    """Adds the cost to a record without one if the price is known."""
    if record.cache_hit:
        # Answered by the gateway's own cache: no provider bills for it.
        return msgspec.structs.replace(record, cost_usd=0.0, price_source="gateway cache")
    if record.usage is None and record.status >= 400 and record.status not in TIMEOUTS:
        # Providers do not bill requests that they refuse.
        return msgspec.structs.replace(record, cost_usd=0.0, price_source="error answer")
    tier = record.params.other.get("service_tier")
    tier = tier if isinstance(tier, str) else None
    cost = _prices().cost_usd(record.usage, record.model, record.provider, record.ts.date(), unpriced, tier)
    if cost.usd is None:
        return record
    return msgspec.structs.replace(record, cost_usd=cost.usd, price_source=cost.source)


def _why(line: bytes, error: Exception) -> tuple[str, str]:
    """Reason code and message."""
    if isinstance(error, Unreadable):
        return error.reason, str(error)
    if not line:
        return "empty_line", "nothing in it"
    if isinstance(error, UnicodeDecodeError):
        return "invalid_utf8", f"{error.reason} at byte {error.start}"
    if isinstance(error, RecursionError) or lenient.too_deep(line):
        return "too_deep", f"objects or lists nested deeper than {lenient.MAX_DEPTH} levels"
    try:
        msgspec.json.decode(line)
    except msgspec.DecodeError as broken:
        # "truncated": the line ends inside a value; otherwise it is not JSON.
        return ("cut_json" if line[:1] in b"{[" and "truncated" in str(broken) else "not_json"), str(broken)
    except RecursionError:
        return "too_deep", "nested too deeply to be read"
    if isinstance(error, KeyError):
        return "missing_field", f"no field {error}"
    if "time out of range" in str(error) or "not a time" in str(error) or "isoformat" in str(error):
        return "wrong_types", str(error)
    # Broken JSON inside a string of valid JSON is a wrong value, not a broken line.
    return ("missing_field" if "missing required field" in str(error) else "wrong_types"), str(error)
