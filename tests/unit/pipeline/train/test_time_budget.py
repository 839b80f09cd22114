"""pipeline/train/time_budget.py. Measurements: tests/integration/test_train_steps.py."""

import pytest

from pipeline.train import time_budget
from pipeline.train.config import EvaluationConfig, ModelConfig, TrainConfig

CONFIG = TrainConfig(
    model=ModelConfig(name="tiny"), effective_batch=16, gradient_checkpointing=False,
    evaluation=EvaluationConfig(per_epoch=1), min_examples=64,
)  # fmt: skip


@pytest.mark.parametrize(
    "seconds, rate, validation, steps",
    [
        (100, 4.8, 0, 30),
        # 64 validation rows cost as much as 32 training examples, which have a backward pass too.
        (100, 4.8, 64, 28),
        (1000, 4.8, 64, 60),  # no more than the run has
        (10, 0.5, 64, 4),  # too little time still trains on min_examples
    ],
)
def test_steps_and_validation_fit_into_the_time_budget(seconds: float, rate: float, validation: int, steps: int):
    within = time_budget.steps_within(seconds, rate, config=CONFIG, steps=60, validation_examples=validation)
    assert within == steps


@pytest.mark.parametrize("timed, seconds, fits", [(4, 0.8, True), (4, 2.4, False), (12, 2.4, True), (12, 3.0, False)])
def test_another_batch_is_timed_if_it_is_expected_to_end_in_time(timed: float, seconds: float, fits: bool):
    assert time_budget.fits(8, timed, seconds) == fits
