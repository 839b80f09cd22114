"""The fake OpenAI server itself, as the real SDK sees it: the parts that other tests rely on without looking."""

import threading
from collections.abc import Iterator

import openai
import pytest

from tests.fakes.openai_server import FakeOpenAI, cut, held, ok, status

pytestmark = pytest.mark.integration

HELLO = [{"role": "user", "content": "hello there"}]


@pytest.fixture
def server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(answer=lambda body: "one two three", models=("small",)) as fake:
        yield fake


@pytest.fixture
def client(server: FakeOpenAI) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key="key", max_retries=0) as sdk:
        yield sdk


def ask(client: openai.OpenAI, **changes: object) -> object:
    return client.chat.completions.create(model="small", messages=HELLO, **changes)  # type: ignore[call-overload]


def test_stream_joins_to_the_plain_answer_and_ends_with_reason_and_usage(client: openai.OpenAI) -> None:
    plain = ask(client)
    events = list(ask(client, stream=True, stream_options={"include_usage": True}))  # type: ignore[call-overload]
    text = "".join(event.choices[0].delta.content or "" for event in events if event.choices)
    assert text == plain.choices[0].message.content == "one two three"  # type: ignore[attr-defined]
    assert [event.choices[0].finish_reason for event in events if event.choices][-1] == "stop"
    assert events[-1].usage == plain.usage  # type: ignore[attr-defined]
    assert (events[-1].usage.prompt_tokens, events[-1].usage.completion_tokens) == (2, 3)


def test_an_interrupted_stream_has_no_finish_reason_and_breaks_the_connection(
    server: FakeOpenAI, client: openai.OpenAI
) -> None:
    server.script(cut(after=2))
    stream = ask(client, stream=True)
    seen = [next(stream).choices[0] for _ in range(3)]  # type: ignore[call-overload]
    with pytest.raises(openai.APIConnectionError):
        next(stream)  # type: ignore[call-overload]
    assert "".join(choice.delta.content or "" for choice in seen) == "one two"
    assert all(choice.finish_reason is None for choice in seen)


def test_cap_on_tokens_ends_the_answer_with_length(client: openai.OpenAI) -> None:
    [choice] = ask(client, max_tokens=2).choices  # type: ignore[attr-defined]
    assert (choice.message.content, choice.finish_reason) == ("one two", "length")


def test_log_probabilities_match_the_stated_confidence(server: FakeOpenAI, client: openai.OpenAI) -> None:
    server.script(ok("yes", confidence=0.5))
    [step] = ask(client, logprobs=True, top_logprobs=2).choices[0].logprobs.content  # type: ignore[attr-defined]
    assert step.token == "yes"
    assert [round(2.718281828**top.logprob, 3) for top in step.top_logprobs] == [0.5, 0.25]


def test_scripted_replies_are_used_in_order_before_the_default(server: FakeOpenAI, client: openai.OpenAI) -> None:
    server.script(status(429, retry_after=7), ok("scripted"))
    with pytest.raises(openai.RateLimitError) as caught:
        ask(client)
    assert caught.value.response.headers["retry-after"] == "7"
    texts = [ask(client).choices[0].message.content for _ in range(2)]  # type: ignore[attr-defined]
    assert texts == ["scripted", "one two three"]


def test_a_client_disconnect_is_noticed_during_the_answer(server: FakeOpenAI, client: openai.OpenAI) -> None:
    server.script(held(threading.Event()))
    with pytest.raises(openai.APITimeoutError):
        ask(client, timeout=0.1)
    server.wait_for(lambda fake: fake.chats[0].client_left and fake.in_flight == 0)


def test_unknown_models_and_wrong_keys_are_refused_like_openai(server: FakeOpenAI, client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="large", messages=HELLO)  # type: ignore[arg-type]
    server.api_key = "another"
    with pytest.raises(openai.AuthenticationError):
        ask(client)
    assert [card.id for card in client.models.list().data] == ["small"]


def test_a_stopped_server_refuses_connections(client: openai.OpenAI, server: FakeOpenAI) -> None:
    assert ask(client)
    with FakeOpenAI() as short_lived:
        url = short_lived.base_url
    with openai.OpenAI(base_url=url, api_key="key", max_retries=0) as late, pytest.raises(openai.APIConnectionError):
        late.chat.completions.create(model="small", messages=HELLO)  # type: ignore[arg-type]
