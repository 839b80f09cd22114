"""Prompts and answers as bug reports show them: values of other types, text that only looks like an answer."""

import base64
import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline import ingest
from tests.fakes import reported
from tests.fakes.reported import ASK, START, TIME, TOPIC, Case, chat, jsonl
from tests.unit.pipeline.ingest.test_reported_amounts import SAID, pair
from tests.unit.pipeline.ingest.test_reported_exports import langchain
from tests.unit.pipeline.ingest.test_reported_gateways import litellm, spend
from tests.unit.pipeline.ingest.test_reported_spans import COUNTS, MODEL, otlp, span
from tests.unit.pipeline.ingest.test_reported_tracers import generation, mlflow
from traffic.artifacts import Home

pytestmark = pytest.mark.slow

UNKNOWN = {"reasons": {"unknown_answer": 1}}


def message(**fields: Any) -> dict[str, Any]:
    return chat(message=fields)


def arrow(rows: list[dict[str, Any]]) -> bytes:
    sink, table = io.BytesIO(), pa.Table.from_pylist(rows)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def table(rows: list[dict[str, Any]], delimiter: str = ",") -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def run_of_langsmith(inputs: Any, outputs: Any, **more: Any) -> dict[str, Any]:
    times = {"start_time": "2026-10-05T09:30:00", "end_time": "2026-10-05T09:30:01.5", "dotted_order": "1"}
    extra = {"metadata": {"ls_provider": "openai", "ls_model_name": "gpt-4o-mini"}}
    return {"id": "run1", "run_type": "llm", "inputs": inputs, "outputs": outputs, "extra": extra} | times | more


def asked(text: str) -> list[dict[str, Any]]:
    return [langchain("SystemMessage", "Name the topic."), langchain("HumanMessage", text)]


def generated(text: str) -> list[dict[str, Any]]:
    usage = {"input_tokens": 21, "output_tokens": 3, "total_tokens": 24}
    return [{"text": text, "message": langchain("AIMessage", text, usage_metadata=usage)}]


CASES = [
    Case(
        "an-object-as-the-content",
        jsonl(pair(message(content={"topic": "billing"}))),
        [TOPIC | {"text": '{"topic":"billing"}'}],
    ),
    Case("a-number-as-the-content", jsonl(pair(message(content=4))), [TOPIC | {"text": "4"}]),
    Case("a-truth-as-the-content", jsonl(pair(message(content=True))), [TOPIC | {"text": "true"}]),
    Case(
        "a-body-cut-by-a-limit-on-lengths",
        jsonl(
            pair(json.dumps(chat())[:150]),
            pair(chat(), request=json.dumps({"model": "gpt-4o-mini", "messages": ASK})[:60]),
            pair('{"topic": "bil', id="r3"),
        ),
        [{"id": "r3", "text": '{"topic": "bil'}],
        rejected=2,
        counts={"reasons": {"cut_text": 2}},
    ),
    Case(
        "a-finish-reason-as-a-number",
        jsonl(pair(chat(finish=2))),
        [TOPIC | {"finish_reason": "2"}],
        counts={"unknown_values": {"finish_reason=2": 1}},
    ),
    Case("no-answer-written-as-a-word", jsonl(spend(response="None", messages=ASK)), [{"text": None}]),
    Case(
        "an-object-printed-by-python",
        jsonl(
            pair(
                "ChatCompletion(id='c1', choices=[Choice(finish_reason='stop', index=0, "
                "message=ChatCompletionMessage(content='billing', role='assistant'))], model='gpt-4o-mini')"
            ),
            pair(chat(), id="r2"),
        ),
        [TOPIC],
        rejected=1,
        counts=UNKNOWN,
    ),
    Case(
        "an-object-printed-by-javascript",
        jsonl(pair("[object Object]"), pair(chat(), id="r2")),
        [TOPIC],
        rejected=1,
        counts=UNKNOWN,
    ),
    Case(
        "a-stream-printed-by-python",
        jsonl(pair("<async_generator object stream at 0x7f3b1c0>"), pair(chat(), id="r2")),
        [TOPIC],
        rejected=1,
        counts=UNKNOWN,
    ),
    Case(
        "a-page-of-the-proxy-in-front",
        jsonl(pair("<html>\n<head><title>502 Bad Gateway</title></head>\n<body></body></html>", status=502)),
        [{"status": 502, "text": None, "failed": True}],
    ),
    Case(
        "errors-of-frameworks",
        jsonl(
            pair({"detail": "Too many requests"}, id="a", status=429),
            pair({"message": "Forbidden"}, id="b", status=403),
            pair({"fault": {"faultstring": "Spike arrest"}}, id="c", status=429),
        ),
        [{"status": 429, "text": None}, {"status": 403, "text": None}, {"status": 429, "text": None}],
    ),
    Case(
        "a-body-in-base64",
        jsonl(
            pair(
                {
                    "statusCode": 200,
                    "isBase64Encoded": True,
                    "body": base64.b64encode(json.dumps(chat()).encode()).decode(),
                }
            )
        ),
        [TOPIC | {"tokens": (21, 0, 0, 3)}],
    ),
    Case("a-body-encoded-three-times", jsonl(pair(json.dumps(json.dumps(json.dumps(chat()))))), [TOPIC]),
    Case(
        "thinking-blocks-of-mistral",
        jsonl(
            pair(
                message(
                    content=[
                        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                        {"type": "text", "text": "billing"},
                    ]
                )
            )
        ),
        [TOPIC],
    ),
    Case(
        "reasoning-beside-the-content", jsonl(pair(message(content="billing", reasoning_content="hm, money"))), [TOPIC]
    ),
    Case(
        "a-call-gemini-could-not-write",
        jsonl(
            pair(
                {
                    "candidates": [{"content": {}, "finishReason": "MALFORMED_FUNCTION_CALL"}],
                    "usageMetadata": {"promptTokenCount": 21, "totalTokenCount": 21},
                }
            )
        ),
        [{"text": None, "finish_reason": "MALFORMED_FUNCTION_CALL"}],
    ),
    Case(
        "the-prompt-that-stands-for-one",
        jsonl(litellm(chat(), messages=[{"role": "user", "content": "default-message-value"}])),
        [{"text": "billing"}],
        counts={"marks": {"redacted": 1}},
    ),
    Case(
        "span-text-cut-by-the-limit",
        otlp(
            span(
                {
                    **MODEL,
                    **COUNTS,
                    "gen_ai.input.messages": json.dumps(ASK)[:60],
                    "gen_ai.output.messages": SAID["gen_ai.output.messages"],
                }
            )
        ),
        None,
        rejected=1,
    ),
    Case(
        "span-answer-cut-by-the-limit",
        otlp(
            span(
                {
                    **MODEL,
                    **COUNTS,
                    "gen_ai.input.messages": SAID["gen_ai.input.messages"],
                    "gen_ai.output.messages": SAID["gen_ai.output.messages"][:30],
                }
            )
        ),
        None,
        rejected=1,
    ),
    Case(
        "content-was-not-captured",
        otlp(span({**MODEL, **COUNTS})),
        [{"text": None, "roles": [], "tokens": (21, 0, 0, 3), "status": 200}],
    ),
    Case(
        "several-prompts-of-langchain",
        jsonl(
            run_of_langsmith(
                {"messages": [asked("I was charged twice"), asked("Where is my parcel")]},
                {"generations": [generated("billing"), generated("delivery")]},
            )
        ),
        [TOPIC | {"tokens": (21, 0, 0, 3)}, {"asked": "Where is my parcel", "text": "delivery"}],
    ),
    Case(
        "several-prompts-and-fewer-answers",
        jsonl(
            run_of_langsmith(
                {"messages": [asked("I was charged twice"), asked("Where is my parcel")]},
                {"generations": [generated("billing")]},
            )
        ),
        None,
        rejected=1,
        counts={"reasons": {"several_prompts": 1}},
    ),
    Case(
        "one-prompt-of-langchain-in-a-list",
        jsonl(run_of_langsmith({"messages": [asked("I was charged twice")]}, {"generations": [generated("billing")]})),
        [TOPIC | {"id": "run1"}],
    ),
    Case(
        "messages-as-python-prints-them",
        table(
            [
                {
                    "id": "r1",
                    "timestamp": TIME,
                    "request": str({"model": "gpt-4o-mini", "messages": ASK}),
                    "response": str(chat()),
                }
            ]
        ),
        [TOPIC],
    ),
    Case(
        "cells-that-are-long",
        table(
            [
                {
                    "id": "r1",
                    "timestamp": TIME,
                    "response": json.dumps(chat()),
                    "request": json.dumps(
                        {"model": "gpt-4o-mini", "messages": [ASK[0], {"role": "user", "content": "a" * 300_000}]}
                    ),
                }
            ]
        ),
        [{"text": "billing", "asked": "a" * 300_000}],
    ),
    Case(
        "cells-with-semicolons-between",
        table(
            [
                {
                    "id": "r1",
                    "timestamp": TIME,
                    "request": json.dumps({"model": "gpt-4o-mini", "messages": ASK}),
                    "response": json.dumps(chat()),
                }
            ],
            ";",
        ),
        [TOPIC],
    ),
    Case(
        "roles-of-sharegpt",
        jsonl(
            {
                "conversations": [
                    {"from": "system", "value": "Name the topic."},
                    {"from": "human", "value": "I was charged twice"},
                    {"from": "chatgpt", "value": "billing"},
                ]
            }
        ),
        [TOPIC],
    ),
    Case(
        "a-role-that-nobody-knows",
        jsonl(
            {
                "conversations": [
                    {"from": "human", "value": "I was charged twice"},
                    {"from": "narrator", "value": "She was charged twice."},
                    {"from": "gpt", "value": "billing"},
                ]
            },
            {"conversations": [{"from": "human", "value": "Where is it"}, {"from": "gpt", "value": "delivery"}]},
        ),
        [{"text": "delivery"}],
        rejected=1,
    ),
    Case(
        "an-answer-not-to-learn",
        jsonl(
            {"messages": [*ASK, {"role": "assistant", "content": "other", "weight": 0}]},
            {"messages": [*ASK, {"role": "assistant", "content": "billing", "weight": 1}]},
        ),
        [TOPIC],
        rejected=1,
    ),
    Case(
        "completions-with-a-verdict",
        jsonl(
            {"prompt": ASK, "completion": [{"role": "assistant", "content": "other"}], "label": False},
            {
                "prompt": [ASK[0], {"role": "user", "content": "Twice"}],
                "completion": [{"role": "assistant", "content": "billing"}],
                "label": True,
            },
        ),
        [{"text": "billing"}],
        rejected=1,
    ),
    Case(
        "instructions-of-alpaca",
        jsonl(
            {"instruction": "Name the topic.", "input": "I was charged twice", "output": "billing"},
            {"instruction": "Say yes.", "input": "", "output": "yes"},
        ),
        [{"text": "billing"}, {"text": "yes"}],
    ),
    Case(
        "a-helicone-table",
        table(
            [
                {
                    "request_created_at": "2026-10-05 09:30:00.000",
                    "request_id": "h1",
                    "response_status": "200",
                    "request_path": "https://api.openai.com/v1/chat/completions",
                    "provider": "OPENAI",
                    "request_body": json.dumps({"model": "gpt-4o-mini", "messages": ASK}),
                    "response_body": json.dumps(chat()),
                    "prompt_tokens": "21",
                    "completion_tokens": "3",
                    "cost": "0.001",
                    "delay_ms": "1500",
                    "request_user_id": "u1",
                    "request_properties": json.dumps({"call_site": "desk.topic"}),
                    "cache_hit": "false",
                }
            ]
        ),
        [
            TOPIC
            | {
                "id": "h1",
                "ts": TIME,
                "cost_usd": 0.001,
                "latency_ms": 1500.0,
                "user_id": "u1",
                "call_site": "desk.topic",
                "tokens": (21, 0, 0, 3),
                "cache_hit": False,
            }
        ],
    ),
    Case(
        "helicone-rows-of-its-warehouse",
        jsonl(
            {
                "request_id": "h1",
                "request_created_at": TIME,
                "response_id": "x",
                "status": 200,
                "latency": 1500,
                "model": "gpt-4o-mini",
                "provider": "OPENAI",
                "prompt_tokens": 21,
                "completion_tokens": 3,
                "prompt_cache_read_tokens": 0,
                "cost": 0.001,
                "request_body": {"messages": ASK, "model": "gpt-4o-mini"},
                "response_body": chat(),
                "properties": {"call_site": "desk.topic"},
                "user_id": "u1",
            }
        ),
        [TOPIC | {"status": 200, "user_id": "u1", "call_site": "desk.topic"}],
    ),
    Case(
        "a-failed-model-call-of-mlflow",
        jsonl(mlflow({"messages": ASK, "model": "gpt-4o-mini"}, None) | {}),
        [{"asked": "I was charged twice", "text": None}],
    ),
    Case(
        "mlflow-model-inside-a-model",
        jsonl(
            {
                "info": {"trace_id": "tr-1", "tags": {"call_site": "desk.topic"}, "trace_metadata": {}},
                "data": {
                    "spans": [
                        {
                            "trace_id": "t",
                            "span_id": "outer",
                            "parent_span_id": None,
                            "name": "ChatOpenAI",
                            "start_time_unix_nano": START,
                            "end_time_unix_nano": START + 10**9,
                            "status": {"code": "OK"},
                            "attributes": {
                                "mlflow.spanType": '"CHAT_MODEL"',
                                "mlflow.spanInputs": json.dumps({"messages": [ASK]}),
                                "mlflow.spanOutputs": json.dumps(chat()),
                            },
                        },
                        {
                            "trace_id": "t",
                            "span_id": "inner",
                            "parent_span_id": "outer",
                            "name": "Completions",
                            "start_time_unix_nano": START,
                            "end_time_unix_nano": START + 10**9,
                            "status": {"code": "OK"},
                            "attributes": {
                                "mlflow.spanType": '"CHAT_MODEL"',
                                "mlflow.chat.tokenUsage": json.dumps(
                                    {"input_tokens": 21, "output_tokens": 3, "total_tokens": 24}
                                ),
                                "mlflow.spanInputs": json.dumps({"messages": ASK, "model": "gpt-4o-mini"}),
                                "mlflow.spanOutputs": json.dumps(chat()),
                            },
                        },
                    ]
                },
            }
        ),
        [TOPIC | {"id": "t-inner", "call_site": "desk.topic", "tokens": (21, 0, 0, 3)}],
    ),
    Case(
        "langfuse-scores-that-are-no-thumbs",
        jsonl(
            generation(
                {"role": "assistant", "content": "billing"},
                scores=[{"name": "toxicity", "value": 0}, {"name": "latency", "value": 1}],
            )
        ),
        [TOPIC],
    ),
    Case(
        "a-table-of-datasets",
        arrow([{"messages": [*ASK, {"role": "assistant", "content": "billing"}]}]),
        [TOPIC | {"tokens": None}],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_log_is_read_as_reported(case: Case, tmp_path: Path) -> None:
    reported.run(case, tmp_path)


def data_point(**more: Any) -> dict[str, Any]:
    content = [{"type": "text", "text": "I was charged twice"}]
    row = {"function_name": "desk.topic", "id": "0195-1", "episode_id": "0195-e", "tags": {"plan": "pro"}}
    prompt = {"system": "Name the topic.", "messages": [{"role": "user", "content": content}]}
    return row | {"input": json.dumps(prompt), "updated_at": "2026-10-05 09:30:00.000000", "is_deleted": False} | more


@pytest.mark.parametrize(
    "output, facts",
    [
        ([{"type": "text", "text": "billing"}], {"text": "billing"}),
        ({"raw": '{"topic":"billing"}', "parsed": {"topic": "billing"}}, {"text": '{"topic":"billing"}'}),
        ([{"type": "tool_call", "id": "c1", "name": "topic", "arguments": '{"topic": "billing"}',
           "raw_name": "topic", "raw_arguments": '{"topic": "billing"}'}],
         {"text": None, "calls": [("topic", {"topic": "billing"})]}),
    ],
)  # fmt: skip
def test_data_points_of_tensorzero_are_read(output: Any, facts: dict[str, Any], tmp_path: Path) -> None:
    """As the warehouse exports them: objects as text."""
    home = Home(tmp_path / "home")
    case = Case(
        "tensorzero", jsonl(data_point(output=json.dumps(output))), [TOPIC | {"call_site": "desk.topic"} | facts]
    )
    summary = ingest.run([reported.write(case, tmp_path / "in")], home=home, format="tensorzero", processes=1)
    reported.check(case, summary, home)
