"""Waste: calls without a useful result, and tokens that a changed request would save; each with its remedy.

A call is counted once: the total is the spend of the union of all wasted calls. Savings by a shorter prompt, a cap or a
provider's prompt cache are reported separately and are not part of the total.
"""

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import msgspec

from pipeline.profile import proposed_registry
from pipeline.profile.config import ProfileConfig
from pipeline.profile.proposed_registry import Profiled
from pipeline.profile.sample import Sampled
from traffic.prices import Price

REMEDIES = {
    "identical": "answer it once: cache by tenant, or send it once per change",
    "near_identical": "normalise case, spaces and punctuation before the cache lookup",
    "retry": "back off with jitter, honour retry-after, and stop after two attempts",
    "retry_after_4xx": "do not repeat an unchanged request after a 4xx (except 408, 409, 425 and 429)",
    "unread": "generate it when a user opens it",
    "debug": "switch it off outside development, or sample it",
    "needless_stream": "do not stream background answers: streams may lack usage and occupy connections",
    "uncapped": "set max_tokens near the longest real answer: a runaway answer costs its cap",
    "long_static_prompt": "shorten the fixed part: blocks without effect, examples, history notes",
    "uncached_prefix": "put the fixed part first and enable the provider's prompt cache",
}
IN_TOTAL = ("identical", "near_identical", "retry", "retry_after_4xx", "unread", "debug")
_EXAMPLES = 3
_USD = "logged_usd + coalesce(estimated_usd, 0)"
_PUNCTUATION = r"""[.,;:!?¡¿'"`´‘’“”„«»…·。、，；：！？「」『』（）()—–‐\x{200B}\x{FEFF}-]+"""
# Case, spaces and sentence punctuation are ignored. Meaningful signs are not: symbols, emoji, marks of Indic scripts,
# and signs between two numbers.
_NORMALISED = r"""
    regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(lower(trim(last)),
        '-([0-9])', 'm\1', 'g'), '[.,:]([0-9])', 'p\1', 'g'), $punctuation, '', 'g'),
        '[\s\p{Z}]+([0-9])', 's\1', 'g'), '[\s\p{Z}]+', '', 'g')
"""
JOINED = 2_000_000
"""Records that are joined with their bodies at a time: a join of all would not fit in memory."""
_EXACT_WORDING = ("rewrite", "code")
"""Request types that may be about case and punctuation: copies count only if their answers are equal."""
_OPENINGS = 100
_REFERENCES = 5
_CACHED_ENOUGH = 0.6
_LONG_PROMPT_TOKENS = 300
_IMPROBABLE = 0.001


class Waste(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of waste at one call site."""

    kind: str
    call_site: str
    requests: int
    spend_usd: float
    """Cost of these calls; for kinds outside the total, the savings by the remedy."""
    remedy: str
    detail: str = ""
    """Measured values of kinds outside the total."""
    examples: tuple[str, ...]
    in_total: bool


class Storm(msgspec.Struct, frozen=True, kw_only=True):
    """Many failed attempts with short pauses."""

    start: str
    end: str
    seconds: float
    attempts: int
    failed: int
    requests: int
    call_sites: tuple[str, ...]
    statuses: dict[str, int]


class WasteReport(msgspec.Struct, frozen=True, kw_only=True):
    """All waste of a log."""

    lines: tuple[Waste, ...]
    total_usd: float
    """Spend of the union of all wasted calls."""
    total_requests: int
    storms: tuple[Storm, ...]
    unknown: tuple[str, ...]
    """Kinds of waste that could not be determined, with the reason."""


def find(
    connection: duckdb.DuckDBPyConnection,
    profiled: Sequence[Profiled],
    config: ProfileConfig,
    prices: Mapping[str, Price],
    joined: int = JOINED,
) -> WasteReport:
    """Waste of the temp table `priced` and the views of the store."""
    connection.execute("create or replace temp table wasted (id varchar, kind varchar, usd double)")
    unknown: list[str] = []
    _identical(connection)
    _near_identical(connection, profiled, joined)
    unknown += _retries(connection)
    unknown += _unread(connection)
    debugging = [p.number for p in profiled if re.search(config.debug_prompts, p.shape.prompt, re.IGNORECASE)]
    connection.execute(
        f"insert into wasted select id, 'debug', {_USD} from priced "  # noqa: S608
        "where regexp_matches(lower(regexp_replace(call_site, '([a-z0-9])([A-Z])', '\\1_\\2', 'g')), ?) "
        "or in_test_environment or list_contains(?::int[], shape)",
        [config.debug_names, debugging],
    )
    connection.execute(
        f"insert into wasted select id, 'needless_stream', {_USD} from priced "  # noqa: S608
        "where stream and visibility = 'background'"
    )
    lines = _lines(connection)
    lines += _shaping(connection, profiled, config, prices)
    lines.sort(key=lambda line: (not line.in_total, -line.spend_usd, line.kind, line.call_site))
    kinds = ", ".join(f"'{kind}'" for kind in IN_TOTAL)
    row = connection.execute(f"""
        select count(*), sum(usd) from (select id, max(usd) as usd from wasted where kind in ({kinds}) group by id)
    """).fetchall()[0]  # noqa: S608
    return WasteReport(
        lines=tuple(lines), total_requests=row[0], total_usd=row[1] or 0.0,
        storms=tuple(_storms(connection, config)), unknown=tuple(unknown),
    )  # fmt: skip


def _identical(connection: duckdb.DuckDBPyConnection) -> None:
    # Answers from the gateway's cache and failed attempts are free and not counted; an answer may come from a retry.
    connection.execute(f"""
        insert into wasted
        select id, 'identical', {_USD} from priced where purpose in ('serve', 'retry') and ok and not cache_hit
        qualify row_number() over (partition by request_hash, settings order by ts, id) > 1
    """)  # noqa: S608


def _near_identical(connection: duckdb.DuckDBPyConnection, profiled: Sequence[Profiled], joined: int) -> None:
    """Copies that differ in the last message's case, spaces and punctuation; all else is equal."""
    exact = [p.number for p in profiled if p.proposal.request_type in _EXACT_WORDING]
    connection.execute(
        "create or replace temp table hashed (id varchar, ts timestamptz, usd double, call_site varchar, "
        "settings ubigint, earlier ubigint, answer ubigint, words ubigint)"
    )
    (count,) = connection.execute("select count(*) from priced").fetchall()[0]
    parts = max(1, -(-count // joined))
    for part in range(parts):
        connection.execute(
            f"""
            insert into hashed
            with answered as (
                select p.id, p.ts, {_USD} as usd, p.call_site, hash(r.tools, p.settings) as settings,
                       case when json_array_length(r.messages) = if(p.system_hash is null, 1, 2)
                            then hash(p.system_hash)
                            else hash(list_slice(json_extract(r.messages, '$[*]'), 1, -2)) end as earlier,
                       case when list_contains($exact::int[], p.shape) then hash(r.output.text) else 0 end as answer,
                       coalesce(json_extract_string(r.messages, '$[#-1].content'), '') as last
                from priced p join records r using (id) anti join wasted using (id)
                where p.purpose in ('serve', 'retry') and p.ok and not p.cache_hit
                  and hash(p.id) % $parts = $part and hash(r.id) % $parts = $part
            ),
            normalised as (
                select * exclude (last), {_NORMALISED} as words from answered where length(last) between 1 and 8000
            )
            select * exclude (words), hash(words) from normalised where words <> ''
            """,  # noqa: S608
            {"exact": exact, "punctuation": _PUNCTUATION, "parts": parts, "part": part},
        )
    connection.execute("""
        insert into wasted select id, 'near_identical', usd from hashed
        qualify row_number() over (partition by call_site, settings, earlier, answer, words order by ts, id) > 1
    """)
    connection.execute("drop table hashed")


def _retries(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Attempts that another one of the same request follows. Most failed attempts are free, but not all."""
    connection.execute(f"""
        insert into wasted
        with tries as (
            select id, status, case when ok then 0 else {_USD} end as usd,
                   lead(purpose) over (partition by request_id order by attempt, ts) as next
            from priced where purpose in ('serve', 'retry')
        )
        select id, case when status between 400 and 499 and status not in (408, 409, 425, 429) then 'retry_after_4xx'
                        else 'retry' end, usd
        from tries where next = 'retry'
    """)  # noqa: S608
    nobody = connection.execute("""
        select count(*) from priced where not ok and purpose = 'serve' and session_id is null and user_id is null
    """).fetchall()[0][0]
    return [f"retries: unknown for {nobody:,} failed attempts without a session and a user"] if nobody else []


def _unread(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Unopened background answers at call sites whose application records reads.

    Some logs leave empty tags out: if a call site has reads only, an answer without one is unread. Answers before the
    first read are too, unless so many in a row are improbable: then reads were not recorded yet.
    """
    connection.execute("""
        create or replace temp table tracked as
        with answered as (
            select p.call_site, p.ts, c.consumed_at is not null as read, c.id is not null and not read as said_unread,
                   min(p.ts) filter (where c.consumed_at is not null) over (partition by p.call_site) as first_read
            from priced p left join consumed c using (id) where p.ok and not p.cache_hit
        )
        select call_site, bool_or(said_unread) or call_site = '(none)' as says_unread, first_read,
               pow(1 - avg(read::int) filter (where ts >= first_read),
                   count(*) filter (where ts < first_read)) as chance
        from answered where first_read is not null group by call_site, first_read
    """)
    connection.execute(
        f"""
        insert into wasted
        select p.id, 'unread', {_USD} from priced p join tracked t using (call_site) left join consumed c on c.id = p.id
        where p.visibility = 'background' and c.consumed_at is null and p.ok and not p.cache_hit
          and (c.id is not null or (not t.says_unread and (p.ts >= t.first_read or t.chance > ?)))
        """,  # noqa: S608
        [_IMPROBABLE],
    )
    tagged = connection.execute("select count(*) from priced where visibility in ('background', 'human')").fetchall()
    if tagged[0][0] == 0:
        return ["background calls: the log does not say which requests a person waits for"]
    rows = connection.execute("""
        select call_site, count(*) from priced where visibility = 'background' and purpose = 'serve'
          and call_site not in (select call_site from tracked) group by 1 order by 2 desc
    """).fetchall()
    if not rows:
        return []
    named = ", ".join(name for name, _ in rows[:5])
    sites = "1 call site" if len(rows) == 1 else f"{len(rows)} call sites"
    return [f"unread background answers: unknown for {sites} without a read signal ({named})"]


def _lines(connection: duckdb.DuckDBPyConnection) -> list[Waste]:
    rows = connection.execute(f"""
        select w.kind, p.call_site, count(*), sum(w.usd),
               min_by(p.id, row(-p.logged_usd, p.id), {_EXAMPLES})
        from wasted w join priced p using (id) group by 1, 2
    """).fetchall()  # noqa: S608
    return [
        Waste(
            kind=kind, call_site=site, requests=n, spend_usd=usd or 0.0, remedy=REMEDIES[kind],
            examples=tuple(examples), in_total=kind in IN_TOTAL,
        )
        for kind, site, n, usd, examples in rows
    ]  # fmt: skip


def _shaping(
    connection: duckdb.DuckDBPyConnection,
    profiled: Sequence[Profiled],
    config: ProfileConfig,
    prices: Mapping[str, Price],
) -> list[Waste]:
    waste_lines = []
    uncapped = _uncapped(connection, profiled, config)
    rows = connection.execute("""
        select shape, mode(model), count(*) filter (where ok), sum(cached_tokens), sum(prompt_tokens)
        from priced where not cache_hit group by 1
    """).fetchall()
    by_shape = {row[0]: row[1:] for row in rows}
    for p in profiled:
        model, n, cached, tokens = by_shape.get(p.number, (None, 0, 0, 0))
        site = p.shape.call_site or p.shape.name
        examples = tuple(s.id for s in p.shape.samples[:_EXAMPLES])
        price = prices.get(model) if model else None

        def line(
            kind: str, usd: float, detail: str, site: str = site, n: int = n, examples: tuple[str, ...] = examples
        ) -> Waste:
            return Waste(
                kind=kind, call_site=site, requests=n, spend_usd=usd, remedy=REMEDIES[kind], detail=detail,
                examples=examples, in_total=False,
            )  # fmt: skip

        if p.number in uncapped:
            calls, beyond, listed = uncapped[p.number]
            usd = beyond * price.output_mtok_usd / 1e6 if price is not None else 0.0
            detail = f"p99.9 of the answers: {p.output_tokens_p999:,} tokens"
            waste_lines.append(line("uncapped", usd, detail, n=calls, examples=listed))
        if price is None or not n:
            continue
        prefix = stable_prefix_tokens(p.shape.samples)
        static = max(len(p.shape.prompt.encode()) // 4, prefix)
        read = price.cache_read_mtok_usd if price.cache_read_mtok_usd is not None else price.input_mtok_usd
        cached_share = min(1.0, cached / (static * n)) if static else 0.0
        detail = f"{static:,} fixed tokens a call, {cached_share:.0%} of them from a prompt cache"
        if static >= config.cacheable_from(model) and cached_share < _CACHED_ENOUGH and read < price.input_mtok_usd:
            saved = (1 - cached_share) * static * n * (price.input_mtok_usd - read) / 1e6
            moved = "" if prefix >= static / 2 else "; variable text comes first"
            waste_lines.append(line("uncached_prefix", saved, detail + moved))
        if static >= _LONG_PROMPT_TOKENS and static * n >= 0.5 * tokens:
            paid = static * n * (cached_share * read + (1 - cached_share) * price.input_mtok_usd) / 1e6
            waste_lines.append(line("long_static_prompt", paid, detail))
    return waste_lines


def _uncapped(
    connection: duckdb.DuckDBPyConnection, profiled: Sequence[Profiled], config: ProfileConfig
) -> dict[int, tuple[int, int, tuple[str, ...]]]:
    """By shape: calls without a cap near the longest real answer, output tokens beyond such a cap, examples."""
    caps = {p.number: (p.output_tokens_p999, proposed_registry.output_cap([p])) for p in profiled}
    capped = [(number, longest, cap) for number, (longest, cap) in caps.items() if longest and cap]
    if not capped:
        return {}
    connection.execute("create or replace temp table caps (shape int, longest bigint, cap bigint)")
    connection.executemany("insert into caps values (?, ?, ?)", capped)
    rows = connection.execute(
        f"""
        select shape, count(*), sum(greatest(0, output_tokens - cap)),
               min_by(id, row(-output_tokens, id), {_EXAMPLES})
        from priced join caps using (shape)
        where ok and not cache_hit and coalesce(max_tokens >= $ratio * longest, true) group by 1
        """,  # noqa: S608
        {"ratio": config.cap_ratio},
    ).fetchall()
    return {shape: (n, int(beyond), tuple(examples)) for shape, n, beyond, examples in rows}


def stable_prefix_tokens(samples: Sequence[Sampled]) -> int:
    """Estimated tokens at the beginning (tools, then messages) that at least half of the requests have in common."""
    openings = [_opening(sampled) for sampled in samples[:: max(1, len(samples) // _OPENINGS)]]
    best = 0
    for reference in openings[:: max(1, len(openings) // _REFERENCES)]:
        shared = sorted(_common_prefix(reference, opening) for opening in openings)
        best = max(best, shared[len(shared) // 2])
    return best // 4


def _opening(sampled: Sampled) -> bytes:
    tools = msgspec.json.encode(sampled.tools) if sampled.tools else b""
    return tools + "".join(f"\n{message.role}\n{message.text}" for message in sampled.messages).encode()


def _common_prefix(a: bytes, b: bytes) -> int:
    lengths = range(1, min(len(a), len(b)) + 1)
    return bisect_left(lengths, True, key=lambda n: a[:n] != b[:n])


def _storms(connection: duckdb.DuckDBPyConnection, config: ProfileConfig) -> list[Storm]:
    """Requests that fail repeatedly within short pauses, with all requests that fail at that time."""
    rows = connection.execute(
        """
        with failed as (
            select id, ts, request_id, count(*) over (partition by request_id) > 1 as again from priced where not ok
        ),
        repeated as (
            select id, ts, coalesce(epoch(ts) - epoch(lag(ts) over (order by ts, id)), 1e9) > $pause as starts
            from failed where again
        ),
        chained as (select ts, count(*) filter (where starts) over (order by ts, id) as storm from repeated),
        large as (select storm, min(ts) as a, max(ts) as b from chained group by 1 having count(*) >= $failures),
        numbered as (
            select l.storm, f.request_id, f.ts from large l join failed f on f.ts between l.a and l.b
        )
        select strftime(l.a, '%Y-%m-%dT%H:%M:%SZ'), strftime(max(p.ts), '%Y-%m-%dT%H:%M:%SZ'),
               epoch(max(p.ts)) - epoch(l.a), count(*), count(*) filter (where not p.ok), count(distinct p.request_id),
               list(distinct p.call_site order by p.call_site), list(p.status) filter (where not p.ok)
        from large l join priced p on p.request_id in (select n.request_id from numbered n where n.storm = l.storm)
        group by l.storm, l.a, l.b order by l.a
        """,
        {"pause": config.storm_pause_s, "failures": config.storm_failures},
    ).fetchall()
    return [_storm(row) for row in rows]


def _storm(row: Sequence[Any]) -> Storm:
    statuses: dict[str, int] = {}
    for status in sorted(row[7]):
        statuses[str(status)] = statuses.get(str(status), 0) + 1
    return Storm(
        start=row[0], end=row[1], seconds=row[2], attempts=row[3], failed=row[4], requests=row[5],
        call_sites=tuple(row[6]), statuses=statuses,
    )  # fmt: skip
