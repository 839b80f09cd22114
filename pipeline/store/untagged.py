"""Assigns requests without a call-site tag to the call site whose registered template they match."""

from collections.abc import Collection

import duckdb
import msgspec
import pyarrow as pa

from traffic.callsites import Registry
from traffic.record import decode_messages
from traffic.shapes import ShapeIndex

_BATCH = 5_000
"""Requests in memory at a time."""


def name(connection: duckdb.DuckDBPyConnection, registry: Registry, wanted: Collection[str]) -> int:
    """Assign call sites to untagged requests in the view `records`; returns the number of matches.

    `wanted`: call sites to look for; empty: all. Uses the router's matching. Tags in the log are never changed.
    """
    if not any(site.templates for site in registry.call_sites if not wanted or site.name in wanted):
        return 0
    index = ShapeIndex(registry)
    ids: list[str] = []
    sites: list[str] = []
    reader = connection.sql("select id, messages from records where call_site is null").to_arrow_reader(_BATCH)
    for batch in reader:
        for row in batch.to_pylist():
            try:
                entry = index.entry(None, decode_messages(row["messages"]))
            except msgspec.DecodeError:
                continue
            if entry is not None and (not wanted or entry.name in wanted):
                ids.append(row["id"])
                sites.append(entry.name)
    if ids:
        connection.register("untagged", pa.table({"id": ids, "matched": sites}))
        connection.execute("alter view records rename to tagged_records")
        connection.execute(
            "create view records as select r.* replace (coalesce(r.call_site, u.matched) as call_site) "
            "from tagged_records r left join untagged u on u.id = r.id"
        )
    return len(ids)
