"""Logs of gateways and tracing products that are read through ready mappings, as their documentation shows them."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import reported
from tests.fakes.reported import ASK, START, TIME, TOPIC, Case, chat, jsonl, topic

pytestmark = pytest.mark.slow

SECONDS = 1791192600
"""`TIME` as an epoch."""
READ = TOPIC | {"ts": TIME, "tokens": (21, 0, 0, 3)}
REQUEST, RESPONSE = json.dumps({"model": "gpt-4o-mini", "messages": ASK}), json.dumps(chat())


def kong(ai: dict[str, Any]) -> dict[str, Any]:
    http = {"request": {"id": "k1", "uri": "/chat", "headers": {}}, "response": {"status": 200, "headers": {}}}
    return {"started_at": SECONDS * 1000, "latencies": {"request": 1500, "proxy": 1400}, "ai": ai, **http}


def sagemaker(encode: Any, encoding: str) -> dict[str, Any]:
    captured = {"observedContentType": "application/json", "encoding": encoding}
    sides = {
        "endpointInput": captured | {"data": encode(REQUEST)},
        "endpointOutput": captured | {"data": encode(RESPONSE)},
    }
    return {"captureData": sides, "eventMetadata": {"eventId": "e1", "inferenceTime": TIME}, "eventVersion": "0"}


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def har(content: dict[str, Any], method: str = "POST", started: str = TIME) -> dict[str, Any]:
    request = {"method": method, "url": "https://x/chat", "headers": [], "postData": {"text": REQUEST}}
    response = {"status": 200, "headers": [], "content": {"size": 9, "mimeType": "application/json"} | content}
    return {"startedDateTime": started, "time": 1500.5, "request": request, "response": response}


def weave(own: str, parent: str | None, op: str, inputs: dict[str, Any], output: Any, **more: Any) -> dict[str, Any]:
    ids = {"id": own, "trace_id": "t1", "parent_id": parent, "op_name": f"weave:///a/b/op/{op}:x"}
    usage = {"usage": {"gpt-4o-mini": {"requests": 1, "prompt_tokens": 21, "completion_tokens": 3}}}
    times = {"started_at": TIME, "ended_at": TIME.replace("00+", "01.5+")}
    return ids | times | {"inputs": inputs, "output": output, "summary": usage, "attributes": {}} | more


def braintrust(kind: str, own: str, parent: str | None, **more: Any) -> dict[str, Any]:
    ids = {"id": own, "span_id": own, "root_span_id": "b1", "span_parents": [parent] if parent else None}
    return ids | {"created": TIME, "span_attributes": {"type": kind, "name": "call"}, "metadata": {}} | more


def opik(own: str, kind: str, **more: Any) -> dict[str, Any]:
    times = {"start_time": TIME, "end_time": TIME.replace("00+", "01.5+")}
    return {"id": own, "trace_id": "t1", "type": kind, "name": "call", "parent_span_id": None} | times | more


def datadog(own: str, parent: str, kind: str = "llm") -> dict[str, Any]:
    counts = {"input_tokens": 121, "output_tokens": 3, "cache_read_input_tokens": 100}
    message = {"input": {"messages": ASK}, "output": {"messages": [{"role": "assistant", "content": "billing"}]}}
    ids = {"trace_id": "t1", "span_id": own, "parent_id": parent, "span_kind": kind, "start_ns": START}
    model = {"model_name": "gpt-4o-mini", "model_provider": "openai", "tags": ["call_site:desk.topic"]}
    return {"id": own, "type": "span", "attributes": ids | model | message | {"metrics": counts}}


def posthog(**properties: Any) -> dict[str, Any]:
    message = {"$ai_input": ASK, "$ai_output_choices": [{"role": "assistant", "content": "billing"}]}
    model = {"$ai_model": "gpt-4o-mini", "$ai_provider": "openai", "$ai_latency": 1.5, "$ai_output_tokens": 3}
    event = {"uuid": "e1", "event": "$ai_generation", "timestamp": TIME, "distinct_id": "u1"}
    return event | {"properties": message | model | properties}


def apim(request: str, number: int = 0, **more: Any) -> dict[str, Any]:
    row = {"CorrelationId": "c1", "TimeGenerated": TIME, "ModelName": "gpt-4o-mini", "SequenceNumber": number}
    counts = {"PromptTokens": 21, "CompletionTokens": 3, "IsStreamCompletion": "False"}
    answer = json.dumps([{"role": "assistant", "content": "billing"}])
    return row | counts | {"RequestMessages": request, "ResponseMessages": answer} | more


def sent(own: str, kind: str = "agent") -> dict[str, Any]:
    """A span as applications send it to Datadog."""
    messages = {"input": {"messages": ASK}, "output": {"messages": [{"role": "assistant", "content": "billing"}]}}
    metrics = {"input_tokens": 21, "output_tokens": 3, "total_cost": 0.0038}
    ids = {"trace_id": "t1", "span_id": own, "parent_id": "undefined", "name": "call"}
    meta = {"kind": kind, "metadata": {"model_name": "gpt-4o-mini"}, **messages}
    return {**ids, "meta": meta, "metrics": metrics, "start_ns": START, "duration": 1500000000}


def oracle(request: dict[str, Any], response: dict[str, Any]) -> dict[str, Any]:
    usage = {"usage": {"promptTokens": 21, "completionTokens": 3, "totalTokens": 24}}
    model = {"modelId": "meta.llama", "modelVersion": "1.0"}
    return {
        "time": TIME,
        "request": {"servingMode": {"servingType": "ON_DEMAND", "modelId": "meta.llama"}, "chatRequest": request},
        "response": model | {"chatResponse": {"apiFormat": "GENERIC", **response, **usage}},
    }


SPOKEN = [{"role": m["role"].upper(), "content": [{"type": "TEXT", "text": m["content"]}]} for m in ASK]
ANSWERED = {"message": {"role": "ASSISTANT", "content": [{"type": "TEXT", "text": "billing"}]}, "finishReason": "stop"}

CASES = [
    Case(
        "datadog-calls-inside-each-other",
        json.dumps(
            {"data": [datadog("a", "undefined", "workflow"), datadog("b", "a"), datadog("c", "b")], "meta": {}}
        ).encode(),
        [topic(id="c", tokens=(21, 100, 0, 3), call_site="desk.topic", provider="openai", ts=TIME)],
        counts={"passed_over": {"request around others": 1, "attributes.span_kind workflow": 1}},
    ),
    Case(
        "posthog-either-way-of-counting-cached-tokens",
        jsonl(
            posthog(**{"$ai_input_tokens": 121, "$ai_cache_read_input_tokens": 100}),
            posthog(
                **{"$ai_input_tokens": 21, "$ai_cache_read_input_tokens": 100, "$ai_cache_reporting_exclusive": True}
            )
            | {"uuid": "e2"},
            posthog() | {"event": "$pageview"},
            posthog(**{"$ai_input": None, "$ai_output_choices": None, "$ai_input_tokens": 21}) | {"uuid": "e3"},
        ),
        [
            *[topic(tokens=(21, 100, 0, 3), latency_ms=1500, user_id="u1")] * 2,
            {"roles": [], "text": None, "tokens": (21, 0, 0, 3)},
        ],
        counts={"passed_over": {"event $pageview": 1}},
    ),
    Case(
        "azures-gateway-spreads-messages-over-rows",
        jsonl(
            apim(json.dumps(ASK)),
            apim(json.dumps(ASK)[50:], 1, CorrelationId="c2"),
            apim(json.dumps(ASK)[:50], CorrelationId="c2", ResponseMessages=""),
            apim("", CorrelationId="c3", ResponseMessages=""),
            apim("", 2, CorrelationId="c3", PromptTokens=0, CompletionTokens=0),
            apim(json.dumps(ASK), 1, CorrelationId="c3", ResponseMessages=None, PromptTokens=0, CompletionTokens=0),
            apim(json.dumps(ASK)[:50], CorrelationId="c4"),
        ),
        [topic(id=name, tokens=(21, 0, 0, 3)) for name in ("c1", "c2", "c3")],
        rejected=1,
        counts={"reasons": {"cut_text": 1}, "passed_over": {"SequenceNumber 1": 2, "SequenceNumber 2": 1}},
    ),
    Case(
        "azures-gateway-spreads-decoded-messages-over-rows",
        jsonl(apim(ASK[:1]), apim(ASK[1:], 1, ResponseMessages=None)),
        [topic(id="c1", tokens=(21, 0, 0, 3))],
    ),
    Case(
        "kong-payloads-with-cost",
        jsonl(
            kong(
                {
                    "proxy": {
                        "payload": {"request": REQUEST, "response": RESPONSE},
                        "usage": {"prompt_tokens": 21, "completion_tokens": 3, "cost": 0.0038},
                        "meta": {"provider_name": "openai", "response_model": "gpt-4o-mini"},
                        "cache": {"cache_status": "Miss"},
                    }
                }
            )
        ),
        [READ | {"cost_usd": 0.0038, "provider": "openai", "latency_ms": 1500.0}],
    ),
    Case(
        "kong-one-object-for-each-plugin",
        jsonl(
            kong(
                {
                    "payload": {"request": REQUEST},
                    "ai-proxy": {
                        "payload": {"response": RESPONSE},
                        "usage": {"prompt_token": 21, "completion_token": 3, "total_tokens": 24, "cost": 0.0038},
                        "meta": {"provider_name": "azure", "response_model": "gpt-4o-mini"},
                        "cache": {"cache_status": "Hit"},
                    },
                }
            )
        ),
        [READ | {"provider": "azure", "cache_hit": True}],
    ),
    Case(
        "kong-without-payloads",
        jsonl(
            kong({"proxy": {"usage": {"prompt_tokens": 21, "completion_tokens": 3}, "meta": {"request_model": "m"}}})
        ),
        [{"asked": None, "text": None, "model": "m", "tokens": (21, 0, 0, 3)}],
    ),
    Case(
        "apisix-http-logger",
        jsonl(
            {
                "start_time": SECONDS * 1000,
                "latency": 412.5,
                "apisix_latency": 12.5,
                "route_id": "1",
                "request": {"uri": "/chat", "method": "POST", "headers": {}, "body": REQUEST},
                "response": {"status": 200, "headers": {}, "body": RESPONSE},
            }
        ),
        [READ | {"latency_ms": 412.5, "status": 200}],
    ),
    Case(
        "browser-archive",
        json.dumps(
            {
                "log": {
                    "version": "1.2",
                    "entries": [
                        har({}, "GET"),
                        har({"text": RESPONSE}),
                        har({"text": encoded(RESPONSE), "encoding": "base64"}, started="2026-10-05T09:31:00.000Z"),
                    ],
                }
            }
        ).encode(),
        [READ | {"latency_ms": 1500.5}, TOPIC],
        counts={"passed_over": {"request.method GET": 1}},
    ),
    Case(
        "sagemaker-captured-bodies",
        jsonl(
            sagemaker(str, "JSON"),
            sagemaker(encoded, "BASE64") | {"eventMetadata": {"eventId": "e2", "inferenceTime": TIME}},
        ),
        [READ | {"id": "e1"}, READ | {"id": "e2"}],
    ),
    Case(
        "weave-calls-inside-functions",
        jsonl(
            weave("p", None, "predict", {"question": "q"}, "billing"),
            weave("r", "p", "retrieve", {"messages": []}, ["d"], summary={}),
            weave(
                "c",
                "p",
                "openai.chat.completions.create",
                {"self": "weave:///a/b/object/C:q", "model": "gpt-4o-mini", "messages": ASK},
                chat(),
            ),
        ),
        [READ | {"id": "c", "latency_ms": 1500.0, "trace_id": "t1"}],
    ),
    Case(
        "braintrust-spans",
        jsonl(
            braintrust("task", "b1", None, input={"q": 1}, output="billing", metrics={"start": SECONDS}),
            braintrust(
                "llm",
                "b2",
                "b1",
                input=ASK,
                output=chat()["choices"],
                metadata={"model": "gpt-4o-mini", "provider": "openai", "temperature": 0, "call_site": "desk.topic"},
                metrics={
                    "start": SECONDS,
                    "end": SECONDS + 1.5,
                    "time_to_first_token": 0.25,
                    "prompt_tokens": 121,
                    "completion_tokens": 3,
                    "prompt_cached_tokens": 90,
                    "prompt_cache_creation_tokens": 10,
                },
            ),
        ),
        [
            TOPIC
            | {"id": "b2", "ts": TIME, "tokens": (21, 90, 10, 3), "latency_ms": 1500.0, "ttft_ms": 250.0}
            | {"call_site": "desk.topic", "temperature": 0.0, "finish_reason": "stop"}
        ],
        counts={"passed_over": {"span_attributes.type task": 1}},
    ),
    Case(
        "opik-traces",
        {
            "trace_1.json": json.dumps(
                {
                    "trace": {"id": "t1", "name": "chat", "start_time": TIME, "input": {"q": 1}},
                    "spans": [
                        opik("g", "general", input={"q": 1}, output={"a": "billing"}),
                        opik(
                            "l",
                            "llm",
                            input={"messages": ASK},
                            output={"choices": chat()["choices"]},
                            model="gpt-4o-mini",
                            provider="openai",
                            usage={"prompt_tokens": 21, "completion_tokens": 3, "total_tokens": 24},
                            total_estimated_cost=0.0001,
                        ),
                    ],
                }
            ).encode()
        },
        [READ | {"id": "l", "cost_usd": 0.0001, "latency_ms": 1500.0}],
        counts={"passed_over": {"type general": 1}},
    ),
    Case(
        "datadog-durations-in-nanoseconds",
        jsonl(
            {
                "id": "d1",
                "attributes": {
                    "span_id": "s1",
                    "trace_id": "t1",
                    "span_kind": "llm",
                    "model_name": "gpt-4o-mini",
                    "start_ms": SECONDS * 1000,
                    "duration": 1500000000,
                    "input": {"messages": ASK},
                    "output": {"messages": [{"role": "assistant", "content": "billing"}]},
                    "metrics": {"input_tokens": 21, "output_tokens": 3},
                },
            }
        ),
        [READ | {"latency_ms": 1500.0}],
    ),
    Case(
        "datadog-spans-as-applications-send-them",
        json.dumps(
            {"data": {"type": "span", "attributes": {"ml_app": "desk", "spans": [sent("a"), sent("b", "llm")]}}}
        ).encode(),
        [READ | {"id": "b", "latency_ms": 1500.0, "cost_usd": 0.0038}],
        counts={"passed_over": {"meta.kind agent": 1}},
    ),
    Case(
        "oracle-bodies-inside-a-serving-mode",
        jsonl(
            oracle({"messages": SPOKEN, "maxTokens": 20}, {"choices": [{"index": 0, **ANSWERED}]}),
            oracle(
                {"message": ASK[-1]["content"], "preambleOverride": ASK[0]["content"], "chatHistory": []},
                {"text": "billing", "finishReason": "COMPLETE"},
            ),
        ),
        [READ | {"model": "meta.llama", "finish_reason": "stop"}] * 2,
    ),
    Case(
        "sagemaker-parameters-inside-the-body",
        jsonl(sagemaker(lambda body: json.dumps(json.loads(body) | {"parameters": {"max_new_tokens": 20}}), "JSON")),
        [READ | {"max_tokens": 20}],
    ),
    *(
        Case(
            f"posthog-cache-writes-{'beside' if beside else 'inside'}",
            jsonl(
                {
                    "uuid": "e1",
                    "event": "$ai_generation",
                    "timestamp": TIME,
                    "distinct_id": "u1",
                    "properties": {
                        "$ai_model": "claude-haiku-4-5",
                        "$ai_provider": "anthropic",
                        "$ai_input": ASK,
                        "$ai_output_choices": [{"role": "assistant", "content": "billing"}],
                        "$ai_output_tokens": 3,
                        "$ai_input_tokens": 21 if beside else 121,
                        "$ai_cache_read_input_tokens": 90,
                        "$ai_cache_creation_input_tokens": 10,
                        "$ai_cache_reporting_exclusive": beside,
                    },
                }
            ),
            [TOPIC | {"tokens": (21, 90, 10, 3)}],
        )
        for beside in (True, False)
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_documented_rows_are_read_into_the_expected_records(case: Case, tmp_path: Path) -> None:
    reported.run(case, tmp_path)
