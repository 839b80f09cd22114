"""A row nested too deeply is rejected and the others are read, wherever it stands."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.ingest import lenient
from tests.fakes import reported
from tests.fakes.reported import TOPIC, Case, jsonl, pair

GOOD = pair()


def deep(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


def document(levels: int) -> str:
    return json.dumps([GOOD])[:-1] + f",\n{deep(levels)}]"


@pytest.mark.slow
@pytest.mark.parametrize("levels", [250, 900, 1100, 5000])
@pytest.mark.parametrize(
    "write",
    [
        deep,
        lambda levels: json.dumps({"log": deep(levels)}),
        lambda levels: json.dumps({"log": f"INFO {deep(levels)}"}),
        lambda levels: f'{{"a.b": {deep(levels)}}}',
        lambda levels: '{"a":' + "[" * levels + "]" * levels + "}",
    ],
    ids=["object", "text", "text-after-prefix", "dotted", "lists"],
)
def test_a_deep_row_before_the_others_is_rejected_alone(
    write: Callable[[int], str], levels: int, tmp_path: Path
) -> None:
    reported.run(Case("deep", write(levels).encode() + b"\n" + jsonl(GOOD), [TOPIC], rejected=1), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("levels", [250, 900])
def test_a_deep_row_of_a_document_is_rejected_alone(levels: int, tmp_path: Path) -> None:
    reported.run(Case("deep", document(levels).encode(), [TOPIC], rejected=1), tmp_path)


@pytest.mark.parametrize("levels,is_deep", [(lenient.MAX_DEPTH, False), (lenient.MAX_DEPTH + 1, True)])
def test_the_limit_is_the_same_for_texts_and_values(levels: int, is_deep: bool) -> None:
    text = deep(levels)
    assert lenient.too_deep(text.encode()) is lenient.is_deep(json.loads(text)) is is_deep
    assert (lenient.repaired(text.encode()) is None) is is_deep
