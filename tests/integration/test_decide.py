"""A decision out of real evaluations: the files, what `register` reads of them, and the runs in MLflow."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline import decide, evaluate, serving_tags, tracking
from pipeline.decide import DecideConfig, DecideSummary
from pipeline.decide.record import Decision, load
from pipeline.evaluate.config import (
    AdapterConfig,
    CandidatesConfig,
    ClassicalConfig,
    GivenPrice,
    HostedConfig,
    TeacherConfig,
)
from pipeline.evaluate.endpoints import Endpoint
from pipeline.labels import export
from serving import register as registers
from serving.parity import ParityReport
from serving.status import status
from tests.fakes import evaluated_homes as homes
from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.task_datasets import LABELS, TEXTS
from traffic.artifacts import Home
from traffic.errors import NotFound

pytestmark = pytest.mark.integration

ITEMS = 280
TEACHER, CLASSICAL = TeacherConfig(name="teacher"), ClassicalConfig(name="classical")
ADAPTER = AdapterConfig(name="adapter", adapter=homes.ADAPTER)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """About 7,300 requests a month at $0.01 each, and nothing evaluated yet."""
    home = homes.make(tmp_path, requests_per_day=240, items=ITEMS, usd_per_request=0.01)
    shutil.rmtree(home.evaluations)
    return home


def right(body: dict[str, Any]) -> str:
    """The label that follows from the text of the request."""
    text = str(body["messages"][-1]["content"])
    return next(label for label in LABELS if text.startswith(TEXTS[label].split("{")[0]))


def measure(home: Home, *candidates: Any, stand_in_usd_per_mtok: float = 2000.0) -> None:
    """Evaluate candidates, and a hosted stand-in, against a server that is always right."""
    with FakeOpenAI(answer=right) as server:
        price = GivenPrice(input_mtok_usd=stand_in_usd_per_mtok, output_mtok_usd=stand_in_usd_per_mtok)
        hosted = HostedConfig(name="hosted", base_url=server.base_url, model="small", price=price, simulated=True)
        chosen = CandidatesConfig(candidates=(TEACHER, *candidates, hosted), concurrency=4, latency_sample=3)
        endpoints = {"adapter": Endpoint(server.base_url, homes.ADAPTER)}
        evaluate.run(home.dataset(homes.TASK), chosen, home=home, endpoints=endpoints, today=homes.TODAY)


def run(home: Home, *, gate: bool = False, **changes: Any) -> DecideSummary:
    """The cohorts of so few items follow the whole, but where a test says otherwise."""
    config = DecideConfig(**({"unsettled_cohorts": "follow"} | changes))
    return decide.run(homes.TASK, home=home, config=config, today=homes.TODAY, gate=gate)


def decided(summary: DecideSummary) -> Decision:
    return load(summary.paths["decision"])


def runs(home: Home) -> list[Any]:
    mlflow = tracking.configure(home)
    found: list[Any] = mlflow.search_runs(
        experiment_names=[tracking.EXPERIMENT], filter_string="tags.stage = 'decide'", output_format="list"
    )
    return found


def parity() -> ParityReport:
    return ParityReport(
        model=homes.ADAPTER,
        items=1,
        tokens=2,
        max_logprob_gap=0.1,
        mean_logprob_gap=0.01,
        greedy_mismatches=0,
        base_gap=1.0,
        differs_from_base=True,
        tolerance=0.4,
        passed=True,
        reasons=(),
    )


def deploy(
    home: Home, folder: Path, url: str, decision: Path, report: ParityReport, *, now: datetime | None = None
) -> registers.Registration:
    endpoint = registers.endpoint_of(folder.name, url)
    request = registers.DeploymentRequest(adapter=folder, endpoint=endpoint, decision=decision)
    return registers.register(home, request, report, now=now)


def test_a_build_decision_lets_register_deploy_the_adapter(home: Home) -> None:
    measure(home, ADAPTER)
    summary = run(home)
    decision = decided(summary)
    assert (decision.verdict, decision.winner, decision.adapter) == ("build", "adapter", homes.ADAPTER)
    assert f"fasttier serve {homes.ADAPTER}" in summary.lines()[-1]
    at = datetime(2026, 11, 24, tzinfo=UTC)
    arguments = (home, home.adapter(homes.ADAPTER), "http://127.0.0.1:9/v1", summary.paths["decision"])
    done = deploy(*arguments, parity(), now=at)
    assert done.registered
    late = deploy(*arguments, parity(), now=at + timedelta(days=90))
    assert "expired on 2027-02-21" in late.reasons[0]


def test_mlflow_and_status_show_run_data_and_evidence_of_a_deployment(home: Home) -> None:
    measure(home, ADAPTER)
    summary = run(home)
    at = datetime(2026, 11, 24, tzinfo=UTC)
    folder, url = home.adapter(homes.ADAPTER), "http://127.0.0.1:9/v1"
    deploy(home, folder, url, summary.paths["decision"], parity(), now=at)
    assert serving_tags.update(home) >= 2
    assert serving_tags.update(home) == 0
    found = tracking.configure(home).search_runs(filter_string="tags.serving != ''", output_format="list")
    assert {each.data.tags["stage"] for each in found} == {"evaluate", "decide"}
    assert {each.data.tags["adapter"] for each in found} == {homes.ADAPTER}
    assert {each.data.tags["dataset"] for each in found} == {home.dataset(homes.TASK).name}
    assert summary.mlflow_run_id in {each.info.run_id for each in found}
    said = "\n".join(status(home, now=at).lines())
    assert f"trained on {home.dataset(homes.TASK).name}" in said
    assert f"MLflow run {summary.mlflow_run_id}" in said
    assert "evaluations: teacher@" in said
    registers.rollback(home, homes.TASK, now=at)
    assert serving_tags.update(home) == len(found)


def test_a_candidate_whose_cohorts_have_too_little_evidence_is_not_built(home: Home) -> None:
    measure(home, ADAPTER)
    summary = run(home, gate=True, unsettled_cohorts="stay")
    assert (summary.verdict, summary.exit_status) == ("wait", 1)
    adapter = decided(summary).candidate("adapter")
    assert (adapter.quality.verdict, adapter.state) == ("pass", "unsettled")
    assert adapter.promotion is not None
    assert (adapter.promotion.by, adapter.promotion.share) == ("none", 0.0)
    assert {test.outcome for test in adapter.promotion.cohorts if test.key == "plan"} == {"stays"}
    # Only the whole is asked about: then the same evidence is enough.
    assert run(home, cohort_keys=()).verdict == "build"


def test_items_that_need_a_human_label_are_exported(home: Home, tmp_path: Path) -> None:
    logged: dict[str, Any] = {"reference": "logged", "labels": None}
    homes.evaluation(home, "teacher", "teacher", wrong=(), cost=homes.cpu_cost(), comparison=None, **logged)
    homes.evaluation(home, "adapter", "adapter", wrong=range(3), cost=homes.own_cost(machine="cpu-2core"), **logged)
    summary = run(home)
    references = decided(summary).references
    assert references is not None
    assert (references.basis, references.shares, references.ask) == ("agreement", {"teacher": 1.0}, 3)
    assert (summary.asked_about, summary.ask) == ("adapter", 3)
    found = export.run(homes.TASK, tmp_path / "todo.csv", home=home, only=summary.paths["ask"])
    assert found.items == 3


def test_a_buy_verdict_makes_register_refuse(home: Home) -> None:
    measure(home, ADAPTER, stand_in_usd_per_mtok=1.0)
    summary = run(home, gate=True)
    assert (summary.verdict, summary.winner, summary.simulated, summary.exit_status) == ("buy", "hosted", True, 1)
    done = deploy(home, home.adapter(homes.ADAPTER), "http://127.0.0.1:9/v1", summary.paths["decision"], parity())
    assert not done.registered
    assert 'is "buy", not "build"' in done.reasons[0]
    text = "\n".join(summary.lines())
    assert "support.intent: buy (simulated) at" in text
    assert "hosted (simulated)" in text
    assert "hosted" not in text.replace("hosted (simulated)", "")


def test_the_cheapest_adequate_own_candidate_may_be_a_classifier(home: Home) -> None:
    measure(home, CLASSICAL, ADAPTER)
    summary = run(home, gate=True)
    decision = decided(summary)
    assert (decision.verdict, decision.winner, summary.exit_status) == ("build", "classical", 0)
    assert decision.adapter is not None
    assert home.classifier(decision.adapter).name == decision.adapter
    assert any("is not a language model" in reason for reason in summary.reasons)
    assert any("agreement with the logged answers" in reason for reason in summary.reasons)


def test_mlflow_has_a_child_run_per_candidate(home: Home) -> None:
    measure(home, ADAPTER)
    summary = run(home)
    decision = decided(summary)
    found = {run.info.run_id: run for run in runs(home)}
    parent = found.pop(str(decision.mlflow_run_id))
    assert (parent.data.tags["verdict"], parent.data.tags["decision"]) == ("build", decision.name)
    assert set(found) == {each.mlflow_run_id for each in decision.candidates}
    for each in decision.candidates:
        child = found[str(each.mlflow_run_id)]
        assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert child.data.params["side"] == each.side
        assert child.data.tags.get("simulated") == ("true" if each.simulated else None)
        metrics = child.data.metrics
        assert metrics["quality"] == each.quality.value
        assert metrics["cost_per_month_usd"] == pytest.approx(each.at[0].cost_per_month_usd)
        names = {"cost_per_1k_usd", "latency_p50_ms", "latency_p95_ms", "cost_per_month_usd_100x"}
        assert names <= set(metrics)
        assert ("break_even_requests_per_month" in metrics) == (each.name == "adapter")
    artifacts = Path(str(parent.info.artifact_uri).removeprefix("file://"))
    assert {path.name for path in artifacts.iterdir()} == {path.name for path in summary.paths.values()}


def test_deciding_again_changes_nothing(home: Home) -> None:
    measure(home)
    first = run(home)
    files = {path: path.stat().st_mtime_ns for path in home.decisions.iterdir()}
    before = len(runs(home))
    assert run(home) == first
    assert {path: path.stat().st_mtime_ns for path in home.decisions.iterdir()} == files
    assert len(runs(home)) == before
    # Other settings are another decision.
    assert run(home, margin=0.03).paths != first.paths


def test_an_interrupted_write_leaves_no_decision(home: Home) -> None:
    measure(home)
    home.decisions.write_text("a file where the folder should be")
    with pytest.raises(FileExistsError):
        run(home)
    home.decisions.unlink()
    assert [each.info.status for each in runs(home) if "mlflow.parentRunId" not in each.data.tags] == ["FAILED"]


def test_without_an_evaluation_the_next_command_is_named(home: Home) -> None:
    with pytest.raises(NotFound, match="run `fasttier evaluate --dataset"):
        run(home)
