"""Logs of gateways, batches and applications as bug reports show them."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import reported
from tests.fakes.reported import ASK, CLAUDE, CLAUDE_ASK, GEMINI_ASK, TIME, TOPIC, Case, chat, jsonl, topic

pytestmark = pytest.mark.slow


def litellm(response: Any, **more: Any) -> dict[str, Any]:
    row = {"id": "r1", "call_type": "acompletion", "custom_llm_provider": "openai", "model": "gpt-4o-mini"}
    times = {"startTime": 1791192600.0, "endTime": 1791192601.5}
    return row | times | {"status": "success", "messages": ASK, "response": response, "response_cost": 0.001} | more


def spend(**more: Any) -> dict[str, Any]:
    row = {"request_id": "r1", "call_type": "acompletion", "spend": 0.001, "model": "gpt-4o-mini", "metadata": "{}"}
    times = {"startTime": "2026-10-05 09:30:00", "endTime": "2026-10-05 09:30:01"}
    return row | times | {"custom_llm_provider": "openai", "messages": "{}", "response": "{}", "cache_hit": ""} | more


def pair(response: Any, **more: Any) -> dict[str, Any]:
    return {"request": {"model": "gpt-4o-mini", "messages": ASK}, "response": response, "timestamp": TIME} | more


STREAM = [
    {"id": "c", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "bil"}}]},
    {"id": "c", "choices": [{"index": 0, "delta": {"content": "ling"}, "finish_reason": "stop"}]},
    {"id": "c", "choices": [], "usage": {"prompt_tokens": 21, "completion_tokens": 3, "total_tokens": 24}},
]

PASSED_THROUGH = {
    "call_type": "pass_through_endpoint",
    "messages": [{"role": "user", "content": "default-message-value"}],
}
BILLED = {
    "status": "failure",
    "error_str": "APIConnectionError: stream broke",
    "prompt_tokens": 14,
    "completion_tokens": 5,
}

CASES = [
    Case(
        "litellm-placeholder-of-a-passed-through-prompt",
        jsonl(
            litellm(CLAUDE, proxy_server_request={"url": "http://x", "body": CLAUDE_ASK}, **PASSED_THROUGH),
        ),
        [topic(tokens=(21, 100, 0, 3))],
    ),
    *(
        Case(f"litellm-refusal-in-{name}", jsonl(litellm(chat(), **{"request_tags": [], "metadata": {}} | row)), rows)
        for rows in ([topic(consent="false")],)
        for name, row in {
            "a-bare-tag": {"request_tags": ["plan:pro", "no-train"]},
            "the-key": {"metadata": {"user_api_key_auth_metadata": {"training_opt_out": True}}},
            "the-team": {"metadata": {"user_api_key_team_metadata": {"training_opt_out": True}}},
            "a-header": {"metadata": {"requester_custom_headers": {"x-do-not-train": "1"}}},
        }.items()
    ),
    Case(
        "litellm-refusal-outside-of-the-row",
        jsonl({"labels": {"training_consent": "no"}, "message": json.dumps(litellm(chat()))}),
        [topic(consent="no")],
    ),
    Case(
        "refusal-in-the-request-tags-of-an-inference-table",
        jsonl(pair(chat(), request_tags={"team": "a", "consent": "no"})),
        [topic(consent="no")],
    ),
    Case(
        "litellm-failures-with-and-without-a-bill",
        jsonl(
            litellm({}, response_cost=0.0001, **BILLED),
            litellm({}, id="r2", startTime=1791192660.0, endTime=1791192661.0, **BILLED | {"response_cost": 0.0}),
        ),
        [{"failed": True, "tokens": (14, 0, 0, 5), "cost_usd": 0.0001}, {"failed": True, "tokens": None}],
    ),
    Case(
        "litellm-gcs-first-version",
        jsonl(
            {
                "request_kwargs": {
                    "model": "gpt-4o-mini",
                    "messages": ASK,
                    "optional_params": {"temperature": 0.7, "max_tokens": 10, "extra_body": {}},
                },
                "response_obj": chat(),
                "start_time": "2026-10-05 09:30:00",
                "end_time": "2026-10-05 09:30:01",
            }
        ),
        [TOPIC | {"finish_reason": "stop", "tokens": (21, 0, 0, 3), "ts": TIME, "max_tokens": 10}],
    ),
    Case(
        "litellm-cut-in-the-middle",
        jsonl(
            spend(
                messages=[{"role": "user", "content": "aaa ... (litellm_truncated 4096 chars) ... zzz"}],
                response=chat(),
            )
        ),
        [{"text": "billing"}],
        counts={"marks": {"truncated": 1}},
    ),
    Case(
        "litellm-failures-of-every-type",
        jsonl(
            *(
                litellm(response, id=f"f{n}", status="failure", response_cost=0)
                for n, response in enumerate(("Timeout: no answer", ["Timeout"], {"error": "Timeout"}, {}, None))
            ),
            litellm(chat(), id="g"),
        ),
        [*[{"failed": True, "text": None}] * 5, TOPIC],
    ),
    Case(
        "litellm-an-answer-fetched-again",
        jsonl(
            litellm(chat(), call_type="aresponses"),
            *(
                litellm(chat(), id=f"g{n}", call_type=call)
                for n, call in enumerate(
                    ("aget_responses", "adelete_responses", "acancel_responses", "alist_input_items")
                )
            ),
        ),
        [TOPIC | {"id": "r1"}],
        rejected=4,
        counts={"reasons": {"not_chat": 4}},
    ),
    Case("litellm-prompts-not-stored", jsonl(spend()), [{"text": None, "roles": [], "cost_usd": 0.001}]),
    Case(
        "litellm-other-calls-between",
        jsonl(
            litellm(chat()),
            litellm({"data": [{"embedding": [0.1, 0.2]}]}, id="r2", call_type="aembedding", messages="some text"),
            litellm({"results": [{"index": 0, "relevance_score": 0.9}]}, id="r3", call_type="arerank", messages="q"),
            litellm({"text": "hello there"}, id="r4", call_type="atranscription", messages="audio_file"),
        ),
        [TOPIC],
        rejected=3,
        counts={"reasons": {"not_chat": 3}},
    ),
    Case(
        "litellm-redacted-text-object",
        jsonl(litellm({"text": "redacted-by-litellm"}, messages=[{"role": "user", "content": "redacted-by-litellm"}])),
        [{"tokens": None}],
        counts={"marks": {"redacted": 1}},
    ),
    Case(
        "litellm-passthrough-of-anthropic",
        jsonl(
            litellm(
                CLAUDE, call_type="pass_through_endpoint", custom_llm_provider="anthropic", model="claude-haiku-4-5"
            )
        ),
        [TOPIC | {"finish_reason": "stop", "tokens": (21, 100, 0, 3)}],
    ),
    Case(
        "litellm-local-zone",
        jsonl(spend(startTime="2026-10-05 15:00:00.250000+05:30", endTime="2026-10-05T09:30:01Z", response=chat())),
        [{"ts": "2026-10-05T09:30:00.250000+00:00", "latency_ms": 750.0}],
    ),
    Case(
        "litellm-no-choices-of-a-thinking-model",
        jsonl(litellm(chat() | {"choices": []})),
        [{"text": None, "finish_reason": None, "calls": []}],
    ),
    Case(
        "answer-only-in-the-reasoning-field",
        jsonl(litellm(chat(None, message={"reasoning_content": "It is about money."}))),
        [{"text": None, "calls": []}],
        counts={"notes": {"answers with neither text nor tool call (only reasoning, or not logged)": 1}},
    ),
    Case(
        "thinking-in-a-content-list",
        jsonl(
            litellm(
                chat(
                    [
                        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                        {"type": "text", "text": "bil"},
                        {"type": "thinking", "thinking": []},
                        {"type": "text", "text": "ling"},
                    ]
                )
            )
        ),
        [TOPIC],
    ),
    Case(
        "tool-call-that-ends-with-stop",
        jsonl(
            litellm(
                chat(
                    None,
                    message={
                        "tool_calls": [
                            {"id": "t", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}}
                        ]
                    },
                )
            )
        ),
        [{"text": None, "calls": [("f", {"a": 1})]}],
    ),
    Case(
        "text-that-ends-with-tool-calls",
        jsonl(litellm(chat(finish="tool_calls", message={"tool_calls": []}))),
        [TOPIC | {"finish_reason": "stop", "calls": []}],
    ),
    Case(
        "negative-parts-of-usage",
        jsonl(
            litellm(
                chat(
                    usage={
                        "prompt_tokens": 4200,
                        "completion_tokens": 3,
                        "total_tokens": 4203,
                        "prompt_tokens_details": {"text_tokens": -3327, "cached_tokens": 4064},
                    }
                )
            )
        ),
        [{"tokens": (136, 4064, 0, 3)}],
    ),
    Case(
        "cache-hit-with-a-suffixed-id",
        jsonl(
            spend(response=chat(), messages=ASK),
            spend(request_id="r1_cache_hit1791192700.1", cache_hit="True", spend=0.0, response=chat(), messages=ASK),
        ),
        [{"cache_hit": False, "cost_usd": 0.001}, {"cache_hit": True, "cost_usd": 0.0}],
    ),
    Case(
        "helicone-chunks-under-streamed-data",
        jsonl(
            {
                "request_id": "h1",
                "request_created_at": TIME,
                "request_body": {"model": "gpt-4o-mini", "stream": True, "messages": ASK},
                "response_body": {"streamed_data": STREAM},
                "response_status": 200,
            },
            {
                "request_id": "h2",
                "request_created_at": TIME,
                "request_body": {"model": "gpt-4o-mini", "stream": True, "messages": ASK},
                "response_body": {"streamed_data": "".join(f"data: {c}\n\n" for c in map(reported.json.dumps, STREAM))},
                "response_status": 200,
            },
        ),
        [TOPIC | {"id": "h1", "tokens": (21, 0, 0, 3)}, TOPIC | {"id": "h2", "tokens": (21, 0, 0, 3)}],
    ),
    Case(
        "helicone-bodies-nested",
        jsonl(
            {
                "request": {
                    "id": "h1",
                    "created_at": TIME,
                    "body": {"model": "gpt-4o-mini", "messages": ASK},
                    "user_id": "u1",
                },
                "response": {"id": "x", "body": chat(), "status": 200, "delay_ms": 120},
            }
        ),
        [TOPIC | {"ts": TIME, "finish_reason": "stop"}],
    ),
    Case(
        "helicone-cost-of-the-api",
        jsonl(
            {"request_id": "h1", "request_created_at": TIME, "request_body": {"model": "m", "messages": ASK}}
            | {"response_body": chat(), "response_status": 200, "cost": None, "costUSD": 0.0003}
        ),
        [topic(cost_usd=0.0003, logged=True)],
    ),
    Case(
        "bedrock-without-the-input-body",
        jsonl(
            {
                "schemaType": "ModelInvocationLog",
                "schemaVersion": "1.0",
                "timestamp": "2026-10-05T09:30:00Z",
                "requestId": "q1",
                "operation": "InvokeModelWithResponseStream",
                "modelId": "arn:aws:bedrock:us-west-2:1:inference-profile/global.anthropic.claude-haiku-4-5-v1:0",
                "input": {
                    "inputContentType": "application/json",
                    "inputTokenCount": 3,
                    "cacheWriteInputTokenCount": 31,
                },
                "output": {
                    "outputContentType": "application/json",
                    "outputBodyJson": [
                        {
                            "type": "message_start",
                            "message": {"usage": {"input_tokens": 3, "cache_creation_input_tokens": 31}},
                        },
                        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "billing"}},
                        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
                        {"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 3}},
                    ],
                    "outputTokenCount": 3,
                },
            }
        ),
        [{"roles": [], "text": "billing", "tokens": (3, 0, 31, 3)}],
    ),
    Case(
        "names-of-bodies-beside-request-and-response",
        jsonl(
            {
                "requestBody": {"model": "gpt-4o-mini", "messages": ASK},
                "responseBody": chat(),
                "createdAt": 1791192600000,
            },
            {"req": {"model": "gpt-4o-mini", "messages": ASK}, "res": chat("shipping"), "createdAt": 1791192601000},
        ),
        [TOPIC | {"ts": TIME}, TOPIC | {"text": "shipping"}],
    ),
    Case(
        "ollama-and-its-counts",
        jsonl(
            pair(
                {
                    "model": "llama3.1",
                    "message": {"role": "assistant", "content": "billing"},
                    "done": True,
                    "done_reason": "stop",
                    "prompt_eval_count": 21,
                    "eval_count": 3,
                }
            )
        ),
        [TOPIC | {"tokens": (21, 0, 0, 3)}],
    ),
    Case(
        "gemini-cut-while-thinking",
        jsonl(
            {
                "request": GEMINI_ASK,
                "response": {
                    "candidates": [{"content": {"role": "model"}, "finishReason": "MAX_TOKENS"}],
                    "usageMetadata": {"promptTokenCount": 21, "thoughtsTokenCount": 29, "totalTokenCount": 50},
                },
                "timestamp": TIME,
            }
        ),
        [{"text": None, "finish_reason": "length", "tokens": (21, 0, 0, 29)}],
    ),
    Case(
        "no-status-but-an-error-object",
        jsonl(
            pair({"error": {"message": "Rate limit reached", "type": "tokens", "code": "rate_limit_exceeded"}}),
            pair(None, error="timeout"),
        ),
        [{"failed": True, "text": None}, {"failed": True, "text": None}],
    ),
    Case(
        "answers-of-several-choices",
        jsonl(
            pair(
                chat()
                | {
                    "choices": [
                        {"index": 1, "message": {"content": "other"}, "finish_reason": "stop"},
                        {"index": 0, "message": {"content": "billing"}, "finish_reason": "stop"},
                    ]
                }
            )
        ),
        [TOPIC],
    ),
    Case(
        "openrouter-error-inside-a-choice",
        jsonl(
            pair(
                {
                    "id": "g",
                    "choices": [
                        {
                            "index": 0,
                            "message": {"role": "assistant", "content": ""},
                            "finish_reason": "error",
                            "error": {"code": 502, "message": "Upstream overloaded"},
                        }
                    ],
                }
            )
        ),
        [{"failed": True}],
    ),
    Case(
        "stream-that-broke-off",
        jsonl(
            pair(
                "".join(
                    f"data: {c}\n\n"
                    for c in map(
                        reported.json.dumps,
                        [*STREAM[:1], {"error": {"message": "Response payload is not completed", "code": "500"}}],
                    )
                )
            )
        ),
        [{"failed": True}],
    ),
    Case(
        "audio-answers-keep-their-transcript",
        jsonl(
            pair(
                chat(None, message={"audio": {"id": "a", "data": "UklGRg==", "transcript": "billing", "expires_at": 1}})
            )
        ),
        [TOPIC],
    ),
    Case(
        "share-gpt-and-trl-rows",
        {
            "a.jsonl": jsonl(
                {
                    "conversations": [
                        {"from": "system", "value": "Name the topic."},
                        {"from": "human", "value": "I was charged twice"},
                        {"from": "gpt", "value": "billing"},
                    ]
                }
            ),
            "b.jsonl": jsonl({"prompt": ASK, "completion": [{"role": "assistant", "content": "billing"}]}),
        },
        [TOPIC, TOPIC],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_log_is_read_as_reported(case: Case, tmp_path: Path) -> None:
    reported.run(case, tmp_path)
