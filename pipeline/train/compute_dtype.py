"""The dtype this machine computes in: measured on a CPU, a capability of the card on a GPU.

The speed of bfloat16 matrix products differs between CPUs by two orders of magnitude: AMX and AVX512-BF16 have units
for it, AVX2 emulates it at a hundredth of its float32 rate. So both dtypes are timed on the model's own layer shapes,
once per machine, PyTorch version and number of threads. The faster one is used for training and validation, the parity
recording, QLoRA's compute dtype, export checks, vLLM and the training plan.
"""

import contextlib
import hashlib
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from pipeline.train.config import Architecture, TrainConfig
from pipeline.train.estimate import Cpu
from traffic.adapters import ComputeDtype
from traffic.artifacts import write_atomic
from traffic.errors import InputError
from traffic.processes import cores

ISA_VARIABLES = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS")
"""Environment variables that limit the instructions PyTorch's matrix products use. Part of the cache key."""
ROWS = 512
"""Tokens in the timed product: a batch of short rows."""
TRIES = 5
TRY_SECONDS = 0.02
"""Each try repeats the product for this long; the fastest try counts."""
SHORT_ROWS = 32
SLOW_RATIO = 0.25
"""bfloat16 slower than this share of float32 on a short product is not timed on a long one, which may take seconds."""
MIN_ADVANTAGE = 1.1
"""bfloat16 must be this many times as fast as float32: at equal speed the more exact dtype is used."""
MIXED_PRECISION: Mapping[ComputeDtype, str] = {"bfloat16": "bf16", "float16": "fp16", "float32": "no"}
"""Compute dtype -> accelerate's name for it."""


class CpuRates(msgspec.Struct, frozen=True):
    """Rates of matrix products, in FLOP/s, all cores together."""

    float32: float
    bfloat16: float

    @property
    def fastest(self) -> ComputeDtype:
        return "bfloat16" if self.bfloat16 >= MIN_ADVANTAGE * self.float32 else "float32"


def resolve(config: TrainConfig, arch: Architecture, device: str) -> ComputeDtype:
    """The compute dtype of a training run: the configured one, or this machine's."""
    return choose(arch.hidden, arch.intermediate, device) if config.compute_dtype == "auto" else config.compute_dtype


def of_weights(folder: Path, device: str) -> ComputeDtype:
    """This machine's compute dtype for the model in a folder. Raises: InputError if its config.json cannot be read."""
    try:
        sizes = json.loads((folder / "config.json").read_bytes())
        hidden = int(sizes["hidden_size"])
        return choose(hidden, int(sizes.get("intermediate_size") or 4 * hidden), device)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / 'config.json'}: no hidden_size to time products of: {error}") from None


def choose(hidden: int, intermediate: int, device: str) -> ComputeDtype:
    """This machine's compute dtype for layers of this shape; measured at the first call, then read from a cache."""
    return gpu_dtype() if device == "cuda" else rates(hidden, intermediate).fastest


def gpu_dtype() -> ComputeDtype:
    """bfloat16 where the GPUs compute in it (from Ampere), else float16 (tensor cores from Volta), else float32."""
    import torch

    if torch.cuda.is_bf16_supported(including_emulation=False):
        return "bfloat16"
    oldest = min(torch.cuda.get_device_capability(index) for index in range(torch.cuda.device_count()))
    return "float16" if oldest >= (7, 0) else "float32"


def cpu(arch: Architecture, dtype: ComputeDtype) -> Cpu:
    """The CPU for a plan: its current rate of products in this dtype."""
    return Cpu(_rate(_product(arch.hidden, arch.intermediate, dtype, ROWS)), dtype)


def rates(hidden: int, intermediate: int) -> CpuRates:
    """Rates of products of (ROWS, hidden) and (hidden, intermediate), cached per machine."""
    path, key = cache_file(), machine_key(hidden, intermediate)
    cached = _read_cache(path)
    if key in cached:
        return cached[key]
    measured = measure(hidden, intermediate)
    with contextlib.suppress(OSError):  # a read-only cache costs a measurement per process
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, msgspec.json.format(msgspec.json.encode(_read_cache(path) | {key: measured}), indent=1))
    return measured


def measure(hidden: int, intermediate: int) -> CpuRates:
    """Time products in both dtypes; a fraction of a second also where bfloat16 is emulated.

    Measured as CPU time of one thread, because the result is cached and must not depend on the machine's current load.
    """
    import torch

    previous_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        whole, half = (_product(hidden, intermediate, dtype, SHORT_ROWS) for dtype in ("float32", "bfloat16"))
        short = CpuRates(_core_rate(whole, tries=3, seconds=0.005), _core_rate(half, tries=3, seconds=0.005))
        float32 = _core_rate(_product(hidden, intermediate, "float32", ROWS))
        bfloat16 = short.bfloat16
        if bfloat16 >= SLOW_RATIO * min(short.float32, float32):
            bfloat16 = _core_rate(_product(hidden, intermediate, "bfloat16", ROWS))
    finally:
        torch.set_num_threads(previous_threads)
    return CpuRates(float32 * threads(), bfloat16 * threads())


Product = tuple[Callable[[], Any], float]
"""A matrix product, and the floating-point operations in it."""


def _product(hidden: int, intermediate: int, dtype: str, rows: int) -> Product:
    import torch

    tokens = torch.ones(rows, hidden, dtype=getattr(torch, dtype))
    weights = torch.ones(hidden, intermediate, dtype=getattr(torch, dtype))
    return lambda: tokens @ weights, 2.0 * rows * hidden * intermediate


def _core_rate(product: Product, tries: int = TRIES, seconds: float = TRY_SECONDS) -> float:
    """FLOP per second of this thread's CPU time."""
    return _rate(product, tries, seconds, time.thread_time)


def _rate(
    product: Product,
    tries: int = TRIES,
    seconds: float = TRY_SECONDS,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """FLOP/s of the fastest try. The first call is not timed: it packs weights and starts threads."""
    multiply, operations = product
    multiply()
    best = 0.0
    for _ in range(tries):
        began, products = clock(), 0
        while (passed := clock() - began) < seconds:
            multiply()
            products += 1
        best = max(best, products / passed)
    return best * operations


def threads() -> int:
    """Threads of PyTorch's matrix products: OMP_NUM_THREADS, or one per core this process may use."""
    configured = os.environ.get("OMP_NUM_THREADS", "")
    if configured.isdigit() and int(configured):
        return int(configured)
    return cores()


def machine_key(hidden: int, intermediate: int) -> str:
    """Hash of the factors of the rates: CPU, instruction set and its limits, threads, PyTorch, layer shape."""
    limits = [f"{name}={os.environ[name]}" for name in ISA_VARIABLES if os.environ.get(name)]
    parts = [
        "CPU time of one thread",
        *_cpu(),
        *limits,
        str(threads()),
        importlib.metadata.version("torch"),
        f"{hidden}x{intermediate}",
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _cpu() -> list[str]:
    """Model and instruction set: virtual machines name many CPUs alike, the flags tell them apart."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return [platform.machine(), platform.processor()]
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    field_names = ("vendor_id", "cpu family", "model", "model name", "flags", "CPU implementer", "CPU part", "Features")
    return [platform.machine(), *(fields[name] for name in field_names if name in fields)]


def cache_file() -> Path:
    """`~/.cache/fasttier/compute-rates.json`: key -> rates; safe to delete."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "fasttier" / "compute-rates.json"


def _read_cache(path: Path) -> dict[str, CpuRates]:
    """The cached rates, without invalid entries; empty if the file is missing or unreadable."""
    try:
        entries = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return {}
    cached = {}
    for key, entry in entries.items():
        with contextlib.suppress(msgspec.ValidationError):
            rates = msgspec.convert(entry, CpuRates)
            if rates.float32 > 0 and rates.bfloat16 > 0:
                cached[key] = rates
    return cached
