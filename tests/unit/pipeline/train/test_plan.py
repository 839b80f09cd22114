"""pipeline/train/plan.py"""

import msgspec
import pytest

from pipeline.train import plan
from pipeline.train import shape as sizes
from pipeline.train.config import CONFIGS, TrainConfig
from traffic import config
from traffic.errors import ConfigError


def shipped(name: str) -> TrainConfig:
    return config.load(CONFIGS / f"{name}.yaml", TrainConfig)


def make(chosen: TrainConfig, shape: sizes.Shape, processes: int = 1) -> plan.Plan:
    assert chosen.model.architecture is not None
    return plan.make(
        chosen,
        chosen.model.architecture,
        shape,
        plan.Machine("cuda", processes),
        dataset="t@1",
        command=["accelerate", "launch"],
        check=False,
    )


SHAPE = sizes.shape([(500, 100)] * 10_000, 500, shipped("llama-3.1-8b"), measured=True)


def test_steps_follow_from_examples_epochs_and_effective_batch():
    plan = make(shipped("llama-3.1-8b"), SHAPE)
    # Packed: 8,192 tokens of memory hold not quite the 16 examples of an update, so two sequences share them.
    assert (plan.steps_per_epoch, plan.steps, plan.accumulation) == (625, 1250, 2)
    assert "1 sequence of 4,800 tokens per device" in "\n".join(plan.lines())
    plan = make(msgspec.structs.replace(shipped("llama-3.1-8b"), packing=False), SHAPE)
    assert (plan.steps_per_epoch, plan.steps, plan.accumulation) == (625, 1250, 4)
    assert make(shipped("llama-3.1-8b"), SHAPE, processes=4).accumulation == 1


def test_without_a_tokenizer_the_plan_says_that_tokens_are_estimated():
    row = {
        "prompt": [{"role": "user", "content": "x" * 400}],
        "completion": [{"role": "assistant", "content": "y" * 40}],
    }
    shape = sizes.estimate({"train": [row] * 10, "validation": [row] * 2}, shipped("qwen2.5-7b"))
    assert shape.supervised == 10 * 11
    assert shape.tokens == 10 * (100 + sizes.TEMPLATE_TOKENS + 11)
    assert any("estimated" in line for line in make(shipped("qwen2.5-7b"), shape).lines())
    assert not any("estimated" in line for line in make(shipped("qwen2.5-7b"), SHAPE).lines())


def test_the_lines_name_parameters_memory_steps_and_command():
    text = "\n".join(make(shipped("llama-3.1-8b"), SHAPE).lines())
    for part in ("8,030,261,248", "41,943,040", "GiB", "1,250", "accelerate launch", "learning_rate"):
        assert part in text


def test_an_unsupported_architecture_cannot_be_planned():
    with pytest.raises(ConfigError, match="mixtral"):
        plan.architecture_of({"model_type": "mixtral"}, "some/moe")
