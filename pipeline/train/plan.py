"""What a training run will take, before it costs anything: parameters, memory, tokens, steps, command.

    fasttier train --config configs/train/llama-3.1-8b.yaml --dry-run

Needs neither weights nor hub nor GPU: the architecture's published numbers are in the configuration,
and are checked by building the model and its adapter on the meta device, where tensors have no data.
"""

import math
from typing import Any

import msgspec

from pipeline.train.config import Architecture, LoraConfig, TrainConfig
from traffic import config as configuration
from traffic.errors import ConfigError

GIB = 2**30

GPU_MEMORY_GIB = {
    "L4 / RTX 4090 / A10G 24 GB": 22.5,
    "L40S / A6000 48 GB": 44.5,
    "A100 / H100 80 GB": 79.0,
    "H200 141 GB": 139.0,
}
"""What a process can use of each kind: the size that the driver reports. Vendors' data sheets, read 2026-11-23."""

NF4_BYTES = 0.5 + 0.127 / 8
"""Bytes per parameter in 4-bit NormalFloat with double quantisation: 0.127 bits of constants.
Source: QLoRA (arXiv 2305.14314), section 3."""

LAYER_BYTES = 70
"""Bytes per token and hidden unit that one decoder layer keeps for its backward pass, at the upper end of the
34 to 70 that attention implementations need. Source: Reducing Activation Recomputation (arXiv 2205.05198), eq. 2."""

OVERHEAD_BYTES = 2 * 10**9
"""CUDA context, cuBLAS workspaces and fragmentation."""

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
    measured: bool
    """Counted with the model's tokenizer; else estimated from characters."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What `--dry-run` reports."""

    model: str
    dataset: str
    device: str
    processes: int
    parameters: int
    lora_parameters: int
    checked_on_meta_device: bool
    memory_gib: dict[str, float]
    """Per device, for `none` (LoRA on bfloat16) and `nf4` (QLoRA)."""
    fits: dict[str, dict[str, bool]]
    """Per quantisation, per kind of GPU."""
    shape: Shape
    steps: int
    steps_per_epoch: int
    accumulation: int
    command: list[str]
    config: TrainConfig

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
            *(
                f"memory      {names[kind]}: {gib:.1f} GiB per device; "
                + ", ".join(f"{gpu}: {'fits' if ok else 'does NOT fit'}" for gpu, ok in self.fits[kind].items())
                for kind, gib in self.memory_gib.items()
            ),
            f"command     {' '.join(self.command)}",
            "config",
            *(f"  {line}" for line in configuration.dump(config).splitlines()),
        ]


def head_dim(arch: Architecture) -> int:
    return arch.head_dim or arch.hidden // arch.heads


def linear_shapes(arch: Architecture) -> dict[str, tuple[int, int]]:
    """(in, out) features of each linear layer in one decoder layer."""
    query, key = arch.heads * head_dim(arch), arch.kv_heads * head_dim(arch)
    return {
        "q_proj": (arch.hidden, query),
        "k_proj": (arch.hidden, key),
        "v_proj": (arch.hidden, key),
        "o_proj": (query, arch.hidden),
        "gate_proj": (arch.hidden, arch.intermediate),
        "up_proj": (arch.hidden, arch.intermediate),
        "down_proj": (arch.intermediate, arch.hidden),
    }


def linear_parameters(arch: Architecture) -> int:
    """Weights of the decoder's linear layers: what nf4 quantises."""
    return arch.layers * sum(rows * columns for rows, columns in linear_shapes(arch).values())


def parameters(arch: Architecture) -> int:
    """All parameters of the base model; Qwen2 has biases on query, key and value."""
    shapes = linear_shapes(arch)
    biases = sum(shapes[name][1] for name in ("q_proj", "k_proj", "v_proj")) if arch.kind == "qwen2" else 0
    norms = arch.layers * 2 * arch.hidden + arch.hidden
    embeddings = arch.vocab * arch.hidden * (1 if arch.tied_embeddings else 2)
    return linear_parameters(arch) + arch.layers * biases + norms + embeddings


def lora_parameters(arch: Architecture, lora: LoraConfig) -> int:
    """layers x rank x sum of (in + out) over the adapted linear layers."""
    shapes = linear_shapes(arch)
    names = shapes.keys() if isinstance(lora.target_modules, str) else lora.target_modules
    unknown = [name for name in names if name not in shapes]
    if unknown:
        raise ConfigError(f"lora.target_modules: no {unknown[0]!r} in this model; there are {', '.join(shapes)}")
    return arch.layers * lora.rank * sum(sum(shapes[name]) for name in names)


def memory_bytes(config: TrainConfig, arch: Architecture, quantization: str, tokens: int) -> int:
    """Peak per device: weights, 16 bytes per adapter parameter (float32 value, gradient, two moments), activations.

    `tokens` are those of one forward pass on one device, padding included. With gradient checkpointing each layer
    keeps its input (2 bytes per hidden unit) and one layer at a time all the rest; without it every layer keeps all.
    """
    linear = linear_parameters(arch)
    whole = 2 * parameters(arch)
    weights = whole if quantization == "none" else whole - 2 * linear + linear * NF4_BYTES
    if config.gradient_checkpointing:
        per_token = (2 * arch.layers + LAYER_BYTES) * arch.hidden
    else:
        per_token = LAYER_BYTES * arch.layers * arch.hidden
    return int(weights + 16 * lora_parameters(arch, config.lora) + tokens * per_token + OVERHEAD_BYTES)


def estimate_shape(splits: dict[str, list[dict[str, Any]]], max_length: int) -> Shape:
    """Sizes from characters alone, for machines without the model's tokenizer."""

    def size(turns: list[dict[str, str]]) -> int:
        return math.ceil(sum(len(turn["content"]) for turn in turns) / CHARACTERS_PER_TOKEN)

    sizes = {
        name: [(size(row["prompt"]) + TEMPLATE_TOKENS, size(row["completion"]) + 1) for row in rows]
        for name, rows in splits.items()
    }
    return shape(sizes["train"], len(sizes["validation"]), max_length, measured=False)


def shape(sizes: list[tuple[int, int]], validation: int, max_length: int, *, measured: bool) -> Shape:
    """The shape of rows given as (prompt tokens, completion tokens); those past `max_length` count as left out."""
    fitting = [(prompt, completion) for prompt, completion in sizes if prompt + completion <= max_length]
    return Shape(
        examples=len(fitting),
        validation_examples=validation,
        too_long=len(sizes) - len(fitting),
        tokens=sum(prompt + completion for prompt, completion in fitting),
        supervised=sum(completion for _, completion in fitting),
        longest=max((prompt + completion for prompt, completion in fitting), default=0),
        measured=measured,
    )


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
    memory = {
        kind: memory_bytes(config, arch, kind, config.batch_size * shape.longest) / GIB for kind in ("none", "nf4")
    }
    return Plan(
        model=config.model.name,
        dataset=dataset,
        device=device,
        processes=processes,
        parameters=counts[0],
        lora_parameters=counts[1],
        checked_on_meta_device=check,
        memory_gib={kind: round(gib, 2) for kind, gib in memory.items()},
        fits={kind: {gpu: gib <= size for gpu, size in GPU_MEMORY_GIB.items()} for kind, gib in memory.items()},
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
