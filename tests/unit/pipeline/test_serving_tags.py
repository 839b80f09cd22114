"""The MLflow tag `serving` is set on exactly the runs behind the deployment table."""

import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import pytest

from pipeline import serving_tags, tracking
from pipeline.decide import record
from pipeline.decide.record import CohortVerdict, Decision, EvidenceFile
from pipeline.serving_tags import expected_tags
from tests.fakes import evaluated_homes as homes
from traffic import adapters, config
from traffic.artifacts import Home
from traffic.calibrations import FILE, Calibration
from traffic.deployments import Deployment, Deployments, save
from traffic.tiers import Endpoint

pytestmark = pytest.mark.slow

AT = datetime(2026, 11, 24, 8, tzinfo=UTC)
LATER = datetime(2026, 11, 22, tzinfo=UTC)
GOLDEN = Path(__file__).parents[2] / "golden" / "decision_v1.yaml"
OTHER = f"{homes.TASK}@bbbbbbbb"


def entry(call_site: str = homes.TASK, adapter: str = homes.ADAPTER, **fields: object) -> Deployment:
    endpoint = Endpoint(name=adapter, kind="vllm", base_url="http://127.0.0.1:9/v1", model=adapter)
    return Deployment(call_site=call_site, adapter=adapter, endpoint=endpoint, since=AT, **fields)  # type: ignore[arg-type]


def runs(home: Home, *entries: Deployment) -> set[str]:
    return set(expected_tags(home, Deployments(entries=entries)))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """An adapter with its training run, evaluated twice on the test split and once on another."""
    home = homes.make(tmp_path_factory.mktemp("template"), requests_per_day=1, days=2, items=20)
    card = home.adapters / homes.ADAPTER / "adapter.yaml"
    trained = msgspec.structs.replace(adapters.load(card.parent), mlflow_run_id="run-of-training")
    card.write_text(config.dump(trained))
    evaluated = {"older": {}, "newer": {"created_at": LATER}, "fit": {"split": "calibration", "created_at": LATER}}
    for name, changes in evaluated.items():
        homes.evaluation(home, name, "adapter", wrong=(), cost=homes.own_cost(), **changes)
    homes.evaluation(home, "another", "adapter", wrong=(), cost=homes.own_cost(), adapter=OTHER)
    return home


@pytest.fixture
def home(template: Home, tmp_path: Path) -> Home:
    return Home(shutil.copytree(template.root, tmp_path / "home"))


def calibration(home: Home, name: str) -> str:
    """Write a calibration; returns its path in the table."""
    path = home.calibrations / name / FILE
    path.parent.mkdir(parents=True)
    calibration = Calibration(signal="min_margin", threshold=0.5, adapter=homes.ADAPTER, mlflow_run_id=f"run-of-{name}")
    path.write_text(config.dump(calibration))
    return str(path.relative_to(home.root))


def decision(home: Home, **changes: object) -> str:
    """Returns the file name. Runs: `run-of-<candidate>` of evaluations, `built-<candidate>` of candidates."""
    decision = record.load(GOLDEN)
    candidates = tuple(
        msgspec.structs.replace(candidate, mlflow_run_id=f"built-{candidate.name}") for candidate in decision.candidates
    )
    given = {"verdict": "build", "winner": "adapter", "adapter": homes.ADAPTER, "mlflow_run_id": "run-of-decision"}
    made: Decision = msgspec.structs.replace(decision, **(given | {"candidates": candidates} | changes))
    home.decisions.mkdir(exist_ok=True)
    path = home.decisions / f"{made.name}.yaml"
    path.write_text(config.dump(made))
    return path.name


def test_a_decided_deployment_tags_training_calibration_decision_and_evaluation_runs(
    home: Home,
) -> None:
    deployed, _ = calibration(home, "deployed"), calibration(home, "not-deployed")
    decision(home, verdict="wait", winner=None, adapter=None, mlflow_run_id="run-of-earlier-decision")
    assert runs(home, entry(decision=decision(home), calibration=deployed)) == {
        "run-of-training",
        "run-of-deployed",
        "run-of-decision",
        "built-adapter",
        "run-of-adapter",
    }


def test_a_cascade_deployment_tags_its_own_and_its_tier_1_evaluation(home: Home) -> None:
    loaded = record.load(GOLDEN)
    cascade = msgspec.structs.replace(loaded.candidate("adapter"), name="cascade", mlflow_run_id="built-cascade")
    evidence = (*loaded.evidence, EvidenceFile("cascade", "cascade@1", "0", "run-of-cascade"))
    name = decision(home, winner="cascade", candidates=(*loaded.candidates, cascade), evidence=evidence)
    assert runs(home, entry(decision=name)) == {
        "run-of-training",
        "run-of-decision",
        "built-cascade",
        "run-of-cascade",
        "run-of-adapter",
    }


def test_a_cohort_deployment_tags_the_runs_of_its_candidate(home: Home) -> None:
    cohort = CohortVerdict(
        key="plan",
        value="free",
        n=9,
        verdict="build",
        cheapest="adapter",
        simulated=False,
        basis="alone",
        quality={},
        reasons=(),
        adapter=homes.ADAPTER,
    )
    name = decision(home, verdict="buy", winner="small", adapter=None, cohorts=(cohort,))
    tagged = runs(home, entry(decision=name, cohort={"plan": "free"}))
    assert "built-adapter" in tagged
    assert "built-small" not in tagged


def test_a_deployment_by_override_tags_the_newest_test_evaluation(home: Home) -> None:
    decision(home)
    assert runs(home, entry(override="pilot")) == {"run-of-training", "run-of-newer"}


def test_missing_artifacts_have_no_runs(home: Home) -> None:
    gone = entry(adapter="gone@00000000", decision="gone.yaml", calibration="calibrations/gone/calibration.yaml")
    assert runs(home, gone) == set()


def test_the_tag_states_call_site_cohort_and_start_time(home: Home) -> None:
    table = Deployments(
        entries=(
            entry("desk.intent", share=0.1, cohort={"language": "de"}, override="pilot"),
            entry("desk.urgency", only={"plan": ("free", "pro")}, override="pilot"),
            entry("desk.intent", OTHER, shadow=True, override="trial"),
        )
    )
    expected = expected_tags(home, table)
    assert expected["run-of-training"] == (
        "answers 10% of desk.intent language=de since 2026-11-24T08:00:00Z; "
        "answers 100% of desk.urgency plan in free|pro since 2026-11-24T08:00:00Z"
    )
    assert expected["run-of-another"] == "shadow of 100% of desk.intent since 2026-11-24T08:00:00Z"


def test_an_empty_table_has_no_tags(tmp_path: Path) -> None:
    assert expected_tags(Home(tmp_path), Deployments()) == {}


def test_runs_are_tagged_on_deployment_and_untagged_on_rollback(home: Home) -> None:
    ids = {}
    for name in ("trained", "measured", "measured-earlier"):
        with tracking.run(home, name, tags={"adapter": homes.ADAPTER}) as active:
            ids[name] = active.info.run_id
    folder = home.adapters / homes.ADAPTER
    card = msgspec.structs.replace(adapters.load(folder), mlflow_run_id=ids["trained"])
    (folder / "adapter.yaml").write_text(config.dump(card))
    changes = {"created_at": datetime.combine(date(2026, 11, 23), AT.timetz()), "mlflow_run_id": ids["measured"]}
    homes.evaluation(home, "newest", "adapter", wrong=(), cost=homes.own_cost(), **changes)
    # A tag of an earlier version, that every run of the adapter got.
    client = tracking.configure(home).MlflowClient()
    client.set_tag(ids["measured-earlier"], serving_tags.TAG, "answers everything")
    save(home.deployments, Deployments(entries=(entry(override="pilot"),)))
    assert (serving_tags.update(home), serving_tags.update(home)) == (3, 0)
    tagged = {name for name, run_id in ids.items() if serving_tags.TAG in client.get_run(run_id).data.tags}
    assert tagged == {"trained", "measured"}
    save(home.deployments, Deployments())
    assert serving_tags.update(home) == 2
