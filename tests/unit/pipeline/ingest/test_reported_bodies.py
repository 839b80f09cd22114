"""Bodies and attributes of the current APIs and conventions as bug reports show them."""

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.fakes import reported
from tests.fakes.reported import ASK, CLAUDE, END, START, TIME, TOPIC, Case, chat, jsonl

pytestmark = pytest.mark.slow


def parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def topic(**facts: Any) -> dict[str, Any]:
    return TOPIC | facts


def attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    """OTLP's list of typed values."""
    kinds = {str: "stringValue", bool: "boolValue", int: "intValue", float: "doubleValue"}
    return [{"key": k, "value": {kinds[type(v)]: str(v) if type(v) is int else v}} for k, v in values.items()]


def span(values: dict[str, Any]) -> dict[str, Any]:
    ids = {"traceId": "a" * 32, "spanId": "b" * 16, "name": "chat", "kind": 3, "status": {}}
    times = {"startTimeUnixNano": str(START), "endTimeUnixNano": str(END)}
    item = {**ids, **times, "attributes": attributes(values)}
    return {
        "resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [{"scope": {"name": "x"}, "spans": [item]}]}]
    }


def log_record(values: dict[str, Any]) -> dict[str, Any]:
    ids = {"traceId": "a" * 32, "spanId": "b" * 16, "eventName": "gen_ai.client.inference.operation.details"}
    item = {**ids, "timeUnixNano": str(START), "attributes": attributes(values)}
    return {
        "resourceLogs": [
            {"resource": {"attributes": []}, "scopeLogs": [{"scope": {"name": "x"}, "logRecords": [item]}]}
        ]
    }


CASES = [
    Case(
        "otel-parts-of-the-current-conventions",
        jsonl(
            span(
                {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-4o-mini",
                    "gen_ai.response.id": "chatcmpl-1",
                    "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Name the topic."}]),
                    "gen_ai.input.messages": json.dumps(
                        [{"role": "user", "parts": [{"type": "text", "content": "I was charged twice"}]}]
                    ),
                    "gen_ai.output.messages": json.dumps(
                        [
                            {
                                "role": "assistant",
                                "parts": [
                                    {"type": "reasoning", "content": "hm"},
                                    {"type": "text", "content": "billing"},
                                ],
                                "finish_reason": "stop",
                            }
                        ]
                    ),
                    "gen_ai.usage.input_tokens": 121,
                    "gen_ai.usage.cache_read.input_tokens": 100,
                    "gen_ai.usage.output_tokens": 3,
                    "gen_ai.usage.reasoning.output_tokens": 2,
                    "gen_ai.response.time_to_first_chunk": 0.25,
                    "gen_ai.request.stream": True,
                }
            )
        ),
        [topic(id="chatcmpl-1", tokens=(21, 100, 0, 3), ttft_ms=250.0, finish_reason="stop", stream=True)],
    ),
    Case(
        "otel-tool-call-round",
        jsonl(
            span(
                {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-4o-mini",
                    "gen_ai.input.messages": json.dumps(
                        [
                            {"role": "user", "parts": [{"type": "text", "content": "Weather?"}]},
                            {
                                "role": "assistant",
                                "parts": [
                                    {"type": "tool_call", "id": "c1", "name": "weather", "arguments": {"city": "Rome"}}
                                ],
                            },
                            {
                                "role": "tool",
                                "parts": [{"type": "tool_call_response", "id": "c1", "response": {"c": 21}}],
                            },
                        ]
                    ),
                    "gen_ai.output.messages": json.dumps(
                        [
                            {
                                "role": "assistant",
                                "parts": [{"type": "text", "content": "21 degrees"}],
                                "finish_reason": "stop",
                            }
                        ]
                    ),
                }
            )
        ),
        [{"roles": ["user", "assistant", "tool"], "text": "21 degrees", "asked": '{"c":21}'}],
    ),
    Case(
        "otel-details-only-as-log-records",
        jsonl(
            log_record(
                {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.request.model": "gpt-4o-mini",
                    "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Name the topic."}]),
                    "gen_ai.input.messages": json.dumps(
                        [
                            {
                                "role": "user",
                                "parts": [{"type": "text", "content": "I was charged twice"}],
                            }
                        ]
                    ),
                    "gen_ai.output.messages": json.dumps(
                        [
                            {
                                "role": "assistant",
                                "parts": [{"type": "text", "content": "billing"}],
                                "finish_reason": "stop",
                            }
                        ]
                    ),
                    "gen_ai.usage.input_tokens": 21,
                    "gen_ai.usage.output_tokens": 3,
                }
            )
        ),
        [topic(ts=TIME, tokens=(21, 0, 0, 3), model="gpt-4o-mini")],
    ),
    Case(
        "helicone-cancelled-by-the-client",
        jsonl(
            {
                "response_id": "x1",
                "request_id": "h1",
                "request_created_at": "2026-10-05T09:30:00",
                "response_created_at": "2026-10-05T09:30:01.500",
                "response_status": -3,
                "request_body": {"model": "gpt-4o-mini", "messages": ASK},
                "response_body": {},
                "model": "gpt-4o-mini",
                "prompt_tokens": None,
                "completion_tokens": None,
                "latency": 1500,
                "cost": 0,
            }
        ),
        [{"failed": True, "text": None, "asked": "I was charged twice", "latency_ms": 1500.0}],
    ),
    Case(
        "bedrock-bodies-in-other-objects",
        jsonl(
            {
                "schemaType": "ModelInvocationLog",
                "schemaVersion": "1.0",
                "timestamp": "2026-10-05T09:30:00Z",
                "accountId": "1",
                "region": "us-east-1",
                "requestId": "req1",
                "operation": "Converse",
                "modelId": "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-haiku-4-5-20251001-v1:0",
                "input": {
                    "inputContentType": "application/json",
                    "inputBodyS3Path": "s3://b/data/req1_input.json.gz",
                    "inputTokenCount": 21,
                    "cacheReadInputTokenCount": 100,
                    "cacheWriteInputTokenCount": 7,
                },
                "output": {
                    "outputContentType": "application/json",
                    "outputBodyS3Path": "s3://b/data/req1_output.json.gz",
                    "outputTokenCount": 3,
                },
            }
        ),
        None,
        rejected=1,
        counts={"reasons": {"body_elsewhere": 1}},
    ),
    Case(
        "vllm-batch-with-token-ids",
        {
            "1-output.jsonl": jsonl(
                {
                    "id": "vllm-1",
                    "custom_id": "r1",
                    "response": {
                        "status_code": 200,
                        "request_id": "vllm-batch-1",
                        "body": chat(
                            created=1791192600,
                            message={"reasoning": "hm", "tool_calls": [], "annotations": None},
                            prompt_token_ids=[1, 2],
                            kv_transfer_params=None,
                        ),
                    },
                    "error": None,
                }
            ),
            "2-input.jsonl": jsonl(
                {
                    "custom_id": "r1",
                    "method": "POST",
                    "url": "/v1/chat/completions",
                    "body": {"model": "gpt-4o-mini", "messages": ASK},
                }
            ),
        },
        [topic(tokens=(21, 0, 0, 3), ts=TIME)],
    ),
    Case(
        "responses-object-without-input",
        jsonl(
            {
                "id": "resp_1",
                "object": "response",
                "created_at": 1791192600,
                "status": "completed",
                "model": "gpt-4o-mini",
                "instructions": "Name the topic.",
                "output": [
                    {"type": "reasoning", "id": "rs_1", "summary": []},
                    {"type": "web_search_call", "id": "ws_1", "status": "completed"},
                    {
                        "type": "message",
                        "role": "assistant",
                        "content": [{"type": "output_text", "text": "billing", "annotations": []}],
                    },
                ],
                "usage": {"input_tokens": 121, "input_tokens_details": {"cached_tokens": 100}, "output_tokens": 3},
                "error": None,
                "incomplete_details": None,
            }
        ),
        [{"id": "resp_1", "text": "billing", "ts": TIME, "tokens": (21, 100, 0, 3), "calls": []}],
    ),
    Case(
        "responses-with-input-items",
        {
            "responses.jsonl": jsonl(
                {
                    "id": "resp_1",
                    "object": "response",
                    "created_at": 1791192600,
                    "status": "completed",
                    "model": "gpt-4o-mini",
                    "instructions": "Name the topic.",
                    "input": [
                        {
                            "type": "message",
                            "role": "user",
                            "content": [{"type": "input_text", "text": "I was charged twice"}],
                        }
                    ],
                    "output": [
                        {"type": "function_call", "call_id": "c1", "name": "topic", "arguments": '{"topic":"billing"}'},
                        {"type": "custom_tool_call", "call_id": "c2", "name": "sql", "input": "select 1"},
                    ],
                    "usage": {"input_tokens": 21, "output_tokens": 3},
                }
            )
        },
        [
            {
                "id": "resp_1",
                "asked": "I was charged twice",
                "system": "Name the topic.",
                "text": None,
                "finish_reason": "tool_calls",
            }
        ],
    ),
    Case(
        "anthropic-server-tools",
        jsonl(
            {
                "timestamp": TIME,
                "request": {
                    "model": "claude-haiku-4-5",
                    "max_tokens": 9,
                    "system": "Name the topic.",
                    "messages": ASK[1:],
                    "tools": [{"type": "web_search_20250305", "name": "web_search"}],
                },
                "response": {
                    "id": "msg_1",
                    "type": "message",
                    "role": "assistant",
                    "model": "claude-haiku-4-5",
                    "content": [
                        {"type": "thinking", "thinking": "hm", "signature": "x"},
                        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}},
                        {
                            "type": "web_search_tool_result",
                            "tool_use_id": "srvtoolu_1",
                            "content": [{"type": "web_search_result", "title": "t", "url": "u"}],
                        },
                        {"type": "text", "text": "bil"},
                        {"type": "text", "text": "ling", "citations": []},
                    ],
                    "stop_reason": "end_turn",
                    "usage": {"input_tokens": 21, "output_tokens": 3, "server_tool_use": {"web_search_requests": 1}},
                },
            }
        ),
        [topic(id="msg_1", calls=[], finish_reason="stop", tokens=(21, 0, 0, 3))],
    ),
    Case(
        "anthropic-new-stop-reasons",
        jsonl(
            *(
                {
                    "timestamp": TIME,
                    "request": {
                        "model": "claude-haiku-4-5",
                        "max_tokens": 9,
                        "messages": ASK[1:],
                        "system": "Name the topic.",
                    },
                    "response": CLAUDE | {"id": f"m{n}", "stop_reason": r},
                }
                for n, r in enumerate(["refusal", "model_context_window_exceeded", "stop_sequence"])
            )
        ),
        [{"finish_reason": "content_filter"}, {"finish_reason": "length"}, {"finish_reason": "stop"}],
    ),
    Case(
        "litellm-responses-prompt-only-in-the-request",
        jsonl(
            {
                "request_id": "resp_9",
                "call_type": "aresponses",
                "spend": 0.001,
                "total_tokens": 24,
                "prompt_tokens": 21,
                "completion_tokens": 3,
                "startTime": "2026-10-05 09:30:00.000",
                "endTime": "2026-10-05 09:30:01.500",
                "model": "gpt-4o-mini",
                "custom_llm_provider": "openai",
                "messages": {},
                "response": json.dumps(
                    {
                        "id": "resp_9",
                        "object": "response",
                        "output": [
                            {
                                "type": "message",
                                "role": "assistant",
                                "content": [{"type": "output_text", "text": "billing"}],
                            }
                        ],
                        "status": "completed",
                    }
                ),
                "proxy_server_request": json.dumps(
                    {"model": "gpt-4o-mini", "instructions": "Name the topic.", "input": "I was charged twice"}
                ),
                "metadata": "{}",
                "cache_hit": "False",
                "status": "success",
            }
        ),
        [topic(id="resp_9", ts=TIME, cost_usd=0.001, tokens=(21, 0, 0, 3))],
    ),
    Case(
        "litellm-empty-request-ids",
        jsonl(
            *(
                {
                    "request_id": "",
                    "call_type": "acompletion",
                    "spend": 0.001,
                    "prompt_tokens": 21,
                    "completion_tokens": 3,
                    "startTime": f"2026-10-05T09:30:0{n}Z",
                    "endTime": f"2026-10-05T09:30:0{n + 1}Z",
                    "model": "gpt-4o-mini",
                    "custom_llm_provider": "openai",
                    "messages": ASK,
                    "response": {k: v for k, v in chat().items() if k != "id"},
                    "metadata": {},
                    "cache_hit": "None",
                    "status": "success",
                }
                for n in range(3)
            )
        ),
        [topic(cache_hit=False)] * 3,
    ),
    Case(
        "litellm-realtime-and-search",
        jsonl(
            *(
                {
                    "request_id": f"x{n}",
                    "call_type": kind,
                    "spend": 0.001,
                    "prompt_tokens": 21,
                    "completion_tokens": 3,
                    "startTime": TIME,
                    "endTime": TIME,
                    "model": "gpt-4o-mini",
                    "custom_llm_provider": "openai",
                    "messages": ASK,
                    "response": {"results": []},
                    "metadata": {},
                    "status": "success",
                }
                for n, kind in enumerate(["_arealtime", "asearch", "aocr"])
            ),
            {
                "request_id": "ok",
                "call_type": "acompletion",
                "spend": 0.001,
                "prompt_tokens": 21,
                "completion_tokens": 3,
                "startTime": TIME,
                "endTime": TIME,
                "model": "gpt-4o-mini",
                "custom_llm_provider": "openai",
                "messages": ASK,
                "response": chat(),
                "metadata": {},
                "status": "success",
            },
        ),
        [topic(id="ok")],
        rejected=3,
        counts={"reasons": {"not_chat": 3}},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_documented_rows_are_read_into_the_expected_records(case: Case, tmp_path: Path) -> None:
    reported.run(case, tmp_path)
