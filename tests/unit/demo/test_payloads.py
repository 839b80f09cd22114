"""Lines in LiteLLM's log format are read by ingest."""

import datetime as dt
from typing import Any

import msgspec
import pytest

from demo import payloads, tokens
from demo.callsites import SITES, Site
from demo.mistakes import Answer
from demo.payloads import Asking
from pipeline.ingest.formats import litellm
from pipeline.ingest.mapping import TagMapping
from traffic import config
from traffic.record import Record, Usage

START = dt.datetime(2026, 11, 3, 9, 30, tzinfo=dt.UTC)
TAGS = {
    "call_site": "orders.extract",
    "feature": "Orders",
    "plan": "pro",
    "language": "de",
    "user_id": "u_1",
    "customer_id": "c_1",
    "session_id": "s_1",
    "visibility": "background",
}
ORDERS = SITES[0]
STREAMED = next(site for site in SITES if site.streams)


def asking(site: Site = ORDERS) -> Asking:
    messages = [{"role": "system", "content": "a prompt"}, {"role": "user", "content": "a question"}]
    return Asking("chatcmpl-1", site, messages, TAGS, START, 0.8)


def read(row: dict[str, Any]) -> Record:
    mapping = config.load(config.CONFIGS / "log_tags" / "litellm.yaml", TagMapping)
    return litellm.FORMAT.reader(mapping)(msgspec.json.encode(row)).record


def test_a_generated_answer_is_ingested_with_tags_tokens_and_cost() -> None:
    row = payloads.answered(asking(), Answer('{"a":1}'), None, hit=False, counted=True)
    record = read(row)
    assert (record.call_site, record.cohort) == ("orders.extract", {"plan": "pro", "language": "de"})
    assert (record.user_id, record.customer_id, record.session_id) == ("u_1", "c_1", "s_1")
    assert record.ts == START
    assert record.latency_ms == pytest.approx(800)
    prompt = tokens.of_prompt(asking().messages, None, ORDERS.response_format)
    assert record.usage == Usage(input_uncached=prompt, output=2)
    assert record.cost_usd == pytest.approx((prompt * 2.5 + 2 * 10) / 1e6)
    assert record.response_format == ORDERS.response_format


def test_a_cached_answer_costs_nothing() -> None:
    record = read(payloads.answered(asking(), Answer("{}"), None, hit=True, counted=True))
    assert (record.cache_hit, record.cost_usd) == (True, 0.0)


def test_a_stream_without_usage_has_an_unknown_cost() -> None:
    record = read(payloads.answered(asking(STREAMED), Answer("Done."), None, hit=False, counted=False))
    assert (record.usage, record.cost_usd, record.params.stream) == (None, None, True)
    assert record.ttft_ms == pytest.approx(320)


@pytest.mark.parametrize("status", [429, 500])
def test_a_failed_attempt_is_ingested_with_its_status(status: int) -> None:
    record = read(payloads.failed(asking(), status))
    assert record.status == status
    assert record.error
    assert record.output.text is None


def test_function_calls_are_ingested() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "invite", "arguments": "{}"}}
    record = read(payloads.answered(asking(SITES[-1]), Answer(""), [call], hit=False, counted=True))
    assert record.output.tool_calls == [call]
    assert (record.output.text, record.output.finish_reason) == (None, "tool_calls")
    assert record.tools == SITES[-1].tools
