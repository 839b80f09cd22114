"""The router's own request log: one `traffic.record.Record` per line.

Records are complete; the mapping fills missing fields and adds feedback and read times if the log was
joined with them.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from pipeline.ingest.bodies import Unreadable
from pipeline.ingest.formats.format import Format, LineReader, Reading, row_type
from pipeline.ingest.mapping import TagMapping
from pipeline.ingest.tags import TagReader
from pipeline.ingest.values import Notes
from traffic.record import SCHEMA_VERSION, decode_record

_FILLED = ("call_site", "feature", "user_id", "customer_id", "session_id", "tier")


def _recognises(tree: Mapping[str, Any]) -> bool:
    return {"id", "request_id", "ts", "messages", "source_format"} <= tree.keys()


def _reader(mapping: TagMapping) -> LineReader:
    tags = TagReader(mapping)
    rows = row_type((), mapping.roots())

    def read(line: bytes) -> Reading:
        record = decode_record(line)
        if record.schema_version > SCHEMA_VERSION:
            raise Unreadable("newer_schema", f"schema_version {record.schema_version}, known is {SCHEMA_VERSION}")
        if record.ts.tzinfo is None:
            raise Unreadable("wrong_types", "ts has no zone")
        notes = Notes()
        tags_read = tags.read(rows.tagged(rows.decode(line)), notes)
        filled = {name: getattr(tags_read, name) for name in _FILLED if getattr(record, name) is None}
        call_site = record.call_site or record.feature or tags_read.call_site
        record = msgspec.structs.replace(
            record,
            **filled | {"call_site": call_site, "feature": record.feature or call_site},
            visibility=tags_read.visibility if record.visibility == "unknown" else record.visibility,
            cohort=tags_read.cohort | record.cohort,
            messages=_messages(record.messages),
            # A negative amount is damaged, not a refund.
            cost_usd=None if record.cost_usd is not None and record.cost_usd < 0 else record.cost_usd,
        )
        return Reading(record, tags_read.feedback, tags_read.consumed_at, tuple(notes.nulled), tuple(notes.unknown))

    return read


def _messages(raw: msgspec.Raw) -> msgspec.Raw:
    """A copy, which does not keep the whole line in memory. Raises: Unreadable if it is not a non-empty list."""
    try:
        if not _decode_messages(raw):
            raise Unreadable("not_chat", "the list of messages is empty")
    except msgspec.ValidationError as error:
        raise Unreadable("wrong_types", f"messages: {error}") from None
    return msgspec.Raw(bytes(raw))


_decode_messages = msgspec.json.Decoder(list[msgspec.Raw]).decode

FORMAT = Format("native", _recognises, _reader)
