"""Reads the rows of one call site from the records store, with the filters that DuckDB can evaluate.

The filters are one CASE over compact columns. Bodies are read only for rows that pass, and repeated texts (the static
system prompt) share one string.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import duckdb
import msgspec

from pipeline.dataset import LabelSource
from traffic import forced_calls
from traffic.checks import COMPLETE, FILTERED, TRUNCATED
from traffic.errors import NotFound, known_names
from traffic.record import Message, Params, decode_messages


class Row(msgspec.Struct, kw_only=True, eq=False):
    """One request with the answer it may be trained on."""

    id: str
    request_id: str
    request_hash: str
    ts: datetime
    call_site: str = ""
    session_id: str | None = None
    user_id: str | None = None
    customer_id: str | None = None
    provider: str | None = None
    messages: list[dict[str, Any]]
    """As sent, with text parts joined into one string."""
    tools: list[dict[str, Any]] | None
    """None also for a forced function call, whose arguments are the answer."""
    calls_tools: bool = False
    """The answer is a tool call that was not forced."""
    response_format: str | None
    """JSON text."""
    params: Params
    tier: int | None
    request_type: str | None
    cohort: dict[str, str]
    logged_text: str | None
    finish_reason: str | None
    answer: str
    """The logged answer, or a person's correction of it; in canonical form once the checks passed."""
    label_source: LabelSource
    model: str | None
    input_tokens: int | None
    output_tokens: int | None
    latency_ms: float | None
    cost_usd: float | None
    template: str = ""
    slots: tuple[str, ...] = ()
    pruned: list[dict[str, Any]] = []
    group: str = ""
    """Id of the earliest row of the group; a group is never in two splits."""
    copies: int = 1
    """Number of rows with the same text and answer that this row represents, including itself."""
    requests: int = 1
    """Number of requests with the same text, with any answer, that this row represents, including itself."""
    weight: float = 1.0


SHORT = 200
"""Maximum characters of an answer that may be a label."""


_CHOICES = ("tool_choice", "function_call", "functions")


class SqlFilter(NamedTuple):
    """A filter in SQL; the first one whose condition holds removes the row."""

    name: str
    condition: str
    reason: str


def _finish_reason_in(reasons: Iterable[str]) -> str:
    listed = ", ".join(f"'{reason}'" for reason in sorted(reasons))
    return f"coalesce(lower(output.finish_reason) IN ({listed}), false)"


_ELSEWHERE = ("previous_response_id", "conversation", "cachedContent", "cached_content", "prompt.id", "prompt_id")
"""Parameters by which a request refers to messages that its provider keeps: they are a part of the prompt."""


def _is_partly_elsewhere() -> str:
    conditions = (f"json_extract(TRY_CAST(params.other AS JSON), '$.{path}') IS NOT NULL" for path in _ELSEWHERE)
    return f"coalesce({' OR '.join(conditions)}, false)"


CALLS_TOOLS = "the answer calls tools instead of text"

SQL_FILTERS = (
    SqlFilter(
        "other_purpose",
        "purpose NOT IN ('serve', 'retry', 'escalation')",
        "consistency runs, shadows and audits repeat a request that is already counted",
    ),
    SqlFilter("retries", "attempt_rank > 1", "repeated attempt; one attempt per request is kept"),
    SqlFilter("errors", "corrected IS NULL AND NOT ok", "the attempt failed"),
    SqlFilter("partial_prompt", "partly_elsewhere", "the provider keeps a part of the prompt, which is not in the log"),
    SqlFilter("cache_hits", "corrected IS NULL AND coalesce(cache_hit, false)", "a copy of an answer given earlier"),
    SqlFilter(
        "own_model",
        "corrected IS NULL AND adapter IS NOT NULL",
        "answered by a fine-tuned adapter: a model must not train on its own answers",
    ),
    SqlFilter("tool_calls", "corrected IS NULL AND has_calls AND NOT one_call", CALLS_TOOLS),
    SqlFilter("no_answer", "corrected IS NULL AND NOT has_text AND NOT one_call", "no answer was logged"),
    SqlFilter("truncated", f"corrected IS NULL AND {_finish_reason_in(TRUNCATED)}", "the answer was cut by max_tokens"),
    SqlFilter(
        "refused", f"corrected IS NULL AND {_finish_reason_in(FILTERED)}", "the model or its content filter refused"
    ),
    SqlFilter(
        "unknown_finish",
        f"corrected IS NULL AND output.finish_reason <> '' AND NOT {_finish_reason_in(COMPLETE)}",
        "the finish reason is not known to mean a complete answer",
    ),
    SqlFilter(
        "thumbs_down", "corrected IS NULL AND thumb = 'down'", "the user rejected the answer without a correction"
    ),
)

# A later thumb does not cancel a correction: the newest value of each is used independently.
_VIEW = f"""
WITH users AS (
    SELECT id, arg_max(thumb, ts) AS thumb, arg_max(corrected, ts) FILTER (trim(corrected) <> '') AS corrected
    FROM feedback GROUP BY id
), people AS (
    SELECT id, arg_max(label, ts) AS human FROM labels WHERE trim(label) <> '' GROUP BY id
), verdicts AS (
    -- A requested human label overrides a user's correction.
    SELECT id, thumb, coalesce(human, corrected) AS corrected, human IS NOT NULL AS by_human
    FROM users FULL OUTER JOIN people USING (id)
), calls AS (
    SELECT r.id, request_id, purpose, attempt, r.ts, cache_hit, adapter, thumb, corrected,
        coalesce(by_human, false) AS by_human, output, {_is_partly_elsewhere()} AS partly_elsewhere,
        coalesce(status, 200) BETWEEN 200 AND 299 AND error IS NULL AS ok,
        trim(coalesce(output.text, '')) <> '' AS has_text,
        coalesce(output.tool_calls NOT IN ('[]', 'null'), false) AS has_calls,
        -- Whether the request forced the call is checked when the row is read.
        coalesce(json_array_length(TRY_CAST(output.tool_calls AS JSON)) = 1 AND tools IS NOT NULL, false) AS one_call
    FROM records r LEFT JOIN verdicts ON verdicts.id = r.id
    WHERE call_site = $task
), ranked AS (
    -- One attempt per request is kept, the best one: labelled, corrected, of a higher tier, first answered.
    SELECT *, row_number() OVER (
        PARTITION BY request_id, purpose IN ('serve', 'retry', 'escalation')
        ORDER BY NOT by_human, corrected IS NULL, NOT (ok AND (has_text OR one_call) AND purpose = 'escalation'),
            NOT (ok AND (has_text OR one_call)), NOT ok, attempt, ts, id
    ) AS attempt_rank FROM calls
)
"""  # noqa: S608 - constants of this file


def _case() -> str:
    whens = " ".join(f"WHEN {f.condition} THEN '{f.name}'" for f in SQL_FILTERS)
    return f"CASE {whens} END"


class Scan(NamedTuple):
    """Counts of a call site in the store: attempts of every purpose, their time span (UTC), and removed rows."""

    attempts: int
    first: datetime
    last: datetime
    removed: dict[str, int]
    """By the name of the SQL filter."""


def scan(connection: duckdb.DuckDBPyConnection, task: str) -> Scan:
    """Attempts of the call site in the store, and how many of them each SQL filter removes.

    Raises: NotFound if the store has no such call site; the message names the nearest.
    """
    # Times as microseconds: a timestamp with a zone would need pytz on its way to Python.
    query = f"""{_VIEW} SELECT {_case()} AS reason, count(*), epoch_us(min(ts)), epoch_us(max(ts))
        FROM ranked GROUP BY reason"""  # noqa: S608 - constants of this file
    groups = connection.execute(query, {"task": task}).fetchall()
    if not groups:
        raise NotFound(_unknown_call_site(connection, task))
    counts = {reason: count for reason, count, _, _ in groups}
    return Scan(
        attempts=sum(counts.values()),
        first=_time(min(first for _, _, first, _ in groups)),
        last=_time(max(last for _, _, _, last in groups)),
        removed={f.name: counts.get(f.name, 0) for f in SQL_FILTERS},
    )


def removed_answers(connection: duckdb.DuckDBPyConnection, task: str) -> dict[str, Counter[str]]:
    """Counts of short answers among the rows that SQL filters removed, by filter."""
    query = f"""{_VIEW} SELECT {_case()} AS reason, trim(output.text) AS answer, count(*)
        FROM ranked WHERE reason IS NOT NULL AND length(output.text) <= {SHORT} GROUP BY reason, answer"""  # noqa: S608
    by_filter: dict[str, Counter[str]] = {}
    for reason, answer, count in connection.execute(query, {"task": task}).fetchall():
        by_filter.setdefault(reason, Counter())[answer] += count
    return by_filter


def _time(microseconds: int) -> datetime:
    return datetime.fromtimestamp(0, tz=UTC) + timedelta(microseconds=microseconds)


def read(connection: duckdb.DuckDBPyConnection, task: str) -> list[Row]:
    """The rows that pass the SQL filters, sorted by time, then id."""
    query = f"""{_VIEW}, kept AS (SELECT id, corrected, by_human, {_case()} AS reason FROM ranked)
        SELECT r.id, request_id, request_hash, ts, call_site, session_id, user_id, customer_id, provider,
            messages, tools, response_format, params, tier, request_type, cohort, purpose,
            escalated, output, usage, model, latency_ms, cost_usd, corrected, by_human
        FROM records r JOIN kept ON kept.id = r.id WHERE reason IS NULL AND call_site = $task"""  # noqa: S608 - constants
    reader: Any = connection.sql(query, params={"task": task}).to_arrow_reader(5_000)
    texts: dict[str, str] = {}
    rows = [_row(fields, texts) for batch in reader for fields in batch.to_pylist()]
    rows.sort(key=lambda row: (row.ts, row.id))
    return rows


def _row(fields: dict[str, Any], texts: dict[str, str]) -> Row:
    output, usage, params = fields["output"] or {}, fields["usage"], fields["params"] or {}
    corrected = fields["corrected"]
    source: LabelSource = "teacher"
    if corrected is not None:
        source = "human" if fields["by_human"] else "corrected"
    elif fields["purpose"] == "escalation":
        source = "escalated"
    tools = None if fields["tools"] is None else msgspec.json.decode(fields["tools"])
    other = {} if params.get("other") is None else msgspec.json.decode(params["other"])
    calls = msgspec.json.decode(output["tool_calls"]) if output.get("tool_calls") else None
    forced = forced_calls.of(calls, tools, other)
    response_format = fields["response_format"] if forced is None else forced.response_format
    return Row(
        id=fields["id"],
        request_id=fields["request_id"],
        request_hash=fields["request_hash"],
        ts=fields["ts"],
        call_site=fields["call_site"],
        session_id=fields["session_id"] or None,
        user_id=fields["user_id"] or None,
        customer_id=fields["customer_id"] or None,
        provider=fields["provider"] or None,
        messages=[_message(message, texts) for message in decode_messages(fields["messages"])],
        tools=tools if forced is None else None,
        calls_tools=bool(calls) and forced is None and corrected is None,
        response_format=None if response_format is None else texts.setdefault(response_format, response_format),
        params=Params(
            max_tokens=params.get("max_tokens"),
            temperature=params.get("temperature"),
            stream=bool(params.get("stream")),
            other=other if forced is None else {key: value for key, value in other.items() if key not in _CHOICES},
        ),
        # Escalated before the first attempt (no adapter yet, for example): a Tier 1 request by the rules.
        tier=1 if fields["purpose"] == "serve" and fields["escalated"] is not None else fields["tier"],
        request_type=fields["request_type"],
        cohort=dict(fields["cohort"] or ()),
        logged_text=output.get("text") if forced is None else forced.arguments,
        finish_reason=output.get("finish_reason"),
        answer=corrected if corrected is not None else (forced.arguments if forced else output.get("text") or ""),
        label_source=source,
        model=fields["model"],
        input_tokens=None if usage is None else sum(usage[k] for k in ("input_uncached", "cache_read", "cache_write")),
        output_tokens=None if usage is None else usage["output"],
        latency_ms=fields["latency_ms"],
        cost_usd=fields["cost_usd"],
    )


def _message(message: Message, texts: dict[str, str]) -> dict[str, Any]:
    content: Any = message.content
    if isinstance(content, list) and all(part.get("type") == "text" for part in content):
        content = message.text
    if isinstance(content, str):
        content = texts.setdefault(content, content)
    plain: dict[str, Any] = {"role": message.role, "content": content}
    if message.tool_calls:
        plain["tool_calls"] = message.tool_calls
    return plain


def call_sites(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Attempts of each call site in the store, the busiest first."""
    query = "SELECT call_site, count(*) AS n FROM records WHERE call_site IS NOT NULL GROUP BY 1 ORDER BY n DESC, 1"
    return dict(connection.execute(query).fetchall())


def _unknown_call_site(connection: duckdb.DuckDBPyConnection, task: str) -> str:
    names = list(call_sites(connection))
    if not names:
        return f"no call site {task!r}: no record in the store names one; see the tags in configs/log_tags/"
    return f"no call site {task!r} in the records store{known_names(task, names)}"


def evenly(rows: list[Row], count: int) -> Iterator[Row]:
    """At most `count` rows, evenly spaced over time."""
    step = max(1, -(-len(rows) // count))
    return iter(rows[::step])
