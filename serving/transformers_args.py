"""The command line of the transformers server (serving/transformers_server). Pure."""

import sys
from collections.abc import Mapping
from pathlib import Path

from serving.adapter_files import AdapterFiles, refuse_mixture
from serving.command import PROJECT, Command, require_key_beyond_loopback
from serving.config import Device, ServingConfig
from traffic.adapters import ComputeDtype
from traffic.errors import ConfigError


def command(
    config: ServingConfig,
    base_model: Path,
    adapters: Mapping[str, AdapterFiles],
    *,
    port: int,
    served_model_name: str,
    chat_template: Path | None,
    device: Device,
    python: Path | None = None,
    threads: int | None = None,
    dtype: ComputeDtype | None = None,
) -> Command:
    """Command of a server for one base model and its adapters; arguments as in `vllm_args.command`.

    Raises: ConfigError for settings that this engine does not support, for an address beyond loopback without a key, or
        if the adapters cannot share one server.
    """
    require_key_beyond_loopback(config)
    refuse_mixture(adapters, served_model_name)
    if config.quantization:
        raise ConfigError(f"quantization: {config.quantization} needs `engine: vllm`")
    if config.data_parallel_size > 1:
        raise ConfigError(f"data_parallel_size: {config.data_parallel_size} needs `engine: vllm`")
    chosen: str = config.dtype if config.dtype != "auto" else dtype or "auto"
    argv = [str(python or sys.executable), "-m", "serving.transformers_server"]
    argv += ["--model", str(base_model), "--served-model-name", served_model_name]
    argv += ["--host", config.host, "--port", str(port), "--device", device, "--dtype", chosen]
    argv += ["--max-model-len", str(config.max_model_len), "--max-num-seqs", str(config.max_num_seqs)]
    argv += ["--logprobs-mode", config.logprobs_mode]
    if chat_template is not None:
        argv += ["--chat-template", str(chat_template)]
    for name, files in adapters.items():
        argv += ["--adapter", f"{name}={files.path}"]
    cores = config.cpu_threads or threads
    env = {
        # Offline: the base model is a folder, and the start must not depend on the hub.
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        # Waiting threads sleep; spinning would take cores from the router.
        "OMP_WAIT_POLICY": "PASSIVE",
        "PYTHONPATH": str(PROJECT),
        **({"OMP_NUM_THREADS": str(cores)} if cores and device == "cpu" else {}),
    }
    return Command(
        argv=(*argv, *config.args),
        env=env | config.env,
        host=config.host,
        port=port,
        models=(served_model_name, *adapters),
        dtype=chosen,
        secrets={"VLLM_API_KEY": config.api_key_env} if config.api_key_env else {},
    )
