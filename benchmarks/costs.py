"""`fasttier costs` on a generated store of many records, compared with a plain DuckDB aggregation of the same store.

    python -m benchmarks.costs [--records 10000000] [--keep FOLDER] [--json FILE]

A month of 40 features, three models, 1,000 customers (a few of them large) and 15% escalations. Bodies are short, since
costs never read them. Reports CPU seconds and wall time of the first `costs` (which sums every day; usually
`fasttier ingest` has done that), of a second one, of one after another day, and of the dashboard's first pages.
"""

import datetime as dt
import json
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from benchmarks import harness
from pipeline import store
from traffic.artifacts import Home
from traffic.record import Output, Params, Record, Usage

DAYS, PER_DAY, FEATURES, CUSTOMERS = 30, 200, 40, 1000
START = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
MODELS = ("gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5")


def main() -> None:
    """Command line."""
    parser = harness.parser(__doc__)
    parser.add_argument("--records", type=int, default=10_000_000)
    parser.add_argument("--keep", type=Path, help="keep the store in this folder, and reuse it")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = arguments.keep or Path(folder)
        if not (home / "records").is_dir():
            make(home, arguments.records)
        result = {"benchmark": "costs", "cpus": os.cpu_count(), "records": arguments.records, **_measure(home)}
    harness.show(result, arguments.json, [json.dumps(result)])


def make(home: Path, count: int) -> None:
    """A store of about `count` records."""
    store.append(Home(home), [r for day in range(DAYS) for r in day_of(day)], source="benchmark")
    # Skewed customer sizes, as in real logs: higher numbers occur less often.
    columns = f"""
        r.id || '-' || n as id, r.request_id || '-' || n as request_id,
        'c' || (n * n % 7919 % (1 + n % {CUSTOMERS}))::varchar as customer_id
    """
    harness.rewrite_store(home / "records", columns, copies=max(1, count // (DAYS * PER_DAY)))


def day_of(day: int) -> list[Record]:
    """Records of one day, before they are multiplied."""
    r = random.Random(day)
    records = []
    for n in range(PER_DAY):
        feature, model = f"feature.{min(r.randrange(FEATURES), r.randrange(FEATURES))}", r.choice(MODELS)
        escalated = n % 7 == 6
        records.append(
            Record(
                id=f"d{day}-{n}", request_id=f"d{day}-{n - 1 if escalated else n}",
                purpose="escalation" if escalated else "serve", attempt=2 if escalated else 1,
                ts=START + dt.timedelta(days=day, seconds=n * 400), call_site=feature, feature=feature,
                cohort={"plan": r.choice(("free", "pro", "enterprise"))}, customer_id="c1", user_id=f"u{n}",
                messages=msgspec.Raw(b"[]"), params=Params(max_tokens=64), output=Output(text="yes"),
                usage=Usage(input_uncached=r.randint(100, 2000), output=r.randint(1, 200)), provider="openai",
                model=model, tier=r.randint(1, 3), latency_ms=r.uniform(100, 3000), cost_usd=r.uniform(1e-4, 1e-2),
                price_source="logged", source_format="native",
            )
        )  # fmt: skip
    return records


def _measure(home: Path) -> dict[str, Any]:
    begun = time.perf_counter()
    duckdb.execute(
        f"select call_site, model, cast(ts as date), cohort['plan'], customer_id, count(*), sum(cost_usd), "  # noqa: S608
        f"sum(usage.output) "
        f"from read_parquet('{home}/records/date=*/*.parquet', hive_partitioning = false) group by all"
    ).fetchall()
    plain = time.perf_counter() - begun
    for old in (home / "costs" / "cells").glob("*.parquet"):
        old.unlink()
    first, again = _costs(home), _costs(home)
    page = _first_page(home)
    store.append(Home(home), day_of(DAYS), source="benchmark, one day more")
    return {
        "aggregation_s": round(plain, 2), "first": first, "again": again, "dashboard": page,
        "one_day_more": _costs(home),
        "cells_mb": round(sum(p.stat().st_size for p in (home / "costs" / "cells").glob("*.parquet")) / 1e6, 1),
    }  # fmt: skip


def _costs(home: Path) -> dict[str, float]:
    """CPU seconds, which other load affects little, and wall time."""
    begun, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "cli", "costs", "--by", "feature,plan", "--home", str(home), "--json"]
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    return {"cpu_s": round(cpu, 2), "wall_s": round(time.perf_counter() - begun, 2)}


def _first_page(home: Path) -> dict[str, float]:
    """Seconds until the dashboard prints its address, and of the first two pages."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "cli", "dashboard", "--port", "0", "--home", str(home)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            address = re.search(r"http://[0-9.:]+/", process.stderr.readline())
            started = time.perf_counter()
            assert address is not None
            pages = []
            for _ in range(2):
                before = time.perf_counter()
                with urllib.request.urlopen(address[0], timeout=60) as answer:  # noqa: S310 -- our own server
                    answer.read()
                pages.append(round(time.perf_counter() - before, 2))
        finally:
            process.terminate()
    return {"start_s": round(started - begun, 2), "first_page_s": pages[0], "second_page_s": pages[1]}


if __name__ == "__main__":
    main()
