"""pipeline/train/launch.py"""

from pathlib import Path

import pytest
import yaml

from pipeline.train import launch
from pipeline.train.config import ModelConfig, TrainConfig

TRACE = """\
Loading weights: 100%
Traceback (most recent call last):
  File "entry.py", line 1, in <module>
{error}
Traceback (most recent call last):
  File "launch.py", line 1, in <module>
subprocess.CalledProcessError: Command '['python', '-m', 'pipeline.train.entry']' returned non-zero exit status 1.
"""


@pytest.mark.parametrize(
    "processes, changes, distributed",
    [
        (1, {}, "NO"),
        (2, {}, "MULTI_GPU"),
        (2, {"quantization": "nf4"}, "MULTI_GPU"),
        (2, {"sharding": "fsdp2"}, "FSDP"),
        (2, {"sharding": "fsdp2", "quantization": "nf4"}, "FSDP"),
    ],
)
def test_each_kind_of_run_uses_its_shipped_accelerate_file(processes: int, changes: dict[str, str], distributed: str):
    config = TrainConfig(model=ModelConfig(name="tiny"), **changes)
    command = launch.command(Path("run/job.json"), config, device="cpu", processes=processes)
    assert command[:2] == ["accelerate", "launch"]
    assert command[-3:] == ["-m", "pipeline.train.entry", "run/job.json"]
    settings = yaml.safe_load(Path(command[command.index("--config_file") + 1]).read_text())
    assert settings["distributed_type"] == distributed
    # Left to the command line: the machine's compute dtype, not the file, decides.
    assert "mixed_precision" not in settings
    assert command[command.index("--num_processes") + 1] == str(processes)
    if distributed == "FSDP":
        sharded = settings["fsdp_config"]
        assert sharded["fsdp_version"] == 2
        # Packed 4-bit weights cannot be handed round by the process that read them.
        assert sharded["fsdp_cpu_ram_efficient_loading"] == ("quantization" not in changes)


@pytest.mark.parametrize("dtype, precision", [("bfloat16", "bf16"), ("float32", "no"), ("float16", "fp16")])
@pytest.mark.parametrize("processes, sharding", [(1, "none"), (2, "none"), (2, "fsdp2")])
def test_accelerate_uses_the_job_s_dtype(dtype: str, precision: str, processes: int, sharding: str):
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser

    config = TrainConfig(model=ModelConfig(name="tiny"), sharding=sharding)
    command = launch.command(Path("job.json"), config, device="cpu", processes=processes, compute_dtype=dtype)
    arguments, *_ = _validate_launch_command(launch_command_parser().parse_args(command[2:]))
    assert arguments.mixed_precision == precision


def test_our_own_error_is_shown_unchanged():
    log = TRACE.format(error="traffic.errors.TrainingFailed: loss is nan at step 3: lower learning_rate 9")
    assert launch.failure(log, 1) == "loss is nan at step 3: lower learning_rate 9"


def test_a_library_error_is_shown_without_the_launchers():
    log = TRACE.format(error="safetensors_rust.SafetensorError: header too large")
    assert launch.failure(log, 1) == "training failed: safetensors_rust.SafetensorError: header too large"


def test_the_first_failed_process_has_the_cause():
    log = "[rank1]: RuntimeError: shapes differ\n[rank0]: torch.distributed.DistBackendError: peer is gone\n"
    assert launch.failure(log, 1) == "training failed: RuntimeError: shapes differ"


def test_an_out_of_memory_error_names_the_settings_to_change():
    log = TRACE.format(error="torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB")
    assert "lower batch_size or max_length" in launch.failure(log, 1)


def test_a_killed_process_is_reported_as_killed():
    assert "was killed" in launch.failure("step 3", -9)
    assert "was killed" in launch.failure("died with <Signals.SIGKILL: 9>.", 1)


def test_a_log_without_an_error_gives_its_last_line():
    assert launch.failure("one\ntwo\n\n", 3) == "training failed with status 3: two"


def test_a_trial_sees_only_its_gpu(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert launch.environment("cuda", 1)["CUDA_VISIBLE_DEVICES"] == "1"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    assert launch.environment("cuda", 1)["CUDA_VISIBLE_DEVICES"] == "6"


@pytest.mark.parametrize(
    "given, processes, seen", [(None, 1, "0"), (None, 2, "0,1"), ("4,6,7", 1, "4"), ("4,6", 2, "4,6")]
)
def test_a_run_sees_as_many_gpus_as_it_has_processes(monkeypatch: pytest.MonkeyPatch, given, processes, seen):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if given:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    assert launch.environment("cuda", processes=processes)["CUDA_VISIBLE_DEVICES"] == seen


def test_threads_on_a_cpu_do_not_spin_while_they_wait(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    assert launch.environment("cpu")["OMP_WAIT_POLICY"] == "PASSIVE"
    assert "OMP_WAIT_POLICY" not in launch.environment("cuda")
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert launch.environment("cpu")["OMP_WAIT_POLICY"] == "ACTIVE"


def test_a_cpu_run_sees_no_gpu_and_is_offline():
    variables = launch.environment("cpu")
    assert variables["CUDA_VISIBLE_DEVICES"] == ""
    assert variables["HF_HUB_OFFLINE"] == "1"
