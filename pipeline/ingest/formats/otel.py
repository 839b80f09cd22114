"""OpenTelemetry spans with `gen_ai.*` attributes, as OTLP/JSON or one span per row; current and older attribute names.

Messages may stand in attributes (`gen_ai.input.messages`), in span events, or, in older instrumentations, in numbered
attributes (`gen_ai.prompt.0.content`). Source: OpenTelemetry semantic conventions for generative AI, 1.41.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from pipeline.ingest.bodies import Answer, Prompt, Unreadable, read_answer, read_prompt
from pipeline.ingest.bodies.finish import finish_reason
from pipeline.ingest.bodies.prompts import read_tools
from pipeline.ingest.bodies.usage import read_usage
from pipeline.ingest.formats.format import Draft, NotARequest, tree_format
from pipeline.ingest.values import Notes, amount, count, opened_value, text
from traffic.record import Usage

_REQUESTS = frozenset({"chat", "text_completion", "generate_content", "completion", "responses", "message"})
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
    if "resourceSpans" in tree or "resource_spans" in tree:
        return True
    span = tree.get("span", tree)
    attributes = span.get("attributes") if isinstance(span, Mapping) else None
    if not (
        {"traceId", "spanId", "trace_id", "span_id", "context"} & (span.keys() if isinstance(span, Mapping) else set())
    ):
        return False
    names = (
        attributes
        if isinstance(attributes, Mapping)
        else (a.get("key") for a in attributes or () if isinstance(a, Mapping))
    )
    return any(str(name).startswith(("gen_ai.", "llm.")) for name in names)


def _expand(line: bytes) -> Iterable[bytes]:
    tree = msgspec.json.decode(line)
    if not isinstance(tree, dict) or not ("resourceSpans" in tree or "resource_spans" in tree):
        return (line,)
    return [msgspec.json.encode(span) for span in _spans(tree.get("resourceSpans", tree.get("resource_spans")))]


def _spans(resources: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(resources, list):
        raise Unreadable("wrong_types", f"resourceSpans: expected a list, got {type(resources).__name__}")
    for resource in resources:
        scopes = resource.get("scopeSpans", resource.get("scope_spans")) if isinstance(resource, dict) else None
        for scope in scopes if isinstance(scopes, list) else ():
            for span in (scope.get("spans") or ()) if isinstance(scope, dict) else ():
                yield {"span": span, "resource": resource.get("resource")}


def _attributes(listed: Any) -> dict[str, Any]:
    """Attributes as a flat object, from OTLP's list of typed values or from a plain object."""
    if isinstance(listed, Mapping):
        return dict(listed)
    found = {}
    for item in listed if isinstance(listed, list) else ():
        if isinstance(item, Mapping) and isinstance(item.get("key"), str):
            found[item["key"]] = _value(item.get("value"))
    return found


def _value(value: Any) -> Any:
    if not isinstance(value, Mapping) or len(value) != 1:
        return value
    kind, inner = next(iter(value.items()))
    if kind in ("intValue", "int_value"):
        return int(inner) if str(inner).lstrip("-").isdecimal() else inner
    if kind in ("arrayValue", "array_value"):
        return [_value(item) for item in (inner or {}).get("values") or ()]
    if kind in ("kvlistValue", "kvlist_value"):
        return _attributes((inner or {}).get("values"))
    return inner


def _read(row: dict[str, Any], notes: Notes) -> Draft:
    span = row.get("span", row)
    if not isinstance(span, Mapping):
        raise Unreadable("wrong_types", f"span: expected an object, got {type(span).__name__}")
    a = _attributes(span.get("attributes"))
    for event in span.get("events") or ():
        if isinstance(event, Mapping) and event.get("name") == "gen_ai.client.inference.operation.details":
            a = _attributes(event.get("attributes")) | a
    operation = a.get("gen_ai.operation.name", a.get("llm.request.type"))
    model = a.get("gen_ai.request.model", a.get("llm.model_name", a.get("gen_ai.response.model")))
    if operation is not None and operation not in _REQUESTS:
        raise NotARequest(f"{operation} span")
    if operation is None and model is None:
        raise NotARequest("span without gen_ai attributes")
    if a.get("openinference.span.kind", "LLM") != "LLM":
        raise NotARequest(f"{a['openinference.span.kind']} span")
    status, error = _outcome(span, a, notes)
    start, end = _nanoseconds(span, "start"), _nanoseconds(span, "end")
    return Draft(
        id=_own_id(a) or a.get("gen_ai.response.id") or _span_id(span),
        ts=start if start is not None else span.get("start_time", span.get("startTime")),
        trace_id=_identifier(span, "trace"),
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
        usage=_usage(a, notes),
        cost_usd=a.get("gen_ai.usage.cost", a.get("operation.cost")),
        ttft_ms=(ttft := _ttft(a, notes)),
        # A first chunk is measured of streams only.
        stream=True if ttft is not None and a.get("gen_ai.request.stream") is None else None,
        latency_ms=None if start is None or end is None else (end - start) / 1e6,
        tags=_tags(row, a),
    )


def _own_id(a: Mapping[str, Any]) -> Any:
    return next(
        (
            value
            for key, value in a.items()
            if key.endswith((".request_id", ".request.id")) and not key.startswith("gen_ai.")
        ),
        None,
    )


def _identifier(span: Mapping[str, Any], kind: str) -> Any:
    context = span.get("context")
    inner = context if isinstance(context, Mapping) else {}
    return span.get(f"{kind}Id", span.get(f"{kind}_id", inner.get(f"{kind}_id")))


def _span_id(span: Mapping[str, Any]) -> str | None:
    trace, own = _identifier(span, "trace"), _identifier(span, "span")
    return f"{trace}-{own}" if isinstance(trace, str) and isinstance(own, str) else None


def _nanoseconds(span: Mapping[str, Any], which: str) -> int | None:
    return _whole(span.get(f"{which}TimeUnixNano", span.get(f"{which}_time_unix_nano")))


def _whole(value: Any) -> int | None:
    """Nanoseconds are larger than doubles hold, and OTLP writes them as text."""
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _outcome(span: Mapping[str, Any], a: Mapping[str, Any], notes: Notes) -> tuple[int | None, str | None]:
    state = span.get("status")
    state = state if isinstance(state, Mapping) else {}
    failed = (
        str(state.get("code", state.get("status_code"))) in ("2", "STATUS_CODE_ERROR", "ERROR")
        or a.get("error.type") is not None
    )
    code = count(a.get("http.response.status_code", a.get("http.status_code")), "http.response.status_code", notes)
    if code is None and str(a.get("error.type", "")).isdecimal():
        code = int(str(a["error.type"]))
    if not failed:
        return code, None
    message = text(state.get("message", state.get("description")), "status.message", notes)
    return code or 0, message or text(a.get("error.type"), "error.type", notes) or "error"


def _prompt(span: Mapping[str, Any], a: Mapping[str, Any], notes: Notes) -> Prompt | None:
    messages: Any = next(
        (opened_value(a[key]) for key in ("gen_ai.input.messages", "gen_ai.prompt", "input.value") if a.get(key)), None
    )
    if isinstance(messages, Mapping) and "messages" in messages:
        messages = messages["messages"]
    if messages is None:
        messages = (
            _numbered(a, "gen_ai.prompt")
            or _numbered(a, "llm.input_messages")
            or _from_events(span, _MESSAGE_EVENTS, "gen_ai.content.prompt")
        )
    if not messages:
        return None
    request: dict[str, Any] = {name: a[key] for key, name in _PARAMETERS.items() if a.get(key) is not None}
    instructions = opened_value(a.get("gen_ai.system_instructions"))
    if instructions:
        request["system"] = instructions
    form = opened_value(a.get("app.response_format", a.get("gen_ai.request.response_format")))
    if form is None and a.get("gen_ai.output.type") == "json":
        form = {"type": "json_object"}
    prompt = read_prompt({**request, "messages": messages}, notes)
    prompt.response_format = form if isinstance(form, dict) else prompt.response_format
    prompt.tools = read_tools({"tools": a.get("gen_ai.tool.definitions")}) or prompt.tools
    if (choice := opened_value(a.get("gen_ai.request.tool_choice"))) is not None:
        prompt.params.other["tool_choice"] = choice
    return prompt


def _answer(span: Mapping[str, Any], a: Mapping[str, Any], notes: Notes) -> Answer | None:
    output = next(
        (opened_value(a[key]) for key in ("gen_ai.output.messages", "gen_ai.completion", "output.value") if a.get(key)),
        None,
    )
    if output is None:
        output = (
            _numbered(a, "gen_ai.completion")
            or _numbered(a, "llm.output_messages")
            or _from_events(span, ("gen_ai.choice",), "gen_ai.content.completion")
        )
    answer = read_answer(output, notes)
    reasons = a.get("gen_ai.response.finish_reasons")
    reason = reasons[0] if isinstance(reasons, list) and reasons else reasons
    if answer is None:
        # Content is opt-in: without it a request that ended well still counts.
        return Answer(finish_reason=finish_reason(reason, notes) or "stop") if reason is not None else None
    answer.finish_reason = finish_reason(reason, notes) if reason is not None else answer.finish_reason
    answer.model = text(a.get("gen_ai.response.model"), "gen_ai.response.model", notes)
    return answer


def _numbered(a: Mapping[str, Any], prefix: str) -> list[dict[str, Any]]:
    """Messages from attributes such as `gen_ai.prompt.0.role` and `llm.input_messages.0.message.content`."""
    messages: dict[int, dict[str, Any]] = defaultdict(dict)
    calls: dict[int, dict[int, dict[str, Any]]] = defaultdict(lambda: defaultdict(dict))
    pattern = re.compile(
        rf"{re.escape(prefix)}\.(\d+)\.(?:message\.)?(?:tool_calls\.(\d+)\.(?:tool_call\.)?(?:function\.)?)?(\w+)$"
    )
    for key, value in a.items():
        if found := pattern.match(key):
            position, call, name = int(found[1]), found[2], found[3]
            if call is None:
                messages[position][name] = value
            else:
                calls[position][int(call)][name] = value
    for position, made in calls.items():
        messages[position]["tool_calls"] = [made[n] for n in sorted(made)]
    return [
        {"role": "assistant" if "completion" in prefix else "user", "content": None} | messages[n]
        for n in sorted(messages)
    ]


def _from_events(span: Mapping[str, Any], names: tuple[str, ...], old: str) -> Any:
    found = []
    for event in span.get("events") or ():
        if not isinstance(event, Mapping):
            continue
        inside = _attributes(event.get("attributes"))
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
            found.append(
                message
                if isinstance(message, Mapping)
                else {"role": "assistant" if role == "choice" else role, **content}
            )
    return found or None


def _usage(a: Mapping[str, Any], notes: Notes) -> Usage | None:
    return read_usage({key: value for key, value in a.items() if ".usage." in key or "token_count" in key}, notes)


def _ttft(a: Mapping[str, Any], notes: Notes) -> float | None:
    seconds = a.get("gen_ai.response.time_to_first_chunk", a.get("gen_ai.server.time_to_first_token"))
    if seconds is None:
        seconds = next((value for key, value in a.items() if key.endswith("time_to_first_token_s")), None)
    read = amount(seconds, "gen_ai.response.time_to_first_chunk", notes)
    return None if read is None else read * 1000


def _tags(row: Mapping[str, Any], a: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes that are not OpenTelemetry's own, grouped by their first name: `app.plan` is `plan` under `app`."""
    groups: dict[str, Any] = {"attributes": a}
    resource = row.get("resource")
    if isinstance(resource, Mapping):
        groups["resource"] = _attributes(resource.get("attributes"))
    for key, value in a.items():
        first, dot, rest = key.partition(".")
        if dot and first not in ("gen_ai", "llm", "server", "http", "error"):
            group = groups.setdefault(first, {})
            if isinstance(group, dict):
                group[rest] = value
    return groups


FORMAT = tree_format("otel", _recognises, _read, _expand)
