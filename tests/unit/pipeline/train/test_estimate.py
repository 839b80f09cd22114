"""pipeline/train/estimate.py"""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.train import estimate
from pipeline.train.config import CONFIGS, LoraConfig, TrainConfig
from traffic import config
from traffic.errors import ConfigError

PUBLISHED = {
    "llama-3.1-8b": (8_030_261_248, 41_943_040),
    "qwen2.5-7b": (7_615_616_512, 40_370_176),
    "smollm2-135m": (134_515_008, 4_884_480),
}
"""Parameters as the model cards give them; LoRA of rank 16 on all linear layers."""

LORA = LoraConfig()
A100 = estimate.Device("A100 80GB", 80.0, 312, 2039)
STEP = estimate.Pass(tokens=4096, length=2048, logits=0, checkpointing=True)


def arch(name: str):
    return config.load(CONFIGS / f"{name}.yaml", TrainConfig).model.architecture


def change(**changes) -> estimate.Pass:
    return msgspec.structs.replace(STEP, **changes)


def test_weights_of_an_8b_model_take_15_gib_in_bfloat16_and_5_3_in_nf4():
    llama = arch("llama-3.1-8b")
    assert estimate.weight_bytes(llama, "none") / estimate.GIB == pytest.approx(14.96, abs=0.01)
    assert estimate.weight_bytes(llama, "nf4") / estimate.GIB == pytest.approx(5.3, abs=0.05)


@given(st.integers(1, 100_000), st.integers(1, 100_000), st.booleans())
def test_memory_and_time_grow_with_tokens(fewer, more, checkpointing):
    qwen = arch("qwen2.5-7b")
    low, high = (change(tokens=n, checkpointing=checkpointing) for n in sorted((fewer, more)))
    assert estimate.memory_bytes(qwen, LORA, low) <= estimate.memory_bytes(qwen, LORA, high)
    assert estimate.pass_seconds(qwen, LORA, low, A100) <= estimate.pass_seconds(qwen, LORA, high, A100)


def test_gradient_checkpointing_saves_memory_for_50_percent_more_computation():
    llama, without = arch("llama-3.1-8b"), change(checkpointing=False)
    assert estimate.memory_bytes(llama, LORA, STEP) < estimate.memory_bytes(llama, LORA, without)
    assert estimate.flops(llama, LORA, STEP) / estimate.flops(llama, LORA, without) == pytest.approx(1.5, abs=0.03)


def test_without_checkpointing_a_token_costs_four_flops_per_parameter():
    llama = arch("llama-3.1-8b")
    step = change(checkpointing=False, length=0)
    weights = estimate.linear_parameters(llama) + llama.vocab * llama.hidden
    assert estimate.flops(llama, LORA, step) / step.tokens / weights == pytest.approx(4, abs=0.05)


def test_stored_logits_take_memory():
    llama = arch("llama-3.1-8b")
    assert estimate.memory_bytes(llama, LORA, change(logits=4096)) > estimate.memory_bytes(llama, LORA, STEP)


def test_qlora_takes_less_memory_and_more_time():
    llama, nf4 = arch("llama-3.1-8b"), change(quantization="nf4")
    assert estimate.memory_bytes(llama, LORA, nf4) < estimate.memory_bytes(llama, LORA, STEP)
    assert estimate.pass_seconds(llama, LORA, nf4, A100) > estimate.pass_seconds(llama, LORA, STEP, A100)


def test_small_batches_are_bounded_by_kernel_launches():
    llama = arch("llama-3.1-8b")
    one, two = (estimate.pass_seconds(llama, LORA, change(tokens=n), A100) for n in (8, 16))
    assert one == pytest.approx(two, rel=0.01)
    assert one >= estimate.FITTED.launch_seconds * llama.layers


def test_each_of_several_devices_is_slower_than_one_alone():
    llama = arch("llama-3.1-8b")
    assert estimate.pass_seconds(llama, LORA, STEP, A100, 4) > estimate.pass_seconds(llama, LORA, STEP, A100)


def test_twice_the_flops_halve_the_computation_time():
    small = arch("smollm2-135m")
    slow, fast = (estimate.cpu_pass_seconds(small, LORA, STEP, estimate.Cpu(rate)) for rate in (1e11, 2e11))
    launch = estimate.CPU_LAUNCH_SECONDS * small.layers
    assert slow - launch == pytest.approx(2 * (fast - launch))


@pytest.mark.parametrize(
    "name, family",
    [("A100 80GB", "ampere"), ("H100 SXM 80GB", "hopper"), ("RTX 4090 24GB", "gddr"), ("L4 24GB", "gddr"),
     ("L40S 48GB", "unknown"), ("A10G 24GB", "gddr"), ("B200 180GB", "unknown")],
)  # fmt: skip
def test_a_gpu_uses_the_measurements_of_its_family(name, family):
    assert estimate.Device(name, 1, 1, 1).family == family


def test_a_framework_without_gpu_measurements_is_refused():
    with pytest.raises(ConfigError, match=r"A100 80GB: .* nemo"):
        estimate.pass_seconds(arch("llama-3.1-8b"), LORA, change(stack="nemo"), A100)


@given(st.floats(0.001, 1e3), st.floats(0.001, 1e3))
def test_a_smooth_maximum_lies_just_above_the_larger(one, other):
    assert max(one, other) <= estimate.smooth_max(one, other) * (1 + 1e-9) <= 1.19 * max(one, other) * (1 + 1e-6)


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_the_published_ones(name):
    chosen = config.load(CONFIGS / f"{name}.yaml", TrainConfig)
    base = chosen.model.architecture
    assert (estimate.parameters(base), estimate.lora_parameters(base, chosen.lora)) == PUBLISHED[name]


def test_an_unknown_target_module_is_refused_with_the_known_ones():
    base = arch("llama-3.1-8b")
    with pytest.raises(ConfigError, match=r"query_key_value.*q_proj"):
        estimate.lora_parameters(base, LoraConfig(target_modules=("query_key_value",)))
