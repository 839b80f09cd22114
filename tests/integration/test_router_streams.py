"""Streaming through the router."""

import threading
from pathlib import Path

import openai
import pytest

from tests.fakes import openai_server as fake
from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.router import (
    ADAPTER,
    RunningRouter,
    Setting,
    deploy,
    deployment,
    endpoint,
    only,
    routing,
    streamed,
    write_adapter,
)
from traffic.artifacts import Home
from traffic.callsites import Checks


def test_a_checked_answer_is_streamed_after_its_checks(setting: Setting) -> None:
    router = setting.start()
    text, chunks, headers = streamed(router, stream_options={"include_usage": True})
    assert (text, headers["x-fasttier-tier"]) == ("refund", "1")
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices][-1] == "stop"
    assert chunks[-1].usage.completion_tokens == 1
    assert "stream" not in setting.own.chats[0].body
    record = only(router.log)
    assert (record.params.stream, record.output.text) == (True, "refund")


def test_an_unchecked_answer_is_streamed_directly(tmp_path: Path) -> None:
    home = Home(tmp_path)
    write_adapter(home, ADAPTER, checks=Checks())
    with FakeOpenAI(answer=lambda body: "one two three") as own:
        deploy(home, deployment(ADAPTER, own.base_url))
        with RunningRouter(routing([endpoint("standard", "http://127.0.0.1:9/v1")]), home) as router:
            text, chunks, _ = streamed(router)
            assert text == "one two three"
            assert len(chunks) == 5
            assert all(choice.logprobs is None for chunk in chunks for choice in chunk.choices)
            record = only(router.log)
    assert record.confidence == pytest.approx(0.97)
    assert record.ttft_ms is not None
    assert record.usage is not None
    assert record.usage.output == 3


def test_a_hosted_stream_passes_through_with_its_usage_only_if_asked_for(setting: Setting) -> None:
    router = setting.start()
    messages = [{"role": "user", "content": "Write to the client about the delivery."}]
    text, chunks, _ = streamed(router, messages=messages)
    assert text == "delivery"
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)
    _, chunks, _ = streamed(router, messages=messages, stream_options={"include_usage": True})
    assert chunks[-1].usage.completion_tokens == 1
    assert all(record.usage is not None and record.cost_usd for record in router.log)


def test_a_stream_that_breaks_before_its_first_token_is_answered_by_another_endpoint(setting: Setting) -> None:
    router = setting.start()
    setting.hosted.script(fake.cut(0))
    text, _, headers = streamed(router, messages=[{"role": "user", "content": "Write about the refund."}])
    assert (text, headers["x-fasttier-endpoint"], headers["x-fasttier-attempts"]) == ("refund", "spare", "2")
    first, second = router.log
    assert first.error
    assert (first.output.finish_reason, second.purpose, second.parent_id) == (None, "retry", first.id)


def test_a_stream_without_a_first_token_is_answered_by_another_endpoint(setting: Setting) -> None:
    setting.hosted.script(fake.held(threading.Event()))
    impatient = endpoint("standard", setting.hosted.base_url, first_token_timeout_s=0.2)
    router = setting.start(endpoints=[impatient, endpoint("spare", setting.spare.base_url)])
    text, _, _ = streamed(router, messages=[{"role": "user", "content": "Write about the refund."}])
    assert text == "refund"
    assert [record.error for record in router.log] == ["timeout: no first token within 0.2 s", None]


def test_a_later_interruption_is_an_error_for_the_client_and_in_the_log(setting: Setting) -> None:
    router = setting.start()
    setting.hosted.script(fake.cut(2, "one two three four"))
    with pytest.raises(openai.APIError, match="connection"):
        streamed(router, messages=[{"role": "user", "content": "Write."}])
    record = only(router.log)
    assert (record.status, record.output.text, record.output.finish_reason) == (200, "one two", None)
    assert record.error


def test_a_stream_with_done_but_no_finish_reason_is_complete(setting: Setting) -> None:
    router = setting.start()
    setting.hosted.script(fake.ok("one", finish_reason=None))
    streamed(router, messages=[{"role": "user", "content": "Write."}])
    record = only(router.log)
    assert (record.error, record.output.text, record.output.finish_reason) == (None, "one", None)
