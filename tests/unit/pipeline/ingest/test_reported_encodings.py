"""Bodies, counts and typed values of databases, servers and tracers as documentation and bug reports show them."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.fakes import reported
from tests.fakes.reported import ASK, END, START, TIME, TOPIC, Case, chat, jsonl
from tests.unit.pipeline.ingest.test_reported_exports import parquet

pytestmark = pytest.mark.slow

READ = TOPIC | {"ts": TIME, "tokens": (21, 0, 0, 3)}


def pair(response: Any, **more: Any) -> dict[str, Any]:
    return {"request": {"model": "gpt-4o-mini", "messages": ASK}, "response": response, "timestamp": TIME} | more


def billed(**counts: Any) -> dict[str, Any]:
    return pair(chat(usage={"prompt_tokens": 21, "completion_tokens": 3, "total_tokens": 24} | counts))


def text_only(request: dict[str, Any], response: Any) -> dict[str, Any]:
    return {"request": request, "response": response, "timestamp": TIME}


def span(attributes: dict[str, Any], **more: Any) -> dict[str, Any]:
    times = {"startTimeUnixNano": str(START), "endTimeUnixNano": str(END)}
    return {"traceId": "t1", "spanId": "s1", "name": "chat", **times, "attributes": attributes} | more


def gen_ai(output: str, **more: Any) -> dict[str, Any]:
    asked = [{"role": m["role"], "parts": [{"type": "text", "content": m["content"]}]} for m in ASK]
    content = [{"role": "assistant", "parts": [{"type": "text", "content": output}]}]
    counts = {"gen_ai.usage.input_tokens": 21, "gen_ai.usage.output_tokens": 3}
    names = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o-mini"}
    texts = {"gen_ai.input.messages": json.dumps(asked), "gen_ai.output.messages": json.dumps(content)}
    return names | counts | texts | more


def dynamo(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"BOOL": value}
        case int() | float():
            return {"N": str(value)}
        case str():
            return {"S": value}
        case list():
            return {"L": [dynamo(item) for item in value]}
        case dict():
            return {"M": {key: dynamo(item) for key, item in value.items()}}
        case _:
            return {"NULL": True}


CALLED = "ResponseFunctionToolCall(arguments='{\"city\":\"Oslo\"}', call_id='c1', name='weather', type='function_call')"
SPEND = {
    "request_id": "r1",
    "call_type": "acompletion",
    "spend": "0.001",
    "model": "gpt-4o-mini",
    "end_user": "\\N",
    "startTime": "2026-10-05 11:30:00+02",
    "endTime": "2026-10-05 11:30:01.5+02",
    "cache_hit": "\\N",
    "messages": json.dumps(ASK),
    "response": json.dumps(chat()),
    "status": "\\N",
    "custom_llm_provider": "openai",
}


def csv_of(row: dict[str, str], delimiter: str = ",", before: str = "") -> bytes:
    cells = ['"' + cell.replace('"', '""') + '"' for cell in row.values()]
    return (before + delimiter.join(row) + "\r\n" + delimiter.join(cells) + "\r\n").encode()


CASES = [
    Case(
        "openrouter-cost",
        jsonl(billed(cost=0.00012, cost_details={"upstream_inference_cost": None})),
        [{"cost_usd": 0.00012}],
    ),
    Case(
        "openrouter-with-the-callers-own-key",
        jsonl(billed(cost=0.00001, is_byok=True, cost_details={"upstream_inference_cost": 0.0002})),
        [{"cost_usd": pytest.approx(0.00021)}],
    ),
    Case(
        "perplexity-costs-by-kind",
        jsonl(billed(cost={"request_cost": 0.005, "total_cost": 0.006})),
        [{"cost_usd": 0.006}],
    ),
    Case("a-cost-that-is-no-number", jsonl(billed(cost="free")), [READ | {"logged": False}]),
    Case(
        "watsonx-counts",
        jsonl(
            text_only(
                {"model_id": "granite", "input": "I was charged twice", "parameters": {"max_new_tokens": 9}},
                {
                    "model_id": "granite",
                    "results": [
                        {
                            "generated_text": "billing",
                            "generated_token_count": 3,
                            "input_token_count": 21,
                            "stop_reason": "eos_token",
                        }
                    ],
                },
            )
        ),
        [{"asked": "I was charged twice", "text": "billing", "tokens": (21, 0, 0, 3), "finish_reason": "stop"}],
    ),
    Case(
        "text-generation-inference",
        jsonl(
            text_only(
                {"inputs": "I was charged twice", "parameters": {"max_new_tokens": 9, "details": True}},
                [{"generated_text": "billing", "details": {"finish_reason": "eos_token", "generated_tokens": 3}}],
            )
        ),
        [{"asked": "I was charged twice", "text": "billing", "finish_reason": "stop", "max_tokens": 9}],
    ),
    Case(
        "batch-rows-that-expired",
        {
            "in": jsonl(
                *(
                    {
                        "custom_id": f"r{n}",
                        "method": "POST",
                        "url": "/v1",
                        "body": {"model": "gpt-4o-mini", "messages": ASK},
                    }
                    for n in (1, 2)
                )
            ),
            "out": jsonl(
                *(
                    {
                        "id": f"b{n}",
                        "custom_id": f"r{n}",
                        "response": response,
                        "error": {"code": "batch_expired", "message": "too late"},
                    }
                    for n, response in ((1, None), (2, {"status_code": 0, "request_id": "q", "body": None}))
                )
            ),
        },
        [{"asked": "I was charged twice", "text": None, "failed": True, "error": "batch_expired: too late"}] * 2,
    ),
    Case(
        "litellm-cached-tokens-beside-the-prompt",
        jsonl(
            {
                "id": "r1",
                "call_type": "anthropic_messages",
                "model": "claude-haiku-4-5",
                "messages": ASK,
                "startTime": START / 1e9,
                "endTime": END / 1e9,
                "status": "success",
                "response": chat(),
                "metadata": {
                    "usage_object": {
                        "prompt_tokens": 12,
                        "completion_tokens": 3,
                        "total_tokens": 15,
                        "prompt_tokens_details": {"cached_tokens": 2495, "cache_creation_tokens": 0},
                    }
                },
            }
        ),
        [TOPIC | {"tokens": (12, 2495, 0, 3)}],
    ),
    Case("otel-a-tool-call-printed-as-text", jsonl(span(gen_ai(CALLED)), span(gen_ai("billing"))), [TOPIC], rejected=1),
    Case(
        "mlflow-a-response-printed-as-text",
        jsonl(
            {
                "info": {"trace_id": "tr-1"},
                "data": {
                    "spans": [
                        {
                            "trace_id": "t",
                            "span_id": "s",
                            "parent_span_id": None,
                            "start_time_unix_nano": START,
                            "attributes": {
                                "mlflow.spanType": '"CHAT_MODEL"',
                                "mlflow.spanInputs": json.dumps({"model": "gpt-4o-mini", "input": ASK}),
                                "mlflow.spanOutputs": json.dumps("<AsyncAPIResponse [200 OK] type=<class 'openai.X'>>"),
                            },
                        }
                    ]
                },
            }
        ),
        rejected=1,
    ),
    Case(
        "sentry-times-and-suffixes",
        jsonl(
            {
                "trace_id": "t1",
                "span_id": "s1",
                "name": "chat",
                "start_timestamp": START / 1e9,
                "end_timestamp": END / 1e9,
                "attributes": gen_ai("billing")
                | {"gen_ai.usage.input_tokens": 121, "gen_ai.usage.input_tokens.cached": 90}
                | {"gen_ai.usage.input_tokens.cache_write": 10, "gen_ai.usage.output_tokens.reasoning": 2},
            }
        ),
        [TOPIC | {"ts": TIME, "tokens": (21, 90, 10, 3), "latency_ms": 1500.0}],
    ),
    Case(
        "ai-sdk-without-names-of-opentelemetry",
        jsonl(
            *(
                span(
                    {
                        "ai.operationId": operation,
                        "ai.model.id": "claude-haiku-4-5",
                        "ai.model.provider": "anthropic",
                        "ai.prompt.messages": json.dumps(ASK),
                        "ai.response.text": "billing",
                        "ai.usage.outputTokens": 3,
                        "ai.usage.inputTokens": 121,
                        "ai.usage.inputTokenDetails.cacheReadTokens": 90,
                        "ai.usage.inputTokenDetails.cacheWriteTokens": 10,
                    },
                    spanId=own,
                    parentSpanId=parent,
                )
                for own, parent, operation in (
                    ("a", "", "ai.generateText"),
                    ("b", "a", "ai.generateText.doGenerate"),
                    ("c", "a", "ai.toolCall"),
                    ("d", "", "ai.embed.doEmbed"),
                )
            )
        ),
        [TOPIC | {"tokens": (21, 90, 10, 3), "model": "claude-haiku-4-5", "provider": "anthropic"}],
    ),
    Case("postgres-nulls", csv_of(SPEND), [READ | {"user_id": None, "cost_usd": 0.001, "latency_ms": 1500.0}]),
    Case(
        "excel-names-its-separator",
        csv_of(
            {"timestamp": TIME, "request": json.dumps({"messages": ASK}), "response": json.dumps(chat())},
            ";",
            "\ufeffsep=;\r\n",
        ),
        [READ],
    ),
    Case(
        "mongo-typed-values",
        jsonl(
            *(
                billed(prompt_tokens={"$numberInt": "21"}, completion_tokens={"$numberLong": "3"}, total_tokens=24)
                | {"_id": {"$oid": f"64f1a2b3c4d5e6f7a8b9c0d{n}"}, "timestamp": {"$date": date}}
                | {"latency_ms": {"$numberDouble": "400.5"}}
                for n, date in enumerate((TIME, {"$numberLong": str(START // 10**6)}))
            )
        ),
        [READ | {"latency_ms": 400.5}],
        counts={"nulled": {}},
    ),
    Case(
        "dynamodb-typed-values",
        jsonl({"Item": {k: dynamo(v) for k, v in pair(chat(), latency_ms=400.5).items()}}),
        [READ],
    ),
    *(
        Case(f"time-of-{name}", jsonl(pair(chat(), timestamp=moment)), [READ])
        for name, moment in (
            ("net", f"/Date({START // 10**6})/"),
            ("net-with-an-offset", f"/Date({START // 10**6}+0200)/"),
            ("firestore", {"_seconds": START // 10**9, "_nanoseconds": 0}),
            ("protobuf", {"seconds": str(START // 10**9), "nanos": 0}),
        )
    ),
    Case(
        "parquet-with-bodies-as-bytes",
        parquet(
            pa.table(
                {
                    "request": pa.array([json.dumps({"messages": ASK}).encode()], pa.binary()),
                    "response": pa.array([json.dumps(chat()).encode()], pa.large_binary()),
                    "created": pa.array(
                        [datetime.fromtimestamp(START / 1e9, UTC)], pa.timestamp("ns", "America/New_York")
                    ),
                }
            )
        ),
        [READ],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_documented_rows_are_read_into_the_expected_records(case: Case, tmp_path: Path) -> None:
    reported.run(case, tmp_path)
