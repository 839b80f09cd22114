"""pipeline/train/plan.py"""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.train import plan
from pipeline.train.config import CONFIGS, LoraConfig, TrainConfig
from traffic import config
from traffic.errors import ConfigError

PUBLISHED = {
    "llama-3.1-8b": (8_030_261_248, 41_943_040),
    "qwen2.5-7b": (7_615_616_512, 40_370_176),
    "smollm2-135m": (134_515_008, 4_884_480),
}
"""Parameters as the model cards give them; LoRA of rank 16 on all linear layers."""


def shipped(name: str) -> TrainConfig:
    return config.load(CONFIGS / f"{name}.yaml", TrainConfig)


def make(chosen: TrainConfig, shape: plan.Shape, processes: int = 1) -> plan.Plan:
    assert chosen.model.architecture is not None
    return plan.make(
        chosen,
        chosen.model.architecture,
        dataset="t@1",
        shape=shape,
        device="cuda",
        processes=processes,
        command=["accelerate", "launch"],
        check=False,
    )


SHAPE = plan.shape([(500, 100)] * 10_000, 500, 2048, measured=True)


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_the_published_ones(name):
    chosen = shipped(name)
    arch = chosen.model.architecture
    assert (plan.parameters(arch), plan.lora_parameters(arch, chosen.lora)) == PUBLISHED[name]


def test_weights_of_an_8b_model_take_15_gib_in_bfloat16_and_5_3_in_nf4():
    chosen = shipped("llama-3.1-8b")
    arch = chosen.model.architecture
    rest = 16 * plan.lora_parameters(arch, chosen.lora) + plan.OVERHEAD_BYTES
    weights = {kind: (plan.memory_bytes(chosen, arch, kind, tokens=0) - rest) / plan.GIB for kind in ("none", "nf4")}
    assert weights == {"none": pytest.approx(14.96, abs=0.01), "nf4": pytest.approx(5.3, abs=0.05)}


def test_an_8b_lora_run_needs_more_than_a_24_gb_card_at_long_rows_and_qlora_fits():
    made = make(shipped("llama-3.1-8b"), plan.shape([(1900, 148)] * 100, 10, 2048, measured=True))
    card = "L4 / RTX 4090 / A10G 24 GB"
    assert made.memory_gib["none"] > made.memory_gib["nf4"]
    assert made.fits["nf4"][card]
    assert not make(
        msgspec.structs.replace(shipped("llama-3.1-8b"), batch_size=16),
        plan.shape([(1900, 148)] * 100, 10, 2048, measured=True),
    ).fits["none"][card]


@given(st.integers(1, 50_000), st.integers(1, 50_000))
def test_memory_grows_with_tokens(fewer, more):
    chosen = shipped("qwen2.5-7b")
    arch = chosen.model.architecture
    low, high = sorted((fewer, more))
    assert plan.memory_bytes(chosen, arch, "nf4", low) <= plan.memory_bytes(chosen, arch, "nf4", high)


def test_gradient_checkpointing_saves_memory():
    chosen = shipped("llama-3.1-8b")
    arch = chosen.model.architecture
    without = msgspec.structs.replace(chosen, gradient_checkpointing=False)
    assert plan.memory_bytes(chosen, arch, "none", 4096) < plan.memory_bytes(without, arch, "none", 4096)


def test_steps_follow_from_examples_epochs_and_effective_batch():
    made = make(shipped("llama-3.1-8b"), SHAPE)
    assert (made.steps_per_epoch, made.steps, made.accumulation) == (625, 1250, 4)
    assert make(shipped("llama-3.1-8b"), SHAPE, processes=4).accumulation == 1


def test_rows_past_max_length_count_as_left_out():
    shape = plan.shape([(10, 5), (90, 20)], 3, 100, measured=True)
    assert (shape.examples, shape.too_long, shape.tokens, shape.supervised, shape.longest) == (1, 1, 15, 5, 15)


def test_without_a_tokenizer_the_plan_says_that_tokens_are_estimated():
    row = {
        "prompt": [{"role": "user", "content": "x" * 400}],
        "completion": [{"role": "assistant", "content": "y" * 40}],
    }
    shape = plan.estimate_shape({"train": [row] * 10, "validation": [row] * 2}, 2048)
    assert shape.supervised == 10 * 11
    assert shape.tokens == 10 * (100 + plan.TEMPLATE_TOKENS + 11)
    assert any("estimated" in line for line in make(shipped("qwen2.5-7b"), shape).lines())
    assert not any("estimated" in line for line in make(shipped("qwen2.5-7b"), SHAPE).lines())


def test_the_lines_name_parameters_memory_steps_and_command():
    text = "\n".join(make(shipped("llama-3.1-8b"), SHAPE).lines())
    for part in ("8,030,261,248", "41,943,040", "GiB", "1,250", "accelerate launch", "learning_rate"):
        assert part in text


def test_an_unknown_target_module_is_refused_with_the_known_ones():
    arch = shipped("llama-3.1-8b").model.architecture
    with pytest.raises(ConfigError, match=r"query_key_value.*q_proj"):
        plan.lora_parameters(arch, LoraConfig(target_modules=("query_key_value",)))


def test_a_configs_json_of_another_family_cannot_be_planned():
    with pytest.raises(ConfigError, match="mixtral"):
        plan.architecture_of({"model_type": "mixtral"}, "some/moe")
