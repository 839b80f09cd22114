"""The canonical record: one attempt at one request, with its Arrow schema and JSONL codec.

Every log format is converted to it, the router writes it, and all later stages read it. Messages stay raw JSON: no
field of the client is lost, and a scan that does not need them does not decode them.
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
    """Maximum output tokens (also from `max_completion_tokens`)."""
    temperature: float | None = None
    stream: bool = False
    other: dict[str, Any] = {}
    """All other parameters as sent: top_p, seed, stop, n, tool_choice, logprobs, ..."""


class Output(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answer of an attempt."""

    text: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    """In OpenAI's format."""
    finish_reason: str | None = None
    """stop | length | tool_calls | content_filter; None for a failed or interrupted attempt."""


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Tokens as billed, each counted once: `input_uncached + cache_read + cache_write` is the whole prompt.

    Providers name and count them differently; `traffic.usage` normalises them.
    """

    input_uncached: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    """Includes reasoning tokens."""
    reasoning: int = 0
    cache_write_1h: int = 0
    """Part of `cache_write` written to a one-hour cache, for which some providers charge more."""
    web_searches: int = 0
    """Web searches by the provider, billed per search."""
    input_audio: int = 0
    """Part of the prompt that is sound, which has its own price."""
    output_audio: int = 0
    """Part of `output` that is sound."""
    estimated: bool = False
    """Estimated from text lengths because the provider did not state it (an interrupted stream)."""

    @property
    def input_total(self) -> int:
        return self.input_uncached + self.cache_read + self.cache_write


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One attempt. Cost sums over all purposes; traffic, quality and training count `serve` once per `request_id`."""

    schema_version: int = SCHEMA_VERSION
    id: str
    """Unique in the store."""
    request_id: str
    """Id of the caller's request, shared by its retries, escalations and shadows."""
    purpose: Purpose = "serve"
    attempt: int = 1
    parent_id: str | None = None
    ts: datetime
    """Start of the attempt, UTC."""
    trace_id: str | None = None
    session_id: str | None = None
    call_site: str | None = None
    """The place in the application's code that calls the model, such as `support.intent`."""
    feature: str | None = None
    """Product feature to which the cost belongs; equals the call site if the log has only one of them."""
    request_type: str | None = None
    visibility: Visibility = "unknown"
    cohort: dict[str, str] = {}
    """`plan`, `language` and other keys of the ingest mapping; keys with a null value are absent."""
    user_id: str | None = None
    customer_id: str | None = None
    messages: msgspec.Raw
    """JSON list of chat messages in OpenAI's format, as sent."""
    tools: list[dict[str, Any]] | None = None
    response_format: dict[str, Any] | None = None
    params: Params = Params()
    output: Output = Output()
    usage: Usage | None = None
    """None if the source does not state it: unknown, not zero."""
    provider: str | None = None
    model: str | None = None
    tier: int | None = None
    """1, 2 or 3 as logged; None if the log has no tiers (rules assign one later)."""
    rule: str | None = None
    endpoint: str | None = None
    deployment: str | None = None
    adapter: str | None = None
    confidence: float | None = None
    escalated: str | None = None
    """Reason of an escalation to a higher tier; None without one."""
    cache_hit: bool = False
    """The gateway's own answer cache, not the provider's prompt cache."""
    status: int = 200
    """HTTP status of the attempt; 0 if it failed before one arrived."""
    error: str | None = None
    ttft_ms: float | None = None
    latency_ms: float | None = None
    cost_usd: float | None = None
    """None if unpriced; never 0 by default."""
    price_source: str | None = None
    """`logged`, or the price table's name and date."""
    template: str | None = None
    source_format: str


class Message(msgspec.Struct, frozen=True):
    """The fields of a chat message that rules use; other keys stay in the raw JSON."""

    role: str
    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[dict[str, Any]] | None = None

    @property
    def text(self) -> str:
        """The text of the message, without parts that are not text (images, audio)."""
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
        # Bodies are JSON text, so that DuckDB and `datasets` need no schema of each provider's messages.
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
                    # Missing in parts of earlier versions; readers see null.
                    ("cache_write_1h", pa.int64()),
                    ("web_searches", pa.int64()),
                    ("input_audio", pa.int64()),
                    ("output_audio", pa.int64()),
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
        # Derived when the record enters the store, so that aggregation never reads the bodies.
        pa.field("request_hash", pa.string(), nullable=False),
        ("system_hash", pa.string()),
        ("input_chars", pa.int64()),
    ]
)
"""The records store's columns: the record's fields, bodies as JSON text, and three derived ones."""


def _json_texts(values: Sequence[Any]) -> list[str | None]:
    # Readers share equal values between records (the same object); each is encoded once.
    distinct = dict(zip(map(id, values), values, strict=True))
    texts = {key: None if value is None else _encoder.encode(value).decode() for key, value in distinct.items()}
    return list(map(texts.__getitem__, map(id, values)))


class ArrowRow(msgspec.Struct, frozen=True):
    """A record with its derived columns: one row of `ARROW_SCHEMA`."""

    record: Record
    request_hash: str
    system_hash: str | None
    input_chars: int


def usage_of_row(columns: Mapping[str, Any]) -> Usage:
    """The usage of a stored row; fields that earlier versions lacked get their defaults."""
    return Usage(**{name: value for name, value in columns.items() if value is not None})


def to_table(rows: Iterable[ArrowRow]) -> pa.Table:
    """Rows as a table of `ARROW_SCHEMA`. Raises: pyarrow.ArrowInvalid, OverflowError for a number beyond its column."""
    listed = list(rows)
    # By column, with nested ones built from their children: several times as fast as from dictionaries.
    values = dict(zip(Record.__struct_fields__, _columns(listed, _record_of, Record), strict=True))
    values |= zip(ArrowRow.__struct_fields__, _columns(listed, _itself, ArrowRow), strict=True)
    return pa.Table.from_arrays([_array(field, values[field.name]) for field in ARROW_SCHEMA], schema=ARROW_SCHEMA)


_record_of = attrgetter("record")


def _itself(value: Any) -> Any:
    return value


def _columns(rows: Sequence[Any], part: Callable[[Any], Any], kind: type[msgspec.Struct]) -> list[tuple[Any, ...]]:
    """Values of each field of the structs `part(row)`."""
    columns = list(zip(*map(msgspec.structs.astuple, map(part, rows)), strict=True))
    return columns or [()] * len(kind.__struct_fields__)


def _array(field: pa.Field, values: Sequence[Any]) -> pa.Array:
    # The first value decides mostly: comparing texts with None costs as much as converting them.
    if not values or (values[0] is None and values.count(None) == len(values)):
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
    """Structs as a struct array. `texts`: functions that convert some fields to JSON text."""
    has_missing = None in parts
    empty = kind()
    filled = [empty if part is None else part for part in parts] if has_missing else parts
    values: dict[str, Sequence[Any]] = dict(zip(kind.__struct_fields__, _columns(filled, _itself, kind), strict=True))
    values |= {name: text_of(values[name]) for name, text_of in texts.items()}
    children = [pa.array(values[child.name], child.type) for child in field.type]
    # Not `from_arrays` with a mask: it would import pyarrow.compute, 0.1 s, to invert it.
    present = pa.array([part is not None for part in parts], pa.bool_()).buffers()[1] if has_missing else None
    return pa.StructArray.from_buffers(field.type, len(parts), [present], children=children)


def _map_array(maps: Sequence[Mapping[str, str]]) -> pa.Array:
    offsets = [0, *accumulate(map(len, maps))]
    keys = [key for map_ in maps for key in map_]
    values = [value for map_ in maps for value in map_.values()]
    return pa.MapArray.from_arrays(
        pa.array(offsets, pa.int32()), pa.array(keys, pa.string()), pa.array(values, pa.string())
    )
