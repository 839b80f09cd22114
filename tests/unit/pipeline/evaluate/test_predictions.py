"""Predictions file: after a round trip the same answers have the same scores."""

from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest

from pipeline import metrics
from pipeline.evaluate import items as items_
from pipeline.evaluate import predictions
from pipeline.evaluate.answers import Answer
from pipeline.evaluate.items import Items
from pipeline.evaluate.predictions import Prediction
from pipeline.metrics import Detail, ItemScore, Reference, ReferenceKind
from tests.fakes.task_datasets import make
from traffic.callsites import Checks


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> Items:
    return items_.load(make(tmp_path_factory.mktemp("home"), train=4, others=1), "test")


def read_back(items: Items, reference: Reference, folder: Path) -> Prediction:
    item = msgspec.structs.replace(items.items[0], reference=reference)
    only = msgspec.structs.replace(items, items=(item,))
    answer = Answer(record_id=item.record_id, text="x")
    table = predictions.table(only, [answer], [ItemScore(True, 1.0, Detail())], [None])
    pq.write_table(table, folder / predictions.FILE)
    [rows] = predictions.read(folder)
    return rows


@pytest.mark.parametrize(
    "kind, value, output",
    [
        ("any_of_text", "true", "true"),
        ("any_of_text", "1.50", "1.50"),
        ("any_of_text", '["a"]', '["a"]'),
        ("any_of_text", ["yes", "true"], "true"),
        ("any_of_text", True, "True"),
        ("label_free_text", "null", "null"),
        ("label_free_text", ["null", "none"], "none"),
        ("label", "true", "true"),
        ("json", "true", '"true"'),
        ("json", {"a": None}, '{"a": null}'),
        ("number", "1.50", "1.5"),
        ("label_set", ["b", "a"], "a, b"),
    ],
)
def test_a_correct_answer_is_correct_against_the_stored_reference(
    items: Items, kind: ReferenceKind, value: Any, output: str, tmp_path: Path
) -> None:
    given = Reference(kind, value)
    again = read_back(items, given, tmp_path).scored_against
    for reference in (given, again):
        assert metrics.score("rewrite", output, reference, Checks()).correct
