"""Reads from adapter folders what a server needs: rank, modules, base model and chat template."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from traffic import adapters
from traffic.errors import ConfigError, InputError

CHAT_TEMPLATE = "chat_template.jinja"


class AdapterFiles(msgspec.Struct, frozen=True):
    """One adapter, as far as the server's command line needs it."""

    path: Path
    rank: int
    base_model: str = ""
    """Name of the base model; adapters of different base models cannot share a server."""
    chat_template_sha256: str = ""
    target_modules: tuple[str, ...] = ()
    """Modules that the adapter changes. Empty: unknown."""


class _PeftConfig(msgspec.Struct, frozen=True):
    """The slice of PEFT's adapter_config.json that serving needs."""

    r: int
    target_modules: list[str] | str = []


def adapter_files(folder: Path) -> AdapterFiles:
    """Read an adapter's folder. Raises: NotFound, ConfigError, InputError."""
    card = adapters.load(folder)
    if card.merged:
        raise InputError(f"{card.name} is a merged model and is served alone, without a base model")
    path = folder / "adapter_config.json"
    try:
        peft = msgspec.json.decode(path.read_bytes(), type=_PeftConfig)
    except FileNotFoundError:
        raise InputError(f"{path} is missing: the folder has no PEFT adapter") from None
    except msgspec.DecodeError as error:
        raise InputError(f"{path}: {error}") from None
    modules: Any = peft.target_modules
    return AdapterFiles(
        path=folder.resolve(),
        rank=peft.r,
        base_model=card.base_model.name,
        chat_template_sha256=card.chat_template_sha256,
        # PEFT also allows a regular expression here, which vLLM does not.
        target_modules=tuple(sorted(modules)) if isinstance(modules, list) else (),
    )


def chat_template(files: AdapterFiles, base_model: Path) -> Path:
    """File of the chat template that an adapter was trained with: its own copy, or the base model's.

    Raises: InputError if neither has the hash that adapter.yaml states.
    """
    for path in (files.path / CHAT_TEMPLATE, base_model / CHAT_TEMPLATE):
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == files.chat_template_sha256:
            return path.resolve()
    raise InputError(
        f"{files.path}: neither its {CHAT_TEMPLATE} nor that of {base_model} is the one it was trained with; "
        "its prompts would be rendered differently: train it again"
    )


def model_template(model: Path) -> Path | None:
    """Chat template of a model that is served without adapters: that of a merged model, with its hash checked.

    None for a base model, which uses the template of its tokenizer. Raises: InputError, ConfigError.
    """
    if not (model / "adapter.yaml").is_file():
        return None
    card = adapters.load(model)
    files = AdapterFiles(model.resolve(), card.rank, chat_template_sha256=card.chat_template_sha256)
    return chat_template(files, model)


def refuse_mixture(adapters: Mapping[str, AdapterFiles], served_model_name: str) -> None:
    """Raises: ConfigError if the adapters cannot share one server."""
    for what, values in (
        ("base models", {files.base_model for files in adapters.values()}),
        ("chat templates", {files.chat_template_sha256 for files in adapters.values()}),
    ):
        if len(values) > 1:
            raise ConfigError(
                f"the adapters {', '.join(adapters)} were trained with different {what}; serve them separately"
            )
    if served_model_name in adapters:
        raise ConfigError(f"{served_model_name!r} names both the base model and an adapter; rename one of them")
