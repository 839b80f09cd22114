"""Provenance of deployments: run, data and evidence."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from serving import provenance
from traffic import config
from traffic.adapters import Adapter, BaseModel
from traffic.artifacts import Home
from traffic.deployments import Deployment
from traffic.tiers import Endpoint

DAY = date(2026, 11, 24)
NAME = "desk@2026-11-23-0a0a0a0a.yaml"
DECISION = """
verdict: build
expires: 2027-02-20
dataset: desk@22222222
items: 800
references: {basis: accuracy, shares: {human: 0.25, teacher: 0.75}, differ: 9, ask: 0}
evidence:
- {candidate: adapter, evaluation: adapter@33333333, sha256: ab, mlflow_run_id: run-evaluation}
mlflow_run_id: run-decision
other: ignored
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    card = Adapter(
        name="desk@11111111",
        task="desk",
        base_model=BaseModel(name="org/base", revision="abc", path="/models/base"),
        rank=16,
        dataset="desk@00000000",
        call_sites={},
        chat_template_sha256="c" * 64,
        config={},
        metrics={},
        libraries={},
        licence="apache-2.0",
        mlflow_run_id="run-training",
    )
    folder = home.adapters / card.name
    folder.mkdir(parents=True)
    (folder / "adapter.yaml").write_text(config.dump(card))
    home.decisions.mkdir()
    (home.decisions / NAME).write_text(DECISION)
    return home


def entry(adapter: str = "desk@11111111", decision: str | None = NAME) -> Deployment:
    endpoint = Endpoint(name=adapter, kind="vllm", base_url="http://127.0.0.1:9/v1", model=adapter)
    override = None if decision else "trial"
    return Deployment(
        call_site="desk.intent",
        adapter=adapter,
        endpoint=endpoint,
        since=datetime(2026, 11, 24, tzinfo=UTC),
        decision=decision,
        override=override,
    )


def test_provenance_has_run_data_and_evidence_of_a_deployment(home: Home) -> None:
    assert provenance.of(home, entry()).lines(DAY) == [
        "  trained on desk@00000000 from org/base, MLflow run run-training",
        (
            f"  {NAME}: build, accuracy on 800 items of desk@22222222 (labels: 25% human, 75% teacher), "
            "MLflow run run-decision"
        ),
        "  evaluations: adapter@33333333 (run run-evaluation)",
    ]


def test_evidence_of_the_logged_model_alone_is_called_agreement(home: Home) -> None:
    text = DECISION.replace("basis: accuracy", "basis: agreement")
    (home.decisions / NAME).write_text(text)
    assert "agreement with the log, not accuracy on 800 items" in provenance.of(home, entry()).lines(DAY)[1]


def test_an_expired_decision_is_marked(home: Home) -> None:
    lines = provenance.of(home, entry()).lines(date(2027, 2, 21))
    assert lines[2].startswith("  THE DECISION EXPIRED on 2027-02-20")


def test_an_override_has_no_evidence(home: Home) -> None:
    assert provenance.of(home, entry(decision=None)).lines(DAY)[1] == "  no evidence: deployed by an override"


def test_missing_files_are_reported_as_missing(home: Home) -> None:
    assert "is missing" in provenance.of(home, entry("desk@99999999")).lines(DAY)[0]
    (home.decisions / NAME).unlink()
    assert provenance.of(home, entry()).lines(DAY)[1] == f"  {NAME} is missing: its evidence cannot be shown"
