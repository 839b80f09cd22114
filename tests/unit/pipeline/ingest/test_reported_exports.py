"""Exports of tracing products and tables of gateways as their documentation and bug reports show them."""

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.fakes import reported
from tests.fakes.reported import ASK, GEMINI, GEMINI_ASK, TIME, Case, chat, jsonl, topic

pytestmark = pytest.mark.slow


GEMINI_END = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "!"}]}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 21, "candidatesTokenCount": 3, "totalTokenCount": 24},
}


def parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def langchain(kind: str, content: str, **more: Any) -> dict[str, Any]:
    """A message as LangChain serialises it with its class."""
    return {
        "lc": 1,
        "type": "constructor",
        "id": ["langchain", "schema", "messages", kind],
        "kwargs": {"content": content, **more},
    }


CASES = [
    Case(
        "vertex-table-of-requests",
        jsonl(
            *(
                {
                    "logging_time": "2026-10-05 09:30:00 UTC",
                    "request_id": str(n),
                    "model": "gemini-2.5-flash",
                    "full_request": json.dumps(GEMINI_ASK),
                    "full_response": json.dumps(answer),
                }
                for n, answer in enumerate((GEMINI, [GEMINI | {"usageMetadata": None}, GEMINI_END]))
            )
        ),
        [
            {"asked": "I was charged twice", "text": text, "tokens": (21, 0, 0, 3), "model": "gemini-2.5-flash"}
            for text in ("billing", "billing!")
        ],
    ),
    Case(
        "langsmith-runs",
        jsonl(
            {
                "id": "6f1c2b1e-0000-4000-8000-000000000001",
                "name": "ChatOpenAI",
                "run_type": "llm",
                "start_time": "2026-10-05T09:30:00.000000",
                "end_time": "2026-10-05T09:30:01.500000",
                "status": "success",
                "error": None,
                "inputs": {"messages": ASK, "model": "gpt-4o-mini"},
                "outputs": chat(),
                "extra": {
                    "metadata": {"ls_provider": "openai", "ls_model_name": "gpt-4o-mini", "ls_model_type": "chat"},
                    "invocation_params": {"max_tokens": 9},
                },
                "trace_id": "6f1c2b1e-0000-4000-8000-0000000000aa",
                "parent_run_id": "6f1c2b1e-0000-4000-8000-0000000000aa",
                "session_id": "project-1",
                "dotted_order": "20261005T093000Z1",
                "tags": [],
            },
            {
                "id": "6f1c2b1e-0000-4000-8000-0000000000aa",
                "name": "RunnableSequence",
                "run_type": "chain",
                "start_time": "2026-10-05T09:30:00.000000",
                "end_time": "2026-10-05T09:30:02",
                "status": "success",
                "error": None,
                "inputs": {"input": "I was charged twice"},
                "outputs": {"output": "billing"},
                "extra": {},
                "trace_id": "6f1c2b1e-0000-4000-8000-0000000000aa",
                "parent_run_id": None,
                "session_id": "project-1",
                "dotted_order": "20261005T093000Z0",
            },
        ),
        [
            topic(
                id="6f1c2b1e-0000-4000-8000-000000000001",
                ts=TIME,
                latency_ms=1500.0,
                model="gpt-4o-mini",
                tokens=(21, 0, 0, 3),
                provider="openai",
                trace_id="6f1c2b1e-0000-4000-8000-0000000000aa",
            )
        ],
    ),
    Case(
        "langsmith-parquet-langchain-messages",
        parquet(
            pa.Table.from_pylist(
                [
                    {
                        "id": "r1",
                        "name": "ChatOpenAI",
                        "run_type": "llm",
                        "start_time": "2026-10-05T09:30:00Z",
                        "end_time": "2026-10-05T09:30:01.5Z",
                        "status": "success",
                        "error": None,
                        "inputs": json.dumps(
                            {
                                "messages": [
                                    [
                                        langchain("SystemMessage", "Name the topic.", type="system"),
                                        langchain("HumanMessage", "I was charged twice", type="human"),
                                    ]
                                ]
                            }
                        ),
                        "outputs": json.dumps(
                            {
                                "generations": [
                                    [
                                        {
                                            "text": "billing",
                                            "type": "ChatGeneration",
                                            "generation_info": {"finish_reason": "stop"},
                                            "message": langchain(
                                                "AIMessage",
                                                "billing",
                                                type="ai",
                                                usage_metadata={
                                                    "input_tokens": 21,
                                                    "output_tokens": 3,
                                                    "total_tokens": 24,
                                                },
                                            ),
                                        }
                                    ]
                                ],
                                "llm_output": {
                                    "model_name": "gpt-4o-mini",
                                    "token_usage": {"prompt_tokens": 21, "completion_tokens": 3},
                                },
                                "run": None,
                            }
                        ),
                        "extra": json.dumps(
                            {
                                "invocation_params": {"model": "gpt-4o-mini", "_type": "openai-chat"},
                                "metadata": {"ls_model_name": "gpt-4o-mini"},
                            }
                        ),
                        "trace_id": "t1",
                        "parent_run_id": None,
                        "session_id": "p1",
                        "dotted_order": "x",
                        "total_tokens": 24,
                        "prompt_tokens": 21,
                        "completion_tokens": 3,
                        "total_cost": 0.0001,
                    }
                ]
            )
        ),
        [topic(id="r1", ts=TIME, model="gpt-4o-mini", tokens=(21, 0, 0, 3), finish_reason="stop", cost_usd=0.0001)],
    ),
    Case(
        "langsmith-run-that-failed",
        jsonl(
            {
                "id": "r2",
                "name": "ChatOpenAI",
                "run_type": "llm",
                "start_time": "2026-10-05T09:30:00",
                "end_time": "2026-10-05T09:30:01",
                "status": "error",
                "error": "RateLimitError('429')Traceback ...",
                "inputs": {"messages": ASK},
                "outputs": None,
                "extra": {"invocation_params": {"model": "gpt-4o-mini"}},
                "trace_id": "t",
                "dotted_order": "x",
                "session_id": "p",
            }
        ),
        [{"id": "r2", "failed": True, "text": None, "asked": "I was charged twice", "model": "gpt-4o-mini"}],
    ),
    Case(
        "portkey-export-flat",
        jsonl(
            {
                "id": "pk-1",
                "trace_id": "tr-1",
                "created_at": "2026-10-05T09:30:00.000Z",
                "request.body": json.dumps({"model": "gpt-4o-mini", "messages": ASK}),
                "response.body": json.dumps(chat()),
                "is_success": 1,
                "ai_org": "openai",
                "ai_model": "gpt-4o-mini",
                "req_units": 21,
                "res_units": 3,
                "total_units": 24,
                "cost": 0.0123,
                "cost_currency": "USD",
                "request_url": "https://api.openai.com/v1/chat/completions",
                "request_method": "POST",
                "response_status_code": 200,
                "response_time": 1500,
                "cache_status": "DISABLED",
            }
        ),
        [
            topic(
                id="pk-1",
                ts=TIME,
                provider="openai",
                latency_ms=1500.0,
                tokens=(21, 0, 0, 3),
                cost_usd=0.000123,
                trace_id="tr-1",
            )
        ],
    ),
    Case(
        "portkey-export-nested",
        jsonl(
            {
                "id": "pk-2",
                "created_at": "2026-10-05T09:30:00.000Z",
                "request": {
                    "url": "https://api.openai.com/v1/chat/completions",
                    "method": "POST",
                    "headers": {},
                    "body": {"model": "gpt-4o-mini", "messages": ASK},
                },
                "response": {
                    "status": 429,
                    "headers": {},
                    "body": {"error": {"message": "Rate limit reached", "type": "requests"}},
                    "responseTime": 300,
                },
                "ai_org": "openai",
                "ai_model": "gpt-4o-mini",
                "cost": 0,
                "cost_currency": "USD",
                "response_status_code": 429,
                "response_time": 300,
                "metadata": {"_user": "u1"},
                "mode": "single",
            }
        ),
        [{"id": "pk-2", "status": 429, "text": None, "latency_ms": 300.0, "asked": "I was charged twice"}],
    ),
    Case(
        "phoenix-data-frame",
        jsonl(
            {
                "name": "ChatCompletion",
                "span_kind": "LLM",
                "parent_id": None,
                "start_time": "2026-10-05T09:30:00+00:00",
                "end_time": "2026-10-05T09:30:01.500000+00:00",
                "status_code": "OK",
                "status_message": "",
                "events": [],
                "context.span_id": "b1",
                "context.trace_id": "t1",
                "attributes.llm.model_name": "gpt-4o-mini",
                "attributes.llm.input_messages": [
                    {"message.role": "system", "message.content": "Name the topic."},
                    {"message.role": "user", "message.content": "I was charged twice"},
                ],
                "attributes.llm.output_messages": [{"message.role": "assistant", "message.content": "billing"}],
                "attributes.llm.token_count.prompt": 21,
                "attributes.llm.token_count.completion": 3,
                "attributes.openinference.span.kind": "LLM",
            },
            {
                "name": "retrieve",
                "span_kind": "RETRIEVER",
                "parent_id": None,
                "start_time": "2026-10-05T09:30:00+00:00",
                "end_time": "2026-10-05T09:30:01+00:00",
                "status_code": "OK",
                "context.span_id": "b2",
                "context.trace_id": "t1",
                "attributes.input.value": "q",
                "attributes.openinference.span.kind": "RETRIEVER",
            },
        ),
        [topic(ts=TIME, latency_ms=1500.0, model="gpt-4o-mini", tokens=(21, 0, 0, 3))],
    ),
    Case(
        "phoenix-nested-attributes",
        jsonl(
            {
                "name": "ChatCompletion",
                "context": {"trace_id": "t1", "span_id": "b1"},
                "span_kind": "LLM",
                "start_time": "2026-10-05T09:30:00+00:00",
                "end_time": "2026-10-05T09:30:01.500000+00:00",
                "status_code": "OK",
                "attributes": {
                    "openinference": {"span": {"kind": "LLM"}},
                    "llm": {
                        "model_name": "gpt-4o-mini",
                        "input_messages": [
                            {"message": {"role": "system", "content": "Name the topic."}},
                            {"message": {"role": "user", "content": "I was charged twice"}},
                        ],
                        "output_messages": [{"message": {"role": "assistant", "content": "billing"}}],
                        "token_count": {"prompt": 21, "completion": 3},
                    },
                },
            }
        ),
        [topic(ts=TIME, model="gpt-4o-mini", tokens=(21, 0, 0, 3))],
    ),
    Case(
        "otel-in-elasticsearch-hits",
        json.dumps(
            {
                "took": 3,
                "hits": {
                    "total": {"value": 1},
                    "hits": [
                        {
                            "_index": "traces-generic.otel-default",
                            "_id": "e1",
                            "_source": {
                                "@timestamp": "2026-10-05T09:30:00.000Z",
                                "trace_id": "a" * 32,
                                "span_id": "b" * 16,
                                "name": "chat",
                                "duration": 1500000000,
                                "attributes": {
                                    "gen_ai.operation.name": "chat",
                                    "gen_ai.provider.name": "openai",
                                    "gen_ai.request.model": "gpt-4o-mini",
                                    "gen_ai.input.messages": json.dumps(ASK),
                                    "gen_ai.output.messages": json.dumps([{"role": "assistant", "content": "billing"}]),
                                    "gen_ai.usage.input_tokens": 21,
                                    "gen_ai.usage.output_tokens": 3,
                                },
                                "status": {"code": "Ok"},
                            },
                        }
                    ],
                },
            },
            indent=1,
        ).encode(),
        [topic(ts=TIME, latency_ms=1500.0, tokens=(21, 0, 0, 3))],
    ),
    Case(
        "elasticsearch-hits-with-dotted-fields",
        jsonl(
            {
                "_index": "llm",
                "_id": "e2",
                "_source": {
                    "@timestamp": "2026-10-05T09:30:00Z",
                    "llm.request": {"model": "gpt-4o-mini", "messages": ASK},
                    "llm.response": chat(),
                    "service.name": "api",
                },
            }
        ),
        [topic(ts=TIME, tokens=(21, 0, 0, 3))],
    ),
    Case(
        "langfuse-parquet-maps",
        parquet(
            pa.table(
                {
                    "id": ["g1"],
                    "trace_id": ["t1"],
                    "type": ["GENERATION"],
                    "start_time": ["2026-10-05T09:30:00.000Z"],
                    "end_time": ["2026-10-05T09:30:01.500Z"],
                    "name": ["topic"],
                    "level": ["DEFAULT"],
                    "status_message": [None],
                    "input": [json.dumps(ASK)],
                    "output": [json.dumps({"role": "assistant", "content": "billing"})],
                    "provided_model_name": ["gpt-4o-mini"],
                    "usage_details": pa.array(
                        [[("input", 21), ("input_cached_tokens", 100), ("output", 3)]], pa.map_(pa.string(), pa.int64())
                    ),
                    "cost_details": pa.array([[("total", 0.002)]], pa.map_(pa.string(), pa.float64())),
                    "metadata": pa.array([[("plan", "pro")]], pa.map_(pa.string(), pa.string())),
                    "total_cost": [0.002],
                }
            )
        ),
        [topic(id="g1", ts=TIME, tokens=(21, 100, 0, 3), cost_usd=0.002, latency_ms=1500.0, call_site="topic")],
    ),
    Case(
        "databricks-inference-table",
        parquet(
            pa.Table.from_pylist(
                [
                    {
                        "databricks_request_id": "d1",
                        "client_request_id": None,
                        "date": "2026-10-05",
                        "timestamp_ms": 1791192600000,
                        "status_code": 200,
                        "execution_time_ms": 1500,
                        "request": json.dumps({"model": "gpt-4o-mini", "messages": ASK}),
                        "response": json.dumps(chat()),
                        "sampling_fraction": 1.0,
                        "request_metadata": json.dumps({"endpoint_name": "topic"}),
                    }
                ]
            )
        ),
        [topic(id="d1", ts=TIME, latency_ms=1500.0, tokens=(21, 0, 0, 3))],
    ),
    Case(
        "azure-gateway-diagnostics",
        jsonl(
            {
                "time": "2026-10-05T09:30:00Z",
                "resourceId": "/X",
                "category": "GatewayLogs",
                "correlationId": "c1",
                "durationMs": 1500,
                "properties": {
                    "method": "POST",
                    "url": "https://x/chat/completions",
                    "responseCode": 200,
                    "backendRequestBody": json.dumps({"model": "gpt-4o-mini", "messages": ASK}),
                    "backendResponseBody": json.dumps(chat()),
                },
            }
        ),
        [topic(ts=TIME, tokens=(21, 0, 0, 3))],
    ),
    Case(
        "kong-payloads",
        jsonl(
            {
                "started_at": 1791192600000,
                "request": {"method": "POST", "uri": "/chat", "headers": {}},
                "response": {"status": 200, "headers": {}},
                "latencies": {"request": 1500},
                "ai": {
                    "proxy": {
                        "meta": {"provider_name": "openai", "request_model": "gpt-4o-mini"},
                        "usage": {"prompt_tokens": 21, "completion_tokens": 3},
                        "payload": {
                            "request": json.dumps({"model": "gpt-4o-mini", "messages": ASK}),
                            "response": json.dumps(chat()),
                        },
                    }
                },
            }
        ),
        [topic(ts=TIME, tokens=(21, 0, 0, 3))],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_documented_rows_are_read_into_the_expected_records(case: Case, tmp_path: Path) -> None:
    reported.run(case, tmp_path)
