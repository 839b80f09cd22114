"""Tokens, costs, times and ids as bug reports show them: whose convention counts what, and which rows are one."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import reported
from tests.fakes.reported import ASK, CLAUDE, END, START, TIME, TOPIC, Case, chat, jsonl
from tests.unit.pipeline.ingest.test_reported_gateways import litellm
from tests.unit.pipeline.ingest.test_reported_spans import COUNTS, MODEL, OLD, otlp, span
from tests.unit.pipeline.ingest.test_reported_tracers import generation

pytestmark = pytest.mark.slow

SAID = {
    "gen_ai.input.messages": json.dumps(ASK),
    "gen_ai.output.messages": json.dumps([{"role": "assistant", "content": "billing", "finish_reason": "stop"}]),
}
FIRST, SECOND = "b" * 16, "c" * 16


def pair(response: Any, **more: Any) -> dict[str, Any]:
    return {"id": "r1", "request": {"model": "gpt-4o-mini", "messages": ASK}, "response": response} | {
        "timestamp": TIME,
        "provider": "openai",
        **more,
    }


def counted(*tokens: int, **facts: Any) -> list[dict[str, Any]]:
    return [TOPIC | {"tokens": tokens} | facts]


def usage(**counts: Any) -> bytes:
    return jsonl(pair(chat(usage=counts)))


CASES = [
    Case(
        "langfuse-input-with-the-cached-tokens-inside",
        jsonl(
            generation(
                {"role": "assistant", "content": "billing"},
                usageDetails={"input": 121, "cache_read_input_tokens": 100, "output": 3, "total": 124},
            )
        ),
        counted(21, 100, 0, 3),
    ),
    Case(
        "langfuse-input-without-the-cached-tokens",
        jsonl(
            generation(
                {"role": "assistant", "content": "billing"},
                usageDetails={"input": 21, "input_cached_tokens": 100, "output": 3, "total": 124},
            )
        ),
        counted(21, 100, 0, 3),
    ),
    Case(
        "langfuse-reasoning-apart-from-the-output",
        jsonl(
            generation(
                {"role": "assistant", "content": "billing"},
                usageDetails={"input": 21, "output": 3, "output_reasoning_tokens": 40, "total": 64},
            )
        ),
        counted(21, 0, 0, 43),
    ),
    Case(
        "langfuse-costs-of-the-export",
        jsonl(
            generation(
                {"role": "assistant", "content": "billing"},
                usageDetails={"input": 21, "output": 3, "total": 24},
                costDetails={"input": 0.0004, "output": 0.0006, "total": "0.001"},
            )
        ),
        counted(21, 0, 0, 3, cost_usd=0.001),
    ),
    Case(
        "otel-cached-tokens-of-the-present-name",
        otlp(
            span(
                {
                    **MODEL,
                    **SAID,
                    "gen_ai.usage.input_tokens": 121,
                    "gen_ai.usage.output_tokens": 3,
                    "gen_ai.usage.cache_read.input_tokens": 100,
                }
            )
        ),
        counted(21, 100, 0, 3),
    ),
    Case(
        "otel-names-of-pydantic",
        otlp(
            span(
                {
                    **MODEL,
                    **SAID,
                    "gen_ai.usage.input_tokens": 130,
                    "gen_ai.usage.output_tokens": 3,
                    "gen_ai.usage.details.cache_read_tokens": 100,
                    "gen_ai.usage.details.cache_write_tokens": 9,
                }
            )
        ),
        counted(21, 100, 9, 3),
    ),
    Case(
        "otel-of-bedrock-whose-input-leaves-the-cached-tokens-out",
        otlp(
            span(
                {
                    **MODEL,
                    **SAID,
                    "gen_ai.provider.name": "aws.bedrock",
                    "gen_ai.usage.input_tokens": 21,
                    "gen_ai.usage.output_tokens": 3,
                    "gen_ai.usage.cache_read_input_tokens": 100,
                }
            )
        ),
        counted(21, 100, 0, 3),
    ),
    Case(
        "vercel-cached-tokens",
        otlp(
            span(
                {
                    "ai.operationId": "ai.generateText.doGenerate",
                    "gen_ai.system": "openai.chat",
                    "gen_ai.request.model": "gpt-4o-mini",
                    "ai.prompt.messages": json.dumps(ASK),
                    "ai.response.text": "billing",
                    "ai.response.finishReason": "stop",
                    "ai.usage.inputTokens": 121,
                    "ai.usage.outputTokens": 3,
                    "ai.usage.cachedInputTokens": 100,
                    "ai.usage.reasoningTokens": 0,
                    "gen_ai.usage.input_tokens": 121,
                    "gen_ai.usage.output_tokens": 3,
                }
            )
        ),
        counted(21, 100, 0, 3),
    ),
    Case(
        "a-client-around-a-client",
        otlp(
            span({**OLD, **COUNTS, **SAID}, name="ChatOpenAI.chat", spanId=FIRST),
            span({**OLD, **COUNTS, **SAID}, name="openai.chat", spanId=SECOND, parentSpanId=FIRST),
        ),
        counted(21, 0, 0, 3, id=f"{'a' * 32}-{SECOND}"),
        counts={"passed_over": {"chat span around others": 1}},
    ),
    Case(
        "a-client-around-a-client-through-a-request",
        otlp(
            span({**OLD, **COUNTS, **SAID}, name="ChatOpenAI.chat", spanId=FIRST),
            span({"http.method": "POST"}, name="POST", spanId="d" * 16, parentSpanId=FIRST),
            span({**OLD, **COUNTS, **SAID}, name="openai.chat", spanId=SECOND, parentSpanId="d" * 16),
        ),
        counted(21, 0, 0, 3, id=f"{'a' * 32}-{SECOND}"),
        counts={"passed_over": {"chat span around others": 1}},
    ),
    Case(
        "the-same-span-from-two-exporters",
        otlp(span({**MODEL, **SAID, **COUNTS})) + otlp(span({**MODEL, **SAID, **COUNTS}, traceState="x")),
        counted(21, 0, 0, 3),
    ),
    Case(
        "metrics-between-the-spans",
        otlp(span({**MODEL, **SAID, **COUNTS})) + jsonl({"resourceMetrics": [{"scopeMetrics": []}]}),
        counted(21, 0, 0, 3),
    ),
    Case(
        "converse-counts-of-a-cached-prompt",
        jsonl(
            pair(
                {
                    "output": {"message": {"role": "assistant", "content": [{"text": "billing"}]}},
                    "stopReason": "end_turn",
                    "usage": {
                        "inputTokens": 21,
                        "outputTokens": 3,
                        "totalTokens": 133,
                        "cacheReadInputTokens": 100,
                        "cacheWriteInputTokens": 9,
                    },
                }
            )
        ),
        counted(21, 100, 9, 3),
    ),
    Case(
        "claude-stream-whose-last-event-has-no-input",
        jsonl(
            pair(
                [
                    {
                        "type": "message_start",
                        "message": {
                            "id": "m",
                            "type": "message",
                            "role": "assistant",
                            "model": "claude-haiku-4-5",
                            "content": [],
                            "usage": {"input_tokens": 21, "cache_read_input_tokens": 100, "output_tokens": 1},
                        },
                    },
                    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
                    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "billing"}},
                    {"type": "content_block_stop", "index": 0},
                    {
                        "type": "message_delta",
                        "delta": {"stop_reason": "end_turn"},
                        "usage": {"input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 3},
                    },
                    {"type": "message_stop"},
                ]
            )
        ),
        counted(21, 100, 0, 3),
    ),
    Case(
        "vllm-stream-that-counts-in-every-chunk",
        jsonl(
            pair(
                [
                    {
                        "id": "c",
                        "choices": [{"index": 0, "delta": {"content": "bil"}}],
                        "usage": {"prompt_tokens": 21, "completion_tokens": 1, "total_tokens": 22},
                    },
                    {
                        "id": "c",
                        "choices": [{"index": 0, "delta": {"content": "ling"}, "finish_reason": "stop"}],
                        "usage": {"prompt_tokens": 21, "completion_tokens": 3, "total_tokens": 24},
                    },
                ]
            )
        ),
        counted(21, 0, 0, 3),
    ),
    Case(
        "gemini-thoughts-beside-the-answer",
        jsonl(
            pair(
                {
                    "candidates": [
                        {"content": {"role": "model", "parts": [{"text": "billing"}]}, "finishReason": "STOP"}
                    ],
                    "usageMetadata": {
                        "promptTokenCount": 121,
                        "cachedContentTokenCount": 100,
                        "candidatesTokenCount": 3,
                        "thoughtsTokenCount": 40,
                        "totalTokenCount": 164,
                    },
                }
            )
        ),
        counted(21, 100, 0, 43),
    ),
    Case("only-a-total", usage(total_tokens=24), [TOPIC | {"tokens": None}]),
    Case(
        "deepseek-hits-and-misses",
        usage(prompt_tokens=121, completion_tokens=3, prompt_cache_hit_tokens=100, prompt_cache_miss_tokens=21),
        counted(21, 100, 0, 3),
    ),
    Case("counts-as-text-with-commas", usage(prompt_tokens="1,021", completion_tokens="3"), [TOPIC]),
    Case(
        "a-cost-in-the-local-spelling",
        jsonl(litellm(chat(), response_cost="0,001")),
        [TOPIC | {"logged": False}],
        counts={"nulled": {"response_cost": 1}},
    ),
    Case(
        "a-cost-in-scientific-notation",
        jsonl(litellm(chat(), response_cost="1.5e-05")),
        [TOPIC | {"cost_usd": 1.5e-05}],
    ),
    Case(
        "portkey-in-another-currency",
        jsonl(
            {
                "id": "p1",
                "created_at": TIME,
                "ai_org": "openai",
                "ai_model": "gpt-4o-mini",
                "request": {"messages": ASK},
                "response": chat(),
                "response_status_code": 200,
                "cost": 5.0,
                "cost_currency": "EUR",
                "req_units": 21,
                "res_units": 3,
            }
        ),
        [TOPIC | {"logged": False}],
        counts={"unknown_values": {"cost_currency=EUR": 1}},
    ),
    Case(
        "openai-batches-cost-half",
        jsonl(
            {
                "id": "b1",
                "custom_id": "q1",
                "error": None,
                "response": {
                    "status_code": 200,
                    "body": chat(
                        created=1791192600,
                        model="gpt-4o-2024-08-06",
                        usage={"prompt_tokens": 1_000_000, "completion_tokens": 0, "total_tokens": 1_000_000},
                    ),
                },
            },
        ),
        [{"text": "billing", "cost_usd": pytest.approx(1.25)}],
    ),
    Case(
        "claude-batches-cost-half",
        jsonl(
            {
                "custom_id": "q1",
                "result": {
                    "type": "succeeded",
                    "message": CLAUDE | {"id": "m", "usage": {"input_tokens": 1_000_000, "output_tokens": 0}},
                },
            },
        ),
        [{"text": "billing", "cost_usd": pytest.approx(0.5)}],
    ),
    Case(
        "half-price-at-leisure",
        jsonl(
            pair(
                chat(
                    service_tier="flex",
                    model="gpt-5-2025-08-07",
                    usage={"prompt_tokens": 1_000_000, "completion_tokens": 0, "total_tokens": 1_000_000},
                ),
                request={"model": "gpt-5", "messages": ASK, "service_tier": "flex"},
            )
        ),
        [TOPIC | {"cost_usd": pytest.approx(0.625)}],
    ),
    Case(
        "ids-that-are-placeholders",
        jsonl(
            *(
                pair(chat(text), id=name, timestamp=f"2026-10-05T09:3{n}:00Z")
                for n, (name, text) in enumerate((("undefined", "billing"), ("N/A", "other"), ("-", "billing")))
            )
        ),
        [{"text": "billing"}, {"text": "other"}, {"text": "billing"}],
        counts={},
    ),
    Case(
        "ids-beyond-64-bits",
        jsonl(pair(chat(), id=123456789012345678901234567890)),
        [TOPIC | {"id": "123456789012345678901234567890"}],
    ),
    Case(
        "one-generation-in-two-exports-of-other-precision",
        {
            "a.jsonl": jsonl(
                generation({"role": "assistant", "content": "billing"}, startTime="2026-10-05T09:30:00.123Z")
            ),
            "b.jsonl": jsonl(
                generation({"role": "assistant", "content": "billing"}, startTime="2026-10-05T09:30:00.123987Z")
            ),
        },
        [TOPIC],
    ),
    Case(
        "times-of-java-and-of-mail",
        jsonl(
            pair(chat(), id="a", timestamp="2026-10-05T09:30:00Z[UTC]"),
            pair(chat(), id="b", timestamp="2026-10-05T11:30:00+0200"),
            pair(chat(), id="c", timestamp="Mon, 05 Oct 2026 09:30:00 GMT"),
            pair(chat(), id="d", timestamp="2026-10-05 09:30:00.123456789"),
        ),
        [TOPIC] * 4,
    ),
    Case(
        "a-date-that-may-be-two",
        jsonl(pair(chat(), id="a", timestamp="10/05/2026 09:30"), pair(chat(), id="b")),
        [TOPIC],
        rejected=1,
        counts={"reasons": {"wrong_types": 1}},
    ),
    Case(
        "clocks-of-other-ages",
        jsonl(
            pair(chat(), id="a", timestamp="1970-01-01T00:00:00Z"),
            pair(chat(), id="b", timestamp="2206-01-01"),
            pair(chat(), id="c"),
        ),
        [TOPIC],
        rejected=2,
    ),
    Case(
        "a-span-that-never-ended",
        otlp(span({**MODEL, **SAID, **COUNTS}, endTimeUnixNano="0")),
        counted(21, 0, 0, 3, latency_ms=None),
    ),
    Case(
        "a-clock-that-went-backwards",
        otlp(span({**MODEL, **SAID, **COUNTS}, startTimeUnixNano=str(END), endTimeUnixNano=str(START))),
        counted(21, 0, 0, 3, latency_ms=None),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_log_is_read_as_reported(case: Case, tmp_path: Path) -> None:
    reported.run(case, tmp_path)
