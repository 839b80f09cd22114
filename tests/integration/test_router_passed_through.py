"""Text completions and embeddings through the router, asked with the real `openai` client."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.fakes import openai_server
from tests.fakes.openai_server import Asked, FakeOpenAI
from tests.fakes.router import RunningRouter, client, endpoint, only, routing
from traffic.artifacts import Home
from traffic.record import Usage

pytestmark = pytest.mark.timeout(60)

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


class FakeModels(FakeOpenAI):
    """Says `one two` to every prompt, and gives every text the same vector."""

    async def _handle(self, asked: Asked, wire: Any, writer: asyncio.StreamWriter) -> None:
        del wire
        self._note(asked)
        if asked.path == "/v1/embeddings":
            vector = {"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}
            body = {"object": "list", "data": [vector], "model": asked.body["model"], "usage": USAGE}
            await openai_server._send(writer, 200, json.dumps(body).encode())
            return
        head = {"id": "cmpl-1", "object": "text_completion", "created": 0, "model": asked.body["model"]}
        texts = ["one", " two"] if asked.body.get("stream") else ["one two"]
        choices = [{"index": 0, "text": text, "finish_reason": None, "logprobs": None} for text in texts]
        choices[-1]["finish_reason"] = "stop"
        if not asked.body.get("stream"):
            await openai_server._send(writer, 200, json.dumps(head | {"choices": choices, "usage": USAGE}).encode())
            return
        chunks = [head | {"choices": [choice]} for choice in choices] + [head | {"choices": [], "usage": USAGE}]
        events = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
        await openai_server._send(writer, 200, "".join([*events, "data: [DONE]\n\n"]).encode())


@pytest.fixture
def models() -> Iterator[FakeModels]:
    with FakeModels() as server:
        yield server


@pytest.fixture
def router(models: FakeModels, tmp_path: Path) -> Iterator[RunningRouter]:
    listed = [endpoint("chat", models.base_url), endpoint("vectors", models.base_url, model="text-embedding-3-small")]
    with RunningRouter(routing(listed, tiers={1: [], 2: ["chat"], 3: ["chat"]}), Home(tmp_path)) as running:
        yield running


def test_a_text_completion_is_passed_through_and_logged(router: RunningRouter, models: FakeModels) -> None:
    with client(router) as asking:
        answer = asking.completions.create(model="fasttier", prompt="count", max_tokens=5, seed=1)
    assert (answer.choices[0].text, answer.usage and answer.usage.total_tokens) == ("one two", 5)
    (asked,) = models.asked
    assert asked.body == {"model": "gpt-4o-mini", "prompt": "count", "max_tokens": 5, "seed": 1}
    assert asked.headers["authorization"] == "Bearer hosted-secret"
    record = only(router.log)
    assert (record.output.text, record.rule, record.endpoint) == ("one two", "passed through", "chat")
    assert json.loads(bytes(record.messages)) == [{"role": "user", "content": "count"}]
    assert record.cost_usd is not None


def test_a_text_completion_is_streamed(router: RunningRouter) -> None:
    with client(router) as asking:
        chunks = list(asking.completions.create(model="fasttier", prompt="count", stream=True))
    assert [chunk.choices[0].text for chunk in chunks] == ["one", " two"]
    record = only(router.log)
    assert (record.output.text, record.output.finish_reason) == ("one two", "stop")
    assert record.usage == Usage(input_uncached=3, output=2)


def test_an_embedding_goes_to_the_endpoint_of_its_model(router: RunningRouter) -> None:
    with client(router) as asking:
        answer = asking.embeddings.create(model="text-embedding-3-small", input=["a"], encoding_format="float")
    assert answer.data[0].embedding == [0.5, 0.25]
    record = only(router.log)
    assert (record.endpoint, record.model, record.request_type) == ("vectors", "text-embedding-3-small", "embedding")


def test_a_missing_prompt_is_refused(router: RunningRouter) -> None:
    with client(router) as asking, pytest.raises(openai.BadRequestError, match="`input` is empty"):
        asking.embeddings.create(model="m", input=[])
