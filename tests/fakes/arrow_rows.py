"""Records read back from rows of the records store, to compare with what was written."""

from datetime import UTC
from typing import Any

import msgspec

from traffic.record import Output, Params, Record, usage_of_row


def from_arrow_row(row: dict[str, Any]) -> Record:
    """The record of a row of `ARROW_SCHEMA`, as `RecordBatch.to_pylist` gives it."""
    fields = {name: row[name] for name in Record.__struct_fields__}
    params, output, usage = row["params"] or {}, row["output"] or {}, row["usage"]
    fields |= {
        "ts": row["ts"].astimezone(UTC),
        "cohort": dict(row["cohort"] or ()),
        "messages": msgspec.Raw(row["messages"].encode()),
        "tools": _parsed(row["tools"]),
        "response_format": _parsed(row["response_format"]),
        "params": Params(
            max_tokens=params.get("max_tokens"),
            temperature=params.get("temperature"),
            stream=bool(params.get("stream")),
            other=_parsed(params.get("other")) or {},
        ),
        "output": Output(
            text=output.get("text"),
            tool_calls=_parsed(output.get("tool_calls")),
            finish_reason=output.get("finish_reason"),
        ),
        "usage": None if usage is None else usage_of_row(usage),
    }
    return Record(**fields)


def _parsed(text: str | None) -> Any:
    return None if text is None else msgspec.json.decode(text)
