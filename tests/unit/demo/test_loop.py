"""The loop's own parts: what it replays through the router, and what it says at the end."""

from pathlib import Path

from demo import loop, traffic
from demo.loop import LoopSummary, Score

SCORE = Score(
    task="orders.extract", candidate="adapter", simulated=False, quality=0.5, low=0.4, high=0.6, latency_p50_ms=12.0,
    usd_per_1k=None,
)  # fmt: skip


def test_replayed_requests_are_the_logs_last_answered_ones_with_their_call_sites(tmp_path: Path) -> None:
    facts = traffic.generate(tmp_path / "log.jsonl", requests=200, days=2, seed=1)
    requests = loop._last_requests(tmp_path / "log.jsonl", 30)
    assert len(requests) == 30
    assert {request["metadata"]["call_site"] for request in requests} <= set(facts.call_sites)
    assert all(request["messages"] for request in requests)


def test_the_last_table_says_simulated_and_unpriced() -> None:
    simulated = Score("orders.extract", "simulated-small", True, 0.9, 0.8, 1.0, None, 0.1)
    summary = LoopSummary(
        scores=(SCORE, simulated),
        verdicts={"1,000 requests a month": "buy"},
        routed={"1": 3, "2": 1},
        ingested=4,
        seconds=60.0,
        home="data-demo",
    )
    text = summary.lines()
    assert "unpriced" in text[1]
    assert text[2].endswith("simulated")
    assert "tier 1: 3, tier 2: 1" in text[4]
