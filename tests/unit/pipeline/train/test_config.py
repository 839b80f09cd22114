"""pipeline/train/config.py"""

import msgspec
import pytest

from pipeline.train.config import CONFIGS, TrainConfig
from traffic import config
from traffic.errors import ConfigError

MODEL = {"model": {"name": "some/model"}}


ADAPTERS = [path for path in sorted(CONFIGS.glob("*.yaml")) if "kind" not in config.read(path)]
"""The others are of classifiers."""


@pytest.mark.parametrize("path", ADAPTERS, ids=lambda path: path.stem)
def test_every_shipped_configuration_loads(path):
    loaded = config.load(path, TrainConfig)
    assert loaded.model.architecture is not None
    assert loaded.accumulation(1) >= 1


def test_one_key_switches_a_shipped_configuration_to_qlora():
    loaded = config.load(CONFIGS / "llama-3.1-8b.yaml", TrainConfig, ["quantization=nf4"])
    assert loaded.quantization == "nf4"


@pytest.mark.parametrize(
    "lora, names",
    [
        ({"dora": True}, "DoRA"),
        ({"lora_bias": True}, "bias"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"rank": 12}, "rank 12"),
        ({"target_modules": ["q_proj", "lm_head"]}, "lm_head"),
    ],
)
def test_what_vllm_would_reject_is_refused_by_name(lora, names):
    with pytest.raises(ConfigError, match=names):
        config.convert(MODEL | {"lora": lora}, TrainConfig, source="test.yaml")


def test_an_unknown_key_is_refused_with_the_file():
    with pytest.raises(ConfigError, match=r"test\.yaml.*learning_rte"):
        config.convert(MODEL | {"learning_rte": 1}, TrainConfig, source="test.yaml")


@pytest.mark.parametrize("batch_size, processes, steps", [(16, 1, 1), (4, 1, 4), (4, 2, 2), (1, 4, 4)])
def test_gradient_accumulation_gives_the_effective_batch_size(batch_size, processes, steps):
    loaded = config.convert(MODEL | {"batch_size": batch_size, "effective_batch": 16}, TrainConfig, source="")
    assert loaded.accumulation(processes) == steps


@pytest.mark.parametrize("batch_size, processes", [(32, 1), (5, 1), (8, 3)])
def test_an_impossible_effective_batch_size_is_refused(batch_size, processes):
    loaded = config.convert(MODEL | {"batch_size": batch_size, "effective_batch": 16}, TrainConfig, source="")
    with pytest.raises(ConfigError, match="effective_batch 16"):
        loaded.accumulation(processes)


def test_a_configuration_is_the_same_after_yaml():
    loaded = config.load(CONFIGS / "smollm2-135m.yaml", TrainConfig)
    assert msgspec.convert(msgspec.yaml.decode(config.dump(loaded)), TrainConfig) == loaded


@pytest.mark.parametrize("name", ["qwen2.5-7b", "llama-3.1-8b"])
def test_the_shipped_gpu_configurations_pack_with_flash_attention_and_fused_kernels(name):
    loaded = config.load(CONFIGS / f"{name}.yaml", TrainConfig)
    assert loaded.resolved(flash_attention=True, kernels=True) == loaded
    assert (loaded.packing, loaded.attention, loaded.kernels) == (True, "flash_attention_2", True)


def test_without_flash_attention_a_gpu_packs_with_a_mask():
    loaded = config.load(CONFIGS / "qwen2.5-7b.yaml", TrainConfig).resolved(flash_attention=False, kernels=False)
    assert (loaded.packing, loaded.attention, loaded.kernels, loaded.group_by_length) == (True, "sdpa", False, True)


def test_a_gpu_configuration_groups_by_length_instead_of_packing_on_a_cpu():
    configuration = config.load(CONFIGS / "qwen2.5-7b.yaml", TrainConfig)
    loaded = configuration.resolved(flash_attention=False, kernels=False, gpu=False)
    assert (loaded.packing, loaded.attention, loaded.kernels, loaded.group_by_length) == (False, "sdpa", False, True)


@pytest.mark.parametrize("gpu, attention", [(True, "flex_attention"), (False, "sdpa")])
def test_flex_attention_requires_a_gpu_and_explicit_packing_is_kept(gpu, attention):
    configuration = config.convert(
        MODEL | {"packing": True, "attention": "flex_attention"}, TrainConfig, source="test.yaml"
    )
    loaded = configuration.resolved(flash_attention=False, kernels=False, gpu=gpu)
    assert (loaded.packing, loaded.attention) == (True, attention)


def test_unavailable_shortcuts_are_named():
    configuration = config.load(CONFIGS / "qwen2.5-7b.yaml", TrainConfig)
    message = configuration.missing(configuration.resolved(flash_attention=False, kernels=False, gpu=False))
    assert message is not None
    assert "packing, flash_attention_2, fused kernels" in message
    assert "\n" not in message
    message = configuration.missing(configuration.resolved(flash_attention=False, kernels=True))
    assert message is not None
    assert "flash_attention_2" in message
    assert "packing" not in message
    assert "fused kernels" not in message


@pytest.mark.parametrize("name, changes", [("qwen2.5-7b", []), ("qwen2.5-7b", ["fast=false"]), ("smollm2-135m", [])])
def test_no_shortcut_is_missing_if_all_are_available_or_none_requested(name, changes):
    configuration = config.load(CONFIGS / f"{name}.yaml", TrainConfig, changes)
    here = configuration.fast and configuration.packing
    assert configuration.missing(configuration.resolved(flash_attention=here, kernels=here)) is None


def test_fast_false_disables_every_shortcut():
    loaded = config.load(CONFIGS / "qwen2.5-7b.yaml", TrainConfig, ["fast=false"])
    plain = loaded.resolved(flash_attention=True, kernels=True)
    assert (plain.packing, plain.attention, plain.kernels, plain.group_by_length) == (False, "sdpa", False, False)
    compiled = config.load(CONFIGS / "smollm2-135m.yaml", TrainConfig, ["fast=false", "compile=true"])
    assert not compiled.resolved(flash_attention=True, kernels=True).compile


def test_fused_kernels_and_compiling_exclude_each_other():
    with pytest.raises(ConfigError, match="exclude each other"):
        config.convert(MODEL | {"kernels": True, "compile": True}, TrainConfig, source="test.yaml")
