"""Memory and speed of a training step: arithmetic with fitted constants.

The constants are fitted on one half of the published figures in `benchmarks/published.yaml` and tested on the other
(`benchmarks/plan.py`); constants without a figure are called assumptions. `fasttier plan --probe` measures this machine
instead.
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
"""Training software: transformers with PEFT (as here), torchtune with torch.compile, NeMo AutoModel."""

NF4_BYTES = 0.5 + 0.127 / 8
"""Bytes per parameter in 4-bit NormalFloat with double quantisation: 0.127 bits of constants.
Source: QLoRA (arXiv 2305.14314), section 3."""

ADAPTER_BYTES = 16
"""Per adapter parameter: float32 value, gradient and two moments."""

CONTEXT_BYTES = GIB // 2
"""GPU memory of the driver's context, not part of PyTorch's peak. An assumption."""


class Constants(msgspec.Struct, frozen=True, kw_only=True):
    """Constants fitted by `benchmarks/plan.py --fit`."""

    overhead_bytes: float
    """Kernel workspaces, one dequantised layer, fragmentation."""
    logit_bytes: float
    """Per logit held at once: bfloat16, float32, and their gradients."""
    kept: dict[Stack, float]
    """Share of a layer's intermediate results (`layer_bytes`) that is kept; a compiler fuses most of them."""
    launch_seconds: float
    """Per layer and pass: time to launch a layer's kernels. Lower bound for passes with few tokens."""
    dequantise: float
    """Memory traffic equivalent to dequantising one 4-bit weight, in bytes."""
    traffic: float
    """Reads and writes of each intermediate result per pass by memory-bound kernels: norms, casts, activations, softmax
    of the logits."""
    scaling: float
    """Speed of each of several devices relative to a single one."""
    efficiency: dict[str, dict[Stack, float]]
    """Share of the data sheet's dense bfloat16 rate reached by matrix products, by family and stack."""


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
"""Parts of the names of GPUs with published figures for PEFT or torchtune."""

FAMILIES = {
    "A100": "ampere", "H100": "hopper", "H200": "hopper", "4090": "gddr", "A6000": "gddr", "A10": "gddr", "L4 ": "gddr",
    "L40 ": "gddr",
}  # fmt: skip
"""Part of a GPU's name -> its family."""

CPU_SHARE: dict[ComputeDtype, float] = {"bfloat16": 0.4, "float16": 0.4, "float32": 0.75}
"""Share of a CPU's matrix product rate, by dtype, that a whole training step reaches."""
FLOAT32_ACTIVATIONS = 2.0
"""Activations kept in float32, as a multiple of those under bfloat16 autocast (docs/LOG.md, 2026-11-28)."""
CPU_LAUNCH_SECONDS = 0.003
"""Per layer and pass. From real runs (`benchmarks/plan.py --cpu`; docs/LOG.md)."""
CPU_OVERHEAD_BYTES = 1.0 * GIGA
"""Memory of Python, PyTorch and transformers in one process."""


class Device(msgspec.Struct, frozen=True):
    """A GPU."""

    name: str
    memory_gib: float
    tflops: float
    """Dense bfloat16."""
    bandwidth_gbs: float
    """Memory bandwidth, GB/s."""

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
    """Tokens of all sequences, padding included."""
    length: float
    """Length of one sequence, which attention cost grows with."""
    logits: float
    """Positions whose logits are held at once; 0 if the loss is computed in tiles."""
    checkpointing: bool
    quantization: Quantization = "none"
    shards: int = 1
    """Number of devices the base model is sharded over."""
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
    """Parameters of the decoder's linear layers, which nf4 quantises."""
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
    bf16_bytes, linear = 2 * parameters(arch), linear_parameters(arch)
    return bf16_bytes if quantization == "none" else bf16_bytes - 2 * linear + linear * NF4_BYTES


def layer_bytes(arch: Architecture) -> float:
    """Bytes per token that one layer keeps for its backward pass under autocast without fused kernels.

    Norms keep input, float32 copy and result (34 bytes per hidden unit with the residuals and PEFT's casts for five
    adapters); attention its queries, keys and values before and after rotation; the feed-forward part four results and
    a cast.
    """
    query, key = arch.heads * head_dim(arch), arch.kv_heads * head_dim(arch)
    return 34 * arch.hidden + 6 * query + 6 * key + 10 * arch.intermediate


def activation_bytes(arch: Architecture, step: Pass, constants: Constants = FITTED) -> float:
    """Memory that grows with tokens. With checkpointing each layer keeps its input, and one layer at a time the rest.

    The logits' gradients are freed before the first layer is recomputed, so the larger of both counts.
    """
    layer, logits = (
        layer_bytes(arch) * constants.kept[step.stack] * step.tokens,
        constants.logit_bytes * arch.vocab * step.logits,
    )
    if step.checkpointing:
        return 2 * arch.layers * arch.hidden * step.tokens + max(layer, logits)
    return arch.layers * layer + logits


def memory_bytes(arch: Architecture, lora: LoraConfig, step: Pass, constants: Constants = FITTED) -> float:
    """Peak of one device's allocations. A sharded device also holds the current and the next layer whole."""
    weights = weight_bytes(arch, step.quantization) / step.shards
    if step.shards > 1:
        weights += 2 * 2 * linear_parameters(arch) / arch.layers
    adapter = ADAPTER_BYTES * lora_parameters(arch, lora) / step.shards
    return weights + adapter + activation_bytes(arch, step, constants) + constants.overhead_bytes


def flops(arch: Architecture, lora: LoraConfig, step: Pass) -> float:
    """FLOPs of one pass: forward 1, backward 1 through frozen weights (attention 2), and 1 more with checkpointing.

    2 FLOPs per parameter and token: Scaling Laws (arXiv 2001.08361), section 2.1; a causal model attends to half of its
    sequence on average.
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
    """Cost of a validation pass relative to a training pass: the forward part of `flops`."""
    return 1 / (3 if config.gradient_checkpointing else 2)


def pass_seconds(
    arch: Architecture, lora: LoraConfig, step: Pass, device: Device, devices: int = 1, constants: Constants = FITTED
) -> float:
    """Seconds of one pass on one of several devices. Raises: ConfigError if the stack has no figure for the device."""
    shares = constants.efficiency[device.family]
    if step.stack not in shares:
        raise ConfigError(f"{device.name}: no published figure for {step.stack}")
    compute = flops(arch, lora, step) / (device.tflops * 1e12 * shares[step.stack])
    results = arch.layers * layer_bytes(arch) * constants.kept[step.stack] * step.tokens
    results += constants.logit_bytes * arch.vocab * step.logits
    compute += constants.traffic * results / (device.bandwidth_gbs * 1e9)
    launch = constants.launch_seconds * arch.layers
    seconds = smooth_max(compute, launch)
    if step.quantization == "nf4":
        passes = 3 if step.checkpointing else 2
        seconds += passes * linear_parameters(arch) * constants.dequantise / (device.bandwidth_gbs * 1e9)
    return seconds if devices == 1 else seconds / constants.scaling


def cpu_memory_bytes(arch: Architecture, lora: LoraConfig, step: Pass, dtype: ComputeDtype = "bfloat16") -> float:
    """Peak memory of one process on a CPU, libraries included."""
    constants = msgspec.structs.replace(FITTED, overhead_bytes=CPU_OVERHEAD_BYTES)
    half = memory_bytes(arch, lora, step, constants)
    if dtype != "float32":
        return half
    activations = activation_bytes(arch, step, constants)
    return half + weight_bytes(arch, step.quantization) + (FLOAT32_ACTIVATIONS - 1) * activations


def cpu_pass_seconds(arch: Architecture, lora: LoraConfig, step: Pass, cpu: Cpu) -> float:
    """Seconds of one pass on all cores."""
    # The output layer is computed only for positions with logits.
    unused = 2 * (2 + step.checkpointing) * arch.vocab * arch.hidden * (step.tokens - step.logits)
    compute = (flops(arch, lora, step) - unused) / (CPU_SHARE[cpu.dtype] * cpu.flops_per_second)
    return compute + CPU_LAUNCH_SECONDS * arch.layers


def smooth_max(first: float, second: float) -> float:
    """A smooth maximum, larger than both if they are close: the two overlap only partly."""
    power: float = (first**4 + second**4) ** 0.25
    return power
