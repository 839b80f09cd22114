"""OpenTelemetry spans with `gen_ai.*` attributes, as OTLP/JSON or one span per row; current and older attribute names.

Messages may be in attributes (`gen_ai.input.messages`), in span events or, in older instrumentations, in numbered
attributes (`gen_ai.prompt.0.content`). Phoenix writes nested attributes; ClickHouse's exporter has its own column
names. A log record with all details of a request is read as one if its span is missing.
Source: OpenTelemetry semantic conventions for generative AI, 1.41.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from pipeline.ingest.bodies import Answer, Prompt, Unreadable, read_answer, read_prompt
from pipeline.ingest.bodies.answers import refuse_printed
from pipeline.ingest.bodies.finish import finish_reason
from pipeline.ingest.bodies.messages import begins_like_messages
from pipeline.ingest.bodies.prompts import read_tools
from pipeline.ingest.bodies.usage import read_usage
from pipeline.ingest.formats.format import PASSED_ON, PASSES_TO, Companions, Draft, NotARequest, Part, tree_format
from pipeline.ingest.formats.otel_attributes import (
    OWN_NAMES,
    as_span,
    attributes_of,
    identifier,
    listed_tools,
    parent_id,
    plain_value,
    span_id,
    whole,
    with_usual_names,
)
from pipeline.ingest.formats.otel_outcome import first_of, outcome, times
from pipeline.ingest.stored_content import stored
from pipeline.ingest.values import Notes, amount, opened_value, text
from traffic.record import Usage

_REQUESTS = frozenset({"chat", "text_completion", "generate_content", "completion", "responses", "message"})
_CHOICE_EVENT = "gen_ai.choice"
_DETAILS_EVENT = "gen_ai.client.inference.operation.details"
_MESSAGE_EVENTS = ("gen_ai.system.message", "gen_ai.user.message", "gen_ai.assistant.message", "gen_ai.tool.message")
_PARAMETERS = {
    "gen_ai.request.max_tokens": "max_tokens",
    "gen_ai.request.temperature": "temperature",
    "gen_ai.request.top_p": "top_p",
    "gen_ai.request.top_k": "top_k",
    "gen_ai.request.seed": "seed",
    "gen_ai.request.choice.count": "n",
    "gen_ai.request.stop_sequences": "stop",
    "gen_ai.request.frequency_penalty": "frequency_penalty",
    "gen_ai.request.presence_penalty": "presence_penalty",
    "gen_ai.request.stream": "stream",
}


def _recognises(tree: Mapping[str, Any]) -> bool:
    if any(key in tree for key in _RESOURCES):
        return True
    span = as_span(tree)
    if not isinstance(span, Mapping):
        return False
    attributes = opened_value(span.get("attributes"))
    if identifier(span, "trace") is None and "context" not in span:
        # Attributes in a log service (Google's, Azure's): ids stay in the enclosing object. Without them nested calls
        # cannot be told apart; the operation's name says which are requests.
        return "attributes" not in tree and isinstance(attributes, Mapping) and attributes.keys() >= _DETAILS
    names = (
        attributes_of(attributes)
        if isinstance(attributes, Mapping)
        else (a.get("key") for a in attributes or () if isinstance(a, Mapping))
        if isinstance(attributes, list)
        else ()
    )
    return any(str(name).startswith(OWN_NAMES) for name in names)


_DETAILS = {"gen_ai.operation.name", "gen_ai.request.model", "gen_ai.input.messages"}
_RESOURCES = {
    "resourceSpans": ("scopeSpans", "spans", "span"),
    "resource_spans": ("scope_spans", "spans", "span"),
    "resourceLogs": ("scopeLogs", "logRecords", "log"),
    "resource_logs": ("scope_logs", "log_records", "log"),
}
"""Lists of resources, with the keys of scopes and items and the kind of item."""


def _expand(line: bytes) -> Iterable[bytes]:
    tree = msgspec.json.decode(line)
    kinds = [key for key in _RESOURCES if key in tree] if isinstance(tree, dict) else []
    if not kinds:
        return (line,)
    return [msgspec.json.encode(item) for key in kinds for item in _items(tree[key], key)]


def _items(resources: Any, key: str) -> Iterator[dict[str, Any]]:
    if not isinstance(resources, list):
        raise Unreadable("wrong_types", f"{key}: expected a list, got {type(resources).__name__}")
    scopes_key, items_key, kind = _RESOURCES[key]
    for resource in resources:
        scopes = resource.get(scopes_key) if isinstance(resource, dict) else None
        for scope in scopes if isinstance(scopes, list) else ():
            for item in (scope.get(items_key) or ()) if isinstance(scope, dict) else ():
                yield {kind: item, "resource": resource.get("resource")}


def _read(row: dict[str, Any], notes: Notes) -> Draft:
    if "log" in row:
        row = {**row, "span": _request_of_log(row)}
    span = as_span(row)
    if not isinstance(span, Mapping):
        raise Unreadable("wrong_types", f"span: expected an object, got {type(span).__name__}")
    a = with_usual_names(attributes_of(span.get("attributes")))
    if any(f"{name}_ref" in a for name in _UPLOADED):
        a = {**stored(row, {name: a.get(f"{name}_ref") for name in _UPLOADED if name not in a}), **a}
    if listed := _listed_events(a):
        span = {**span, "events": [*(span.get("events") or ()), *listed]}
    for event in span.get("events") or ():
        if isinstance(event, Mapping) and event.get("name") == _DETAILS_EVENT:
            a = attributes_of(event.get("attributes")) | a
    operation = a.get("gen_ai.operation.name", a.get("llm.request.type"))
    model = a.get("gen_ai.request.model", a.get("llm.model_name", a.get("gen_ai.response.model")))
    status, error = outcome(span, a, notes)
    if (kind := _other_kind(a, operation, model, failed=error is not None)) is not None:
        raise NotARequest(kind)
    if row.get(_AROUND):
        raise NotARequest(f"{operation or 'chat'} span around others")
    usage = _usage(a, notes)
    if status is None and error is None and usage is not None and usage.output:
        # Content is opt-in. Output tokens show that the request was answered.
        status = 200
    begun, latency_ms = times(span, a, notes)
    return Draft(
        id=_own_id(a) or a.get("gen_ai.response.id") or span_id(span),
        ts=begun,
        trace_id=identifier(span, "trace"),
        session_id=text(a.get("gen_ai.conversation.id", a.get("session.id")), "gen_ai.conversation.id", notes),
        user_id=text(a.get("enduser.id", a.get("user.id")), "enduser.id", notes),
        prompt=_prompt(span, a, notes),
        answer=_answer(span, a, notes),
        status=status,
        error=error,
        provider=text(
            a.get("gen_ai.provider.name", a.get("gen_ai.system", a.get("llm.provider"))), "gen_ai.provider.name", notes
        ),
        model=text(model, "gen_ai.request.model", notes),
        endpoint=text(a.get("server.address"), "server.address", notes),
        usage=usage,
        cost_usd=_cost(a),
        ttft_ms=(ttft := _ttft(a, notes)),
        # Only streams have a first chunk.
        stream=True if ttft is not None and a.get("gen_ai.request.stream") is None else None,
        latency_ms=latency_ms,
        tags=_tags(row, a),
    )


def _cost(a: Mapping[str, Any]) -> Any:
    stated = first_of(a, _COSTS)
    if stated is not None:
        return stated
    return next((value for key, value in a.items() if key.endswith(_PREFIXED_COSTS) and value is not None), None)


def _other_kind(a: Mapping[str, Any], operation: Any, model: Any, *, failed: bool) -> str | None:
    """What a span is that is no request of its own; None for one that is."""
    if operation is not None and operation not in _REQUESTS:
        return f"{operation} span"
    if operation is None and model is None:
        return "span without gen_ai attributes"
    if a.get("openinference.span.kind", "LLM") != "LLM":
        return f"{a['openinference.span.kind']} span"
    if not failed and a.get("logfire.span_type") == "span" and not any(a.get(name) for name in _ANSWERS):
        # Logfire logs the answer of a stream at its end.
        request = opened_value(a.get("request_data"))
        return "span of a stream" if isinstance(request, Mapping) and request.get("stream") is True else None
    return None


def _listed_events(a: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Events in an attribute, as Logfire and Pydantic AI write them."""
    listed = opened_value(a.get("events"))
    return [
        {"name": event["event.name"], "attributes": {key: value for key, value in event.items() if key != "event.name"}}
        for event in (listed if isinstance(listed, list) else ())
        if isinstance(event, Mapping) and "event.name" in event
    ]


def _own_id(a: Mapping[str, Any]) -> Any:
    return next(
        (
            value
            for key, value in a.items()
            if key.endswith((".request_id", ".request.id")) and not key.startswith("gen_ai.")
        ),
        None,
    )


_UPLOADED = ("gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions")
"""Attributes that the instrumentation may upload; it then logs the object's name under `..._ref`."""
_COSTS = (
    *("gen_ai.usage.cost", "gen_ai.usage.total_cost", "gen_ai.cost.total_cost"),
    *("operation.cost", "llm.cost.total"),
)
"""Attributes with the cost of the whole request; others with such words are sums over sessions or budgets."""
_PREFIXED_COSTS = tuple(f".{name}" for name in _COSTS)
"""The same below the name of an application."""
_PROMPTS = (
    *("gen_ai.input.messages", "gen_ai.prompt", "gen_ai.prompt_json", "ai.prompt.messages"),
    *("gen_ai.request.messages", "gcp.vertex.agent.llm_request", "request_data"),
)
_ANSWERS = (
    *("gen_ai.output.messages", "gen_ai.completion", "gen_ai.completion_json"),
    *("gcp.vertex.agent.llm_response", "response_data"),
)


def _first(a: Mapping[str, Any], names: Iterable[str]) -> Any:
    """The first non-empty attribute, decoded from JSON. Raises: Unreadable if it is truncated."""
    name = next((name for name in names if a.get(name)), None)
    value = None if name is None else opened_value(a[name])
    if isinstance(value, str) and begins_like_messages(value):
        raise Unreadable("cut_text", f"{name}: truncated JSON; raise the tracer's limit on attribute lengths")
    return value


_REASONS = (
    *("gen_ai.response.finish_reasons", "gen_ai.response.finish_reason", "ai.response.finishReason"),
    "llm.finish_reason",
)
_BODIES = frozenset({"messages", "contents"})
"""Keys of whole request bodies, which some tracers write in place of the messages."""


def _prompt(span: Mapping[str, Any], a: Mapping[str, Any], notes: Notes) -> Prompt | None:
    messages: Any = (
        _first(a, _PROMPTS)
        or _numbered(a, "gen_ai.prompt")
        or _numbered(a, "llm.input_messages")
        or _from_events(span, _MESSAGE_EVENTS, "gen_ai.content.prompt")
        or _first(a, ("input.value", "ai.prompt"))
    )
    if not messages:
        return None
    invocation = opened_value(a.get("llm.invocation_parameters"))
    request = dict(invocation) if isinstance(invocation, Mapping) else {}
    request |= messages if isinstance(messages, Mapping) and messages.keys() & _BODIES else {"messages": messages}
    request |= {name: a[key] for key, name in _PARAMETERS.items() if a.get(key) is not None}
    instructions = opened_value(a.get("gen_ai.system_instructions"))
    if instructions:
        request["system"] = instructions
    form = opened_value(a.get("app.response_format", a.get("gen_ai.request.response_format")))
    if form is None and a.get("gen_ai.output.type") == "json":
        form = {"type": "json_object"}
    prompt = read_prompt(request, notes)
    prompt.response_format = form if isinstance(form, dict) else prompt.response_format
    prompt.tools = read_tools({"tools": listed_tools(a)}) or prompt.tools
    if (choice := opened_value(a.get("gen_ai.request.tool_choice"))) is not None:
        prompt.params.other["tool_choice"] = choice
    return prompt


def _answer(span: Mapping[str, Any], a: Mapping[str, Any], notes: Notes) -> Answer | None:
    output: Any = (
        _first(a, _ANSWERS)
        or _numbered(a, "gen_ai.completion")
        or _numbered(a, "llm.output_messages")
        or _from_events(span, (_CHOICE_EVENT,), "gen_ai.content.completion")
        or _in_parts(a)
        or _first(a, ("output.value",))
    )
    if isinstance(output, list) and all(isinstance(item, Mapping) and "finish_reason" in item for item in output):
        # Several choices, not several messages.
        output = output[:1]
    answer = read_answer(output, notes)
    refuse_printed(answer.text if answer else None)
    reasons = first_of(a, _REASONS)
    reason = reasons[0] if isinstance(reasons, list) and reasons else reasons
    if answer is None:
        # Content is opt-in: a successful request without it still counts.
        return Answer(finish_reason=finish_reason(reason, notes) or "stop") if reason is not None else None
    answer.finish_reason = finish_reason(reason, notes) if reason is not None else answer.finish_reason
    answer.model = text(a.get("gen_ai.response.model"), "gen_ai.response.model", notes)
    return answer


def _in_parts(a: Mapping[str, Any]) -> dict[str, Any] | None:
    """The answer of tracers with separate attributes for text and tool calls (Vercel's AI SDK, Sentry)."""
    answer_text = a.get("ai.response.text") or a.get("ai.response.object")
    if answer_text is None and (pieces := opened_value(a.get("gen_ai.response.text"))):
        answer_text = "".join(map(str, pieces)) if isinstance(pieces, list) else str(pieces)
    calls = opened_value(a.get("ai.response.toolCalls") or a.get("gen_ai.response.tool_calls"))
    listed = [call for call in calls if isinstance(call, Mapping)] if isinstance(calls, list) else []
    if answer_text is None and not listed:
        return None
    named = [
        {"id": call.get("toolCallId"), "name": call.get("toolName"), "args": call.get("input", call.get("args"))}
        if "toolName" in call
        else call
        for call in listed
    ]
    return {"role": "assistant", "content": answer_text, "tool_calls": named}


def _numbered(a: Mapping[str, Any], prefix: str) -> list[dict[str, Any]]:
    """Messages from attributes such as `gen_ai.prompt.0.role` and `llm.input_messages.0.message.content`."""
    messages: dict[int, dict[str, Any]] = defaultdict(dict)
    calls: dict[int, dict[int, dict[str, Any]]] = defaultdict(lambda: defaultdict(dict))
    contents: dict[int, dict[int, dict[str, Any]]] = defaultdict(lambda: defaultdict(dict))
    parts = re.compile(rf"{re.escape(prefix)}\.(\d+)\.message\.contents\.(\d+)\.message_content\.(\w+)")
    pattern = re.compile(
        rf"{re.escape(prefix)}\.(\d+)\.(?:message\.)?(?:tool_calls\.(\d+)\.(?:tool_call\.)?(?:function\.)?)?(\w+)$"
    )
    for key, value in a.items():
        if match := pattern.match(key):
            position, call, name = int(match[1]), match[2], match[3]
            if call is None:
                messages[position][name] = value
            else:
                calls[position][int(call)][name] = value
            continue
        if match := parts.match(key):
            contents[int(match[1])][int(match[2])][match[3]] = value
    for position, made in calls.items():
        messages[position]["tool_calls"] = [made[n] for n in sorted(made)]
    for position, made in contents.items():
        messages[position].setdefault("content", [made[n] for n in sorted(made)])
    for message in messages.values():
        # Parts are written as JSON text.
        if _is_parts(inside := opened_value(message.get("content"))):
            message["content"] = inside
    return [
        {"role": "assistant" if "completion" in prefix else "user", "content": None} | messages[n]
        for n in sorted(messages)
    ]


def _is_parts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(p, Mapping) and "type" in p for p in value)


def _from_events(span: Mapping[str, Any], names: tuple[str, ...], old: str) -> Any:
    messages = []
    for event in span.get("events") or ():
        if not isinstance(event, Mapping):
            continue
        inside = attributes_of(event.get("attributes"))
        if event.get("name") == old:
            return opened_value(
                next((inside[key] for key in ("gen_ai.prompt", "gen_ai.completion") if key in inside), None)
            )
        if event.get("name") in names:
            role = str(event["name"]).split(".")[1]
            message = opened_value(inside.get("message"))
            content = {
                key.rpartition(".")[2]: opened_value(value) for key, value in inside.items() if key != "gen_ai.system"
            }
            # By the convention the role is left out where the name of the event says it.
            usual = {"role": "assistant" if role == "choice" else role}
            messages.append(
                {**usual, "finish_reason": inside.get("finish_reason"), **message}
                if isinstance(message, Mapping)
                else {**usual, "content": message, **content}
            )
    return messages or None


def _usage(a: Mapping[str, Any], notes: Notes) -> Usage | None:
    if isinstance(details := opened_value(a.get("langfuse.observation.usage_details")), Mapping):
        return read_usage(details, notes)
    counts = {key.removeprefix("ai.usage."): v for key, v in a.items() if ".usage." in key or "token_count" in key}
    return read_usage(counts, notes)


def _ttft(a: Mapping[str, Any], notes: Notes) -> float | None:
    seconds = a.get("gen_ai.response.time_to_first_chunk", a.get("gen_ai.server.time_to_first_token"))
    if seconds is None:
        seconds = next((value for key, value in a.items() if key.endswith("time_to_first_token_s")), None)
    read = amount(seconds, "gen_ai.response.time_to_first_chunk", notes)
    if read is None:
        return amount(a.get("ai.response.msToFirstChunk"), "ai.response.msToFirstChunk", notes)
    return read * 1000


def _tags(row: Mapping[str, Any], a: Mapping[str, Any]) -> dict[str, Any]:
    """Custom attributes, grouped by their first name: `app.plan` is `plan` under `app`."""
    groups: dict[str, Any] = {"attributes": a}
    resource = row.get("resource")
    if isinstance(resource, Mapping):
        described = attributes_of(resource.get("attributes"))
        groups["resource"] = {"environment": described.get("deployment.environment.name")} | described
    if isinstance(metadata := opened_value(a.get("metadata")), Mapping):
        groups["metadata"] = dict(metadata)
    for key, value in a.items():
        first, dot, rest = key.partition(".")
        if dot and first not in ("gen_ai", "llm", "server", "http", "error"):
            group = groups.setdefault(first, {})
            if isinstance(group, dict):
                group[rest] = value
    return groups


def _given(row: Mapping[str, Any]) -> list[Part]:
    """Parts of a row: messages in a log record for its span, and of a span that it exists and, if it is a request, a
    notice to its parent that the call is already counted."""
    record = row.get("log")
    if record is None:
        span = as_span(row)
        if not isinstance(span, Mapping) or (own := span_id(span)) is None:
            return []
        parts: list[Part] = [(_SPAN_OF + own, 0, True)]
        if (around := parent_id(span)) is not None:
            is_request = _is_request(with_usual_names(attributes_of(span.get("attributes"))))
            parts.append((around, PASSED_ON, {_AROUND: True}) if is_request else (own, PASSES_TO, around))
        return parts
    if not isinstance(record, Mapping) or (key := span_id(record)) is None:
        return []
    name, inside = _event_of(record)
    if name not in (*_MESSAGE_EVENTS, _CHOICE_EVENT, _DETAILS_EVENT):
        return []
    moment = next((whole(record[t]) for t in _RECORD_TIMES if whole(record.get(t))), 0)
    return [(key, moment or 0, {"name": name, "attributes": inside})]


def _is_request(a: Mapping[str, Any]) -> bool:
    operation = a.get("gen_ai.operation.name", a.get("llm.request.type"))
    return operation in _REQUESTS if operation is not None else "gen_ai.request.model" in a


def _event_of(record: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Name and attributes of a log record, including those in its body."""
    attributes = attributes_of(record.get("attributes"))
    name = record.get("eventName", record.get("event_name", attributes.get("event.name")))
    body = plain_value(record.get("body"))
    return name, attributes | (dict(body) if isinstance(body, Mapping) else {})


def _request_of_log(row: Mapping[str, Any]) -> dict[str, Any]:
    """A span made from a log record with a whole request. Raises: NotARequest if the span is logged too."""
    record = row["log"]
    name, attributes = _event_of(record) if isinstance(record, Mapping) else (None, {})
    if name != _DETAILS_EVENT or row.get("has_span"):
        raise NotARequest("log record")
    moment = next((record[t] for t in _RECORD_TIMES if whole(record.get(t))), None)
    ids = {"traceId": identifier(record, "trace"), "spanId": identifier(record, "span")}
    return {**ids, "startTimeUnixNano": moment, "attributes": attributes}


def _wanted(row: Mapping[str, Any]) -> Sequence[str]:
    span = row["log"] if "log" in row else as_span(row)
    own = span_id(span) if isinstance(span, Mapping) else None
    return () if own is None else (_SPAN_OF + own if "log" in row else own,)


def _joined(row: Mapping[str, Any], parts: list[Any]) -> dict[str, Any]:
    if "log" in row:
        return {**row, "has_span": True}
    events = [part for part in parts if _AROUND not in part]
    marked = {_AROUND: True} if len(events) < len(parts) else {}
    span = row.get("span", row)
    if events:
        span = {**(usual := as_span(span)), "events": [*(usual.get("events") or ()), *events]}
    return {**row, "span": span, **marked} if "span" in row else {**span, **marked}


_AROUND = "around_a_request"
"""Marks a span whose call is also reported by a nested span."""
_SPAN_OF = "span of "
"""Key prefix under which a span announces itself."""
_RECORD_TIMES = ("timeUnixNano", "observedTimeUnixNano", "time_unix_nano", "observed_time_unix_nano")

FORMAT = tree_format("otel", _recognises, _read, _expand, Companions(_given, _wanted, _joined, unique_keys=True))
