"""The command line: help, usage errors, exit status."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.app import COMMANDS, Common, main, run_stage
from tests.fakes.logs import litellm_lines, write_log

ROOT = Path(__file__).resolve().parents[3]


def run(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    out, err = capsys.readouterr()
    return int(stopped.value.code or 0), out, err


def test_help_lists_the_commands_in_the_order_of_the_loop(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run("--help", capsys=capsys)
    assert status == 0
    listed = [line.split()[1] for line in out.splitlines() if line.startswith("│ ") and not line.startswith("│  ")]
    assert [name for name in listed if name in COMMANDS] == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(name, "--help", capsys=capsys)
    assert status == 0
    assert f"fasttier {name}" in out


def test_a_command_without_its_packages_names_the_required_setup(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom cli.app import main\n"
        "sys.modules['duckdb'] = None\n"  # importing it then raises ModuleNotFoundError, as where it is not installed
        f"main(['ingest', {str(tmp_path)!r}, '--home', {str(tmp_path)!r}])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "make setup KIND=cpu" in done.stderr
    assert done.stderr.count("\n") == 1


def test_help_loads_no_stage_and_no_heavy_library() -> None:
    script = (
        "import sys\nfrom cli.app import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'mlflow', 'duckdb', 'pyarrow', 'sklearn', 'pipeline', 'serving', 'router'}\n"
        "sys.stderr.write(','.join(sorted(heavy & set(sys.modules))))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr == ""


@pytest.mark.slow
def test_light_commands_import_no_training_or_tracking_library(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.jsonl", litellm_lines(40, retries=0))
    script = (
        "import sys\nfrom cli.app import main\n"
        "heavy = {'torch', 'transformers', 'datasets', 'mlflow', 'sqlalchemy', 'sklearn', 'scipy', 'altair', 'vllm', "
        "'litellm', 'ray', 'openai', 'spacy'}\n"
        f"for command in (['ingest', {str(log)!r}], ['costs'], ['status']):\n"
        f"    try: main([*command, '--home', {str(tmp_path / 'home')!r}])\n"
        "    except SystemExit as ended: assert not ended.code, command\n"
        "    loaded = heavy & set(sys.modules)\n"
        "    assert not loaded, (command, loaded)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_an_unknown_command_suggests_the_nearest_name(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run("trian", capsys=capsys)
    assert (status, out) == (2, "")
    assert "train" in err
    assert err.count("\n") == 1


def test_a_missing_log_is_reported_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "nowhere.jsonl"
    status, _, err = run("ingest", str(missing), "--home", str(tmp_path / "home"), capsys=capsys)
    assert status == 2
    assert str(missing) in err
    assert err.count("\n") == 1


def test_a_missing_configuration_names_the_files_that_exist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "smollm.yaml").write_text("{}")
    status, _, err = run("train", "--config", str(tmp_path / "smolm.yaml"), "--home", str(tmp_path), capsys=capsys)
    assert status == 2
    assert "did you mean" in err
    assert "smollm.yaml" in err


def test_training_without_a_dataset_says_how_to_make_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run("train", "--home", str(tmp_path), capsys=capsys)
    assert status == 2
    assert "fasttier extract" in err


def test_a_malformed_override_shows_the_syntax(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run("extract", "--task", "t", "--set", "min_rows", "--home", str(tmp_path), capsys=capsys)
    assert status == 2
    assert "key.path=value" in err


def test_an_option_that_takes_a_list_has_no_form_that_empties_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, err = run("extract", "--task", "t", "--empty-set", "--home", str(tmp_path), capsys=capsys)
    assert status == 2
    assert "--empty-set" in err


class Done:
    """Summary of a finished stage."""

    def lines(self) -> list[str]:
        return ["wrote x", "next: fasttier label import todo.csv   (3 items)"]


def test_the_next_command_names_a_home_that_the_option_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FASTTIER_HOME", raising=False)
    run_stage(Common(home=tmp_path / "my home"), lambda home: Done())
    assert f"next: fasttier label import --home '{tmp_path / 'my home'}' todo.csv" in capsys.readouterr().out


@pytest.mark.parametrize("home", ["data", "/from/the/environment"])
def test_the_next_command_names_no_home_that_applies_anyway(
    home: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FASTTIER_HOME", home)
    run_stage(Common(home=Path(home)), lambda home: Done())
    assert "--home" not in capsys.readouterr().out


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_home_that_takes_no_files_is_reported_in_one_line(
    number: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def stage(home: object) -> Done:
        raise OSError(number, os.strerror(number), str(tmp_path / "records"))

    assert run_stage(Common(home=tmp_path), stage) == 2
    err = capsys.readouterr().err
    assert str(tmp_path) in err
    assert err.count("\n") == 1


def test_other_errors_of_the_system_are_not_hidden(tmp_path: Path) -> None:
    def stage(home: object) -> Done:
        raise OSError(errno.EIO, "input/output error")

    with pytest.raises(OSError, match="input/output"):
        run_stage(Common(home=tmp_path), stage)


def test_commands_end_without_messages_of_the_database() -> None:
    script = "import pipeline.alerts, pipeline.costs, pipeline.dashboard, pipeline.profile, pipeline.replay"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr == ""
