"""How much memory a training step needs and how many tokens a second it trains: arithmetic, with fitted constants.

Constants are fitted on one half of the published figures in `benchmarks/published.yaml` and tested on the other
(`benchmarks/plan.py`); a constant that no figure backs is called an assumption. `fasttier plan --probe` replaces what
they say of this machine by what it does.
"""

from typing import Literal

import msgspec

from pipeline.train.config import Architecture, LoraConfig, TrainConfig
from traffic.adapters import ComputeDtype
from traffic.errors import ConfigError

GIB = 2**30
GIGA = 10**9
Quantization = Literal["none", "nf4"]
Stack = Literal["peft", "torchtune", "nemo"]
"""Who trains: transformers with PEFT (as here), torchtune with torch.compile, NeMo AutoModel."""

NF4_BYTES = 0.5 + 0.127 / 8
"""Bytes per parameter in 4-bit NormalFloat with double quantisation: 0.127 bits of constants.
Source: QLoRA (arXiv 2305.14314), section 3."""

ADAPTER_BYTES = 16
"""Per adapter parameter: float32 value, gradient and two moments."""

CONTEXT_BYTES = GIB // 2
"""What the driver takes of a GPU before anything is allocated; not part of PyTorch's peak. An assumption."""


class Constants(msgspec.Struct, frozen=True, kw_only=True):
    """What `benchmarks/plan.py --fit` finds."""

    overhead_bytes: float
    """Workspaces of the kernels, one dequantised layer, what the allocator cannot reuse."""
    logit_bytes: float
    """Per logit that is held: bfloat16, float32, and their gradients."""
    kept: dict[Stack, float]
    """Share of a layer's intermediate results, as `layer_bytes` counts them, that is kept; a compiler fuses most."""
    launch_seconds: float
    """Per layer and pass: what Python needs to start a layer's kernels forward, again and backward. A pass is not
    faster, however few tokens it has."""
    dequantise: float
    """Bytes of memory traffic that take as long as dequantising one 4-bit weight once."""
    traffic: float
    """How often each intermediate result is read or written in a pass, by kernels that do little else: norms, casts,
    activation functions, the softmax of the logits."""
    scaling: float
    """Speed of each device of several, beside one alone."""
    efficiency: dict[str, dict[Stack, float]]
    """Share of the data sheet's dense bfloat16 rate that the matrix products reach, by family and stack."""


FITTED = Constants(
    overhead_bytes=2.84e9,
    logit_bytes=9.91,
    kept={"peft": 1.0, "torchtune": 0.316, "nemo": 0.316},
    launch_seconds=0.00518,
    dequantise=22.6,
    traffic=8.03,
    scaling=0.913,
    efficiency={
        "ampere": {"peft": 0.586},
        "gddr": {"peft": 0.9, "torchtune": 0.9},
        # PEFT on Hopper is an assumption, 0.6 of NeMo's speed there; so is `unknown` (L40S, B200): no published figure.
        "hopper": {"nemo": 0.486, "peft": 0.305},
        "unknown": {"peft": 0.3},
    },
)
MEASURED = ("A100", "4090", "A6000")
"""What the name of a GPU contains of which a published figure of PEFT, or of torchtune, is known."""

FAMILIES = {
    "A100": "ampere", "H100": "hopper", "H200": "hopper", "4090": "gddr", "A6000": "gddr", "A10": "gddr", "L4 ": "gddr",
    "L40 ": "gddr",
}  # fmt: skip
"""What the name of a GPU contains -> its family."""

CPU_SHARE: dict[ComputeDtype, float] = {"bfloat16": 0.4, "float16": 0.4, "float32": 0.7}
"""Of the rate at which a CPU multiplies matrices in a dtype, what a whole training step reaches."""
FLOAT32_ACTIVATIONS = 1.3
"""Activations kept in float32 beside those under bfloat16 autocast, which keeps float32 copies too."""
CPU_LAUNCH_SECONDS = 0.003
"""Per layer and pass, as above. Both from real runs (`benchmarks/plan.py --cpu`; docs/LOG.md, 2026-11-25)."""
CPU_OVERHEAD_BYTES = 1.0 * GIGA
"""Python, PyTorch, transformers and their libraries in one process."""


class Device(msgspec.Struct, frozen=True):
    """What a step runs on."""

    name: str
    memory_gib: float
    tflops: float
    """Dense bfloat16."""
    bandwidth_gbs: float
    """Of its memory."""

    @property
    def family(self) -> str:
        return next((family for part, family in FAMILIES.items() if part in f"{self.name} "), "unknown")


class Cpu(msgspec.Struct, frozen=True):
    """A machine's CPU, all cores together."""

    flops_per_second: float
    """Rate of matrix products in `dtype` (`compute_dtype.cpu`)."""
    dtype: ComputeDtype = "bfloat16"


class Pass(msgspec.Struct, frozen=True, kw_only=True):
    """One forward and backward pass on one device."""

    tokens: float
    """Over all sequences, padding included."""
    length: float
    """Of one sequence: what attention grows with."""
    logits: float
    """Positions whose logits are held at once; 0 where the loss is computed in tiles."""
    checkpointing: bool
    quantization: Quantization = "none"
    shards: int = 1
    """Devices among which the base model is divided."""
    stack: Stack = "peft"


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
    return adapted_layers(arch, lora) * lora.rank * sum(sum(shapes[name]) for name in names)


def adapted_layers(arch: Architecture, lora: LoraConfig) -> int:
    """Layers with an adapter. Raises: ConfigError if the model has fewer than `top_layers`."""
    if lora.top_layers is None:
        return arch.layers
    if lora.top_layers > arch.layers:
        raise ConfigError(f"lora.top_layers: {lora.top_layers}, but the model has {arch.layers} layers")
    return lora.top_layers


def weight_bytes(arch: Architecture, quantization: Quantization) -> float:
    """The base model's weights: bfloat16, or the linear layers in nf4 and the rest in bfloat16."""
    whole, linear = 2 * parameters(arch), linear_parameters(arch)
    return whole if quantization == "none" else whole - 2 * linear + linear * NF4_BYTES


def layer_bytes(arch: Architecture) -> float:
    """Per token: what one layer keeps for its backward pass under autocast, if nothing is fused.

    Both norms keep their input, its float32 copy and their result (34 bytes a hidden unit with the residuals and the
    casts that PEFT makes for five adapters), attention its queries, keys and values before and after their rotation,
    the feed-forward part four results and a cast.
    """
    query, key = arch.heads * head_dim(arch), arch.kv_heads * head_dim(arch)
    return 34 * arch.hidden + 6 * query + 6 * key + 10 * arch.intermediate


def activation_bytes(arch: Architecture, step: Pass, known: Constants = FITTED) -> float:
    """What grows with the tokens. With checkpointing each layer keeps its input, and one at a time all the rest.

    The logits' gradients are gone before the first layer is computed again, so the larger of both counts.
    """
    layer, logits = (
        layer_bytes(arch) * known.kept[step.stack] * step.tokens,
        known.logit_bytes * arch.vocab * step.logits,
    )
    if step.checkpointing:
        return 2 * arch.layers * arch.hidden * step.tokens + max(layer, logits)
    return arch.layers * layer + logits


def memory_bytes(arch: Architecture, lora: LoraConfig, step: Pass, known: Constants = FITTED) -> float:
    """Peak of one device's allocations.

    Divided among devices, a device holds its part, and whole the layer at work and the next one.
    """
    weights = weight_bytes(arch, step.quantization) / step.shards
    if step.shards > 1:
        weights += 2 * 2 * linear_parameters(arch) / arch.layers
    adapter = ADAPTER_BYTES * lora_parameters(arch, lora) / step.shards
    return weights + adapter + activation_bytes(arch, step, known) + known.overhead_bytes


def flops(arch: Architecture, lora: LoraConfig, step: Pass) -> float:
    """Of one pass: forward 1, backward 1 through frozen weights (attention 2), and 1 more with checkpointing.

    Source of 2 FLOPs per parameter and token: Scaling Laws (arXiv 2001.08361), section 2.1; a causal model attends to
    half of its sequence.
    """
    again = 1 if step.checkpointing else 0
    # Layers below the lowest adapter have a forward pass only.
    share = adapted_layers(arch, lora) / arch.layers
    linear = 2 * linear_parameters(arch) * (1 + share * (1 + again)) + 2 * arch.vocab * arch.hidden * (2 + again)
    linear += 2 * lora_parameters(arch, lora) * (3 + again)
    query = arch.heads * head_dim(arch)
    attention = 2 * arch.layers * query * step.length * (1 + share * (2 + again))
    return step.tokens * (linear + attention)


def forward_share(config: TrainConfig) -> float:
    """Of a pass, what a validation takes: the forward part alone, as `flops` counts it."""
    return 1 / (3 if config.gradient_checkpointing else 2)


def pass_seconds(
    arch: Architecture, lora: LoraConfig, step: Pass, device: Device, devices: int = 1, known: Constants = FITTED
) -> float:
    """Time of one pass on one of so many devices. Raises: ConfigError for a stack that no figure is known of there."""
    shares = known.efficiency[device.family]
    if step.stack not in shares:
        raise ConfigError(f"{device.name}: nothing is known of {step.stack} on it")
    compute = flops(arch, lora, step) / (device.tflops * 1e12 * shares[step.stack])
    results = arch.layers * layer_bytes(arch) * known.kept[step.stack] * step.tokens
    results += known.logit_bytes * arch.vocab * step.logits
    compute += known.traffic * results / (device.bandwidth_gbs * 1e9)
    launch = known.launch_seconds * arch.layers
    seconds = smooth_max(compute, launch)
    if step.quantization == "nf4":
        passes = 3 if step.checkpointing else 2
        seconds += passes * linear_parameters(arch) * known.dequantise / (device.bandwidth_gbs * 1e9)
    return seconds if devices == 1 else seconds / known.scaling


def cpu_memory_bytes(arch: Architecture, lora: LoraConfig, step: Pass, dtype: ComputeDtype = "bfloat16") -> float:
    """Peak of one process on a CPU, its libraries included."""
    known = msgspec.structs.replace(FITTED, overhead_bytes=CPU_OVERHEAD_BYTES)
    half = memory_bytes(arch, lora, step, known)
    if dtype != "float32":
        return half
    activations = activation_bytes(arch, step, known)
    return half + weight_bytes(arch, step.quantization) + (FLOAT32_ACTIVATIONS - 1) * activations


def cpu_pass_seconds(arch: Architecture, lora: LoraConfig, step: Pass, cpu: Cpu) -> float:
    """Time of one pass on all cores."""
    # The output layer runs over the positions with logits alone.
    unused = 2 * (2 + step.checkpointing) * arch.vocab * arch.hidden * (step.tokens - step.logits)
    compute = (flops(arch, lora, step) - unused) / (CPU_SHARE[cpu.dtype] * cpu.flops_per_second)
    return compute + CPU_LAUNCH_SECONDS * arch.layers


def smooth_max(one: float, other: float) -> float:
    """A maximum without a corner: where both are alike, neither hides behind the other completely."""
    power: float = (one**4 + other**4) ** 0.25
    return power
