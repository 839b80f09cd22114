"""Draws a bounded sample of requests with bodies, for the discovery and measurement of shapes.

Two passes over the store: the first counts requests by call site and system prompt from compact columns, the second
reads the bodies of the chosen requests. Memory is bounded by the sample, not by the log.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import duckdb
import msgspec
import pyarrow as pa

from traffic import forced_calls
from traffic.answers import INVISIBLE, without_reasoning
from traffic.control_tokens import without_end
from traffic.features import estimate_tokens
from traffic.loose_json import json_or
from traffic.prompts import SYSTEM_ROLES
from traffic.record import Message, Params, decode_messages
from traffic.shapes import standing_parts

GROUPS = 20_000
"""Maximum (call site, system prompt) pairs to sample, the most frequent first."""
PER_GROUP, MIN_PER_GROUP = 1000, 2
"""Maximum and minimum requests per group; fewer than the maximum if all groups together would exceed `BODIES`."""
BODIES = 30_000
PER_OPEN_GROUP = 4000
"""Requests without a system prompt: their shape follows from recurring text of the user's messages."""
TEXT_CHARS = 16_000
_BATCH = 1024


class Group(msgspec.Struct, frozen=True):
    """Requests of one call site (or none) with one system prompt (or none)."""

    call_site: str | None
    system_hash: str | None
    requests: int
    distinct: int
    """Number of distinct prompts, by hash."""


class Sampled(msgspec.Struct, frozen=True, kw_only=True):
    """One request with its answer, without reasoning in its text; long texts are clipped."""

    id: str
    call_site: str | None
    system_hash: str | None
    at: float
    """Epoch seconds."""
    messages: tuple[Message, ...]
    system: str | None
    user: str
    """First message of the user."""
    tools: list[dict[str, Any]] | None
    response_format: dict[str, Any] | None
    params: Params
    answer: str
    tool_calls: int
    ok: bool
    output_tokens: int | None
    reasoning_tokens: int
    model: str | None
    visibility: str
    arguments: str | None = None
    """JSON text: arguments of the one call of a function that the request forced."""

    def with_arguments(self) -> "Sampled":
        """The request with the arguments of its forced call as answer."""
        if self.arguments is None or self.answer.strip():
            return self
        return msgspec.structs.replace(self, answer=self.arguments, tools=None, tool_calls=0)


def last_user(sampled: Sampled) -> str:
    """The last message of the user."""
    return next((m.text for m in reversed(sampled.messages) if m.role == "user"), "")


def groups(connection: duckdb.DuckDBPyConnection) -> list[Group]:
    """The most frequent groups of the view `records`."""
    rows = connection.execute(
        "select call_site, system_hash, count(*) n, count(distinct request_hash) from records "  # noqa: S608
        f"where purpose = 'serve' group by all order by n desc, call_site, system_hash limit {GROUPS}"
    ).fetchall()
    return [Group(*row) for row in rows]


def draw(connection: duckdb.DuckDBPyConnection, listed: Sequence[Group]) -> Iterator[Sampled]:
    """Distinct requests of every group, evenly over the log; more for those without a system prompt.

    Includes requests without an answer, so that shapes which always fail are found too.
    """
    per_group = requests_per_group([group.distinct for group in listed])
    connection.register(
        "listed_groups",
        pa.table(
            {"c": [g.call_site for g in listed], "s": [g.system_hash for g in listed]},
            schema=pa.schema([("c", pa.string()), ("s", pa.string())]),
        ),
    )
    # Chosen by the hash of the id: the same log gives the same sample.
    connection.execute(f"""
        create or replace temp table sampled as
        with one as (
            select call_site, system_hash, request_hash,
                   arg_min(id, (case when status between 200 and 399 then 0 else 1 end, hash(id))) as id
            from records where purpose = 'serve' group by all
        ),
        numbered as (
            select one.id, one.system_hash,
                   row_number() over (partition by one.call_site, one.system_hash order by hash(one.id)) as r
            from one join listed_groups g on g.c is not distinct from one.call_site
                and g.s is not distinct from one.system_hash
        )
        select id from numbered where r <= case when system_hash is null then {PER_OPEN_GROUP} else {per_group} end
    """)  # noqa: S608
    query = (
        "select id, call_site, system_hash, epoch(ts) as at, messages, tools, response_format, params, output, usage, "
        "model, status, visibility from records where id in (select id from sampled) and purpose = 'serve'"
    )
    for batch in connection.sql(query).to_arrow_reader(_BATCH):
        for row in batch.to_pylist():
            yield _sampled(row)


def requests_per_group(distinct: Sequence[int]) -> int:
    """The most requests per group with which all groups together stay below `BODIES`: small groups need few."""
    left = BODIES
    for n, size in enumerate(sorted(distinct)):
        share = left // (len(distinct) - n)
        if size > share:
            return min(PER_GROUP, max(MIN_PER_GROUP, share))
        left -= size
    return PER_GROUP


def _sampled(row: Mapping[str, Any]) -> Sampled:
    try:
        messages = tuple(map(_clipped, decode_messages(row["messages"])))
    except msgspec.MsgspecError:
        messages = ()
    system, user = standing_parts(messages)
    given, output, usage = row["params"] or {}, row["output"] or {}, row["usage"] or {}
    calls = json_or(output.get("tool_calls") or "") or []
    tools, other = json_or(row["tools"] or ""), json_or(given.get("other") or "") or {}
    text = without_end(output.get("text") or "")
    answer = without_reasoning(text)
    reasoning = text[: len(text) - len(answer)]
    forced = forced_calls.of(calls, tools, other)
    return Sampled(
        id=row["id"],
        call_site=row["call_site"],
        system_hash=row["system_hash"],
        at=row["at"],
        messages=messages,
        system=system,
        user=user,
        tools=tools,
        response_format=json_or(row["response_format"] or ""),
        params=Params(
            given.get("max_tokens"),
            given.get("temperature"),
            bool(given.get("stream")),
            other,
        ),
        answer=answer[:TEXT_CHARS] if answer.strip(INVISIBLE) else "",
        tool_calls=len(calls),
        arguments=forced.arguments[:TEXT_CHARS] if forced else None,
        ok=200 <= (row["status"] or 200) < 400,
        output_tokens=usage.get("output"),
        reasoning_tokens=usage.get("reasoning") or (estimate_tokens([reasoning]) if reasoning else 0),
        model=row["model"],
        visibility=row["visibility"] or "unknown",
    )


def _clipped(message: Message) -> Message:
    # System prompts are not clipped, because templates are derived from them.
    if isinstance(message.content, str) and message.role not in SYSTEM_ROLES and len(message.content) > TEXT_CHARS:
        half = TEXT_CHARS // 2
        return msgspec.structs.replace(message, content=f"{message.content[:half]}\n{message.content[-half:]}")
    return message
