"""Plan of a training run: parameters, memory, tokens, steps, cost and command, before anything runs.

    fasttier train --config configs/train/llama-3.1-8b.yaml --dry-run

Needs no weights, hub or GPU: the architecture's published numbers are in the configuration, and are checked by building
model and adapter on the meta device, where tensors have no data.
"""

import math
from typing import Any, NamedTuple

import msgspec

from pipeline.train import compute_dtype, offers
from pipeline.train.config import Architecture, TrainConfig
from pipeline.train.estimate import head_dim, lora_parameters, parameters
from pipeline.train.offers import Offer
from pipeline.train.shape import CHARACTERS_PER_TOKEN, Shape
from traffic import config as configuration
from traffic.adapters import ComputeDtype
from traffic.errors import ConfigError
from traffic.number_format import duration

NAMES = {"none": "LoRA, whole base", "nf4": "QLoRA, nf4 base"}


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """Measurements of a probe on this machine, extrapolated to the whole run."""

    steps: int
    tokens_per_second: float
    """Prompt and completion tokens of training steps, without padding."""
    planned_tokens_per_second: float
    peak_gib: float
    planned_peak_gib: float
    """For the probe's rows, which may be shorter than the run's longest."""
    run_seconds: float
    """Time of the whole run at the measured speed, validation included."""
    run_gib: float
    """Peak of the whole run: the measured one plus the estimate for longer rows."""

    def lines(self) -> list[str]:
        speed = f"{self.tokens_per_second:,.0f} tokens/s (planned {self.planned_tokens_per_second:,.0f})"
        peak = f"peak {self.peak_gib:.2f} GiB (planned {self.planned_peak_gib:.2f})"
        return [
            f"probe       {self.steps} steps here: {speed}, {peak}",
            f"whole run   {duration(self.run_seconds)} here at that speed, peak about {self.run_gib:.1f} GiB",
        ]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Result of `--dry-run` and `fasttier plan`."""

    model: str
    dataset: str
    device: str
    processes: int
    parameters: int
    lora_parameters: int
    checked_on_meta_device: bool
    offers: list[Offer]
    """Per kind of GPU: LoRA and QLoRA, on one and on several."""
    here_gib: float
    """Memory of the configured run on one GPU, or of the machine on a CPU."""
    here_seconds: float | None
    """Time on this machine's CPU; None for a GPU run."""
    free_gib: float | None
    """Free memory of this machine; None for a GPU that is not here."""
    shape: Shape
    steps: int
    steps_per_epoch: int
    accumulation: int
    command: list[str]
    config: TrainConfig
    calibration: Calibration | None = None
    all_offers: bool = False
    """Print every offer instead of the shortlist."""
    compute_dtype: ComputeDtype = "bfloat16"
    """Of the configured run: this machine's, or a GPU's where it is planned for one."""

    def lines(self) -> list[str]:
        """The plan as text."""
        shape, config = self.shape, self.config
        checked = ", checked on the meta device" if self.checked_on_meta_device else ""
        share = 100 * self.lora_parameters / self.parameters
        other = "none" if config.quantization == "nf4" else "nf4"
        dropped = f", {shape.too_long:,} longer than {config.max_length} tokens left out" if shape.too_long else ""
        note = (
            "" if shape.measured else f" (estimated, {CHARACTERS_PER_TOKEN:g} characters per token: no tokenizer here)"
        )
        rows = f"{shape.examples:,} training, {shape.validation_examples:,} validation examples"
        packed = shape.packed(config, self.processes)
        per_pass = f"1 sequence of {packed.length:,} tokens" if packed else str(config.batch_size)
        batch = f"{per_pass} per device x {self.processes} processes x {self.accumulation} accumulated"
        return [
            f"model       {self.model}: {self.parameters:,} parameters{checked}",
            f"adapter     rank {config.lora.rank}, {self.lora_parameters:,} parameters ({share:.2f}%)",
            f"method      {NAMES[config.quantization]}; --set quantization={other} for the other",
            f"dataset     {self.dataset}: {rows}{dropped}",
            f"tokens      {shape.tokens:,} per epoch, {shape.supervised:,} supervised; longest {shape.longest:,}{note}",
            f"steps       {self.steps:,} = {config.epochs:g} epochs x {self.steps_per_epoch:,}; {batch}",
            *self._location_lines(),
            *(self.calibration.lines() if self.calibration else []),
            f"command     {' '.join(self.command)}",
            "config",
            *(f"  {line}" for line in configuration.dump(config).splitlines()),
        ]

    def _location_lines(self) -> list[str]:
        """Memory, time and cost per kind of GPU."""
        free = f", {self.free_gib:.1f} GiB free" if self.free_gib is not None else ""
        location = f"this machine's CPU in {self.compute_dtype}" if self.device == "cpu" else "each GPU, as configured"
        time = f", about {duration(self.here_seconds)}" if self.here_seconds is not None else ""
        lines = [f"memory      {self.here_gib:.1f} GiB on {location}{free}{time}"]
        if self.offers:
            lines += ["gpus        -> is the cheapest that fits with room; * speed assumed, no published figure"]
            listed = self.offers if self.all_offers else offers.shortlist(self.offers)
            lines += [offer.line() for offer in listed]
            if hidden := len(self.offers) - len(listed):
                lines.append(f"            {hidden} more offers: fasttier plan --all")
            if not any(offer.recommended for offer in self.offers):
                lines.append("no GPU fits: lower batch_size or max_length, or set sharding=fsdp2 with more processes")
        return lines


class Machine(NamedTuple):
    """The machine that would train."""

    device: str
    processes: int
    dtype: ComputeDtype = "bfloat16"


def make(
    config: TrainConfig,
    arch: Architecture,
    shape: Shape,
    here: Machine,
    *,
    dataset: str,
    command: list[str],
    check: bool = True,
) -> Plan:
    """Plan of a run. Raises: ConfigError, also if transformers builds another number of parameters."""
    device, processes, dtype = here
    counts = parameters(arch), lora_parameters(arch, config.lora)
    if check and (built := meta_counts(config, arch)) != counts:
        raise ConfigError(
            f"model.architecture of {config.model.name}: {counts[0]:,} and {counts[1]:,} adapter parameters by "
            f"arithmetic, {built[0]:,} and {built[1]:,} as transformers and PEFT build it; correct its numbers"
        )
    steps_per_epoch = shape.updates(config, processes)
    packed = shape.packed(config, processes)
    return Plan(
        model=config.model.name,
        dataset=dataset,
        device=device,
        processes=processes,
        parameters=counts[0],
        lora_parameters=counts[1],
        checked_on_meta_device=check,
        offers=offers.offers(config, arch, shape),
        here_gib=round(offers.needed_gib(config, arch, shape, device, processes, dtype), 2),
        here_seconds=_seconds_here(config, arch, shape, dtype) if device == "cpu" else None,
        free_gib=None if (free := offers.free_gib(device)) is None else round(free, 2),
        shape=shape,
        steps=math.ceil(config.epochs * steps_per_epoch),
        steps_per_epoch=steps_per_epoch,
        accumulation=packed.accumulation if packed else config.accumulation(processes),
        command=command,
        config=config,
        compute_dtype=dtype,
    )


def dtype_of(config: TrainConfig, arch: Architecture, device: str) -> ComputeDtype:
    """Compute dtype of a planned run; bfloat16 for a GPU that is not here, as all GPUs of the plan have it."""
    import torch

    absent = device == "cuda" and not torch.cuda.is_available()
    return "bfloat16" if absent and config.compute_dtype == "auto" else compute_dtype.resolve(config, arch, device)


def _seconds_here(config: TrainConfig, arch: Architecture, shape: Shape, dtype: ComputeDtype) -> float:
    cpu = compute_dtype.cpu(arch, dtype)
    return round(offers.seconds_of(config, arch, shape, config.quantization, cpu), 1)


def meta_counts(config: TrainConfig, arch: Architecture) -> tuple[int, int]:
    """(base, adapter) parameter counts of the real classes, built on the meta device."""
    import peft
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config

    sizes = {"llama": LlamaConfig, "qwen2": Qwen2Config}[arch.kind](**published_sizes(arch))
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(sizes)
        base = sum(p.numel() for p in model.parameters())
        adapted = peft.get_peft_model(
            model,
            peft.LoraConfig(
                task_type="CAUSAL_LM",
                r=config.lora.rank,
                **config.lora.peft_modules(arch.layers),
            ),
        )
    return base, sum(p.numel() for p in adapted.parameters() if p.requires_grad)


def published_sizes(arch: Architecture) -> dict[str, Any]:
    """The architecture as arguments of its class in transformers."""
    return {
        "num_hidden_layers": arch.layers,
        "hidden_size": arch.hidden,
        "intermediate_size": arch.intermediate,
        "num_attention_heads": arch.heads,
        "num_key_value_heads": arch.kv_heads,
        "head_dim": head_dim(arch),
        "vocab_size": arch.vocab,
        "tie_word_embeddings": arch.tied_embeddings,
    }


def architecture_of(folder_config: dict[str, Any], name: str) -> Architecture:
    """Architecture from a model's config.json. Raises: ConfigError for unsupported architectures."""
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
