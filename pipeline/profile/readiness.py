"""Ranks shapes by readiness for an own model: narrow, frequent, checkable and costly, with the expected ceiling."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import msgspec

from pipeline.profile.probe import ProbeResult, probe
from pipeline.profile.proposed_registry import Profiled, checks
from traffic.callsites import Checks

ENOUGH_ROWS = 500
PROBED_ROWS = 3000


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """Suitability of one shape for a small own model."""

    shape: str
    call_site: str | None
    request_type: str
    score: float
    """0 to 1: geometric mean of the following four."""
    narrow: float
    """Confidence that it is a Tier 1 task."""
    frequent: float
    checkable: float
    costly: float
    requests_per_day: float
    rows: int
    """Distinct answered prompts, the maximum size of a dataset."""
    enough_rows: bool
    ceiling: float | None
    """Share of repeated prompts with the same answer; None with few repeats."""
    repeats: int
    month_usd: float
    """Current cost per month, the maximum saving."""
    check: str
    probe: ProbeResult | None = None


def rank(
    connection: duckdb.DuckDBPyConnection, profiled: Sequence[Profiled], days: float, month_days: int, *, probing: bool
) -> list[Readiness]:
    """The Tier 1 shapes, the most promising first."""
    agreement = _agreement(connection)
    candidates = [p for p in profiled if p.proposal.tier == 1]
    month = {p.number: p.spend_usd / days * month_days if days >= 1 else 0.0 for p in profiled}
    dearest = max(month.values(), default=0.0) or 1.0
    ranked = []
    for p in candidates:
        repeats, agreeing, rows = agreement.get(p.number, (0, 0, 0))
        daily = p.requests / max(days, 1.0)
        frequent = min(1.0, math.log10(1 + daily) / 3)
        check, kind = _checkable(p)
        costly = min(1.0, math.sqrt(month[p.number] / dearest))
        parts = (p.proposal.confidence, frequent, check, costly)
        ranked.append(
            Readiness(
                shape=p.shape.name, call_site=p.shape.call_site, request_type=p.proposal.request_type,
                score=round(math.prod(parts) ** 0.25, 3), narrow=p.proposal.confidence, frequent=round(frequent, 3),
                checkable=check, costly=round(costly, 3), requests_per_day=round(daily, 1), rows=rows,
                enough_rows=rows >= ENOUGH_ROWS, ceiling=round(agreeing / repeats, 4) if repeats >= 20 else None,
                repeats=repeats, month_usd=month[p.number], check=kind,
                probe=_probed(connection, p) if probing else None,
            )
        )  # fmt: skip
    return sorted(ranked, key=lambda r: (-r.score, r.shape))


def _checkable(p: Profiled) -> tuple[float, str]:
    proposed = checks(p)
    if proposed.labels:
        return 1.0, f"one of {len(proposed.labels)} labels"
    if proposed.json_schema is not None:
        return 0.9, "JSON with known keys"
    if proposed != Checks():
        return 0.8, "JSON"
    if p.behaviour.common_answer_share >= 0.75 and p.behaviour.answer_words_p90 <= 8:
        return 0.8, "short answers that come again"
    return (0.5, "likeness to the message") if p.behaviour.edit_likeness >= 0.6 else (0.4, "length and refusals only")


def _agreement(connection: duckdb.DuckDBPyConnection) -> Mapping[int, tuple[int, int, int]]:
    """By shape: repeated prompts, repeats with the most frequent answer, and distinct prompts."""
    rows = connection.execute("""
        with said as (
            select p.shape, p.request_hash,
                   hash(lower(trim(coalesce(r.output.text, r.output.tool_calls, '')))) as answer
            from priced p join records r using (id) where p.ok and p.purpose = 'serve' and not p.cache_hit
        ),
        counted as (select shape, request_hash, answer, count(*) as n from said group by all),
        prompts as (select shape, request_hash, sum(n) as n, max(n) as most from counted group by all)
        select shape, sum(n - 1) filter (where n > 1), sum(most - 1) filter (where n > 1), count(*)
        from prompts group by 1
    """).fetchall()
    return {row[0]: (int(row[1] or 0), int(row[2] or 0), row[3]) for row in rows}


def _probed(connection: duckdb.DuckDBPyConnection, p: Profiled) -> ProbeResult | None:
    """The cheap classifier on more rows than the sample, only for short, recurring answers."""
    b = p.behaviour
    if b.json_share >= 0.5 or b.answer_words_p90 > 8 or b.common_answer_share < 0.5:
        return None
    rows: list[Any] = connection.execute(
        """
        select coalesce(json_extract_string(any_value(r.messages), '$[#-1].content'), ''),
               any_value(trim(r.output.text))
        from priced q join records r using (id) where q.shape = ? and q.ok and q.output_chars between 1 and 80
        group by q.request_hash order by hash(q.request_hash) limit ?
        """,
        [p.number, PROBED_ROWS],
    ).fetchall()
    return probe([row[0] for row in rows], [row[1].casefold() for row in rows], PROBED_ROWS)
