"""Logs of tracers (Langfuse, OpenTelemetry, MLflow) as bug reports show them."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import reported
from tests.fakes.reported import ASK, TIME, Case, chat, jsonl

pytestmark = pytest.mark.slow

TOPIC = {"asked": "I was charged twice", "system": "Name the topic.", "text": "billing"}
START, END = 1791192600000000000, 1791192601500000000


def generation(output: Any, **more: Any) -> dict[str, Any]:
    row = {"id": "o1", "traceId": "t1", "type": "GENERATION", "name": "topic", "input": ASK, "output": output}
    times = {"startTime": "2026-10-05T09:30:00.000Z", "endTime": "2026-10-05T09:30:01.500Z"}
    return row | times | {"model": "gpt-4o-mini", "level": "DEFAULT"} | more


def typed(value: Any) -> dict[str, Any]:
    """A value as OTLP/JSON writes it."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [typed(item) for item in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": [{"key": key, "value": typed(item)} for key, item in value.items()]}}
    return {"stringValue": value}


def listed(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": typed(value)} for key, value in attributes.items()]


def span(attributes: dict[str, Any], **more: Any) -> dict[str, Any]:
    ids = {"traceId": "a" * 32, "spanId": "b" * 16, "startTimeUnixNano": str(START), "endTimeUnixNano": str(END)}
    return ids | {"name": "chat gpt-4o-mini", "attributes": listed(attributes)} | more


def otlp(*spans: dict[str, Any]) -> bytes:
    return jsonl({"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [{"spans": list(spans)}]}]})


MODEL = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o-mini", "gen_ai.provider.name": "openai"}
OLD = {"gen_ai.system": "OpenAI", "gen_ai.request.model": "gpt-4o-mini", "llm.request.type": "chat"}
COUNTS = {"gen_ai.usage.input_tokens": 21, "gen_ai.usage.output_tokens": 3}
LC_ASK = [
    {
        "lc": 1,
        "type": "constructor",
        "id": ["langchain", "schema", "messages", "SystemMessage"],
        "kwargs": {"content": "Name the topic.", "type": "system"},
    },
    {
        "lc": 1,
        "type": "constructor",
        "id": ["langchain", "schema", "messages", "HumanMessage"],
        "kwargs": {"content": "I was charged twice", "type": "human"},
    },
]
LC_ANSWER = {
    "lc": 1,
    "type": "constructor",
    "id": ["langchain", "schema", "messages", "AIMessage"],
    "kwargs": {
        "content": "billing",
        "type": "ai",
        "response_metadata": {"finish_reason": "stop"},
        "usage_metadata": {"input_tokens": 21, "output_tokens": 3, "total_tokens": 24},
    },
}


def mlflow(inputs: Any, outputs: Any, **more: Any) -> dict[str, Any]:
    attributes = {
        "mlflow.spanType": '"CHAT_MODEL"',
        "mlflow.spanInputs": json.dumps(inputs),
        "mlflow.spanOutputs": json.dumps(outputs),
    }
    times = {
        "start_time_unix_nano": START,
        "end_time_unix_nano": END,
        "status": {"code": "STATUS_CODE_OK", "message": ""},
    }
    one = {
        "trace_id": "tr1",
        "span_id": "s1",
        "parent_span_id": None,
        "name": "Completions",
        **times,
        "attributes": attributes | more,
    }
    return {"info": {"trace_id": "tr-1", "tags": {}, "trace_metadata": {}}, "data": {"spans": [one]}}


CASES = [
    Case(
        "langfuse-langchain-objects",
        jsonl(generation(LC_ANSWER, input=LC_ASK)),
        [TOPIC | {"finish_reason": "stop", "tokens": (21, 0, 0, 3)}],
    ),
    Case(
        "langfuse-langchain-generations",
        jsonl(
            generation(
                {
                    "generations": [[{"text": "billing", "message": LC_ANSWER, "type": "ChatGeneration"}]],
                    "llm_output": {"model_name": "gpt-4o-mini"},
                },
                input=[LC_ASK],
            )
        ),
        [TOPIC],
    ),
    Case(
        "langfuse-units-that-are-no-tokens",
        jsonl(generation("billing", usage={"input": 812, "output": 7, "total": 819, "unit": "CHARACTERS"})),
        [TOPIC | {"tokens": None}],
    ),
    Case(
        "langfuse-clickhouse-times-and-text-fields",
        jsonl(
            {
                "id": "o1",
                "trace_id": "t1",
                "type": "GENERATION",
                "start_time": "2026-10-05 09:30:00.000000000",
                "end_time": "2026-10-05 09:30:01.500000000",
                "input": json.dumps(ASK),
                "output": json.dumps({"role": "assistant", "content": "billing"}),
                "provided_model_name": "gpt-4o-mini",
                "usage_details": {"input": "21", "output": "3", "total": "24"},
                "cost_details": {"total": "0.002"},
                "model_parameters": '{"temperature":"0.2","max_tokens":"64"}',
                "level": "DEFAULT",
            }
        ),
        [
            TOPIC
            | {
                "ts": TIME,
                "latency_ms": 1500.0,
                "tokens": (21, 0, 0, 3),
                "cost_usd": 0.002,
                "temperature": 0.2,
                "max_tokens": 64,
            }
        ],
    ),
    Case(
        "langfuse-csv-with-json-encoded-twice",
        b"id,traceId,type,startTime,endTime,name,input,output,model,level\n"
        + 'o1,t1,GENERATION,2026-10-05T09:30:00Z,2026-10-05T09:30:01Z,topic,"{}","{}",gpt-4o-mini,DEFAULT\n'.format(
            json.dumps(json.dumps(ASK)).replace('"', '""'),
            json.dumps("bill\ning").replace('"', '""').replace("\\n", "\n"),
        ).encode(),
        [TOPIC | {"text": "bill\ning"}],
    ),
    Case(
        "langfuse-other-kinds-of-observations",
        jsonl(
            generation("billing"),
            generation("x", id="o2", type="AGENT"),
            generation("x", id="o3", type="TOOL"),
            generation([0.1], id="o4", type="EMBEDDING"),
            generation("x", id="o5", type="RETRIEVER"),
        ),
        [TOPIC],
        counts={"passed_over": {"AGENT": 1, "TOOL": 1, "EMBEDDING": 1, "RETRIEVER": 1}},
    ),
    Case(
        "langfuse-error-with-a-part-of-the-answer",
        jsonl(generation("bil", level="ERROR", statusMessage="stream closed by the client")),
        [{"failed": True}],
    ),
    Case(
        "langfuse-output-of-another-client",
        jsonl(
            generation(
                [
                    {
                        "role": "assistant",
                        "content": "billing",
                        "annotations": [],
                        "provider_specific_fields": {"refusal": None},
                    }
                ]
            )
        ),
        [TOPIC],
    ),
    Case(
        "langfuse-truncated-export-field",
        jsonl(generation("billing", input=json.dumps(ASK)[:40] + "...<truncated due to size exceeding limit>")),
        [{"text": "billing"}],
        counts={"marks": {"truncated": 1}},
    ),
    Case(
        "vercel-generate-inside-generate",
        otlp(
            span(
                {
                    "ai.operationId": "ai.generateText",
                    "ai.model.id": "gpt-4o-mini",
                    "ai.prompt": json.dumps({"messages": ASK}),
                    "ai.response.text": "billing",
                    "ai.usage.promptTokens": 21,
                },
                name="ai.generateText",
            ),
            span(
                {
                    "ai.operationId": "ai.generateText.doGenerate",
                    "ai.prompt.messages": json.dumps(
                        [ASK[0], {"role": "user", "content": [{"type": "text", "text": "I was charged twice"}]}]
                    ),
                    "ai.response.text": "billing",
                    "ai.response.finishReason": "stop",
                    "gen_ai.system": "openai",
                    "gen_ai.request.model": "gpt-4o-mini",
                    **COUNTS,
                },
                name="ai.generateText.doGenerate",
                spanId="c" * 16,
            ),
        ),
        [TOPIC | {"finish_reason": "stop", "tokens": (21, 0, 0, 3)}],
    ),
    Case(
        "vercel-objects-and-tool-calls",
        otlp(
            span(
                {
                    "ai.operationId": "ai.generateObject.doGenerate",
                    "ai.prompt.messages": json.dumps(ASK),
                    "ai.response.object": '{"topic":"billing"}',
                    "gen_ai.request.model": "gpt-4o-mini",
                    **COUNTS,
                }
            ),
            span(
                {
                    "ai.operationId": "ai.streamText.doStream",
                    "ai.prompt.messages": json.dumps(ASK),
                    "ai.response.toolCalls": json.dumps(
                        [{"toolCallType": "function", "toolCallId": "c1", "toolName": "refund", "args": '{"a": 1}'}]
                    ),
                    "ai.response.finishReason": "tool-calls",
                    "ai.response.msToFirstChunk": 120.5,
                    "gen_ai.request.model": "gpt-4o-mini",
                },
                spanId="c" * 16,
                startTimeUnixNano=str(START + 1000),
            ),
        ),
        [
            {"text": '{"topic":"billing"}', "asked": "I was charged twice"},
            {"calls": [("refund", {"a": 1})], "finish_reason": "tool_calls", "ttft_ms": 120.5},
        ],
    ),
    Case(
        "logfire-events-attribute",
        otlp(
            span(
                MODEL
                | COUNTS
                | {
                    "events": json.dumps(
                        [
                            {"event.name": "gen_ai.system.message", "content": "Name the topic.", "role": "system"},
                            {"event.name": "gen_ai.user.message", "content": "I was charged twice", "role": "user"},
                            {
                                "event.name": "gen_ai.choice",
                                "index": 0,
                                "message": {"role": "assistant", "content": "billing"},
                            },
                        ]
                    )
                }
            )
        ),
        [TOPIC | {"tokens": (21, 0, 0, 3)}],
    ),
    Case(
        "openinference-contents-by-number",
        otlp(
            span(
                {
                    "openinference.span.kind": "LLM",
                    "llm.model_name": "gpt-4o-mini",
                    "llm.invocation_parameters": '{"temperature": 0.2, "max_tokens": 64}',
                    "input.value": "I was charged twice",
                    "llm.input_messages.0.message.role": "system",
                    "llm.input_messages.0.message.content": "Name the topic.",
                    "llm.input_messages.1.message.role": "user",
                    "llm.input_messages.1.message.contents.0.message_content.type": "text",
                    "llm.input_messages.1.message.contents.0.message_content.text": "I was charged twice",
                    "output.value": '{"id": "x", "unknown": true}',
                    "llm.output_messages.0.message.role": "assistant",
                    "llm.output_messages.0.message.content": "billing",
                    "llm.token_count.prompt": 21,
                    "llm.token_count.completion": 3,
                }
            )
        ),
        [TOPIC | {"tokens": (21, 0, 0, 3), "temperature": 0.2, "max_tokens": 64}],
    ),
    Case(
        "traceloop-parts-as-text",
        otlp(
            span(
                OLD
                | {
                    "gen_ai.prompt.0.role": "system",
                    "gen_ai.prompt.0.content": "Name the topic.",
                    "gen_ai.prompt.1.role": "user",
                    "gen_ai.prompt.1.content": json.dumps([{"type": "text", "text": "I was charged twice"}]),
                    "gen_ai.completion.0.role": "assistant",
                    "gen_ai.completion.0.content": "billing",
                    "gen_ai.completion.0.finish_reason": "stop",
                    "gen_ai.usage.prompt_tokens": 21,
                    "gen_ai.usage.completion_tokens": 3,
                }
            ),
            span({"traceloop.span.kind": "workflow", "traceloop.entity.name": "support"}, spanId="c" * 16),
        ),
        [TOPIC | {"finish_reason": "stop", "tokens": (21, 0, 0, 3)}],
    ),
    Case(
        "messages-as-nested-values",
        otlp(
            span(
                MODEL
                | COUNTS
                | {
                    "gen_ai.system_instructions": [{"type": "text", "content": "Name the topic."}],
                    "gen_ai.input.messages": [
                        {"role": "user", "parts": [{"type": "text", "content": "I was charged twice"}]}
                    ],
                    "gen_ai.output.messages": [
                        {
                            "role": "assistant",
                            "parts": [{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "billing"}],
                            "finish_reason": "stop",
                        }
                    ],
                }
            )
        ),
        [TOPIC | {"finish_reason": "stop", "tokens": (21, 0, 0, 3)}],
    ),
    Case(
        "content-in-log-records",
        {
            "spans": otlp(span(MODEL | COUNTS | {"gen_ai.response.finish_reasons": ["stop"]})),
            "logs": jsonl(
                {
                    "resourceLogs": [
                        {
                            "scopeLogs": [
                                {
                                    "logRecords": [
                                        {
                                            "observedTimeUnixNano": str(START + 10 + n),
                                            "traceId": "a" * 32,
                                            "spanId": "b" * 16,
                                            "eventName": name,
                                            "attributes": listed({"gen_ai.system": "openai"}),
                                            "body": typed(body),
                                        }
                                        for n, (name, body) in enumerate(
                                            [
                                                ("gen_ai.system.message", {"content": "Name the topic."}),
                                                ("gen_ai.user.message", {"content": "I was charged twice"}),
                                                (
                                                    "gen_ai.choice",
                                                    {
                                                        "index": 0,
                                                        "finish_reason": "stop",
                                                        "message": {"role": "assistant", "content": "billing"},
                                                    },
                                                ),
                                            ]
                                        )
                                    ]
                                }
                            ]
                        }
                    ]
                }
            ),
        },
        [TOPIC | {"finish_reason": "stop", "tokens": (21, 0, 0, 3)}],
    ),
    Case(
        "sentry-names",
        otlp(
            span(
                {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.request.model": "gpt-4o-mini",
                    "gen_ai.request.messages": json.dumps(ASK),
                    "gen_ai.response.text": json.dumps(["billing"]),
                    "gen_ai.usage.input_tokens": 21,
                    "gen_ai.usage.output_tokens": 3,
                }
            )
        ),
        [TOPIC],
    ),
    Case(
        "console-exporter-objects",
        (
            json.dumps(
                {
                    "name": "chat gpt-4o-mini",
                    "context": {"trace_id": "0x" + "a" * 32, "span_id": "0x" + "b" * 16, "trace_state": "[]"},
                    "kind": "SpanKind.CLIENT",
                    "start_time": "2026-10-05T09:30:00.000000Z",
                    "end_time": "2026-10-05T09:30:01.500000Z",
                    "status": {"status_code": "UNSET"},
                    "attributes": MODEL
                    | COUNTS
                    | {
                        "gen_ai.input.messages": json.dumps(ASK),
                        "gen_ai.output.messages": json.dumps([{"role": "assistant", "content": "billing"}]),
                    },
                    "events": [],
                },
                indent=4,
            )
            + "\n"
        ).encode()
        * 2,
        [TOPIC | {"ts": TIME, "latency_ms": 1500.0}],
    ),
    Case(
        "spans-of-embeddings-and-tools",
        otlp(
            span(MODEL | {"gen_ai.operation.name": "embeddings"}),
            span({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "refund"}, spanId="c" * 16),
            span({"gen_ai.operation.name": "invoke_agent", "gen_ai.request.model": "gpt-4o-mini"}, spanId="d" * 16),
            span({"http.method": "GET"}, spanId="e" * 16),
            span(
                MODEL
                | {
                    "gen_ai.input.messages": json.dumps(ASK),
                    "gen_ai.output.messages": json.dumps(
                        [{"role": "assistant", "parts": [{"type": "text", "content": "billing"}]}]
                    ),
                },
                spanId="f" * 16,
            ),
        ),
        [TOPIC],
    ),
    Case(
        "mlflow-joined-stream-as-text",
        jsonl(mlflow({"model": "gpt-4o-mini", "messages": ASK, "stream": True}, "billing")),
        [TOPIC | {"stream": True, "latency_ms": 1500.0}],
    ),
    Case(
        "mlflow-chunks",
        jsonl(
            mlflow(
                {"model": "gpt-4o-mini", "messages": ASK},
                [
                    {"id": "c", "choices": [{"index": 0, "delta": {"content": "bil"}, "finish_reason": None}]},
                    {"id": "c", "choices": [{"index": 0, "delta": {"content": "ling"}, "finish_reason": "stop"}]},
                ],
            )
        ),
        [TOPIC | {"finish_reason": "stop"}],
    ),
    Case(
        "mlflow-sentinels-of-the-client",
        jsonl(
            mlflow(
                {
                    "model": "gpt-4o-mini",
                    "messages": ASK,
                    "tools": "NOT_GIVEN",
                    "response_format": "<openai.Omit object at 0x7f0a>",
                    "temperature": "NOT_GIVEN",
                    "max_tokens": None,
                },
                chat(),
            )
        ),
        [TOPIC | {"tools": [], "response_format": None, "temperature": None}],
    ),
    Case(
        "mlflow-langchain-messages",
        jsonl(
            mlflow(
                {
                    "messages": [
                        [
                            {"content": "Name the topic.", "type": "system"},
                            {"content": "I was charged twice", "type": "human"},
                        ]
                    ]
                },
                {
                    "generations": [
                        [
                            {
                                "text": "billing",
                                "message": {
                                    "content": "billing",
                                    "type": "ai",
                                    "tool_calls": [],
                                    "response_metadata": {"finish_reason": "stop"},
                                },
                            }
                        ]
                    ]
                },
            )
        ),
        [TOPIC | {"finish_reason": "stop"}],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_log_is_read_as_reported(case: Case, tmp_path: Path) -> None:
    reported.run(case, tmp_path)
