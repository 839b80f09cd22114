"""Artifacts of a home: names, the current one, atomic writes."""

import datetime as dt
import os
import shutil
from pathlib import Path

import msgspec
import pytest

from traffic import artifacts, config
from traffic.artifacts import Home, atomic_folder, hash8, write_atomic
from traffic.errors import ConfigError, NotFound


def make(home: Home, name: str, **fields: object) -> Path:
    """A dataset folder with minimal metadata."""
    folder = home.datasets / name
    folder.mkdir(parents=True)
    card = {"name": name, "task": name.partition("@")[0], "schema_version": 2}
    (folder / "dataset.yaml").write_text(config.dump(card | fields))
    return folder


def at(day: int) -> str:
    return f"2026-11-{day:02}T00:00:00Z"


def test_nothing_is_created_until_something_is_written(tmp_path: Path) -> None:
    home = Home(tmp_path / "data")
    assert home.records.parent == tmp_path / "data"
    assert not (tmp_path / "data").exists()


def test_a_dataset_is_found_by_path_full_name_task_and_as_the_current_one(tmp_path: Path) -> None:
    home = Home(tmp_path)
    old, new, other = (
        make(home, "a@1", created_at=at(1)),
        make(home, "a@2", created_at=at(2)),
        make(home, "b@3", created_at=at(3)),
    )
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


def test_a_task_name_does_not_match_longer_names(tmp_path: Path) -> None:
    home = Home(tmp_path)
    make(home, "support.intent.debug@1")
    with pytest.raises(NotFound):
        home.dataset("support.intent")


def test_what_is_current_does_not_depend_on_file_times_or_on_a_copy(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    newer, older = make(home, "a@1", created_at=at(9)), make(home, "a@2", created_at=at(8))
    os.utime(newer / "dataset.yaml", (1, 1))
    assert home.dataset("a") == newer
    copied = Home(tmp_path / "copy")
    for folder in (newer, older):
        shutil.copytree(folder, copied.datasets / folder.name, copy_function=shutil.copyfile)
    assert home.dataset("a").name == copied.dataset("a").name == newer.name


def test_times_are_compared_across_zones_and_spellings(tmp_path: Path) -> None:
    home = Home(tmp_path)
    make(home, "a@1", created_at="2026-11-01T12:00:00+02:00")
    last = make(home, "a@2", created_at="2026-11-01T10:30:00")
    make(home, "a@3", created="2026-11-01T09:59:59Z")
    assert home.dataset("a") == last


def test_undated_datasets_are_older_than_dated_ones_and_sorted_by_their_last_record(tmp_path: Path) -> None:
    home = Home(tmp_path)
    make(home, "a@9", source_last="2026-11-14T00:00:00+00:00")
    make(home, "a@1", source_last="2026-11-20T00:00:00+00:00")
    assert [artifact.name for artifact in artifacts.listed(home, artifacts.DATASET)] == ["a@1", "a@9"]
    make(home, "a@5", created_at=at(1))
    make(home, "a@7", source_last="")
    assert [artifact.name for artifact in artifacts.listed(home, artifacts.DATASET)] == ["a@5", "a@1", "a@9", "a@7"]


def test_undated_adapters_are_sorted_by_their_datasets(tmp_path: Path) -> None:
    home = Home(tmp_path)
    for name, dataset, last in (("a@9", "a@01", 14), ("a@1", "a@02", 20), ("a@5", "a@03", 0)):
        folder = home.adapters / name
        folder.mkdir(parents=True)
        (folder / "adapter.yaml").write_text(config.dump({"name": name, "task": "a", "dataset": dataset}))
        if last:
            make(home, dataset, source_last=f"2026-11-{last}T00:00:00+00:00")
    assert [artifact.name for artifact in artifacts.listed(home, artifacts.ADAPTER)] == ["a@1", "a@9", "a@5"]


def test_decisions_are_single_files_and_undated_ones_are_sorted_by_day(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.decisions.mkdir()
    for name, fields in (
        ("a@2026-11-02-ffffffff", {"task": "a", "decided": "2026-11-02"}),
        ("a@2026-11-03-00000000", {"task": "a", "decided": "2026-11-03"}),
        ("b@2026-11-04-00000000", {"task": "b", "decided": "2026-11-04"}),
    ):
        (home.decisions / f"{name}.yaml").write_text(config.dump(fields))
    newest = artifacts.current(home, artifacts.DECISION, task="a")
    assert newest is not None
    assert (newest.name, newest.path.suffix) == ("a@2026-11-03-00000000", ".yaml")
    assert artifacts.current(home, artifacts.DECISION, task="c") is None


def test_an_incomplete_folder_is_not_an_artifact(tmp_path: Path) -> None:
    home = Home(tmp_path)
    target = home.datasets / "a@1"
    with atomic_folder(target, "dataset.yaml") as folder:
        (folder / "dataset.yaml").write_text("task: a\n")
        assert artifacts.listed(home, artifacts.DATASET) == []
    assert [artifact.path for artifact in artifacts.listed(home, artifacts.DATASET)] == [target]


def test_a_broken_metadata_file_is_an_error(tmp_path: Path) -> None:
    home = Home(tmp_path)
    make(home, "a@1", created_at=at(1))
    make(home, "a@2", created_at="soon")
    with pytest.raises(ConfigError, match=r"a@2.dataset\.yaml: .*created_at"):
        home.dataset("a")


def test_a_repeated_artifact_becomes_current_and_keeps_its_hash(tmp_path: Path) -> None:
    home = Home(tmp_path)
    first, second = make(home, "a@1", created_at=at(1)), make(home, "a@2", created_at=at(2))
    before = artifacts.content_sha256(first / "dataset.yaml")
    artifacts.make_current(home, artifacts.DATASET, first)
    assert home.dataset("a") == first
    assert artifacts.content_sha256(first / "dataset.yaml") == before
    text = (first / "dataset.yaml").read_bytes()
    artifacts.make_current(home, artifacts.DATASET, first)
    assert (first / "dataset.yaml").read_bytes() == text
    assert artifacts.content_sha256(second / "dataset.yaml") != before


def test_the_last_artifact_is_current_even_if_an_earlier_clock_was_ahead(tmp_path: Path) -> None:
    home = Home(tmp_path)
    make(home, "a@1", created_at="2999-01-01T00:00:00Z")
    folder = make(home, "a@2", created_at=artifacts.created_now(home, artifacts.DATASET).isoformat())
    assert home.dataset("a") == folder
    assert artifacts.created_now(Home(tmp_path / "empty"), artifacts.DATASET) <= dt.datetime.now(dt.UTC)


@pytest.mark.parametrize(
    "text", ["support/intent", "../../etc", "/abs", "..", "", "x" * 300, "größe\n", ".hidden", "a\0b", "名前", "a@b"]
)
def test_any_text_gives_a_safe_visible_file_name(text: str, tmp_path: Path) -> None:
    name = artifacts.name_of(text, {"n": 1})
    target = tmp_path / "inside" / name
    with atomic_folder(target, "x") as folder:
        (folder / "x").write_text("")
    assert [path.name for path in (tmp_path / "inside").iterdir()] == [name]
    assert name.isascii()
    assert name.count("@") == 1
    assert name != artifacts.name_of(text + "/", {"n": 1})


def test_an_artifact_of_a_task_with_a_slash_or_a_long_name_is_found_by_the_task(tmp_path: Path) -> None:
    home = Home(tmp_path)
    for task in ("support/intent", "s" * 300):
        folder = make(home, artifacts.name_of(task), task=task)
        assert home.dataset(task) == home.dataset(folder.name) == folder


def test_hash8_tells_parts_apart_and_not_the_order_of_keys() -> None:
    assert hash8({"a": 1, "b": 2}) == hash8({"b": 2, "a": 1})
    assert hash8(b"ab", b"c") != hash8(b"a", b"bc")
    assert len(hash8()) == 8


def test_a_file_is_replaced_atomically_without_leftovers(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "deployments.yaml"
    write_atomic(path, "one")
    write_atomic(path, b"two")
    assert path.read_text() == "two"
    assert [p.name for p in path.parent.iterdir()] == ["deployments.yaml"]
    assert path.stat().st_mode & 0o044 == 0o044


def test_a_folder_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "adapters" / "a@1"
    with pytest.raises(RuntimeError, match="stopped"), atomic_folder(target, "x") as folder:  # noqa: PT012 - both lines matter
        (folder / "x").write_text("half")
        raise RuntimeError("stopped")
    assert list(target.parent.iterdir()) == []
    with atomic_folder(target, "x") as folder:
        (folder / "x").write_text("whole")
        assert not target.exists()
    assert (target / "x").read_text() == "whole"


def test_existing_content_is_never_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "a@1"
    for text in ("first", "second"):
        with atomic_folder(target, "x") as folder:
            (folder / "x").write_text(text)
    assert (target / "x").read_text() == "first"
    assert [p.name for p in tmp_path.iterdir()] == ["a@1"]


def test_an_incomplete_copy_is_replaced_by_the_complete_folder(tmp_path: Path) -> None:
    target = tmp_path / "a@1"
    target.mkdir()
    (target / "part").write_text("half")
    with atomic_folder(target, "x") as folder:
        (folder / "x").write_text("whole")
    assert [path.name for path in target.iterdir()] == ["x"]
    assert [path.name for path in tmp_path.iterdir()] == ["a@1"]


def test_the_first_of_two_concurrent_writers_wins(tmp_path: Path) -> None:
    target = tmp_path / "a@1"
    with atomic_folder(target, "x") as outer:
        (outer / "x").write_text("outer")
        with atomic_folder(target, "x") as inner:
            (inner / "x").write_text("inner")
    assert (target / "x").read_text() == "inner"
    assert [path.name for path in tmp_path.iterdir()] == ["a@1"]


def test_home_is_frozen(tmp_path: Path) -> None:
    assert msgspec.structs.replace(Home(tmp_path), root=tmp_path / "b").records == tmp_path / "b" / "records"
    with pytest.raises(AttributeError):
        Home(tmp_path).root = tmp_path  # type: ignore[misc]


def test_mlflow_uses_the_server_of_the_environment_or_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Home(tmp_path).mlflow_uri == f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    assert Home(tmp_path).mlflow_uri == "http://mlflow:5000"
