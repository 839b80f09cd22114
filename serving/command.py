"""A server process to start: what the engines' command lines (vllm_args.py, transformers_args.py) have in common."""

from pathlib import Path

import msgspec

from serving.config import ServingConfig
from traffic.errors import ConfigError
from traffic.tiers import is_loopback

PROJECT = Path(__file__).resolve().parent.parent


class Command(msgspec.Struct, frozen=True):
    """A process to start: its arguments, and its environment on top of the caller's."""

    argv: tuple[str, ...]
    env: dict[str, str]
    host: str
    port: int
    models: tuple[str, ...]
    """Names that it serves: the base model's, then the adapters'."""
    dtype: str = "auto"
    """Type that the model computes in, as --dtype says."""
    secrets: dict[str, str] = {}
    """Variable of the child -> variable of ours that holds the value: it is looked up when the process starts."""

    @property
    def base_url(self) -> str:
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::", "") else self.host  # noqa: S104  (compared, not bound)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/v1"


def refuse_open_door(config: ServingConfig) -> None:
    """Raises: ConfigError if other machines could connect without a key."""
    if not is_loopback(config.host) and not config.api_key_env:
        raise ConfigError(
            f"host: {config.host} can be reached from other machines; "
            "set api_key_env to the environment variable that holds the key, or use 127.0.0.1"
        )
