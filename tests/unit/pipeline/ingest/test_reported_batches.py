"""Batches of providers as bug reports show them."""

from pathlib import Path

import pytest

from tests.fakes import reported
from tests.fakes.reported import CLAUDE, CLAUDE_ASK, GEMINI, GEMINI_ASK, TIME, TOPIC, Case, chat, jsonl

pytestmark = pytest.mark.slow


CASES = [
    Case(
        "batch-errors-in-the-body",
        jsonl(
            {
                "id": "b1",
                "custom_id": "q5",
                "response": {
                    "status_code": 400,
                    "request_id": "x",
                    "body": {
                        "error": {"message": "max_tokens is too large", "type": "invalid_request_error", "code": None}
                    },
                },
                "error": None,
            },
            {
                "id": "b2",
                "custom_id": "q6",
                "response": None,
                "error": {
                    "code": "batch_expired",
                    "message": "This request could not be executed before the window closed.",
                },
            },
            {
                "id": "b3",
                "custom_id": "q7",
                "response": {"status_code": 200, "request_id": "y", "body": chat(created=1791192600)},
                "error": None,
            },
        ),
        [
            {"id": "b3", "text": "billing", "status": 200},
            {"id": "b1", "text": None, "status": 400},
            {"id": "b2", "text": None, "failed": True},
        ],
    ),
    Case(
        "batch-of-responses-and-embeddings",
        jsonl(
            {
                "id": "b1",
                "custom_id": "a",
                "response": {
                    "status_code": 200,
                    "body": {
                        "object": "response",
                        "created_at": 1791192600,
                        "status": "completed",
                        "output": [
                            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
                            {
                                "type": "message",
                                "role": "assistant",
                                "content": [{"type": "output_text", "text": "billing"}],
                            },
                        ],
                        "usage": {
                            "input_tokens": 21,
                            "output_tokens": 64,
                            "output_tokens_details": {"reasoning_tokens": 61},
                        },
                    },
                },
                "error": None,
            },
            {
                "id": "b2",
                "custom_id": "b",
                "response": {
                    "status_code": 200,
                    "body": {"object": "list", "data": [{"object": "embedding", "embedding": [0.1]}]},
                },
                "error": None,
            },
        ),
        [{"text": "billing", "finish_reason": "stop", "tokens": (21, 0, 0, 64)}],
        rejected=1,
        counts={"reasons": {"not_chat": 1}},
    ),
    Case(
        "gemini-batch-by-key",
        jsonl({"key": "q1", "request": GEMINI_ASK, "response": GEMINI}),
        [{"asked": "I was charged twice", "text": "billing", "tokens": (21, 0, 0, 3)}],
    ),
    Case(
        "vertex-batch-prediction",
        jsonl(
            {
                "request": GEMINI_ASK,
                "status": "",
                "response": GEMINI,
                "processed_time": "2026-10-05T09:30:00.000+00:00",
            },
            {
                "request": GEMINI_ASK,
                "status": "Bad Request: 400",
                "response": {},
                "processed_time": "2026-10-05T09:31:00.000+00:00",
            },
        ),
        [
            {"text": "billing", "ts": TIME, "status": 200},
            {"text": None, "failed": True, "ts": "2026-10-05T09:31:00+00:00"},
        ],
    ),
    Case(
        "bedrock-batch-inference",
        jsonl(
            {"recordId": "CALL1", "modelInput": CLAUDE_ASK, "modelOutput": CLAUDE},
            {
                "recordId": "CALL2",
                "modelInput": CLAUDE_ASK,
                "error": {
                    "errorCode": 400,
                    "errorMessage": "model is not supported",
                    "expired": False,
                    "retryable": False,
                },
            },
        ),
        [
            TOPIC | {"id": "CALL1", "max_tokens": 9, "tokens": (21, 100, 0, 3)},
            {"id": "CALL2", "text": None, "failed": True},
        ],
    ),
    Case(
        "anthropic-batch-that-ended-badly",
        jsonl(
            {
                "custom_id": "a",
                "result": {
                    "type": "errored",
                    "error": {
                        "type": "error",
                        "error": {"type": "invalid_request_error", "message": "max_tokens: too large"},
                    },
                },
            },
            {"custom_id": "b", "result": {"type": "canceled"}},
            {"custom_id": "c", "result": {"type": "expired"}},
            {"custom_id": "d", "result": {"type": "succeeded", "message": CLAUDE}},
        ),
        [
            {"id": "a", "failed": True, "error": "invalid_request_error: max_tokens: too large"},
            {"id": "b", "failed": True, "error": "canceled"},
            {"id": "c", "failed": True, "error": "expired"},
            {"id": "d", "failed": False, "text": "billing"},
        ],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_log_is_read_as_reported(case: Case, tmp_path: Path) -> None:
    reported.run(case, tmp_path)
