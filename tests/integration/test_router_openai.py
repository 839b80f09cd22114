"""The `openai` package against the router, unchanged: tools, schemas, images, parameters, errors, and a real vLLM."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pydantic
import pytest

from serving.supervise import Server
from tests.fakes import openai_server as fake
from tests.fakes import router as routers
from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.router import ADAPTER, RunningRouter, Setting, ask, client, endpoint, only, said, streamed
from traffic.artifacts import Home
from traffic.callsites import Checks

pytestmark = pytest.mark.models

WRITE = [{"role": "user", "content": "Write to the client."}]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "find",
            "strict": True,
            "parameters": {
                "type": "object",
                "properties": {"id": {"type": "integer"}},
                "required": ["id"],
                "additionalProperties": False,
            },
        },
    }
]
PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="


def only_chat(server: FakeOpenAI) -> dict[str, Any]:
    (asked,) = server.chats
    return asked.body


class Place(pydantic.BaseModel):
    city: str
    days: int


# ------------------------------------------------------------------------------- what passes unharmed


@pytest.mark.parametrize(
    "sent",
    [
        {"n": 2, "seed": 7, "stop": ["\n", "END"], "top_p": 0.5, "presence_penalty": 0.1, "frequency_penalty": -0.2},
        {"logprobs": True, "top_logprobs": 3, "logit_bias": {"1734": -100}, "max_completion_tokens": 9},
        {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "find"}}},
        {"tools": TOOLS, "parallel_tool_calls": False},
        {"response_format": {"type": "json_object"}, "stop": "END"},
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "Grüße 你好 \U0001f600 \u2028: what is in it?"},
                        {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
                    ],
                },
                {"role": "assistant", "content": None, "tool_calls": [
                    {"id": "call_1", "type": "function", "function": {"name": "find", "arguments": "{\"id\": 1}"}}
                ]},
                {"role": "tool", "tool_call_id": "call_1", "content": "a pixel"},
            ]
        },
    ],
    ids=["choices and stops", "log-probabilities", "a chosen tool", "tools", "JSON mode", "images and tool results"],
)  # fmt: skip
@pytest.mark.parametrize("stream", [False, True])
def test_parameters_reach_a_hosted_model_as_they_were_sent(
    setting: Setting, sent: dict[str, Any], stream: bool
) -> None:
    router = setting.start()
    body = {"messages": WRITE} | sent
    if stream:
        streamed(router, **body)
    else:
        ask(router, **body)
    arrived = only_chat(setting.hosted)
    assert {key: arrived[key] for key in body} == body


def test_several_choices_and_their_log_probabilities_reach_the_client(setting: Setting) -> None:
    router = setting.start()
    completion = ask(router, messages=WRITE, n=2, logprobs=True, top_logprobs=2).parse()
    assert [choice.index for choice in completion.choices] == [0, 1]
    assert all(len(choice.logprobs.content[0].top_logprobs) == 2 for choice in completion.choices)


def test_log_probabilities_of_the_adapter_reach_a_client_that_asks_for_them(setting: Setting) -> None:
    router = setting.start()
    response = ask(router, logprobs=True, top_logprobs=1)
    assert response.headers["x-fasttier-tier"] == "1"
    (step,) = response.parse().choices[0].logprobs.content
    assert step.token == "refund"
    _, chunks, headers = streamed(router, logprobs=True, top_logprobs=1)
    assert headers["x-fasttier-tier"] == "1"
    given = [choice.logprobs for chunk in chunks for choice in chunk.choices if choice.logprobs]
    assert [step.token for logprobs in given for step in logprobs.content] == ["refund"]


def test_tool_calls_and_results_are_translated(setting: Setting) -> None:
    router = setting.start()
    setting.hosted.script(fake.calls(("find", '{"id": 12345678}')))
    messages: list[Any] = [*WRITE]
    answer = ask(router, messages=messages, tools=TOOLS).parse().choices[0]
    assert answer.finish_reason == "tool_calls"
    call = answer.message.tool_calls[0]
    assert (call.function.name, json.loads(call.function.arguments)) == ("find", {"id": 12345678})
    result = {"role": "tool", "tool_call_id": call.id, "content": "a refund"}
    told = [*messages, answer.message.model_dump(exclude_none=True), result]
    assert said(ask(router, messages=told, tools=TOOLS)) == "refund"
    assert setting.hosted.chats[1].body["messages"][1]["tool_calls"][0]["id"] == call.id
    assert router.log[0].output.tool_calls


def test_streamed_tool_calls_are_assembled_by_the_sdk(setting: Setting) -> None:
    router = setting.start()
    setting.hosted.script(fake.calls(("find", '{"id": 1}'), ("find", '{"id": 22222222}')))
    with client(router) as asking, asking.chat.completions.stream(model="m", messages=WRITE, tools=TOOLS) as stream:
        choice = stream.get_final_completion().choices[0]
    assert [call.function.arguments for call in choice.message.tool_calls] == ['{"id": 1}', '{"id": 22222222}']
    assert [json.dumps(call) for call in only(router.log).output.tool_calls or ()]


def test_a_pydantic_model_as_response_format_is_parsed_plain_and_streamed(setting: Setting) -> None:
    router = setting.start()
    setting.hosted.default = setting.spare.default = fake.ok('{"city": "Graz", "days": 3}')
    with client(router) as asking:
        parsed = asking.chat.completions.parse(model="m", messages=WRITE, response_format=Place)
        with asking.chat.completions.stream(model="m", messages=WRITE, response_format=Place) as stream:
            final = stream.get_final_completion()
    assert parsed.choices[0].message.parsed == final.choices[0].message.parsed == Place(city="Graz", days=3)
    assert setting.hosted.chats[0].body["response_format"]["json_schema"]["name"] == "Place"


def test_the_asynchronous_client_gets_many_streams_at_once(setting: Setting) -> None:
    router = setting.start()

    async def one(asking: openai.AsyncOpenAI, text: str) -> str:
        stream = await asking.chat.completions.create(**routers.body_of(text, stream=True))
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])

    async def all_of() -> list[str]:
        async with openai.AsyncOpenAI(base_url=router.base_url, api_key="k", timeout=30) as asking:
            return await asyncio.gather(*(one(asking, f"{routers.LABELS[n % 3]} {n}") for n in range(24)))

    assert asyncio.run(all_of()) == [routers.LABELS[n % 3] for n in range(24)]
    assert len(router.log) == 24


# --------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    "reply, error, status",
    [
        (fake.status(400), openai.BadRequestError, 400),
        (fake.status(422), openai.UnprocessableEntityError, 422),
        (fake.status(401), openai.InternalServerError, 502),
        (fake.status(403), openai.InternalServerError, 502),
        (fake.status(429, retry_after=60), openai.RateLimitError, 429),
        (fake.status(500), openai.InternalServerError, 502),
        (fake.status(503), openai.InternalServerError, 503),
        (fake.broken_body(), openai.InternalServerError, 502),
        (fake.cut(1, "one two three"), openai.InternalServerError, 502),
        (fake.held(threading.Event()), openai.InternalServerError, 504),
    ],
    ids=["400", "422", "401", "403", "429", "500", "503", "garbage", "cut", "hanging"],
)
def test_upstream_errors_become_the_sdks_errors(
    setting: Setting, reply: fake.Reply, error: type[openai.APIStatusError], status: int
) -> None:
    setting.hosted.default = reply
    serving = {"deadline_s": 0.5, "backoff_s": 0.001}
    router = setting.start(tiers={1: [], 2: ["standard"], 3: ["spare"]}, serving=serving)
    # The SDK's own retries are on: the router asks it not to make them.
    with client(router) as asking, pytest.raises(error) as caught:
        asking.chat.completions.create(model="m", messages=WRITE)
    assert caught.value.status_code == status
    assert len({record.request_id for record in router.log}) == 1


def test_a_client_timeout_ends_the_attempt(setting: Setting) -> None:
    setting.hosted.default = setting.spare.default = fake.held(threading.Event())
    router = setting.start()
    # A stream states no deadline, so here it is the client that gives up.
    with client(router, max_retries=0) as asking, pytest.raises(openai.APITimeoutError):
        asking.with_options(timeout=0.2).chat.completions.create(model="m", messages=WRITE, stream=True)
    setting.hosted.wait_for(lambda server: server.chats[0].client_left)


# ---------------------------------------------------------------------------------------- a real vLLM


@pytest.fixture
def real(vllm_tiny: Server, tmp_path: Path) -> Iterator[tuple[RunningRouter, FakeOpenAI, Server]]:
    """A router in front of a real vLLM (Tier 1: its adapter without checks, Tier 2: its base model) and a fake."""
    home = Home(tmp_path / "home")
    routers.write_adapter(home, ADAPTER, checks=Checks())
    routers.deploy(home, routers.deployment(ADAPTER, vllm_tiny.base_url))
    base = {"name": "base", "kind": "vllm", "base_url": vllm_tiny.base_url, "model": "tiny/llama"}
    with FakeOpenAI(answer=routers.label_of, api_key="hosted-secret") as hosted:
        tiers = {1: [], 2: ["base"], 3: ["standard"]}
        config = routers.routing([endpoint("standard", hosted.base_url), base], tiers=tiers)
        with RunningRouter(config, home) as router:
            yield router, hosted, vllm_tiny


def middle_of(text: str) -> str:
    """Three characters that stand in the text."""
    return text[len(text) // 2 :][:3]


def test_a_real_vllm_answers_as_when_asked_directly(
    real: tuple[RunningRouter, FakeOpenAI, Server],
) -> None:
    router, hosted, vllm = real
    with openai.OpenAI(base_url=vllm.base_url, api_key=vllm.api_key or "none") as direct:
        # Tier 1: the adapter, with its pruned prompt.
        pruned = [{"role": "system", "content": "intent"}, {"role": "user", "content": "refund please"}]
        greedy = {"model": ADAPTER, "messages": pruned, "temperature": 0, "max_tokens": 16}
        endless = direct.chat.completions.create(**greedy).choices[0].message.content
        # Random weights never stop by themselves, and an answer that hit the cap does not count.
        asked = {"logprobs": True, "top_logprobs": 5, "stop": [middle_of(endless)]}
        wanted = direct.chat.completions.create(**greedy, **asked).choices[0]
        response = ask(router, **asked)
        got = response.parse().choices[0]
        assert response.headers["x-fasttier-endpoint"] == ADAPTER
        assert (got.message.content, got.finish_reason) == (wanted.message.content, "stop")
        assert [step.logprob for step in got.logprobs.content] == pytest.approx(
            [step.logprob for step in wanted.logprobs.content], abs=0.05
        )
        text, chunks, headers = streamed(router, **asked, stream_options={"include_usage": True})
        assert (text, headers["x-fasttier-tier"]) == (wanted.message.content, "1")
        assert chunks[-1].usage.completion_tokens == response.parse().usage.completion_tokens
        # Tier 2: the base model, with what an adapter is never asked for.
        message = [{"role": "user", "content": "Write to the client."}]
        plain = {"messages": message, "temperature": 0, "max_tokens": 12, "seed": 1}
        whole = direct.chat.completions.create(model="tiny/llama", **plain).choices[0].message.content
        assert said(ask(router, **plain)) == whole
        assert streamed(router, **plain)[0] == whole
        stop = middle_of(whole)
        stopped = ask(router, **plain, stop=[stop]).parse().choices[0]
        assert (stopped.message.content, stopped.finish_reason) == (whole.partition(stop)[0], "stop")
        several = ask(router, **plain | {"temperature": 1}, n=3).parse()
        assert [choice.index for choice in several.choices] == [0, 1, 2]
    assert not hosted.chats
    records = router.log
    assert all(record.error is None and record.status == 200 for record in records)
    assert [record.tier for record in records] == [1, 1, 2, 2, 2, 2]
    assert all(record.confidence is not None for record in records[:2])


def test_an_answer_of_a_real_vllm_that_fails_its_checks_is_escalated_to_the_fake(
    vllm_tiny: Server, tmp_path: Path
) -> None:
    home = Home(tmp_path / "home")
    routers.write_adapter(home, ADAPTER)
    routers.deploy(home, routers.deployment(ADAPTER, vllm_tiny.base_url))
    with (
        FakeOpenAI(answer=routers.label_of, api_key="hosted-secret") as hosted,
        RunningRouter(routers.routing([endpoint("standard", hosted.base_url)]), home) as router,
    ):
        response = ask(router)
        text, _, headers = streamed(router)
    assert said(response) == text == "refund"
    for told in (response.headers, headers):
        assert told["x-fasttier-tier"] == "2"
        assert told["x-fasttier-escalated"].startswith("check ")
    assert [(record.tier, record.purpose) for record in router.log] == [(1, "serve"), (2, "escalation")] * 2
