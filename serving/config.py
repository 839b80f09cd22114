"""The stage's configuration: how a model server runs on this machine."""

import shutil
import subprocess
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from traffic import config

Device = Literal["cpu", "cuda"]
Positive = Annotated[int, msgspec.Meta(ge=1)]


class ServingConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`configs/serving/*.yaml`: how own models are served, whichever they are."""

    engine: Literal["auto", "vllm", "transformers"] = "auto"
    """auto: vLLM where it is installed, else transformers (serving/transformers_server): slower, the same API."""
    host: str = "127.0.0.1"
    """Address to listen on. Any but loopback needs `api_key_env`."""
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    """0: a free one."""
    api_key_env: str | None = None
    """Environment variable with the key that clients must send."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """auto: what the caller measured as fastest on this CPU; on a GPU the engine's choice, the type of the base model's
    weights where the card has it (bfloat16), else float16."""
    max_model_len: Positive = 4096
    """Longest prompt plus answer, in tokens; a longer request is refused."""
    max_num_seqs: Positive = 64
    """Most requests in one batch."""
    max_num_batched_tokens: Positive | None = None
    """Most tokens in one step (vLLM). None: its choice."""
    enable_prefix_caching: bool = True
    """Keep the KV cache of shared prompt beginnings (vLLM)."""
    generation_config: str = "vllm"
    """vllm: neutral sampling defaults. auto: those in the model's folder, which change answers silently (vLLM)."""
    logprobs_mode: Literal["raw_logprobs", "processed_logprobs"] = "raw_logprobs"
    """raw: before a grammar masks tokens, so that confidence keeps its meaning under a label set."""
    quantization: Literal["fp8", "bitsandbytes"] | None = None
    """Quantise the base model's weights at load (vLLM on a GPU)."""
    data_parallel_size: Positive = 1
    """Replicas of the model, one per GPU; better than splitting a model that fits one."""
    gpu_memory_utilization: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.9
    """Share of GPU memory for weights and KV cache (GPU)."""
    cpu_kv_cache_gib: Positive = 1
    """Memory for the KV cache (vLLM on a CPU)."""
    cpu_threads: Positive | None = None
    """Threads of the matrix products (CPU). None: one per core that this process may use."""
    grouped_lora: bool = True
    """Apply adapters as matrix products (CPU): serving/cpu_lora.py says why."""
    max_loras: Positive | None = None
    """Most adapters in one batch. None: all that are loaded."""
    env: dict[str, str] = {}
    """More environment variables for the server. Never a key: those come from `api_key_env`."""
    args: tuple[str, ...] = ()
    """More arguments of the server, after all others."""


def detect_device() -> Device:
    """cuda where `nvidia-smi` lists a GPU, else cpu; without importing torch."""
    nvidia_smi = shutil.which("nvidia-smi")
    if not nvidia_smi:
        return "cpu"
    listed = subprocess.run([nvidia_smi, "-L"], capture_output=True, check=False, timeout=60)
    return "cuda" if listed.returncode == 0 and listed.stdout.strip() else "cpu"


def load_config(device: Device, path: Path | None = None, overrides: tuple[str, ...] = ()) -> ServingConfig:
    """The configuration at `path`, or the one that ships for this device."""
    shipped = config.CONFIGS / "serving" / ("gpu.yaml" if device == "cuda" else "cpu.yaml")
    return config.load(path or shipped, ServingConfig, overrides)
