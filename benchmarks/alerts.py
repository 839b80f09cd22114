"""Alerts: the rate of false alarms, in simulation and on a log's first week, and detection of injected changes.

    python -m benchmarks.alerts --log FILE [--days 7] [--json FILE]

Simulation: independent normal observations, counted until the alarm. First week: the unchanged log, at two configured
rates. Injected: for each call site and cause, every request from the fifth day on is changed in a copy of the log in
memory; the table shows how many changes were detected, and for how many the reported cause is right.
"""

import datetime as dt
import random
import tempfile
from pathlib import Path
from typing import Any

import duckdb

from benchmarks import harness
from pipeline import alerts, ingest, store
from pipeline.alerts.config import AlertsConfig
from traffic.artifacts import Home
from traffic.prices import MTOK, PriceTable
from traffic.sequential import Cusum, threshold

CHANGE_AFTER_DAYS = 4
SIMULATED = 200_000
STATED = (200, 1000, 5000)
REDIRECTED = "gpt-4.1-2025-04-14"

# By cause: changed columns (expressions over `base`), condition for call sites, and expected cause in the alert.
CAUSES: dict[str, tuple[dict[str, str], str, str]] = {
    "prompts half as long again": (
        {"plain": "plain + (plain + cached + written) // 2", "usd": "usd + (plain + cached + written) // 2 * in_usd"},
        "true", "prompt",
    ),
    "answers twice as long": ({"output": "2 * output", "usd": "usd + output * out_usd"}, "avg(output) > 20", "output"),
    "the price is up by 40%": ({"usd": "1.4 * usd"}, "true", "price"),
    "another model, twice as dear": ({"model": f"'{REDIRECTED}'", "usd": "2 * usd"}, "true", "model"),
    "half of Tier 1 moved to Tier 2": (
        {"tier": "case when tier = 1 and hash(id) % 2 = 0 then 2 else tier end",
         "usd": "case when tier = 1 and hash(id) % 2 = 0 then 4 * usd else usd end"},
        "avg((tier = 1)::int) > 0.5", "routing",
    ),
    "15% of requests fail": (
        {"status": "case when hash(id, 7) % 100 < 15 then 503 else status end",
         "usd": "case when hash(id, 7) % 100 < 15 then 0 else usd end",
         "output": "case when hash(id, 7) % 100 < 15 then 0 else output end"},
        "true", "errors",
    ),
    "no prompt cache any more": (
        {"plain": "plain + cached", "cached": "0", "usd": "usd + cached * (in_usd - read_usd)"},
        "sum(cached) > 0.2 * sum(plain + cached + written)", "cache",
    ),
}  # fmt: skip
_COLUMNS = ("plain", "cached", "output", "usd", "model", "tier", "status")


def main() -> None:
    """Command line."""
    parser = harness.parser(__doc__)
    parser.add_argument("--log", type=Path, help="log to use (default: only the simulation)")
    parser.add_argument("--days", type=int, default=7)
    arguments = parser.parse_args()
    result: dict[str, Any] = {"benchmark": "alerts", "simulated": simulated()}
    if arguments.log is not None:
        with tempfile.TemporaryDirectory() as folder:
            connection, last = first_days(Home(Path(folder)), arguments.log, arguments.days)
            result |= {"quiet": quiet(connection, last), "planted": planted(connection, last)}
    rows = [*result["simulated"], *result.get("quiet", ()), *result.get("planted", ())]
    lines = (", ".join(f"{name} {value}" for name, value in row.items()) for row in rows)
    harness.show(result, arguments.json, lines)


def simulated() -> list[dict[str, Any]]:
    """Observations per alarm without a change."""
    rows = []
    for stated in STATED:
        r, cusum = random.Random(stated), Cusum(threshold(stated))
        alarms = sum(cusum.add(r.gauss(0, 1)) is not None for _ in range(SIMULATED))
        rows.append({"observations_per_alarm_stated": stated, "found": round(SIMULATED / max(1, alarms))})
    return rows


def first_days(home: Home, log: Path, days: int) -> tuple[duckdb.DuckDBPyConnection, dt.date]:
    """The log's first days as the table `base`, with prices; tiers are assigned by hash if the log has none."""
    ingest.run([log], home=home)
    connection = store.connect(home)
    connection.execute("create table rates (day date, who varchar, name varchar, i double, r double, o double)")
    prices = PriceTable.load()
    for day, who, name in connection.execute("select distinct date, provider, model from records").fetchall():
        try:
            price = prices.price(name, who, day)
        except LookupError:
            continue
        rates = [rate / MTOK for rate in (price.input_mtok_usd, price.read_mtok_usd, price.output_mtok_usd)]
        connection.execute("insert into rates values (?, ?, ?, ?, ?, ?)", [day, who, name, *rates])
    connection.execute(f"""
        create table base as select l.id, l.ts, l.call_site, l.purpose, l.cache_hit, l.status, l.provider, l.model,
               coalesce(l.tier, case when hash(l.id, 3) % 10 < 7 then 1 else 2 end) as tier, l.cost_usd as usd,
               coalesce(l.usage.input_uncached, 0) as plain, coalesce(l.usage.cache_read, 0) as cached,
               coalesce(l.usage.cache_write, 0) as written, coalesce(l.usage.output, 0) as output,
               coalesce(p.i, 0) as in_usd, coalesce(p.r, 0) as read_usd, coalesce(p.o, 0) as out_usd
        from records l left join rates p
             on p.day = l.date and p.who is not distinct from l.provider and p.name = l.model
        where l.date < (select min(date) + {days} from records)
    """)  # noqa: S608 -- a number of our own
    last = connection.execute("select max(ts)::date from base").fetchall()[0][0]
    connection.execute("drop view records")
    return connection, last


def show(connection: duckdb.DuckDBPyConnection, site: str | None = None, change: dict[str, str] | None = None) -> None:
    """Create the view `records` of the first days, with a change at one call site from the fifth day on."""
    since = f"(select min(ts)::date from base) + {CHANGE_AFTER_DAYS}"  # noqa: S608 -- a number of our own
    name = (site or "").replace("'", "''")
    changed = {
        column: f"case when call_site = '{name}' and ts::date >= {since} then {expression} else {column} end"
        for column, expression in (change or {}).items()
    }
    listed = ", ".join(f"{changed.get(column, column)} as {column}" for column in _COLUMNS)
    connection.execute(f"""
        create or replace view records as
        select id, ts, call_site, purpose, cache_hit, status, provider, model, null as adapter, tier, usd as cost_usd,
               {{'input_uncached': plain, 'cache_read': cached, 'cache_write': written, 'output': output}} as usage
        from (select id, ts, call_site, purpose, cache_hit, provider, written, {listed} from base)
    """)  # noqa: S608 -- the log's own call sites, escaped


def quiet(connection: duckdb.DuckDBPyConnection, last: dt.date) -> list[dict[str, Any]]:
    """Alarms on the unchanged first days, all of them false."""
    show(connection)
    rows = []
    for stated in (2.0, 90.0):
        settings = AlertsConfig(false_alarm_days=stated, min_change=0.0)
        watched = alerts.watch(connection, settings, last)
        rows.append({
            "false_alarm_days": stated, "series": watched.series, "observations": watched.observations,
            "expected": round(watched.days / stated, 2), "alarms": len(watched.changes),
        })  # fmt: skip
    return rows


def planted(connection: duckdb.DuckDBPyConnection, last: dt.date) -> list[dict[str, Any]]:
    """Detection of each cause, at each call site with enough requests before and after."""
    settings, prices = AlertsConfig(), PriceTable.load()
    rows = []
    for cause, (change, whom, expected) in CAUSES.items():
        sites = connection.execute(f"""
            select call_site from base where call_site is not null group by 1
            having count(*) filter (where ts::date < (select min(ts)::date from base) + {CHANGE_AFTER_DAYS}) >= 240
               and count(*) filter (where ts::date >= (select min(ts)::date from base) + {CHANGE_AFTER_DAYS}) >= 180
               and {whom} and sum(usd) > 0 order by 1
        """).fetchall()  # noqa: S608 -- expressions of this file
        detected = correct = alone = 0
        causes: dict[str, int] = {}
        for (site,) in sites:
            show(connection, site, change)
            alerts_raised = [
                a
                for a in alerts.merged(alerts.watch(connection, settings, last).changes, prices)
                if site in a.call_sites
            ]
            detected += bool(alerts_raised)
            alone += len(alerts_raised) == 1
            names = [alert.cause.partition(":")[0].split()[0] for alert in alerts_raised]
            correct += expected in names[:1]
            if alerts_raised and expected not in names[:1]:
                causes[names[0]] = causes.get(names[0], 0) + 1
        rows.append({
            "planted": cause, "call_sites": len(sites), "detected": detected, "one_alert": alone, "named": correct,
            "taken_for": causes,
        })  # fmt: skip
    return rows


if __name__ == "__main__":
    main()
