"""Tests whose program is not installed are skipped, or fail where all are required."""

import pytest

from tests.fakes import programs


@pytest.fixture
def _nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("REQUIRE_ALL", raising=False)


@pytest.mark.usefixtures("_nothing_installed")
def test_a_missing_program_skips_the_test_and_names_its_package() -> None:
    with pytest.raises(pytest.skip.Exception, match=r"node not installed .*apt-get install nodejs"):
        programs.require("node")


@pytest.mark.usefixtures("_nothing_installed")
def test_a_missing_program_fails_the_test_where_all_are_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUIRE_ALL", "1")
    with pytest.raises(pytest.fail.Exception, match="node"):
        programs.require("node")


def test_an_installed_program_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setitem(programs.DEBIAN, "env", "coreutils")
    assert programs.require("env") == ("/usr/bin/env",)
