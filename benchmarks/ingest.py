"""Speed and memory of ingest against the obvious alternatives, on one generated LiteLLM log, in one run.

    python benchmarks/ingest.py [--mb 300] [--log FILE] [--processes 2] [--json]

Alternatives do less: they only turn the lines into Parquet, without tags, tokens, costs, hashes, days or
a second time that changes nothing.
    duckdb   read_json_auto with ignore_errors, copied to Parquet, as many threads
    stdlib   json.loads in batches of 10,000 lines into pyarrow, bodies as JSON text, one process
Ratios hold from machine to machine, MB/s do not. Peak memory is that of the largest process.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.fakes.logs import attempts, litellm_line  # noqa: E402 - the script runs from a clone, not installed

# What a real StandardLoggingPayload carries besides: constant, long, and never read.
_PADDING: dict[str, Any] = {
    "hidden_params": {"model_id": "a1b2", "additional_headers": {f"x-ratelimit-{n}": "1000" for n in range(12)}},
    "model_map_information": {
        "model_map_key": "gpt-4o",
        "model_map_value": {f"output_cost_per_token_above_{n}k_tokens": None for n in range(45)},
    },
    "guardrail_information": None,
    "standard_built_in_tools_params": {"web_search_options": None, "file_search": None},
}

_RUNS = {
    "ingest": """
from pipeline import ingest
from traffic.artifacts import Home
ingest.run([log], home=Home(out), processes=processes)
""",
    "duckdb": """
import duckdb
connection = duckdb.connect(config={"threads": processes})
connection.execute(
    f"copy (select * from read_json_auto('{log}', ignore_errors=true, format='newline_delimited', "
    f"maximum_object_size=67108864)) to '{out}.parquet' (compression zstd)"
)
""",
    "stdlib": """
import itertools, json
import pyarrow as pa, pyarrow.parquet as pq
names = ("id", "startTime", "model", "status", "response_cost", "prompt_tokens", "messages", "response", "metadata")
schema = pa.schema([(name, pa.string()) for name in names])
with log.open("rb") as lines, pq.ParquetWriter(f"{out}.parquet", schema, compression="zstd") as writer:
    while batch := list(itertools.islice(lines, 10_000)):
        rows = []
        for line in batch:
            try:
                row = json.loads(line)
            except ValueError:
                continue
            rows.append({name: v if isinstance(v := row.get(name), str) else json.dumps(v) for name in names})
        writer.write_table(pa.Table.from_pylist(rows, schema))
""",
}

# Time is taken inside, without the start of the interpreter, but with all imports and processes of the run.
_HARNESS = """
import json, resource, sys, time
from pathlib import Path
log, out, processes = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
if __name__ == "__main__":
    started = time.perf_counter()
    exec(sys.argv[4])
    seconds = time.perf_counter() - started
    own, workers = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(json.dumps({
        "seconds": seconds,
        "cpu_seconds": own.ru_utime + own.ru_stime + workers.ru_utime + workers.ru_stime,
        "peak_mb": max(own.ru_maxrss, workers.ru_maxrss) * 1024 / 1e6,
    }))
"""


def write_log(path: Path, size: int) -> None:
    """A log of about `size` bytes; every copy of the generated requests has ids of its own."""
    made = [litellm_line(replace(a, extra=_PADDING)) + b"\n" for a in attempts(2000, 1)]
    copies = max(1, size // sum(map(len, made)))
    with path.open("wb") as out:
        for line in made:
            # All copies of a moment together, so that the log is in the order of time as real ones are.
            out.writelines(line.replace(b"chatcmpl-", b"chatcmpl-%d-" % copy) for copy in range(copies))


def measure(name: str, log: Path, folder: Path, processes: int) -> dict[str, float]:
    """One run in a process of its own."""
    script = folder / "harness.py"
    script.write_text(_HARNESS)
    command = [sys.executable, str(script), str(log), str(folder / name), str(processes), _RUNS[name]]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=_environment())
    found: dict[str, float] = json.loads(done.stdout)
    size = log.stat().st_size / 1e6
    return found | {"mb_per_s": size / found["seconds"], "mb_per_cpu_s": size / found["cpu_seconds"]}


def _environment() -> dict[str, str]:
    import os

    return os.environ | {"PYTHONPATH": str(ROOT)}


def report(results: dict[str, dict[str, float]]) -> Iterator[str]:
    """A table for people."""
    for name, found in results.items():
        numbers = (found[key] for key in ("mb_per_s", "mb_per_cpu_s", "seconds", "peak_mb"))
        yield "{:8} {:7.0f} MB/s {:7.0f} MB per CPU second {:7.1f} s {:7.0f} MB peak".format(name, *numbers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mb", type=int, default=300, help="size of the generated log")
    parser.add_argument("--log", type=Path, help="a plain LiteLLM JSONL log instead of a generated one")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", nargs="*", choices=list(_RUNS), default=list(_RUNS))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-ingest-") as name:
        folder = Path(name)
        log = arguments.log or folder / "log.jsonl"
        if arguments.log is None:
            write_log(log, arguments.mb * 1_000_000)
        results = {run: measure(run, log, folder, arguments.processes) for run in arguments.only}
        size = log.stat().st_size / 1e6
    ratios = {
        f"ingest_over_{other}": results["ingest"]["mb_per_s"] / results[other]["mb_per_s"]
        for other in results
        if other != "ingest" and "ingest" in results
    }
    if arguments.json:
        print(json.dumps({"benchmark": "ingest", "mb": size, "processes": arguments.processes, **results, **ratios}))
        return
    print(f"{size:,.0f} MB of LiteLLM lines, {arguments.processes} processes")
    print("\n".join(report(results)))
    print("  ".join(f"{name} {ratio:.2f}x" for name, ratio in ratios.items()))


if __name__ == "__main__":
    main()
