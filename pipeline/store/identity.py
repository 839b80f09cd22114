"""Which records are the same: id and content (time, prompt, answer) agree. An id alone is a string somebody else chose.

A record that shares its id with another but differs in content gets a key of its own: the id with a content hash.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

_WHITE_SPACE = re.compile(r"[\t\n\f\r ]")

COLUMNS = pa.schema(
    [
        ("id", pa.string()),
        ("block", pa.int64()),
        ("piece", pa.int64()),
        ("date", pa.string()),
        ("row", pa.int64()),
        ("epoch_s", pa.int64()),
        ("answer", pa.string()),
        ("request_hash", pa.string()),
        ("call_site", pa.string()),
        ("input_chars", pa.int64()),
        ("system_hash", pa.string()),
        ("content", pa.string()),
    ]
)
"""What is staged of each record to tell whether the store has it."""

# Times count in seconds: formats differ in the digits below. The id of a row without one is the hash of the row, so its
# time (perhaps its file's) adds nothing.
_STORED = """
select id, regexp_replace(id, '~[0-9a-f]{12}$', '') as base,
       case when starts_with(id, 'line-') then 0 else floor(epoch(ts))::bigint end as epoch_s,
       md5(concat_ws(chr(31), coalesce(output.text, ''),
                     regexp_replace(coalesce(output.tool_calls, ''), '\\s', '', 'g'))) as answer,
       request_hash, call_site, input_chars, system_hash
from read_parquet(?, hive_partitioning = false)
"""
_NONE_STORED = """
select ''::varchar id, ''::varchar base, 0::bigint epoch_s, ''::varchar answer, ''::varchar request_hash,
       ''::varchar call_site, 0::bigint input_chars, ''::varchar system_hash where false
"""
# The hash of a request holds its call site: read with another mapping, the rest must do.
_DECIDED = """
create or replace temp table decided as
with staged as (
    select *, row_number() over (partition by id, content order by block, date, "row") as copy from read_parquet(?)
),
known as (select * from stored where base in (select id from staged)),
matched as (
    select s.id, s.content, min(k.id) as stored_id
    from staged s join known k on k.base = s.id and k.epoch_s = s.epoch_s and k.answer = s.answer and (
        k.request_hash = s.request_hash
        or (k.call_site is distinct from s.call_site and k.input_chars = s.input_chars
            and k.system_hash is not distinct from s.system_hash))
    where s.copy = 1 group by s.id, s.content
),
joined as (
    select s.*, m.stored_id, s.id in (select base from known) as is_taken,
           row_number() over (partition by s.id, s.copy, m.stored_id is null order by s.block, s.date, s."row") as place
    from staged s left join matched m on m.id = s.id and m.content = s.content
)
select id, content, block, piece, date, "row", copy > 1 or stored_id is not null as is_known,
       case when stored_id is not null then stored_id
            when is_taken or (copy = 1 and place > 1) then id || '~' || substr(content, 1, 12)
            else id end as key
from joined
"""


def row_identity(row: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of `COLUMNS` that follow from a row of `ARROW_SCHEMA`."""
    output = row["output"]
    seconds = 0 if row["id"].startswith("line-") else int(row["ts"].timestamp() // 1)
    # Formats differ in the white space of the arguments.
    answer = _md5(output["text"] or "", _WHITE_SPACE.sub("", output["tool_calls"] or ""))
    found = {name: row[name] for name in ("id", "request_hash", "call_site", "input_chars", "system_hash")}
    return found | {"epoch_s": seconds, "answer": answer, "content": _md5(str(seconds), answer, row["request_hash"])}


def decide(connection: duckdb.DuckDBPyConnection, staged: Sequence[str], stored: Sequence[str]) -> None:
    """Make the table `decided`: for every staged record whether it is known, and the key that it has in the store."""
    if stored:
        connection.execute(f"create or replace temp view stored as {_STORED.replace('?', paths_sql(stored))}")
    else:
        connection.execute(f"create or replace temp view stored as {_NONE_STORED}")
    connection.execute(_DECIDED.replace("?", paths_sql(staged)))


def paths_sql(paths: Sequence[str | Path]) -> str:
    """A list of files for `read_parquet`, whose paths would else be taken for patterns."""
    return "[" + ", ".join("'" + _literal(str(path)).replace("'", "''") + "'" for path in paths) + "]"


def _literal(path: str) -> str:
    return "".join(f"[{character}]" if character in "*?[" else character for character in path)


def _md5(*parts: str) -> str:
    return hashlib.md5("\x1f".join(parts).encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
