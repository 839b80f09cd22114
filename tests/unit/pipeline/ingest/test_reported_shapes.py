"""Bodies and rows of known APIs and tracers in less usual shapes, as bug reports and documentation show them."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import reported
from tests.fakes.reported import (
    ASK,
    BILLING,
    CLAUDE_ASK,
    GEMINI,
    GEMINI_ASK,
    REQUEST,
    START,
    TIME,
    Case,
    chat,
    jsonl,
    pair,
    topic,
)

pytestmark = pytest.mark.slow

ASKED = "I was charged twice"
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}


def sse(*events: dict[str, Any]) -> str:
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)


def bedrock(model: str, given: Any, made: Any) -> dict[str, Any]:
    return {
        "schemaType": "ModelInvocationLog",
        "timestamp": TIME,
        "requestId": "r1",
        "operation": "InvokeModel",
        "modelId": model,
        "input": {"inputBodyJson": given, "inputTokenCount": 21},
        "output": {"outputBodyJson": made, "outputTokenCount": 3},
    }


def chunk(text: str, stop: str | None) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "stop_reason": stop}
    return {"id": "c1", "object": "chat.completion.chunk", "model": "mistral-large", "choices": [choice]}


def responses(*items: dict[str, Any]) -> dict[str, Any]:
    message = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "billing"}]}
    usage = {"input_tokens": 21, "output_tokens": 3, "total_tokens": 24}
    return {"object": "response", "status": "completed", "output": [*items, message], "usage": usage}


def search(action: str) -> dict[str, Any]:
    return {"type": "web_search_call", "status": "completed", "action": {"type": action}}


def ollama(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "llama3.1", "message": {"role": "assistant", "content": text}, "done": bool(more)} | more


def span(attributes: dict[str, Any], span_id: str = "b") -> dict[str, Any]:
    kinds: dict[type, str] = {str: "stringValue", int: "intValue", float: "doubleValue"}
    listed = [{"key": k, "value": {kinds[type(v)]: str(v) if type(v) is int else v}} for k, v in attributes.items()]
    ids = {"traceId": "a" * 32, "spanId": span_id * 16, "name": "chat", "startTimeUnixNano": str(START)}
    return {"resourceSpans": [{"scopeSpans": [{"spans": [{**ids, "attributes": listed}]}]}]}


CUSTOM_CALL = {"type": "custom_tool_call", "call_id": "c1", "name": "run", "input": "1"}
TOKENS = [
    {"token": {"text": "bil"}, "generated_text": None, "details": None},
    {"token": {"text": "ling"}, "generated_text": None, "details": None},
    {"token": {"text": "</s>", "special": True}, "generated_text": "billing", "details": {"finish_reason": "length"}},
]
BODIES = [
    Case(
        "streams-that-fail-before-the-first-piece",
        jsonl(pair(sse(OVERLOADED), {**CLAUDE_ASK, "stream": True}), pair([{"error": {"message": "no capacity"}}])),
        [{"failed": True, "error": "overloaded_error: Overloaded"}, {"failed": True, "error": "no capacity"}],
    ),
    Case(
        "mistral-chunks-name-their-pieces-messages",
        jsonl(bedrock("mistral.mistral-large", {"messages": ASK}, [chunk("bil", None), chunk("ling", "stop")])),
        [topic(finish_reason="stop", tokens=(21, 0, 0, 3))],
    ),
    Case(
        "mistral-chunks-of-outputs",
        jsonl(
            bedrock(
                "mistral.mistral-7b",
                {"prompt": ASKED},
                [
                    {"outputs": [{"text": "bil", "stop_reason": None}]},
                    {"outputs": [{"text": "ling", "stop_reason": "length"}]},
                ],
            )
        ),
        [{"text": "billing", "finish_reason": "length"}],
    ),
    Case(
        "llama-chunks-state-the-prompt-count-once",
        jsonl(
            bedrock(
                "meta.llama3",
                {"prompt": ASKED},
                [
                    {"generation": "bil", "prompt_token_count": 30, "generation_token_count": 1},
                    {
                        "generation": "ling",
                        "prompt_token_count": None,
                        "generation_token_count": 3,
                        "stop_reason": "stop",
                    },
                ],
            )
        ),
        [{"text": "billing", "tokens": (30, 0, 0, 3)}],
    ),
    Case(
        "stop-reason-of-a-choice-is-a-word-on-bedrock-and-a-token-of-vllm",
        jsonl(
            bedrock("deepseek.r1", {"prompt": ASKED}, {"choices": [{"text": "billing", "stop_reason": "length"}]}),
            pair({"choices": [{"message": {"content": "billing"}, "finish_reason": "stop", "stop_reason": 151645}]}),
        ),
        [{"finish_reason": "stop"}, {"finish_reason": "length"}],
    ),
    Case(
        "cohere-history-and-preamble",
        jsonl(
            bedrock(
                "cohere.command-r",
                {
                    "preamble": "Name the topic.",
                    "chat_history": [{"role": "USER", "message": "hi"}, {"role": "CHATBOT", "message": "hello"}],
                    "message": ASKED,
                },
                {"text": "billing", "finish_reason": "COMPLETE"},
            )
        ),
        [topic(roles=["system", "user", "assistant", "user"], finish_reason="stop")],
    ),
    Case(
        "ollama-options-cached-tokens-and-streams-of-lines",
        jsonl(
            pair(
                ollama("billing", done_reason="length", prompt_eval_count=21, prompt_eval_cached_count=8, eval_count=3),
                {"model": "llama3.1", "messages": ASK, "options": {"num_predict": 9}},
            ),
            pair(
                "\n".join(
                    map(json.dumps, [ollama("bil"), ollama("ling"), ollama("", prompt_eval_count=21, eval_count=3)])
                ),
                {"model": "llama3.1", "prompt": ASKED, "system": "Name the topic."},
                timestamp="2026-10-05T09:30:01Z",
            ),
        ),
        [topic(tokens=(13, 8, 0, 3), max_tokens=9, finish_reason="length"), topic(tokens=(21, 0, 0, 3))],
    ),
    Case(
        "gemini-parts-without-a-list-and-instructions-in-the-configuration",
        jsonl(
            pair(
                GEMINI,
                {
                    "contents": [{"role": "user", "parts": {"text": ASKED}}],
                    "system_instruction": {"parts": {"text": "Name the topic."}},
                },
            ),
            pair(
                GEMINI,
                {"contents": ASKED, "config": {"system_instruction": "Name the topic.", "max_output_tokens": 9}},
                timestamp="2026-10-05T09:30:01Z",
            ),
        ),
        [topic(), topic(max_tokens=9)],
    ),
    Case(
        "gemini-calls-end-with-stop",
        jsonl(
            pair(
                {
                    "candidates": [
                        {"content": {"parts": [{"functionCall": {"name": "f", "args": {}}}]}, "finishReason": "STOP"}
                    ]
                },
                GEMINI_ASK,
            )
        ),
        [{"calls": [("f", {})], "finish_reason": "tool_calls"}],
    ),
    Case(
        "web-searches-are-output-items",
        jsonl(
            pair(responses(search("search"), search("open_page"), search("search")), {"model": "gpt-5", "input": ASKED})
        ),
        [{"text": "billing", "searches": 2, "tokens": (21, 0, 0, 3)}],
    ),
    Case(
        "tools-that-take-text",
        jsonl(
            pair(
                {"object": "response", "status": "completed", "output": [CUSTOM_CALL]},
                {"model": "gpt-5", "input": ASKED},
            ),
            pair(
                chat(
                    None,
                    message={"tool_calls": [{"id": "x", "type": "custom", "custom": {"name": "run", "input": "1"}}]},
                ),
                {**REQUEST, "tools": [{"type": "custom", "custom": {"name": "run"}}]},
                timestamp="2026-10-05T09:30:01Z",
            ),
        ),
        [{"calls": [("run", {"input": "1"})], "finish_reason": "tool_calls"}, {"calls": [("run", {"input": "1"})]}],
    ),
    Case(
        "tokens-of-tgi-streams",
        jsonl(
            pair(
                "".join(f"data:{json.dumps(event)}\n\n" for event in TOKENS),
                {"inputs": ASKED, "parameters": {}},
            )
        ),
        [{"text": "billing", "finish_reason": "length"}],
    ),
    Case(
        "langchain-counts-inside-the-message",
        jsonl(
            {
                "id": "l1",
                "run_type": "llm",
                "start_time": TIME,
                "inputs": {"messages": ASK},
                "outputs": {
                    "message": {
                        "type": "ai",
                        "content": "billing",
                        "usage_metadata": {"input_tokens": 21, "output_tokens": 3, "total_tokens": 24},
                    }
                },
            }
        ),
        [topic(tokens=(21, 0, 0, 3))],
    ),
]

ROWS = [
    Case(
        "errors-of-spend-logs-are-in-the-metadata",
        jsonl(
            {
                "request_id": "s1",
                "call_type": "acompletion",
                "spend": 0,
                "startTime": TIME,
                "endTime": TIME,
                "model": "gpt-4o-mini",
                "messages": ASK,
                "response": {},
                "status": "failure",
                "metadata": json.dumps(
                    {
                        "error_information": {
                            "error_code": 429,
                            "error_class": "RateLimitError",
                            "error_message": "quota",
                        }
                    }
                ),
            }
        ),
        [{"status": 429, "error": "RateLimitError: quota"}],
    ),
    Case(
        "batches-of-gemini-in-two-files",
        {
            "in.jsonl": jsonl({"key": "k1", "request": GEMINI_ASK}, {"key": "k2", "request": GEMINI_ASK}),
            "out.jsonl": jsonl(
                {"key": "k1", "response": GEMINI}, {"key": "k2", "error": {"code": 8, "message": "quota"}}
            ),
        },
        [{"text": "billing", "asked": ASKED}, {"failed": True, "asked": ASKED}],
    ),
    Case(
        "status-of-a-vertex-batch-row-is-words-and-an-object",
        jsonl(
            {
                "status": 'Bad Request: {"error": {"code": 400, "message": "bad part"}}',
                "processed_time": TIME,
                "request": GEMINI_ASK,
                "response": {},
            }
        ),
        [{"status": 400, "asked": ASKED}],
    ),
    Case(
        "costs-with-a-currency-sign-or-in-parts",
        jsonl(
            pair(cost="$0.0021"),
            pair(cost={"input": 0.001, "output": 0.002, "total": 0.003}, timestamp="2026-10-05T09:30:01Z"),
        ),
        [{"cost_usd": 0.0021}, {"cost_usd": 0.003}],
    ),
    Case(
        "times-with-slashes-that-are-not-ambiguous",
        jsonl(
            pair(timestamp="2026/10/05 09:30:00"),
            {"EventTime": "10/5/2026 9:30:01 AM", "requestbody": REQUEST, "responsebody": chat()},
            pair(timestamp="10/5/2026, 1:30:00.500 PM"),
        ),
        [{"ts": TIME}, {"ts": "2026-10-05T09:30:01+00:00"}, {"ts": "2026-10-05T13:30:00.500000+00:00"}],
    ),
    Case(
        "tags-in-camel-case-and-under-names-of-gateways",
        jsonl(
            pair(metadata={"sessionId": "s1", "_user": "u1", "useCase": "mail.sort"}),
            span(
                {
                    "ai.operationId": "ai.generateText.doGenerate",
                    "ai.telemetry.functionId": "mail.sort",
                    "ai.model.id": "gpt-4o-mini",
                    "ai.prompt.messages": json.dumps(ASK),
                    "ai.response.text": "billing",
                }
            ),
            span(
                {
                    "openinference.span.kind": "LLM",
                    "llm.model_name": "gpt-4o-mini",
                    "input.value": json.dumps({"messages": ASK}),
                    "output.value": "billing",
                    "metadata": json.dumps({"call_site": "mail.sort"}),
                    "llm.cost.total": 0.25,
                },
                span_id="c",
            ),
        ),
        [
            {"call_site": "mail.sort"},
            {"call_site": "mail.sort", "cost_usd": 0.25},
            {"call_site": "mail.sort", "session_id": "s1", "user_id": "u1"},
        ],
    ),
    Case(
        "cloudflare-names-of-prompt-and-answer",
        jsonl(
            span(
                {
                    "gen_ai.request.model": "gpt-4o-mini",
                    "gen_ai.prompt_json": json.dumps(ASK),
                    "gen_ai.completion_json": json.dumps([BILLING]),
                    "gen_ai.usage.total_cost": 0.25,
                }
            )
        ),
        [topic(cost_usd=0.25)],
    ),
    Case(
        "spans-of-zipkin",
        json.dumps(
            [
                [
                    {"traceId": "t1", "id": "s0", "name": "GET /", "tags": {"http.method": "GET"}},
                    {
                        "traceId": "t1",
                        "id": "s1",
                        "parentId": "s0",
                        "timestamp": START // 1000,
                        "duration": 1_500_000,
                        "tags": {
                            "gen_ai.request.model": "gpt-4o-mini",
                            "gen_ai.input.messages": json.dumps(ASK),
                            "gen_ai.output.messages": json.dumps([BILLING]),
                            "gen_ai.usage.input_tokens": "21",
                            "gen_ai.usage.output_tokens": "3",
                        },
                    },
                ]
            ]
        ).encode(),
        [topic(ts=TIME, latency_ms=1500.0, tokens=(21, 0, 0, 3))],
    ),
    Case(
        "spans-of-jaeger",
        json.dumps(
            {
                "data": [
                    {
                        "traceID": "t1",
                        "spans": [
                            {
                                "traceID": "t1",
                                "spanID": "s1",
                                "operationName": "chat",
                                "startTime": START // 1000,
                                "duration": 1_500_000,
                                "tags": [
                                    {"key": "gen_ai.request.model", "type": "string", "value": "gpt-4o-mini"},
                                    {"key": "gen_ai.input.messages", "type": "string", "value": json.dumps(ASK)},
                                    {"key": "gen_ai.output.messages", "type": "string", "value": json.dumps([BILLING])},
                                ],
                            }
                        ],
                    }
                ]
            }
        ).encode(),
        [topic(ts=TIME, latency_ms=1500.0)],
    ),
    Case(
        "why-a-choice-ended-is-beside-its-message",
        jsonl(
            {
                "traceId": "t1",
                "spanId": "s1",
                "start_time": TIME,
                "attributes": {"gen_ai.request.model": "gpt-4o-mini"},
                "events": [
                    {"name": "gen_ai.user.message", "attributes": {"content": ASKED}},
                    {
                        "name": "gen_ai.choice",
                        "attributes": {"finish_reason": "length", "message": json.dumps(BILLING)},
                    },
                ],
            }
        ),
        [{"text": "billing", "asked": ASKED, "finish_reason": "length"}],
    ),
    Case(
        "consent-by-the-use-of-the-data",
        jsonl(
            pair(metadata={"usedForTraining": "No"}),
            pair(metadata={"include_in_training": False}, timestamp=1791192601),
        ),
        [{"consent": "No"}, {"consent": "false"}],
    ),
    Case(
        "recorder-with-a-response-time",
        jsonl(
            {
                "timestamp": TIME,
                "request": {"url": "u", "method": "POST", "body": REQUEST},
                "response": {"status": 200, "body": chat(), "response_time": 950},
            }
        ),
        [topic(latency_ms=950.0)],
    ),
]


@pytest.mark.parametrize("case", [*BODIES, *ROWS], ids=lambda case: case.name)
def test_rows_in_less_usual_shapes_are_read_into_the_expected_records(case: Case, tmp_path: Path) -> None:
    reported.run(case, tmp_path)
