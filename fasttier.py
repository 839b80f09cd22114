"""The command line: one sub-command per stage, each loaded only when it is called.

    fasttier ingest LOG... | extract --task T | plan | train | evaluate | calibrate | decide | serve | register |
        rollback | status | route | loop

The only file that knows all parts, and the only one that starts servers for other stages. A stage
prints what it did in a few lines with the paths it wrote (`--json`: one line, machine-readable).
Exit status: 0 done, 1 a gate said no, 2 a usage or input error, in one clear line.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

from cyclopts import App, CycloptsError, Parameter

if TYPE_CHECKING:
    from pipeline.evaluate.candidates import CandidatesConfig
    from pipeline.evaluate.endpoints import Endpoint
    from serving.supervise import Server
    from traffic.callsites import Registry
    from traffic.home import Home
    from traffic.prices import PriceTable
    from traffic.tiers import RoutingConfig

app = App(
    name="fasttier",
    help="Move the easy majority of your LLM calls to a small model that you own, when the evidence says so.",
    help_epilogue="The loop: ingest -> extract -> train -> evaluate. `fasttier COMMAND --help` explains one.",
    version_flags=[],
)


class Summary(Protocol):
    """What a stage returns: a struct that can say what happened."""

    def lines(self) -> list[str]: ...


@Parameter(name="*")
@dataclass(frozen=True)
class Common:
    """Options that every stage takes."""

    config: Annotated[Path | None, Parameter(help="YAML file of the stage; the shipped one if left out.")] = None
    set_: Annotated[
        tuple[str, ...], Parameter(name="--set", help="Override one value: key.path=value. May be repeated.")
    ] = ()
    out: Annotated[Path | None, Parameter(help="Also write the machine-readable summary to this file.")] = None
    json: Annotated[bool, Parameter(negative="", help="Print the summary as one line of JSON.")] = False
    home: Annotated[Path, Parameter(env_var="FASTTIER_HOME", help="Folder that holds all state.")] = Path("data")


DEFAULTS = Common()


@app.command
def ingest(
    *sources: Path,
    format: Annotated[str, Parameter(help="auto, litellm, openai_pairs or native.")] = "auto",
    common: Common = DEFAULTS,
) -> int:
    """Read request logs (files or folders, plain or .gz) into the records store.

    Unreadable lines are kept with their reasons; reading the same log again changes nothing.
    """

    def stage(home: "Home") -> Summary:
        from pipeline import ingest as stage

        return stage.run(sources, home=home, format=format, mapping=_only_file(common))

    return _run(common, stage)


@app.command
def extract(
    *,
    task: Annotated[
        tuple[str, ...], Parameter(help="Call site whose requests become the task; several make one task.")
    ] = (),
    tier: Annotated[Literal[1] | None, Parameter(help="Instead of --task: every Tier 1 call site of the log.")] = None,
    name: Annotated[str | None, Parameter(help="Name of the task; default its call site, or tier-1.")] = None,
    call_sites: Annotated[
        Path | None, Parameter(help="Registry of call sites (default configs/callsites.yaml).")
    ] = None,
    common: Common = DEFAULTS,
) -> int:
    """Turn the Tier 1 requests of call sites into a task dataset with five time-ordered splits."""

    def stage(home: "Home") -> Summary:
        from pipeline import extract as stage
        from traffic import callsites, config
        from traffic.errors import ConfigError

        if bool(task) == bool(tier):
            raise ConfigError("say what to extract: --task CALL_SITE (one or more), or --tier 1 for all of Tier 1")
        chosen = config.load(common.config or config.CONFIGS / "extract.yaml", stage.ExtractConfig, common.set_)
        registry = callsites.load(call_sites or config.CONFIGS / "callsites.yaml")
        return stage.run(task, home=home, config=chosen, registry=registry, name=name)

    return _run(common, stage)


@app.command
def train(
    *,
    dataset: Annotated[str | None, Parameter(help="Dataset folder, task@hash or task; default the newest.")] = None,
    dry_run: Annotated[
        bool, Parameter(negative="", help="Print the plan: parameters, memory, steps, command.")
    ] = False,
    resume: Annotated[
        bool, Parameter(help="Continue a run that was interrupted; --no-resume throws away what it had done.")
    ] = True,
    fast: Annotated[
        bool, Parameter(help="--no-fast trains without packing, fused kernels and the like, to find a fault.")
    ] = True,
    common: Common = DEFAULTS,
) -> int:
    """Fine-tune a LoRA (or QLoRA) adapter on a task dataset; an interrupted run continues."""

    def stage(home: "Home") -> Summary:
        from pipeline import train as stage
        from pipeline.train.config import TrainConfig
        from traffic import config

        sets = common.set_ if fast else (*common.set_, "fast=false")
        chosen = config.load(common.config or config.CONFIGS / "train" / _default_model(), TrainConfig, sets)
        return stage.run(
            chosen,
            home.dataset(dataset),
            home=home,
            dry_run=dry_run,
            resume=resume,
            announce=lambda line: print(line, file=sys.stderr, flush=True),
        )

    return _run(common, stage)


@app.command
def plan(
    *,
    dataset: Annotated[str | None, Parameter(help="Dataset folder, task@hash or task; default the newest.")] = None,
    probe: Annotated[
        int | None, Parameter(help="Train so many real steps on this machine first, and plan with what they took.")
    ] = None,
    common: Common = DEFAULTS,
) -> int:
    """What a training run takes, before it costs: memory, time and dollars per kind of GPU, and where it fits.

    --config is the training configuration, as for `train`, whose --dry-run prints the same plan.
    """

    def stage(home: "Home") -> Summary:
        from pipeline import train as stage
        from pipeline.train.config import TrainConfig
        from traffic import config

        chosen = config.load(common.config or config.CONFIGS / "train" / _default_model(), TrainConfig, common.set_)
        return stage.plan_run(chosen, home.dataset(dataset), home=home, probe_steps=probe)

    return _run(common, stage)


@app.command
def sweep(
    *,
    dataset: Annotated[str | None, Parameter(help="Dataset folder, task@hash or task; default the newest.")] = None,
    sweep: Annotated[Path | None, Parameter(help="What to try, and how long (default configs/sweep.yaml).")] = None,
    common: Common = DEFAULTS,
) -> int:
    """Search for better settings of a training run, one trial per GPU at a time; a killed sweep continues.

    --config is the training configuration to start from, as for `train`; --set overrides a value of it.
    """

    def stage(home: "Home") -> Summary:
        from pipeline import sweep as stage
        from pipeline.train.config import TrainConfig
        from traffic import config

        base = config.load(common.config or config.CONFIGS / "train" / _default_model(), TrainConfig, common.set_)
        chosen = config.load(sweep or config.CONFIGS / "sweep.yaml", stage.SweepConfig)
        return stage.run(chosen, base, home.dataset(dataset), home=home)

    return _run(common, stage)


@app.command
def evaluate(
    *,
    dataset: Annotated[str | None, Parameter(help="Dataset folder, task@hash or task; default the newest.")] = None,
    candidates: Annotated[Path | None, Parameter(help="Candidates file, same as --config.")] = None,
    endpoint: Annotated[
        tuple[str, ...], Parameter(help="CANDIDATE=URL of a running vLLM; own models without one are started here.")
    ] = (),
    split: Annotated[str, Parameter(help="Split to score.")] = "test",
    limit: Annotated[int | None, Parameter(help="Score only the first N items of the split.")] = None,
    labels: Annotated[Path | None, Parameter(help="Human labels (JSONL or CSV: id, label) to score against.")] = None,
    budget: Annotated[
        float | None, Parameter(help="USD that hosted models may cost in this run; it stops before more is spent.")
    ] = None,
    judge: Annotated[
        str | None, Parameter(help="Hosted candidate that compares free texts with the incumbent's, in pairs.")
    ] = None,
    common: Common = DEFAULTS,
) -> int:
    """Score candidates side by side on one split, with intervals, latency and cost, into MLflow."""

    def stage(home: "Home") -> Summary:
        from pipeline import evaluate as stage
        from pipeline.evaluate.candidates import CandidatesConfig
        from traffic import config
        from traffic.errors import ConfigError

        folder = home.dataset(dataset)
        path = candidates or common.config or config.CONFIGS / "candidates.yaml"
        asked_to_judge = (f"judge.candidate={judge}",) if judge else ()
        chosen = config.load(path, CandidatesConfig, (*common.set_, *asked_to_judge))
        if budget is not None and budget < 0:
            raise ConfigError(f"--budget {budget}: an amount in USD, 0 or more")
        with _endpoints(folder, chosen, home, endpoint) as endpoints:
            return stage.run(
                folder,
                chosen,
                home=home,
                endpoints=endpoints,
                split=split,
                limit=limit,
                labels=labels,
                budget_usd=budget,
                announce=lambda line: print(line, file=sys.stderr, flush=True),
            )

    return _run(common, stage)


@app.command
def calibrate(
    *,
    dataset: Annotated[str | None, Parameter(help="Dataset folder, task@hash or task; default the newest.")] = None,
    candidate: Annotated[
        str | None, Parameter(help="Candidate of the file, an adapter or the classical model; default the adapter.")
    ] = None,
    candidates: Annotated[Path | None, Parameter(help="Candidates file (default configs/candidates.yaml).")] = None,
    target: Annotated[float | None, Parameter(help="Largest error among the answers that are kept: 0.02.")] = None,
    confidence: Annotated[float | None, Parameter(help="With which the target must hold: 0.95.")] = None,
    max_escalation: Annotated[
        float | None, Parameter(help="Choose by this escalation rate instead, whatever error it leaves.")
    ] = None,
    tier_2: Annotated[str | None, Parameter(help="Candidate that answers what escalates; default the teacher.")] = None,
    endpoint: Annotated[
        tuple[str, ...], Parameter(help="CANDIDATE=URL of a running vLLM; else one is started where it is needed.")
    ] = (),
    limit: Annotated[int | None, Parameter(help="Only the first N items of either split.")] = None,
    labels: Annotated[Path | None, Parameter(help="Human labels (JSONL or CSV: id, label) to judge by.")] = None,
    common: Common = DEFAULTS,
) -> int:
    """Find out when an own model's answer is right enough to keep; the others escalate to Tier 2.

    Exit status 1 where no threshold keeps the error under the target.
    """

    def stage(home: "Home") -> Summary:
        from pipeline import calibrate as stage
        from pipeline.evaluate.candidates import CandidatesConfig
        from traffic import config
        from traffic.errors import ConfigError

        if target is not None and max_escalation is not None:
            raise ConfigError("--target and --max-escalation are two rules for one threshold: give one of them")
        given = {"target_risk": target, "confidence": confidence, "max_escalation": max_escalation, "tier_2": tier_2}
        given["rule"] = "escalation" if max_escalation is not None else "target" if target is not None else None
        overrides = tuple(f"{key}={value}" for key, value in given.items() if value is not None)
        path = common.config or config.CONFIGS / "calibrate.yaml"
        settings = config.load(path, stage.CalibrateConfig, (*common.set_, *overrides))
        folder = home.dataset(dataset)
        everyone = config.load(candidates or config.CONFIGS / "candidates.yaml", CandidatesConfig)
        chosen = stage.chosen(everyone, candidate, folder, home)
        with contextlib.ExitStack() as servers:
            return stage.run(
                folder,
                everyone,
                chosen,
                home=home,
                config=settings,
                endpoints=_OnDemand(folder, stage.only(everyone, chosen), home, endpoint, servers),
                limit=limit,
                labels=labels,
            )

    return _run(common, stage)


@app.command
def decide(
    *,
    task: Annotated[str | None, Parameter(help="Task; default that of the newest dataset.")] = None,
    gate: Annotated[bool, Parameter(negative="", help="Exit status 1 unless the verdict is build.")] = False,
    common: Common = DEFAULTS,
) -> int:
    """Build, buy or wait: cost at the log's own volume, quality with intervals, break-even, into MLflow."""

    def stage(home: "Home") -> Summary:
        import datetime as dt

        from pipeline import decide as stage
        from traffic import config

        chosen = config.load(common.config or config.CONFIGS / "decide.yaml", stage.DecideConfig, common.set_)
        today = dt.datetime.now(dt.UTC).date()
        return stage.run(task, home=home, config=chosen, today=today, gate=gate)

    return _run(common, stage)


label = App(name="label", help="Labels from people: export the items that are worth their time, import the file.")
app.command(label)


@label.command(name="export")
def label_export(
    *,
    task: Annotated[str | None, Parameter(help="Dataset folder, task@hash or task; default the newest.")] = None,
    split: Annotated[str, Parameter(help="Split whose rows are to be labelled.")] = "test",
    disagreements: Annotated[
        bool, Parameter(negative="", help="Only items on which two evaluated candidates differ.")
    ] = False,
    suspects: Annotated[
        bool, Parameter(negative="", help="Only rows whose logged answer is probably wrong (suspects.csv).")
    ] = False,
    items: Annotated[
        Path | None, Parameter(help="Only the ids of this CSV file, such as the .ask.csv of a decision.")
    ] = None,
    sample: Annotated[int | None, Parameter(help="At most so many, drawn at random.")] = None,
    common: Common = DEFAULTS,
) -> int:
    """Write the items that people should label, with the candidates' answers, to the file of --out.

    A name in .csv makes a table with an empty column `label`, one in .json tasks for Label Studio.
    """

    def stage(home: "Home") -> Summary:
        from pipeline.labels import export
        from traffic.errors import ConfigError

        if common.out is None:
            raise ConfigError("name the file to write: --out FILE.csv, or FILE.json for Label Studio")
        chosen = {"disagreements": disagreements, "suspects": suspects}
        return export.run(task, common.out, home=home, split=split, sample=sample, only=items, **chosen)

    # Here --out is the file of the items, not of the summary.
    return _run(replace(common, out=None), stage)


@label.command(name="import")
def label_import(file: Path, *, common: Common = DEFAULTS) -> int:
    """Take the labels of a filled CSV file or a Label Studio export into the store; twice changes nothing."""

    def stage(home: "Home") -> Summary:
        from pipeline.labels import imports

        return imports.run(file, home=home)

    return _run(common, stage)


@app.command
def loop(*, common: Common = DEFAULTS) -> int:
    """Run the whole loop on an invented company's log: what `make demo` does."""

    def stage(home: "Home") -> Summary:
        from demo import config
        from demo import loop as stage

        return stage.run(config.load(common.config or config.DEFAULT, common.set_), home)

    return _run(common, stage)


@app.command
def export(
    adapter: Annotated[str | None, Parameter(help="Adapter folder, task@hash or task; default the newest.")] = None,
    *,
    merged: Annotated[
        bool, Parameter(negative="", help="Merge it into its base model: whole bfloat16 weights, served without LoRA.")
    ] = False,
    common: Common = DEFAULTS,
) -> int:
    """Write an adapter as a model of its own, which serve, evaluate and register take like the adapter."""

    def stage(home: "Home") -> Summary:
        from pipeline import export as stage
        from traffic.errors import ConfigError

        if not merged:
            raise ConfigError("say as what to export it: --merged (an adapter's own folder is what PEFT and vLLM load)")
        return stage.run(home.adapter(adapter), home=home)

    return _run(common, stage)


@app.command
def serve(
    *adapter: Annotated[str, Parameter(help="Adapter folder, task@hash or task; default the newest.")],
    common: Common = DEFAULTS,
) -> int:
    """Serve adapters of one base model with vLLM, check each against its training, run until interrupted."""

    def stage(home: "Home") -> Summary:
        from serving import parity
        from serving.register import Served
        from traffic import adapters
        from traffic.errors import ConfigError

        folders = [home.adapter(name) for name in adapter or (None,)]
        cards = [adapters.load(folder) for folder in folders]
        base = cards[0].base_model
        if len(cards) > 1 and any(card.merged for card in cards):
            raise ConfigError("a merged model is a server of its own; serve it apart from the others")
        if any(card.base_model != base for card in cards):
            raise ConfigError("these adapters sit on different base models; serve them apart")
        files = {card.name: folder for card, folder in zip(cards, folders, strict=True)}
        model, name, loaded = Path(base.path), base.name, files
        if cards[0].merged:
            model, name, loaded = folders[0], cards[0].name, {}
        server = servers.enter_context(_serve(model, name, loaded, home, "serve", common))
        checked = [
            parity.check(server.base_url, folder, model=name, base_model=base.name, api_key=server.api_key)
            for name, folder in files.items()
        ]
        running.append(server)
        return Served(server.base_url, server.pid, tuple(checked), str(server.log_path))

    # A service manager's way to say Ctrl-C: the server is stopped in order.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    running: list[Server] = []
    with contextlib.ExitStack() as servers:
        status = _run(common, stage)
        with contextlib.suppress(KeyboardInterrupt):
            for server in running if status == 0 else ():
                ended = server.wait()
                print(f"fasttier: vLLM ended with status {ended}; its log is {server.log_path}", file=sys.stderr)
                status = 2
    return status


@app.command
def register(
    adapter: Annotated[str | None, Parameter(help="Adapter folder, task@hash or task; default the newest.")] = None,
    *,
    url: Annotated[str | None, Parameter(help="Its endpoint (.../v1); default a server started by `serve`.")] = None,
    call_site: Annotated[tuple[str, ...], Parameter(help="Only for these of its call sites.")] = (),
    decision: Annotated[Path | None, Parameter(help="Decision file; default the newest of the task.")] = None,
    override: Annotated[str | None, Parameter(help="Deploy without a build verdict, and why.")] = None,
    share: Annotated[float, Parameter(help="Share of the requests, 0 to 1: a canary.")] = 1.0,
    shadow: Annotated[bool, Parameter(negative="", help="Only ask it as well, and log what it says.")] = False,
    cohort: Annotated[tuple[str, ...], Parameter(help="Only these requests: KEY=VALUE, such as language=de.")] = (),
    threshold: Annotated[
        bool, Parameter(help="Unsure answers escalate, as the decision's calibration says; --no-threshold keeps them.")
    ] = True,
    common: Common = DEFAULTS,
) -> int:
    """Put a served adapter in front of its call sites, if it passes the parity check and a decision says build."""

    def stage(home: "Home") -> Summary:
        from serving import parity, supervise
        from serving import register as stage
        from traffic import adapters
        from traffic.errors import NotFound

        folder = home.adapter(adapter)
        card = adapters.load(folder)
        found = [server.base_url for server in supervise.running(home) if card.name in server.models]
        endpoint = url or next(iter(found), None)
        if endpoint is None:
            raise NotFound(
                f"no running server serves {card.name}; start one with `fasttier serve {card.name}`, or --url"
            )
        newest = max(home.decisions.glob(f"{card.task}@*.yaml"), key=lambda p: p.stat().st_mtime_ns, default=None)
        report = parity.check(
            endpoint,
            folder,
            model=card.name,
            base_model=card.base_model.name,
            api_key=os.environ.get("VLLM_API_KEY"),
        )
        done = stage.register(
            home,
            folder,
            endpoint,
            call_site,
            decision or newest,
            override,
            report,
            cohort=stage.cohort_of(cohort),
            share=share,
            shadow=shadow,
            calibrate=threshold,
        )
        _tag_runs(home)
        return done

    return _run(common, stage)


@app.command
def rollback(
    call_site: str,
    *,
    cohort: Annotated[tuple[str, ...], Parameter(help="Of this cohort: KEY=VALUE, as it was registered.")] = (),
    shadow: Annotated[bool, Parameter(negative="", help="End the shadow; what answers stays.")] = False,
    common: Common = DEFAULTS,
) -> int:
    """Give a call site back to what served it before."""

    def stage(home: "Home") -> Summary:
        from serving import register as stage

        done = stage.rollback(home, call_site, cohort=stage.cohort_of(cohort), shadow=shadow)
        _tag_runs(home)
        return done

    return _run(common, stage)


@app.command
def status(*, common: Common = DEFAULTS) -> int:
    """Which servers run, and what is deployed at Tier 1."""

    def stage(home: "Home") -> Summary:
        from serving import register as stage

        return stage.status(home)

    return _run(common, stage)


@app.command
def route(
    records: Annotated[
        Path | None, Parameter(help="With --replay: the records store, such as data/records; default that of --home.")
    ] = None,
    *,
    host: Annotated[str | None, Parameter(help="Address to listen on; beyond loopback it needs client keys.")] = None,
    port: Annotated[int | None, Parameter(help="Port; 0 picks a free one.")] = None,
    call_sites: Annotated[
        Path | None, Parameter(help="Registry of call sites (default configs/callsites.yaml).")
    ] = None,
    explain: Annotated[
        Path | None,
        Parameter(
            help="Say where this request (a JSON body, - for stdin) would go, and why; no server.",
            allow_leading_hyphen=True,
        ),
    ] = None,
    call_site: Annotated[str | None, Parameter(help="With --explain: as the header x-fasttier-call-site.")] = None,
    replay: Annotated[
        bool, Parameter(negative="", help="Say what the rules would do to the traffic in the records store; no server.")
    ] = False,
    against: Annotated[Path | None, Parameter(help="With --replay: another router.yaml to compare with.")] = None,
    gold: Annotated[Path | None, Parameter(help="With --replay: true tiers (JSONL, .gz: id, tier_true).")] = None,
    no_call_sites: Annotated[
        bool, Parameter(negative="", help="With --replay: features alone, as if no call site were known.")
    ] = False,
    common: Common = DEFAULTS,
) -> int:
    """Answer OpenAI-compatible requests at the tier that the rules choose, and log each attempt, until interrupted.

    With --explain or --replay it starts no server and needs no key: it shows what the rules would do.
    """

    def stage(home: "Home") -> Summary:
        from traffic import callsites, config, tiers
        from traffic.errors import ConfigError
        from traffic.home import Home
        from traffic.prices import PriceTable

        if explain and replay:
            raise ConfigError("--explain is about one request, --replay about the log: give one of them")
        if not replay and (against or gold or no_call_sites):
            raise ConfigError("--against, --gold and --no-call-sites belong to --replay")
        if records is not None and (not replay or records.name != "records"):
            raise ConfigError(f"{records}: only --replay takes a folder, and it must be a home's `records`")
        if call_site and not explain:
            raise ConfigError("--call-site belongs to --explain; a client names it in x-fasttier-call-site")
        paths = common.config or config.CONFIGS / "router.yaml", call_sites or config.CONFIGS / "callsites.yaml"
        chosen, registry = tiers.load(paths[0], common.set_), callsites.load(paths[1])
        if explain:
            return _explain(explain, chosen, registry, home, call_site)
        prices = PriceTable.load()
        if replay:
            logged = home if records is None else Home(records.parent)
            return _replay(chosen, registry, logged, prices, against, gold, no_call_sites)

        from router import server as stage
        from router.reloading import Sources

        return stage.run(
            chosen,
            home=home,
            registry=registry,
            prices=prices,
            host=host,
            port=port,
            announce=lambda line: print(line, file=sys.stderr, flush=True),
            sources=Sources(
                routing=paths[0], call_sites=paths[1], prices=config.CONFIGS / "prices.yaml", overrides=common.set_
            ),
        )

    return _run(common, stage)


def _tag_runs(home: "Home") -> None:
    """Let MLflow's runs say what they serve, on a machine that has MLflow and runs in it."""
    import importlib.util

    tracked = home.mlflow_uri.startswith("http") or (home.root / "mlflow.db").is_file()
    if tracked and importlib.util.find_spec("mlflow"):
        from pipeline import serving_tags
        from traffic.errors import FastTierError

        try:
            serving_tags.update(home)
        except FastTierError as error:
            # The table is written already: what serves now must not look as if nothing had happened.
            print(f"fasttier: deployed, but MLflow's tags are not up to date: {error}", file=sys.stderr)


def _explain(
    path: Path, routing: "RoutingConfig", registry: "Registry", home: "Home", call_site: str | None
) -> Summary:
    """Where one request would go."""
    from router import deployed, explain
    from traffic.errors import NotFound

    try:
        data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise NotFound(f"the request to explain: {path}: {error.strerror}") from None
    table = deployed.read(home) if home.deployments.exists() else deployed.Deployed()
    return explain.explain(data, routing, registry, deployed=table, environ=os.environ, call_site=call_site)


def _replay(
    routing: "RoutingConfig",
    registry: "Registry",
    home: "Home",
    prices: "PriceTable",
    against: Path | None,
    gold: Path | None,
    features_alone: bool,
) -> Summary:
    """What the rules would do to logged traffic."""
    import datetime as dt

    from pipeline import replay as stage
    from traffic import tiers

    return stage.run(
        routing,
        home=home,
        registry=registry,
        prices=prices,
        today=dt.datetime.now(dt.UTC).date(),
        against=(str(against), tiers.load(against)) if against else None,
        gold=gold,
        call_sites=not features_alone,
    )


@contextlib.contextmanager
def _endpoints(
    dataset: Path, candidates: "CandidatesConfig", home: "Home", given: Sequence[str]
) -> Iterator[dict[str, "Endpoint"]]:
    """Endpoints of the own models: those given as NAME=URL, and a vLLM that runs here for the rest."""
    from pipeline import evaluate as stage
    from pipeline.evaluate.endpoints import from_options

    endpoints = from_options(given, candidates, dataset, home)
    with contextlib.ExitStack() as servers:
        for need in stage.needs_server(candidates, dataset, home, given=endpoints):
            server = servers.enter_context(_serve(need.base_model, need.base_name, need.adapters, home, "evaluate"))
            for candidate, model in need.candidates.items():
                endpoints[candidate] = stage.Endpoint(server.base_url, model, server.api_key)
        yield endpoints


class _OnDemand(Mapping[str, "Endpoint"]):
    """As `_endpoints`, but nothing is started before the first endpoint is asked for."""

    def __init__(
        self,
        dataset: Path,
        candidates: "CandidatesConfig",
        home: "Home",
        given: Sequence[str],
        servers: contextlib.ExitStack,
    ) -> None:
        self._names = [candidate.name for candidate in candidates.candidates]
        self._needs = (dataset, candidates, home, given)
        self._servers = servers
        self._found: Mapping[str, Endpoint] | None = None

    def __getitem__(self, name: str) -> "Endpoint":
        if name not in self._names:
            raise KeyError(name)
        if self._found is None:
            self._found = self._servers.enter_context(_endpoints(*self._needs))
        return self._found[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _serve(
    base_model: Path,
    base_name: str,
    adapters: Mapping[str, Path],
    home: "Home",
    purpose: str,
    common: Common = DEFAULTS,
) -> "Server":
    """Start vLLM for a base model and its adapters, with progress, and return when it answers."""
    from rich.console import Console

    from serving import supervise, vllm_args

    device = vllm_args.detect_device()
    config = vllm_args.load_config(device, common.config, common.set_)
    files = {name: vllm_args.adapter_files(folder) for name, folder in adapters.items()}
    command = vllm_args.command(
        config,
        base_model,
        files,
        port=config.port or supervise.free_port(config.host),
        served_model_name=base_name,
        chat_template=vllm_args.chat_template(next(iter(files.values())), base_model)
        if files
        else vllm_args.model_template(base_model),
        device=device,
        python=vllm_args.interpreter(),
        threads=vllm_args.cores(),
    )
    log = home.runs / "servers" / f"{purpose}-{base_model.name}.log"
    with Console(stderr=True).status(f"starting vLLM ({device}), log in {log}") as status:
        return supervise.start(
            command,
            log,
            on_progress=lambda seconds, line: status.update(f"starting vLLM ({device}) {seconds:.0f} s: {line[-80:]}"),
            home=home,
        )


def _default_model() -> str:
    """The training configuration that runs on this machine."""
    import shutil

    return "qwen2.5-7b.yaml" if shutil.which("nvidia-smi") else "smollm2-135m.yaml"


def _only_file(common: Common) -> Path | None:
    """--config of a stage whose file has no single values to override."""
    from traffic.errors import ConfigError

    if common.set_:
        raise ConfigError("this stage takes no --set; copy its YAML file, edit it and pass it with --config")
    return common.config


def _run(common: Common, stage: "Callable[[Home], Summary]") -> int:
    """Run a stage, print its summary, turn its error into one line and an exit status."""
    from traffic.errors import FastTierError
    from traffic.home import Home, write_atomic

    try:
        summary = stage(Home(common.home))
    except FastTierError as error:
        print(f"fasttier: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("fasttier: interrupted; the same command continues where it stopped", file=sys.stderr)
        return 130
    line = _as_json(summary)
    if common.out:
        write_atomic(common.out, line + "\n")
    print(line if common.json else "\n".join(summary.lines()), flush=True)
    return int(getattr(summary, "exit_status", 0))


def _as_json(summary: Any) -> str:
    import msgspec

    return msgspec.json.encode(summary, enc_hook=str).decode()


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the `fasttier` script."""
    try:
        status = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        print(f"fasttier: {' '.join(str(error).split())} (see fasttier --help)", file=sys.stderr)
        status = 2
    except BrokenPipeError:
        # The reader of our output went away (`fasttier ... | head`): not an error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    sys.exit(status)


if __name__ == "__main__":
    main()
