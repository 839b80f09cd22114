"""configs/deploy/: started commands exist, and keys are valid for the tool."""

import re
from pathlib import Path

import yaml

from pipeline.train.config import CONFIGS

ROOT = Path(__file__).parents[2]
SKYPILOT = yaml.safe_load((ROOT / "configs" / "deploy" / "skypilot-train.yaml").read_text())

# https://docs.skypilot.co/en/latest/reference/yaml-spec.html, read 2026-11-24
TASK_KEYS = {
    *("name", "workdir", "num_nodes", "resources", "envs", "secrets", "volumes", "file_mounts"),
    *("setup", "run", "config"),
}
RESOURCE_KEYS = {
    *("infra", "accelerators", "accelerator_args", "cpus", "memory", "instance_type", "use_spot", "disk_size"),
    *("disk_tier", "network_tier", "max_hourly_cost", "image_id", "ports", "labels", "autostop", "any_of", "ordered"),
    "job_recovery",
}


def test_the_skypilot_task_has_only_keys_that_skypilot_knows():
    assert set(SKYPILOT) <= TASK_KEYS
    resources = SKYPILOT["resources"]
    assert set(resources) <= RESOURCE_KEYS
    assert {key for choice in resources["any_of"] for key in choice} <= RESOURCE_KEYS
    assert set(resources["autostop"]) <= {"idle_minutes", "down", "wait_for", "hook", "hook_timeout"}
    for choice in resources["any_of"]:
        name, _, count = choice["accelerators"].partition(":")
        assert name
        assert count.isdigit()


def test_a_rented_machine_is_always_stopped():
    assert SKYPILOT["resources"]["autostop"]["idle_minutes"] <= 30
    assert SKYPILOT["resources"]["max_hourly_cost"] <= 10


def test_the_skypilot_task_runs_existing_commands():
    used = set(re.findall(r"\$\{?([A-Z_]+)", SKYPILOT["run"] + SKYPILOT["setup"]))
    # HOME and what the script exports itself need no declaration.
    assert used - {"HOME", "FASTTIER_HOME"} == set(SKYPILOT["envs"])
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"make ([a-z-]+)", SKYPILOT["run"] + SKYPILOT["setup"])) <= targets
    assert (CONFIGS / f"{SKYPILOT['envs']['MODEL']}.yaml").is_file()


def test_the_rented_machine_sets_up_one_environment_and_before_it_runs():
    # Every target sets up first: without a kind it would pick what fits the machine, vLLM's environment too.
    kinds = [re.findall(r"make .*\bKIND=(\S+)", SKYPILOT[part]) for part in ("setup", "run")]
    assert kinds == [["gpu-train"], ["gpu-train"]]
    assert (ROOT / "requirements" / "gpu-train.txt").is_file()


def test_the_rented_machine_brings_the_python_that_setup_needs():
    installed = re.search(r"uv\" python install (\S+)", SKYPILOT["setup"])
    assert installed is not None
    assert re.search(rf"PYTHON=.*uv\" python find .*{re.escape(installed[1])}", SKYPILOT["setup"])
    assert tuple(map(int, installed[1].split("."))) >= (3, 11)


def test_only_datasets_go_to_the_rented_machine():
    assert list(SKYPILOT["file_mounts"].values()) == ["data/datasets"]
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert "/data/" in ignored
