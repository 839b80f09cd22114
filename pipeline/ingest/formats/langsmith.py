"""LangSmith runs: of the API, of the bulk export (Parquet, with objects as JSON text), of the SDK's `list_runs`.

Only runs of type `llm` are requests; chains, tools, retrievers and parsers are skipped. `session_id` is the project,
not a conversation. A run of several prompts is one request per prompt. Times without a zone are UTC.

Source: https://docs.langchain.com/langsmith/run-data-format.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from pipeline.ingest.bodies import Answer, Prompt, Unreadable, read_answer, read_prompt
from pipeline.ingest.bodies.usage import read_usage
from pipeline.ingest.formats.format import Draft, NotARequest, tree_format
from pipeline.ingest.values import Notes, elapsed_ms, opened_value, text
from traffic.record import Usage

_NOT_SENT = frozenset({"_type", "model", "model_name", "messages", "stream_options"})


def _recognises(tree: Mapping[str, Any]) -> bool:
    return "run_type" in tree and "inputs" in tree and ("dotted_order" in tree or "start_time" in tree)


def _expand(line: bytes) -> Iterable[bytes]:
    """Splits a batch run, which has several prompts and the generations of each, into one row per prompt."""
    if b"[[" not in line.replace(b" ", b""):
        return (line,)
    run = msgspec.json.decode(line)
    inputs, outputs = (_object(run.get(key)) for key in ("inputs", "outputs")) if isinstance(run, dict) else ({}, {})
    key = next((key for key in ("messages", "prompts") if isinstance(inputs.get(key), list)), "")
    prompts, answers = inputs.get(key, ()), outputs.get("generations", ())
    if len(prompts) < 2 or not all(isinstance(prompt, list) for prompt in prompts) or len(answers) != len(prompts):
        return (line,)
    # Counts of the whole run apply to no single prompt.
    apart = {k: v for k, v in run.items() if k not in ("total_cost", "prompt_tokens", "completion_tokens")}
    return [
        msgspec.json.encode(
            {
                **apart,
                "id": f"{run.get('id')}-{n}",
                "inputs": {**inputs, key: [prompt]},
                "outputs": {"generations": [made]},
            }
        )
        for n, (prompt, made) in enumerate(zip(prompts, answers, strict=True))
    ]


def _object(value: Any) -> Mapping[str, Any]:
    value = opened_value(value)
    return value if isinstance(value, Mapping) else {}


def _read(row: dict[str, Any], notes: Notes) -> Draft:
    if row.get("run_type") != "llm":
        raise NotARequest(f"{row.get('run_type')} run")
    extra = _object(row.get("extra"))
    metadata, invocation = _object(extra.get("metadata")), _object(extra.get("invocation_params"))
    inputs, outputs = _object(row.get("inputs")), opened_value(row.get("outputs"))
    failed = row.get("status") == "error" or bool(row.get("error"))
    answer = None if not outputs or failed else read_answer(outputs, notes)
    model = metadata.get("ls_model_name") or invocation.get("model") or inputs.get("model")
    start = row.get("start_time")
    return Draft(
        id=row.get("id"),
        ts=start,
        trace_id=row.get("trace_id"),
        session_id=text(_conversation(metadata), "session_id", notes),
        call_site=text(metadata.get("call_site"), "call_site", notes),
        prompt=_prompt(inputs, invocation, notes),
        answer=answer,
        error=text(row.get("error"), "error", notes) or ("error" if failed else None),
        provider=text(metadata.get("ls_provider"), "ls_provider", notes),
        model=text(model, "model", notes),
        usage=_usage(row, outputs, answer, notes),
        cost_usd=row.get("total_cost"),
        ttft_ms=elapsed_ms(start, row.get("first_token_time"), "first_token_time", notes),
        latency_ms=elapsed_ms(start, row.get("end_time"), "end_time", notes),
    )


def _conversation(metadata: Mapping[str, Any]) -> Any:
    """Metadata keys of LangSmith threads."""
    return next((metadata[key] for key in ("session_id", "thread_id", "conversation_id") if metadata.get(key)), None)


def _prompt(inputs: Mapping[str, Any], invocation: Mapping[str, Any], notes: Notes) -> Prompt | None:
    parameters = {key: value for key, value in invocation.items() if key not in _NOT_SENT}
    messages = inputs.get("messages", inputs.get("prompts"))
    if isinstance(messages, list) and messages and isinstance(messages[0], list):
        if len(messages) > 1:
            raise Unreadable("several_prompts", f"{len(messages)} prompts in one run, but another number of answers")
        messages = messages[0]
    if isinstance(messages, list) and len(messages) == 1 and isinstance(messages[0], str):
        messages = messages[0]
    if not messages:
        return read_prompt(inputs, notes, parameters=parameters) if inputs else None
    request = {key: value for key, value in inputs.items() if key not in ("messages", "prompts")}
    return read_prompt({**request, "messages": messages}, notes, parameters=parameters)


def _usage(row: Mapping[str, Any], outputs: Any, answer: Answer | None, notes: Notes) -> Usage | None:
    """Token counts, preferably the message's: these include cached tokens."""
    if answer is not None and answer.usage is not None:
        return answer.usage
    body = _object(outputs)
    for tree in (body.get("usage_metadata"), _object(body.get("llm_output")).get("token_usage")):
        if (usage := read_usage(opened_value(tree), notes)) is not None:
            return usage
    counts = {key: row[key] for key in ("prompt_tokens", "completion_tokens") if row.get(key) is not None}
    return read_usage(counts, notes) if any(counts.values()) else None


FORMAT = tree_format("langsmith", _recognises, _read, _expand)
