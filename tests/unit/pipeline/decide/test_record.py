"""The decision file: old versions load, and it has the fields that other stages read."""

from datetime import date
from pathlib import Path

import msgspec
import pytest

from pipeline.decide import record
from pipeline.decide.record import Decision
from traffic import config
from traffic.errors import ConfigError, NotFound

GOLDEN = Path(__file__).parents[3] / "golden"


@pytest.fixture(params=["decision_v1.yaml", "decision_v2.yaml"])
def decision(request: pytest.FixtureRequest) -> Decision:
    return record.load(GOLDEN / request.param)


def test_golden_decision_loads(decision: Decision) -> None:
    assert (decision.task, decision.verdict, decision.winner) == ("support.intent", "buy", "small")
    assert (decision.decided, decision.expires) == (date(2026, 11, 23), date(2027, 2, 21))
    assert [candidate.name for candidate in decision.candidates] == [
        "teacher",
        "adapter",
        "base",
        "classical",
        "small",
        "luna",
    ]
    assert [scale.verdict for scale in decision.scales] == ["buy", "wait", "wait"]


def test_a_decision_is_the_same_after_saving(decision: Decision, tmp_path: Path) -> None:
    path = tmp_path / "again.yaml"
    path.write_text(config.dump(decision), encoding="utf-8")
    assert record.load(path) == decision


def test_the_name_depends_on_the_content_without_mlflow_runs(decision: Decision) -> None:
    again = msgspec.structs.replace(
        decision,
        mlflow_run_id="another",
        candidates=tuple(msgspec.structs.replace(candidate, mlflow_run_id="x") for candidate in decision.candidates),
    )
    assert again.name == decision.name
    assert decision.name.startswith("support.intent@2026-11-23-")
    assert msgspec.structs.replace(decision, margin=0.03).name != decision.name


def test_a_decision_of_an_earlier_version_has_no_cascade(decision: Decision) -> None:
    assert decision.calibrations is None
    assert {cohort.calibrations for cohort in decision.cohorts} == {None}


def test_simulated_candidates_are_marked_where_they_are_shown(decision: Decision) -> None:
    assert decision.label("small") == "small (simulated)"
    assert (decision.label("adapter"), decision.label(None)) == ("adapter", "-")


def test_a_missing_or_broken_file_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        record.load(tmp_path / "none.yaml")
    (tmp_path / "broken.yaml").write_text("verdict: perhaps")
    with pytest.raises(ConfigError, match=r"broken\.yaml"):
        record.load(tmp_path / "broken.yaml")
