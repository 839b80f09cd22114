"""What the router adds to a request: latency over a direct call, and CPU per request.

    python benchmarks/router.py [--requests 3000] [--json FILE]

An upstream that answers at once, a router with everything on (rules, template, pruning, log-probabilities, checks,
prices, durable log), and raw keep-alive connections, each a process of its own. Direct and routed requests take
turns, so that both see the same machine; what counts are the differences. Prints a table, and JSON as its last line.
"""

import argparse
import asyncio
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from traffic import config, deployments  # noqa: E402 - the project runs from a clone
from traffic.adapters import Adapter, BaseModel, CallSitePrompts  # noqa: E402
from traffic.callsites import Checks  # noqa: E402
from traffic.deployments import Deployment, Deployments  # noqa: E402
from traffic.home import Home  # noqa: E402
from traffic.prompts import MessagePattern, Template  # noqa: E402
from traffic.tiers import Endpoint  # noqa: E402

CALL_SITE = "bench.intent"
ADAPTER = f"{CALL_SITE}@00000000"
WARM_UP = 200
LABELS = ("refund", "delivery", "other")
# About 300 tokens of instructions, which the adapter does not need any more.
SYSTEM = "Sort the mail of a desk. Answer with exactly one label: refund, delivery or other. " + " ".join(
    f"Rule {n}: mail about case {n} belongs to the label that its first sentence asks for." for n in range(14)
)


def answer() -> bytes:
    """A completion as vLLM writes it, with the log-probabilities that an adapter is asked for."""
    step = {"token": "refund", "logprob": -0.01, "bytes": [114], "top_logprobs": []}
    rivals = [{"token": f"t{n}", "logprob": -5.0 - n, "bytes": [116]} for n in range(4)]
    tops = [{"token": "refund", "logprob": -0.01, "bytes": [114]}, *rivals]
    logprobs = {"content": [step | {"top_logprobs": tops}, step | {"top_logprobs": tops}]}
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "refund"},
        "logprobs": logprobs,
        "finish_reason": "stop",
    }
    usage = {"prompt_tokens": 320, "completion_tokens": 2, "total_tokens": 322}
    body = {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage}
    data = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(data) + data


def request(port: int, text: str, *, call_site: str) -> bytes:
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": text}]
    tags = {"call_site": call_site, "plan": "free", "language": "en", "user_id": "u", "customer_id": "c"}
    body = json.dumps({"model": "m", "messages": messages, "temperature": 0, "metadata": tags}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"
    return head.encode() + b"content-length: %d\r\n\r\n" % len(body) + body


# -------------------------------------------------------------------------------------- the processes


class Instant(asyncio.Protocol):
    """Answers every complete request at once."""

    answer = answer()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.rest = b""

    def data_received(self, data: bytes) -> None:
        self.rest += data
        while (end := self.rest.find(b"\r\n\r\n")) >= 0:
            length = int(self.rest[:end].lower().partition(b"content-length:")[2].partition(b"\r")[0])
            if len(self.rest) < end + 4 + length:
                return
            self.rest = self.rest[end + 4 + length :]
            self.transport.write(self.answer)  # type: ignore[attr-defined]


async def upstream() -> None:
    server = await asyncio.get_running_loop().create_server(Instant, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def route(folder: Path) -> None:
    from router import server
    from traffic import callsites, tiers
    from traffic.prices import PriceTable

    server.run(
        tiers.load(folder / "router.yaml"),
        home=Home(folder),
        registry=callsites.Registry(),
        prices=PriceTable.load(),
        environ={"KEY": "k"},
        announce=lambda line: print(line.partition("127.0.0.1:")[2].partition("/")[0], flush=True),
    )


def prepare(folder: Path, port: int) -> None:
    """A home with a deployed adapter, and the shipped rules in front of one hosted model."""
    url = f"http://127.0.0.1:{port}/v1"
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
    own = Endpoint(name=ADAPTER, kind="vllm", base_url=url, model=ADAPTER)
    entry = Deployment(
        call_site=CALL_SITE, adapter=ADAPTER, endpoint=own, since=datetime.now(UTC), override="benchmark"
    )
    deployments.save(home.deployments, Deployments(entries=(entry,)))
    tree = config.load(config.CONFIGS / "router.yaml", dict[str, Any])
    hosted = {"name": "h", "kind": "openai", "base_url": url, "model": "gpt-4o-mini", "api_key_env": "KEY"}
    tree |= {"endpoints": [hosted], "tiers": {1: [], 2: ["h"], 3: ["h"]}, "serving": {"port": 0, "min_margin": 0.1}}
    (folder / "router.yaml").write_text(json.dumps(tree))


# ------------------------------------------------------------------------------------ the measurement


class Connection:
    """A keep-alive connection that measures round trips."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def open(self) -> "Connection":
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        return self

    async def ask(self, data: bytes) -> float:
        """Milliseconds. Raises: RuntimeError for any status but 200."""
        began = time.perf_counter()
        self.writer.write(data)
        head = await self.reader.readuntil(b"\r\n\r\n")
        await self.reader.readexactly(int(head.lower().partition(b"content-length:")[2].partition(b"\r")[0]))
        took = (time.perf_counter() - began) * 1000
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.decode())
        return took

    def close(self) -> None:
        self.writer.close()


def quantile(values: Sequence[float], q: float) -> float:
    return sorted(values)[min(int(q * len(values)), len(values) - 1)]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def latency(direct: int, routed: int, call_site: str, n: int) -> dict[str, float]:
    """Concurrency 1, taking turns."""
    one, two = await Connection(direct).open(), await Connection(routed).open()
    plain, through = [], []
    for number in range(n + WARM_UP):
        text = f"I want my money back for order {number}"
        straight = await one.ask(request(direct, text, call_site=call_site))
        around = await two.ask(request(routed, text, call_site=call_site))
        if number >= WARM_UP:
            plain.append(straight)
            through.append(around)
    one.close()
    two.close()
    found = {}
    for name, q in (("p50", 0.5), ("p99", 0.99)):
        found |= {f"direct_{name}_ms": quantile(plain, q), f"routed_{name}_ms": quantile(through, q)}
        found[f"added_{name}_ms"] = found[f"routed_{name}_ms"] - found[f"direct_{name}_ms"]
    return found


async def load(port: int, pid: int, call_site: str, n: int, concurrency: int) -> dict[str, float]:
    """CPU of the router per request, and requests per second, with this many connections at once."""
    numbers = itertools.count()

    async def worker() -> None:
        connection = await Connection(port).open()
        while (number := next(numbers)) < n:
            await connection.ask(request(port, f"I want my money back for order {number}", call_site=call_site))
        connection.close()

    before, began = cpu_seconds(pid), time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(concurrency)))
    seconds = time.perf_counter() - began
    return {"cpu_us_per_request": (cpu_seconds(pid) - before) / n * 1e6, "requests_per_s": n / seconds}


async def measure(direct: int, routed: int, pid: int, n: int) -> dict[str, dict[str, float]]:
    results = {}
    for name, call_site in (("tier 1 (adapter)", CALL_SITE), ("tier 2 (hosted)", "bench.other")):
        results[name] = await latency(direct, routed, call_site, n)
        results[name] |= await load(routed, pid, call_site, n, 16)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--json", type=Path, help="also write the JSON to this file")
    parser.add_argument("--upstream", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--route", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.upstream:
        uvloop.run(upstream())
    if options.route:
        route(options.route)
        return
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> int:
        """Start a process of this file, and return the port that it says."""
        process = subprocess.Popen([sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        return int(process.stdout.readline())

    with tempfile.TemporaryDirectory() as folder:
        try:
            direct = start("--upstream")
            prepare(Path(folder), direct)
            routed = start("--route", folder)
            results = uvloop.run(measure(direct, routed, started[1].pid, options.requests))
            logged = sum(path.read_bytes().count(b"\n") for path in Home(Path(folder)).log.glob("*.jsonl"))
        finally:
            for process in started:
                process.terminate()
                process.wait()
    asked = 2 * (2 * options.requests + WARM_UP)
    if logged != asked:
        sys.exit(f"{asked} requests made {logged} attempts: the router did something else than what is measured here")
    print(f"{'':18}" + "".join(f"{name:>22}" for name in next(iter(results.values()))))
    for name, found in results.items():
        print(f"{name:18}" + "".join(f"{value:22.3f}" for value in found.values()))
    line = json.dumps({"requests": options.requests, "log_records": logged, "results": results})
    if options.json:
        options.json.write_text(line + "\n")
    print(line)


if __name__ == "__main__":
    main()
