"""Time and cost of a training run on the GPUs it fits, and whether it fits this machine.

GPUs and their dated prices are in `configs/gpus.yaml`; time and memory come from `estimate`.
"""

import datetime as dt
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from pipeline.train import estimate
from pipeline.train.config import Architecture, TrainConfig
from pipeline.train.estimate import GIB
from pipeline.train.shape import Shape
from traffic import number_format
from traffic.adapters import ComputeDtype
from traffic.errors import ConfigError
from traffic.prices import Machine, load_machines

MAX_GPUS = 8
"""Maximum GPUs of one machine in a plan."""
TIGHT = 0.9
"""Share of a device's memory above which a fit is marked as tight."""
OOM_REFUSAL_RATIO = 1.5
"""A run that needs this many times the free memory is refused: more than the estimate's largest known error."""
NAMES = {"none": "LoRA", "nf4": "QLoRA"}


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """The run on one kind and number of GPUs."""

    gpu: str
    gpus: int
    method: str
    gib: float
    """Peak per GPU, driver included."""
    memory_gib: float
    fits: bool
    tokens_per_second: float
    """Of all GPUs, padding not counted."""
    seconds: float
    """Training and validation, without starting the machine and loading the weights."""
    usd: float
    usd_per_hour: float
    """Of each GPU."""
    provider: str
    price_date: dt.date
    price_source: str
    speed_assumed: bool
    """No published figure backs the speed of this kind."""
    recommended: bool = False

    def line(self) -> str:
        mark = "->" if self.recommended else "  "
        fits = "fits" if self.gib <= TIGHT * self.memory_gib else "tight" if self.fits else "does NOT fit"
        cost = f"{number_format.duration(self.seconds):>8} ${self.usd:>8,.2f}" if self.fits else f"{'-':>8}  {'-':>8}"
        gpu = f"{self.gpus} x {self.gpu}"
        price = f"${self.usd_per_hour:.2f}/h {self.provider} {self.price_date}"
        return (
            f"{mark} {gpu:21} {self.method:5} {self.gib:6.1f} of {self.memory_gib:5.1f} GiB {fits:12} "
            f"{self.tokens_per_second:>8,.0f}{'*' if self.speed_assumed else ' '}tokens/s {cost}  {price}"
        )


def workload(
    config: TrainConfig,
    shape: Shape,
    quantization: estimate.Quantization,
    *,
    device: str,
    processes: int,
    shards: int = 1,
) -> estimate.Pass:
    """The largest forward and backward pass of a run on one device."""
    packed = shape.packed(config, processes)
    # A GPU computes the loss in tiles; a CPU has completions' logits.
    return estimate.Pass(
        tokens=packed.length if packed else config.batch_size * shape.longest,
        length=shape.longest,
        logits=0 if device == "cuda" else config.batch_size * shape.longest_completion,
        checkpointing=config.gradient_checkpointing,
        quantization=quantization,
        shards=shards,
    )


def mean_pass(
    config: TrainConfig,
    shape: Shape,
    quantization: estimate.Quantization,
    *,
    device: str,
    processes: int,
    shards: int = 1,
) -> estimate.Pass:
    """The average forward and backward pass, from which the time of an epoch follows."""
    packed = shape.packed(config, processes)
    passes = max(1, packed.sequences if packed else math.ceil(shape.examples / config.batch_size))
    tokens = shape.computed / passes
    largest = workload(config, shape, quantization, device=device, processes=processes, shards=shards)
    mean = shape.tokens / max(1, shape.examples)
    logits = 0.0 if device == "cuda" else shape.supervised / passes
    return msgspec.structs.replace(largest, tokens=tokens, length=mean, logits=logits)


def seconds_of(
    config: TrainConfig,
    arch: Architecture,
    shape: Shape,
    quantization: estimate.Quantization,
    device: estimate.Device | estimate.Cpu,
    devices: int = 1,
) -> float:
    """Seconds of the whole run, validation included, on this many devices or on all cores of a CPU."""
    cpu = isinstance(device, estimate.Cpu)
    shards = devices if config.sharding == "fsdp2" else 1
    kind = "cpu" if cpu else "cuda"
    step = mean_pass(config, shape, quantization, device=kind, processes=devices, shards=shards)
    if isinstance(device, estimate.Cpu):
        pass_s = estimate.cpu_pass_seconds(arch, config.lora, step, device)
    else:
        pass_s = estimate.pass_seconds(arch, config.lora, step, device, devices)
    epoch = pass_s * shape.computed / max(1.0, step.tokens) / devices
    rows = shape.validation_examples / max(1, shape.examples)
    return config.epochs * epoch * (1 + config.evaluation.per_epoch * rows * estimate.forward_share(config))


def offers(config: TrainConfig, arch: Architecture, shape: Shape) -> list[Offer]:
    """Offers for each kind of GPU at its lowest price, LoRA and QLoRA, one GPU and several; the best is marked."""
    methods: tuple[Literal["none", "nf4"], ...] = ("none", "nf4")
    every = [
        _offer(config, arch, shape, quantization, machine, device_of(machine), count)
        for machine in cheapest()
        for count in counts(config)
        for quantization in methods
    ]
    fitting = [offer for offer in every if offer.fits]
    # A tight fit leaves less than the estimate's error.
    roomy = [offer for offer in fitting if offer.gib <= TIGHT * offer.memory_gib]
    best = min(roomy or fitting, key=lambda offer: (offer.usd, offer.gpus, offer.seconds), default=None)
    return [msgspec.structs.replace(offer, recommended=offer is best) for offer in every]


def shortlist(offers: Sequence[Offer]) -> list[Offer]:
    """The recommended offer, the cheapest fit of each method, and the fastest; the cheapest first.

    Empty if nothing fits.
    """
    fitting = sorted((offer for offer in offers if offer.fits), key=lambda offer: (offer.usd, offer.gpus))
    chosen = [offer for offer in fitting if offer.recommended]
    for method in NAMES.values():
        chosen += [offer for offer in fitting if offer.method == method][:1]
    chosen += sorted(fitting, key=lambda offer: offer.seconds)[:1]
    return [offer for offer in fitting if any(offer is other for other in chosen)]


def _offer(
    config: TrainConfig,
    arch: Architecture,
    shape: Shape,
    quantization: Literal["none", "nf4"],
    machine: Machine,
    device: estimate.Device,
    count: int,
) -> Offer:
    shards = count if config.sharding == "fsdp2" else 1
    step = workload(config, shape, quantization, device="cuda", processes=count, shards=shards)
    gib = (estimate.memory_bytes(arch, config.lora, step) + estimate.CONTEXT_BYTES) / GIB
    seconds = seconds_of(config, arch, shape, quantization, device, count)
    return Offer(
        gpu=device.name,
        gpus=count,
        method=NAMES[quantization],
        gib=round(gib, 2),
        memory_gib=device.memory_gib,
        fits=gib <= device.memory_gib,
        tokens_per_second=round(config.epochs * shape.tokens / seconds, 1) if seconds else 0.0,
        seconds=round(seconds, 1),
        usd=round(count * machine.usd_per_hour * seconds / 3600, 4),
        usd_per_hour=machine.usd_per_hour,
        provider=machine.provider,
        price_date=machine.date,
        price_source=machine.source,
        speed_assumed=not any(name in device.name for name in estimate.MEASURED),
    )


def cheapest() -> list[Machine]:
    """The newest, cheapest entry of each kind of GPU in `configs/gpus.yaml`, ordered by price."""
    machines = load_machines()
    newest = [machines.get(name) for name in dict.fromkeys(machine.name for machine in machines.machines)]
    kinds: dict[str, Machine] = {}
    for machine in newest:
        has_data_sheet = machine.gpu_mem_gib and machine.bf16_tflops and machine.mem_bandwidth_gbs
        if machine.gpu is None or not has_data_sheet or machine.gpus != 1:
            continue
        if machine.gpu not in kinds or machine.usd_per_hour < kinds[machine.gpu].usd_per_hour:
            kinds[machine.gpu] = machine
    return sorted(kinds.values(), key=lambda machine: machine.usd_per_hour)


def device_of(machine: Machine) -> estimate.Device:
    """The machine's GPU. Raises: ConfigError if its figures are not in configs/gpus.yaml."""
    if not (machine.gpu and machine.gpu_mem_gib and machine.bf16_tflops and machine.mem_bandwidth_gbs):
        raise ConfigError(f"configs/gpus.yaml: {machine.name} needs gpu_mem_gib, bf16_tflops and mem_bandwidth_gbs")
    name = machine.gpu.removeprefix("NVIDIA ")
    return estimate.Device(name, machine.gpu_mem_gib, machine.bf16_tflops, machine.mem_bandwidth_gbs)


def device_named(name: str) -> estimate.Device | None:
    """The GPU of the price table that the driver calls by this name; None if it has no such kind."""
    return next((device_of(machine) for machine in cheapest() if same_kind(machine.gpu or "", name)), None)


def same_kind(planned: str, actual: str) -> bool:
    """Whether a GPU of the price table is the one named by the driver."""
    kinds = ("4090", "A6000", "A10G", "A100", "L40S", "H100", "H200", "B200", "A10", "L4")
    first = [next((kind for kind in kinds if kind in name), None) for name in (planned, actual)]
    return first[0] is not None and first[0] == first[1]


def counts(config: TrainConfig) -> list[int]:
    """Numbers of devices to plan for: one, and the configured number or as many as the effective batch allows."""
    if config.processes and config.processes > 1:
        return [1, config.processes] if config.effective_batch % config.batch_size == 0 else [config.processes]
    possible = [n for n in range(1, MAX_GPUS + 1) if config.effective_batch % (config.batch_size * n) == 0]
    return sorted({1, possible[-1]}) if possible else [1]


def needed_gib(
    config: TrainConfig,
    arch: Architecture,
    shape: Shape,
    device: str,
    processes: int,
    compute_dtype: ComputeDtype = "bfloat16",
) -> float:
    """Memory of the run on one GPU, or on the machine, whose processes share it."""
    shards = processes if config.sharding == "fsdp2" else 1
    step = workload(config, shape, config.quantization, device=device, processes=processes, shards=shards)
    if device == "cuda":
        return (estimate.memory_bytes(arch, config.lora, step) + estimate.CONTEXT_BYTES) / GIB
    return processes * estimate.cpu_memory_bytes(arch, config.lora, step, compute_dtype) / GIB


def free_gib(device: str) -> float | None:
    """Free memory of the first GPU, or of the machine within the limit of its control group."""
    if device == "cuda":
        import torch

        return torch.cuda.mem_get_info()[0] / GIB if torch.cuda.is_available() else None
    limits = []
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        lines = dict(line.split(":", 1) for line in meminfo.read_text(encoding="ascii").splitlines() if ":" in line)
        limits.append(int(lines["MemAvailable"].split()[0]) * 1024)
    limit, used = (Path("/sys/fs/cgroup") / name for name in ("memory.max", "memory.current"))
    if limit.is_file() and used.is_file() and (text := limit.read_text().strip()).isdigit():
        limits.append(int(text) - int(used.read_text()))
    return min(limits) / GIB if limits else None


def warning(config: TrainConfig, required_gib: float, free: float | None, device: str) -> str | None:
    """Memory warning for a run, or None. Raises: ConfigError if it cannot fit."""
    if free is None or required_gib <= TIGHT * free:
        return None
    memory = "GPU memory" if device == "cuda" else "memory"
    first = f"batch_size (now {config.batch_size}) or max_length (now {config.max_length})"
    alternatives = [] if config.gradient_checkpointing else ["gradient_checkpointing=true"]
    alternatives += ["quantization=nf4"] if config.quantization == "none" and device == "cuda" else []
    fix = f"lower {first}" + (f", or set {' or '.join(alternatives)}" if alternatives else "")
    problem = f"this run needs about {required_gib:.1f} GiB of {memory} and {free:.1f} GiB are free"
    if required_gib > OOM_REFUSAL_RATIO * free:
        raise ConfigError(f"{problem}: {fix}")
    return f"warning     {problem}, which may not be enough: {fix}"
