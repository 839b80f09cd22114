"""Chooses the engine for own models: vLLM, or transformers if vLLM is not installed."""

import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from serving import transformers_args, vllm_args
from serving.command import Command, Launch
from serving.config import ServingConfig
from traffic.errors import Unsupported

Engine = Literal["vllm", "transformers"]
TITLES: Mapping[Engine, str] = {"vllm": "vLLM", "transformers": "transformers"}
COMMANDS: Mapping[Engine, Callable[[ServingConfig, Launch], Command]] = {
    "vllm": vllm_args.command,
    "transformers": transformers_args.command,
}
_PACKAGES = ("torch", "transformers", "peft", "xgrammar", "starlette", "uvicorn")
"""Packages that the transformers engine needs."""


def choose(config: ServingConfig) -> Engine:
    """The configured engine, or with `auto` the best one installed here. Raises: Unsupported if it is not installed."""
    has_vllm = vllm_args.interpreter() is not None
    engine: Engine = config.engine if config.engine != "auto" else "vllm" if has_vllm else "transformers"
    if engine == "vllm" and not has_vllm:
        raise Unsupported("engine: vllm is not installed here; `engine: transformers` serves the same API")
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if engine == "transformers" and missing:
        raise Unsupported(f"engine: transformers needs {', '.join(missing)}, not installed here: make setup KIND=cpu")
    return engine


def interpreter(engine: Engine) -> Path:
    """Python interpreter of the engine."""
    return (vllm_args.interpreter() if engine == "vllm" else None) or Path(sys.executable)
