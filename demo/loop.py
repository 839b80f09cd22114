"""The whole loop on the invented company's log, with the commands that a user would type.

    fasttier loop --config configs/demo.yaml --home data-demo

Log -> records -> datasets -> adapter of a real small LLM, and classifiers -> evaluation against hosted models ->
calibration -> decision -> vLLM and a classifier server -> router, whose log is ingested again. Hosted models are
stand-ins (demo/hosted.py) and marked as simulated.
"""

import contextlib
import datetime as dt
import json
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import yaml

from demo import commands, hosted, own_model, traffic
from demo.commands import sets
from demo.config import DemoConfig, HostedModel, Task
from demo.stand_in import StandIn, read_ground_truth
from demo.time_budget import ItemCost, Schedule, Stage, budget_seconds, items_to_evaluate, training_seconds
from traffic import config as configs
from traffic.artifacts import Home, hash8, write_atomic

REPLAY_CONCURRENCY = 4
HOSTED_CONCURRENCY = 16
"""Requests in flight at a simulated hosted model (configs/candidates.yaml)."""
_OWN = ("teacher", "classical", "adapter", "base")
_NEEDS_ADAPTER = ("adapter", "base")


class Score(msgspec.Struct, frozen=True):
    """One row of the final table."""

    task: str
    candidate: str
    simulated: bool
    quality: float
    low: float
    high: float
    latency_p50_ms: float | None
    usd_per_1k: float | None


class Deployed(msgspec.Struct, frozen=True, kw_only=True):
    """An own model registered for its call site."""

    task: str
    candidate: str
    """adapter or classical."""
    model: str
    """Its artifact."""
    calibration: str
    """Result of its calibration, as text."""
    verdicts: dict[str, str]
    """Volume (`13,000 requests a month`) to verdict."""

    def lines(self) -> list[str]:
        return [
            f"{self.task}: Tier 1 is {self.candidate} {self.model}; {self.calibration}",
            *(f"  verdict at {volume}: {verdict}" for volume, verdict in self.verdicts.items()),
        ]


class LoopSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Result of the loop."""

    scores: tuple[Score, ...]
    deployed: tuple[Deployed, ...] = ()
    routed: dict[str, int]
    """Replayed requests by the tier that answered."""
    answered: dict[str, int] = {}
    """Replayed requests by the endpoint that answered: name of an own or hosted model."""
    ingested: int
    """Records that the router's log added to the store."""
    seconds: float
    home: str

    def lines(self) -> list[str]:
        """Candidates, verdicts, and next commands."""
        rows: list[tuple[str, ...]] = [("task", "candidate", "quality (95%)", "p50 ms", "USD/1k", "")]
        rows += [_row(score) for score in self.scores]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        tiers = ", ".join(f"tier {tier}: {count}" for tier, count in sorted(self.routed.items()))
        own = [f"{model.model} {self.answered.get(model.model, 0)}" for model in self.deployed]
        return [
            *table,
            *(line for model in self.deployed for line in model.lines()),
            f"routed {sum(self.routed.values())} requests ({tiers}); the router's log added {self.ingested} records",
            *([f"answered by own models: {', '.join(own)}"] if own else []),
            f"the loop took {self.seconds / 60:.1f} minutes; hosted models were simulated, the small model was not",
            f"next: fasttier status --home {self.home}      deployments and their evidence",
            f"      make mlflow FASTTIER_HOME={self.home}   the runs side by side",
            "      fasttier ingest YOUR_LOG             the same with your own log",
        ]


class Sizes(msgspec.Struct):
    """Sizes chosen for this machine, stored in `demo/sizes.json` so that a second run can reuse its stages."""

    config: str
    """Hash of the demo's configuration."""
    training_seconds: float | None = None
    items: int | None = None


def run(config: DemoConfig, home: Home) -> LoopSummary:
    """Run every stage; a second run reuses the finished ones.

    Raises: StageFailed, EndpointError, and the errors of the demo's own files.
    """
    return _Loop(config, home).run()


def stages(config: DemoConfig) -> list[Stage]:
    """The loop's stages in order, with their seconds on the reference machine (docs/LOG.md)."""
    # Latency of the simulated hosted models for the items that are asked one at a time.
    wait = 2.0 * sum(model.latency_p50_ms for model in config.rivals) / 1000
    named = [Stage("traffic", 2), Stage("ingest", 6), Stage("profile", 10)]
    named += [Stage(f"extract {task.call_site}", 15) for task in config.tasks]
    named += [Stage("train", 55, items=60), Stage(_serve_stage(config), 65 + 20 * len(_others(config)))]
    named += [Stage(f"evaluate {task.call_site}", 20 + 5 * wait, items=80) for task in config.tasks if task.train]
    return [*named, Stage("calibrate", 12, items=20), Stage("decide", 8), Stage("register", 9), Stage("replay", 18),
            Stage("ingest the router's log", 4)]  # fmt: skip


def _others(config: DemoConfig) -> list[Task]:
    """The tasks without an adapter; their own model is a classifier."""
    return [task for task in config.tasks if not task.train]


def _serve_stage(config: DemoConfig) -> str:
    others = ", ".join(task.call_site for task in _others(config))
    return f"serve, and meanwhile fit, evaluate and deploy a classifier of {others}" if others else "serve"


class _Loop:
    """State of one run."""

    def __init__(self, config: DemoConfig, home: Home) -> None:
        self.config, self.home = config, home
        self.folder = home.root / "demo"
        self.log = self.folder / "traffic.jsonl"
        self.gold = self.folder / "gold.jsonl"
        self.task = next(task for task in config.tasks if task.train)
        self.train_config = configs.CONFIGS / "train" / f"{config.train_config}.yaml"
        self.began = time.monotonic()
        self.schedule = Schedule(stages(config), 60 * 60)
        self.sizes = self._sizes()

    def run(self) -> LoopSummary:
        config, home, task = self.config, self.home, self.task
        # The first stages keep one core busy and need no model.
        with commands.fetching(home, self.train_config, config.stages.train) as base_model:
            datasets = self._datasets()
            self._begin()
            if base_model.process.poll() is None:
                _say("waiting for the base model, which has been fetched since the first stage")
                base_model.wait()
        trained = self._train(datasets[task.call_site])
        self._begin()
        stand_in = StandIn(config.hosted, read_ground_truth(self.gold))
        serve = (home, "serve", trained["adapter"], *sets(config.stages.serve), "--json")
        with (
            hosted.serve(stand_in) as hosted_url,
            commands.running(*serve, marker="{", stream="stdout") as server,
            contextlib.ExitStack() as classifiers,
        ):
            # The other tasks mostly wait for hosted models, so they run while the server starts.
            scores, deployed = [], []
            for other in _others(config):
                own_scores = self._evaluate(other, datasets[other.call_site], hosted_url)
                scores += own_scores
                deployed.append(self._deploy_classifier(other, datasets[other.call_site], own_scores, classifiers))
            own_url: str = json.loads(server.ready())["base_url"]
            self._begin()
            self._choose_items(own_url, trained, datasets[task.call_site])
            scores = [*self._evaluate(task, datasets[task.call_site], hosted_url, own_url), *scores]
            self._begin()
            calibration = self._calibrate(task, datasets[task.call_site], "adapter", own_url)
            self._begin()
            decided = self._decide(task)
            self._begin()
            deployed.insert(0, self._register(task, "adapter", trained["adapter"], own_url, decided, calibration))
            self._begin()
            answered = _replay(config, home, self.log, hosted_url)
        self._begin()
        ingested = commands.run(home, "ingest", home.log)
        return LoopSummary(
            scores=tuple(map(_score, scores)),
            deployed=tuple(deployed),
            routed=dict(Counter(tier for tier, _ in answered)),
            answered=dict(Counter(endpoint for _, endpoint in answered)),
            ingested=ingested["accepted"],
            seconds=self._now(),
            home=str(home.root),
        )

    def _datasets(self) -> dict[str, str]:
        """The task datasets by call site, from the invented log."""
        config, home, settings = self.config, self.home, self.config.traffic
        self._begin()
        _say(f"{settings.requests} invented requests of {settings.days} days: {self.log}")
        traffic.generate(
            self.log, requests=settings.requests, days=settings.days, seed=settings.seed, first_day=settings.first_day
        )
        self._begin()
        commands.run(home, "ingest", self.log)
        self._begin()
        commands.run(home, "profile")
        datasets: dict[str, str] = {}
        for task in config.tasks:
            self._begin()
            extracted = commands.run(home, "extract", "--task", task.call_site, *sets(config.stages.extract))
            datasets[task.call_site] = extracted["dataset"]
        return datasets

    def _now(self) -> float:
        return time.monotonic() - self.began

    def _begin(self) -> None:
        """Announce the next stage with its number and an estimate of the remaining time."""
        stage = self.schedule.begin(self._now())
        clock = dt.datetime.now().astimezone()
        remaining = f"about {max(1.0, self.schedule.remaining() / 60):.0f} min left"
        position = f"stage {self.schedule.number} of {len(self.schedule.stages)}"
        _say(f"\n[{clock:%H:%M:%S}] {position}, {remaining}: {stage.name}")

    # ------------------------------------------------------------------------------------------ sizes

    def _sizes(self) -> Sizes:
        key = hash8(msgspec.to_builtins(self.config))
        with contextlib.suppress(OSError, msgspec.DecodeError):
            previous = msgspec.json.decode((self.folder / "sizes.json").read_bytes(), type=Sizes)
            if previous.config == key:
                return previous
        return Sizes(config=key)

    def _save_sizes(self) -> None:
        write_atomic(self.folder / "sizes.json", msgspec.json.encode(self.sizes))

    def _train(self, dataset: str) -> dict[str, Any]:
        path = self.train_config
        fitted = self._training_time(path)
        return commands.run(
            self.home, "train", "--config", path, "--dataset", dataset, *sets(self.config.stages.train), *sets(fitted)
        )

    def _training_time(self, path: Path) -> tuple[str, ...]:
        """`max_seconds` of the training run, from the remaining budget; empty without a budget."""
        from pipeline.train import compute_dtype
        from pipeline.train.config import TrainConfig

        budget = self.config.time_budget
        if budget is None:
            return ()
        if self.sizes.training_seconds is None:
            arch = configs.load(path, TrainConfig).model.architecture
            if arch is None:
                return ()
            rates = compute_dtype.rates(arch.hidden, arch.intermediate)
            self.schedule.budget_seconds = budget_seconds(budget, max(rates.float32, rates.bfloat16))
            available = self.schedule.available(self._now())
            self.sizes.training_seconds = round(training_seconds(available, budget))
            self._save_sizes()
            _say(
                f"matrix products here: {rates.float32 / 1e9:.0f} GFLOP/s in float32, {rates.bfloat16 / 1e9:.0f} in "
                f"bfloat16, so {rates.fastest}; of {self.schedule.budget_seconds / 60:.1f} min, training steps get "
                f"{self.sizes.training_seconds:.0f} s"
            )
        self.schedule.expect("train", self.sizes.training_seconds)
        return (f"max_seconds={self.sizes.training_seconds:g}",)

    def _choose_items(self, own_url: str, trained: dict[str, Any], dataset: str) -> None:
        """Choose the number of test items from the measured time per request and the remaining budget."""
        budget, task = self.config.time_budget, self.task
        if budget is None or self.sizes.items is not None or task.evaluate_items is None:
            return
        folder = self.home.dataset(dataset)
        adapter = own_model.measure(own_url, trained["adapter"], own_model.bodies(folder, task.call_site, "prompt"))
        full = own_model.bodies(folder, task.call_site, "original_prompt", max_tokens_factor=2)
        base = own_model.measure(own_url, trained["base_model"], full)
        calibration = 2 * task.calibrate_items * adapter.batched
        hosted_wait = 1.3 * sum(model.latency_p50_ms for model in self.config.rivals) / 1000 / HOSTED_CONCURRENCY
        self.sizes.items = items_to_evaluate(
            self.schedule.available(self._now()) - calibration,
            (adapter, base),
            alone=_latency_sample(self.config),
            hosted=hosted_wait,
            budget=budget,
            max_items=task.evaluate_items,
        )
        self._save_sizes()
        self.schedule.expect(f"evaluate {task.call_site}", self.sizes.items * (adapter.batched + base.batched))
        self.schedule.expect("calibrate", calibration)
        _say(f"{self.sizes.items} test items: adapter {_costs(adapter)} a request, base {_costs(base)}")

    # ------------------------------------------------------------------------------------------ stages

    def _evaluate(self, task: Task, dataset: str, hosted_url: str, own_url: str = "") -> list[dict[str, Any]]:
        """Scores of every candidate, from the command's summary."""
        config = self.config
        shipped = yaml.safe_load((configs.CONFIGS / "candidates.yaml").read_text(encoding="utf-8"))
        names = [name for name in _OWN if task.train or name not in _NEEDS_ADAPTER]
        candidates = [candidate for candidate in shipped["candidates"] if candidate["name"] in names]
        shipped["candidates"] = [*candidates, *(_candidate(model, hosted_url) for model in config.rivals)]
        # The stand-in's port changes with every run; stored answers stay valid.
        path = self.folder / f"candidates-{task.call_site}.yaml"
        write_atomic(path, yaml.safe_dump(shipped, sort_keys=False))
        endpoints = [f"--endpoint={name}={own_url}" for name in _NEEDS_ADAPTER if task.train]
        fitted = self.sizes.items if task.train else None
        limits = [number for number in (task.evaluate_items, fitted) if number is not None]
        limit = ("--limit", str(min(limits))) if limits else ()
        options = ("--dataset", dataset, "--candidates", path, "--labels", self.gold, *endpoints, *limit)
        summary = commands.run(self.home, "evaluate", *options, *sets(config.stages.evaluate))
        scores: list[dict[str, Any]] = summary["scores"]
        return scores

    def _calibrate(self, task: Task, dataset: str, candidate: str, own_url: str = "") -> str:
        """Calibrate an own model and describe the result; skipped if a split is too short."""
        card = yaml.safe_load((self.home.dataset(dataset) / "dataset.yaml").read_text(encoding="utf-8"))
        rows = {split: card["splits"][split]["rows"] for split in ("calibration", "threshold")}
        if min(rows.values()) < task.calibrate_items:
            counts = ", ".join(f"{split} {count}" for split, count in rows.items())
            line = f"not calibrated: the splits are too short ({counts} rows, {task.calibrate_items} are needed)"
            _say(line)
            return line
        shipped = yaml.safe_load((configs.CONFIGS / "candidates.yaml").read_text(encoding="utf-8"))
        path = self.folder / f"candidates-calibrate-{candidate}.yaml"
        # Latencies are not needed, so nothing is asked one at a time.
        write_atomic(path, yaml.safe_dump(shipped | {"latency_sample": 0}, sort_keys=False))
        options = ("--dataset", dataset, "--candidates", path, "--candidate", candidate)
        # A classifier answers in milliseconds: all items of the splits.
        limits = (f"--endpoint={candidate}={own_url}", "--limit", str(task.calibrate_items)) if own_url else ()
        limits = (*limits, "--labels", str(self.gold))
        summary = commands.run(
            self.home, "calibrate", *options, *limits, *sets(self.config.stages.calibrate), gate=True
        )
        first = summary["calibrations"][0]
        if first["threshold"] is None:
            return f"no threshold: {first['infeasible']}"
        return (
            f"{first['expected_escalation_rate']:.0%} of its answers escalate, those under p(right) "
            f"{first['threshold']:.3g}; at most {first['achieved_risk_bound']:.0%} of the kept ones are wrong"
        )

    def _decide(self, task: Task) -> dict[str, Any]:
        scales = f"volume_scales=[{','.join(f'{scale:g}' for scale in self.config.volume_scales)}]"
        options = ("--task", task.call_site, "--set", scales, *sets(self.config.stages.decide))
        return commands.run(self.home, "decide", *options, gate=True)

    def _deploy_classifier(
        self, task: Task, dataset: str, scores: list[dict[str, Any]], servers: contextlib.ExitStack
    ) -> Deployed:
        """Serve and register the classifier that the evaluation fitted; its server runs until `servers` is closed."""
        model = next(score["adapter"] for score in scores if score["kind"] == "classical")
        serve = commands.running(self.home, "serve", model, "--json", marker="{", stream="stdout")
        server = servers.enter_context(serve)
        calibration = self._calibrate(task, dataset, "classical")
        decided = self._decide(task)
        url: str = json.loads(server.ready())["base_url"]
        return self._register(task, "classical", model, url, decided, calibration)

    def _register(
        self, task: Task, candidate: str, model: str, url: str, decided: dict[str, Any], calibration: str
    ) -> Deployed:
        """Register an own model: by the decision if its verdict is to build it, else with an override."""
        winner = next(
            (candidate_ for candidate_ in decided["candidates"] if candidate_["name"] == decided["winner"]), None
        )
        built = decided["verdict"] == "build" and winner is not None and winner["adapter"] == model
        override = () if built else ("--override", "the demo shows the router with its own models")
        commands.run(self.home, "register", model, "--url", url, *override)
        return Deployed(
            task=task.call_site,
            candidate=candidate,
            model=model,
            calibration=calibration,
            verdicts={f"{s['requests_per_month']:,.0f} requests a month": _verdict(s) for s in decided["scales"]},
        )


def _latency_sample(config: DemoConfig) -> int:
    """`latency_sample` of the evaluation's settings: items asked one at a time."""
    stated = [value.partition("=")[2] for value in config.stages.evaluate if value.startswith("latency_sample=")]
    shipped = yaml.safe_load((configs.CONFIGS / "candidates.yaml").read_text(encoding="utf-8"))
    return int(stated[-1] if stated else shipped["latency_sample"])


def _costs(cost: ItemCost) -> str:
    return f"{cost.alone:.2f} s alone, {cost.batched:.2f} s batched"


def _candidate(model: HostedModel, base_url: str) -> dict[str, Any]:
    price = {"input_mtok_usd": model.input_mtok_usd, "output_mtok_usd": model.output_mtok_usd}
    fixed = {"name": model.name, "kind": "openai", "model": model.name, "simulated": True}
    return fixed | {"base_url": base_url, "price": price}


def _score(scores: dict[str, Any]) -> Score:
    main = scores["metrics"][scores["main_metric"]]
    return Score(
        task=scores["task"],
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
    return f"{scale['verdict']}{' (depends on simulated models)' if scale['simulated'] else ''}"


# ------------------------------------------------------------------------------------------- the router


def _replay(config: DemoConfig, home: Home, log: Path, hosted_url: str) -> list[tuple[str, str]]:
    """Send the log's last requests through the router; tier and endpoint that answered each."""
    import openai

    routing = yaml.safe_load((configs.CONFIGS / "router.yaml").read_text(encoding="utf-8"))
    routing["endpoints"] = [
        {"name": name, "kind": "openai", "base_url": hosted_url, "model": name}
        for name in dict.fromkeys((config.tier_2, config.tier_3))
    ]
    routing["tiers"] = {1: [], 2: [config.tier_2], 3: [config.tier_3]}
    path = home.root / "demo" / "router.yaml"
    write_atomic(path, yaml.safe_dump(routing, sort_keys=False))
    with commands.running(
        home, "route", "--config", path, "--port", "0", marker="router on ", stream="stderr"
    ) as router:
        url = router.ready().split("router on ")[1].split()[0]
        client = openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=120)

        def ask(body: dict[str, Any]) -> tuple[str, str]:
            answer = client.chat.completions.with_raw_response.create(**body)
            return answer.headers["x-fasttier-tier"], answer.headers["x-fasttier-endpoint"]

        with ThreadPoolExecutor(REPLAY_CONCURRENCY) as pool:
            return list(pool.map(ask, _last_requests(log, config.replay_requests)))


def _last_requests(log: Path, count: int) -> list[dict[str, Any]]:
    """The last answered requests of the log, as the application would send them to the router."""
    rows = []
    for line in log.read_bytes().splitlines()[-3 * count :]:
        with contextlib.suppress(json.JSONDecodeError):  # the log contains truncated lines
            row = json.loads(line)
            if row["status"] == "success":
                rows.append(row)
    return [_request(row) for row in rows[-count:]]


def _request(row: dict[str, Any]) -> dict[str, Any]:
    tags = row["metadata"]["requester_metadata"]
    parameter_names = ("max_tokens", "temperature", "response_format", "tools", "tool_choice")
    parameters = {key: row["model_parameters"][key] for key in parameter_names if key in row["model_parameters"]}
    sent = {key: str(value) for key, value in tags.items() if key in ("plan", "language", "session_id") and value}
    return {
        "model": row["model"],
        "messages": row["messages"],
        "metadata": {"call_site": tags["call_site"], "feature": tags["feature"], **sent},
        **parameters,
    }


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
