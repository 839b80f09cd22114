"""LiteLLM: StandardLoggingPayload (S3, GCS and custom callbacks) and the shared fields of `LiteLLM_SpendLogs` rows.

Source: litellm/types/utils.py `StandardLoggingPayload`, litellm/proxy/schema.prisma `LiteLLM_SpendLogs`.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from pipeline.ingest.formats import chat
from pipeline.ingest.formats.format import Format, LineReader, Reading, Unreadable, row_type
from pipeline.ingest.mapping import TagMapping, TagReader, Tags
from pipeline.ingest.values import TIMEOUTS, Count, Time, milliseconds, opened, parse_time
from traffic.record import Record, Usage

_NULL = msgspec.Raw(b"null")
_CHAT_CALLS = frozenset({"completion", "acompletion", "", None})


class _ErrorInformation(msgspec.Struct):
    error_code: str | int | None = None
    error_class: str | None = None
    error_message: str | None = None


_FIELDS: list[tuple[Any, ...]] = [
    ("id", str | None, None),
    ("request_id", str | None, None),  # SpendLogs' name of it
    ("trace_id", str | None, None),
    ("call_type", str | None, None),
    ("cache_hit", bool | str | None, None),
    ("stream", bool | None, None),
    ("status", str | None, None),
    ("custom_llm_provider", str | None, None),
    ("startTime", Time),
    ("endTime", Time | None, None),
    ("completionStartTime", Time | None, None),
    ("model", str | None, None),
    ("api_base", str | None, None),
    ("response_cost", float | None, None),
    ("spend", float | None, None),
    ("prompt_tokens", Count | None, None),
    ("completion_tokens", Count | None, None),
    ("messages", msgspec.Raw),
    ("response", msgspec.Raw, _NULL),
    ("model_parameters", dict[str, Any] | None, None),
    ("proxy_server_request", msgspec.Raw, _NULL),
    ("error_str", str | None, None),
    ("error_information", _ErrorInformation | None, None),
    ("metadata", dict[str, Any] | str | None, None),
]


def _recognises(tree: Mapping[str, Any]) -> bool:
    # Both kinds of row call their time startTime and their provider custom_llm_provider; nobody else does both.
    return "startTime" in tree and ("custom_llm_provider" in tree or "call_type" in tree) and "messages" in tree


def _reader(mapping: TagMapping) -> LineReader:
    rows = row_type(_FIELDS, mapping.roots())
    tags = TagReader(mapping)

    def read(line: bytes) -> Reading:
        row = rows.decode(line)
        return _read(row, line, tags.read(rows.tagged(row)))

    return read


def _read(row: Any, line: bytes, found: Tags) -> Reading:
    if row.call_type not in _CHAT_CALLS:
        raise Unreadable("not_chat", f"call_type {row.call_type}")
    answer = chat.response(opened(row.response)) or chat.ChatResponse()
    parts = chat.request_parts(row.model_parameters or {}, stream=row.stream)
    start, end = parse_time(row.startTime), None if row.endTime is None else parse_time(row.endTime)
    status, error = _outcome(row, answer)
    hit = row.cache_hit is True or str(row.cache_hit).casefold() == "true"
    usage = _usage(row, answer, failed=status != 200)
    cost = _logged_cost(row, hit=hit, status=status)
    identity = row.id or row.request_id or chat.id_of(line)
    record = Record(
        id=identity,
        request_id=identity,
        ts=start,
        trace_id=row.trace_id or None,
        session_id=found.session_id,
        call_site=found.call_site,
        feature=found.feature,
        visibility=found.visibility,
        cohort=found.cohort,
        user_id=found.user_id,
        customer_id=found.customer_id,
        messages=_messages(row),
        tools=parts.tools,
        response_format=parts.response_format,
        params=parts.params,
        output=answer.output(),
        usage=usage,
        provider=row.custom_llm_provider or None,
        model=row.model or None,
        tier=found.tier,
        endpoint=row.api_base or None,
        cache_hit=hit,
        status=status,
        error=error,
        ttft_ms=_ttft(row, start, end) if parts.params.stream else None,
        latency_ms=None if end is None else milliseconds(start, end),
        cost_usd=cost,
        price_source=None if cost is None else "logged",
        source_format=FORMAT.name,
    )
    return Reading(record, found.feedback, found.consumed_at)


def _messages(row: Any) -> msgspec.Raw:
    """As sent. SpendLogs keep them only when told to; an empty list then, so that cost and volume still count."""
    raw = opened(row.messages)
    if bytes(raw) in (b"{}", b"[]", b"null"):
        request = msgspec.json.decode(opened(row.proxy_server_request), type=dict[str, msgspec.Raw] | None) or {}
        if "messages" not in request:
            return msgspec.Raw(b"[]") if row.request_id else chat.check_messages(raw)
        raw = request["messages"]
    return chat.check_messages(raw)


def _outcome(row: Any, answer: chat.ChatResponse) -> tuple[int, str | None]:
    """HTTP status (0 where a failure came without one) and error text."""
    if row.status in ("success", "", None):
        return 200, None
    information = row.error_information or _ErrorInformation()
    code = str(information.error_code or "")
    text = information.error_message or row.error_str or answer.error_text() or row.status
    status = int(code) if code.isascii() and code.isdecimal() and len(code) == 3 else 0
    return status, f"{information.error_class}: {text}" if information.error_class else text


def _usage(row: Any, answer: chat.ChatResponse, *, failed: bool) -> Usage | None:
    metadata = row.metadata if isinstance(row.metadata, dict) else {}
    if isinstance(row.metadata, str) and row.metadata:
        metadata = msgspec.json.decode(row.metadata, type=dict[str, Any] | None) or {}
    # The gateway's own count first: its top-level cache fields are wrong for some providers.
    counted = metadata.get("usage_object")
    reported = (msgspec.convert(counted, chat.ChatUsage) if counted else None) or answer.usage
    if reported is not None:
        return reported.counted_once()
    if failed or not (row.prompt_tokens or row.completion_tokens):
        # A stream without include_usage is logged with zero tokens: unknown, not free.
        return None
    return chat.ChatUsage(row.prompt_tokens, row.completion_tokens).counted_once()


def _logged_cost(row: Any, *, hit: bool, status: int) -> float | None:
    """The logged cost where it can be believed.

    LiteLLM logs 0 for a model it has no price for and for a stream without usage. A real 0 is an answer
    out of its own cache, and a request that the provider turned down; one that timed out may be billed.
    """
    logged = row.spend if row.response_cost is None else row.response_cost
    if logged:
        return float(logged)
    if hit or (status != 200 and status not in TIMEOUTS):
        return 0.0
    return None


def _ttft(row: Any, start: datetime, end: datetime | None) -> float | None:
    if row.completionStartTime is None:
        return None
    first = parse_time(row.completionStartTime)
    # LiteLLM writes the end for it when it saw no first chunk.
    return None if first == end else milliseconds(start, first)


FORMAT = Format("litellm", _recognises, _reader)
