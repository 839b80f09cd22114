"""Run some real training steps on this machine to calibrate a plan.

    fasttier plan --config configs/train/smollm2-135m.yaml --probe 20

The steps use the launcher, process and trainer of a real run on a sample of its rows; the adapter is discarded.
"""

import math
import tempfile
import time
from pathlib import Path

import msgspec

from pipeline.train import compute_dtype, estimate, job, launch, offers
from pipeline.train.config import Architecture, TrainConfig
from pipeline.train.plan import Calibration
from pipeline.train.shape import Shape
from traffic.errors import ConfigError, TrainingFailed

WARM_UP = 3
"""Leading steps that are not timed: they compile, allocate and fill caches."""


def shortened(config: TrainConfig, steps: int, rows: int, per_update: float | None = None) -> TrainConfig:
    """The configuration shortened to this many steps.

    `per_update`: rows per step if not `effective_batch`. Raises: ConfigError if there are too few steps to time.
    """
    if steps <= WARM_UP + 1:
        raise ConfigError(f"--probe {steps}: at least {WARM_UP + 2} are needed, the first {WARM_UP} are not timed")
    row_count = math.ceil(steps * (per_update or config.effective_batch))
    examples = min(rows, row_count)
    return msgspec.structs.replace(
        config,
        max_examples=examples,
        epochs=row_count / examples,
        # One validation at the end, which writes the checkpoint that the adapter is read from.
        evaluation=msgspec.structs.replace(config.evaluation, per_epoch=1, max_examples=max(2, config.batch_size)),
        parity_items=1,
    )


def run(
    work: job.Job, config: TrainConfig, arch: Architecture, full_shape: Shape, sampled: Shape, scratch: Path
) -> Calibration:
    """Run the job in a temporary folder under `scratch`.

    `work.config` and `sampled`: shortened configuration and its shape; `config` and `whole`: those of the whole run.
    Raises: TrainingFailed.
    """
    stamps: dict[int, float] = {}

    def on_event(event: job.Event) -> None:
        if event.kind == "step":
            stamps.setdefault(event.step, time.monotonic())

    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="probe-", dir=scratch) as folder:
        work = msgspec.structs.replace(work, run=str(Path(folder).resolve()))
        job.save(work.folder / "job.json", work)
        result = launch.run(work, log=work.folder / "train.log", on_event=on_event)
    return calibration(work, result, stamps, config, arch, full_shape, sampled)


def calibration(
    work: job.Job,
    result: job.Result,
    stamps: dict[int, float],
    config: TrainConfig,
    arch: Architecture,
    full_shape: Shape,
    sampled: Shape,
) -> Calibration:
    """Calibration from the steps' end times (monotonic seconds). Raises: TrainingFailed if there are too few."""
    timed = sorted(step for step in stamps if step >= WARM_UP)
    if len(timed) < 2 or stamps[timed[-1]] <= stamps[timed[0]]:
        raise TrainingFailed(f"the probe ran {len(stamps)} steps, too few to time: the dataset needs more rows")
    per_step = (stamps[timed[-1]] - stamps[timed[0]]) / (timed[-1] - timed[0])
    tokens = sampled.tokens / max(1, sampled.examples) * sampled.rows_per_update(work.config, work.processes)
    speed = tokens / per_step
    training = config.epochs * full_shape.tokens / speed
    rows = full_shape.validation_examples / max(1, full_shape.examples)
    measured_bytes = result.peak_gpu_bytes if work.device == "cuda" else result.peak_rss_bytes * work.processes
    peak = measured_bytes / estimate.GIB
    dtype = work.compute_dtype
    planned_peak = offers.needed_gib(config, arch, sampled, work.device, work.processes, dtype)
    # The sample's peak is measured; the addition for the run's longer rows is estimated.
    extra_gib = offers.needed_gib(config, arch, full_shape, work.device, work.processes, dtype) - planned_peak
    return Calibration(
        steps=result.steps,
        tokens_per_second=round(speed, 2),
        planned_tokens_per_second=round(_planned_speed(work, arch, sampled), 2),
        peak_gib=round(peak, 3),
        planned_peak_gib=round(planned_peak, 3),
        run_seconds=round(training * (1 + config.evaluation.per_epoch * rows * estimate.forward_share(config)), 1),
        run_gib=round(peak + max(0.0, extra_gib), 3),
    )


def _planned_speed(work: job.Job, arch: Architecture, sampled: Shape) -> float:
    """Training tokens per second that the estimate predicts here; 0 for an unknown GPU."""
    config = work.config
    training_only = msgspec.structs.replace(sampled, validation_examples=0)
    device: estimate.Device | estimate.Cpu
    if work.device == "cpu":
        device = compute_dtype.cpu(arch, work.compute_dtype)
    else:
        import torch

        gpu = offers.device_named(torch.cuda.get_device_name(0))
        if gpu is None:
            return 0.0
        device = gpu
    # Processes on one CPU share its cores.
    devices = work.processes if work.device == "cuda" else 1
    seconds = offers.seconds_of(config, arch, training_only, config.quantization, device, devices)
    return config.epochs * sampled.tokens / seconds if seconds else 0.0
