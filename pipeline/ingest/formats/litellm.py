"""LiteLLM: StandardLoggingPayload (S3, GCS and custom callbacks) and the shared fields of `LiteLLM_SpendLogs` rows.

Most rows fit a typed decoder, which skips unused fields. Other rows are repaired first: numbers written as text become
numbers, unreadable optional fields become null and are noted.

Source: litellm/types/utils.py `StandardLoggingPayload`, litellm/proxy/schema.prisma `LiteLLM_SpendLogs`.
"""

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from pipeline.ingest.bodies import Answer, Prompt, Unreadable, read_answer, read_prompt
from pipeline.ingest.bodies.chat_completion import read_chat_completion
from pipeline.ingest.bodies.prompts import read_params, read_tools
from pipeline.ingest.bodies.usage import read_usage
from pipeline.ingest.formats.format import Format, Reading, StepReader, id_of, row_by_row, row_type
from pipeline.ingest.mapping import TagMapping
from pipeline.ingest.system_prompts import read_plain_messages
from pipeline.ingest.tags import TagReader, Tags
from pipeline.ingest.values import (
    TIMEOUTS,
    Amount,
    Count,
    Notes,
    Time,
    amount,
    count,
    flag,
    identity,
    milliseconds,
    opened,
    opened_value,
    optional_time,
    parse_time,
    plausible,
    text,
)
from traffic.prompts import PlainMessage
from traffic.record import Message, Params, Record, Usage

_NULL = msgspec.Raw(b"null")
_OTHER_CALLS = re.compile(
    r"embedding|rerank|transcription|speech|image|video|moderation|realtime|batch|file|vector_store|assistant|thread"
    r"|fine_tun|search|ocr|mcp|container|skill|run|eval|^_?a?(?:get|list|delete|retrieve|cancel|update|count)_"
)
"""Rejected call types: they do not generate text, or fetch an earlier answer. Pass-through and unknown types are read
by their contents."""


@lru_cache(maxsize=256)
def _is_other_call(call_type: str) -> bool:
    return _OTHER_CALLS.search(call_type) is not None


class _ErrorInformation(msgspec.Struct):
    error_code: str | int | None = None
    error_class: str | None = None
    error_message: str | None = None


_FIELDS: list[tuple[Any, ...]] = [
    ("id", str | None, None),
    ("request_id", str | None, None),  # name in SpendLogs
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
    ("response_cost", Amount | None, None),
    ("spend", Amount | None, None),
    ("prompt_tokens", Count | None, None),
    ("completion_tokens", Count | None, None),
    ("messages", msgspec.Raw, _NULL),
    ("response", msgspec.Raw, _NULL),
    ("model_parameters", msgspec.Raw, _NULL),
    ("proxy_server_request", msgspec.Raw, _NULL),
    ("error_str", str | None, None),
    ("error_information", _ErrorInformation | None, None),
    ("metadata", dict[str, Any] | str | None, None),
]


def _time(value: Any, field: str, notes: Notes) -> str | None:
    moment = optional_time(value, field, notes)
    return None if moment is None else moment.isoformat()


def _required_time(value: Any, field: str, notes: Notes) -> str:
    return parse_time(value).isoformat()


def _object(value: Any, field: str, notes: Notes) -> Any:
    value = opened_value(value)
    if value is None or isinstance(value, dict):
        return value
    notes.nulled.append(field)
    return None


def _error_information(value: Any, field: str, notes: Notes) -> Any:
    value = opened_value(value)
    if isinstance(value, dict):
        return {
            key: None if value.get(key) is None else str(value[key])
            for key in ("error_code", "error_class", "error_message")
        }
    return {"error_message": value} if isinstance(value, str) else None


_REPAIRS: dict[str, Callable[[Any, str, Notes], Any]] = {
    **dict.fromkeys(("id", "request_id"), lambda value, field, notes: identity(value)),
    **dict.fromkeys(("trace_id", "call_type", "custom_llm_provider", "model", "api_base", "error_str"), text),
    **dict.fromkeys(("response_cost", "spend"), amount),
    **dict.fromkeys(("prompt_tokens", "completion_tokens"), count),
    **dict.fromkeys(("cache_hit", "stream"), flag),
    **dict.fromkeys(("endTime", "completionStartTime"), _time),
    "metadata": _object,
    "startTime": _required_time,
    "error_information": _error_information,
}


def _recognises(tree: Mapping[str, Any]) -> bool:
    # Only LiteLLM's rows have both startTime and one of these names.
    named = "custom_llm_provider" in tree or "call_type" in tree or "response_cost" in tree
    return "startTime" in tree and named and ("messages" in tree or "response" in tree or "spend" in tree)


def _steps(mapping: TagMapping) -> StepReader:
    rows = row_type(_FIELDS, mapping.roots())
    tags = TagReader(mapping)

    def read(line: bytes) -> Generator[None, None, Reading]:
        notes = Notes()
        try:
            row = rows.decode(line)
        except msgspec.ValidationError:
            row = rows.decode(_repair(line, notes))
        yield
        tags_read = tags.read(rows.tagged(row), notes)
        yield
        if row.call_type and _is_other_call(row.call_type):
            raise Unreadable("not_chat", f"call_type {row.call_type}")
        answer = _answer(row.response, row.status not in ("success", "", None), notes)
        yield
        prompt = _prompt(row, notes)
        yield
        return _reading(row, line, tags_read, answer, prompt, notes)

    return read


def _repair(line: bytes, notes: Notes) -> bytes:
    """Repair the optional fields of a row. Raises: msgspec.DecodeError, ValueError for required ones."""
    tree = msgspec.json.decode(line, type=dict[str, Any])
    for field, repaired in _REPAIRS.items():
        if field in tree:
            tree[field] = repaired(tree[field], field, notes)
    if not isinstance(tree.get("status"), str | None):
        raise Unreadable("wrong_types", "status: expected text")
    return msgspec.json.encode(tree)


def _reading(row: Any, line: bytes, tags_read: Tags, answer: Answer, prompt: "_Prompt", notes: Notes) -> Reading:
    start = plausible(parse_time(row.startTime))
    end = optional_time(row.endTime, "endTime", notes)
    status, error = _outcome(row, answer)
    hit = row.cache_hit is True or (type(row.cache_hit) is str and row.cache_hit.casefold() == "true")
    usage = _usage(row, answer, notes, failed=status != 200)
    cost = _logged_cost(row, hit=hit, status=status)
    own_id = identity(row.id, row.request_id, answer.id) or id_of(line)
    record = Record(
        id=own_id,
        request_id=own_id,
        ts=start,
        trace_id=identity(row.trace_id),
        session_id=tags_read.session_id,
        call_site=tags_read.call_site,
        feature=tags_read.feature,
        visibility=tags_read.visibility,
        cohort=tags_read.cohort,
        user_id=tags_read.user_id,
        customer_id=tags_read.customer_id,
        messages=msgspec.Raw(prompt.messages),
        tools=prompt.tools,
        response_format=prompt.response_format,
        params=prompt.params,
        output=answer.output(may_call_tools=bool(prompt.tools) or prompt.messages == b"[]"),
        usage=usage,
        provider=row.custom_llm_provider or None,
        model=row.model or None,
        tier=tags_read.tier,
        endpoint=row.api_base or None,
        cache_hit=hit,
        status=status,
        error=error,
        ttft_ms=_ttft(row, start, end) if prompt.params.stream else None,
        latency_ms=None if end is None else milliseconds(start, end),
        cost_usd=cost,
        price_source=None if cost is None else "logged",
        source_format=FORMAT.name,
    )
    nulled, unknown = tuple(notes.nulled), tuple(notes.unknown)
    return Reading(record, tags_read.feedback, tags_read.consumed_at, nulled, unknown, prompt.media, prompt.plain)


class _Prompt(msgspec.Struct):
    messages: bytes
    tools: list[dict[str, Any]] | None
    response_format: dict[str, Any] | None
    params: Params
    media: int = 0
    plain: Sequence[PlainMessage] | None = None


def _prompt(row: Any, notes: Notes) -> _Prompt:
    """The prompt as sent; an empty list if SpendLogs did not store it, so that cost and volume still count."""
    sampling = _sampling(bytes(row.model_parameters), row.stream)
    parameters = sampling.tree
    if not parameters:
        notes.nulled += sampling.nulled
    data = _opened_messages(bytes(row.messages))
    is_missing = data in (b"{}", b"[]", b"null")
    if is_missing or data.endswith(_PLACEHOLDER):
        sent = msgspec.json.decode(opened(row.proxy_server_request), type=Any)
        body = sent.get("body", sent) if isinstance(sent, dict) else None
        if isinstance(body, dict) and body:
            return _sorted(read_prompt(body, notes, parameters=parameters), row)
    if is_missing:
        if row.request_id is None and row.spend is None:
            raise Unreadable("not_chat", "the list of messages is empty")
        data = b"[]"
    plain = read_plain_messages(data)
    if plain is not None or _is_openai(data):
        notes.nulled += sampling.nulled if parameters else ()
        return _Prompt(data, sampling.tools, sampling.response_format, sampling.params, plain=plain)
    return _sorted(read_prompt({"messages": msgspec.json.decode(data)}, notes, parameters=parameters), row)


_PLACEHOLDER = b'"default-message-value"}]'
"""End of what LiteLLM writes in place of messages that it did not see, as those of passed-through requests."""


class _Sampling(NamedTuple):
    """Decoded `model_parameters`; `params` includes the row's `stream`."""

    tree: dict[str, Any]
    params: Params
    tools: list[dict[str, Any]] | None
    response_format: dict[str, Any] | None
    nulled: tuple[str, ...]


def _sampling(raw: bytes, stream: bool | None) -> _Sampling:
    # Cached: a call site sends the same parameters and tools with every request.
    return _sampling_again(raw, stream) if len(raw) <= _CACHED_BYTES else _read_sampling(raw, stream)


def _read_sampling(raw: bytes, stream: bool | None) -> _Sampling:
    notes = Notes()
    tree = _object(msgspec.json.decode(raw), "model_parameters", notes)
    if tree is None:
        return _Sampling({}, Params(stream=bool(stream)), None, None, tuple(notes.nulled))
    params, form = read_params(tree, notes), tree.get("response_format")
    if stream is not None:
        params = msgspec.structs.replace(params, stream=stream)
    return _Sampling(tree, params, read_tools(tree), form if isinstance(form, dict) else None, tuple(notes.nulled))


_CACHED_BYTES = 32_768
_sampling_again = lru_cache(maxsize=512)(_read_sampling)


def _opened_messages(data: bytes) -> bytes:
    """Messages, also from JSON text; any other text is the prompt."""
    if data[:1] != b'"':
        return data
    inside = bytes(opened(msgspec.Raw(data)))
    if inside[:1] in b"[{" or inside == b"null":
        return inside
    return msgspec.json.encode([{"role": "user", "content": msgspec.json.decode(data, type=str)}])


def _is_openai(data: bytes) -> bool:
    """Whether messages can be stored unchanged: objects with a role and text content."""
    if data.startswith(b"[{") and b'"type"' not in data and b'"parts"' not in data and b'"content"' in data:
        # No content parts. Whether these are messages is checked when the record is stored.
        return True
    if b'"parts"' in data:
        # Gemini's contents.
        return False
    try:
        return all(isinstance(message.content, str | None) for message in _decode_messages(data))
    except msgspec.ValidationError:
        return False


def _sorted(prompt: Prompt, row: Any) -> _Prompt:
    params = prompt.params if row.stream is None else msgspec.structs.replace(prompt.params, stream=row.stream)
    messages = msgspec.json.encode(prompt.messages)
    return _Prompt(messages, prompt.tools, prompt.response_format, params, prompt.images)


_decode_messages = msgspec.json.Decoder(list[Message]).decode


def _answer(raw: msgspec.Raw, failed: bool, notes: Notes) -> Answer:
    """`response` may be text, a list or an object; for failures it is the error text."""
    answer = read_chat_completion(raw, notes)
    if answer is not None:
        return _checked(answer, failed=failed)
    tree = msgspec.json.decode(raw)
    if tree in ("None", "null"):
        return Answer()
    if failed and isinstance(tree, str) and not tree.lstrip().startswith(("{", "[")):
        return Answer(error=tree or None)
    if failed and isinstance(tree, list) and all(isinstance(item, str) for item in tree):
        return Answer(error="; ".join(tree) or None)
    if isinstance(tree, bool | int | float):
        raise Unreadable("wrong_types", f"response: expected an answer, got {type(tree).__name__}")
    try:
        answer = read_answer(tree, notes)
    except Unreadable:
        if not failed:
            raise
        return Answer(error=str(tree)[:500])
    return Answer() if answer is None else _checked(answer, failed=failed)


def _checked(answer: Answer, *, failed: bool) -> Answer:
    if answer.is_empty and answer.finish_reason is None and not failed and answer.usage is None:
        raise Unreadable("no_answer", "the response holds no text, no tool call and no reason why it ended")
    return answer


def _outcome(row: Any, answer: Answer) -> tuple[int, str | None]:
    """HTTP status (0 for a failure without one) and error text."""
    if row.status in ("success", "", None):
        if answer.error is not None:
            return 0, answer.error
        return 200, None
    information = row.error_information or _logged_error(row.metadata)
    code = str(information.error_code or "")
    message = information.error_message or row.error_str or answer.error or row.status
    status = int(code) if code.isascii() and code.isdecimal() and len(code) == 3 else 0
    return status, f"{information.error_class}: {message}" if information.error_class else message


def _logged_error(metadata: Any) -> _ErrorInformation:
    """The error in the metadata, where SpendLogs keep it."""
    metadata = opened_value(metadata)
    inside = metadata.get("error_information") if isinstance(metadata, Mapping) else None
    return _ErrorInformation(**(_error_information(inside, "error_information", Notes()) or {}))


def _usage(row: Any, answer: Answer, notes: Notes, *, failed: bool) -> Usage | None:
    metadata = row.metadata
    if isinstance(metadata, str):
        metadata = _object(metadata, "metadata", notes) if metadata else {}
    # The gateway's own count first: its top-level cache fields are wrong for some providers.
    counts = (metadata or {}).get("usage_object")
    reported = read_usage(counts, notes) or answer.usage
    if reported is not None and (reported.input_total or reported.output):
        return reported
    is_billed = bool(row.response_cost or row.spend)
    if (failed and not is_billed) or not (row.prompt_tokens or row.completion_tokens):
        # A stream without include_usage is logged with zero tokens: unknown, not free. Of a refused request the gateway
        # logs its own estimate.
        return None
    return Usage(input_uncached=row.prompt_tokens or 0, output=row.completion_tokens or 0)


def _logged_cost(row: Any, *, hit: bool, status: int) -> float | None:
    """The logged cost if it is reliable, else None.

    LiteLLM also logs 0 for models without a price and for streams without usage. A 0 is real for answers from its cache
    and for requests that the provider refused; one that timed out may be billed.
    """
    logged = row.spend if row.response_cost is None else row.response_cost
    if logged:
        return float(logged)
    if hit or (status != 200 and status not in TIMEOUTS):
        return 0.0
    return None


def _ttft(row: Any, start: datetime, end: datetime | None) -> float | None:
    # LiteLLM logs the end time if it saw no first chunk.
    if row.completionStartTime is None or row.completionStartTime == row.endTime:
        return None
    first = optional_time(row.completionStartTime, "completionStartTime", Notes())
    return None if first is None or first == end else milliseconds(start, first)


FORMAT = Format("litellm", _recognises, lambda mapping: row_by_row(_steps(mapping)), steps=_steps)
