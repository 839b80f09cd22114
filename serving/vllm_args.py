"""The command line and environment of vLLM. Pure.

Secrets are referred to by environment variable and never part of a `Command`.
"""

import importlib.util
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from serving.adapter_files import AdapterFiles, refuse_mixture
from serving.command import PROJECT, Command, Launch, require_key_beyond_loopback
from serving.config import Device, ServingConfig
from traffic.errors import ConfigError, Unsupported

LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Accepted values of --max-lora-rank (vLLM 0.32, vllm/config/lora.py)."""


def command(config: ServingConfig, launch: Launch) -> Command:
    """Command of a vLLM server for one base model and its adapters.

    Raises: ConfigError for an address beyond loopback without a key, or if the adapters cannot share one server;
        Unsupported if vLLM does not support a rank.
    """
    require_key_beyond_loopback(config)
    refuse_mixture(launch.adapters, launch.served_model_name)
    argv = [str(launch.python or sys.executable), "-m", "vllm.entrypoints.openai.api_server"]
    argv += ["--model", str(launch.base_model), "--served-model-name", launch.served_model_name]
    argv += ["--host", config.host, "--port", str(launch.port)]
    chosen: str = config.dtype if config.dtype != "auto" else launch.dtype or "auto"
    argv += ["--dtype", chosen, "--max-model-len", str(config.max_model_len)]
    argv += ["--max-num-seqs", str(config.max_num_seqs)]
    if config.max_num_batched_tokens is not None:
        argv += ["--max-num-batched-tokens", str(config.max_num_batched_tokens)]
    argv.append("--enable-prefix-caching" if config.enable_prefix_caching else "--no-enable-prefix-caching")
    argv += ["--generation-config", config.generation_config, "--logprobs-mode", config.logprobs_mode]
    if launch.chat_template is not None:
        argv += ["--chat-template", str(launch.chat_template)]
    argv.append("--disable-uvicorn-access-log")
    argv += _lora_arguments(config, launch.adapters, launch.served_model_name)
    argv += _device_arguments(config, launch.adapters, launch.device)
    return Command(
        argv=(*argv, *config.args),
        env=_environment(config, launch.device, launch.threads) | config.env,
        host=config.host,
        port=launch.port,
        models=(launch.served_model_name, *launch.adapters),
        dtype=chosen,
        secrets={"VLLM_API_KEY": config.api_key_env} if config.api_key_env else {},
    )


def _lora_arguments(config: ServingConfig, adapters: Mapping[str, AdapterFiles], base: str) -> list[str]:
    if not adapters:
        return []
    modules = [
        json.dumps({"name": name, "path": str(files.path), "base_model_name": base}) for name, files in adapters.items()
    ]
    loaded = str(config.max_loras or len(adapters))
    rank = lora_rank(max(files.rank for files in adapters.values()))
    arguments = ["--enable-lora", "--max-lora-rank", str(rank), "--max-loras", loaded]
    arguments += ["--max-cpu-loras", str(max(len(adapters), int(loaded)))]
    targets = sorted({module for files in adapters.values() for module in files.target_modules})
    if targets and all(files.target_modules for files in adapters.values()):
        # Without this vLLM also wraps the embedding and the output layer, which is slower; on a CPU it then crashes on
        # two concurrent requests for prompt log-probabilities.
        arguments += ["--lora-target-modules", *targets]
    return [*arguments, "--lora-modules", *modules]


def _device_arguments(config: ServingConfig, adapters: Mapping[str, AdapterFiles], device: Device) -> list[str]:
    if device == "cpu":
        if config.quantization:
            raise ConfigError(f"quantization: {config.quantization} needs a GPU; leave it out on a CPU")
        return ["--worker-cls", "serving.cpu_lora.Worker"] if adapters and config.grouped_lora else []
    arguments = ["--gpu-memory-utilization", f"{config.gpu_memory_utilization:g}"]
    if config.quantization:
        arguments += ["--quantization", config.quantization]
    if config.data_parallel_size > 1:
        arguments += ["--data-parallel-size", str(config.data_parallel_size)]
    return arguments


def _environment(config: ServingConfig, device: Device, threads: int | None) -> dict[str, str]:
    # Offline: the base model is a folder, and the start must not depend on the hub.
    common = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    if device == "cuda":
        return common
    cores = config.cpu_threads or threads
    return common | {
        "VLLM_CPU_KVCACHE_SPACE": str(config.cpu_kv_cache_gib),
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        # Waiting threads sleep. Spinning takes the cores from the router and the server's front end: on two busy cores
        # requests took 20 times as long.
        "OMP_WAIT_POLICY": "PASSIVE",
        # The engine runs in the server process, which saves a process with all its imports.
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        # For serving.cpu_lora, if the project is not installed in vLLM's environment.
        "PYTHONPATH": str(PROJECT),
        **({"OMP_NUM_THREADS": str(cores)} if cores else {}),
    }


def lora_rank(rank: int) -> int:
    """The smallest sufficient --max-lora-rank, since larger ones are slower. Raises: Unsupported."""
    fitting = next((allowed for allowed in LORA_RANKS if allowed >= rank), None)
    if fitting is None:
        raise Unsupported(f"LoRA rank {rank}: vLLM serves at most {LORA_RANKS[-1]}")
    return fitting


def interpreter() -> Path | None:
    """Python with vLLM: `.venv-serve` if `make setup` created one (GPU boxes), else this one; None without vLLM."""
    serving_python = PROJECT / ".venv-serve" / "bin" / "python"
    if serving_python.is_file():
        return serving_python
    return Path(sys.executable) if importlib.util.find_spec("vllm") else None
