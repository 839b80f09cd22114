"""pipeline/train/artefact.py"""

from pathlib import Path

import msgspec
import pytest

from pipeline.train import artefact
from pipeline.train.config import ModelConfig, TrainConfig

CONFIG = TrainConfig(model=ModelConfig(name="a/b"))


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name in (artefact.WEIGHTS, artefact.PEFT_CONFIG, artefact.CHAT_TEMPLATE, "parity.jsonl"):
        (tmp_path / name).write_text(name)
    return tmp_path


def test_the_name_is_task_and_eight_hex_digits(files):
    task, _, digits = artefact.name_of("support.intent", files, CONFIG, "d@1").rpartition("@")
    assert task == "support.intent"
    assert len(digits) == 8
    assert int(digits, 16) >= 0


@pytest.mark.parametrize("name", [artefact.WEIGHTS, artefact.PEFT_CONFIG, artefact.CHAT_TEMPLATE])
def test_any_change_of_the_served_files_gives_another_name(files, name):
    before = artefact.name_of("t", files, CONFIG, "d@1")
    (files / name).write_text("changed")
    assert artefact.name_of("t", files, CONFIG, "d@1") != before


def test_another_configuration_or_dataset_gives_another_name(files):
    name = artefact.name_of("t", files, CONFIG, "d@1")
    assert artefact.name_of("t", files, msgspec.structs.replace(CONFIG, seed=1), "d@1") != name
    assert artefact.name_of("t", files, CONFIG, "d@2") != name


def test_the_path_of_the_base_model_does_not_affect_the_name(files):
    moved = msgspec.structs.replace(CONFIG, model=ModelConfig(name="a/b", path="/elsewhere"))
    assert artefact.name_of("t", files, moved, "d@1") == artefact.name_of("t", files, CONFIG, "d@1")


def test_3_and_3_point_0_epochs_are_the_same_recipe():
    whole, fraction = (msgspec.structs.replace(CONFIG, epochs=epochs) for epochs in (3, 3.0))
    assert msgspec.json.encode(artefact.recipe(whole)) == msgspec.json.encode(artefact.recipe(fraction))
