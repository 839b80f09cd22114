"""pipeline/tracking.py: runs that another thread logs to."""

from pathlib import Path
from typing import Any

import pytest

from pipeline import tracking
from traffic.artifacts import Home

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of mlflow itself


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """One database for all tests: creating it takes seconds."""
    return Home(tmp_path_factory.mktemp("tracked"))


@pytest.fixture
def client(home: Home) -> Any:
    return tracking.configure(home).MlflowClient()


def test_calls_are_sent_in_order_and_the_run_is_finished(home: Home, client: Any) -> None:
    with tracking.BackgroundRun(home, "train", tags={"stage": "train"}) as tracked:
        for step in range(5):
            tracked.log(lambda mlflow, step=step: mlflow.log_metric("loss", 5.0 - step, step=step))
        run_id = tracked.run_id
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["stage"] == "train"
    assert [metric.value for metric in client.get_metric_history(run_id, "loss")] == [5.0, 4.0, 3.0, 2.0, 1.0]


def failing_run(home: Home, *, in_thread: bool) -> str:
    """A run that fails in a logged call or in its block. Raises the failure with the run id as its argument."""
    with tracking.BackgroundRun(home, "train", tags={}) as tracked:
        run_id = tracked.run_id
        if not in_thread:
            raise ConnectionError(run_id)

        def fail(mlflow: Any) -> None:
            raise ConnectionError(run_id)

        tracked.log(fail)
    return run_id


@pytest.mark.parametrize("in_thread", [True, False], ids=["a call fails", "the block fails"])
def test_a_failure_is_raised_and_marks_the_run(home: Home, client: Any, in_thread: bool) -> None:
    with pytest.raises(ConnectionError) as failure:
        failing_run(home, in_thread=in_thread)
    assert client.get_run(failure.value.args[0]).info.status == "FAILED"


def test_a_store_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError), tracking.BackgroundRun(Home(tmp_path / "file"), "train", tags={}):  # noqa: PT011
        pass


def test_names_from_a_log_are_accepted_and_stay_distinct(home: Home) -> None:
    taken = ["field_f1.total", "cohort.plan.pro", "größe"]
    odd = [
        "f1.https://a.example/x",
        "f1.https:/a.example/x",
        "..",
        "../up",
        "/root",
        "a//b",
        "a_/b",
        "price €",
        "price $",
    ]
    odd += ["", "x" * 300, "x" * 299 + "y", "a/./b", "a/../b"]
    names = tracking.valid_names({name: float(n) for n, name in enumerate(taken + odd)})
    assert list(names)[: len(taken)] == taken
    assert list(names.values()) == [float(n) for n in range(len(taken + odd))]
    with tracking.run(home, "names", tags={}) as run:
        mlflow = tracking.configure(home)
        mlflow.log_metrics(names)
        mlflow.log_params(names)
        assert mlflow.get_run(run.info.run_id).data.metrics == names
