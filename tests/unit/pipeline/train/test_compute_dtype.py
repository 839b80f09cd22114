"""pipeline/train/compute_dtype.py"""

import json
import os
from pathlib import Path

import pytest

from pipeline.train import compute_dtype
from pipeline.train.compute_dtype import CpuRates
from pipeline.train.config import CONFIGS, TrainConfig
from traffic import config
from traffic.errors import InputError

pytestmark = pytest.mark.slow

HIDDEN, INTERMEDIATE = 64, 192


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in compute_dtype.ISA_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return compute_dtype.cache_file()


@pytest.mark.parametrize(
    "float32, bfloat16, fastest",
    [
        (135e9, 400e9, "bfloat16"),  # AVX512-BF16
        (120e9, 1.1e9, "float32"),  # AVX2
        (100e9, 100e9, "float32"),
        (100e9, 50e9, "float32"),
    ],
)
def test_the_faster_dtype_is_used(float32: float, bfloat16: float, fastest: str):
    assert CpuRates(float32, bfloat16).fastest == fastest


def test_both_rates_are_those_of_a_cpu():
    rates = compute_dtype.measure(HIDDEN, INTERMEDIATE)
    # From an emulated dtype on a busy core to a large server.
    assert 1e7 < rates.float32 < 1e15
    assert 1e7 < rates.bfloat16 < 1e15


def test_a_machine_is_measured_once(cache: Path):
    first = compute_dtype.rates(HIDDEN, INTERMEDIATE)
    assert compute_dtype.rates(HIDDEN, INTERMEDIATE) == first
    key = compute_dtype.machine_key(HIDDEN, INTERMEDIATE)
    slow, fast = ({"float32": 1e9, "bfloat16": rate} for rate in (1e8, 1e10))
    for entry, dtype in ((slow, "float32"), (fast, "bfloat16")):
        cache.write_text(json.dumps({key: entry}))
        assert compute_dtype.choose(HIDDEN, INTERMEDIATE, "cpu") == dtype


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"KEY": {"float32": 0, "bfloat16": 1}}', '{"KEY": {"float32": "fast"}}', '{"KEY": null}'],
)
def test_a_broken_cache_is_measured_again(content: str, cache: Path):
    key = compute_dtype.machine_key(HIDDEN, INTERMEDIATE)
    cache.parent.mkdir(parents=True, exist_ok=True)
    cache.write_text(content.replace("KEY", key))
    assert compute_dtype.rates(HIDDEN, INTERMEDIATE).float32 > 1e7
    assert key in json.loads(cache.read_text())


def test_an_unwritable_cache_is_not_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert compute_dtype.rates(HIDDEN, INTERMEDIATE).float32 > 1e7


@pytest.mark.parametrize(
    "name, value", [("ONEDNN_MAX_CPU_ISA", "AVX2"), ("ATEN_CPU_CAPABILITY", "avx2"), ("OMP_NUM_THREADS", "7")]
)
def test_cpu_limits_and_threads_are_part_of_the_cache_key(name: str, value: str, monkeypatch: pytest.MonkeyPatch):
    before = compute_dtype.machine_key(HIDDEN, INTERMEDIATE)
    monkeypatch.setenv(name, value)
    assert compute_dtype.machine_key(HIDDEN, INTERMEDIATE) != before
    assert compute_dtype.machine_key(HIDDEN, INTERMEDIATE + 1) != compute_dtype.machine_key(HIDDEN, INTERMEDIATE)


def test_a_configured_dtype_is_not_measured(cache: Path):
    chosen = config.load(CONFIGS / "smollm2-135m.yaml", TrainConfig, ["compute_dtype=float16"])
    assert chosen.model.architecture is not None
    assert compute_dtype.resolve(chosen, chosen.model.architecture, "cpu") == "float16"
    assert not cache.exists()


def test_the_shape_comes_from_the_weights_folder(tmp_path: Path):
    (tmp_path / "config.json").write_text(json.dumps({"hidden_size": HIDDEN}))
    assert compute_dtype.of_weights(tmp_path, "cpu") in ("bfloat16", "float32")


@pytest.mark.parametrize("text", ["", "{}", '{"hidden_size": "wide"}', "[1]"])
def test_weights_without_a_readable_shape_are_an_error(text: str, tmp_path: Path):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(InputError):
        compute_dtype.of_weights(tmp_path, "cpu")


def test_threads_follow_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert compute_dtype.threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert compute_dtype.threads() == len(os.sched_getaffinity(0))
