"""Broken, empty or contradictory inputs of `decide` give an error that names them, not a verdict."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pipeline import decide
from pipeline.decide import DecideConfig, DecideSummary
from tests.fakes import evaluated_homes as homes
from traffic.artifacts import Home
from traffic.errors import FastTierError

pytestmark = pytest.mark.slow

ITEMS = 280


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return homes.make(tmp_path, requests_per_day=240, items=ITEMS, usd_per_request=0.01)


def evaluated(home: Home) -> Path:
    """Evaluation of an own candidate that wins."""
    return homes.evaluation(
        home, "adapter", "adapter", wrong=(), cost=homes.own_cost(machine="cpu-2core"), adapter=homes.ADAPTER
    )


def run(home: Home) -> DecideSummary:
    return decide.run(
        homes.TASK, home=home, config=DecideConfig(unsettled_cohorts="follow"), today=homes.TODAY, gate=False
    )


def attempted(home: Home) -> tuple[DecideSummary | None, str]:
    """The decision, or the error."""
    try:
        return run(home), ""
    except FastTierError as error:
        return None, str(error)


def no_scores(folder: Path) -> None:
    (folder / "scores.yaml").write_text("candidate: [adapter\n")


def other_scores(folder: Path) -> None:
    (folder / "scores.yaml").write_text("hello: world\n")


def half_a_table(folder: Path) -> None:
    path = folder / "predictions.parquet"
    path.write_bytes(path.read_bytes()[:200])


def no_verdict_on_items(folder: Path) -> None:
    path = folder / "predictions.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["correct"]), path)


def no_items(folder: Path) -> None:
    path = folder / "predictions.parquet"
    pq.write_table(pq.read_table(path).slice(0, 0), path)


@pytest.mark.parametrize(
    "damage",
    [no_scores, other_scores, half_a_table, no_verdict_on_items, no_items],
    ids=lambda change: change.__name__,
)
def test_a_damaged_evaluation_is_reported_or_ignored(home: Home, damage: Callable[[Path], None]) -> None:
    folder = evaluated(home)
    damage(folder)
    summary, error = attempted(home)
    assert (summary is not None and summary.winner != "adapter") or folder.name in error


def test_the_folder_of_a_killed_evaluation_is_ignored(home: Home) -> None:
    evaluated(home)
    unfinished = home.evaluations / "broken@aaaaaaaa"
    unfinished.mkdir()
    (unfinished / "predictions.parquet").write_bytes(b"PAR1")
    assert run(home).winner == "adapter"


def test_a_decision_without_a_log_is_refused(home: Home) -> None:
    evaluated(home)
    shutil.rmtree(home.records)
    with pytest.raises(FastTierError, match="ingest"):
        run(home)


def test_impossible_costs_are_refused(home: Home) -> None:
    evaluated(home)
    for path in home.records.glob("date=*/*.parquet"):
        table = pq.read_table(path, partitioning=None)
        place = table.schema.get_field_index("cost_usd")
        pq.write_table(table.set_column(place, table.schema.field(place), pc.negate(table["cost_usd"])), path)
    summary, error = attempted(home)
    assert (summary is not None and summary.verdict != "build") or "cost" in error
