"""When a span began and how long it took, and whether it failed."""

from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.ingest.formats.otel_attributes import nanoseconds
from pipeline.ingest.values import Notes, amount, count, elapsed_ms, text

_FAILED = ("2", "STATUS_CODE_ERROR", "ERROR", "Error")
_STARTS = ("start_time", "startTime", "start_timestamp", "@timestamp", "timestamp", "time")
_ENDS = ("end_time", "endTime", "end_timestamp")


def outcome(span: Mapping[str, Any], a: Mapping[str, Any], notes: Notes) -> tuple[int | None, str | None]:
    """HTTP status, 0 for a failure without one, and what went wrong; None for both where nothing is said."""
    state = span.get("status")
    if not isinstance(state, Mapping):
        state = {"code": span.get("status_code"), "message": span.get("status_message")}
    failed = str(state.get("code", state.get("status_code"))) in _FAILED or a.get("error.type") is not None
    code = count(a.get("http.response.status_code", a.get("http.status_code")), "http.response.status_code", notes)
    if code is None and str(a.get("error.type", "")).isdecimal():
        code = int(str(a["error.type"]))
    if not failed:
        return code, None
    message = text(state.get("message", state.get("description")), "status.message", notes)
    return code or 0, message or text(a.get("error.type"), "error.type", notes) or "error"


def times(span: Mapping[str, Any], a: Mapping[str, Any], notes: Notes) -> tuple[Any, float | None]:
    """Start, and milliseconds to the end."""
    start, end = nanoseconds(span, "start"), nanoseconds(span, "end")
    if start is None or end is None:
        begun = start if start is not None else first_of(span, _STARTS)
        return begun, _duration(begun, span, notes)
    if start == end and (seconds := amount(a.get("duration"), "duration", notes)):
        # The log of a stream at its end.
        start -= int(seconds * 1e9)
    return start, (end - start) / 1e6


def _duration(begun: Any, span: Mapping[str, Any], notes: Notes) -> float | None:
    """Milliseconds between times in text, or from a duration in nanoseconds."""
    if (duration := count(span.get("duration"), "duration", Notes())) is not None:
        return duration / 1e6
    return elapsed_ms(begun, first_of(span, _ENDS), "end_time", notes)


def first_of(span: Mapping[str, Any], names: Iterable[str]) -> Any:
    """The first of these values that is not None."""
    return next((span[name] for name in names if span.get(name) is not None), None)
