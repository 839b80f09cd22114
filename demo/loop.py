"""The whole loop on the invented company's log: the same commands that a user types, one after the other.

    fasttier loop --config configs/demo.yaml --home data-demo

Log -> records -> dataset -> adapter of a real small LLM -> evaluation beside its rivals -> calibration -> decision ->
vLLM -> router, whose own log goes back into the records. Hosted models are stand-ins (demo/hosted.py): simulated, and
marked so.
"""

import contextlib
import datetime as dt
import json
import shlex
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import yaml

from demo import hosted, traffic
from demo.config import DemoConfig, HostedModel, Task
from demo.stand_in import StandIn, read_known
from traffic import config as configs
from traffic.errors import EndpointError, FastTierError
from traffic.home import Home, write_atomic

FASTTIER = (sys.executable, "-m", "cli")
REPLAY_CONCURRENCY = 4
_OWN = ("teacher", "classical", "adapter", "base")
_NEEDS_ADAPTER = ("adapter", "base")


class StageFailed(FastTierError, RuntimeError):
    """A command of the loop ended with an error; it has printed its own line."""


class Score(msgspec.Struct, frozen=True):
    """One line of the last table."""

    task: str
    candidate: str
    simulated: bool
    quality: float
    low: float
    high: float
    latency_p50_ms: float | None
    usd_per_1k: float | None


class LoopSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What came of the loop."""

    scores: tuple[Score, ...]
    calibration: str = ""
    """What became of the adapter's threshold."""
    verdicts: dict[str, str]
    """Volume (`13,000 requests a month`) to verdict."""
    routed: dict[str, int]
    """Replayed requests by the tier that answered."""
    ingested: int
    """Records that the router's log added to the store."""
    seconds: float
    home: str

    def lines(self) -> list[str]:
        """The candidates, the verdict, and what to do next."""
        rows: list[tuple[str, ...]] = [("task", "candidate", "quality (95%)", "p50 ms", "USD/1k", "")]
        rows += [_row(score) for score in self.scores]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        tiers = ", ".join(f"tier {tier}: {count}" for tier, count in sorted(self.routed.items()))
        return [
            *table,
            *([self.calibration] if self.calibration else []),
            *(f"verdict at {volume}: {verdict}" for volume, verdict in self.verdicts.items()),
            f"routed {sum(self.routed.values())} requests ({tiers}); the router's log added {self.ingested} records",
            f"the loop took {self.seconds / 60:.1f} minutes; hosted models were simulated, the small model was not",
            f"next: make mlflow FASTTIER_HOME={self.home}   the runs side by side",
            "      fasttier ingest YOUR_LOG             the same with your own log",
        ]


def run(config: DemoConfig, home: Home) -> LoopSummary:
    """Run every stage; finished ones are found again, so a second run only does what is missing.

    Raises: StageFailed, EndpointError, and the errors of the demo's own files.
    """
    began = time.monotonic()
    folder = home.root / "demo"
    log = folder / "traffic.jsonl"
    made = config.traffic
    _say(f"invent {made.requests} requests of {made.days} days: {log}")
    traffic.generate(log, requests=made.requests, days=made.days, seed=made.seed, first_day=made.first_day)
    answers = log.with_name("gold.jsonl")
    _command(home, "ingest", log)
    task = next(task for task in config.tasks if task.train)
    found: dict[str, Any] = {}
    for each in config.tasks:
        found[each.call_site] = _command(home, "extract", "--task", each.call_site, *_sets(config.stages.extract))
    name = found[task.call_site]["dataset"]
    train_config = configs.CONFIGS / "train" / f"{config.train_config}.yaml"
    trained = _command(home, "train", "--config", train_config, "--dataset", name, *_sets(config.stages.train))
    stand_in = StandIn(config.hosted, read_known(answers))
    with hosted.serve(stand_in) as hosted_url, _serving(home, trained["adapter"]) as own_url:
        scores = []
        for each in config.tasks:
            scores += _evaluate(config, each, home, found[each.call_site]["dataset"], answers, hosted_url, own_url)
        calibration = _calibrate(config, task, home, name, answers, own_url)
        scales = f"volume_scales=[{','.join(f'{scale:g}' for scale in config.volume_scales)}]"
        decided = _command(
            home, "decide", "--task", task.call_site, "--set", scales, *_sets(config.stages.decide), gate=True
        )
        built = decided["verdict"] == "build" and decided["winner"] == "adapter"
        why = () if built else ("--override", "the demo shows the router with its adapter")
        _command(home, "register", trained["adapter"], "--url", own_url, *why)
        routed = _replay(config, home, log, hosted_url)
    ingested = _command(home, "ingest", home.log)
    return LoopSummary(
        scores=tuple(scores),
        calibration=calibration,
        verdicts={f"{s['requests_per_month']:,.0f} requests a month": _verdict(s) for s in decided["scales"]},
        routed=dict(routed),
        ingested=ingested["accepted"],
        seconds=time.monotonic() - began,
        home=str(home.root),
    )


def _evaluate(
    config: DemoConfig, task: Task, home: Home, dataset: str, answers: Path, hosted_url: str, own_url: str
) -> list[Score]:
    shipped = yaml.safe_load((configs.CONFIGS / "candidates.yaml").read_text(encoding="utf-8"))
    names = [name for name in _OWN if task.train or name not in _NEEDS_ADAPTER]
    own = [candidate for candidate in shipped["candidates"] if candidate["name"] in names]
    shipped["candidates"] = [*own, *(_candidate(model, hosted_url) for model in config.hosted.models)]
    # The stand-in's port is another one each time; the answers that were asked before stay valid all the same.
    path = home.root / "demo" / f"candidates-{task.call_site}.yaml"
    write_atomic(path, yaml.safe_dump(shipped, sort_keys=False))
    endpoints = [f"--endpoint={name}={own_url}" for name in _NEEDS_ADAPTER if task.train]
    limit = () if task.evaluate_items is None else ("--limit", str(task.evaluate_items))
    options = ("--dataset", dataset, "--candidates", path, "--labels", answers, *endpoints, *limit)
    summary = _command(home, "evaluate", *options, *_sets(config.stages.evaluate))
    return [_score(task.call_site, scores) for scores in summary["scores"]]


def _calibrate(config: DemoConfig, task: Task, home: Home, dataset: str, answers: Path, own_url: str) -> str:
    """The adapter's threshold, as one line; too short splits are not asked about."""
    card = yaml.safe_load((home.dataset(dataset) / "dataset.yaml").read_text(encoding="utf-8"))
    rows = {split: card["splits"][split]["rows"] for split in ("calibration", "threshold")}
    if min(rows.values()) < task.calibrate_items:
        said = ", ".join(f"{split} {count}" for split, count in rows.items())
        line = f"not calibrated: the splits are too short ({said} rows, {task.calibrate_items} are needed)"
        _say(line)
        return line
    shipped = yaml.safe_load((configs.CONFIGS / "candidates.yaml").read_text(encoding="utf-8"))
    path = home.root / "demo" / "candidates-calibrate.yaml"
    # No latencies: nothing here is asked one at a time.
    write_atomic(path, yaml.safe_dump(shipped | {"latency_sample": 0}, sort_keys=False))
    options = ("--dataset", dataset, "--candidates", path, "--candidate", "adapter", f"--endpoint=adapter={own_url}")
    limit = ("--limit", str(task.calibrate_items))
    found = _command(
        home, "calibrate", *options, *limit, "--labels", answers, *_sets(config.stages.calibrate), gate=True
    )
    first = found["calibrations"][0]
    if first["threshold"] is None:
        return f"no threshold for {task.call_site}: {first['infeasible']}"
    return (
        f"{task.call_site}: {first['expected_escalation_rate']:.0%} of the adapter's answers escalate, those under "
        f"p(right) {first['threshold']:.3g}; at most {first['achieved_risk_bound']:.0%} of the kept ones are wrong"
    )


def _candidate(model: HostedModel, base_url: str) -> dict[str, Any]:
    price = {"input_mtok_usd": model.input_mtok_usd, "output_mtok_usd": model.output_mtok_usd}
    fixed = {"name": model.name, "kind": "openai", "model": model.name, "simulated": True}
    return fixed | {"base_url": base_url, "price": price}


def _score(task: str, scores: dict[str, Any]) -> Score:
    main = scores["metrics"][scores["main_metric"]]
    return Score(
        task=task,
        candidate=scores["candidate"],
        simulated=scores["simulated"],
        quality=main["value"],
        low=main["interval"]["low"],
        high=main["interval"]["high"],
        latency_p50_ms=(scores["latency"] or {}).get("p50_ms"),
        usd_per_1k=scores["cost"]["usd_per_1k"],
    )


def _row(score: Score) -> tuple[str, ...]:
    latency = "-" if score.latency_p50_ms is None else f"{score.latency_p50_ms:.0f}"
    cost = "unpriced" if score.usd_per_1k is None else f"{score.usd_per_1k:.3g}"
    quality = f"{score.quality:.1%} ({score.low:.1%}-{score.high:.1%})"
    return score.task, score.candidate, quality, latency, cost, "simulated" if score.simulated else ""


def _verdict(scale: dict[str, Any]) -> str:
    return f"{scale['verdict']}{' (rests on simulated models)' if scale['simulated'] else ''}"


# ------------------------------------------------------------------------------------------- the router


def _replay(config: DemoConfig, home: Home, log: Path, hosted_url: str) -> Counter[str]:
    """The log's last requests through the router, with the openai client; how many each tier answered."""
    import openai

    routing = yaml.safe_load((configs.CONFIGS / "router.yaml").read_text(encoding="utf-8"))
    routing["endpoints"] = [
        {"name": name, "kind": "openai", "base_url": hosted_url, "model": name}
        for name in dict.fromkeys((config.tier_2, config.tier_3))
    ]
    routing["tiers"] = {1: [], 2: [config.tier_2], 3: [config.tier_3]}
    path = home.root / "demo" / "router.yaml"
    write_atomic(path, yaml.safe_dump(routing, sort_keys=False))
    with _running(home, "route", "--config", path, "--port", "0", ready="router on ", stream="stderr") as line:
        url = line.split("router on ")[1].split()[0]
        client = openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=120)

        def ask(body: dict[str, Any]) -> str:
            answer = client.chat.completions.with_raw_response.create(**body)
            return answer.headers["x-fasttier-tier"]

        with ThreadPoolExecutor(REPLAY_CONCURRENCY) as pool:
            return Counter(pool.map(ask, _last_requests(log, config.replay_requests)))


def _last_requests(log: Path, count: int) -> list[dict[str, Any]]:
    """The last answered requests of the log, as its application would send them to the router."""
    rows = []
    for line in log.read_bytes().splitlines()[-3 * count :]:
        with contextlib.suppress(json.JSONDecodeError):  # lines that were cut off, on purpose
            row = json.loads(line)
            if row["status"] == "success":
                rows.append(row)
    return [_request(row) for row in rows[-count:]]


def _request(row: dict[str, Any]) -> dict[str, Any]:
    tags = row["metadata"]["requester_metadata"]
    kept = ("max_tokens", "temperature", "response_format", "tools", "tool_choice")
    parameters = {key: row["model_parameters"][key] for key in kept if key in row["model_parameters"]}
    sent = {key: str(value) for key, value in tags.items() if key in ("plan", "language", "session_id") and value}
    return {
        "model": row["model"],
        "messages": row["messages"],
        "metadata": {"call_site": tags["call_site"], "feature": tags["feature"], **sent},
        **parameters,
    }


# ----------------------------------------------------------------------------------------- the commands


def _sets(values: Sequence[str]) -> list[str]:
    return [word for value in values for word in ("--set", value)]


def _command(home: Home, stage: str, *arguments: str | Path, gate: bool = False) -> dict[str, Any]:
    """Run a stage as a user does, its lines on the terminal; its machine-readable summary."""
    words = [stage, *map(str, arguments), "--home", str(home.root)]
    _say(f"$ fasttier {shlex.join(words)}")
    out = home.root / "demo" / f"{stage}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run([*FASTTIER, *words, "--out", str(out)], check=False)
    if done.returncode not in ((0, 1) if gate else (0,)):
        raise StageFailed(f"the loop stopped at `fasttier {stage}`; mend what it says, and the same command continues")
    summary: dict[str, Any] = json.loads(out.read_bytes())
    return summary


@contextlib.contextmanager
def _serving(home: Home, adapter: str) -> Iterator[str]:
    """vLLM with the adapter, checked against its training, as long as the block lasts; its base URL."""
    with _running(home, "serve", adapter, "--json", ready="{", stream="stdout") as line:
        base_url: str = json.loads(line)["base_url"]
        yield base_url


@contextlib.contextmanager
def _running(home: Home, stage: str, *arguments: str | Path, ready: str, stream: str) -> Iterator[str]:
    """A stage that runs until it is interrupted; yields the line that it says when it is ready."""
    words = [stage, *map(str, arguments), "--home", str(home.root)]
    _say(f"$ fasttier {shlex.join(words)} &")
    process = subprocess.Popen([*FASTTIER, *words], text=True, **{stream: subprocess.PIPE})  # type: ignore[call-overload]
    try:
        lines = process.stdout if stream == "stdout" else process.stderr
        line = next((line for line in lines if ready in line), None)
        if line is None:
            raise EndpointError(f"`fasttier {stage}` ended before it was ready; see what it says above")
        yield line
    finally:
        # Not SIGINT: a shell starts its background jobs with that ignored, and so are their children's.
        process.terminate()
        process.communicate()


def _say(text: str) -> None:
    now = dt.datetime.now().astimezone()
    sys.stdout.write(f"\n[{now:%H:%M:%S}] {text}\n")
    sys.stdout.flush()
