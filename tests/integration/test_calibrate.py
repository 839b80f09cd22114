"""Calibration as a user runs it: one command against a running endpoint, then the cascade, and what it costs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from cli import app
from serving import register
from serving.parity import ParityReport
from tests.fakes.openai_server import FakeOpenAI, Reply, ok
from tests.fakes.task_datasets import LABELS, TEMPLATE, make
from traffic import calibrations, config, deployments
from traffic.adapters import Adapter, BaseModel, CallSitePrompts
from traffic.artifacts import Home
from traffic.callsites import Checks

pytestmark = pytest.mark.models

SITE = "support.intent"
ADAPTER = f"{SITE}@aaaaaaaa"
N = 120


def answer(body: dict[str, Any]) -> Reply:
    """Right but for every twentieth item; unsure about every tenth."""
    number = int("".join(filter(str.isdigit, body["messages"][-1]["content"])))
    label = LABELS[(number + (number % 20 == 0)) % len(LABELS)]
    return ok(label, confidence=0.45 if number % 10 == 0 else 0.9 + 0.001 * (number % 97))


@pytest.fixture(scope="module")
def server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(answer=answer) as found:
        yield found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("calibrate")
    home = Home(folder / "home")
    dataset = make(home.datasets, others=N)
    prompts = CallSitePrompts(templates=(TEMPLATE,), request_type="intent", checks=Checks(labels=LABELS), max_tokens=8)
    card = Adapter(
        name=ADAPTER,
        task=SITE,
        base_model=BaseModel(name="org/tiny", revision="abc", path=str(folder / "no weights here")),
        rank=8,
        dataset=dataset.name,
        call_sites={SITE: prompts},
        chat_template_sha256="0" * 64,
        config={},
        metrics={},
        libraries={},
        licence="apache-2.0",
    )
    folder = home.adapters / ADAPTER
    folder.mkdir(parents=True)
    (folder / "adapter.yaml").write_text(config.dump(card), encoding="utf-8")
    return home


@pytest.fixture(scope="module")
def candidates(home: Home) -> Path:
    path = home.root.parent / "candidates.yaml"
    path.write_text(
        "candidates:\n"
        "  - {name: teacher, kind: teacher}\n"
        "  - {name: adapter, kind: adapter}\n"
        "  - {name: cascade, kind: cascade, tier_1: adapter, tier_2: teacher}\n"
        "latency_sample: 0\n"
    )
    return path


def run(home: Home, *arguments: object) -> tuple[int, dict[str, Any]]:
    """Exit status and summary of a command."""
    out = home.root.parent / "summary.json"
    with pytest.raises(SystemExit) as stopped:
        app.main([*map(str, arguments), "--home", str(home.root), "--out", str(out)])
    return int(stopped.value.code or 0), json.loads(out.read_text())


@pytest.fixture(scope="module")
def evaluated(home: Home, server: FakeOpenAI, candidates: Path) -> dict[str, Any]:
    status, found = run(home, "evaluate", "--candidates", candidates, f"--endpoint=adapter={server.base_url}")
    assert status == 0
    return found


@pytest.fixture(scope="module")
def calibrated(home: Home, server: FakeOpenAI, candidates: Path, evaluated: dict[str, Any]) -> dict[str, Any]:
    endpoint = f"--endpoint=adapter={server.base_url}"
    status, found = run(home, "calibrate", "--candidates", candidates, "--target", 0.05, endpoint)
    assert status == 0
    return found


def test_curve_threshold_and_test_use_consecutive_splits(
    calibrated: dict[str, Any],
) -> None:
    [calibration] = calibrated["calibrations"]
    assert (calibration["adapter"], calibration["candidate"], calibration["n"]) == (ADAPTER, "adapter", N)
    assert (calibration["achieved_risk"], calibration["expected_escalation_rate"]) == (0.0, pytest.approx(0.1))
    assert calibration["achieved_risk_bound"] <= 0.05
    assert calibration["test"]["errors"] == 0
    assert calibration["reference"].startswith("agreement with the logged answers")
    folder = Path(calibrated["folders"][SITE])
    assert {path.name for path in folder.iterdir()} == {"calibration.yaml", "curve.svg", "reliability.svg"}


def test_the_cascade_has_its_own_evaluation_with_the_cost_of_both_tiers(
    evaluated: dict[str, Any], calibrated: dict[str, Any]
) -> None:
    assert list(evaluated["skipped"]) == ["cascade"]
    cascade = calibrated["cascade"]
    assert (cascade["kind"], cascade["adapter"]) == ("cascade", ADAPTER)
    assert (cascade["parts"]["kept"], cascade["parts"]["escalated"]) == (N - N // 10, N // 10)
    assert cascade["metrics"]["accuracy"]["value"] == 1.0
    adapter = next(each for each in evaluated["scores"] if each["candidate"] == "adapter")
    assert adapter["metrics"]["accuracy"]["value"] == pytest.approx(0.95)
    # Tier 2 costs 0.00001 a request in the log, and is asked about a tenth of them.
    assert cascade["cost"]["usd_per_1k"] == pytest.approx(adapter["cost"]["usd_per_1k"] + 0.1 * 0.01)
    rows = pq.read_table(Path(calibrated["cascade_folder"]) / "predictions.parquet").to_pylist()
    assert [row["tier"] for row in rows].count(2) == N // 10
    assert all(row["correct"] for row in rows)


def test_repeated_commands_send_no_requests_and_give_the_same_result(
    home: Home, server: FakeOpenAI, candidates: Path, calibrated: dict[str, Any]
) -> None:
    asked = len(server.chats)
    endpoint = f"--endpoint=adapter={server.base_url}"
    _, again = run(home, "evaluate", "--candidates", candidates, endpoint)
    # Only the time at which it was made current is another.
    cascade = next(each for each in again["scores"] if each["kind"] == "cascade")
    assert cascade | {"created_at": None} == calibrated["cascade"] | {"created_at": None}
    # Without an endpoint, and there are no weights that could be served: nothing is started.
    status, same = run(home, "calibrate", "--candidates", candidates, "--target", 0.05)
    assert (status, same["folders"], len(server.chats)) == (0, calibrated["folders"], asked)


def test_register_writes_the_threshold_to_the_deployment_table(
    home: Home, server: FakeOpenAI, calibrated: dict[str, Any]
) -> None:
    report = ParityReport(ADAPTER, 1, 2, 0.1, 0.01, 0, 1.0, True, 0.4, True, ())
    endpoint = register.endpoint_of(ADAPTER, server.base_url)
    request = register.DeploymentRequest(adapter=home.adapter(ADAPTER), endpoint=endpoint, override="pilot")
    register.register(home, request, report)
    [entry] = deployments.load(home.deployments).entries
    path = entry.calibration_path(home)
    assert path == Path(calibrated["folders"][SITE]) / calibrations.FILE
    assert calibrations.load_cut(path).threshold == calibrated["calibrations"][0]["threshold"]


def test_mlflow_has_a_run_for_each_calibration(home: Home, calibrated: dict[str, Any]) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(home.mlflow_uri)
    experiment = client.get_experiment_by_name("fasttier")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    name = Path(calibrated["folders"][SITE]).name
    [only] = [each for each in runs if each.data.tags.get("calibration") == name]
    assert (only.data.tags["stage"], only.data.tags["adapter"]) == ("calibrate", ADAPTER)
    assert only.data.metrics["expected_escalation_rate"] == pytest.approx(0.1)
    assert {file.path for file in client.list_artifacts(only.info.run_id)} >= {"curve.svg", "calibration.yaml"}
    assert {each.data.tags.get("split") for each in runs} == {"test", "calibration", "threshold", None}


def test_an_unreachable_target_is_refused_and_the_escalation_rate_can_be_used_instead(
    home: Home, candidates: Path, calibrated: dict[str, Any]
) -> None:
    status, refused = run(home, "calibrate", "--candidates", candidates)
    assert status == 1
    assert refused["calibrations"][0]["threshold"] is None
    assert "149 kept answers" in refused["calibrations"][0]["infeasible"]
    assert refused["cascade"] is None
    status, chosen = run(home, "calibrate", "--candidates", candidates, "--max-escalation", 0.1)
    assert status == 0
    assert chosen["calibrations"][0]["expected_escalation_rate"] == pytest.approx(0.1)


def test_a_candidate_that_has_no_signals_is_refused_by_name(
    home: Home, candidates: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["calibrate", "--candidates", str(candidates), "--candidate", "teacher", "--home", str(home.root)]
    with pytest.raises(SystemExit) as stopped:
        app.main(arguments)
    assert stopped.value.code == 2
    assert "expected an adapter or a classifier" in capsys.readouterr().err
