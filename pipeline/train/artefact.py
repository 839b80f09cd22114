"""The adapter's files, so that the same training gives the same bytes, and the folder named by their hash."""

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


def write_weights(model: Any, folder: Path, base_name: str) -> None:
    """The LoRA matrices in bfloat16 (as vLLM holds them, and as training multiplied them) and PEFT's configuration.

    PEFT's own `save_pretrained` writes its set of modules in an order that changes from run to run.
    """
    from peft import get_peft_model_state_dict

    state = get_peft_model_state_dict(model, save_embedding_layers=False)
    _write(state, model.peft_config["default"].to_dict(), folder, base_name)


def write_checkpoint(checkpoint: Path, folder: Path, base_name: str) -> None:
    """The adapter out of a checkpoint of training: what `write_weights` writes of the model in memory.

    Raises: OSError if the checkpoint holds no adapter.
    """
    from safetensors.torch import load_file

    settings = msgspec.json.decode((checkpoint / PEFT_CONFIG).read_bytes())
    _write(load_file(checkpoint / WEIGHTS), settings, folder, base_name)


def _write(state: Mapping[str, Any], settings: dict[str, Any], folder: Path, base_name: str) -> None:
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: tensor.detach().to("cpu", torch.bfloat16).contiguous() for name, tensor in sorted(state.items())},
        folder / WEIGHTS,
        metadata={"format": "pt"},
    )
    settings |= {
        "base_model_name_or_path": base_name,
        "inference_mode": True,
        # PEFT lists every layer's modules by their full names; each kind is adapted in all layers, so its name does.
        "target_modules": sorted({name.rpartition(".")[2] for name in settings["target_modules"]}),
    }
    write_atomic(folder / PEFT_CONFIG, msgspec.json.format(msgspec.json.encode(settings, order="sorted"), indent=2))


def write_tokenizer(tokenizer: Any, folder: Path) -> None:
    """Tokenizer and pinned chat template, with which the adapter must be served."""
    tokenizer.save_pretrained(folder)
    write_atomic(folder / CHAT_TEMPLATE, tokenizer.chat_template)


def write_parity(items: Iterable[ParityItem], folder: Path) -> None:
    write_atomic(folder / "parity.jsonl", adapters.dump_parity(items))


def name_of(task: str, files: Path, settings: "TrainConfig", dataset: str) -> str:
    """`<task>@<hash8>` over weights, PEFT configuration, chat template, training configuration and dataset.

    Where the base model lies on this machine and how many parity items there are do not change what the adapter is.
    """
    return artifacts.name_of(
        task,
        *(hashlib.sha256((files / name).read_bytes()).digest() for name in (WEIGHTS, PEFT_CONFIG, CHAT_TEMPLATE)),
        recipe(settings),
        dataset,
    )


def recipe(settings: "TrainConfig") -> dict[str, Any]:
    """The training configuration without what differs between machines."""
    # There and back, so that 3 epochs and 3.0 are the same recipe.
    normal = msgspec.convert(msgspec.to_builtins(settings, str_keys=True), type(settings))
    tree: dict[str, Any] = msgspec.to_builtins(normal, str_keys=True)
    tree["model"].pop("path")
    # Keys added later are left out at their defaults: recipes of earlier versions keep their hash.
    if tree["compute_dtype"] == "auto":
        tree.pop("compute_dtype")
    if tree["max_seconds"] is None:
        tree.pop("max_seconds")
    if tree["lora"]["top_layers"] is None:
        tree["lora"].pop("top_layers")
    # Of so many processes, it is the same run on one machine or on several.
    tree.pop("machines")
    return tree


def publish(files: Path, card: Adapter, home: Home, texts: Mapping[str, str] = _NONE) -> Path:
    """Copy the files of a finished run into `data/adapters/<name>/`, with adapter.yaml. Returns the folder.

    Of an adapter that is there already only `created_at` changes: the one that was trained last is the current one.
    `texts` are further files by name, which say what is in the others.
    """
    target = home.adapters / card.name
    if (target / FILE).is_file():
        artifacts.make_current(home, artifacts.ADAPTER, target)
        return target
    card = msgspec.structs.replace(card, created_at=artifacts.created_now(home, artifacts.ADAPTER))
    with atomic_folder(target, FILE) as folder:
        for file in sorted(files.iterdir()):
            # Contents only: PyTorch writes weights that nobody else on the machine could read.
            shutil.copyfile(file, folder / file.name)
        for name, text in texts.items():
            write_atomic(folder / name, text)
        write_atomic(folder / FILE, config.dump(card))
    return target


def libraries() -> Mapping[str, str]:
    """Versions of what trained it."""
    return {name: importlib.metadata.version(name) for name in LIBRARIES}
