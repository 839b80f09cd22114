"""Amazon Bedrock's model invocation log (S3, CloudWatch): Converse and InvokeModel, streamed or not.

Source: the Bedrock user guide, "Model invocation logging"; `schemaType: ModelInvocationLog`, version 1.0.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from pipeline.ingest.bodies import Answer, Unreadable, read_answer, read_prompt
from pipeline.ingest.bodies.usage import read_usage
from pipeline.ingest.formats.format import Draft, NotARequest, tree_format
from pipeline.ingest.stored_content import stored
from pipeline.ingest.values import Notes, count, opened_value, text
from traffic.record import Usage

_CALLS = frozenset({"Converse", "ConverseStream", "InvokeModel", "InvokeModelWithResponseStream", "", None})
_ERRORS = {
    "ThrottlingException": 429,
    "ServiceQuotaExceededException": 429,
    "ValidationException": 400,
    "AccessDeniedException": 403,
    "ResourceNotFoundException": 404,
    "ModelTimeoutException": 408,
    "InternalServerException": 500,
    "ServiceUnavailableException": 503,
    "ModelNotReadyException": 429,
    "ModelErrorException": 424,
}


def _recognises(tree: Mapping[str, Any]) -> bool:
    return (
        tree.get("schemaType") == "ModelInvocationLog" or {"modelId", "requestId", "input", "operation"} <= tree.keys()
    )


def _read(row: dict[str, Any], notes: Notes) -> Draft:
    operation = row.get("operation")
    if operation not in _CALLS:
        raise NotARequest(f"operation {operation}")
    given, output = row.get("input"), row.get("output")
    if not isinstance(given, Mapping):
        raise Unreadable("wrong_types", f"input: expected an object, got {type(given).__name__}")
    if output is not None and not isinstance(output, Mapping):
        raise Unreadable("wrong_types", f"output: expected an object, got {type(output).__name__}")
    output = output or {}
    asked_in = None if "inputBodyJson" in given else given.get("inputBodyS3Path")
    answered_in = None if output.get("outputBodyJson") is not None else output.get("outputBodyS3Path")
    if asked_in or answered_in:
        bodies = stored(row, {"inputBodyJson": asked_in, "outputBodyJson": answered_in})
        given, output = {**bodies, **given}, {**bodies, **output}
    if asked_in and "inputBodyJson" not in given:
        raise Unreadable("body_elsewhere", f"the prompt is stored in {asked_in}")
    request = opened_value(given.get("inputBodyJson"))
    answer = read_answer(opened_value(output.get("outputBodyJson")), notes)
    if answer is None and answered_in:
        raise Unreadable("body_elsewhere", f"the answer is stored in {answered_in}")
    code = text(row.get("errorCode"), "errorCode", notes)
    status = count(row.get("status"), "status", Notes())
    if code is not None and (status is None or status == 200):
        status = _ERRORS.get(code, 500)
    return Draft(
        id=row.get("requestId"),
        ts=row.get("timestamp"),
        prompt=read_prompt(request, notes) if request not in (None, {}, "") else None,
        answer=answer,
        status=status,
        error=code,
        provider="aws",
        model=text(row.get("modelId"), "modelId", notes),
        endpoint=text(row.get("inferenceRegion") or row.get("region"), "region", notes),
        usage=_usage(given, output, answer, notes),
        latency_ms=_measured(output, "latencyMs", "invocationLatency"),
        ttft_ms=_measured(output, "timeToFirstByteMs", "firstByteLatency"),
        stream="Stream" in str(operation or ""),
    )


def _usage(given: Mapping[str, Any], output: Mapping[str, Any], answer: Answer | None, notes: Notes) -> Usage | None:
    """The counts of the answer; those it lacks, as some streams do, are the log's own."""
    stated = answer.usage if answer is not None else None
    if stated is not None and stated.input_total and stated.output:
        return stated
    counts = {
        "inputTokens": given.get("inputTokenCount"),
        "outputTokens": output.get("outputTokenCount"),
        "cacheReadInputTokens": given.get("cacheReadInputTokenCount"),
        "cacheWriteInputTokens": given.get("cacheWriteInputTokenCount"),
    }
    # The log writes 0 for tokens of requests that failed.
    logged = read_usage(counts, notes) if any(counts.values()) else None
    if stated is None or logged is None:
        return stated or logged
    if stated.input_total:
        return msgspec.structs.replace(stated, output=logged.output)
    return msgspec.structs.replace(logged, output=stated.output or logged.output, reasoning=stated.reasoning)


def _measured(output: Mapping[str, Any], of_converse: str, of_invoke: str) -> Any:
    """Milliseconds that the answer itself states, under the name that its operation uses."""
    tree = opened_value(output.get("outputBodyJson"))
    for event in tree if isinstance(tree, list) else [tree]:
        if not isinstance(event, Mapping):
            continue
        metadata = event.get("metadata")
        metrics = event.get("metrics") or (metadata.get("metrics") if isinstance(metadata, Mapping) else None)
        if isinstance(metrics, Mapping):
            return metrics.get(of_converse)
        invoked = event.get("amazon-bedrock-invocationMetrics")
        if isinstance(invoked, Mapping):
            return invoked.get(of_invoke)
    return None


FORMAT = tree_format("bedrock", _recognises, _read)
