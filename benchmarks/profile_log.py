"""`fasttier profile` on a generated log of many records, compared with a plain DuckDB aggregation of the same store.

    python -m benchmarks.profile_log [--records 100000 1000000] [--json FILE]

The log has call sites of an invented ferry company with prompts of about 2 kB; each size has a home in a temporary
folder. Reports seconds, peak memory of the profiling process, and the ratio to the aggregation.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from benchmarks import harness
from pipeline import store
from tests.fakes import profiled_logs
from traffic.artifacts import Home

BASE = 5_000
_FILLER = "crew notice harbour master tide table cargo lashing fog signal muster point life raft bunker gangway".split()


def main() -> None:
    """Command line."""
    parser = harness.parser(__doc__)
    parser.add_argument("--records", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(_profile(arguments.child)))
        return
    results = []
    for count in arguments.records:
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            store_mb = _make(home, count)
            results.append({"records": count, "store_mb": store_mb, **_measure(home)})
            harness.progress(str(results[-1]))
    figures = {"benchmark": "profile", "cpus": os.cpu_count(), "results": results}
    harness.show(figures, arguments.json, map(str, results))


def _make(home: Path, count: int) -> float:
    """A store of `count` records; returns its size in MB."""
    r = random.Random(3)
    records = []
    rules = {name: " ".join(r.choice(_FILLER) for _ in range(300)) for name in profiled_logs.SITES}
    for record in profiled_logs.records(per_site=BASE // len(profiled_logs.SITES), seed=5):
        messages = msgspec.json.decode(record.messages)
        messages[0]["content"] += f"\n\nHouse rules: {rules[record.call_site or '']}"
        records.append(msgspec.structs.replace(record, messages=msgspec.Raw(msgspec.json.encode(messages))))
    store.append(Home(home), records, source="benchmark")
    # Each copy is a distinct request with another id, hash and message.
    columns = """
        r.id || '-' || n as id, r.request_id || '-' || n as request_id, md5(r.request_hash || n)[:16] as request_hash,
        replace(r.messages, ' to ', ' to ' || n || ' ') as messages
    """
    harness.rewrite_store(home / "records", columns, copies=-(-count // BASE), row_group=20_000)
    return round(sum(part.stat().st_size for part in home.glob("records/date=*/*.parquet")) / 1e6, 1)


def _measure(home: Path) -> dict[str, Any]:
    parts = f"{home}/records/date=*/*.parquet"
    begun = time.perf_counter()
    query = f"""
        select call_site, model, date, count(*), sum(cost_usd), sum(usage.output), count(distinct request_hash),
               sum(length(messages)), sum(length(output.text))
        from read_parquet('{parts}', hive_partitioning = true) group by all
    """  # noqa: S608
    duckdb.execute(query).fetchall()
    plain = time.perf_counter() - begun
    child = subprocess.run(
        [sys.executable, "-m", "benchmarks.profile_log", "--child", str(home)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ,
    )
    figures: dict[str, Any] = json.loads(child.stdout.strip().splitlines()[-1])
    return {**figures, "aggregation_s": round(plain, 2), "ratio": round(figures["seconds"] / plain, 1)}


def _profile(home: Path) -> dict[str, Any]:
    import datetime as dt

    from pipeline import profile
    from traffic import config, tiers
    from traffic.prices import PriceTable

    begun = time.perf_counter()
    result = profile.run(
        profile.ProfileConfig(),
        home=Home(home),
        routing=tiers.load(config.CONFIGS / "router.yaml"),
        prices=PriceTable.load(),
        now=dt.datetime.now(dt.UTC),
        track=False,
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "seconds": round(time.perf_counter() - begun, 1),
        "peak_mb": round(peak),
        "shapes": len(result.shapes),
        "requests": result.requests,
    }


if __name__ == "__main__":
    main()
