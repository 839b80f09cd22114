"""Tools, reasons, durations and ids of tracers and servers, and tables of query results, as reported."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import reported
from tests.fakes.reported import ASK, BILLING, CLAUDE_ASK, REQUEST, START, TIME, Case, chat, jsonl, pair, topic
from tests.unit.pipeline.ingest.test_reported_spans import MODEL, otlp, span

pytestmark = pytest.mark.slow

SAID = {"gen_ai.input.messages": json.dumps(ASK), "gen_ai.output.messages": json.dumps([BILLING])}
FUNCTION = {"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}
FLAT_FUNCTION = {"type": "function", "name": "find", "inputSchema": {"type": "object"}}
OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "llm.model_name": "gpt-4o-mini",
    "input.value": json.dumps({"messages": ASK}),
    "output.value": "billing",
}
HAIKU_EVENTS = [
    {"type": "message_start", "message": {"id": "m", "role": "assistant", "usage": {"input_tokens": 21}}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "billing"}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
    {"type": "message_stop", "amazon-bedrock-invocationMetrics": {"invocationLatency": 1500, "firstByteLatency": 400}},
]


def traced(**attributes: Any) -> bytes:
    return otlp(span(MODEL | SAID | {name.replace("__", "."): value for name, value in attributes.items()}))


def columns(*names: str, **more: Any) -> list[dict[str, Any]]:
    return [{"name": name, "type": "string"} | more for name in names]


def table(header: list[str], *rows: list[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows])
    return text.getvalue().encode()


GENERATION = {
    "id": "o",
    "traceId": "t",
    "type": "GENERATION",
    "startTime": TIME,
    "endTime": TIME,
    "input": ASK,
    "output": BILLING,
}
VERCEL_CALL = {"toolCallId": "t", "toolName": "find", "input": {"a": 1}}
LATER = "2026-10-05T09:31:00+00:00"
CHUNKS = [
    {"id": "c", "choices": [{"index": 0, "delta": {"content": "bil"}}]},
    {"id": "c", "choices": [{"index": 0, "delta": {"content": "ling"}, "finish_reason": "stop"}]},
]
UNCOUNTED = {"choices": [{"index": 0, "message": BILLING, "finish_reason": "stop"}]}
CELLS = [TIME, json.dumps(REQUEST), json.dumps(chat())]
CASES = [
    Case("tools-as-numbered-functions", traced(llm__request__functions__0__name="find"), [topic(tools=["find"])]),
    Case(
        "tools-of-openinference",
        otlp(span(OPENINFERENCE | {"llm.tools.0.tool.json_schema": json.dumps(FUNCTION)})),
        [topic(tools=["find"])],
    ),
    Case(
        "tools-of-vercel",
        otlp(
            span(
                {
                    "ai.operationId": "ai.streamText.doStream",
                    "ai.model.id": "gpt-4o-mini",
                    "ai.prompt.messages": json.dumps(ASK),
                    "ai.prompt.tools": [json.dumps(FLAT_FUNCTION)],
                    "ai.response.text": "billing",
                }
            )
        ),
        [topic(tools=["find"])],
    ),
    Case("tools-of-sentry", traced(gen_ai__request__available_tools=json.dumps([FUNCTION])), [topic(tools=["find"])]),
    Case("reason-in-the-singular", traced(gen_ai__response__finish_reason="length"), [topic(finish_reason="length")]),
    Case(
        "reason-of-openinference",
        otlp(span(OPENINFERENCE | {"llm.finish_reason": "length"})),
        [topic(finish_reason="length")],
    ),
    Case(
        "cached-tokens-by-langfuse's-names",
        traced(
            gen_ai__usage__input_tokens=171,
            gen_ai__usage__output_tokens=3,
            gen_ai__usage__input_cached_tokens=100,
            gen_ai__usage__input_cache_creation=50,
        ),
        [topic(tokens=(21, 100, 50, 3))],
    ),
    Case(
        "a-span-as-node-prints-it",
        jsonl(
            {"traceId": "t", "id": "s", "timestamp": START // 1000, "duration": 1_500_000, "attributes": MODEL | SAID}
        ),
        [topic(ts=TIME, latency_ms=1500.0)],
    ),
    Case(
        "a-trace-of-tempo",
        jsonl({"trace": json.loads(otlp(span(MODEL | SAID)))}),
        [topic(ts=TIME, latency_ms=1500.0)],
    ),
    Case(
        "a-span-in-elastic's-fields",
        json.dumps(
            {
                "hits": {
                    "hits": [
                        {
                            "_source": {
                                "@timestamp": TIME,
                                "trace": {"id": "t"},
                                "span": {"id": "s", "name": "chat", "duration": {"us": 1_500_000}},
                                "attributes": MODEL | SAID,
                            }
                        }
                    ]
                }
            }
        ).encode(),
        [topic(ts=TIME, id="t-s", trace_id="t")],
    ),
    Case(
        "status-in-an-error's-text",
        jsonl(
            {
                "id": "r",
                "run_type": "llm",
                "start_time": TIME,
                "inputs": {"messages": ASK},
                "outputs": None,
                "error": 'RateLimitError("Error code: 429 - slow down")',
                "status": "error",
            }
        ),
        [{"asked": "I was charged twice", "status": 429}],
    ),
    Case(
        "first-token-of-posthog",
        jsonl(
            {
                "uuid": "q",
                "event": "$ai_generation",
                "distinct_id": "u",
                "timestamp": TIME,
                "properties": {
                    "$ai_model": "gpt-4o-mini",
                    "$ai_input": ASK,
                    "$ai_output_choices": [BILLING],
                    "$ai_time_to_first_token": 0.4,
                },
            }
        ),
        [topic(ttft_ms=400.0)],
    ),
    Case(
        "counts-of-llama.cpp",
        jsonl(
            pair(
                {"content": "billing", "stop": True, "tokens_predicted": 3, "tokens_evaluated": 21},
                {"prompt": "I was charged twice", "n_predict": 9},
            )
        ),
        [{"text": "billing", "tokens": (21, 0, 0, 3), "max_tokens": 9}],
    ),
    Case(
        "reason-in-attributes-of-langfuse",
        jsonl(
            GENERATION | {"metadata": {"attributes": {"gen_ai.response.finish_reasons": json.dumps(["length"])}}},
        ),
        [topic(finish_reason="length")],
    ),
    Case(
        "calls-by-vercel's-names-in-a-message",
        jsonl(
            GENERATION
            | {"input": {"messages": ASK, "tools": [FUNCTION]}}
            | {"output": {"role": "assistant", "content": "", "tool_calls": [VERCEL_CALL]}}
        ),
        [{"calls": [("find", {"a": 1})]}],
    ),
    Case(
        "counts-in-columns-of-langfuse",
        jsonl(
            {
                "id": "o",
                "traceId": "t",
                "type": "GENERATION",
                "startTime": TIME,
                "input": ASK,
                "output": "billing",
                "promptTokens": "21",
                "completionTokens": "3",
                "totalTokens": "24",
            }
        ),
        [topic(tokens=(21, 0, 0, 3))],
    ),
    Case(
        "first-token-of-a-bedrock-stream",
        jsonl(
            {
                "schemaType": "ModelInvocationLog",
                "timestamp": TIME,
                "requestId": "q",
                "operation": "InvokeModelWithResponseStream",
                "modelId": "anthropic.claude-haiku-4-5",
                "input": {"inputBodyJson": CLAUDE_ASK},
                "output": {"outputBodyJson": HAIKU_EVENTS},
            }
        ),
        [topic(ttft_ms=400.0, latency_ms=1500.0)],
    ),
    Case(
        "tables-of-azure's-logs",
        json.dumps({"tables": [{"columns": columns("timestamp", "request", "response"), "rows": [CELLS]}]}).encode(),
        [topic(ts=TIME)],
    ),
    Case(
        "tables-of-snowflake's-api",
        json.dumps(
            {
                "resultSetMetaData": {"numRows": 1, "rowType": columns("TIMESTAMP", "REQUEST", "RESPONSE")},
                "data": [CELLS],
            }
        ).encode(),
        [topic(ts=TIME)],
    ),
    Case(
        "tables-of-bigquery's-api",
        json.dumps(
            {
                "kind": "bigquery#queryResponse",
                "schema": {"fields": columns("timestamp", "request", "response")},
                "rows": [{"f": [{"v": cell} for cell in CELLS]}],
            }
        ).encode(),
        [topic(ts=TIME)],
    ),
    Case(
        "tables-of-clickhouse",
        json.dumps({"meta": columns("timestamp", "request", "response"), "data": [CELLS], "rows": 1}).encode(),
        [topic(ts=TIME)],
    ),
    Case(
        "names-with-capitals",
        jsonl({"Timestamp": TIME, "RequestBody": REQUEST, "ResponseBody": chat(), "Metadata": {"training": "no"}}),
        [topic(ts=TIME, consent="no")],
    ),
    Case(
        "a-stream-as-lines-of-events",
        jsonl(pair(["data: " + json.dumps(chunk) for chunk in CHUNKS] + ["data: [DONE]"])),
        [topic(finish_reason="stop")],
    ),
    Case(
        "cohere's-chat",
        jsonl(
            pair(
                {
                    "text": "billing",
                    "finish_reason": "COMPLETE",
                    "meta": {"tokens": {"input_tokens": 21, "output_tokens": 3}},
                },
                {"model": "command-r", "preamble": "Name the topic.", "message": "I was charged twice"},
            )
        ),
        [topic(tokens=(21, 0, 0, 3))],
    ),
    Case(
        "dashscope",
        jsonl(
            pair(
                {
                    "output": {"choices": [{"finish_reason": "stop", "message": BILLING}]},
                    "usage": {"input_tokens": 21, "output_tokens": 3, "total_tokens": 24},
                },
                {"model": "qwen-plus", "input": {"messages": ASK}, "parameters": {"max_tokens": 9}},
            )
        ),
        [topic(tokens=(21, 0, 0, 3), max_tokens=9, model="qwen-plus")],
    ),
    Case("cortex", jsonl(pair({"choices": [{"messages": "billing"}]})), [topic()]),
    Case("go's-monotonic-clock", jsonl(pair(timestamp="2026-10-05 09:30:00.5 +0000 UTC m=+0.123")), [topic()]),
    Case(
        "messages-beside-the-response",
        jsonl(
            {
                "ts": TIME,
                "model": "gpt-4o-mini",
                "messages": ASK,
                "temperature": 0.5,
                "response": chat(),
                "env": "prod",
            },
            {"ts": LATER, "model": "gpt-4o-mini", "messages": ASK, "response": "billing", "latency_ms": 9},
        ),
        [topic(ts=TIME, tokens=(21, 0, 0, 3), temperature=0.5), topic(latency_ms=9.0)],
    ),
    *(
        Case(f"counts-beside-the-response-{name}", jsonl(pair(UNCOUNTED) | counts), [topic(tokens=(21, 100, 0, 3))])
        for name, counts in {
            "as-an-object": {"usage": {"prompt_tokens": 121, "cached_tokens": 100, "completion_tokens": 3}},
            "as-fields": {"prompt_tokens": 121, "cached_tokens": "100", "completion_tokens": 3, "input": "x"},
        }.items()
    ),
    *(
        Case(f"counts-as-python-prints-them-{name}", jsonl(pair(chat(usage=usage))), [topic(tokens=(21, 100, 0, 3))])
        for name, usage in {
            "inside": {
                "prompt_tokens": 121,
                "completion_tokens": 3,
                "total_tokens": 124,
                "prompt_tokens_details": "PromptTokensDetails(audio_tokens=None, cached_tokens=100)",
            },
            "whole": "Usage(completion_tokens=3, prompt_tokens=121, prompt_tokens_details=Details(cached_tokens=100))",
        }.items()
    ),
    Case("counts-that-are-a-text", jsonl(pair(chat(usage="none (see log)"))), [topic(tokens=None)]),
    Case(
        "counts-beside-the-response-are-not-preferred",
        jsonl(pair(usage={"prompt_tokens": 9, "completion_tokens": 9})),
        [topic(tokens=(21, 0, 0, 3))],
    ),
    Case(
        "litellm-messages-with-parts",
        jsonl(
            {
                "id": "r",
                "call_type": "agenerate_content",
                "custom_llm_provider": "gemini",
                "model": "gemini-2.5-flash",
                "startTime": TIME,
                "status": "success",
                "messages": [{"role": "user", "parts": [{"text": "I was charged twice"}]}],
                "response": {"candidates": [{"content": {"role": "model", "parts": [{"text": "billing"}]}}]},
            }
        ),
        [{"asked": "I was charged twice", "text": "billing"}],
    ),
    Case(
        "a-table-with-spaces-in-its-header",
        table(["Created At", "Request Body", "Response Body", "Latency (ms)", "User Id"], [*CELLS, "1500", "NULL"]),
        [topic(ts=TIME, latency_ms=1500.0, user_id=None)],
    ),
    Case(
        "names-with-capitals-of-.net",
        jsonl(
            {"Id": "q", "Timestamp": TIME, "Request": REQUEST, "Response": chat(), "DurationMs": 1500, "Status": 200}
        ),
        [topic(ts=TIME, latency_ms=1500.0, id="q")],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_log_is_read_as_reported(case: Case, tmp_path: Path) -> None:
    reported.run(case, tmp_path)
