"""Files of an adapter: written deterministically, published to a folder that is named by their hash."""

import contextlib
import hashlib
import importlib.metadata
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from traffic import adapters, artifacts, config
from traffic.adapters import FILE, Adapter, ParityItem
from traffic.artifacts import Home, atomic_folder, write_atomic

if TYPE_CHECKING:
    from pipeline.train.config import TrainConfig

WEIGHTS = "adapter_model.safetensors"
PEFT_CONFIG = "adapter_config.json"
CHAT_TEMPLATE = "chat_template.jinja"
_NONE: Mapping[str, str] = {}
LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "bitsandbytes")


def write_checkpoint(checkpoint: Path, folder: Path, base_name: str) -> None:
    """Write the LoRA matrices of a training checkpoint in bfloat16, and PEFT's configuration.

    Not as PEFT writes it, which orders the list of modules differently each time. Raises: OSError without an adapter.
    """
    import torch
    from safetensors.torch import load_file, save_file

    settings = msgspec.json.decode((checkpoint / PEFT_CONFIG).read_bytes())
    state = load_file(checkpoint / WEIGHTS)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: tensor.to(torch.bfloat16).contiguous() for name, tensor in sorted(state.items())},
        folder / WEIGHTS,
        metadata={"format": "pt"},
    )
    settings |= {
        "base_model_name_or_path": base_name,
        "inference_mode": True,
        # PEFT lists modules by their full names, one per layer; the short names are equivalent.
        "target_modules": sorted({name.rpartition(".")[2] for name in settings["target_modules"]}),
    }
    write_atomic(folder / PEFT_CONFIG, msgspec.json.format(msgspec.json.encode(settings, order="sorted"), indent=2))


def write_tokenizer(tokenizer: Any, folder: Path) -> None:
    """Write tokenizer and pinned chat template: the adapter must be served with both."""
    tokenizer.save_pretrained(folder)
    write_atomic(folder / CHAT_TEMPLATE, tokenizer.chat_template)


def write_parity(items: Iterable[ParityItem], folder: Path) -> None:
    write_atomic(folder / "parity.jsonl", adapters.dump_parity(items))


def name_of(task: str, files: Path, settings: "TrainConfig", dataset: str) -> str:
    """`<task>@<hash8>` over weights, PEFT configuration, chat template, training configuration and dataset.

    The base model's path and the parity items are not part of it.
    """
    return artifacts.name_of(
        task,
        *(hashlib.sha256((files / name).read_bytes()).digest() for name in (WEIGHTS, PEFT_CONFIG, CHAT_TEMPLATE)),
        recipe(settings),
        dataset,
    )


def recipe(settings: "TrainConfig") -> dict[str, Any]:
    """The training configuration without settings that differ between machines."""
    # Round trip, so that 3 epochs and 3.0 are the same recipe.
    normal = msgspec.convert(msgspec.to_builtins(settings, str_keys=True), type(settings))
    tree: dict[str, Any] = msgspec.to_builtins(normal, str_keys=True)
    tree["model"].pop("path")
    # Keys added later are left out at their defaults: recipes of earlier versions keep their hash.
    if tree["compute_dtype"] == "auto":
        tree.pop("compute_dtype")
    if tree["max_seconds"] is None:
        tree.pop("max_seconds")
        tree.pop("min_examples")
    if tree["lora"]["top_layers"] is None:
        tree["lora"].pop("top_layers")
    # The number of processes counts, not how many machines they run on.
    tree.pop("machines")
    return tree


def publish(files: Path, card: Adapter, home: Home, texts: Mapping[str, str] = _NONE) -> Path:
    """Copy the files of a finished run to `data/adapters/<name>/` and add adapter.yaml. Returns the folder.

    If the adapter exists already only `created_at` changes: the one trained last is the current one.
    `texts`: additional text files (README, NOTICE) by name.
    """
    target = home.adapters / card.name
    if (target / FILE).is_file():
        artifacts.make_current(home, artifacts.ADAPTER, target)
        return target
    card = msgspec.structs.replace(card, created_at=artifacts.created_now(home, artifacts.ADAPTER))
    with atomic_folder(target, FILE) as folder:
        for file in sorted(files.iterdir()):
            # Contents without permissions: PyTorch writes weights readable by their owner only.
            shutil.copyfile(file, folder / file.name)
        for name, text in texts.items():
            write_atomic(folder / name, text)
        write_atomic(folder / FILE, config.dump(card))
    return target


def libraries() -> Mapping[str, str]:
    """Versions of the training libraries that are installed: LoRA on a whole base needs no bitsandbytes."""
    versions = {}
    for name in LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions
