"""Spans of OpenTelemetry's kinds as bug reports show them."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import reported
from tests.fakes.reported import ASK, END, GEMINI_ASK, REQUEST, START, TIME, TOPIC, Case, jsonl, topic

pytestmark = pytest.mark.slow


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


def event(name: str, attributes: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "timeUnixNano": str(START), "attributes": listed(attributes)}


def otlp(*spans: dict[str, Any]) -> bytes:
    return jsonl({"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [{"spans": list(spans)}]}]})


MODEL = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o-mini", "gen_ai.provider.name": "openai"}


LOGFIRE = {"gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o-mini"}
OLD = {"gen_ai.system": "OpenAI", "gen_ai.request.model": "gpt-4o-mini", "llm.request.type": "chat"}


COUNTS = {"gen_ai.usage.input_tokens": 21, "gen_ai.usage.output_tokens": 3}
TEXTS = {
    "gen_ai.input.messages": json.dumps(ASK),
    "gen_ai.output.messages": json.dumps([{"role": "assistant", "content": "billing"}]),
}
LATER = "2026-10-05T09:30:01.5+00:00"

LANGFUSE = {
    "langfuse.observation.type": "generation",
    "langfuse.observation.input": json.dumps(ASK),
    "langfuse.observation.output": json.dumps({"role": "assistant", "content": "billing"}),
    "langfuse.observation.model.name": "gpt-4o-mini",
    "langfuse.observation.model.parameters": json.dumps({"max_tokens": 9}),
    "langfuse.observation.usage_details": json.dumps({"input": 21, "cache_read_input_tokens": 100, "output": 3}),
    "langfuse.observation.cost_details": json.dumps({"total": 0.001}),
    "user.id": "u1",
}


def of_resource(attributes: dict[str, Any]) -> bytes:
    scopes = [{"spans": [span(MODEL | COUNTS | TEXTS)]}]
    return jsonl({"resourceSpans": [{"resource": {"attributes": listed(attributes)}, "scopeSpans": scopes}]})


CASES = [
    Case(
        "attributes-of-langfuses-tracer",
        otlp(
            span({"langfuse.observation.type": "span", "langfuse.observation.input": "x"}, spanId="c" * 16),
            span(LANGFUSE, parentSpanId="c" * 16),
        ),
        [
            TOPIC
            | {"tokens": (21, 100, 0, 3), "cost_usd": 0.001, "max_tokens": 9, "user_id": "u1", "model": "gpt-4o-mini"}
        ],
        counts={"passed_over": {"span span": 1}},
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
        "spans-flattened-to-one-level",
        jsonl(
            *(
                {"trace_id": "a" * 32, "span_id": f"{n:016x}", "name": "chat", "start_time": TIME, "end_time": LATER}
                | {"type": "span", "level": "INFO", "status.code": "OK"}
                | {prefix + name: value for name, value in {**MODEL, **COUNTS, **TEXTS, "app.feature": "mail"}.items()}
                for n, prefix in enumerate(["attributes.", ""])
            )
        ),
        [topic(ts=TIME, tokens=(21, 0, 0, 3), latency_ms=1500.0, model="gpt-4o-mini", call_site="mail")] * 2,
    ),
    Case(
        "choice-event-with-a-list-of-blocks",
        otlp(
            span(
                MODEL | COUNTS,
                events=[
                    event("gen_ai.user.message", {"content": json.dumps([{"text": "I was charged twice"}])}),
                    event("gen_ai.choice", {"finish_reason": "end_turn", "message": json.dumps([{"text": "billing"}])}),
                ],
            )
        ),
        [{"asked": TOPIC["asked"], "text": "billing", "finish_reason": "stop", "tokens": (21, 0, 0, 3)}],
    ),
    Case(
        "bodies-of-googles-agent-kit",
        otlp(
            span(
                COUNTS
                | {
                    "gen_ai.operation.name": "generate_content",
                    "gen_ai.request.model": "gemini-2.5-flash",
                    "gcp.vertex.agent.llm_request": json.dumps(
                        {"model": "gemini-2.5-flash", "config": {"system_instruction": "Name the topic."}} | GEMINI_ASK
                    ),
                    "gcp.vertex.agent.llm_response": json.dumps(
                        {"content": {"role": "model", "parts": [{"text": "billing"}]}, "finish_reason": "STOP"}
                    ),
                }
            )
        ),
        [topic(finish_reason="stop", tokens=(21, 0, 0, 3))],
    ),
    *(
        Case(f"cost-{name}", otlp(span(MODEL | COUNTS | TEXTS | {name: 0.0007})), [topic(cost_usd=0.0007, logged=True)])
        for name in ("gen_ai.usage.cost", "gen_ai.cost.total_cost", "llm.cost.total", "opencode.llm.cost.total")
    ),
    *(
        Case(f"cost-of-the-session-{place}-that-of-the-request", otlp(span(attributes)), [topic(cost_usd=0.0007)])
        for place, attributes in (
            ("before", {"session.total_cost": 12.5} | MODEL | TEXTS | {"gen_ai.usage.cost": 0.0007}),
            ("after", MODEL | TEXTS | {"gen_ai.usage.cost": 0.0007, "session.usage.cost": 12.5}),
        )
    ),
    Case(
        "messages-left-out-of-the-invocation",
        otlp(
            span(MODEL | TEXTS | {"llm.invocation_parameters": json.dumps({"messages": "<omitted>", "max_tokens": 9})})
        ),
        [topic(max_tokens=9)],
    ),
    Case(
        "bodies-of-logfire",
        otlp(
            span(
                LOGFIRE
                | COUNTS
                | {
                    "request_data": json.dumps(REQUEST),
                    "response_data": json.dumps({"message": {"role": "assistant", "content": "billing"}}),
                }
            )
        ),
        [topic(tokens=(21, 0, 0, 3))],
    ),
    Case(
        "stream-that-logfire-logs-at-its-end",
        otlp(
            span(LOGFIRE | {"logfire.span_type": "span", "request_data": json.dumps(REQUEST | {"stream": True})}),
            span(
                LOGFIRE
                | {
                    "logfire.span_type": "log",
                    "request_data": json.dumps(REQUEST | {"stream": True}),
                    "response_data": json.dumps({"combined_chunk_content": "billing", "chunk_count": 2}),
                    "duration": 1.5,
                },
                spanId="c" * 16,
                startTimeUnixNano=str(END),
            ),
        ),
        [topic(ts=TIME, latency_ms=1500.0, stream=True)],
        counts={"passed_over": {"span of a stream": 1}},
    ),
    Case(
        "several-choices",
        otlp(
            span(
                MODEL
                | TEXTS
                | {
                    "gen_ai.output.messages": json.dumps(
                        [
                            {"role": "assistant", "parts": [{"type": "text", "content": text}], "finish_reason": "stop"}
                            for text in ("billing", "delivery")
                        ]
                    )
                }
            )
        ),
        [TOPIC],
    ),
    Case(
        "attributes-under-data",
        jsonl(
            {"span_id": "b" * 16, "trace_id": "a" * 32, "op": "gen_ai.chat", "start_timestamp": START / 1e9}
            | {"timestamp": END / 1e9}
            | {"data": MODEL | TEXTS | COUNTS | {"gen_ai.usage.input_tokens.cached": 20}}
        ),
        [topic(tokens=(1, 20, 0, 3), ts=TIME, latency_ms=1500.0)],
    ),
    Case(
        "consent-outside-of-the-span",
        jsonl({"training_consent": "no", "log": json.dumps(span(MODEL | COUNTS | TEXTS))}),
        [topic(consent="no")],
    ),
    Case("consent-of-the-resource", of_resource({"tenant.training_opt_out": True}), [topic(consent="false")]),
    Case(
        "environment-of-the-resource",
        of_resource({"deployment.environment.name": "staging"}),
        [topic(environment="staging")],
    ),
    Case(
        "a-failed-span-flattened-to-one-level",
        jsonl(
            {"traceId": "a" * 32, "spanId": "b" * 16, "startTime": TIME, "endTime": LATER, "type": "x", "level": "E"}
            | {"status.code": "STATUS_CODE_ERROR", "status.message": "overloaded"}
            | MODEL
            | {"gen_ai.input.messages": json.dumps(ASK)}
        ),
        [{"failed": True, "error": "overloaded", "asked": TOPIC["asked"]}],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_log_is_read_as_reported(case: Case, tmp_path: Path) -> None:
    reported.run(case, tmp_path)
