"""pipeline/train/machines.py"""

from pathlib import Path

import msgspec
import pytest

from pipeline import train
from pipeline.train import job, launch, machines
from pipeline.train.config import ModelConfig, TrainConfig
from traffic.errors import ConfigError, InputError

CONFIG = TrainConfig(model=ModelConfig(name="tiny"), machines=2, device="cpu")
VARIABLES = {"MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29500", "NODE_RANK": "1"}


def a_job(folder: Path, device: str = "cpu") -> job.Job:
    return job.Job(CONFIG, "/base", "tiny", "sha256:0", "/data", str(folder), device, 2, 16)


def test_the_standard_variables_identify_the_machine():
    assert machines.here(2, VARIABLES) == machines.Node(1, "10.0.0.1", 29500)


@pytest.mark.parametrize("name", sorted(VARIABLES))
def test_a_missing_variable_is_named(name: str):
    with pytest.raises(ConfigError, match=f"machines: 2, but {name} not set"):
        machines.here(2, VARIABLES | {name: ""})


@pytest.mark.parametrize("changes", [{"NODE_RANK": "2"}, {"NODE_RANK": "first"}, {"MASTER_PORT": "http"}])
def test_an_impossible_variable_is_named(changes: dict[str, str]):
    with pytest.raises(ConfigError, match=next(iter(changes))):
        machines.here(2, VARIABLES | changes)


def test_accelerate_gets_the_machine_options():
    command = launch.command(
        Path("job.json"), CONFIG, device="cpu", processes=4, node=machines.Node(1, "10.0.0.1", 29500)
    )
    joined = " ".join(command)
    message = "--num_machines 2 --machine_rank 1 --main_process_ip 10.0.0.1 --main_process_port 29500"
    assert f"--num_processes 4 {message}" in joined


def test_a_plan_s_command_names_the_variables():
    command = launch.command(Path("job.json"), CONFIG, device="cpu", processes=2)
    assert "--machine_rank $NODE_RANK --main_process_ip $MASTER_ADDR" in " ".join(command)


def test_the_number_of_processes_covers_all_machines():
    assert train.devices(CONFIG, planning=False) == ("cpu", 2)
    uneven = TrainConfig(model=CONFIG.model, machines=2, processes=3, device="cpu")
    with pytest.raises(ConfigError, match="processes: 3, all together"):
        train.devices(uneven, planning=False)


def test_the_compute_dtype_of_the_first_machine_applies_to_all(tmp_path: Path):
    first = msgspec.structs.replace(a_job(tmp_path), compute_dtype="float32")
    job.save(tmp_path / "job.json", first)
    assert machines.wait_for_job(a_job(tmp_path), seconds=0) == first


def test_other_machines_wait_for_the_first_ones_job_file(tmp_path: Path):
    work, waited = a_job(tmp_path), []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        job.save(tmp_path / "job.json", work)

    machines.wait_for_job(work, sleep=sleep)
    assert len(waited) == 1


def test_a_wait_timeout_reports_the_missing_or_different_job(tmp_path: Path):
    with pytest.raises(InputError, match="did not write it; is the home shared"):
        machines.wait_for_job(a_job(tmp_path), seconds=0)
    job.save(tmp_path / "job.json", a_job(tmp_path, device="cuda"))
    with pytest.raises(InputError, match="has another device than this machine"):
        machines.wait_for_job(a_job(tmp_path), seconds=0)
