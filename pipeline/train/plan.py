"""What a training run will take, before it costs anything: parameters, memory, tokens, steps, command.

    fasttier train --config configs/train/llama-3.1-8b.yaml --dry-run

Needs neither weights nor hub nor GPU: the architecture's published numbers are in the configuration,
and are checked by building the model and its adapter on the meta device, where tensors have no data.
"""

import datetime as dt
import math
import os
import random
from pathlib import Path
from typing import Any, Literal

import msgspec

from pipeline.train import estimate
from pipeline.train.config import Architecture, LoraConfig, TrainConfig
from pipeline.train.estimate import GIB, linear_shapes, lora_parameters, parameters
from traffic import config as configuration
from traffic.errors import ConfigError
from traffic.prices import Machine, load_machines

__all__ = ["GIB", "Offer", "Plan", "Shape", "linear_shapes", "lora_parameters", "parameters"]

MANY = 8
"""Devices of one machine that a plan looks at, at most."""
TIGHT = 0.9
"""Share of a device's memory above which a run that fits is called tight."""
SURELY_TOO_MUCH = 1.5
"""Times the free memory at which a run is refused: further than the estimate has ever been off."""
NAMES = {"none": "LoRA", "nf4": "QLoRA"}

CHARACTERS_PER_TOKEN = 4.0
TEMPLATE_TOKENS = 25
"""Rough size of a row where no tokenizer is at hand; the plan says so."""


class Shape(msgspec.Struct, frozen=True):
    """The dataset as it will be trained on."""

    examples: int
    validation_examples: int
    too_long: int
    tokens: int
    """Prompt and completion tokens of one epoch."""
    supervised: int
    """Completion tokens of one epoch: those that carry loss."""
    longest: int
    computed: int
    """Tokens of one epoch with the padding of its batches."""
    longest_completion: int
    measured: bool
    """Counted with the model's tokenizer; else estimated from characters."""


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """The run on so many GPUs of one kind."""

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
    """Training and validation; the machine's start and loading the weights come on top."""
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
        cost = f"{clock(self.seconds):>8} ${self.usd:>8,.2f}" if self.fits else f"{'-':>8}  {'-':>8}"
        gpu = f"{self.gpus} x {self.gpu}"
        price = f"${self.usd_per_hour:.2f}/h {self.provider} {self.price_date}"
        return (
            f"{mark} {gpu:21} {self.method:5} {self.gib:6.1f} of {self.memory_gib:5.1f} GiB {fits:12} "
            f"{self.tokens_per_second:>8,.0f}{'*' if self.speed_assumed else ' '}tokens/s {cost}  {price}"
        )


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """What a probe measured on this machine, and what follows for the whole run."""

    steps: int
    tokens_per_second: float
    """Of prompt and completion, padding not counted, without validation."""
    planned_tokens_per_second: float
    peak_gib: float
    planned_peak_gib: float
    """Of the probe's own rows, which may be shorter than the run's longest."""
    run_seconds: float
    """The whole run at the measured speed, validation included."""
    run_gib: float
    """The whole run's peak: the measured one, and what its longer rows add."""

    def lines(self) -> list[str]:
        return [
            f"probe       {self.steps} steps here: {self.tokens_per_second:,.0f} tokens/s (planned "
            f"{self.planned_tokens_per_second:,.0f}), peak {self.peak_gib:.2f} GiB (planned {self.planned_peak_gib:.2f})",
            f"whole run   {clock(self.run_seconds)} here at that speed, peak about {self.run_gib:.1f} GiB",
        ]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What `--dry-run` reports."""

    model: str
    dataset: str
    device: str
    processes: int
    parameters: int
    lora_parameters: int
    checked_on_meta_device: bool
    offers: list[Offer]
    """Kinds of GPU, with LoRA and QLoRA, one of it and several."""
    here_gib: float
    """What the configured run takes of one GPU, or of the machine's memory on a CPU."""
    here_seconds: float | None
    """The configured run on this machine's CPU; None where it is for a GPU."""
    free_gib: float | None
    """Memory that is free on this machine; None where the run is for a GPU that is not here."""
    shape: Shape
    steps: int
    steps_per_epoch: int
    accumulation: int
    command: list[str]
    config: TrainConfig
    calibration: Calibration | None = None

    def lines(self) -> list[str]:
        """The plan for people."""
        shape, config = self.shape, self.config
        checked = ", checked on the meta device" if self.checked_on_meta_device else ""
        share = 100 * self.lora_parameters / self.parameters
        names = {"none": "LoRA, bfloat16 base", "nf4": "QLoRA, nf4 base"}
        other = "none" if config.quantization == "nf4" else "nf4"
        dropped = f", {shape.too_long:,} longer than {config.max_length} tokens left out" if shape.too_long else ""
        how = (
            "" if shape.measured else f" (estimated, {CHARACTERS_PER_TOKEN:g} characters per token: no tokenizer here)"
        )
        rows = f"{shape.examples:,} training, {shape.validation_examples:,} validation examples"
        batch = f"{config.batch_size} per device x {self.processes} processes x {self.accumulation} accumulated"
        return [
            f"model       {self.model}: {self.parameters:,} parameters{checked}",
            f"adapter     rank {config.lora.rank}, {self.lora_parameters:,} parameters ({share:.2f}%)",
            f"method      {names[config.quantization]}; --set quantization={other} for the other",
            f"dataset     {self.dataset}: {rows}{dropped}",
            f"tokens      {shape.tokens:,} per epoch, {shape.supervised:,} supervised; longest {shape.longest:,}{how}",
            f"steps       {self.steps:,} = {config.epochs:g} epochs x {self.steps_per_epoch:,}; {batch}",
            *self._places(),
            *(self.calibration.lines() if self.calibration else []),
            f"command     {' '.join(self.command)}",
            "config",
            *(f"  {line}" for line in configuration.dump(config).splitlines()),
        ]

    def _places(self) -> list[str]:
        """Where the run fits, how long it takes there, and what that costs."""
        free = f", {self.free_gib:.1f} GiB free" if self.free_gib is not None else ""
        where = "this machine's CPU" if self.device == "cpu" else "each GPU, as configured"
        time = f", about {clock(self.here_seconds)}" if self.here_seconds is not None else ""
        found = [f"memory      {self.here_gib:.1f} GiB on {where}{free}{time}"]
        if self.offers:
            found += ["gpus        -> is the cheapest that fits; * speed assumed, not measured by anybody"]
            found += [offer.line() for offer in self.offers]
            if not any(offer.recommended for offer in self.offers):
                found.append("no GPU fits: lower batch_size or max_length, or set sharding=fsdp2 with more processes")
        return found


def clock(seconds: float) -> str:
    """Hours and minutes, or seconds where it is short."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"


def workload(
    config: TrainConfig, shape: Shape, quantization: estimate.Quantization, *, device: str, shards: int = 1
) -> estimate.Pass:
    """The largest forward and backward pass of a run on one device."""
    length = config.max_length if config.packing else shape.longest
    # Where packed, a batch is so many full sequences. A GPU computes the loss in tiles; a CPU has completions' logits.
    return estimate.Pass(
        tokens=config.batch_size * length,
        length=length,
        logits=0 if device == "cuda" else config.batch_size * shape.longest_completion,
        checkpointing=config.gradient_checkpointing,
        quantization=quantization,
        shards=shards,
    )


def mean_pass(
    config: TrainConfig, shape: Shape, quantization: estimate.Quantization, *, device: str, shards: int = 1
) -> estimate.Pass:
    """The average forward and backward pass: what the time of an epoch is made of."""
    passes = max(1, math.ceil(shape.examples / config.batch_size))
    tokens = shape.computed / passes
    if config.packing:
        passes = max(1, math.ceil(shape.computed / (config.batch_size * config.max_length)))
        tokens = shape.computed / passes
    largest = workload(config, shape, quantization, device=device, shards=shards)
    mean = shape.tokens / max(1, shape.examples)
    logits = 0.0 if device == "cuda" else shape.supervised / passes
    return msgspec.structs.replace(largest, tokens=tokens, length=mean, logits=logits)


def seconds_of(
    config: TrainConfig,
    arch: Architecture,
    shape: Shape,
    quantization: estimate.Quantization,
    where: estimate.Device | int,
    devices: int = 1,
) -> float:
    """Training and validation of the whole run on so many devices, or on so many CPU cores (an int)."""
    cpu = isinstance(where, int)
    shards = devices if config.sharding == "fsdp2" else 1
    step = mean_pass(config, shape, quantization, device="cpu" if cpu else "cuda", shards=shards)
    if isinstance(where, int):
        one = estimate.cpu_pass_seconds(arch, config.lora, step, where)
    else:
        one = estimate.pass_seconds(arch, config.lora, step, where, devices)
    epoch = one * shape.computed / max(1.0, step.tokens) / devices
    # A validation is the forward third or quarter of a pass over its rows, `per_epoch` times.
    forward = 1 / (4 if config.gradient_checkpointing else 3)
    rows = shape.validation_examples / max(1, shape.examples)
    return config.epochs * epoch * (1 + config.evaluation.per_epoch * rows * forward)


def offers(config: TrainConfig, arch: Architecture, shape: Shape) -> list[Offer]:
    """Each kind of GPU at its lowest price, with LoRA and QLoRA, one of it and several; the cheapest fit is marked."""
    found: list[Offer] = []
    for machine in cheapest():
        device = device_of(machine)
        for count in counts(config):
            for quantization in ("none", "nf4"):
                found.append(_offer(config, arch, shape, quantization, machine, device, count))
    fitting = [offer for offer in found if offer.fits]
    best = min(fitting, key=lambda offer: (offer.usd, offer.gpus, offer.seconds), default=None)
    return [msgspec.structs.replace(offer, recommended=offer is best) for offer in found]


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
    step = workload(config, shape, quantization, device="cuda", shards=shards)
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
        speed_assumed=device.family in estimate.ASSUMED,
    )


def cheapest() -> list[Machine]:
    """Of each kind of GPU in `configs/gpus.yaml` the newest entry with the lowest price, by price."""
    machines = load_machines()
    newest = [machines.get(name) for name in dict.fromkeys(machine.name for machine in machines.machines)]
    kinds: dict[str, Machine] = {}
    for machine in newest:
        known = machine.gpu_mem_gib and machine.bf16_tflops and machine.mem_bandwidth_gbs
        if machine.gpu is None or not known or machine.gpus != 1:
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


def counts(config: TrainConfig) -> list[int]:
    """Numbers of devices to plan for: one, and the configured number or as many as the effective batch allows."""
    if config.processes and config.processes > 1:
        return [1, config.processes] if config.effective_batch % config.batch_size == 0 else [config.processes]
    many = [n for n in range(1, MANY + 1) if config.effective_batch % (config.batch_size * n) == 0]
    return sorted({1, many[-1]}) if many else [1]


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0))


def needed_gib(config: TrainConfig, arch: Architecture, shape: Shape, device: str, processes: int) -> float:
    """What the run takes of one GPU's memory, or of the machine's, where its processes share it."""
    shards = processes if config.sharding == "fsdp2" else 1
    step = workload(config, shape, config.quantization, device=device, shards=shards)
    if device == "cuda":
        return (estimate.memory_bytes(arch, config.lora, step) + estimate.CONTEXT_BYTES) / GIB
    return processes * estimate.cpu_memory_bytes(arch, config.lora, step) / GIB


def free_gib(device: str) -> float | None:
    """Free memory of the first GPU, or of the machine as Linux counts it and as its control group allows."""
    if device == "cuda":
        import torch

        return torch.cuda.mem_get_info()[0] / GIB if torch.cuda.is_available() else None
    limits = []
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        lines = dict(line.split(":", 1) for line in meminfo.read_text(encoding="ascii").splitlines() if ":" in line)
        limits.append(int(lines["MemAvailable"].split()[0]) * 1024)
    most, used = (Path("/sys/fs/cgroup") / name for name in ("memory.max", "memory.current"))
    if most.is_file() and used.is_file() and (text := most.read_text().strip()).isdigit():
        limits.append(int(text) - int(used.read_text()))
    return min(limits) / GIB if limits else None


def warning(config: TrainConfig, needed: float, free: float | None, device: str) -> str | None:
    """What to say of a run before it starts. Raises: ConfigError if it would surely not fit."""
    if free is None or needed <= TIGHT * free:
        return None
    what = "GPU memory" if device == "cuda" else "memory"
    first = f"batch_size (now {config.batch_size}) or max_length (now {config.max_length})"
    more = [] if config.gradient_checkpointing else ["gradient_checkpointing=true"]
    more += ["quantization=nf4"] if config.quantization == "none" and device == "cuda" else []
    fix = f"lower {first}" + (f", or set {' or '.join(more)}" if more else "")
    told = f"this run needs about {needed:.1f} GiB of {what} and {free:.1f} GiB are free"
    if needed > SURELY_TOO_MUCH * free:
        raise ConfigError(f"{told}: {fix}")
    return f"warning     {told}, which may not be enough: {fix}"


def estimate_shape(splits: dict[str, list[dict[str, Any]]], config: TrainConfig) -> Shape:
    """Sizes from characters alone, for machines without the model's tokenizer."""

    def size(turns: list[dict[str, str]]) -> int:
        return math.ceil(sum(len(turn["content"]) for turn in turns) / CHARACTERS_PER_TOKEN)

    sizes = {
        name: [(size(row["prompt"]) + TEMPLATE_TOKENS, size(row["completion"]) + 1) for row in rows]
        for name, rows in splits.items()
    }
    return shape(sizes["train"], len(sizes["validation"]), config, measured=False)


def shape(sizes: list[tuple[int, int]], validation: int, config: TrainConfig, *, measured: bool) -> Shape:
    """The shape of rows given as (prompt tokens, completion tokens); those past `max_length` count as left out."""
    fitting = [(prompt, completion) for prompt, completion in sizes if prompt + completion <= config.max_length]
    return Shape(
        examples=len(fitting),
        validation_examples=validation,
        too_long=len(sizes) - len(fitting),
        tokens=sum(prompt + completion for prompt, completion in fitting),
        supervised=sum(completion for _, completion in fitting),
        longest=max((prompt + completion for prompt, completion in fitting), default=0),
        computed=padded([prompt + completion for prompt, completion in fitting], config),
        longest_completion=max((completion for _, completion in fitting), default=0),
        measured=measured,
    )


def padded(lengths: list[int], config: TrainConfig) -> int:
    """Tokens of one epoch as they are computed: batches padded to their longest row, or packed without any padding."""
    if config.packing:
        return sum(lengths)
    if config.group_by_length:
        order = sorted(lengths)
    else:
        order = random.Random(config.seed).sample(lengths, len(lengths))
    batches = (order[n : n + config.batch_size] for n in range(0, len(order), config.batch_size))
    return sum(len(batch) * max(batch) for batch in batches)


def make(
    config: TrainConfig,
    arch: Architecture,
    *,
    dataset: str,
    shape: Shape,
    device: str,
    processes: int,
    command: list[str],
    check: bool = True,
) -> Plan:
    """The plan of a run. Raises: ConfigError, also if the architecture's numbers are not what transformers builds."""
    counts = parameters(arch), lora_parameters(arch, config.lora)
    if check and (built := meta_counts(config, arch)) != counts:
        raise ConfigError(
            f"model.architecture of {config.model.name}: {counts[0]:,} and {counts[1]:,} adapter parameters by "
            f"arithmetic, {built[0]:,} and {built[1]:,} as transformers and PEFT build it; correct its numbers"
        )
    steps_per_epoch = math.ceil(shape.examples / config.effective_batch)
    return Plan(
        model=config.model.name,
        dataset=dataset,
        device=device,
        processes=processes,
        parameters=counts[0],
        lora_parameters=counts[1],
        checked_on_meta_device=check,
        offers=offers(config, arch, shape),
        here_gib=round(needed_gib(config, arch, shape, device, processes), 2),
        here_seconds=round(seconds_of(config, arch, shape, config.quantization, cores()), 1)
        if device == "cpu"
        else None,
        free_gib=None if (free := free_gib(device)) is None else round(free, 2),
        shape=shape,
        steps=math.ceil(config.epochs * steps_per_epoch),
        steps_per_epoch=steps_per_epoch,
        accumulation=config.accumulation(processes),
        command=command,
        config=config,
    )


def meta_counts(config: TrainConfig, arch: Architecture) -> tuple[int, int]:
    """(base, adapter) parameters of the real classes, built on the meta device: shapes without memory."""
    import peft
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config

    numbers = {
        "num_hidden_layers": arch.layers,
        "hidden_size": arch.hidden,
        "intermediate_size": arch.intermediate,
        "num_attention_heads": arch.heads,
        "num_key_value_heads": arch.kv_heads,
        "head_dim": head_dim(arch),
        "vocab_size": arch.vocab,
        "tie_word_embeddings": arch.tied_embeddings,
    }
    targets = config.lora.target_modules
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config({"llama": LlamaConfig, "qwen2": Qwen2Config}[arch.kind](**numbers))
        base = sum(p.numel() for p in model.parameters())
        adapted = peft.get_peft_model(
            model,
            peft.LoraConfig(
                task_type="CAUSAL_LM",
                r=config.lora.rank,
                target_modules=targets if isinstance(targets, str) else list(targets),
            ),
        )
    return base, sum(p.numel() for p in adapted.parameters() if p.requires_grad)


def architecture_of(folder_config: dict[str, Any], name: str) -> Architecture:
    """The numbers out of a model's config.json. Raises: ConfigError for architectures that are not known here."""
    kind = folder_config.get("model_type")
    if kind not in ("llama", "qwen2"):
        raise ConfigError(f"{name}: model_type {kind!r} cannot be planned; llama and qwen2 can")
    return Architecture(
        kind=kind,
        layers=folder_config["num_hidden_layers"],
        hidden=folder_config["hidden_size"],
        intermediate=folder_config["intermediate_size"],
        heads=folder_config["num_attention_heads"],
        kv_heads=folder_config["num_key_value_heads"],
        vocab=folder_config["vocab_size"],
        head_dim=folder_config.get("head_dim"),
        tied_embeddings=folder_config.get("tie_word_embeddings", False),
    )
