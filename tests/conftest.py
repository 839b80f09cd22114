"""What holds for every test: no telemetry, nobody's real MLflow or home, and what tests/integration is."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Before any library reads them. A developer's own tracking server and home must never see a test.
os.environ |= {"HF_HUB_DISABLE_TELEMETRY": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "VLLM_NO_USAGE_STATS": "1"}
for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_ID", "FASTTIER_HOME"):
    os.environ.pop(name, None)

# No deadline: machines of CI are shared, and a slow one is no bug. The same examples in every CI run.
settings.register_profile("fasttier", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("fasttier")


@pytest.fixture(autouse=True)
def _no_tracking_server_left() -> Iterator[None]:
    """MLflow puts the store that it is pointed at into the environment, where the next test's home would find it."""
    yield
    os.environ.pop("MLFLOW_TRACKING_URI", None)


INTEGRATION = Path(__file__).parent / "integration"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Folder and marker say the same: everything in tests/integration is marked `integration`."""
    for item in items:
        if INTEGRATION in item.path.parents:
            item.add_marker(pytest.mark.integration)
