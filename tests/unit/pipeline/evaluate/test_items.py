"""Evaluation items from a split."""

from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import dataset
from pipeline.evaluate import items
from pipeline.metrics import Reference
from tests.fakes.task_datasets import make
from traffic import config
from traffic.artifacts import Home
from traffic.errors import ConfigError, NotEnoughData


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("home"), train=8, others=6)


def test_items_carry_both_prompts_the_answer_and_their_cohorts(folder: Path) -> None:
    loaded = items.load(folder, "test")
    first = loaded.items[0]
    assert loaded.source == "logged"
    assert len(loaded.items) == 6
    assert first.prompt[0]["content"] != first.original_prompt[0]["content"]
    assert first.reference == first.completion == first.logged.text
    assert first.cohort["label_source"] == "teacher"
    assert first.cohort["plan"] in ("free", "paid")


def test_the_limit_keeps_the_earliest_items(folder: Path) -> None:
    everything = items.load(folder, "test").items
    assert items.load(folder, "test", limit=2).items == everything[:2]


def test_rows_without_a_label_are_dropped_and_counted_before_the_limit(folder: Path) -> None:
    ids = [item.record_id for item in items.load(folder, "test").items]
    labels = {
        ids[1]: Reference("label", "refund"),
        ids[4]: Reference("label", "invoice"),
        "elsewhere": Reference("label", "x"),
    }
    loaded = items.load(folder, "test", limit=1, labels=labels)
    assert loaded.source == "labels"
    assert [(item.record_id, item.reference) for item in loaded.items] == [(ids[1], labels[ids[1]])]
    assert loaded.without_label == 4


def test_labels_outside_of_the_label_set_are_noted(folder: Path, tmp_path: Path) -> None:
    ids = [item.record_id for item in items.load(folder, "test").items]
    (tmp_path / "gold.csv").write_text(f"ID,Label\n{ids[0]}, REFUND \n{ids[1]},lost\n")
    loaded = items.read(Home(tmp_path), folder, "test", labels=tmp_path / "gold.csv")
    assert [item.reference for item in loaded.items] == [Reference("label", "refund"), Reference("label", "lost")]
    assert len(loaded.notes) == 1
    assert "lost" in loaded.notes[0]


def test_labels_without_matching_items_are_an_error(folder: Path) -> None:
    with pytest.raises(NotEnoughData, match="none of its 6 rows has a label"):
        items.load(folder, "test", labels={"elsewhere": Reference("label", "x")})


def test_an_unknown_split_lists_the_splits(folder: Path) -> None:
    with pytest.raises(ConfigError, match="train, validation, calibration, threshold, test"):
        items.load(folder, "dev")


def test_each_call_site_of_a_combined_task_is_a_cohort(tmp_path: Path) -> None:
    folder = make(tmp_path, train=4, others=4)
    card = dataset.load(folder)
    one = card.call_sites["support.intent"]
    sites = {"support.intent": one, "mail.extract": msgspec.structs.replace(one, request_type="extraction")}
    (folder / "dataset.yaml").write_text(config.dump(msgspec.structs.replace(card, call_sites=sites)))
    loaded = items.load(folder, "test")
    assert loaded.request_type == "mixed"
    assert {item.cohort["call_site"] for item in loaded.items} == {"support.intent"}


def test_imported_human_labels_replace_the_datasets_answers(tmp_path: Path) -> None:
    folder = make(tmp_path)
    ids = [item.record_id for item in items.load(folder, "test").items]
    loaded = items.load(folder, "test", stored={ids[2]: "a label", "elsewhere": "x"})
    assert loaded.labels_sha256 is not None
    assert len(loaded.notes) == 1
    assert len(loaded.items) == len(ids)
    assert (loaded.items[2].reference, loaded.items[2].cohort["label_source"]) == ("a label", "human")
    assert loaded.items[1].reference == loaded.items[1].completion


def test_an_item_counts_the_requests_of_its_row(tmp_path: Path) -> None:
    folder = make(tmp_path)
    table = dataset.read_split(folder, "test")
    rows = [row | {"requests": 1 + place} for place, row in enumerate(table.to_pylist())]
    schema = table.schema if "requests" in table.schema.names else table.schema.append(pa.field("requests", pa.int64()))
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / "test.parquet")
    assert items.load(folder, "test").requests == [1 + place for place in range(len(rows))]
    pq.write_table(
        pa.Table.from_pylist(rows, schema=schema).drop_columns(["requests", "group"]), folder / "test.parquet"
    )
    older = items.load(folder, "test")
    assert older.requests == [1] * len(rows)
    assert older.clusters == [item.record_id for item in older.items]
