"""Command line of a server process, common to all engines (vllm_args.py, transformers_args.py, classifier_args.py)."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from serving.adapter_files import AdapterFiles
from serving.config import Device, ServingConfig
from traffic.adapters import ComputeDtype
from traffic.errors import ConfigError
from traffic.tiers import is_loopback

PROJECT = Path(__file__).resolve().parent.parent


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """A base model with adapters to serve on this machine; settings are in `ServingConfig`."""

    base_model: Path
    adapters: Mapping[str, AdapterFiles]
    """By served name."""
    served_model_name: str
    """Served name of the base model."""
    chat_template: Path | None
    port: int
    """The actual port (that of the configuration may be 0)."""
    device: Device
    python: Path | None = None
    """Interpreter with the engine; None: the current one."""
    threads: int | None = None
    """CPU threads if the configuration sets none."""
    dtype: ComputeDtype | None = None
    """Compute type if the configuration has auto."""


class Command(msgspec.Struct, frozen=True):
    """Arguments of a process, and its environment in addition to the caller's."""

    argv: tuple[str, ...]
    env: dict[str, str]
    host: str
    port: int
    models: tuple[str, ...]
    """Served model names: of the base model, then of the adapters."""
    dtype: str = "auto"
    """Compute type, as in --dtype."""
    secrets: dict[str, str] = {}
    """Environment variable of the child -> variable of this process with the value, read when the process starts."""

    @property
    def base_url(self) -> str:
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::", "") else self.host  # noqa: S104  (compared, not bound)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/v1"


def require_key_beyond_loopback(config: ServingConfig) -> None:
    """Raises: ConfigError if the server would accept other machines without a key."""
    if not is_loopback(config.host) and not config.api_key_env:
        raise ConfigError(
            f"host: {config.host} can be reached from other machines; "
            "set api_key_env to the environment variable that holds the key, or use 127.0.0.1"
        )
