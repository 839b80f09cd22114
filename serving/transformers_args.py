"""The command line of the transformers server (serving/transformers_server). Pure."""

import sys

from serving.adapter_files import refuse_mixture
from serving.command import PROJECT, Command, Launch, require_key_beyond_loopback
from serving.config import ServingConfig
from traffic.errors import ConfigError


def command(config: ServingConfig, launch: Launch) -> Command:
    """Command of a server for one base model and its adapters.

    Raises: ConfigError for settings that this engine does not support, for an address beyond loopback without a key, or
        if the adapters cannot share one server.
    """
    require_key_beyond_loopback(config)
    refuse_mixture(launch.adapters, launch.served_model_name)
    if config.quantization:
        raise ConfigError(f"quantization: {config.quantization} needs `engine: vllm`")
    if config.data_parallel_size > 1:
        raise ConfigError(f"data_parallel_size: {config.data_parallel_size} needs `engine: vllm`")
    chosen: str = config.dtype if config.dtype != "auto" else launch.dtype or "auto"
    argv = [str(launch.python or sys.executable), "-m", "serving.transformers_server"]
    argv += ["--model", str(launch.base_model), "--served-model-name", launch.served_model_name]
    argv += ["--host", config.host, "--port", str(launch.port), "--device", launch.device, "--dtype", chosen]
    argv += ["--max-model-len", str(config.max_model_len), "--max-num-seqs", str(config.max_num_seqs)]
    argv += ["--logprobs-mode", config.logprobs_mode]
    if launch.chat_template is not None:
        argv += ["--chat-template", str(launch.chat_template)]
    for name, files in launch.adapters.items():
        argv += ["--adapter", f"{name}={files.path}"]
    cores = config.cpu_threads or launch.threads
    env = {
        # Offline: the base model is a folder, and the start must not depend on the hub.
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        # Waiting threads sleep; spinning would take cores from the router.
        "OMP_WAIT_POLICY": "PASSIVE",
        "PYTHONPATH": str(PROJECT),
        **({"OMP_NUM_THREADS": str(cores)} if cores and launch.device == "cpu" else {}),
    }
    return Command(
        argv=(*argv, *config.args),
        env=env | config.env,
        host=config.host,
        port=launch.port,
        models=(launch.served_model_name, *launch.adapters),
        dtype=chosen,
        secrets={"VLLM_API_KEY": config.api_key_env} if config.api_key_env else {},
    )
