"""Configuration of model servers."""

import shutil
import subprocess
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from traffic import config

Device = Literal["cpu", "cuda"]
Positive = Annotated[int, msgspec.Meta(ge=1)]


class ServingConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`configs/serving/*.yaml`: settings for all kinds of own models."""

    engine: Literal["auto", "vllm", "transformers"] = "auto"
    """auto: vLLM if it is installed, else transformers (serving/transformers_server), slower with the same API."""
    host: str = "127.0.0.1"
    """Address to listen on. Addresses other than loopback require `api_key_env`."""
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    """0: any free port."""
    api_key_env: str | None = None
    """Environment variable with the key that clients must send."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """auto: on a CPU the type measured as fastest; on a GPU the engine's choice, which is the type of the base model's
    weights if the GPU supports it (bfloat16), else float16."""
    max_model_len: Positive = 4096
    """Maximum tokens of prompt and answer; longer requests are refused."""
    max_num_seqs: Positive = 64
    """Maximum requests in one batch."""
    max_num_batched_tokens: Positive | None = None
    """Maximum tokens in one step (vLLM). None: vLLM's default."""
    enable_prefix_caching: bool = True
    """Reuse the KV cache of shared prompt prefixes (vLLM)."""
    generation_config: str = "vllm"
    """vllm: neutral sampling defaults. auto: those in the model's folder, which would change answers (vLLM)."""
    logprobs_mode: Literal["raw_logprobs", "processed_logprobs"] = "raw_logprobs"
    """raw: before a grammar masks tokens, so that confidence is comparable with and without a label set."""
    quantization: Literal["fp8", "bitsandbytes"] | None = None
    """Quantise the base model's weights at load (vLLM on a GPU)."""
    data_parallel_size: Positive = 1
    """Replicas of the model, one per GPU; faster than splitting a model that fits one GPU."""
    gpu_memory_utilization: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.9
    """Share of GPU memory for weights and KV cache (GPU)."""
    cpu_kv_cache_gib: Positive = 1
    """Memory for the KV cache (vLLM on a CPU)."""
    cpu_threads: Positive | None = None
    """Threads for matrix products (CPU). None: one per core that this process may use."""
    grouped_lora: bool = True
    """Apply adapters as matrix products (vLLM on a CPU), see serving/cpu_lora.py."""
    max_loras: Positive | None = None
    """Maximum adapters in one batch. None: all loaded adapters."""
    env: dict[str, str] = {}
    """Additional environment variables of the server. Not for keys, see `api_key_env`."""
    args: tuple[str, ...] = ()
    """Additional arguments of the server, after all others."""


def detect_device() -> Device:
    """cuda if `nvidia-smi` lists a GPU, else cpu. Does not import torch."""
    nvidia_smi = shutil.which("nvidia-smi")
    if not nvidia_smi:
        return "cpu"
    listed = subprocess.run([nvidia_smi, "-L"], capture_output=True, check=False, timeout=60)
    return "cuda" if listed.returncode == 0 and listed.stdout.strip() else "cpu"


def load_config(device: Device, path: Path | None = None, overrides: tuple[str, ...] = ()) -> ServingConfig:
    """The configuration at `path`, or the shipped one for this device."""
    shipped = config.CONFIGS / "serving" / ("gpu.yaml" if device == "cuda" else "cpu.yaml")
    return config.load(path or shipped, ServingConfig, overrides)
