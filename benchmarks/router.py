"""Added latency and CPU of the router per request, compared with haproxy, vllm-router and LiteLLM.

    make bench-router              # or: python -m benchmarks.router [--quick] [--beside CHECKOUT] [--json [FILE]]

`fasttier route` with all features, the gateways of benchmarks/gateways.py (--quick omits LiteLLM), an instant upstream
and wrk as the load generator run in separate processes. Direct and routed requests alternate in slices of a second, so
that noise of the machine affects all targets equally. Only ratios within one run are comparable: the targets are
multiples of vllm-router's figures. `--beside` also measures the router of another checkout (old against new).
"""

import json
import os
import platform
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks import gateways, harness, instant_upstream, wrk
from serving.supervise import free_port
from traffic import config
from traffic.adapters import Adapter, BaseModel, CallSitePrompts
from traffic.artifacts import Home
from traffic.callsites import Checks
from traffic.prompts import MessagePattern, Template
from traffic.record import decode_record

ROOT = Path(__file__).resolve().parent.parent

CALL_SITE = "bench.intent"
ADAPTER = f"{CALL_SITE}@00000000"
LABELS = ("refund", "delivery", "other")
# About 300 tokens of instructions, which the adapter's pruned prompt omits.
SYSTEM = "Sort the mail of a desk. Answer with exactly one label: refund, delivery or other. " + " ".join(
    f"Rule {n}: mail about case {n} belongs to the label that its first sentence asks for." for n in range(14)
)
ON = (
    "client key, call site, features and the shipped rules, price of every request, durable log; "
    "Tier 1 also template match, pruned prompt, log-probabilities, label check and confidence threshold"
)

ROUNDS = 10
CONCURRENCY = (1, 16, 64)
WARM_UP_CONCURRENCY = 4
LITELLM_SLICE_S = 3
"""With 64 requests at once, an answer of LiteLLM takes more than half a second: too few of them end in one second."""

BASELINE = gateways.VLLM_ROUTER.name
BARS = {
    "added_p50_ms": (1, 2.0, "added p50 at concurrency 1"),
    "added_p99_ms": (1, 2.0, "added p99 at concurrency 1"),
    "cpu_us": (16, 3.0, "CPU per request at concurrency 16"),
}
"""By figure: concurrency, maximum multiple of vllm-router's figure, and description."""


@dataclass(frozen=True)
class Target:
    """A server to measure, with the kind of requests."""

    name: str
    port: int
    pid: int
    """Process whose CPU time is measured, including its children."""
    call_site: str = "bench.other"
    slice_s: int = 1
    """Duration of the load in each round, in the whole seconds that wrk takes."""
    stream: bool = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/chat/completions"


@dataclass
class Measurement:
    """Measurements of a target at one concurrency."""

    latency_us: Counter[int] = field(default_factory=Counter)
    """Number of requests by time from the first byte sent to the last byte received."""
    p50_ms_by_round: list[float] = field(default_factory=list)
    cpu_s: float = 0.0
    wall_s: float = 0.0
    generator_cpu_s: float = 0.0


# -------------------------------------------------------------------------------------- the processes


def prepare(folder: Path, upstream_port: int) -> Path:
    """Create a home with a deployed adapter, and a router.yaml with the shipped rules and one hosted model."""
    url = f"http://127.0.0.1:{upstream_port}/v1"
    template = Template(
        "00000000",
        (MessagePattern("system", SYSTEM), MessagePattern("user", slot=True)),
        (MessagePattern("system", "intent"), MessagePattern("user", slot=True)),
    )
    prompts = CallSitePrompts(templates=(template,), request_type="intent", checks=Checks(labels=LABELS), max_tokens=16)
    card = Adapter(
        name=ADAPTER, task=CALL_SITE, base_model=BaseModel("b", "r", "p"), rank=8, dataset="d", licence="none",
        call_sites={CALL_SITE: prompts}, chat_template_sha256="", config={}, metrics={}, libraries={},
    )  # fmt: skip
    home = Home(folder)
    (home.adapters / ADAPTER).mkdir(parents=True)
    (home.adapters / ADAPTER / "adapter.yaml").write_text(config.dump(card))
    # Only keys that older checkouts also support.
    own = {"name": ADAPTER, "kind": "vllm", "base_url": url, "model": ADAPTER}
    now = datetime.now(UTC).isoformat()
    entry = {"call_site": CALL_SITE, "adapter": ADAPTER, "endpoint": own, "since": now, "override": "benchmark"}
    home.deployments.write_text(json.dumps({"entries": [entry]}))
    tree = config.load(config.CONFIGS / "router.yaml", dict[str, Any])
    hosted = {"name": "h", "kind": "openai", "base_url": url, "model": "gpt-4o-mini", "api_key_env": "BENCH_KEY"}
    serving = {"port": 0, "min_margin": 0.1, "client_keys_env": "BENCH_CLIENT_KEYS"}
    tree |= {"endpoints": [hosted], "tiers": {1: [], 2: ["h"], 3: ["h"]}, "serving": serving}
    path = folder / "router.yaml"
    path.write_text(json.dumps(tree))
    return path


def stop_with(stack: ExitStack, process: "subprocess.Popen[Any]") -> None:
    stack.callback(process.wait)
    stack.callback(process.terminate)


def start_upstream(stack: ExitStack) -> tuple[int, int]:
    """Port and pid of the upstream."""
    command = [sys.executable, instant_upstream.__file__]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    stop_with(stack, process)
    assert process.stdout is not None
    return int(process.stdout.readline()), process.pid


def start_router(folder: Path, upstream_port: int, key: str, stack: ExitStack, root: Path = ROOT) -> tuple[int, int]:
    """Port and pid of `fasttier route` of a checkout. Raises: RuntimeError if it does not start."""
    path = prepare(folder, upstream_port)
    command = [sys.executable, "-m", "cli", "route", "--config", str(path), "--home", str(folder)]
    environ = os.environ | {"BENCH_KEY": "k", "BENCH_CLIENT_KEYS": key, "PYTHONPATH": str(root)}
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, cwd=root, env=environ
    )
    stop_with(stack, process)
    assert process.stderr is not None
    output = []
    for line in process.stderr:
        output.append(line)
        if line.startswith("router on http://127.0.0.1:"):
            return int(line.split(":")[2].partition("/")[0]), process.pid
    raise RuntimeError("the router did not start:\n" + "".join(output))


def tree_of(pid: int) -> Iterator[int]:
    """A process and its descendants."""
    yield pid
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in listed.read_text().split():
            yield from tree_of(int(child))


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its children, in nanosecond resolution (/proc has 10 ms)."""
    # The kernel's number for clock_getcpuclockid(3) of another process.
    return sum(time.clock_gettime((~one << 3) | 2) for one in tree_of(pid))


# ------------------------------------------------------------------------------------ the measurement


def request_body(target: Target) -> dict[str, Any]:
    """A request as from an application, with the place of the number that makes it distinct."""
    tags = {"call_site": target.call_site, "plan": "free", "language": "en", "user_id": "u", "customer_id": "c"}
    messages = [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": f"I want my money back for order {wrk.NUMBER}"},
    ]
    body = {"model": "m", "messages": messages, "temperature": 0, "metadata": tags}
    return body | ({"stream": True} if target.stream else {})


def check_answer(target: Target, body: bytes, headers: dict[str, str]) -> None:
    """Send one request and read its answer. Raises: SystemExit if it is not the whole answer of the upstream."""
    request = urllib.request.Request(target.url, body, headers)  # noqa: S310 - a port of this machine
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
        answer = response.read()
    if b"refund" not in answer or target.stream != answer.rstrip().endswith(b"data: [DONE]"):
        sys.exit(f"{target.name} did not give the upstream's answer: {answer[:2000]!r}")


def measure(
    targets: Sequence[Target], key: str, folder: Path, rounds: int, progress: Callable[[str], None]
) -> tuple[dict[tuple[Target, int], Measurement], Counter[Target], Counter[Target]]:
    """Run all rounds; returns the measurements, and per target the number of answered requests and of those cut off.

    `folder`: for the bodies of the requests.
    """
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    measurements = {(target, concurrency): Measurement() for concurrency in CONCURRENCY for target in targets}
    answered: Counter[Target] = Counter()
    cut_off: Counter[Target] = Counter()
    bodies = {target: folder / f"{number}.json" for number, target in enumerate(targets)}
    # A slice has fewer requests than this.
    first_numbers = iter(range(0, 10**9, 10**5))

    def ask(target: Target, concurrency: int) -> wrk.Sample:
        sample = wrk.ask(
            target.url, bodies[target], headers,
            connections=concurrency, seconds=target.slice_s, first_number=next(first_numbers),
        )  # fmt: skip
        answered[target] += sample.latency_us.total()
        cut_off[target] += concurrency
        return sample

    for target in targets:
        body = json.dumps(request_body(target))
        bodies[target].write_text(body)
        check_answer(target, body.replace(wrk.NUMBER, "0").encode(), headers)
        answered[target] += 1
        ask(target, WARM_UP_CONCURRENCY)
    for number in range(rounds):
        progress(f"round {number + 1} of {rounds}")
        for concurrency in CONCURRENCY:
            # Each round starts with another target, so that none always follows the same one.
            turn = number % len(targets)
            for target in [*targets[turn:], *targets[:turn]]:
                before = cpu_seconds(target.pid)
                sample = ask(target, concurrency)
                measurement = measurements[target, concurrency]
                measurement.cpu_s += cpu_seconds(target.pid) - before
                measurement.latency_us += sample.latency_us
                measurement.p50_ms_by_round.append(quantile_ms(sample.latency_us, 0.5))
                measurement.wall_s += sample.wall_s
                measurement.generator_cpu_s += sample.cpu_s
    return measurements, answered, cut_off


def quantile_ms(latency_us: Counter[int], q: float) -> float:
    latencies = sorted(latency_us.elements())
    return latencies[min(int(q * len(latencies)), len(latencies) - 1)] / 1000


def figures(measurement: Measurement, direct: Measurement) -> dict[str, float]:
    """Figures of one target at one concurrency, relative to the direct call of the same rounds."""
    count = measurement.latency_us.total()
    p50_ms, p99_ms = (quantile_ms(measurement.latency_us, q) for q in (0.5, 0.99))
    added = [
        routed - straight for routed, straight in zip(measurement.p50_ms_by_round, direct.p50_ms_by_round, strict=True)
    ]
    return {
        "requests": count,
        "p50_ms": p50_ms,
        "p99_ms": p99_ms,
        "added_p50_ms": p50_ms - quantile_ms(direct.latency_us, 0.5),
        "added_p50_ms_least_round": min(added),
        "added_p50_ms_most_round": max(added),
        "added_p99_ms": p99_ms - quantile_ms(direct.latency_us, 0.99),
        "cpu_us": measurement.cpu_s / count * 1e6,
        "requests_per_s": count / measurement.wall_s,
        "generator_busy": measurement.generator_cpu_s / measurement.wall_s,
        "generator_us": measurement.generator_cpu_s / count * 1e6,
    }


def check_log(folder: Path, answered: Counter[Target], cut_off: Counter[Target], port: int) -> int:
    """Number of records in the log of the router on `port`. Raises: SystemExit if it skipped work that is measured.

    Requests that wrk cut off at the end of a slice have a record as answered, or as left by the client (status 499).
    """
    # Files of past hours are compressed; pyarrow detects that by name.
    files = {path.name.removesuffix(".zst"): path for path in sorted(Home(folder).log.glob("requests-*.jsonl*"))}
    lines = [line for path in files.values() for line in pa.input_stream(str(path)).read().splitlines()]
    records = [decode_record(line) for line in lines]
    for call_site in (CALL_SITE, "bench.other"):
        sent = [target for target in answered if target.port == port and target.call_site == call_site]
        least, most_cut_off = sum(answered[target] for target in sent), sum(cut_off[target] for target in sent)
        attempts = [record for record in records if record.call_site == call_site and record.status != 499]
        left = sum(record.call_site == call_site for record in records) - len(attempts)
        failed = sum(record.status != 200 or record.error is not None for record in attempts)
        if failed or not least <= len(attempts) <= least + most_cut_off - left:
            sys.exit(
                f"{least} answered requests of {call_site} made {len(attempts)} attempts, {failed} of them failed, and "
                f"{left} requests were left by the client ({most_cut_off} were cut off): not a measurement"
            )
        if call_site == CALL_SITE:
            complete = all(
                record.tier == 1 and record.confidence is not None and record.template for record in attempts
            )
        else:
            complete = all(record.tier == 2 and record.cost_usd for record in attempts)
        if not complete:
            sys.exit(f"requests of {call_site} were not all judged and priced as they should: not a measurement")
    return len(records)


# ----------------------------------------------------------------------------------------- the report

COLUMNS = {
    "p50 ms": ("p50_ms", "8.2f"),
    "p99 ms": ("p99_ms", "8.2f"),
    "+p50": ("added_p50_ms", "8.2f"),
    "+p99": ("added_p99_ms", "8.2f"),
    "CPU us": ("cpu_us", "8.0f"),
    "req/s": ("requests_per_s", "8.0f"),
    "generator": ("generator_busy", "10.0%"),
}
"""Figure and its format by heading."""


def row_of(target: Target, concurrency: int, measurement: Measurement, direct: Measurement) -> dict[str, Any]:
    """One row of the table."""
    return {"target": target.name, "stream": target.stream, "concurrency": concurrency} | figures(measurement, direct)


def table(rows: Sequence[dict[str, Any]], *, stream: bool) -> Iterator[str]:
    """The table for the terminal."""
    kind_of_answer = f"streams of {instant_upstream.STREAM_TOKENS} tokens" if stream else "one label"
    widths = {name: int(form.partition(".")[0]) for name, (_, form) in COLUMNS.items()}
    yield f"{kind_of_answer:26}{'conc.':>6}" + "".join(f"{name:>{width}}" for name, width in widths.items())
    for row in rows:
        if row["stream"] == stream:
            cells = "".join(
                f"{'-':>{widths[name]}}"
                if row["target"] == "direct" and name.startswith("+")
                else f"{row[figure]:{form}}"
                for name, (figure, form) in COLUMNS.items()
            )
            yield f"{row['target']:26}{row['concurrency']:6}{cells}"


def bars(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each limit for each tier, as a multiple of the baseline's figure; streams have none."""
    plain = {(row["target"], row["concurrency"]): row for row in rows if not row["stream"]}
    results = []
    for figure, (concurrency, most, what) in BARS.items():
        theirs = plain.get((BASELINE, concurrency))
        for (name, at), row in plain.items():
            if theirs is None or at != concurrency or not name.startswith("fasttier "):
                continue
            # In a short run, noise can exceed the added latency.
            ratio = row[figure] / theirs[figure] if theirs[figure] > 0 else float("inf")
            results.append({"bar": what, "target": name, "ratio": ratio, "most": most, "met": ratio <= most})
    return results


def machine() -> str:
    names = re.findall(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    cores = len(os.sched_getaffinity(0))
    return f"{cores} usable cores of {names[0] if names else platform.machine()}, Python {platform.python_version()}"


def report(result: dict[str, Any]) -> Iterator[str]:
    """The tables, the limits, and the conditions of the run."""
    yield from table(result["rows"], stream=False)
    yield ""
    yield from table(result["rows"], stream=True)
    yield ""
    for bar in result["bars"]:
        verdict = "MET" if bar["met"] else "MISSED"
        yield f"{bar['bar']:36}{bar['target']:26}{bar['ratio']:6.2f}x {BASELINE}  bar {bar['most']:g}x  {verdict}"
    yield ""
    yield f"fasttier with {ON}; {result['log_records']:,} records in its log, one for each request"
    for name, setting in result["gateways"].items():
        yield f"{name}: {setting}"
    yield "+: added to the direct call of the same rounds; CPU: of the server with its children (direct: the upstream)"
    yield "generator: utilisation of the load generator; near 100% it would limit the measurement"
    yield f"{result['machine']}; load average {result['load_average']:.1f} before; {result['seconds']:.0f} s"


def start_gateways(
    wanted: Sequence[gateways.Gateway], folder: Path, upstream_port: int, key: str, stack: ExitStack
) -> tuple[list[Target], dict[str, str]]:
    """The gateways that start; and by name their setting, or why they did not start."""
    targets, settings = [], {}
    for gateway in wanted:
        port = free_port()
        try:
            process = gateway.start(ROOT, folder, port=port, upstream_port=upstream_port, key=key)
        except gateways.Unavailable as error:
            settings[gateway.name] = f"left out: {error}"
            continue
        stop_with(stack, process)
        settings[gateway.name] = f"{gateway.version()}, {gateway.setting}"
        slice_s = LITELLM_SLICE_S if gateway is gateways.LITELLM else 1
        targets.append(Target(gateway.name, port, process.pid, slice_s=slice_s))
    return targets, settings


def run(*, quick: bool, rounds: int, beside: Path | None = None) -> dict[str, Any]:
    """Start all processes, measure, and stop them."""
    wrk.program()
    wanted = [gateways.HAPROXY, gateways.VLLM_ROUTER, *([] if quick else [gateways.LITELLM])]
    key = "sk-" + secrets.token_hex(16)
    busy, began = os.getloadavg()[0], time.monotonic()
    with tempfile.TemporaryDirectory() as folder_name, tempfile.TemporaryDirectory() as other, ExitStack() as stack:
        folder = Path(folder_name)
        upstream_port, upstream = start_upstream(stack)
        port, pid = start_router(folder, upstream_port, key, stack)
        targets = [
            Target("direct", upstream_port, upstream),
            Target("fasttier Tier 1 (adapter)", port, pid, CALL_SITE),
            Target("fasttier Tier 2 (hosted)", port, pid),
        ]
        routers = {port: folder}
        if beside is not None:
            port, pid = start_router(Path(other), upstream_port, key, stack, beside.resolve())
            routers[port] = Path(other)
            targets.append(Target("beside: Tier 1", port, pid, CALL_SITE))
            targets.append(Target("beside: Tier 2", port, pid))
        peers, settings = start_gateways(wanted, folder, upstream_port, key, stack)
        targets += peers
        targets += [replace(target, stream=True) for target in targets]
        measurements, answered, cut_off = measure(targets, key, folder, rounds, harness.progress)
        records = {port: check_log(home, answered, cut_off, port) for port, home in routers.items()}
    direct = {target.stream: target for target in targets if target.name == "direct"}
    rows = [
        row_of(target, concurrency, measurements[target, concurrency], measurements[direct[target.stream], concurrency])
        for concurrency in CONCURRENCY
        for target in targets
    ]
    return {
        "rows": rows,
        "bars": bars(rows),
        "on": ON,
        "gateways": settings,
        "log_records": next(iter(records.values())),
        "machine": machine(),
        "load_average": busy,
        "seconds": time.monotonic() - began,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--quick", action="store_true", help="without LiteLLM, and a quarter of the rounds")
    parser.add_argument("--beside", type=Path, metavar="CHECKOUT", help="measure the router of another checkout too")
    parser.add_argument("--scale", type=float, default=1.0, help="more or fewer rounds")
    options = parser.parse_args()
    # If it is terminated, it stops the processes that it started.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    rounds = max(1, round(ROUNDS * options.scale * (0.25 if options.quick else 1.0)))
    result = run(quick=options.quick, rounds=rounds, beside=options.beside)
    harness.show(result, options.json, report(result))


if __name__ == "__main__":
    main()
