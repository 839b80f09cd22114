"""Record identity: two records are the same if id and content (time, prompt, answer) agree.

Ids come from other systems and may repeat. A record with the id of another but different content is stored under a new
key: the id with a content hash. A record whose prompt was not logged (the answers of a batch, a span without contents)
is the same as one with a prompt if id, time and answer agree; the one with the prompt is stored. If the log has neither
prompt nor answer (LiteLLM's table; its bucket has both), token counts are compared instead of answers.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import duckdb
import msgspec
import pyarrow as pa

from traffic.record import Record

_WHITE_SPACE = re.compile(r"[\t\n\f\r ]")

IDS_SCHEMA = pa.schema(
    [("id", pa.string()), ("block", pa.int64()), ("piece", pa.int64()), ("date", pa.string()), ("row", pa.int64())]
)
"""Id and position of each staged record. Other columns are read only for ids that occur more than once."""

# Times are compared in whole seconds: formats differ in precision. Rows without an id get a hash of the row as id
# (`line-...`); their time may be that of the file and is ignored. A span and the log record of its request begin and
# end the same call: their trace says what their times do not.
_IDENTITY = """
       case when starts_with(id, 'line-') then 0 else floor(epoch(ts))::bigint end as epoch_s,
       md5(concat_ws(chr(31), coalesce(output.text, ''),
                     regexp_replace(coalesce(output.tool_calls, ''), '\\s', '', 'g'))) as answer,
       request_hash, call_site, input_chars, system_hash,
       case when source_format = 'otel' then trace_id end as trace,
       usage.input_uncached + usage.cache_read + usage.cache_write + usage.output as tokens
"""
_STORED = f"""
select id, regexp_replace(id, '~[0-9a-f]{{12}}$', '') as base, {_IDENTITY}
from read_parquet(?, hive_partitioning = false)
"""  # noqa: S608 - our own expressions
_NONE_STORED = """
select ''::varchar id, ''::varchar base, 0::bigint epoch_s, ''::varchar answer, ''::varchar request_hash,
       ''::varchar call_site, 0::bigint input_chars, ''::varchar system_hash, ''::varchar trace, 0::bigint tokens
where false
"""
_NO_ROWS_COMPARED = f"""
select id, 0::bigint block, 0::bigint piece, ''::varchar date, 0::bigint "row", * exclude (id, base)
from ({_NONE_STORED})
"""  # noqa: S608 - our own expressions
# Most ids occur once; only rows of repeated ids are compared, so memory grows with those and not with the commit.
_SUSPECTS = """
create or replace temp table suspects as
with staged as (select id, block, piece, date, "row", hash(id) as id_hash from read_parquet(?)),
repeated as (
    select id_hash from staged group by id_hash having count(*) > 1
    union
    select hash(base) from stored where hash(base) in (select id_hash from staged)
)
select id, block, piece, date, "row" from staged where id_hash in (select id_hash from repeated)
"""
_COMPARED = f"""
insert into compared
select s.id, s.block, s.piece, s.date, s."row", r.* exclude (id, "row")
from suspects s join (select id, "row", {_IDENTITY} from staged_rows) r on r."row" = s."row"
where s.block = ? and s.date = ?
"""  # noqa: S608 - our own expressions


def _same_answer(a: str, b: str) -> str:
    """SQL condition on two rows of one id: equal answers, or equal token counts where one row has no contents."""
    blank = "({0}.input_chars = 0 and {0}.answer = md5(chr(31)) and {1}.input_chars > 0)"
    return (
        f"({a}.answer = {b}.answer or ({a}.tokens = {b}.tokens and {a}.tokens > 0 "
        f"and ({blank.format(a, b)} or {blank.format(b, a)})))"
    )


# A request hash includes the call site. The same log read with another mapping has other call sites and hashes; its
# length and system prompt are compared instead.
_DECIDED = f"""
create or replace temp table decided as
with hashed as (
    select *, md5(concat_ws(chr(31), epoch_s::varchar, answer, request_hash)) as content
    from compared
),
staged as (
    select *, row_number() over (partition by id, content order by block, date, "row") as copy from hashed
),
known as (select * from stored where base in (select id from staged)),
matched as (
    select s.id, s.content, min(k.id) as stored_id, bool_and(k.input_chars = 0 and s.input_chars > 0) as completes
    from staged s join known k on k.base = s.id and (k.epoch_s = s.epoch_s or k.trace = s.trace)
        and {_same_answer("k", "s")}
        and (k.request_hash = s.request_hash or (k.input_chars = 0) <> (s.input_chars = 0)
             or (k.call_site is distinct from s.call_site and k.input_chars = s.input_chars
                 and k.system_hash is not distinct from s.system_hash))
    where s.copy = 1 group by s.id, s.content
),
fuller as (
    select distinct s.id, s.content from staged s join staged o on o.id = s.id
        and {_same_answer("o", "s")}
        and (o.epoch_s = s.epoch_s or o.trace = s.trace) and s.input_chars = 0 and o.input_chars > 0
),
joined as (
    select s.*, m.stored_id, coalesce(m.completes, false) as completes, s.id in (select base from known) as is_taken,
           f.id is not null as has_fuller,
           row_number() over (
               partition by s.id, s.copy, m.stored_id is null, f.id is null order by s.block, s.date, s."row") as place
    from staged s left join matched m on m.id = s.id and m.content = s.content
    left join fuller f on f.id = s.id and f.content = s.content
)
select id, content, block, piece, date, "row", completes and copy = 1 as completes,
       copy > 1 or has_fuller or (stored_id is not null and not completes) as is_known,
       case when stored_id is not null then stored_id
            when is_taken or (copy = 1 and place > 1) then id || '~' || substr(content, 1, 12)
            else id end as key
from joined
"""  # noqa: S608 - our own expressions


def content_hash(record: Record, request_hash: str) -> str:
    """Hash of time, prompt and answer: `content` of the table `decided`."""
    seconds = 0 if record.id.startswith("line-") else int(record.ts.timestamp() // 1)
    calls = record.output.tool_calls
    # Log formats write the arguments with different whitespace.
    written = _WHITE_SPACE.sub("", msgspec.json.encode(calls).decode()) if calls is not None else ""
    return _md5(str(seconds), _md5(record.output.text or "", written), request_hash)


def decide(
    connection: duckdb.DuckDBPyConnection,
    staged_ids: Sequence[str],
    stored: Sequence[str],
    staged_rows: Callable[[int, str], Iterable[pa.Table]],
) -> None:
    """Create the table `decided`: staged records with a repeated id, whether each is known, and its key in the store.

    Staged records that are not in it are new and keep their id. `staged_ids`: files of `IDS_SCHEMA`. `staged_rows`:
    the records of a block and day, each with its `row`.
    """
    known = _STORED.replace("?", paths_sql(stored)) if stored else _NONE_STORED
    connection.execute(f"create or replace temp view stored as {known}")
    connection.execute(_SUSPECTS.replace("?", paths_sql(staged_ids)))
    connection.execute(f"create or replace temp table compared as {_NO_ROWS_COMPARED}")
    for block, day in connection.sql("select distinct block, date from suspects order by all").fetchall():
        for rows in staged_rows(block, day):
            connection.register("staged_rows", rows)
            connection.execute(_COMPARED, [block, day])
            connection.unregister("staged_rows")
    connection.execute(_DECIDED)


def paths_sql(paths: Sequence[str | Path]) -> str:
    """A list of files for `read_parquet`, with glob characters in the paths escaped."""
    return "[" + ", ".join("'" + _literal(str(path)).replace("'", "''") + "'" for path in paths) + "]"


def _literal(path: str) -> str:
    return "".join(f"[{character}]" if character in "*?[" else character for character in path)


def _md5(*parts: str) -> str:
    return hashlib.md5("\x1f".join(parts).encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
