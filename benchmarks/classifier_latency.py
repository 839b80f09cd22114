"""Latency and CPU time of a classifier server, compared with the hosted model's latency in the same home's records.

    python -m benchmarks.classifier_latency --home DIR [--classifier TASK] [--requests 400] [--threads N] [--json]

Starts `serving.classifier_server` with the classifier, sends the texts of the dataset's test split at concurrency 1 and
8 over persistent connections, and reads the server's CPU time. The hosted latency is that of the call site's successful
requests in the records store. Client and server share the machine: under load the latencies include waiting, and only
the CPU time is meaningful.
"""

import http.client
import json
import os
import queue
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import numpy as np
import psutil  # type: ignore[import-untyped]

from benchmarks import harness
from cli.app import Common
from cli.servers import start_classifiers
from pipeline import dataset as datasets
from serving.supervise import Server
from traffic import artifacts, classifiers
from traffic.artifacts import Home
from traffic.classifiers import Classifier

CONCURRENCY = (1, 8)


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--home", type=Path, default=Path("data-benchmark"))
    parser.add_argument("--classifier", help="its task or name; default the newest")
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--threads", type=int, default=1, help="of the server, for the matrix products of a batch")
    options = parser.parse_args()
    home = Home(options.home)
    figures = measure(home, folder_of(home, options.classifier), options.requests, options.threads)
    harness.show(figures, options.json, lines(figures))


def folder_of(home: Home, name: str | None) -> Path:
    if name is not None and "@" in name:
        return home.classifier(name)
    current = artifacts.current(home, artifacts.CLASSIFIER, task=name)
    if current is None:
        raise SystemExit(f"{home.root} has no classifier of {name or 'any task'}")
    return current.path


def measure(home: Home, folder: Path, requests: int, threads: int = 1) -> dict[str, Any]:
    card = classifiers.load(folder)
    figures: dict[str, Any] = {"classifier": card.name, "load_average": round(os.getloadavg()[0], 1), "sites": {}}
    settings = Common(set_=(f"cpu_threads={threads}",))
    with start_classifiers({folder: card}, home, "benchmark", settings) as server:
        figures["memory_mb"] = psutil.Process(server.pid).memory_info().rss // 2**20
        for site in card.models:
            bodies = bodies_of(home, card, site, requests)
            ask(server, bodies[:20], 1)
            own = {f"at_{n}": ask(server, bodies, n) for n in CONCURRENCY}
            hosted = hosted_latency(home, site)
            ratios = {name: round(hosted["p99_ms"] / each["p99_ms"], 1) for name, each in own.items()}
            figures["sites"][site] = own | {"hosted": hosted, "hosted_p99_ratio": ratios}
    return figures


def bodies_of(home: Home, card: Classifier, site: str, count: int) -> list[bytes]:
    rows = datasets.read_split(home.dataset(card.dataset), "test").to_pylist()
    prompts = [row["prompt"] for row in rows if row["call_site"] == site]
    model = card.served_name(site)
    wanted = (prompts[number % len(prompts)] for number in range(count))
    return [
        json.dumps({"model": model, "messages": prompt, "logprobs": True, "top_logprobs": 5}).encode()
        for prompt in wanted
    ]


def ask(server: Server, bodies: Sequence[bytes], concurrency: int) -> dict[str, float]:
    """Latencies of these requests, and the server's CPU time per request."""
    waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    for body in bodies:
        waiting.put(body)
    latencies_ms: list[float] = []
    failures: list[str] = []

    def client() -> None:
        connection = http.client.HTTPConnection(urlsplit(server.base_url).netloc, timeout=60)
        while True:
            try:
                body = waiting.get_nowait()
            except queue.Empty:
                connection.close()
                return
            began = time.perf_counter()
            connection.request("POST", "/v1/chat/completions", body)
            response = connection.getresponse()
            data = response.read()
            latencies_ms.append((time.perf_counter() - began) * 1000)
            if response.status != 200:
                failures.append(f"{response.status} {data[:200]!r}")

    process = psutil.Process(server.pid)
    before = process.cpu_times()
    threads = [threading.Thread(target=client) for _ in range(concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after = process.cpu_times()
    if failures or len(latencies_ms) < len(bodies):
        raise SystemExit(f"{len(failures)} of {len(bodies)} requests failed: {failures[:1]}")
    cpu_s = after.user + after.system - before.user - before.system
    return quantiles(latencies_ms) | {"cpu_us": round(cpu_s / len(bodies) * 1e6)}


def quantiles(latencies_ms: Sequence[float]) -> dict[str, float]:
    p50, p99 = np.quantile(latencies_ms, [0.5, 0.99])
    return {"n": len(latencies_ms), "p50_ms": round(float(p50), 2), "p99_ms": round(float(p99), 2)}


def hosted_latency(home: Home, site: str) -> dict[str, Any]:
    """Latency of the call site's most used model: its answered requests in the records that were not cached."""
    files = str(home.records / "date=*" / "*.parquet")
    query = """
        SELECT model, count(*), quantile_cont(latency_ms, 0.5), quantile_cont(latency_ms, 0.99)
        FROM read_parquet(?, union_by_name = true)
        WHERE call_site = ? AND status = 200 AND NOT coalesce(cache_hit, false) AND latency_ms IS NOT NULL
            AND adapter IS NULL
        GROUP BY model ORDER BY count(*) DESC, model LIMIT 1
    """
    row = duckdb.connect().execute(query, [files, site]).fetchone()
    if row is None:
        raise SystemExit(f"{home.records} has no answered request of {site} with a latency")
    return {"model": row[0], "n": row[1], "p50_ms": round(row[2], 1), "p99_ms": round(row[3], 1)}


def lines(figures: dict[str, Any]) -> list[str]:
    shown = [f"{figures['classifier']}: {figures['memory_mb']} MB, load average {figures['load_average']}"]
    for site, site_figures in figures["sites"].items():
        hosted = site_figures["hosted"]
        shown.append(
            f"{site}: {hosted['model']} p50 {hosted['p50_ms']} ms, p99 {hosted['p99_ms']} ms ({hosted['n']:,})"
        )
        for n in CONCURRENCY:
            own, ratio = site_figures[f"at_{n}"], site_figures["hosted_p99_ratio"][f"at_{n}"]
            shown.append(
                f"  {n} at a time: p50 {own['p50_ms']} ms, p99 {own['p99_ms']} ms, {own['cpu_us']:,} us of CPU each; "
                f"hosted p99 is {ratio} times as long"
            )
    return shown


if __name__ == "__main__":
    main()
