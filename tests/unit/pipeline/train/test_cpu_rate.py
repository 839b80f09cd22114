"""pipeline/train/cpu_rate.py"""

import math

from pipeline.train import cpu_rate
from pipeline.train.config import CONFIGS, TrainConfig
from traffic import config


def test_a_cpu_multiplies_at_a_rate_that_a_cpu_can_have() -> None:
    arch = config.load(CONFIGS / "smollm2-135m.yaml", TrainConfig).model.architecture
    found = cpu_rate.measure(arch).flops_per_second
    assert math.isfinite(found)
    # From a busy core without any help for bfloat16 to a large server.
    assert 1e8 < found < 1e15
