"""pipeline/sweep/config.py"""

import msgspec
import pytest

from pipeline.sweep.config import SweepConfig, apply, check
from pipeline.train.config import CONFIGS, LoraConfig, ModelConfig, TrainConfig
from traffic import config
from traffic.errors import ConfigError

BASE = TrainConfig(model=ModelConfig(name="tiny"), lora=LoraConfig(rank=16, alpha=32), seed=7, effective_batch=8)
SETTINGS = {"learning_rate": 3e-4, "rank": 16, "epochs": 2.0, "rslora": False, "quantization": "none"}
SPACE = {"learning_rate": {"low": 1e-4, "high": 1e-3}, "rank": [8], "epochs": [1]}


def sweep(**changes: object) -> SweepConfig:
    return config.convert({"space": SPACE | changes}, SweepConfig, source="sweep.yaml")


def test_the_shipped_space_fits_every_shipped_training_configuration():
    shipped = config.load(CONFIGS.parent / "sweep.yaml", SweepConfig)
    # Those with a kind are of classifiers.
    for path in [path for path in sorted(CONFIGS.glob("*.yaml")) if "kind" not in config.read(path)]:
        check(shipped, config.load(path, TrainConfig))


def test_a_trial_overrides_only_its_settings():
    changed = apply(BASE, SETTINGS | {"rank": 8, "quantization": "nf4", "epochs": 3.0}, seed=9)
    assert (changed.learning_rate, changed.lora.rank, changed.quantization, changed.epochs) == (3e-4, 8, "nf4", 3.0)
    assert (changed.seed, changed.processes, changed.effective_batch) == (9, 1, BASE.effective_batch)
    assert apply(BASE, SETTINGS).seed == 7


@pytest.mark.parametrize("rank, plain", [(8, 16), (16, 32), (64, 128)])
def test_alpha_keeps_the_scaling_of_the_update_in_both_arms(rank: int, plain: int):
    assert apply(BASE, SETTINGS | {"rank": rank}).lora.alpha == plain
    # alpha / sqrt(16) = 2 = 32 / 16, and the same alpha at other ranks: that is what rsLoRA is.
    assert apply(BASE, SETTINGS | {"rank": rank, "rslora": True}).lora.alpha == 8


def test_a_winners_configuration_is_the_same_after_saving():
    changed = apply(BASE, SETTINGS | {"rslora": True})
    assert config.convert(msgspec.yaml.decode(config.dump(changed)), TrainConfig, source="winner.yaml") == changed


def test_a_rank_that_vllm_cannot_serve_is_refused_before_any_trial():
    with pytest.raises(ConfigError, match="rank 12 cannot be served"):
        check(sweep(rank=[8, 12]), BASE)


@pytest.mark.parametrize(
    "changes, names", [({"sharding": "fsdp2"}, "sharding: fsdp2"), ({"machines": 2}, "machines: 2")]
)
def test_a_base_for_several_devices_is_refused_before_any_trial(changes: dict[str, object], names: str):
    with pytest.raises(ConfigError, match=rf"{names}.* trials "):
        check(sweep(), msgspec.structs.replace(BASE, **changes))


@pytest.mark.parametrize(
    "changes",
    [{"rank": []}, {"learning_rate": {"low": 1e-3, "high": 1e-4}}, {"epochs": [0]}, {"quantization": ["fp4"]}],
)
def test_an_empty_or_impossible_space_is_refused(changes: dict[str, object]):
    with pytest.raises(ConfigError, match=r"sweep\.yaml"):
        sweep(**changes)
