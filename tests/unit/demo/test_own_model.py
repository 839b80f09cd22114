"""demo/own_model.py: time of requests to a served model."""

from pathlib import Path

import pytest

from demo import own_model
from tests.fakes import task_datasets
from tests.fakes.openai_server import FakeOpenAI

CALL_SITE = "support.intent"


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return task_datasets.make(tmp_path, train=40, others=8)


def test_measured_requests_use_prompts_of_training_rows(dataset: Path) -> None:
    pruned = own_model.bodies(dataset, CALL_SITE, "prompt")
    full = own_model.bodies(dataset, CALL_SITE, "original_prompt", max_tokens_factor=2)
    assert len(pruned) == len(full) == own_model.ALONE + own_model.BATCHED
    assert pruned[0]["messages"][0]["content"] == "intent"
    assert full[0]["messages"][0]["content"] != "intent"
    assert full[0]["max_tokens"] == 2 * pruned[0]["max_tokens"]


def test_requests_are_timed_alone_and_concurrently(dataset: Path) -> None:
    bodies = own_model.bodies(dataset, CALL_SITE, "prompt")
    with FakeOpenAI(answer=lambda body: "refund") as server:
        cost = own_model.measure(server.base_url, "adapter", bodies)
        asked = [request.body for request in server.asked]
        at_once = server.most_in_flight
    assert cost.alone > 0
    assert cost.batched > 0
    assert len(asked) == own_model.ALONE + own_model.BATCHED
    assert {body["model"] for body in asked} == {"adapter"}
    assert {body["temperature"] for body in asked} == {0}
    assert at_once > 1


def test_a_short_split_gives_fewer_requests(tmp_path: Path) -> None:
    short = task_datasets.make(tmp_path, train=own_model.ALONE + 1, others=8)
    with FakeOpenAI(answer=lambda body: "refund") as server:
        own_model.measure(server.base_url, "adapter", own_model.bodies(short, CALL_SITE, "prompt"))
        assert len(server.asked) == own_model.ALONE + 1
