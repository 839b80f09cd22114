"""pipeline/train/fetch.py"""

from pathlib import Path

import pytest

from pipeline.train import compute_dtype, fetch
from tests.fakes import tiny_models
from traffic import config

TRAIN = config.CONFIGS / "train" / "smollm2-135m.yaml"


@pytest.mark.slow  # it converts a model
def test_fetching_times_nothing_beside_other_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    base = tiny_models.make(tmp_path / "base", "llama", hidden=32)
    fetch.main([str(TRAIN), str(tmp_path / "home"), f"model={{name: tiny/llama, path: {base}}}"])
    assert not compute_dtype.cache_file().exists()


def test_a_model_that_cannot_be_fetched_is_an_error_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        fetch.main([str(TRAIN), str(tmp_path / "home"), "model={name: no/such/model}"])
    assert "no/such/model" in str(ended.value)
    assert "\n" not in str(ended.value)
