"""Logs of tracers (Langfuse, OpenTelemetry, MLflow) as bug reports show them."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import reported
from tests.fakes.reported import ASK, CLAUDE, CLAUDE_ASK, END, START, TIME, TOPIC, Case, chat, jsonl, topic

pytestmark = pytest.mark.slow


def generation(output: Any, **more: Any) -> dict[str, Any]:
    row = {"id": "o1", "traceId": "t1", "type": "GENERATION", "name": "topic", "input": ASK, "output": output}
    times = {"startTime": "2026-10-05T09:30:00.000Z", "endTime": "2026-10-05T09:30:01.500Z"}
    return row | times | {"model": "gpt-4o-mini", "level": "DEFAULT"} | more


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

COUNTS = {"gen_ai.usage.input_tokens": 21, "gen_ai.usage.output_tokens": 3}
DETAILS = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.input.messages": ASK,
    "gen_ai.output.messages": [{"role": "assistant", "content": "billing"}],
    **COUNTS,
}
SPAN = {
    "traceId": "a" * 32,
    "spanId": "b" * 16,
    "startTimeUnixNano": str(START),
    "endTimeUnixNano": str(END),
    "attributes": {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o-mini", **COUNTS},
}


def log_records(*events: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """Records of one moment that belong to `SPAN`."""
    ids = {"traceId": "a" * 32, "spanId": "b" * 16, "timeUnixNano": str(START)}
    records = [ids | {"eventName": name, "attributes": body} for name, body in events]
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}


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


CACHED = {"input_tokens": 210, "output_tokens": 3, "total_tokens": 213, "cache_read_input_tokens": 100}
STEP = {"attributes": {"gen_ai.operation.name": "invoke_agent"}, "scope": {"name": "gen_ai"}}

CASES = [
    # MLflow's own count does not say whether it includes the cached tokens; the body's does.
    Case(
        "mlflow-cached-tokens-beside-and-inside-the-input",
        jsonl(
            mlflow(
                CLAUDE_ASK,
                CLAUDE | {"usage": {"input_tokens": 210, "cache_read_input_tokens": 100, "output_tokens": 3}},
                **{"mlflow.chat.tokenUsage": json.dumps(CACHED)},
            )
        ),
        [topic(tokens=(210, 100, 0, 3))],
    ),
    Case(
        "mlflow-cached-tokens-without-a-count-in-the-body",
        jsonl(
            mlflow(
                {"messages": ASK},
                {"role": "assistant", "content": "billing"},
                **{"mlflow.chat.tokenUsage": json.dumps(CACHED)},
            )
        ),
        [topic(tokens=(110, 100, 0, 3))],
    ),
    Case(
        "langfuse-generation-of-an-agent-around-steps",
        jsonl(
            generation("billing", name="invoke_agent", usageDetails={"input": 21, "output": 3}, metadata=STEP),
            generation(None, id="o2", type="AGENT", parentObservationId="o1"),
            generation("billing", id="o3", parentObservationId="o2", usageDetails={"input": 21, "output": 3}),
        ),
        [topic(id="o3", tokens=(21, 0, 0, 3))],
    ),
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
    Case(
        "langfuse-an-unfinished-state-of-an-observation",
        jsonl(
            generation(None, endTime=None, updatedAt="2026-10-05T09:30:00.500Z"),
            generation("billing", usageDetails={"input": 21, "output": 3}, updatedAt="2026-10-05T09:30:02Z"),
        ),
        [topic(tokens=(21, 0, 0, 3), failed=False)],
        counts={"passed_over": {"unfinished GENERATION": 1}},
    ),
    Case(
        "messages-in-log-records-of-one-moment",
        {
            "logs": jsonl(
                log_records(
                    ("gen_ai.system.message", {"content": "Name the topic."}),
                    ("gen_ai.user.message", {"content": "I was charged twice"}),
                    ("gen_ai.choice", {"index": 0, "finish_reason": "stop", "message": {"content": "billing"}}),
                )
            ),
            "spans": jsonl({"resourceSpans": [{"scopeSpans": [{"spans": [SPAN]}]}]}),
        },
        [topic(finish_reason="stop", tokens=(21, 0, 0, 3))],
    ),
    Case(
        "attributes-in-a-log-service",
        jsonl(
            {"timestamp": TIME, "spanId": "1", "trace": "projects/p/traces/1", "labels": {}, "jsonPayload": DETAILS},
        ),
        [topic(ts=TIME, tokens=(21, 0, 0, 3))],
    ),
    Case(
        "attributes-in-a-text-of-a-log-service",
        jsonl({"timestamp": TIME, "itemType": "dependency", "customDimensions": json.dumps(DETAILS)}),
        [topic(ts=TIME, tokens=(21, 0, 0, 3))],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_log_is_read_as_reported(case: Case, tmp_path: Path) -> None:
    reported.run(case, tmp_path)
