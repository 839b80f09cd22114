"""LiteLLM rows: what a line becomes, and what is never guessed."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ingest.formats import FORMATS, Reading, Unreadable
from pipeline.ingest.mapping import TagMapping
from tests.fakes.logs import attempts, litellm_line
from traffic import config
from traffic.record import Usage

MAPPING = config.load(config.CONFIGS / "log_tags" / "litellm.yaml", TagMapping)
READ = FORMATS["litellm"].reader(MAPPING)
ROW: dict[str, Any] = json.loads(litellm_line(attempts(1, 3, call_sites=["helpdesk.topic"], retries=0)[0]))


def read(**changes: Any) -> Reading:
    return READ(json.dumps(ROW | changes).encode())


def usage(**counts: Any) -> dict[str, Any]:
    response = json.loads(json.dumps(ROW["response"]))
    response["usage"] = counts or None
    return response


def test_tags_come_from_the_metadata_the_caller_sent() -> None:
    tags = ROW["metadata"]["requester_metadata"]
    record = read().record
    assert (record.call_site, record.feature) == ("helpdesk.topic", "helpdesk.topic")
    assert (record.user_id, record.session_id, record.visibility) == (tags["user_id"], tags["session_id"], "human")
    assert record.cohort["language"] == "en"


def test_request_tags_are_the_fallback_for_tags() -> None:
    record = read(metadata={}, request_tags=["env:x", "feature:mail.polish", "plan:pro"]).record
    assert (record.call_site, record.cohort) == ("mail.polish", {"plan": "pro"})


def test_cached_tokens_are_taken_out_of_the_prompt_tokens() -> None:
    answer = usage(prompt_tokens=100, completion_tokens=7, prompt_tokens_details={"cached_tokens": 60})
    assert read(response=answer).record.usage == Usage(input_uncached=40, cache_read=60, output=7)


def test_cache_writes_of_anthropic_models_are_counted_once() -> None:
    answer = usage(prompt_tokens=100, completion_tokens=7, cache_read_input_tokens=50, cache_creation_input_tokens=30)
    expected = Usage(input_uncached=20, cache_read=50, cache_write=30, output=7)
    assert read(response=answer).record.usage == expected


def test_the_gateways_own_usage_object_wins() -> None:
    metadata = ROW["metadata"] | {"usage_object": {"prompt_tokens": 9, "completion_tokens": 2}}
    assert read(metadata=metadata).record.usage == Usage(input_uncached=9, output=2)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_tokens_are_neither_lost_nor_counted_twice(uncached: int, cached: int, written: int) -> None:
    prompt = uncached + cached + written
    answer = usage(prompt_tokens=prompt, completion_tokens=1, cache_read_input_tokens=cached)
    answer["usage"]["cache_creation_input_tokens"] = written
    counted = read(response=answer).record.usage
    assert counted is not None
    assert counted.input_total == prompt
    assert min(counted.input_uncached, counted.cache_read, counted.cache_write) >= 0


def test_a_stream_without_usage_has_unknown_tokens_and_unknown_cost() -> None:
    record = read(response=usage(), response_cost=0.0, prompt_tokens=0, completion_tokens=0, stream=True).record
    assert (record.usage, record.cost_usd, record.price_source) == (None, None, None)


def test_a_zero_cost_with_tokens_is_a_missing_price() -> None:
    assert read(response_cost=0.0).record.cost_usd is None


def test_an_answer_out_of_the_gateways_cache_costs_nothing() -> None:
    record = read(cache_hit=True, response_cost=0.0).record
    assert (record.cache_hit, record.cost_usd, record.price_source) == (True, 0.0, "logged")


def test_a_logged_cost_is_taken_as_it_is() -> None:
    record = read(response_cost=0.0125).record
    assert (record.cost_usd, record.price_source) == (0.0125, "logged")


def failed(code: Any) -> dict[str, Any]:
    information = {"error_code": code, "error_class": "SomeError", "error_message": "no luck"}
    return {"status": "failure", "response": None, "response_cost": 0.0, "error_information": information}


def test_a_failure_has_its_status_and_error_and_no_output() -> None:
    record = read(**failed("429")).record
    assert (record.status, record.error, record.usage) == (429, "SomeError: no luck", None)
    assert (record.output.text, record.cost_usd) == (None, 0.0)


def test_a_timeout_has_an_unknown_cost() -> None:
    assert read(**failed("408")).record.cost_usd is None


@pytest.mark.parametrize("code", ["", None, "oops", "99999"])
def test_a_failure_without_an_http_status_has_status_zero(code: Any) -> None:
    assert read(**failed(code)).record.status == 0


@pytest.mark.parametrize(
    "written",
    ["2026-03-02T10:00:00Z", "2026-03-02T12:00:00+02:00", "2026-03-02 10:00:00.000000", 1772445600.0, 1772445600000],
)
def test_times_are_utc_however_they_are_written(written: Any) -> None:
    assert read(startTime=written, endTime=None).record.ts == datetime(2026, 3, 2, 10, tzinfo=UTC)


def test_latency_and_time_to_first_token_come_from_the_times() -> None:
    times = {"startTime": 1772445600.0, "completionStartTime": 1772445600.25, "endTime": 1772445601.5}
    record = read(**times, stream=True).record
    assert record.latency_ms == pytest.approx(1500)
    assert record.ttft_ms == pytest.approx(250)
    assert read(**times, stream=False).record.ttft_ms is None


def test_parameters_tools_and_response_format_are_sorted_into_their_fields() -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    sent = {"max_completion_tokens": 9, "temperature": 0.5, "top_p": 0.1, "tools": [tool]}
    record = read(model_parameters=sent | {"response_format": {"type": "json_object"}}).record
    assert (record.params.max_tokens, record.params.temperature, record.params.other) == (9, 0.5, {"top_p": 0.1})
    assert (record.tools, record.response_format) == ([tool], {"type": "json_object"})


def test_feedback_and_read_times_are_signals() -> None:
    tags = {"feature": "x", "feedback": {"thumb": "down", "corrected": {"a": 1}, "at": "2026-03-02T10:00:00Z"}}
    reading = read(metadata={"requester_metadata": tags | {"consumed_at": None}})
    assert reading.feedback is not None
    assert (reading.feedback.thumb, reading.feedback.corrected) == ("down", '{"a":1}')
    assert reading.consumed_at is None


def test_a_log_that_tracks_no_reads_says_nothing_about_them() -> None:
    assert read().consumed_at is msgspec.UNSET


def test_other_kinds_of_call_are_refused_by_name() -> None:
    with pytest.raises(Unreadable, match="aembedding") as error:
        read(call_type="aembedding")
    assert error.value.reason == "not_chat"


def test_a_spend_logs_row_counts_even_though_it_keeps_no_messages() -> None:
    row = {
        "request_id": "chatcmpl-1", "call_type": "acompletion", "cache_hit": "None", "startTime": "2026-03-02 10:00:00",
        "endTime": "2026-03-02 10:00:01", "model": "gpt-4o", "metadata": '{"usage_object": {"prompt_tokens": 10}}',
        "spend": 0.002, "request_tags": '["feature:helpdesk.topic"]', "custom_llm_provider": "openai",
        "messages": "{}", "response": "{}", "proxy_server_request": "{}", "status": "success", "session_id": "s",
    }  # fmt: skip
    record = READ(json.dumps(row).encode()).record
    assert (record.id, record.cost_usd, record.call_site, record.session_id) == (
        "chatcmpl-1",
        0.002,
        "helpdesk.topic",
        "s",
    )
    assert bytes(record.messages) == b"[]"
    assert record.usage == Usage(input_uncached=10)


def test_a_spend_logs_row_with_stored_prompts_keeps_them() -> None:
    row = {"request_id": "r", "startTime": 1772445600.0, "messages": "{}", "response": "{}", "status": "success"}
    row["proxy_server_request"] = '{"messages": [{"role": "user", "content": "hi"}]}'
    assert bytes(READ(json.dumps(row).encode()).record.messages) == b'[{"role":"user","content":"hi"}]'


@pytest.mark.parametrize(
    "changes",
    [
        {"messages": {"role": "user"}},
        {"startTime": None},
        {"startTime": {"$date": True}},
        {"status": ["success"]},
        {"response": [1, 2]},
        {"response": {"verdict": "unknown to every API"}},
        {"response": {"choices": []}},
        {"startTime": 1e300},
    ],
)
def test_wrong_types_never_become_a_record(changes: dict[str, Any]) -> None:
    with pytest.raises((msgspec.DecodeError, ValueError)):
        read(**changes)


@pytest.mark.parametrize(
    "field,value,read_as",
    [
        ("prompt_tokens", "many", None),
        ("prompt_tokens", 10**30, None),
        ("response_cost", -0.8, None),
        ("response_cost", "0.25", 0.25),
        ("metadata", 0, None),
        ("endTime", "yesterday", None),
        ("model", {"name": "x"}, None),
    ],
)
def test_an_optional_field_that_cannot_be_read_is_null_and_noted(field: str, value: Any, read_as: Any) -> None:
    reading = read(**{field: value})
    assert (field in reading.nulled) == (read_as is None)
    if field == "response_cost":
        assert reading.record.cost_usd == read_as


def test_ids_that_are_numbers_are_text_and_placeholders_are_none() -> None:
    assert read(id=17).record.id == "17"
    assert read(id="None", request_id="null", response=None).record.id.startswith("line-")


@pytest.mark.parametrize("call_type", ["aresponses", "anthropic_messages", "text_completion", "atext_completion"])
def test_every_call_that_asks_for_text_is_read(call_type: str) -> None:
    blocks = [{"type": "text", "text": "a"}, {"type": "tool_use", "id": "t", "name": "f", "input": {"x": 1}}]
    answer = {
        "type": "message",
        "content": blocks,
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 5, "output_tokens": 2},
    }
    record = read(call_type=call_type, response=answer, prompt_tokens=0, metadata={}).record
    assert (record.output.text, record.output.finish_reason) == ("a", "tool_calls")
    assert record.output.tool_calls == [
        {"id": "t", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}
    ]
    assert record.usage == Usage(input_uncached=5, output=2)


def test_a_prompt_that_is_plain_text_is_a_message_of_the_user() -> None:
    assert json.loads(bytes(read(messages="say hi").record.messages)) == [{"role": "user", "content": "say hi"}]


def test_the_text_of_a_failure_is_its_error_and_never_an_answer() -> None:
    record = read(
        status="failure", response="litellm.Timeout: timed out", error_information=None, error_str=None
    ).record
    assert (record.status, record.error, record.output.text) == (0, "litellm.Timeout: timed out", None)
