"""The demo loop: requests replayed through the router, and its final report."""

from pathlib import Path

import pytest

from demo import config, loop, time_budget, traffic
from demo.loop import Deployed, LoopSummary, Score
from tests.fakes import task_datasets
from tests.fakes.openai_server import FakeOpenAI
from traffic import config as configs
from traffic.artifacts import Home

SCORE = Score(
    task="orders.extract", candidate="adapter", simulated=False, quality=0.5, low=0.4, high=0.6, latency_p50_ms=12.0,
    usd_per_1k=None,
)  # fmt: skip

DEPLOYED = Deployed(
    task="helpdesk.topic", candidate="classical", model="helpdesk.topic@1", calibration="no threshold",
    verdicts={"1,000 requests a month": "buy"},
)  # fmt: skip


def test_replayed_requests_are_the_logs_last_answered_ones_with_their_call_sites(tmp_path: Path) -> None:
    facts = traffic.generate(tmp_path / "log.jsonl", requests=200, days=2, seed=1)
    requests = loop._last_requests(tmp_path / "log.jsonl", 30)
    assert len(requests) == 30
    assert {request["metadata"]["call_site"] for request in requests} <= set(facts.call_sites)
    assert all(request["messages"] for request in requests)


def test_the_final_table_marks_simulated_and_unpriced_candidates() -> None:
    simulated = Score("orders.extract", "simulated-small", True, 0.9, 0.8, 1.0, None, 0.1)
    summary = LoopSummary(
        scores=(SCORE, simulated),
        deployed=(DEPLOYED,),
        routed={"1": 3, "2": 1},
        answered={"helpdesk.topic@1": 3, "simulated-small": 1},
        ingested=4,
        seconds=60.0,
        home="data-demo",
    )
    text = summary.lines()
    assert "unpriced" in text[1]
    assert text[2].endswith("simulated")
    assert "helpdesk.topic@1" in text[3]
    assert "buy" in text[4]
    assert "tier 1: 3, tier 2: 1" in text[5]
    assert text[6].endswith("helpdesk.topic@1 3")


def test_calibration_is_skipped_if_the_splits_are_too_short(tmp_path: Path) -> None:
    home = Home(tmp_path)
    shipped = config.load()
    running = loop._Loop(shipped, home)
    dataset = task_datasets.make(home.datasets, others=running.task.calibrate_items - 1).name
    line = running._calibrate(running.task, dataset, "adapter", "http://127.0.0.1:1/v1")
    assert line.startswith("not calibrated")
    assert not (home.root / "demo" / "candidates-calibrate-adapter.yaml").exists()


def test_the_heavy_model_is_a_rival_only_if_it_is_also_tier_2() -> None:
    assert [model.name for model in config.load().rivals] == ["simulated-small", "simulated-standard"]
    assert len(config.load(overrides=["tier_2=simulated-heavy"]).rivals) == 3


def test_every_stage_has_a_number_and_an_estimate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shipped = config.load()
    running = loop._Loop(shipped, Home(tmp_path))
    for _ in running.schedule.stages:
        running._begin()
    headers = [line for line in capsys.readouterr().out.splitlines() if line]
    total = len(headers)
    assert total == len(running.schedule.stages)
    assert [f"stage {n} of {total}" in header for n, header in enumerate(headers, start=1)] == [True] * total
    assert all("min left" in header for header in headers)


def test_sizes_are_chosen_once_per_configuration(tmp_path: Path) -> None:
    shipped, home = config.load(), Home(tmp_path)
    first = loop._Loop(shipped, home)
    first.sizes.training_seconds, first.sizes.items = 77.0, 61
    first._save_sizes()
    assert loop._Loop(shipped, home).sizes == first.sizes
    other = config.load(overrides=["replay_requests=5"])
    assert loop._Loop(other, home).sizes.items is None
    (tmp_path / "demo" / "sizes.json").write_text("{")
    assert loop._Loop(shipped, home).sizes.items is None


TASK = "tasks=[{call_site: support.intent, train: true, evaluate_items: 200, calibrate_items: 8}]"


def begun(home: Home, stages: int, *overrides: str) -> loop._Loop:
    """A loop whose first stages are complete."""
    running = loop._Loop(config.load(overrides=[TASK, *overrides]), home)
    for _ in range(stages):
        running._begin()
    return running


@pytest.mark.slow
def test_training_gets_its_share_of_the_time_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = configs.CONFIGS / "train" / "smollm2-135m.yaml"
    running = begun(Home(tmp_path), 4)
    (setting,) = running._training_time(path)
    seconds = float(setting.removeprefix("max_seconds="))
    assert time_budget.MIN_TRAIN_SECONDS <= seconds < running.schedule.budget_seconds
    assert begun(Home(tmp_path), 4)._training_time(path) == (setting,)
    assert begun(Home(tmp_path), 4, "time_budget=null")._training_time(path) == ()


def test_the_number_of_test_items_follows_from_the_time_per_request(tmp_path: Path) -> None:
    home = Home(tmp_path)
    dataset = task_datasets.make(home.datasets, train=40, others=20).name
    trained = {"adapter": "support.intent@1", "base_model": "tiny/base"}
    running = begun(home, 6)
    running.schedule.budget_seconds = 600
    with FakeOpenAI(answer=lambda body: "refund") as server:
        running._choose_items(server.base_url, trained, dataset)
        models = {request.body["model"] for request in server.asked}
    assert models == {"support.intent@1", "tiny/base"}
    # Instant answers and time enough: as many as the task has at most.
    assert running.sizes.items == 200
    late = begun(home, 6, "replay_requests=5")
    late.schedule.budget_seconds = 0
    with FakeOpenAI(answer=lambda body: "refund") as server:
        late._choose_items(server.base_url, trained, dataset)
    assert late.sizes.items == late.config.time_budget.min_items  # type: ignore[union-attr]
