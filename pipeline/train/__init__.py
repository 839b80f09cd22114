"""Fine-tune a LoRA or QLoRA adapter on a task dataset.

    fasttier train --config configs/train/smollm2-135m.yaml --dataset support.intent

Reads data/datasets/<task>@<hash8>/; trains in processes of `accelerate launch`, continuing a run of the
same configuration and dataset that was interrupted; writes data/adapters/<task>@<hash8>/ and an MLflow run.
"""

import contextlib
import fcntl
import importlib
import importlib.metadata
import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from pipeline import dataset as datasets
from pipeline import tracking
from pipeline.train import (
    artefact,
    base_models,
    chat,
    compute_dtype,
    console,
    job,
    launch,
    machines,
    offers,
    plan,
    probe,
    publication,
    rows,
    shape,
)
from pipeline.train.config import Architecture, TrainConfig
from pipeline.train.machines import Part
from pipeline.train.plan import Plan
from traffic import adapters, artifacts
from traffic.artifacts import Home
from traffic.errors import ConfigError, InputError, Unsupported

__all__ = ["Plan", "TrainConfig", "TrainSummary", "run"]


class TrainSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Result of a training run."""

    adapter: str
    path: Path
    base_model: str
    dataset: str
    metrics: dict[str, float]
    """As in adapter.yaml."""
    too_long: dict[str, int]
    """Rows left out of each split because they exceed max_length."""
    weightless: dict[str, int]
    """Rows left out of each split because extraction gave them weight 0."""
    max_length: int
    resumed_from: int | None
    """Step of the checkpoint that an interrupted run continued from."""
    reused: bool
    """The adapter existed already: same configuration, dataset and base model."""
    mlflow_run: str | None
    log: Path
    control_tokens: dict[str, int] = {}
    """Rows left out of each split because a message holds a control token of the base model."""

    def lines(self) -> list[str]:
        """The result as text."""
        m = self.metrics
        if self.reused:
            return [
                f"{self.adapter} exists already for this configuration and dataset; another seed trains another one",
                f"adapter     {self.path}",
                "next        fasttier evaluate",
            ]
        resumed = f", continued from step {self.resumed_from}" if self.resumed_from else ""
        too_long, weightless = sum(self.too_long.values()), sum(self.weightless.values())
        control = sum(self.control_tokens.values())
        trained = f"{m['examples']:,.0f} examples, {m['epochs']:.1f} epochs, {m['steps']:,.0f} steps{resumed}"
        best = f"loss {m['eval_loss']:.4f} at step {m['best_step']:,.0f} (this checkpoint is kept)"
        tokens = f"{m['supervised_tokens_per_second']:,.0f} supervised tokens/s"
        speed = f"{m['seconds']:,.0f} s, {m['examples_per_second']:.1f} examples/s, {tokens}"
        return [
            f"trained     {self.base_model} on {self.dataset}: {trained}",
            *([f"left out    {too_long:,} rows longer than max_length {self.max_length}"] if too_long else []),
            *([f"left out    {control:,} rows with control tokens of the base model in a message"] if control else []),
            *([f"left out    {weightless:,} rows of weight 0 in train and validation"] if weightless else []),
            f"validation  {best}, {m['eval_token_accuracy']:.1%} of completion tokens correct",
            f"speed       {speed if m['examples_per_second'] else 'already trained; checked and written now'}",
            f"adapter     {self.path}",
            f"mlflow      run {self.mlflow_run}; log {self.log}",
            "next        fasttier evaluate",
        ]


def run(
    config: TrainConfig,
    dataset: Path,
    *,
    home: Home,
    dry_run: bool = False,
    resume: bool = True,
    announce: Callable[[str], None] = lambda line: None,
) -> TrainSummary | Plan | Part:
    """Train an adapter; with `dry_run` return the plan; on a machine other than the first of several, do its part.

    An interrupted run of the same configuration and dataset continues, a finished one is not repeated; without `resume`
    it starts from scratch. `announce` receives warnings before the start: scarce memory, missing packages, a
    base model that has to be fetched.
    Raises: ConfigError, InputError, NotEnoughData, ModelUnavailable, TrainingFailed, Unsupported (no GPU).
    """
    card = datasets.load(dataset)
    device, processes = devices(config, planning=dry_run)
    config.accumulation(processes)
    if config.max_seconds is not None and processes > 1:
        raise ConfigError("max_seconds: not supported with several processes; set max_examples instead")
    if config.sharding != "none" and processes == 1:
        raise ConfigError("sharding: fsdp2 needs several devices, and this run has one; set it to none")
    if dry_run:
        return _plan(config, card, dataset, home, device, processes)
    if config.model.needs_gpu and device == "cpu":
        raise Unsupported(
            f"{config.model.name} needs a GPU and this machine has none that PyTorch sees; "
            "smollm2-135m runs here (MODEL=smollm2-135m), and --dry-run shows what this one takes"
        )
    if config.quantization == "nf4" and importlib.util.find_spec("bitsandbytes") is None:
        raise Unsupported("quantization: nf4 needs bitsandbytes, which is not installed; `make setup` installs it")
    base = base_models.resolve(config.model, home, announce)
    chosen = rows.read(dataset, config)
    folder = folder_of(config, card, home, processes)
    folder.mkdir(parents=True, exist_ok=True)
    node = machines.here(config.machines) if config.machines > 1 else None
    if node is not None and node.rank:
        work = job_of(config, card, dataset, base, folder, device, processes)
        complete = resume and (_finished(folder, base, home) is not None or job.finished(folder, work) is not None)
        return _part(work, node, announce, complete=complete)
    with only_one(folder):
        if not resume:
            job.forget(folder)
        done = _finished(folder, base, home)
        if done is not None:
            # It may have been killed before it removed its checkpoints.
            job.drop_checkpoints(folder)
            return done
        arch = config.model.architecture or _architecture(config, base.path)
        work = job_of(config, card, dataset, base, folder, device, processes)
        size = shape.estimate(chosen, config)
        required_gib = offers.needed_gib(config, arch, size, device, processes, work.compute_dtype)
        if device == "cpu":
            # The estimate covers all processes; each machine holds its own share.
            required_gib /= config.machines
        for warning in (
            config.missing(work.config),
            offers.warning(config, required_gib, offers.free_gib(device), device),
        ):
            if warning:
                announce(warning)
        return _train(work, card, base, home, announce)


def plan_run(config: TrainConfig, dataset: Path, *, home: Home, probe_steps: int | None = None) -> Plan:
    """Memory, time and cost of a run per kind of GPU; with `probe_steps`, calibrated by that many real steps here.

    Raises: ConfigError, InputError, NotEnoughData, ModelUnavailable, TrainingFailed, Unsupported (no GPU for a probe).
    """
    dry_plan = run(config, dataset, home=home, dry_run=True)
    assert isinstance(dry_plan, Plan)
    if probe_steps is None:
        return dry_plan
    if config.machines > 1:
        raise Unsupported("--probe measures one machine; set machines=1")
    device, processes = devices(config, planning=False)
    if config.model.needs_gpu and device == "cpu":
        raise Unsupported(f"--probe: {config.model.name} needs a GPU and this machine has none that PyTorch sees")
    card, base = datasets.load(dataset), base_models.resolve(config.model, home)
    arch = config.model.architecture or _architecture(config, base.path)
    full_shape = _shape(config, dataset, base.path)
    local_config = on_this_machine(config, device)
    short = probe.shortened(
        config, probe_steps, full_shape.examples, full_shape.rows_per_update(local_config, processes)
    )
    sampled = _shape(short, dataset, base.path)
    work = job_of(short, card, dataset, base, home.runs, device, processes)
    calibration = probe.run(work, config, arch, full_shape, sampled, home.runs)
    return msgspec.structs.replace(dry_plan, shape=full_shape, calibration=calibration)


def job_of(
    config: TrainConfig,
    card: datasets.TaskDataset,
    dataset: Path,
    base: base_models.LocalModel,
    folder: Path,
    device: Literal["cpu", "cuda"],
    processes: int,
) -> job.Job:
    """The job file of the training process."""
    return job.Job(
        config=on_this_machine(config, device),
        base=str(base.path.resolve()),
        base_name=base.name,
        base_revision=base.revision,
        dataset=str(dataset.resolve()),
        run=str(folder.resolve()),
        device=device,
        processes=processes,
        max_tokens=max(site.max_tokens for site in card.call_sites.values()),
        compute_dtype=compute_dtype.of_weights(base.path, device)
        if config.compute_dtype == "auto"
        else config.compute_dtype,
    )


def on_this_machine(config: TrainConfig, device: str) -> TrainConfig:
    if device == "cpu":
        return config.resolved(flash_attention=False, kernels=False, gpu=False)
    from huggingface_hub.constants import HF_HUB_OFFLINE
    from transformers.utils.import_utils import is_flash_attn_2_available, is_kernels_available

    # FlashAttention is a package of its own, or one of the hub's kernels, which this fetches.
    fetched = is_kernels_available() and not HF_HUB_OFFLINE
    return config.resolved(flash_attention=is_flash_attn_2_available(kernels_fallback_ok=fetched), kernels=fetched)


def prepare(work: job.Job, announce: Callable[[str], None] = lambda line: None) -> None:
    """Prepare the run's folder: keep only the checkpoints this job may continue from, and write job.json."""
    folder = work.folder
    _drop_other_run(folder, work, announce)
    job.drop_checkpoints(folder, broken_in=work.processes)
    checkpoint = job.last_checkpoint(folder, work.processes)
    job.rewind(folder, checkpoint[0] if checkpoint else 0)
    (folder / "result.json").unlink(missing_ok=True)
    job.save(folder / "job.json", work)


def _part(work: job.Job, node: machines.Node, announce: Callable[[str], None], *, complete: bool) -> Part:
    """Run this machine's processes of a job that the first machine wrote."""
    log = work.folder / f"train-{node.rank}.log"
    if not complete:
        announce(f"waiting     for the first machine's {work.folder / 'job.json'}")
        work = machines.wait_for_job(work)
        launch.run_here(work, log, lambda: None)
    return Part(rank=node.rank, machines=work.config.machines, trained=not complete, log=log)


def _train(
    work: job.Job,
    card: datasets.TaskDataset,
    base: base_models.LocalModel,
    home: Home,
    announce: Callable[[str], None],
) -> TrainSummary:
    config, folder, log = work.config, work.folder, work.folder / "train.log"
    tags = {"stage": "train", "task": card.task, "dataset": card.name, "base_model": base.name}
    parameters = tracking.flatten(msgspec.to_builtins(config, str_keys=True))
    parameters |= {"dataset": card.name, "device": work.device, "processes": work.processes}
    parameters["compute_dtype"] = work.compute_dtype
    with tracking.BackgroundRun(home, f"train {card.task} {base.name.rpartition('/')[2]}", tags=tags) as tracked:
        tracked.log(lambda mlflow: mlflow.log_params(parameters))
        tracked.log(lambda mlflow: _log_dataset(mlflow, card, work.dataset))
        result = job.finished(folder, work)
        if result is None:
            prepare(work, announce)
        # A continued run gets a new MLflow run, which starts with the metrics up to the checkpoint.
        with console.display(config.effective_batch) as show:

            def on_event(event: job.Event) -> None:
                show(event)
                if event.metrics:
                    tracked.log(lambda mlflow: mlflow.log_metrics(event.metrics, step=event.step))

            if result is None:
                result = launch.run(work, log=log, on_event=on_event)
            else:
                # Trained by a sweep, or by a stage that was killed before it published the adapter.
                for event in job.EventReader(folder).new():
                    on_event(event)
        metrics = publication.metrics_of(result, job.EventReader(folder).new())
        adapter, path = publication.publish(work, card, base, metrics, home, mlflow_run=tracked.run_id)
        tracked.log(lambda mlflow: mlflow.log_metrics({f"final.{name}": value for name, value in metrics.items()}))
        tracked.log(lambda mlflow: mlflow.set_tag("adapter", adapter.name))
        tracked.log(lambda mlflow: mlflow.log_artifacts(str(path), "adapter"))
        summary = TrainSummary(
            adapter=adapter.name,
            path=path,
            base_model=base.name,
            dataset=card.name,
            metrics=metrics,
            too_long=result.too_long,
            control_tokens=result.control_tokens,
            weightless=rows.weightless(Path(work.dataset)),
            max_length=config.max_length,
            resumed_from=result.resumed_from,
            reused=False,
            mlflow_run=tracked.run_id,
            log=log,
        )
        (folder / "adapter.name").write_text(adapter.name + "\n", encoding="utf-8")
    # Optimiser states are many times the adapter's size, and nothing continues from them now.
    job.drop_checkpoints(folder)
    return summary


def folder_of(config: TrainConfig, card: datasets.TaskDataset, home: Home, processes: int) -> Path:
    """Folder of the run, named by configuration and dataset, so that the same command finds and continues it."""
    return home.runs / f"train-{artifacts.name_of(card.task, artefact.recipe(config), card.name, processes)}"


def _drop_other_run(folder: Path, work: job.Job, announce: Callable[[str], None]) -> None:
    """Remove checkpoints of a run that differs from this one, and announce why it restarts.

    The folder is named by configuration and dataset; device, dtype, packages and the base model's revision may differ.
    """
    path = folder / "job.json"
    if not path.is_file():
        return
    previous = job.load_job(path)
    reasons = {
        f"it trained on {previous.device}, this machine trains on {work.device}": previous.device != work.device,
        f"it computed in {previous.compute_dtype}, this machine computes in {work.compute_dtype}; "
        f"--set compute_dtype={previous.compute_dtype} continues it": previous.compute_dtype != work.compute_dtype,
        "the base model's weights have changed": previous.base_revision != work.base_revision,
        "packages that affect its steps (FlashAttention, kernels) were installed or removed": (
            artefact.recipe(previous.config) != artefact.recipe(work.config)
        ),
    }
    differing = [reason for reason, differs in reasons.items() if differs]
    if differing:
        if job.last_checkpoint(folder, previous.processes):
            announce(f"restarts    {differing[0]}")
        job.drop_checkpoints(folder)


def _finished(folder: Path, base: base_models.LocalModel, home: Home) -> TrainSummary | None:
    """Summary of a run that this folder completed on this base, if its adapter still exists."""
    marker = folder / "adapter.name"
    if not marker.is_file():
        return None
    path = home.adapters / marker.read_text(encoding="utf-8").strip()
    if not (path / "adapter.yaml").is_file():
        return None
    adapter = adapters.load(path)
    if adapter.base_model.revision != base.revision:
        return None
    artifacts.make_current(home, artifacts.ADAPTER, path)
    return TrainSummary(
        adapter=adapter.name,
        path=path,
        base_model=adapter.base_model.name,
        dataset=adapter.dataset,
        metrics=adapter.metrics,
        too_long={},
        weightless={},
        max_length=adapter.config["max_length"],
        resumed_from=None,
        reused=True,
        mlflow_run=None,
        log=folder / "train.log",
    )


def _plan(
    config: TrainConfig, card: datasets.TaskDataset, dataset: Path, home: Home, device: str, processes: int
) -> Plan:
    arch, folder = config.model.architecture, base_models.local(config.model, home)
    if arch is None:
        arch = _architecture(config, folder)
    size = _shape(config, dataset, folder)
    job_file = folder_of(config, card, home, processes) / "job.json"
    dtype = plan.dtype_of(config, arch, device)
    command = launch.command(job_file, config, device=device, processes=processes, compute_dtype=dtype)
    machine = plan.Machine(device, processes, dtype)
    return plan.make(config, arch, size, machine, dataset=card.name, command=command)


def _shape(config: TrainConfig, dataset: Path, folder: Path | None) -> shape.Shape:
    """Sizes of the training rows, counted with the model's tokenizer if its folder is known, else estimated."""
    if folder is None:
        return shape.estimate(rows.read(dataset, config), config)
    splits = rows.load(dataset, config, chat.load_tokenizer(str(folder)))
    epoch = rows.thinned(splits["train"], config.seed)
    sizes = [(row.prompt_length, row.supervised) for row in epoch.rows]
    measured_shape = shape.shape(sizes, len(splits["validation"].rows), config, measured=True)
    return msgspec.structs.replace(measured_shape, too_long=splits["train"].too_long)


def _architecture(config: TrainConfig, folder: Path | None) -> Architecture:
    if folder is None:
        raise ConfigError(
            f"{config.model.name}: its weights are not here, so the plan needs model.architecture in the configuration"
        )
    try:
        return plan.architecture_of(msgspec.json.decode((folder / "config.json").read_bytes()), config.model.name)
    except (OSError, msgspec.DecodeError) as error:
        raise InputError(f"{folder / 'config.json'}: {error}") from None


def devices(config: TrainConfig, *, planning: bool) -> tuple[Literal["cpu", "cuda"], int]:
    """Device kind and number of processes over all machines; `planning` assumes a GPU where the model needs one."""
    count, configured = config.machines, config.processes
    if configured and configured % count:
        raise ConfigError(
            f"processes: {configured}, all together, cannot be the same number on each of {count} machines"
        )
    gpus = visible_gpus() if config.device != "cpu" else 0
    if planning and config.model.needs_gpu and not gpus:
        return "cuda", configured or count
    if config.device == "cuda" and not gpus:
        raise Unsupported("device: cuda, but PyTorch sees no GPU on this machine; set device=cpu or auto")
    if gpus and configured and configured > gpus * count:
        raise ConfigError(
            f"processes: {configured}, but PyTorch sees {gpus} GPU(s)" + (" per machine" if count > 1 else "")
        )
    return ("cuda", configured or gpus * count) if gpus else ("cpu", configured or count)


def visible_gpus() -> int:
    """Number of GPUs that PyTorch sees."""
    # A build for CPUs sees none, and importing it takes seconds in which no training process is started.
    if importlib.metadata.version("torch").endswith("+cpu"):
        return 0
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _log_dataset(mlflow: Any, card: datasets.TaskDataset, folder: str) -> None:
    """Log the dataset and its card, so that the training data is described wherever the MLflow run is read."""
    # Defined dynamically by mlflow: invisible to type checkers.
    local: Any = importlib.import_module("mlflow.data.sources").LocalArtifactDatasetSource
    meta: Any = importlib.import_module("mlflow.data.meta_dataset").MetaDataset
    logged = meta(local(Path(folder).as_uri()), name=card.task, digest=card.name.rpartition("@")[2])
    mlflow.log_input(logged, context="training")
    for file in sorted(Path(folder).iterdir()):
        if file.name in ("README.md", "dataset.yaml") or file.suffix == ".svg":
            mlflow.log_artifact(str(file), "dataset")


@contextlib.contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the run's lock. Raises: InputError if another process has it."""
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{folder}: another process is training this run; wait for it") from None
        yield
