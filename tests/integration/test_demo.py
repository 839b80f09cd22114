"""The demo's log through the real ingest, and its stand-ins for hosted models through the real `openai` client."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import openai
import pytest

from demo import hosted, traffic
from demo.config import load
from demo.gold import Gold, read
from demo.stand_in import StandIn, read_ground_truth
from demo.traffic import Facts
from pipeline import ingest
from traffic.artifacts import Home
from traffic.errors import EndpointError

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    return traffic.generate(tmp_path_factory.mktemp("log") / "requests.jsonl", requests=1200, days=4, seed=2)


@pytest.fixture(scope="module")
def gold(facts: Facts) -> list[Gold]:
    return read(Path(facts.gold))


@pytest.fixture(scope="module")
def base_url(facts: Facts) -> Iterator[str]:
    settings = msgspec.structs.replace(load().hosted, time_scale=0.001)
    with hosted.serve(StandIn(settings, read_ground_truth(Path(facts.gold)))) as url:
        yield url


@pytest.fixture(scope="module")
def client(base_url: str) -> Iterator[openai.OpenAI]:
    http = openai.DefaultHttpxClient(trust_env=False)
    with openai.OpenAI(base_url=base_url, api_key="none", max_retries=0, http_client=http) as found:
        yield found


def test_ingest_counts_equal_the_generators(facts: Facts, tmp_path: Path) -> None:
    summary = ingest.run([Path(facts.path)], home=Home(tmp_path), processes=1)
    assert (summary.accepted, summary.rejected) == (facts.rows, facts.cut_lines)


def test_an_answer_has_usage_and_is_marked_as_simulated(client: openai.OpenAI, gold: list[Gold]) -> None:
    order = next(row for row in gold if row.feature == "orders.extract")
    answer = client.chat.completions.create(
        model="simulated-heavy", messages=[{"role": "user", "content": order.question}]
    )
    assert answer.system_fingerprint == "simulated"
    assert answer.choices[0].finish_reason == "stop"
    assert isinstance(msgspec.json.decode(answer.choices[0].message.content or ""), dict)
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 3 + 4 + -(-len(order.question) // 4)


def test_a_stream_joins_to_the_plain_answer(client: openai.OpenAI, gold: list[Gold]) -> None:
    notes = next(row for row in gold if row.feature == "notes.summary")
    stream = client.chat.completions.create(
        model="simulated-standard",
        messages=[{"role": "user", "content": notes.question}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == notes.answer
    assert chunks[-1].usage is not None
    assert chunks[-2].choices[0].finish_reason == "stop"


def test_a_function_call_arrives_in_plain_and_in_streamed_answers(client: openai.OpenAI, gold: list[Gold]) -> None:
    errand = next(row for row in gold if row.feature == "planner.agent")
    assert errand.tool_calls is not None
    plain = client.chat.completions.create(
        model="simulated-heavy", messages=[{"role": "user", "content": errand.question}]
    )
    assert plain.choices[0].message.tool_calls is not None
    wanted = errand.tool_calls[0]["function"]["arguments"]
    assert plain.choices[0].message.tool_calls[0].model_dump()["function"]["arguments"] == wanted
    chunks = client.chat.completions.create(
        model="simulated-heavy", messages=[{"role": "user", "content": errand.question}], stream=True
    )
    calls = [call for chunk in chunks if chunk.choices for call in chunk.choices[0].delta.tool_calls or []]
    assert [call.function.arguments for call in calls if call.function] == [wanted]


def test_the_configured_models_are_listed(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [model.name for model in load().hosted.models]
    assert all(model.owned_by == "simulated" for model in client.models.list())


def test_an_unknown_message_is_refused_in_openais_format(client: openai.OpenAI) -> None:
    with pytest.raises(openai.UnprocessableEntityError, match="demo's log only"):
        client.chat.completions.create(model="simulated-small", messages=[{"role": "user", "content": "hi"}])


def test_a_port_in_use_is_an_error(base_url: str) -> None:
    port = int(base_url.removesuffix("/v1").rpartition(":")[2])
    taken = hosted.serve(StandIn(load().hosted, {}), port=port)
    with pytest.raises(EndpointError, match=f"cannot listen on port {port}"), taken:
        pass
