"""What holds for every test: no telemetry, nobody's real MLflow or home, named skips, what tests/integration is."""

import functools
import gc
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from pipeline import tracking
from tests.fakes import programs
from traffic.artifacts import Home

# Before any library reads them. A developer's own tracking server and home must never see a test.
os.environ |= {"HF_HUB_DISABLE_TELEMETRY": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "VLLM_NO_USAGE_STATS": "1"}
# trl sets it to ERROR for its whole process, and tests read what a server says.
os.environ["VLLM_LOGGING_LEVEL"] = "INFO"
for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_ID", "FASTTIER_HOME"):
    os.environ.pop(name, None)
if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
    # Thread pools that each take all cores wait for one another at every barrier.
    os.environ.setdefault("OMP_NUM_THREADS", str(max((os.cpu_count() or 1) // int(workers), 1)))

# No deadline: machines of CI are shared, and a slow one is no bug. The same examples in every CI run.
settings.register_profile("fasttier", deadline=None, derandomize="CI" in os.environ, max_examples=25)
settings.register_profile("campaign", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fasttier"))


@pytest.fixture(autouse=True)
def _no_tracking_server_left() -> Iterator[None]:
    """MLflow puts the store that it is pointed at into the environment, where the next test's home would find it."""
    yield
    os.environ.pop("MLFLOW_TRACKING_URI", None)


@pytest.fixture(autouse=True, scope="session")
def _tracking_stores_from_a_template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A new store runs every migration of MLflow's history, for seconds: a test's first use copies a migrated one."""
    configure = tracking.configure
    template = tmp_path_factory.mktemp("mlflow") / "mlflow.db"

    def from_template(home: Home, experiment: str = tracking.EXPERIMENT) -> object:
        path = Path(home.mlflow_uri.removeprefix("sqlite:///"))
        if home.mlflow_uri.startswith("sqlite:///") and not path.exists():
            if not template.exists():
                _migrate(template)
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(template, path)
        return configure(home, experiment)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tracking, "configure", from_template)
        yield


def _migrate(database: Path) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    SqlAlchemyStore(f"sqlite:///{database}", str(database.parent)).engine.dispose()


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs_program"):
        programs.require(*marker.args)


INTEGRATION = Path(__file__).parent / "integration"
SLOW_FILE = re.compile(r"^pytestmark = (?:\[\s*)?pytest\.mark\.slow\b", re.MULTILINE)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Folder and marker say the same: everything in tests/integration is marked `integration`."""
    for item in items:
        if INTEGRATION in item.path.parents:
            item.add_marker(pytest.mark.integration)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A file that is slow as a whole is not imported where slow tests are left out: PyTorch alone takes seconds."""
    left_out = "not slow" in config.option.markexpr and collection_path.suffix == ".py"
    return True if left_out and SLOW_FILE.search(collection_path.read_text(encoding="utf-8")) else None


class Lanes(LoadScopeScheduling):  # type: ignore[misc] # xdist has no types
    """Of the processes that share the tests, one has all files that train or serve models, which take every core and
    share servers; each other file stays in one process for its fixtures.

    xdist's own `loadgroup` puts the group into `_nodeid`, which pytest 9.2 does not read.
    """

    def _split_scope(self, nodeid: str) -> str:
        return _lane(nodeid.partition("::")[0])


@functools.cache
def _lane(file: str) -> str:
    # Markers are known to the processes that run the tests only.
    text = (Path(__file__).parents[1] / file).read_text(encoding="utf-8")
    return "models" if "pytest.mark.models" in text else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Lanes | None:
    return Lanes(config, log) if config.getvalue("dist") == "loadscope" else None


def pytest_collection_finish() -> None:
    """What the imports left lives until the end; libraries that call gc.collect() (statsmodels) need not walk it."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Libraries report what is not freed at exit."""
    gc.unfreeze()
