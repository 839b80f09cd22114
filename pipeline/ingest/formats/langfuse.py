"""Langfuse: observations of the API and of the blob export (camelCase or snake_case), whole traces, ingestion batches.

Only generations are requests; spans, events and traces are skipped, and so are generations that contain others: tracers
report a call both for the calling function and for its client. The blob export can keep traces and scores in files of
their own; their tags (and consent) are those of the trace's generations. `usageDetails.input` excludes cached tokens;
times to first token and latencies are in seconds.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from pipeline.ingest.bodies import Answer, Prompt, Unreadable, read_answer, read_prompt
from pipeline.ingest.bodies.finish import finish_reason
from pipeline.ingest.bodies.messages import begins_like_messages
from pipeline.ingest.bodies.prompts import read_params
from pipeline.ingest.bodies.usage import read_usage
from pipeline.ingest.formats.format import PASSED_ON, PASSES_TO, Companions, Draft, NotARequest, Part, tree_format
from pipeline.ingest.values import Notes, amount, milliseconds, opened_value, optional_time, text
from traffic.gateway_marks import mark_in
from traffic.record import Usage

_REQUESTS = frozenset({"generation", "generation-create", "generation-update"})
_PARAMETERS = (
    "temperature",
    "max_tokens",
    "maxTokens",
    "max_completion_tokens",
    "stream",
    "top_p",
    "tool_choice",
    "seed",
    "stop",
    "response_format",
    "tools",
)


def _recognises(tree: Mapping[str, Any]) -> bool:
    if isinstance(tree.get("batch"), list):
        return any(
            isinstance(e, Mapping) and str(e.get("type", "")).endswith(("-create", "-update")) for e in tree["batch"]
        )
    trace = tree.get("trace")
    if isinstance(tree.get("observations"), list) or (isinstance(trace, Mapping) and "observations" in trace):
        return "spans" not in tree
    if _is_trace(tree) or _is_score(tree):
        return True
    ids = ("traceId" in tree or "trace_id" in tree) and ("startTime" in tree or "start_time" in tree)
    return (
        ids
        and "type" in tree
        and ("input" in tree or "output" in tree or "level" in tree)
        # LiteLLM's rows and OpenTelemetry's spans have such fields too.
        and tree.keys().isdisjoint(("call_type", "parent_span_id", "span_id", "spanId"))
    )


def _is_trace(tree: Mapping[str, Any]) -> bool:
    return tree.keys() >= _TRACE_KEYS and ("userId" in tree or "user_id" in tree)


def _is_score(tree: Mapping[str, Any]) -> bool:
    return tree.keys() >= _SCORE_KEYS and not (
        tree.keys().isdisjoint(("dataType", "data_type")) or tree.keys().isdisjoint(("traceId", "trace_id"))
    )


_TRACE_KEYS = {"id", "timestamp", "name", "public", "tags"}
_SCORE_KEYS = {"name", "value", "source"}


def _expand(line: bytes) -> Iterable[bytes]:
    """Observations of a trace or a batch; a row that is one observation is itself."""
    if b'"observations"' not in line and b'"batch"' not in line:
        return (line,)
    tree = msgspec.json.decode(line)
    if not isinstance(tree, dict):
        return (line,)
    if isinstance(tree.get("batch"), list):
        return [msgspec.json.encode(event) for event in _merged(tree["batch"])]
    trace = tree["trace"] if isinstance(tree.get("trace"), dict) else tree
    observations = tree.get("observations", trace.get("observations"))
    if not isinstance(observations, list) or (observations and not isinstance(observations[0], dict)):
        return (line,)
    scores = trace["scores"] if isinstance(trace.get("scores"), list) else []
    return [
        msgspec.json.encode(_in_trace(o, trace, [s for s in scores if isinstance(s, dict) and _is_about(s, o)]))
        for o in observations
        if isinstance(o, dict)
    ]


def _in_trace(observation: Mapping[str, Any], trace: Mapping[str, Any], scores: list[Any]) -> dict[str, Any]:
    """An observation with the tags of its trace, and the scores of either."""
    shared = {key: _field(trace, key) for key in ("userId", "sessionId", "tags", "environment") if _field(trace, key)}
    around = {key: trace[key] for key in ("metadata", "tags", "name") if key in trace}
    known = observation.get("_trace")
    around = {**(known if isinstance(known, dict) else {}), **around, **({"scores": scores} if scores else {})}
    return {**shared, **{k: v for k, v in observation.items() if v is not None}, "_trace": around}


def _is_about(score: Mapping[str, Any], observation: Mapping[str, Any]) -> bool:
    """Whether a score of the trace is of the whole trace or of this observation."""
    return _field(score, "observationId") in (None, "", observation.get("id"))


def _merged(batch: list[Any]) -> Iterator[dict[str, Any]]:
    """Merges creation and updates of an observation into one row; other events are unchanged."""
    bodies: dict[Any, dict[str, Any]] = {}
    for event in batch:
        if not isinstance(event, Mapping) or not isinstance(event.get("body"), Mapping):
            continue
        body = {key: value for key, value in event["body"].items() if value is not None}
        kind = str(event.get("type", ""))
        key = (kind.partition("-")[0], body.get("id") or event.get("id"))
        bodies[key] = bodies.get(key, {"type": kind.partition("-")[0].upper(), "traceId": body.get("traceId")}) | body
    yield from bodies.values()


def _field(row: Mapping[str, Any], name: str) -> Any:
    """A field by its camelCase name or the blob export's snake_case name."""
    return row[name] if name in row else row.get(_snake(name))


@lru_cache(maxsize=64)
def _snake(name: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", lambda match: "_" + match[1].lower(), name)


def _read(row: dict[str, Any], notes: Notes) -> Draft:
    if not _is_request(row):
        kind = "trace" if _is_trace(row) else "score" if _is_score(row) else row.get("type") or "observation"
        raise NotARequest(str(kind))
    metadata = opened_value(row.get("metadata"))
    metadata = metadata if isinstance(metadata, dict) else {}
    if row.get(_NESTED) or _is_agent(metadata):
        raise NotARequest("GENERATION around others")
    parameters = opened_value(_field(row, "modelParameters"))
    parameters = {k: opened_value(v) for k, v in parameters.items()} if isinstance(parameters, Mapping) else {}
    given = opened_value(row.get("input"))
    if given is not None and not isinstance(given, str | list | Mapping):
        raise Unreadable("wrong_types", f"input: expected messages, got {type(given).__name__}")
    # Texts with a gateway's truncation mark are kept, counted and filtered by the mark.
    if isinstance(given, str) and begins_like_messages(given) and mark_in([given]) is None:
        raise Unreadable("cut_text", "input: truncated JSON; raise the limit on lengths")
    prompt = _prompt(given, parameters, notes) if given not in (None, "", [], {}) else None
    answer = _answer(row.get("output"), notes)
    start, end = _field(row, "startTime"), _field(row, "endTime")
    status, error = _outcome(row, notes)
    usage = _usage(row, notes)
    if prompt is not None and (answer, end, usage, error) == (None,) * 4:
        # An export has a row for each state of an observation; the request counts in the last one.
        raise NotARequest("unfinished GENERATION")
    if answer is not None and answer.finish_reason is None:
        answer.finish_reason = _finish(metadata, parameters, notes)
    name = text(row.get("name"), "name", notes)
    return Draft(
        id=row.get("id"),
        ts=start,
        trace_id=_field(row, "traceId"),
        session_id=text(_field(row, "sessionId"), "sessionId", notes),
        user_id=text(_field(row, "userId"), "userId", notes),
        call_site=text(_field(row, "promptName"), "promptName", notes) or name,
        prompt=prompt,
        answer=answer,
        status=status,
        error=error,
        model=text(_field(row, "providedModelName") or row.get("model"), "model", notes),
        usage=usage,
        cost_usd=_field(row, "totalCost") or _calculated(row),
        ttft_ms=_ttft(row, start, notes),
        latency_ms=_latency(row, start, end, notes),
        stream=None if "stream" not in parameters else str(parameters["stream"]).casefold() == "true",
    )


def _prompt(given: Any, parameters: Mapping[str, Any], notes: Notes) -> Prompt:
    kept = {key: parameters[key] for key in _PARAMETERS if parameters.get(key) not in (None, "")}
    try:
        prompt = read_prompt(given, notes, parameters=kept)
    except Unreadable as error:
        if error.reason != "not_chat" or not isinstance(given, Mapping):
            raise
        # Custom arguments of the application: one user message, as JSON.
        arguments = msgspec.json.encode(given).decode()
        prompt = Prompt(messages=[{"role": "user", "content": arguments}], params=read_params(kept, notes))
    if (
        not isinstance(given, Mapping)
        and isinstance(instructions := parameters.get("instructions"), str)
        and instructions
    ):
        prompt.messages.insert(0, {"role": "system", "content": instructions})
    return prompt


def _answer(output: Any, notes: Notes) -> Answer | None:
    if isinstance(output, bool | int | float):
        raise Unreadable("wrong_types", f"output: expected an answer, got {type(output).__name__}")
    try:
        return read_answer(output, notes)
    except Unreadable as error:
        if error.reason != "unknown_answer" or not isinstance(output, Mapping):
            raise
        # Custom output of the application: as JSON.
        return Answer(text=msgspec.json.encode(output).decode())


def _outcome(row: Mapping[str, Any], notes: Notes) -> tuple[int | None, str | None]:
    if str(row.get("level", "")).upper() != "ERROR":
        return None, None
    message = text(_field(row, "statusMessage"), "statusMessage", notes) or "error"
    code = re.search(r"\b([45]\d\d)\b", message)
    return int(code[1]) if code else 0, message


_REASONS = (
    *("finish_reason", "finishReason", "ai.response.finishReason", "stop_reason"),
    "gen_ai.response.finish_reasons",
)


def _finish(metadata: Mapping[str, Any], parameters: Mapping[str, Any], notes: Notes) -> str | None:
    for tree in (metadata, metadata.get("attributes"), parameters):
        if isinstance(tree, dict):
            for key in _REASONS:
                if key not in tree:
                    continue
                reason = opened_value(tree[key])
                reason = reason[0] if isinstance(reason, list) and reason else reason
                if isinstance(reason, str):
                    return finish_reason(reason, notes)
    return None


def _usage(row: Mapping[str, Any], notes: Notes) -> Usage | None:
    details = opened_value(_field(row, "usageDetails"))
    if isinstance(details, Mapping) and any(details.values()):
        return read_usage(details, notes)
    old = opened_value(row.get("usage"))
    if old is None:
        # Columns of the exports of its pages.
        return read_usage({key: row[key] for key in _COLUMNS if row.get(key) not in (None, "")}, notes)
    # Other units are characters, seconds, images, requests.
    if not isinstance(old, Mapping) or str(old.get("unit") or row.get("unit") or "TOKENS").upper() != "TOKENS":
        return None
    return read_usage({key: value for key, value in old.items() if key != "unit"}, notes)


_COLUMNS = ("promptTokens", "completionTokens", "totalTokens")


def _calculated(row: Mapping[str, Any]) -> Any:
    details = opened_value(_field(row, "costDetails"))
    if isinstance(details, Mapping) and details.get("total") is not None:
        return details["total"]
    return _field(row, "calculatedTotalCost")


def _ttft(row: Mapping[str, Any], start: Any, notes: Notes) -> float | None:
    seconds = amount(_field(row, "timeToFirstToken"), "timeToFirstToken", notes)
    first = optional_time(_field(row, "completionStartTime"), "completionStartTime", notes)
    begun = optional_time(start, "startTime", Notes())
    if first is not None and begun is not None:
        return milliseconds(begun, first)
    return None if seconds is None else seconds * 1000


def _latency(row: Mapping[str, Any], start: Any, end: Any, notes: Notes) -> float | None:
    begun, ended = optional_time(start, "startTime", Notes()), optional_time(end, "endTime", notes)
    if begun is not None and ended is not None:
        return milliseconds(begun, ended)
    seconds = amount(row.get("latency"), "latency", notes)
    return None if seconds is None else seconds * 1000


def _is_agent(metadata: Mapping[str, Any]) -> bool:
    """Whether OpenTelemetry's attributes say that this is an agent or a step of one, with the sums of its requests."""
    attributes = opened_value(metadata.get("attributes"))
    return isinstance(attributes, dict) and attributes.get("gen_ai.operation.name") in ("invoke_agent", "agent_step")


_NESTED = "_holds_generations"


def _is_request(row: Mapping[str, Any]) -> bool:
    return str(row.get("type", "")).casefold() in _REQUESTS


def _given(row: Mapping[str, Any]) -> list[Part]:
    if _is_trace(row):
        return [(_key(row["id"], None), 0, {"trace": {key: row[key] for key in _OF_TRACE if key in row}})]
    if _is_score(row):
        # Scores of sessions have no trace.
        trace = _field(row, "traceId")
        return [(_key(trace, _field(row, "observationId")), 0, {"score": row})] if trace else []
    parent = _field(row, "parentObservationId")
    if not parent:
        return []
    around = _key(_field(row, "traceId"), parent)
    if _is_request(row):
        return [(around, PASSED_ON, {_NESTED: True})]
    return [(_key(_field(row, "traceId"), row.get("id")), PASSES_TO, around)]


_OF_TRACE = ("userId", "user_id", "sessionId", "session_id", "tags", "environment", "metadata", "name")


def _key(trace: Any, observation: Any) -> str:
    """Key of an observation; of a whole trace without one."""
    return f"{trace}/{observation or ''}"


def _wanted(row: Mapping[str, Any]) -> Sequence[str]:
    if not row.get("id") or not _is_request(row):
        return ()
    trace = _field(row, "traceId")
    return _key(trace, row["id"]), _key(trace, None)


def _joined(row: Mapping[str, Any], parts: list[Any]) -> dict[str, Any]:
    if any(_NESTED in part for part in parts):
        return {**row, _NESTED: True}
    # A trace is exported again after each change: the last one counts.
    trace: Mapping[str, Any] = next((part["trace"] for part in reversed(parts) if "trace" in part), {})
    return _in_trace(row, trace, [part["score"] for part in parts if "score" in part])


FORMAT = tree_format(
    "langfuse",
    _recognises,
    _read,
    _expand,
    Companions(_given, _wanted, _joined, unique_keys=True),
)
