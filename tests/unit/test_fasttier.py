"""The command line as a user meets it: help, mistakes, exit status."""

import subprocess
import sys
from pathlib import Path

import pytest

import fasttier

ROOT = Path(fasttier.__file__).parent


def run(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        fasttier.main(list(arguments))
    out, err = capsys.readouterr()
    return int(stopped.value.code or 0), out, err


def test_help_names_every_stage_and_exits_0(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run("--help", capsys=capsys)
    assert status == 0
    for stage in ("ingest", "extract", "train", "evaluate"):
        assert stage in out


def test_help_loads_no_stage_and_no_heavy_library() -> None:
    script = (
        "import sys, fasttier\n"
        "try: fasttier.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'mlflow', 'duckdb', 'pyarrow', 'sklearn', 'pipeline', 'serving', 'router'}\n"
        "sys.stderr.write(','.join(sorted(heavy & set(sys.modules))))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_an_unknown_command_is_one_line_with_the_nearest_name(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run("trian", capsys=capsys)
    assert (status, out) == (2, "")
    assert "train" in err
    assert err.count("\n") == 1


def test_a_missing_log_is_one_line_that_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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


def test_a_malformed_override_says_how_to_write_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run("extract", "--task", "t", "--set", "min_rows", "--home", str(tmp_path), capsys=capsys)
    assert status == 2
    assert "key.path=value" in err
