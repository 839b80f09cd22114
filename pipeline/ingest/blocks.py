"""One block of lines to staged records: the pure function that the workers run.

The same block, format and mapping give the same files, whichever process reads it.
"""

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from pipeline.ingest.formats import FORMATS, LineReader, Reading, Unreadable
from pipeline.ingest.mapping import TagMapping
from pipeline.ingest.sources import Block
from pipeline.ingest.values import TIMEOUTS
from pipeline.store.derived import arrow_row
from pipeline.store.manifest import Signal
from pipeline.store.staging import RejectedLine, stage_block
from traffic.prices import PriceTable
from traffic.record import Record, to_table

_BOM = b"\xef\xbb\xbf"


class Job(msgspec.Struct, frozen=True):
    """What every block of a file has in common."""

    source: str
    format: str
    mapping: bytes
    """The mapping as JSON: workers keep the reader that is built from it."""
    staging: str


class Report(msgspec.Struct, frozen=True):
    """What one block gave."""

    block: int
    bytes: int
    read: int
    rejected: int
    days: list[str]
    reasons: dict[str, int]
    unpriced: dict[str, int]
    call_sites: dict[str, int]


def read_block(number: int, block: Block, job: Job) -> Report:
    """Read a block and stage what it gives under its number, which is unique in the commit."""
    data = block.read()
    try:
        return _read_lines(number, data, block.first_line, job)
    except (pa.ArrowInvalid, OverflowError):
        # Some number fits JSON but not its column. Rare enough to look for only then.
        return _read_lines(number, data, block.first_line, job, each_fits=True)


def _read_lines(number: int, data: bytes, first_line: int, job: Job, *, each_fits: bool = False) -> Report:
    read = _reader(job.format, job.mapping)
    rows: list[dict[str, Any]] = []
    signals: dict[Signal, list[dict[str, Any]]] = {"feedback": [], "consumed": []}
    rejected: list[RejectedLine] = []
    unpriced: Counter[str] = Counter()
    for line_number, line in _lines(data, first_line):
        try:
            # Fields that are skipped are not decoded, so this is the only check of their bytes.
            line.decode()
            reading = read(line)
            row = arrow_row(_priced(reading.record, unpriced))
            if each_fits:
                to_table([row])
        except (msgspec.MsgspecError, UnicodeError, ValueError, OverflowError) as error:
            reason, detail = _why(line, error)
            rejected.append(RejectedLine.of(job.source, line_number, reason, detail, line))
            continue
        rows.append(row)
        _note(reading, signals)
    days = stage_block(Path(job.staging), number, rows, signals, rejected)
    return Report(
        block=number,
        bytes=len(data),
        read=len(rows) + len(rejected),
        rejected=len(rejected),
        days=days,
        reasons=dict(Counter(line.reason for line in rejected)),
        unpriced=dict(unpriced),
        call_sites=dict(Counter(row["call_site"] for row in rows if row["call_site"])),
    )


@lru_cache(maxsize=8)
def _reader(name: str, mapping: bytes) -> LineReader:
    return FORMATS[name].reader(msgspec.json.decode(mapping, type=TagMapping))


@lru_cache(maxsize=1)
def _prices() -> PriceTable:
    return PriceTable.load()


def _lines(data: bytes, first: int) -> Iterator[tuple[int, bytes]]:
    if first == 1:
        data = data.removeprefix(_BOM)
    # Blocks end with a line end; what follows the last one is not a line.
    lines = data.removesuffix(b"\n").split(b"\n")
    for number, line in enumerate(lines, start=first):
        yield number, line.strip()


def _priced(record: Record, unpriced: Counter[str]) -> Record:
    """The record with a cost where the log has none and the price is known."""
    if record.cost_usd is not None:
        return record
    if record.cache_hit:
        # The gateway's own cache answered: nobody was asked, nobody bills.
        return msgspec.structs.replace(record, cost_usd=0.0, price_source="gateway cache")
    if record.usage is None and record.status >= 400 and record.status not in TIMEOUTS:
        # Turned down by the provider, which bills nothing for it.
        return msgspec.structs.replace(record, cost_usd=0.0, price_source="error answer")
    cost = _prices().cost_usd(record.usage, record.model, record.provider, record.ts.date(), unpriced)
    if cost.usd is None:
        return record
    return msgspec.structs.replace(record, cost_usd=cost.usd, price_source=cost.source)


def _note(reading: Reading, signals: dict[Signal, list[dict[str, Any]]]) -> None:
    record, feedback = reading.record, reading.feedback
    if feedback is not None:
        ts = feedback.ts or record.ts
        signals["feedback"].append(
            {"id": record.id, "thumb": feedback.thumb, "corrected": feedback.corrected, "ts": ts}
        )
    if not isinstance(reading.consumed_at, msgspec.UnsetType):
        signals["consumed"].append({"id": record.id, "consumed_at": reading.consumed_at})


def _why(line: bytes, error: Exception) -> tuple[str, str]:
    """A short code and a sentence."""
    if isinstance(error, Unreadable):
        return error.reason, str(error)
    if isinstance(error, UnicodeDecodeError):
        return "invalid_utf8", f"{error.reason} at byte {error.start}"
    if not line:
        return "empty_line", "nothing in it"
    try:
        msgspec.json.decode(line)
    except msgspec.DecodeError as broken:
        # A decoder that meets the end of the line inside a value; anything else never was JSON.
        return ("cut_json" if line[:1] in b"{[" and "truncated" in str(broken) else "not_json"), str(broken)
    # JSON inside a string of valid JSON may be broken too: that is a wrong value, not a broken line.
    return ("missing_field" if "missing required field" in str(error) else "wrong_types"), str(error)
