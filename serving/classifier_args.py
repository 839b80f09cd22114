"""The command line of the classifier server. Pure."""

import sys
from collections.abc import Mapping
from pathlib import Path

from serving.command import PROJECT, Command, require_key_beyond_loopback
from serving.config import ServingConfig
from traffic.classifiers import Classifier


def command(config: ServingConfig, folders: Mapping[Path, Classifier], *, port: int, threads: int = 1) -> Command:
    """Command of one server for all classifiers. Raises: ConfigError for an address beyond loopback without a key."""
    require_key_beyond_loopback(config)
    argv = [sys.executable, "-m", "serving.classifier_server", "--host", config.host, "--port", str(port)]
    argv += ["--threads", str(config.cpu_threads or threads), "--max-batch", str(config.max_num_seqs)]
    for folder in folders:
        argv += ["--classifier", str(folder.resolve())]
    env = {"TOKENIZERS_PARALLELISM": "false", "OMP_WAIT_POLICY": "PASSIVE", "PYTHONPATH": str(PROJECT)}
    return Command(
        argv=tuple(argv),
        env=env | config.env,
        host=config.host,
        port=port,
        models=tuple(card.served_name(site) for card in folders.values() for site in card.models),
        dtype="float32",
        secrets={"VLLM_API_KEY": config.api_key_env} if config.api_key_env else {},
    )
