"""The canonical record: one attempt at one request, with its Arrow schema and JSONL codec.

Every log format is read into this, the router writes it, and every later stage reads it. Messages
stay raw JSON: nothing a client sent is lost, and a scan that does not need them does not decode them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import accumulate
from operator import attrgetter
from typing import Any, Literal

import msgspec
import pyarrow as pa

SCHEMA_VERSION = 1

Purpose = Literal["serve", "retry", "escalation", "consistency", "shadow", "audit"]
Visibility = Literal["human", "background", "unknown"]


class Params(msgspec.Struct, frozen=True, omit_defaults=True):
    """Sampling and transport parameters of a request."""

    max_tokens: int | None = None
    """Cap on output tokens (`max_completion_tokens` is read into this too)."""
    temperature: float | None = None
    stream: bool = False
    other: dict[str, Any] = {}
    """Every other parameter as it was sent: top_p, seed, stop, n, tool_choice, logprobs, ..."""


class Output(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came back."""

    text: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    """In OpenAI's form."""
    finish_reason: str | None = None
    """stop | length | tool_calls | content_filter; None for a failed or cut attempt."""


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Tokens as billed, each counted once: `input_uncached + cache_read + cache_write` is the whole prompt.

    Providers spell and count them differently; `traffic.usage` normalises to this.
    """

    input_uncached: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    """Includes reasoning tokens."""
    reasoning: int = 0
    cache_write_1h: int = 0
    """Of `cache_write`, those written to a cache that is kept for an hour: some providers charge more for them."""
    web_searches: int = 0
    """Searches that the provider ran for the answer, billed by the request."""
    estimated: bool = False
    """Counted here from lengths of texts, because the provider did not get to state it (a stream that was cut)."""

    @property
    def input_total(self) -> int:
        return self.input_uncached + self.cache_read + self.cache_write


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One attempt. Cost sums over all purposes; traffic, quality and training count `serve` once per `request_id`."""

    schema_version: int = SCHEMA_VERSION
    id: str
    """Unique in the store."""
    request_id: str
    """What the caller asked once: shared by its retries, escalations, shadows."""
    purpose: Purpose = "serve"
    attempt: int = 1
    parent_id: str | None = None
    ts: datetime
    """Start of the attempt, UTC."""
    trace_id: str | None = None
    session_id: str | None = None
    call_site: str | None = None
    """The place in the application's code that asks, such as `support.intent`."""
    feature: str | None = None
    """The product feature that pays for it; equals the call site where the log has only one of them."""
    request_type: str | None = None
    visibility: Visibility = "unknown"
    cohort: dict[str, str] = {}
    """`plan`, `language`, and whatever else the ingest mapping names; absent where the log says null."""
    user_id: str | None = None
    customer_id: str | None = None
    messages: msgspec.Raw
    """JSON list of chat messages in OpenAI's form, as sent."""
    tools: list[dict[str, Any]] | None = None
    response_format: dict[str, Any] | None = None
    params: Params = Params()
    output: Output = Output()
    usage: Usage | None = None
    """None where the source does not say: unknown, not zero."""
    provider: str | None = None
    model: str | None = None
    tier: int | None = None
    """1, 2 or 3 as logged; None where the log has no tiers (the rules decide later)."""
    rule: str | None = None
    endpoint: str | None = None
    deployment: str | None = None
    adapter: str | None = None
    confidence: float | None = None
    escalated: str | None = None
    """Why a higher tier was asked; None when it was not."""
    cache_hit: bool = False
    """The gateway's own answer cache, not the provider's prompt cache."""
    status: int = 200
    """HTTP status of the attempt; 0 when it failed before any arrived."""
    error: str | None = None
    ttft_ms: float | None = None
    latency_ms: float | None = None
    cost_usd: float | None = None
    """None when unpriced; never 0 by default."""
    price_source: str | None = None
    """`logged`, or the price table's name and date."""
    template: str | None = None
    source_format: str


class Message(msgspec.Struct, frozen=True):
    """The parts of a chat message that rules look at; other keys stay in the raw JSON."""

    role: str
    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[dict[str, Any]] | None = None

    @property
    def text(self) -> str:
        """The text of the message; parts that are not text (images, audio) contribute nothing."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(str(part.get("text", "")) for part in self.content or [] if part.get("type") == "text")


_decode_messages = msgspec.json.Decoder(list[Message]).decode
_decode_record = msgspec.json.Decoder(Record).decode
_encoder = msgspec.json.Encoder()


def decode_messages(raw: msgspec.Raw | bytes | str) -> list[Message]:
    """Messages of a record. Raises: msgspec.ValidationError if it is not a list of chat messages."""
    return _decode_messages(raw)


def decode_record(line: bytes | str) -> Record:
    """One line of a request log. Raises: msgspec.DecodeError, msgspec.ValidationError."""
    return _decode_record(line)


def encode_record(record: Record) -> bytes:
    """One line of a request log, without the line end."""
    return _encoder.encode(record)


_MAP = pa.map_(pa.string(), pa.string())
ARROW_SCHEMA = pa.schema(
    [
        pa.field("schema_version", pa.int32(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("request_id", pa.string(), nullable=False),
        pa.field("purpose", pa.string(), nullable=False),
        pa.field("attempt", pa.int32(), nullable=False),
        ("parent_id", pa.string()),
        pa.field("ts", pa.timestamp("us", tz="UTC"), nullable=False),
        ("trace_id", pa.string()),
        ("session_id", pa.string()),
        ("call_site", pa.string()),
        ("feature", pa.string()),
        ("request_type", pa.string()),
        ("visibility", pa.string()),
        ("cohort", _MAP),
        ("user_id", pa.string()),
        ("customer_id", pa.string()),
        # Bodies are JSON text: DuckDB and `datasets` read them without knowing every provider's shapes.
        pa.field("messages", pa.string(), nullable=False),
        ("tools", pa.string()),
        ("response_format", pa.string()),
        (
            "params",
            pa.struct(
                [
                    ("max_tokens", pa.int64()),
                    ("temperature", pa.float64()),
                    ("stream", pa.bool_()),
                    ("other", pa.string()),
                ]
            ),
        ),
        (
            "output",
            pa.struct([("text", pa.string()), ("tool_calls", pa.string()), ("finish_reason", pa.string())]),
        ),
        (
            "usage",
            pa.struct(
                [
                    ("input_uncached", pa.int64()),
                    ("cache_read", pa.int64()),
                    ("cache_write", pa.int64()),
                    ("output", pa.int64()),
                    ("reasoning", pa.int64()),
                    # Parts of a store from before these columns lack them: readers see null.
                    ("cache_write_1h", pa.int64()),
                    ("web_searches", pa.int64()),
                    ("estimated", pa.bool_()),
                ]
            ),
        ),
        ("provider", pa.string()),
        ("model", pa.string()),
        ("tier", pa.int32()),
        ("rule", pa.string()),
        ("endpoint", pa.string()),
        ("deployment", pa.string()),
        ("adapter", pa.string()),
        ("confidence", pa.float64()),
        ("escalated", pa.string()),
        ("cache_hit", pa.bool_()),
        ("status", pa.int32()),
        ("error", pa.string()),
        ("ttft_ms", pa.float64()),
        ("latency_ms", pa.float64()),
        ("cost_usd", pa.float64()),
        ("price_source", pa.string()),
        ("template", pa.string()),
        ("source_format", pa.string()),
        # Derived when the record enters the store, so that aggregation never touches the bodies.
        pa.field("request_hash", pa.string(), nullable=False),
        ("system_hash", pa.string()),
        ("input_chars", pa.int64()),
    ]
)
"""The records store's columns: the record's fields, bodies as JSON text, and three derived ones."""


def _json_texts(values: Sequence[Any]) -> list[str | None]:
    # Readers share what comes back in many records; it is encoded once.
    texts: dict[int, str | None] = {id(None): None}
    for value in values:
        if id(value) not in texts:
            texts[id(value)] = _encoder.encode(value).decode()
    return [texts[id(value)] for value in values]


class ArrowRow(msgspec.Struct, frozen=True):
    """A record with its derived columns: one row of `ARROW_SCHEMA`."""

    record: Record
    request_hash: str
    system_hash: str | None
    input_chars: int


def usage_of_row(columns: Mapping[str, Any]) -> Usage:
    """The usage of a stored row, also of one from before some of its fields."""
    return Usage(**{name: value for name, value in columns.items() if value is not None})


def to_table(rows: Iterable[ArrowRow]) -> pa.Table:
    """Rows as a table of `ARROW_SCHEMA`. Raises: pyarrow.ArrowInvalid, OverflowError for a number beyond its column."""
    listed = list(rows)
    # Column by column, nested ones from their children: several times as fast as rows of dictionaries.
    values = dict(zip(Record.__struct_fields__, _columns(listed, _record_of, Record), strict=True))
    values |= zip(ArrowRow.__struct_fields__, _columns(listed, _itself, ArrowRow), strict=True)
    return pa.Table.from_arrays([_array(field, values[field.name]) for field in ARROW_SCHEMA], schema=ARROW_SCHEMA)


_record_of = attrgetter("record")


def _itself(value: Any) -> Any:
    return value


def _columns(rows: Sequence[Any], part: Callable[[Any], Any], kind: type[msgspec.Struct]) -> list[tuple[Any, ...]]:
    """The values of each field of the structs that `part` finds in rows."""
    columns = list(zip(*map(msgspec.structs.astuple, map(part, rows)), strict=True))
    return columns or [()] * len(kind.__struct_fields__)


def _array(field: pa.Field, values: Sequence[Any]) -> pa.Array:
    if values.count(None) == len(values):
        return pa.nulls(len(values), field.type)
    match field.name:
        case "cohort":
            return _map_array(values)
        case "messages":
            return pa.array(list(map(bytes, values)), field.type)
        case "tools" | "response_format":
            return pa.array(_json_texts(values), field.type)
        case "params":
            return _struct_array(field, values, Params, other=lambda column: _json_texts([v or None for v in column]))
        case "output":
            return _struct_array(field, values, Output, tool_calls=_json_texts)
        case "usage":
            return _struct_array(field, values, Usage)
    return pa.array(values, field.type)


def _struct_array(
    field: pa.Field,
    parts: Sequence[Any],
    kind: type[msgspec.Struct],
    **texts: Callable[[Sequence[Any]], list[str | None]],
) -> pa.Array:
    """Structs as they are, apart from the fields that `texts` makes JSON text of."""
    missing = [part is None for part in parts]
    empty = kind()
    filled = [empty if part is None else part for part in parts] if any(missing) else parts
    values: dict[str, Sequence[Any]] = dict(zip(kind.__struct_fields__, _columns(filled, _itself, kind), strict=True))
    values |= {name: text_of(values[name]) for name, text_of in texts.items()}
    children = [pa.array(values[child.name], child.type) for child in field.type]
    mask = pa.array(missing, pa.bool_()) if any(missing) else None
    return pa.StructArray.from_arrays(children, fields=list(field.type), mask=mask)


def _map_array(maps: Sequence[Mapping[str, str]]) -> pa.Array:
    offsets = [0, *accumulate(map(len, maps))]
    keys = [key for each in maps for key in each]
    values = [value for each in maps for value in each.values()]
    return pa.MapArray.from_arrays(
        pa.array(offsets, pa.int32()), pa.array(keys, pa.string()), pa.array(values, pa.string())
    )
