"""pipeline/train/entry.py: arguments for TRL, and errors. Real training: tests/integration/test_train.py."""

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
]  # of the trainer's own libraries, which otherwise run in a process

import msgspec  # noqa: E402
import torch  # noqa: E402

from pipeline.train import entry  # noqa: E402
from pipeline.train.chat import Encoded  # noqa: E402
from pipeline.train.config import CONFIGS, TrainConfig  # noqa: E402
from pipeline.train.job import Job  # noqa: E402
from pipeline.train.rows import Split  # noqa: E402
from traffic import config  # noqa: E402
from traffic.errors import TrainingFailed  # noqa: E402


def job_with(chosen: TrainConfig, folder: Path) -> Job:
    return Job(
        config=chosen,
        base="base",
        base_name="tiny/llama",
        base_revision="r",
        dataset="d",
        run=str(folder),
        device="cpu",
        processes=1,
        max_tokens=8,
    )


def test_packing_keeps_examples_whole_in_sequences_of_one_update(tmp_path: Path) -> None:
    chosen = config.load(CONFIGS / "qwen2.5-7b.yaml", TrainConfig)
    work = job_with(chosen, tmp_path)
    row = Encoded(ids=list(range(40)), prompt_length=36)
    packed = entry.packed(work, Split([row] * 3200, 0, [1.0] * 3200))
    settings = entry.sft_config(work, 3200, packed)
    assert (settings.packing, settings.packing_strategy, settings.max_length, settings.eval_packing) == (
        True,
        "bfd",
        16 * 40,
        False,
    )
    assert (settings.per_device_train_batch_size, settings.gradient_accumulation_steps) == (1, 1)
    # 200 updates an epoch, twice validated: not at the run's end alone.
    assert (settings.eval_steps, settings.save_steps) == (100, 100)
    assert not settings.torch_compile


def test_without_packing_nothing_is_truncated_and_batches_are_grouped_by_length(tmp_path: Path) -> None:
    chosen = config.load(CONFIGS / "qwen2.5-7b.yaml", TrainConfig, ["packing=false"])
    settings = entry.sft_config(job_with(chosen, tmp_path), 100)
    assert (settings.packing, settings.max_length, settings.train_sampling_strategy) == (False, None, "group_by_length")


@pytest.mark.parametrize(
    "dtype, flags, precision",
    [("bfloat16", (True, False), "bf16"), ("float32", (False, False), "no"), ("float16", (False, True), "fp16")],
)
def test_the_trainer_computes_in_the_job_s_dtype(
    dtype: str, flags: tuple[bool, bool], precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = config.load(CONFIGS / "smollm2-135m.yaml", TrainConfig)
    work = msgspec.structs.replace(job_with(chosen, tmp_path), compute_dtype=dtype)
    # As `accelerate launch --mixed_precision` sets it for its children.
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", precision)
    settings = entry.sft_config(work, 100)
    assert (settings.bf16, settings.fp16) == flags
    assert settings.mixed_precision == precision


def test_torch_compile_is_one_setting(tmp_path: Path) -> None:
    chosen = config.load(CONFIGS / "smollm2-135m.yaml", TrainConfig, ["compile=true"])
    assert entry.sft_config(job_with(chosen, tmp_path), 100).torch_compile


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
def test_out_of_memory_names_the_two_settings_to_change(error: Exception) -> None:
    chosen = config.load(CONFIGS / "smollm2-135m.yaml", TrainConfig)
    with pytest.raises(TrainingFailed) as raised, entry.out_of_memory(chosen, "cpu"):
        raise error
    assert str(raised.value) == "out of memory: lower batch_size (now 8) or set gradient_checkpointing=true"
    recomputing = msgspec.structs.replace(chosen, gradient_checkpointing=True)
    with (
        pytest.raises(TrainingFailed, match=r"GPU memory: lower batch_size \(now 8\) or max_length \(now 1024\)"),
        entry.out_of_memory(recomputing, "cuda"),
    ):
        raise error


def test_an_impossible_allocation_is_reported_as_such() -> None:
    with (
        pytest.raises(TrainingFailed, match="out of memory: lower batch_size"),
        entry.out_of_memory(config.load(CONFIGS / "smollm2-135m.yaml", TrainConfig), "cpu"),
    ):
        torch.empty(2**55)


def test_other_errors_are_unchanged() -> None:
    with (
        pytest.raises(RuntimeError, match="shapes cannot be multiplied"),
        entry.out_of_memory(config.load(CONFIGS / "smollm2-135m.yaml", TrainConfig), "cpu"),
    ):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")


@pytest.mark.parametrize(
    "shards, computes, kept",
    [
        ("false", "bfloat16", torch.float32),
        ("false", "float32", torch.float32),
        ("true", "float32", torch.float32),
        ("true", "bfloat16", torch.bfloat16),
    ],
)
def test_the_adapter_of_a_4_bit_base_has_the_compute_dtype(
    shards: str, computes: str, kept: torch.dtype, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCELERATE_USE_FSDP", shards)
    base, adapter = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    model = torch.nn.ModuleList([base.requires_grad_(False), adapter]).to(torch.bfloat16)
    work = job_with(config.load(CONFIGS / "qwen2.5-7b.yaml", TrainConfig), tmp_path)
    entry.keep_adapter_in_float32(model, msgspec.structs.replace(work, compute_dtype=computes))
    assert {weights.dtype for weights in adapter.parameters()} == {kept}
    assert {weights.dtype for weights in base.parameters()} == {torch.bfloat16}
