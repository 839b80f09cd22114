"""`fasttier plan --probe` with a tiny model and the real trainer."""

from pathlib import Path

import pytest

from pipeline import train
from pipeline.train.config import LoraConfig, ModelConfig, TrainConfig
from tests.fakes import task_datasets, tiny_models
from traffic.artifacts import Home

pytestmark = pytest.mark.models


def test_a_probe_measures_speed_and_memory_without_side_effects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    home = Home(tmp_path / "home")
    dataset = task_datasets.make(home.datasets, train=64, others=8)
    model = ModelConfig(name="tiny/llama", path=str(tiny_models.make(tmp_path / "llama", "llama")), licence="none")
    chosen = TrainConfig(model=model, lora=LoraConfig(rank=8), batch_size=8, effective_batch=8, device="cpu")
    made = train.plan_run(chosen, dataset, home=home, probe_steps=12)
    found = made.calibration
    assert found is not None
    assert found.steps == 12
    assert found.tokens_per_second > 0
    assert 0.1 < found.peak_gib < 16
    assert found.run_gib >= found.peak_gib
    assert found.run_seconds > 0
    assert list(home.runs.iterdir()) == []
    assert not home.adapters.exists()
    assert any(line.startswith("probe ") for line in made.lines())
