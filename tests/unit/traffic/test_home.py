"""The home folder: finding things by name, writing whole or not at all."""

import os
from pathlib import Path

import msgspec
import pytest

from traffic.errors import NotFound
from traffic.home import Home, atomic_folder, hash8, write_atomic


def make(home: Home, name: str, age_s: int = 0) -> Path:
    folder = home.datasets / name
    folder.mkdir(parents=True)
    marker = folder / "dataset.yaml"
    marker.write_text("x")
    os.utime(marker, (2_000_000_000 - age_s, 2_000_000_000 - age_s))
    return folder


def test_nothing_is_created_until_something_is_written(tmp_path: Path) -> None:
    home = Home(tmp_path / "data")
    assert home.records.parent == tmp_path / "data"
    assert not (tmp_path / "data").exists()


def test_a_dataset_is_found_by_path_full_name_task_and_as_the_newest(tmp_path: Path) -> None:
    home = Home(tmp_path)
    old, new, other = make(home, "a@1", 20), make(home, "a@2", 10), make(home, "b@3", 5)
    assert home.dataset(str(old)) == old
    assert home.dataset("a@1") == old
    assert home.dataset("a") == new
    assert home.dataset(None) == other


def test_a_missing_dataset_says_how_to_make_one_and_what_there_is(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with pytest.raises(NotFound, match=r"no dataset yet .*make one with `fasttier extract"):
        home.dataset(None)
    make(home, "a@1")
    with pytest.raises(NotFound, match=r"no dataset 'z' .*there are: a@1"):
        home.dataset("z")


def test_a_task_is_no_prefix_of_another(tmp_path: Path) -> None:
    home = Home(tmp_path)
    make(home, "support.intent.debug@1")
    with pytest.raises(NotFound):
        home.dataset("support.intent")


def test_hash8_tells_parts_apart_and_not_the_order_of_keys() -> None:
    assert hash8({"a": 1, "b": 2}) == hash8({"b": 2, "a": 1})
    assert hash8(b"ab", b"c") != hash8(b"a", b"bc")
    assert len(hash8()) == 8


def test_a_file_is_replaced_whole_and_no_leftover_stays(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "deployments.yaml"
    write_atomic(path, "one")
    write_atomic(path, b"two")
    assert path.read_text() == "two"
    assert [p.name for p in path.parent.iterdir()] == ["deployments.yaml"]
    assert path.stat().st_mode & 0o044 == 0o044


def test_a_folder_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "adapters" / "a@1"
    with pytest.raises(RuntimeError, match="stopped"), atomic_folder(target) as folder:  # noqa: PT012 - both lines matter
        (folder / "x").write_text("half")
        raise RuntimeError("stopped")
    assert list(target.parent.iterdir()) == []
    with atomic_folder(target) as folder:
        (folder / "x").write_text("whole")
        assert not target.exists()
    assert (target / "x").read_text() == "whole"


def test_content_that_is_there_already_is_never_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "a@1"
    for text in ("first", "second"):
        with atomic_folder(target) as folder:
            (folder / "x").write_text(text)
    assert (target / "x").read_text() == "first"
    assert [p.name for p in tmp_path.iterdir()] == ["a@1"]


def test_home_is_frozen(tmp_path: Path) -> None:
    assert msgspec.structs.replace(Home(tmp_path), root=tmp_path / "b").records == tmp_path / "b" / "records"
    with pytest.raises(AttributeError):
        Home(tmp_path).root = tmp_path  # type: ignore[misc]


def test_mlflow_uses_the_server_of_the_environment_or_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Home(tmp_path).mlflow_uri == f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    assert Home(tmp_path).mlflow_uri == "http://mlflow:5000"
