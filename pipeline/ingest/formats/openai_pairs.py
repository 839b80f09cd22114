"""OpenAI request/response pairs, as applications log them around their own calls.

{"id"?, "request": {body}, "response": {body | error} | null, "timestamp", "latency_ms"?, "status"?}
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from pipeline.ingest.formats import chat
from pipeline.ingest.formats.format import Format, LineReader, Reading, Unreadable, row_type
from pipeline.ingest.mapping import TagMapping, TagReader, Tags
from pipeline.ingest.values import Time, opened, parse_time
from traffic.record import Record

_NULL = msgspec.Raw(b"null")

_FIELDS: list[tuple[Any, ...]] = [
    ("id", str | None, None),
    ("timestamp", Time),
    ("latency_ms", float | None, None),
    ("ttft_ms", float | None, None),
    ("status", int | None, None),
    ("provider", str | None, None),
    ("request", dict[str, msgspec.Raw]),
    ("response", msgspec.Raw, _NULL),
]


def _recognises(tree: Mapping[str, Any]) -> bool:
    request = tree.get("request")
    return isinstance(request, dict) and "messages" in request and "response" in tree and "timestamp" in tree


def _reader(mapping: TagMapping) -> LineReader:
    rows = row_type(_FIELDS, mapping.roots() | {"request"})
    tags = TagReader(mapping)

    def read(line: bytes) -> Reading:
        row = rows.decode(line)
        # Everything but the messages, which stay as they were written.
        body = {key: msgspec.json.decode(raw) for key, raw in row.request.items() if key != "messages"}
        return _read(row, line, body, tags.read(rows.tagged(row) | {"request": body}))

    return read


def _read(row: Any, line: bytes, body: dict[str, Any], found: Tags) -> Reading:
    if "messages" not in row.request:
        raise Unreadable("not_chat", "request has no messages")
    answer = chat.response(opened(row.response))
    model = body.pop("model", None)
    if model is not None and not isinstance(model, str):
        raise Unreadable("wrong_types", "request.model is not text")
    parts = chat.request_parts({key: value for key, value in body.items() if key != "metadata"})
    failure = answer.error_text() if answer else None
    status = row.status
    if status is None:
        # Without a status, an answer is a success, and neither answer nor error is a request that was cut off.
        status = 200 if answer and failure is None else 0
    identity = row.id or (answer and answer.id) or chat.id_of(line)
    record = Record(
        id=identity,
        request_id=identity,
        ts=parse_time(row.timestamp),
        session_id=found.session_id,
        call_site=found.call_site,
        feature=found.feature,
        visibility=found.visibility,
        cohort=found.cohort,
        user_id=found.user_id,
        customer_id=found.customer_id,
        messages=chat.check_messages(row.request["messages"]),
        tools=parts.tools,
        response_format=parts.response_format,
        params=parts.params,
        output=answer.output() if answer else chat.ChatResponse().output(),
        usage=answer.usage.counted_once() if answer and answer.usage else None,
        provider=row.provider or None,
        model=model or (answer and answer.model) or None,
        tier=found.tier,
        status=status,
        error=failure or (None if status == 200 else f"status {status}"),
        ttft_ms=row.ttft_ms,
        latency_ms=row.latency_ms,
        source_format=FORMAT.name,
    )
    return Reading(record, found.feedback, found.consumed_at)


FORMAT = Format("openai_pairs", _recognises, _reader)
