"""Speed and memory of ingest compared with simple alternatives, on generated LiteLLM logs, in one run.

    python -m benchmarks.ingest [--mb 100 1000 5000] [--processes 1 2] [--small-files 1500] [--log FILE] [--json]

The alternatives do less: they only convert lines to Parquet, without tags, tokens, costs, hashes, partitions by day or
idempotence.
    duckdb   read_json_auto with ignore_errors, copied to Parquet, as many threads
    stdlib   json.loads in batches of 10,000 lines into pyarrow, bodies as JSON text, one process
Ratios are comparable between machines, MB/s are not; under load use the ratios of CPU seconds. Peak memory is that of
the largest process. Small files contain one request each.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import harness
from tests.fakes.logs import attempts, litellm_line

ROOT = Path(__file__).resolve().parent.parent

# Other fields of a real StandardLoggingPayload: constant, long, and never read.
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

# Timed inside the process: excludes the interpreter's start, includes all imports and processes of the run.
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
    """Write a log of about `size` bytes; every copy of the generated requests has different ids."""
    lines = [litellm_line(replace(a, extra=_PADDING)) + b"\n" for a in attempts(2000, 1)]
    copies = max(1, size // sum(map(len, lines)))
    with path.open("wb") as out:
        for line in lines:
            # All copies of one time together, so that the log is ordered by time like real ones.
            out.writelines(line.replace(b"chatcmpl-", b"chatcmpl-%d-" % copy) for copy in range(copies))


def write_small_files(folder: Path, count: int) -> None:
    """Write files with one request each, as gateways write them to object stores."""
    folder.mkdir()
    for number, attempt in enumerate(attempts(count, 2)[:count]):
        (folder / f"{number:05d}.json").write_bytes(litellm_line(replace(attempt, extra=_PADDING)) + b"\n")


def measure(name: str, log: Path, folder: Path, processes: int) -> dict[str, float]:
    """Figures of one run in a separate process."""
    script, out = folder / "harness.py", folder / f"{log.name}-{name}-{processes}"
    script.write_text(_HARNESS)
    source = str(log / "*.json") if log.is_dir() and name == "duckdb" else str(log)
    command = [sys.executable, str(script), source, str(out), str(processes), _RUNS[name]]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=_environment(folder))
    figures: dict[str, float] = json.loads(done.stdout)
    shutil.rmtree(out, ignore_errors=True)
    Path(f"{out}.parquet").unlink(missing_ok=True)
    files = list(log.iterdir()) if log.is_dir() else [log]
    size, records = sum(file.stat().st_size for file in files) / 1e6, sum(map(_lines_of, files))
    return figures | {
        "mb": size,
        "records": records,
        "mb_per_s": size / figures["seconds"],
        "records_per_s": records / figures["seconds"],
        "mb_per_cpu_s": size / figures["cpu_seconds"],
    }


def _environment(folder: Path) -> dict[str, str]:
    """Environment with bytecode, as in an installation, even if PYTHONDONTWRITEBYTECODE is set."""
    bytecode = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
    return os.environ | bytecode | {"PYTHONPATH": str(ROOT)}


def _lines_of(file: Path) -> int:
    with file.open("rb") as lines:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: lines.read(1 << 24), b""))


def compared(log: Path, folder: Path, processes: int, only: list[str]) -> dict[str, Any]:
    """All runs on one log, with their ratios."""
    runs = {name: measure(name, log, folder, processes) for name in only if name != "stdlib" or not log.is_dir()}
    ratios = {
        f"ingest_over_{other}{suffix}": runs["ingest"][key] / runs[other][key]
        for other in runs
        if other != "ingest" and "ingest" in runs
        for suffix, key in (("", "mb_per_s"), ("_cpu", "mb_per_cpu_s"))
    }
    return {"log": log.name, "processes": processes, "runs": runs, **ratios}


def report(result: dict[str, Any]) -> Iterator[str]:
    """The table for the terminal."""
    yield f"{result['log']}, {result['processes']} processes"
    for name, figures in result["runs"].items():
        numbers = (figures[key] for key in ("mb_per_s", "mb_per_cpu_s", "records_per_s", "seconds", "peak_mb"))
        form = "  {:8} {:6.0f} MB/s {:6.0f} MB per CPU second {:8.0f} records/s {:7.1f} s {:6.0f} MB peak"
        yield form.format(name, *numbers)
    yield "  " + "  ".join(f"{name} {value:.2f}x" for name, value in result.items() if name.startswith("ingest_over"))


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--mb", type=int, nargs="*", default=[100], help="sizes of the generated logs")
    parser.add_argument("--log", type=Path, help="an uncompressed LiteLLM JSONL log in addition to the generated ones")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--small-files", type=int, default=1500, help="0: none")
    parser.add_argument("--only", nargs="*", choices=list(_RUNS), default=["ingest", "duckdb"])
    arguments = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory(prefix="bench-ingest-") as name:
        folder = Path(name)
        subprocess.run([sys.executable, "-c", "import duckdb, pipeline.ingest"], check=True, env=_environment(folder))
        logs = [] if arguments.log is None else [arguments.log]
        for size in arguments.mb:
            write_log(folder / f"{size}-mb.jsonl", size * 1_000_000)
            logs.append(folder / f"{size}-mb.jsonl")
        if arguments.small_files:
            write_small_files(folder / f"{arguments.small_files}-files", arguments.small_files)
            logs.append(folder / f"{arguments.small_files}-files")
        for log in logs:
            for processes in arguments.processes:
                results.append(compared(log, folder, processes, arguments.only))
                if arguments.json != "-":
                    print("\n".join(report(results[-1])), flush=True)
    harness.show({"benchmark": "ingest", "results": results}, arguments.json, [])


if __name__ == "__main__":
    main()
