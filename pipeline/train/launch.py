"""Starts and supervises the training processes, and reports a failure in one line."""

import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from pipeline.train import machines
from pipeline.train.compute_dtype import MIXED_PRECISION
from pipeline.train.config import CONFIGS, TrainConfig
from pipeline.train.job import Event, EventReader, Job, Result
from traffic.adapters import ComputeDtype
from traffic.errors import TrainingFailed
from traffic.processes import cores, guarded

ROOT = Path(__file__).resolve().parents[2]
POLL_SECONDS = 0.2
GRACE_SECONDS = 10.0


def accelerate_config(config: TrainConfig, processes: int) -> Path:
    """The shipped accelerate configuration for this number of processes."""
    kind = "single"
    if processes > 1:
        sharded = "fsdp2-qlora" if config.quantization == "nf4" else "fsdp2"
        kind = sharded if config.sharding == "fsdp2" else "ddp"
    return CONFIGS / "accelerate" / f"{kind}.yaml"


def command(
    job: Path,
    config: TrainConfig,
    *,
    device: str,
    processes: int,
    compute_dtype: ComputeDtype = "bfloat16",
    node: machines.Node | None = None,
) -> list[str]:
    """The `accelerate launch` command line of a job on this machine, without the interpreter."""
    chosen = accelerate_config(config, processes)
    recompute = config.gradient_checkpointing and chosen.name.startswith("fsdp2")
    return [
        "accelerate",
        "launch",
        "--config_file",
        str(chosen),
        # Always explicit: the shipped files do not set it, and a user's own defaults must not apply.
        "--mixed_precision",
        MIXED_PRECISION[compute_dtype],
        *(["--fsdp_activation_checkpointing", "true"] if recompute else []),
        "--num_processes",
        str(processes),
        *machines.arguments(config.machines, node),
        # accelerate's default is one thread per process.
        "--num_cpu_threads_per_process",
        str(threads(device, processes // config.machines)),
        "-m",
        "pipeline.train.entry",
        str(job),
    ]


def threads(device: str, processes: int) -> int:
    """CPU threads per process: OMP_NUM_THREADS if set, else cores / processes (at most 8 with a GPU)."""
    configured = os.environ.get("OMP_NUM_THREADS", "")
    if configured.isdigit() and int(configured):
        return int(configured)
    share = max(1, cores() // processes)
    return share if device == "cpu" else min(share, 8)


def run(
    work: Job,
    *,
    log: Path,
    on_event: Callable[[Event], None],
    gpu: int | None = None,
    watch: Callable[[], None] = lambda: None,
) -> Result:
    """Run the job of its folder's job.json and pass on its events.

    All its processes have ended when this returns or raises, also if `on_event` or `watch` raises. `watch` is called
    at every poll. `gpu`: use only this GPU.
    Raises: TrainingFailed with the log file and its last meaningful line.
    """
    reader = EventReader(work.folder)

    def tick() -> None:
        watch()
        for event in reader.new():
            on_event(event)

    run_here(work, log, tick, gpu=gpu)
    return msgspec.json.decode((work.folder / "result.json").read_bytes(), type=Result)


def run_here(work: Job, log: Path, tick: Callable[[], None], *, gpu: int | None = None) -> None:
    """Run this machine's processes of the job until they end. Raises: TrainingFailed."""
    config = work.config
    node = machines.here(config.machines) if config.machines > 1 else None
    accelerate = command(
        work.folder / "job.json",
        config,
        device=work.device,
        processes=work.processes,
        compute_dtype=work.compute_dtype,
        node=node,
    )
    arguments = [sys.executable, "-m", "accelerate.commands.launch", *accelerate[2:], "--stop-with-stdin"]
    count = work.processes // config.machines
    attend(arguments, environment(work.device, gpu, processes=count, hub=config.kernels), log, tick)


def attend(arguments: list[str], variables: dict[str, str], log: Path, tick: Callable[[], None]) -> None:
    """Run a process with its output in `log`; `tick` is called at every poll and once after the end.

    The process and its children end when this process ends for any reason.
    Raises: TrainingFailed.
    """
    with log.open("ab") as output:
        start = output.tell()
        with guarded(arguments, output=output, env=variables, grace_s=GRACE_SECONDS) as program:
            while program.wait(POLL_SECONDS) is None:
                tick()
    tick()
    if program.returncode:
        with log.open("rb") as file:
            file.seek(start)
            text = file.read().decode(errors="replace")
        raise TrainingFailed(f"{failure(text, program.returncode)}; log: {log}")


def environment(device: str, gpu: int | None = None, *, processes: int = 1, hub: bool = False) -> dict[str, str]:
    """Environment variables of the training processes.

    Visible GPUs: the first `processes`, or only number `gpu`, counted within this process's own CUDA_VISIBLE_DEVICES.
    With more visible GPUs than processes, transformers would use `nn.DataParallel`, which TRL refuses. `hub`: allow
    downloads of fused kernels from the Hugging Face hub.
    """
    variables = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
        # The weights are already local; a library that queries the hub anyway would block without a network.
        "HF_HUB_OFFLINE": "0" if hub else "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
    }
    if device == "cpu":
        variables["CUDA_VISIBLE_DEVICES"] = ""
        # Threads that spin while they wait gain nothing, and beside one busy process a step takes ten times as long.
        variables.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    else:
        gpu_numbers = range(processes) if gpu is None else [gpu]
        visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
        variables["CUDA_VISIBLE_DEVICES"] = ",".join(visible[n] if visible else str(n) for n in gpu_numbers)
    return variables


_ERROR = re.compile(
    r"^(?:\[rank\d+\]: )?((?:\w+\.)*\w*(?:Error|Exception|Failed|NotEnoughData|NotFound|Unsupported)): (.+)$"
)
_LAUNCHER = ("CalledProcessError", "ChildFailedError")
_OURS = ("traffic.errors.",)


def failure(log: str, status: int) -> str:
    """The cause of a failed training in one line from its log, with the remedy if known."""
    matches = [match for line in log.splitlines() if (match := _ERROR.match(line.strip()))]
    causes = [match for match in matches if not match[1].endswith(_LAUNCHER)]
    if causes:
        # The first process that fails has the cause; the others fail because it ended.
        name, message = causes[0][1], causes[0][2]
        if name.startswith(_OURS):
            return message
        if name.endswith("OutOfMemoryError") or "out of memory" in message.lower():
            return "out of GPU memory: lower batch_size or max_length, or set quantization=nf4"
        return f"training failed: {name}: {message}"
    if status in (-signal.SIGKILL, 128 + signal.SIGKILL) or "SIGKILL" in log or "Signals.SIGKILL: 9" in log:
        return "the training process was killed, most likely because memory ran out: lower batch_size or max_length"
    last = next((line.strip() for line in reversed(log.splitlines()) if line.strip()), "no output")
    return f"training failed with status {status}: {last}"
