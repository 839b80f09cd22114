"""Normalises attributes, ids and times of OpenTelemetry's spans and log records from all exporters.

OTLP/JSON lists typed values; Phoenix writes objects inside objects; ClickHouse's exporter has columns of its own names.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.ingest.values import opened_value


def attributes_of(listed: Any) -> dict[str, Any]:
    """Attributes as a flat object, from OTLP's list of typed values or from a plain object."""
    listed = opened_value(listed)
    if isinstance(listed, Mapping):
        nested = {key: value for key, value in listed.items() if key in _NAMESPACES and isinstance(value, Mapping)}
        return {key: value for key, value in listed.items() if key not in nested} | dict(_flat(nested))
    attributes = {}
    for item in listed if isinstance(listed, list) else ():
        if isinstance(item, Mapping) and isinstance(item.get("key"), str):
            attributes[item["key"]] = plain_value(item.get("value"))
    return attributes


_LANGFUSE = {
    "langfuse.observation.input": "gen_ai.input.messages",
    "langfuse.observation.output": "gen_ai.output.messages",
    "langfuse.observation.model.name": "gen_ai.request.model",
    "langfuse.session.id": "session.id",
    "langfuse.user.id": "user.id",
}
"""Attributes of Langfuse's tracer and their OpenTelemetry names."""


def with_usual_names(a: dict[str, Any]) -> dict[str, Any]:
    """Attributes, with those of Langfuse's tracer and Vercel's AI SDK also under OpenTelemetry's names."""
    if "ai.model.id" in a and str(a.get("ai.operationId")).endswith((".doGenerate", ".doStream")):
        return {"gen_ai.request.model": a["ai.model.id"], "gen_ai.system": a.get("ai.model.provider")} | a
    kind = a.get("langfuse.observation.type")
    if kind is None:
        return a
    renamed = {name: a[key] for key, name in _LANGFUSE.items() if key in a}
    renamed["gen_ai.operation.name"] = "chat" if kind == "generation" else kind
    parameters = opened_value(a.get("langfuse.observation.model.parameters"))
    if isinstance(parameters, Mapping):
        renamed |= {f"gen_ai.request.{name}": value for name, value in parameters.items()}
    costs = opened_value(a.get("langfuse.observation.cost_details"))
    if isinstance(costs, Mapping):
        renamed["gen_ai.usage.cost"] = costs.get("total")
    return renamed | a


_NAMESPACES = frozenset("gen_ai llm ai openinference input output session user enduser http".split())
"""Attribute prefixes whose values may be nested objects."""
_ITEMS = frozenset({"message", "tool_call", "message_content", "tool"})


def _flat(tree: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Attributes under their full names, flattened from nested objects and OpenInference's lists."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{key}.")
        elif isinstance(value, list) and value and all(isinstance(v, Mapping) and _ITEMS & v.keys() for v in value):
            for position, item in enumerate(value):
                yield from _flat(item, f"{before}{key}.{position}.")
        else:
            yield f"{before}{key}", value


_TOOLS = ("gen_ai.tool.definitions", "gen_ai.request.available_tools", "ai.prompt.tools")
_NUMBERED_TOOLS = re.compile(r"llm\.(?:request\.functions\.(\d+)\.(\w+)|tools\.(\d+)\.tool\.json_schema)")


def listed_tools(a: Mapping[str, Any]) -> list[Any]:
    """Definitions of tools from one attribute or from numbered ones."""
    whole_list = opened_value(next((a[name] for name in _TOOLS if a.get(name)), None))
    if isinstance(whole_list, list):
        return list(map(opened_value, whole_list))
    numbered: dict[int, Any] = defaultdict(dict)
    for key, value in a.items():
        if not key.startswith("llm.") or (match := _NUMBERED_TOOLS.fullmatch(key)) is None:
            continue
        if match[3] is not None:
            numbered[int(match[3])] = opened_value(value)
        else:
            numbered[int(match[1])] |= {"type": "function", match[2]: opened_value(value)}
    return [numbered[position] for position in sorted(numbered)]


def as_span(row: Any) -> Any:
    """A span with standard names: of ClickHouse's exporter, Jaeger, Zipkin, or flattened; other rows are unchanged."""
    if not isinstance(row, Mapping):
        return row
    if isinstance(inner := row.get("span"), Mapping) and "attributes" not in row:
        return as_span(inner)
    if "traceID" in row and isinstance(row.get("tags"), list):
        return _span_of_jaeger(row)
    if "traceId" in row and "id" in row and "spanId" not in row:
        # OpenTelemetry's exporter to Node's console writes spans in this form, too.
        for key in ("tags", "attributes"):
            if isinstance(attributes := row.get(key), Mapping):
                return _span_of_zipkin(row, attributes)
    if "SpanAttributes" not in row:
        if "attributes" in row:
            return row
        data = row.get("data")
        if isinstance(data, Mapping) and "start_timestamp" in row:
            # Sentry's.
            return {**row, "attributes": data, "end_timestamp": row.get("timestamp")}
        return _unflattened(row)
    events = opened_value(row.get("Events"))
    return {
        "traceId": row.get("TraceId"),
        "spanId": row.get("SpanId"),
        "parentSpanId": row.get("ParentSpanId"),
        "attributes": row["SpanAttributes"],
        "start_time": row.get("Timestamp"),
        "duration": row.get("Duration"),
        "status_code": row.get("StatusCode"),
        "status_message": row.get("StatusMessage"),
        "events": [
            {"name": event.get("Name"), "attributes": event.get("Attributes")}
            for event in (events if isinstance(events, list) else ())
            if isinstance(event, Mapping)
        ],
    }


def _unflattened(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A span whose attributes are fields of the row: `gen_ai.request.model` or `attributes.gen_ai.request.model`."""
    dotted = {key.removeprefix("attributes."): value for key, value in row.items() if "." in key}
    if not any(key.startswith(OWN_NAMES) for key in dotted):
        return row
    status = {"status_code": row.get("status.code"), "status_message": row.get("status.message")}
    return {**status, **{key: value for key, value in row.items() if "." not in key}, "attributes": dotted}


OWN_NAMES = ("gen_ai.", "llm.", "ai.operationId", "langfuse.observation.")
"""Beginnings of the attributes by which spans of model calls are recognised."""


def _span_of_jaeger(row: Mapping[str, Any]) -> dict[str, Any]:
    """Jaeger's spans have times in microseconds, attributes as tags and the parent among the references."""
    tags = {tag.get("key"): tag.get("value") for tag in row["tags"] if isinstance(tag, Mapping)}
    references = [r for r in row.get("references") or () if isinstance(r, Mapping) and r.get("refType") == "CHILD_OF"]
    start, duration = whole(row.get("startTime")), whole(row.get("duration"))
    failed = tags.get("error") in (True, "true")
    return {
        "traceId": row["traceID"],
        "spanId": row.get("spanID"),
        "parentSpanId": references[0].get("spanID") if references else None,
        "name": row.get("operationName"),
        "attributes": tags,
        "startTimeUnixNano": None if start is None else start * 1000,
        "endTimeUnixNano": None if start is None or duration is None else (start + duration) * 1000,
        "status": {"code": 2, "message": tags.get("otel.status_description")} if failed else {},
    }


def _span_of_zipkin(row: Mapping[str, Any], attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Zipkin's spans have times in microseconds and attributes as tags, all of them texts."""
    start, duration = whole(row.get("timestamp")), whole(row.get("duration"))
    failure = attributes.get("error")
    return {
        "traceId": row["traceId"],
        "spanId": row["id"],
        "parentSpanId": row.get("parentId"),
        "name": row.get("name"),
        "attributes": attributes,
        "events": row.get("events"),
        "startTimeUnixNano": None if start is None else start * 1000,
        "endTimeUnixNano": None if start is None or duration is None else (start + duration) * 1000,
        "status": row.get("status", {}) if failure is None else {"code": 2, "message": failure},
    }


def plain_value(value: Any) -> Any:
    if not isinstance(value, Mapping) or len(value) != 1:
        return value
    kind, inner = next(iter(value.items()))
    if kind in ("intValue", "int_value"):
        return int(inner) if str(inner).lstrip("-").isdecimal() else inner
    if kind in ("arrayValue", "array_value"):
        return [plain_value(item) for item in (inner or {}).get("values") or ()]
    if kind in ("kvlistValue", "kvlist_value"):
        return attributes_of((inner or {}).get("values"))
    return inner


def identifier(span: Mapping[str, Any], kind: str) -> Any:
    context = span.get("context")
    inner = context if isinstance(context, Mapping) else {}
    of_elastic = span.get(kind)
    own = of_elastic.get("id") if isinstance(of_elastic, Mapping) else None
    return span.get(f"{kind}Id", span.get(f"{kind}_id", inner.get(f"{kind}_id", own)))


def span_id(span: Mapping[str, Any]) -> str | None:
    trace, own = identifier(span, "trace"), identifier(span, "span")
    return f"{trace}-{own}" if isinstance(trace, str) and isinstance(own, str) else None


def parent_id(span: Mapping[str, Any]) -> str | None:
    """The id of the parent span, in the form of `span_id`."""
    trace = identifier(span, "trace")
    parent = next((span[key] for key in ("parentSpanId", "parent_span_id", "parent_id") if span.get(key)), None)
    return f"{trace}-{parent}" if isinstance(trace, str) and isinstance(parent, str) else None


def nanoseconds(span: Mapping[str, Any], which: str) -> int | None:
    return whole(span.get(f"{which}TimeUnixNano", span.get(f"{which}_time_unix_nano")))


def whole(value: Any) -> int | None:
    """Nanoseconds, which exceed the precision of doubles and are text in OTLP."""
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
