"""The canonical record: one attempt at one request, with its Arrow schema and JSONL codec.

Every log format is read into this, the router writes it, and every later stage reads it. Messages
stay raw JSON: nothing a client sent is lost, and a scan that does not need them does not decode them.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
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


def _json_text(value: Any) -> str | None:
    return None if value is None else _encoder.encode(value).decode()


def to_arrow_row(record: Record, *, request_hash: str, system_hash: str | None, input_chars: int) -> dict[str, Any]:
    """A row for `ARROW_SCHEMA`."""
    row = {name: getattr(record, name) for name in record.__struct_fields__}
    params = record.params
    row |= {
        "cohort": list(record.cohort.items()),
        "messages": _json_text(record.messages),
        "tools": _json_text(record.tools),
        "response_format": _json_text(record.response_format),
        "params": {
            "max_tokens": params.max_tokens,
            "temperature": params.temperature,
            "stream": params.stream,
            "other": _json_text(params.other or None),
        },
        "output": {
            "text": record.output.text,
            "tool_calls": _json_text(record.output.tool_calls),
            "finish_reason": record.output.finish_reason,
        },
        "usage": None if record.usage is None else msgspec.structs.asdict(record.usage),
        "request_hash": request_hash,
        "system_hash": system_hash,
        "input_chars": input_chars,
    }
    return row


def _parsed(text: str | None) -> Any:
    return None if text is None else msgspec.json.decode(text)


def from_arrow_row(row: dict[str, Any]) -> Record:
    """The record of a row of `ARROW_SCHEMA` (as `RecordBatch.to_pylist` gives it)."""
    fields = {name: row[name] for name in Record.__struct_fields__}
    params, output, usage = row["params"] or {}, row["output"] or {}, row["usage"]
    fields |= {
        "ts": row["ts"].astimezone(UTC),
        "cohort": dict(row["cohort"] or ()),
        "messages": msgspec.Raw(row["messages"].encode()),
        "tools": _parsed(row["tools"]),
        "response_format": _parsed(row["response_format"]),
        "params": Params(
            max_tokens=params.get("max_tokens"),
            temperature=params.get("temperature"),
            stream=bool(params.get("stream")),
            other=_parsed(params.get("other")) or {},
        ),
        "output": Output(
            text=output.get("text"),
            tool_calls=_parsed(output.get("tool_calls")),
            finish_reason=output.get("finish_reason"),
        ),
        "usage": None if usage is None else Usage(**usage),
    }
    return Record(**fields)


def to_table(rows: Iterable[dict[str, Any]]) -> pa.Table:
    """Rows of `to_arrow_row` as a table of `ARROW_SCHEMA`."""
    listed = list(rows)
    # Column by column: twice as fast as Table.from_pylist, and ingest spends most of its time here.
    columns = [pa.array([row[field.name] for row in listed], field.type) for field in ARROW_SCHEMA]
    return pa.Table.from_arrays(columns, schema=ARROW_SCHEMA)
