"""Setup: pip's settings reach uv, downloads are reported, imported modules are compiled."""

import hashlib
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import bytecode
import install
import pip_settings
import pytest

ROOT = Path(__file__).resolve().parents[2]


def listing(text: str) -> dict[str, str]:
    return pip_settings.read(textwrap.dedent(text))


def test_variables_override_the_command_section_and_that_the_global_one() -> None:
    settings = listing("""\
        :env:.cert='/env.pem'
        global.cert='/global.pem'
        global.timeout='10'
        install.timeout='20'
        download.timeout='30'
        """)
    assert settings == {"cert": "/env.pem", "timeout": "20"}


def test_several_wheel_folders_and_indexes_become_one_argument_each() -> None:
    settings = listing("""\
        global.extra-index-url='\\nhttps://one.example/simple\\nhttps://two.example/simple'
        global.find-links='/wheels https://files.example/'
        """)
    assert pip_settings.arguments(settings, {}) == [
        *("--index", "https://one.example/simple", "--index", "https://two.example/simple"),
        *("--find-links", "/wheels", "--find-links", "https://files.example/"),
        *("--index-strategy", "unsafe-best-match"),
    ]


def test_without_pip_settings_uv_keeps_its_defaults() -> None:
    assert pip_settings.arguments({}, {}) == []
    assert pip_settings.variables({}, {}) == {}


def test_mirror_certificate_and_timeout_become_variables() -> None:
    settings = {"index-url": "https://mirror.example/simple", "cert": "/ca.pem", "default-timeout": "180"}
    assert pip_settings.variables(settings, {}) == {
        "UV_DEFAULT_INDEX": "https://mirror.example/simple",
        "SSL_CERT_FILE": "/ca.pem",
        "UV_HTTP_TIMEOUT": "180",
    }


def test_settings_of_uv_are_not_overridden() -> None:
    settings = {"find-links": "/pip", "index-url": "https://pip.example/simple"}
    environ = {"UV_FIND_LINKS": "/uv", "UV_DEFAULT_INDEX": "https://uv.example/simple"}
    assert pip_settings.arguments(settings, environ) == []
    assert pip_settings.variables(settings, environ) == {}


def test_progress_counts_packages_and_sizes_in_one_unit() -> None:
    downloads = install.Downloads()
    for line in ("Downloading torch (1.5GiB)", "Downloading numpy (15.8MiB)", "Downloading six (512.0KiB)"):
        assert downloads.take(line)
    assert downloads.take(" Downloaded numpy")
    assert not downloads.take("Resolved 3 packages in 1s")
    assert downloads.announced == {"torch": 1536, "numpy": 15.8, "six": 0.5}
    assert downloads.summary() == "downloads 1/3, 16 of 1552 MiB, next torch, six"


def test_without_a_terminal_a_line_comes_every_few_seconds_while_one_package_takes_long(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "uv.py"
    script.write_text(
        "import sys, time\n"
        "print('Downloading torch (182.9MiB)', file=sys.stderr, flush=True)\n"
        "time.sleep(0.3)\n"
        "print(' + torch==2.13.0', file=sys.stderr)\n"
        "print('error: out of space', file=sys.stderr)\n"
        "sys.exit(3)\n"
    )
    assert install.follow([sys.executable, str(script)], {}, every_s=0.05) == 3
    lines = capsys.readouterr().out.splitlines()
    assert sum("downloads 0/1, 0 of 183 MiB, next torch" in line for line in lines) >= 2
    assert lines[-1] == "setup: error: out of space"
    assert not any("==" in line for line in lines)


def test_all_modules_and_their_imports_are_compiled(tmp_path: Path) -> None:
    package = tmp_path / "stage"
    package.mkdir()
    (package / "__init__.py").write_text("import json\n")
    (package / "__main__.py").write_text("import antigravity\n")
    (package / "run.py").write_text("import json\n\ndef run():\n    from library import Model, load\n")
    assert bytecode.statements(tmp_path, ["stage"]) == [
        "import stage",
        "import json",
        "import stage.run",
        "from library import Model, load",
    ]


def test_bytecode_is_written_despite_dontwritebytecode(tmp_path: Path) -> None:
    (tmp_path / "library.py").write_text("")
    program = "import bytecode; bytecode.execute(['import not_installed', 'import library'])"
    folders = os.pathsep.join([str(tmp_path), str(Path(bytecode.__file__).parent)])
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": folders}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
    assert [path.name.partition(".")[0] for path in (tmp_path / "__pycache__").iterdir()] == ["library"]


@pytest.mark.parametrize(
    "made, whole, kind",
    [("analysis", "", "analysis"), ("analysis", "1", "cpu"), ("router", "", "router"), ("router", "1", None)],
)
def test_a_light_environment_is_kept_unless_training_or_tests_need_a_whole_one(
    tmp_path: Path, made: str, whole: str, kind: str | None
) -> None:
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements", ignore=shutil.ignore_patterns("__pycache__"))
    pyproject = shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/fasttier-kind").write_text(f"{made} in {tmp_path}")
    for program in (tmp_path / ".venv/bin/fasttier", tmp_path / "nvidia-smi"):
        program.write_text("#!/bin/sh\nexit 1\n")
        program.chmod(0o755)
    if kind is not None:
        # As if it were installed already, so that nothing is.
        pins = (tmp_path / f"requirements/{kind}.txt").read_bytes() + Path(pyproject).read_bytes()
        stamp = f"{kind} in {tmp_path}: {hashlib.sha256(pins).hexdigest()}"
        (tmp_path / ".venv/fasttier-stamp").write_text(stamp)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "WHOLE": whole}
    command = [tmp_path / "requirements/setup.sh"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == (2 if kind is None else 0)
    assert kind is None or f"({kind}: " in done.stdout
