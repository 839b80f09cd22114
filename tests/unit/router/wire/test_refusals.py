"""Why a server refused a request, by what it said."""

import msgspec
import pytest

from router.wire.refusals import classify_refusal


def openai_error(message: str, code: str | None = None) -> bytes:
    return msgspec.json.encode({"error": {"message": message, "type": "invalid_request_error", "code": code}})


def anthropic_error(message: str) -> bytes:
    return msgspec.json.encode({"type": "error", "error": {"type": "invalid_request_error", "message": message}})


@pytest.mark.parametrize(
    "body",
    [
        openai_error("x", "context_length_exceeded"),
        openai_error("This model's maximum context length is 4096 tokens. However, you requested 5000 tokens."),
        openai_error("The decoder prompt (length 9000) is longer than the maximum model length of 8192."),
        openai_error("Please reduce the length of the messages or completion."),
        anthropic_error("prompt is too long: 210000 tokens > 200000 maximum"),
        anthropic_error("input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"),
        b'{"object": "error", "message": "This model\'s maximum context length is 512 tokens.", "code": 400}',
        b'[{"error": {"message": "The input token count (2000000) exceeds the maximum number of tokens allowed."}}]',
    ],
)
def test_a_prompt_that_is_too_long_is_seen(body: bytes) -> None:
    assert classify_refusal(400, body) == "context_length"


@pytest.mark.parametrize(
    "body",
    [
        openai_error("x", "content_policy_violation"),
        openai_error("The response was filtered due to the prompt triggering Azure's policy.", "content_filter"),
        openai_error("Invalid prompt: your prompt was flagged as potentially violating our usage policy."),
        anthropic_error("Output blocked by content filtering policy"),
    ],
)
def test_a_content_policy_is_seen(body: bytes) -> None:
    assert classify_refusal(400, body) == "content_policy"


@pytest.mark.parametrize(
    "status, body",
    [
        (400, openai_error("Unsupported parameter: 'max_tokens'")),
        (400, anthropic_error("temperature: Extra inputs are not permitted")),
        (400, b"not JSON"),
        (400, b"3"),
        (400, b'{"error": "bad"}'),
        (401, openai_error("context length", "context_length_exceeded")),
        (429, openai_error("too many tokens per minute")),
        (500, openai_error("context length", "context_length_exceeded")),
    ],
)
def test_other_errors_are_neither(status: int, body: bytes) -> None:
    assert classify_refusal(status, body) is None


def test_a_body_that_is_too_large_for_the_server_is_too_long() -> None:
    assert classify_refusal(413, b"") == "context_length"
