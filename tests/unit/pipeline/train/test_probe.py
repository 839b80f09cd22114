"""pipeline/train/probe.py"""

import msgspec
import pytest

from pipeline.train import estimate, job, plan, probe
from pipeline.train import shape as sizes
from pipeline.train.config import CONFIGS, TrainConfig
from traffic import config
from traffic.errors import ConfigError, TrainingFailed

pytestmark = pytest.mark.slow

CONFIG = config.load(CONFIGS / "smollm2-135m.yaml", TrainConfig)
SHORT = probe.shortened(CONFIG, 10, 5000)
WHOLE = sizes.shape([(40, 10)] * 1000, 0, CONFIG, measured=True)
SAMPLED = sizes.shape([(40, 10)] * 160, 2, SHORT, measured=True)
RESULT = job.Result(
    examples=160, validation_examples=2, too_long={}, steps=10, planned_steps=10, epochs=1.0, resumed_from=None,
    best_step=10, best_eval_loss=1.0, seconds=20.0, trained_examples=160, supervised_tokens=1600, peak_gpu_bytes=0,
    peak_rss_bytes=2 * estimate.GIB,
)  # fmt: skip
WORK = job.Job(
    config=SHORT,
    base="b",
    base_name="b",
    base_revision="r",
    dataset="d",
    run="r",
    device="cpu",
    processes=1,
    max_tokens=8,
)


def calibrate(stamps: dict[int, float], whole: sizes.Shape = WHOLE) -> plan.Calibration:
    return probe.calibration(WORK, RESULT, stamps, CONFIG, CONFIG.model.architecture, whole, SAMPLED)


def test_a_probe_changes_only_the_number_of_steps():
    assert SHORT.max_examples == 10 * CONFIG.effective_batch
    assert SHORT.epochs == 1
    unchanged = ("batch_size", "effective_batch", "max_length", "lora", "gradient_checkpointing", "quantization")
    assert all(getattr(SHORT, name) == getattr(CONFIG, name) for name in unchanged)


def test_a_small_dataset_is_repeated():
    short = probe.shortened(CONFIG, 10, 40)
    assert (short.max_examples, short.epochs) == (40, 4)


def test_too_few_steps_are_refused():
    with pytest.raises(ConfigError, match="--probe 3: at least 5"):
        probe.shortened(CONFIG, 3, 5000)


def test_the_first_steps_are_excluded_from_the_time_estimate():
    calibrated = calibrate({1: 100.0, 2: 150.0} | {step: 200.0 + 2.0 * step for step in range(3, 11)})
    assert calibrated.tokens_per_second == 16 * 50 / 2
    # 3 epochs of 1,000 rows of 50 tokens, and no validation.
    assert calibrated.run_seconds == 3 * 50_000 / 400


def test_validation_is_added_to_the_estimated_time():
    stamps = {step: 2.0 * step for step in range(1, 11)}
    validated = msgspec.structs.replace(WHOLE, validation_examples=500)
    assert calibrate(stamps, validated).run_seconds > calibrate(stamps).run_seconds


def test_longer_rows_of_the_full_run_raise_the_measured_peak():
    stamps = {step: 2.0 * step for step in range(1, 11)}
    longer = sizes.shape([(400, 100)] * 1000, 0, CONFIG, measured=True)
    assert calibrate(stamps).run_gib == calibrate(stamps).peak_gib == 2.0
    assert calibrate(stamps, longer).run_gib > 2.5


def test_a_probe_without_timed_steps_is_an_error():
    with pytest.raises(TrainingFailed, match="too few to time"):
        calibrate({1: 1.0, 2: 2.0})


def test_the_lines_compare_measured_and_planned_values():
    text = "\n".join(calibrate({step: 2.0 * step for step in range(1, 11)}).lines())
    assert "400 tokens/s" in text
    assert "2.00 GiB" in text
