"""Ingest over a real Ray cluster of two nodes, one of which is killed on the way."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline import ingest
from tests.fakes.logs import attempts, broken_lines, litellm_line, write_log
from traffic.artifacts import Home

ray = pytest.importorskip("ray")
cluster_utils = pytest.importorskip("ray.cluster_utils")
pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def cluster() -> Iterator[Any]:
    made = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        yield made
    finally:
        ray.shutdown()
        made.shutdown()


def files(home: Home) -> dict[str, bytes]:
    """Records, links, signals and rejected lines as they are stored."""
    found = [*home.records.glob("*/part-*"), *home.signals.glob("*/part-*")]
    return {str(path.relative_to(home.root)): path.read_bytes() for path in found}


def test_a_lost_node_does_not_change_the_store(cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    second = cluster.add_node(num_cpus=2)
    cluster.wait_for_nodes()
    monkeypatch.setattr("pipeline.ingest.content.BLOCK_BYTES", 64 << 10)
    lines = [litellm_line(a) for a in attempts(2500, 4, retries=0.1)]
    log = write_log(tmp_path / "log.jsonl.gz", [*lines, *broken_lines(lines[0]).values(), *lines[:50]])
    local, remote = Home(tmp_path / "local"), Home(tmp_path / "remote")
    expected = ingest.run([log], home=local, processes=1)
    blocks = -(-sum(map(len, lines)) // (64 << 10))
    staged_when_killed: list[int] = []
    killed = threading.Event()

    def kill_on_the_way() -> None:
        # Once blocks were read, and before all were.
        while not (staged := list((remote.records / "_staging").glob("*.ids.parquet"))):
            time.sleep(0.01)
        staged_when_killed.append(len(staged))
        cluster.remove_node(second, allow_graceful=False)
        killed.set()

    threading.Thread(target=kill_on_the_way, daemon=True).start()
    summary = ingest.run([log], home=remote, ray=cluster.address, on_step=lambda step: killed.wait(60))
    assert (summary.read, summary.accepted, summary.rejected) == (expected.read, expected.accepted, expected.rejected)
    assert staged_when_killed[0] < blocks // 2
    assert files(remote) == files(local)
    assert len(files(local)) > 20
