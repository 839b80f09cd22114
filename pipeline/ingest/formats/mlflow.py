"""MLflow traces (version 3), as `Trace.to_json` and the client write them: the spans that called a model.

Previews in the trace's info are truncated, so requests and answers are read from the spans.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from pipeline.ingest.bodies import Prompt, Unreadable, read_answer, read_prompt
from pipeline.ingest.bodies.usage import read_usage
from pipeline.ingest.formats.format import Draft, NotARequest, tree_format
from pipeline.ingest.values import Notes, opened_value, text

_REQUESTS = frozenset({"CHAT_MODEL", "LLM"})


def _recognises(tree: Mapping[str, Any]) -> bool:
    info, data = tree.get("info", tree.get("trace_info")), tree.get("data", tree.get("trace_data"))
    if isinstance(info, Mapping) and isinstance(data, Mapping):
        return "spans" in data
    return "mlflow_span" in tree or (
        "spans" in tree and ("trace_id" in tree or "request_id" in tree) and "trace_metadata" in tree
    )


def _expand(line: bytes) -> Iterable[bytes]:
    tree = msgspec.json.decode(line)
    if not isinstance(tree, dict):
        return (line,)
    tree = opened_value(tree["trace"]) if "trace" in tree and "spans" not in tree else tree
    info = tree.get("info", tree.get("trace_info", tree))
    data = tree.get("data", tree.get("trace_data", tree))
    spans = opened_value(data.get("spans")) if isinstance(data, dict) else None
    if not isinstance(spans, list):
        return (line,)
    shared = (
        {key: info.get(key) for key in ("tags", "trace_metadata", "client_request_id")}
        if isinstance(info, dict)
        else {}
    )
    # Autologging of a framework and of its client report the same call.
    around = {span.get("parent_span_id", span.get("parent_id")) for span in spans if _kind(span) in _REQUESTS}
    return [
        msgspec.json.encode({"mlflow_span": span, "trace": shared, "around": _own_id(span) in around}) for span in spans
    ]


def _own_id(span: Any) -> Any:
    context = span.get("context") if isinstance(span, Mapping) else None
    return span.get("span_id") or (context.get("span_id") if isinstance(context, Mapping) else None) if span else None


def _kind(span: Any) -> str | None:
    attributes = span.get("attributes") if isinstance(span, Mapping) else None
    kind = attributes.get("mlflow.spanType") if isinstance(attributes, Mapping) else None
    return str(opened_value(kind)) if kind is not None else None


def _read(row: dict[str, Any], notes: Notes) -> Draft:
    span = row.get("mlflow_span")
    if not isinstance(span, Mapping):
        raise Unreadable("wrong_types", "the trace has no spans")
    attributes = span.get("attributes")
    a = {key: opened_value(value) for key, value in attributes.items()} if isinstance(attributes, Mapping) else {}
    kind = _kind(span) or "UNKNOWN"
    if kind not in _REQUESTS:
        raise NotARequest(f"{kind} span")
    if row.get("around"):
        raise NotARequest(f"{kind} span around others")
    inputs, outputs = opened_value(a.get("mlflow.spanInputs")), a.get("mlflow.spanOutputs")
    failure = _failure(span)
    start = span.get("start_time_unix_nano", span.get("start_time"))
    end = span.get("end_time_unix_nano", span.get("end_time"))
    # The tracer of OpenAI's agents writes plain names.
    usage = a.get("mlflow.chat.tokenUsage", a.get("usage"))
    # A missing output is also written as JSON.
    answer = None if outputs in ("null", "None") else read_answer(opened_value(outputs), notes)
    return Draft(
        id=f"{span.get('trace_id') or span.get('context', {}).get('trace_id')}-{span.get('span_id')}",
        ts=start,
        trace_id=span.get("trace_id"),
        prompt=_prompt(inputs, notes) if inputs else None,
        answer=answer,
        status=0 if failure else 200 if answer is not None else None,
        error=failure,
        model=text(a.get("mlflow.llm.model", a.get("model")), "mlflow.llm.model", notes),
        provider=text(a.get("mlflow.llm.provider"), "mlflow.llm.provider", notes),
        # MLflow's own count does not say whether it includes the cached tokens; the body's does.
        usage=(answer and answer.usage) or (read_usage(usage, notes) if isinstance(usage, Mapping) else None),
        latency_ms=(end - start) / 1e6 if isinstance(start, int) and isinstance(end, int) else None,
        call_site=text(span.get("name"), "name", notes),
        tags={**row.get("trace", {}), "attributes": a},
    )


def _prompt(inputs: Any, notes: Notes) -> Prompt:
    if isinstance(inputs, Mapping):
        # LangChain wraps the batch: {"messages": [[...]]}; other autologgers nest the body under `kwargs`.
        inner = inputs.get("kwargs")
        if isinstance(inner, Mapping) and "messages" in inner:
            inputs = inner
    return read_prompt(inputs, notes)


def _failure(span: Mapping[str, Any]) -> str | None:
    status = span.get("status")
    if isinstance(status, Mapping):
        if str(status.get("code", status.get("status_code"))) in ("STATUS_CODE_ERROR", "ERROR", "2"):
            return str(status.get("message") or status.get("description") or "error")
        return None
    return (
        str(span.get("status_message") or "error")
        if str(span.get("status_code")) in ("ERROR", "STATUS_CODE_ERROR")
        else None
    )


FORMAT = tree_format("mlflow", _recognises, _read, _expand)
