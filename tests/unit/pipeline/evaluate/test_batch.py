"""Batches left at the provider by an interrupted run, and the budget."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.evaluate import cache as caches
from pipeline.evaluate.answers import Question
from pipeline.evaluate.batch import BatchClient
from pipeline.evaluate.budget import Budget, Meter
from pipeline.evaluate.cache import AnswerCache, Batch, CachedAnswers
from pipeline.evaluate.endpoints import Endpoint
from tests.fakes.openai_server import FakeOpenAI
from traffic.errors import BudgetReached
from traffic.prices import Price

PRICE = Price(input_mtok_usd=1e6, output_mtok_usd=1e6, source="test")
ASKED = [Question("r0", {"messages": [{"role": "user", "content": "say the word"}], "max_tokens": 4})]


@pytest.fixture
def server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(answer=lambda body: "word") as running:
        yield running


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[AnswerCache]:
    with AnswerCache(tmp_path / "answers.db") as opened:
        yield opened


def ask(server: FakeOpenAI, cache: AnswerCache, budget: Budget) -> CachedAnswers:
    asker = BatchClient(
        candidate="hosted",
        endpoint=Endpoint(server.base_url, "small"),
        cache=cache,
        meter=Meter(PRICE, budget),
        poll_s=0,
        timeout_s=5,
        max_retries=0,
        announce=lambda line: None,
    )
    kept = CachedAnswers(cache, asker.endpoint, ASKED)
    asker.ask(ASKED, kept, lambda left: None)
    return kept


def leave_behind(server: FakeOpenAI, cache: AnswerCache, most_usd: float) -> Batch:
    """State left by a run killed while it waited."""
    endpoint = Endpoint(server.base_url, "small")
    [key] = CachedAnswers(cache, endpoint, ASKED).keys.values()
    line = f'{{"custom_id": "{key}", "body": {{"model": "small", "messages": [{{"content": "say the word"}}]}}}}'
    server.batches.files["file-left"] = line.encode()
    server.batches.created.append({"id": "batch_left", "object": "batch", "status": "in_progress", "created_at": 0})
    server.batches.created[0]["input_file_id"] = "file-left"
    batch = Batch("t0", caches.source_of(endpoint), "batch_left", (key,), most_usd)
    cache.add_batch(batch)
    return batch


def test_a_batch_beyond_the_budget_is_left_for_a_larger_budget(server: FakeOpenAI, cache: AnswerCache) -> None:
    left = leave_behind(server, cache, most_usd=50.0)
    budget = Budget(60.0)
    # Another candidate's requests are in flight.
    assert budget.reserve(20.0)
    with pytest.raises(BudgetReached, match=r"may cost \$50\.00"):
        ask(server, cache, budget)
    assert (budget.spent_usd, budget.left_usd) == (0.0, 40.0)
    assert cache.batches(left.source) == [left]
    larger = Budget(80.0)
    assert larger.reserve(20.0)
    assert ask(server, cache, larger).answers["r0"].text == "word"
    assert len(server.batches.created) == 1
    assert cache.batches(left.source) == []
    assert larger.left_usd == pytest.approx(60.0 - larger.spent_usd)
