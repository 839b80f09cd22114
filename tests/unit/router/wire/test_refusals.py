"""Classification of refusals by the server's error."""

from collections.abc import Callable
from functools import partial
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.wire.errors import error_in, error_text, stated_delay_s
from router.wire.refusals import classify_refusal, is_temporary, stated_param
from tests.fakes.growth import assert_linear
from traffic.retry_and_escalation import Refusal


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
        openai_error("the request exceeds the available context size (8192 tokens), try increasing it"),
        openai_error("prompt token count of 140000 exceeds the limit of 128000"),
        openai_error("This model's maximum prompt length is 131072 but the request contains 537812 tokens."),
        openai_error("Your request exceeded model token limit: 262144 (requested: 291351)"),
        openai_error("Prompt exceeds max length"),
        openai_error("The prompt (length 9000) exceeds the model's maximum of 8192 tokens"),
        openai_error("prompt length 9000 exceeds maximum input length 8192"),
        openai_error("Prompt length exceeds the limit."),
        openai_error("The prompt exceeds the context of the model"),
        openai_error("Invalid request: prompt length 9000 exceeds 8192"),
        openai_error("Range of input length should be [1, 129024]"),
        openai_error("Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4097. Given: 5000"),
        openai_error("Input validation error: `inputs` must have less than 8192 tokens. Given: 9000"),
        openai_error("Input length 131393 exceeds the maximum allowed input length of 131040 tokens."),
        openai_error("The number of input tokens (9000) is larger than 8192."),
        openai_error("Your messages have 9000 tokens, more than the limit of 8192."),
        b'{"error": {"code": "1261", "message": "Prompt \\u8d85\\u957f"}}',
        openai_error("输入长度超过模型最大上下文长度限制"),
        openai_error("x", "ContextWindowExceeded"),
        openai_error("Input too long. Max input tokens: 8192"),
        openai_error("Request body too large for gpt-x model. Max size: 8000 tokens.", "tokens_limit_reached"),
        openai_error("Request validation error: max_tokens + prompt length 9000 > 8192"),
        openai_error("The total number of tokens in the prompt 200000 plus max_tokens exceeds the limit of 127072"),
        openai_error("The conversation has 210000 tokens which is over the 200000 token limit"),
        openai_error("You passed 9000 input tokens. However, the model's context is only 8192"),
        openai_error("The input token count is 1100000 but model only supports up to 1048576."),
        openai_error(
            '{"provider": "x", "external_model_error": {"message": "Input is too long for requested model."}}'
        ),
    ],
)
def test_a_prompt_that_is_too_long_is_recognised(body: bytes) -> None:
    assert classify_refusal(400, body) == "context_length"


@pytest.mark.parametrize(
    "body",
    [
        openai_error("x", "content_policy_violation"),
        openai_error("The response was filtered due to the prompt triggering Azure's policy.", "content_filter"),
        openai_error("Invalid prompt: your prompt was flagged as potentially violating our usage policy."),
        anthropic_error("Output blocked by content filtering policy"),
        openai_error("<400> InternalError.DataInspectionFailed: Input text data may contain inappropriate content."),
        openai_error("The input text may contain sensitive information."),
        openai_error("系统检测到输入内容可能包含不安全或敏感内容"),
        openai_error("x", "InputTextSensitiveContentDetected"),
        openai_error("The request violates our usage guidelines."),
        openai_error("The request was considered high risk"),
        openai_error("Harmful content was detected in the prompt."),
        openai_error("The prompt was blocked due to safety reasons"),
        openai_error("Input rejected: hate speech detected"),
        openai_error("Request contains sexual content"),
    ],
)
def test_a_content_policy_refusal_is_recognised(body: bytes) -> None:
    assert classify_refusal(400, body) == "content_policy"


@pytest.mark.parametrize(
    "status, body",
    [
        (401, b""),
        (401, openai_error("context length", "context_length_exceeded")),
        (402, b'{"error": {"message": "Insufficient credits", "code": 402}}'),
        (403, openai_error("Your organization does not have access to this model.")),
        (404, openai_error("The model `x` has been deprecated", "model_not_found")),
        (404, b'{"detail": "Not Found"}'),
        (400, anthropic_error("Your credit balance is too low to access the API.")),
        (400, b'[{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key."}}]'),
        (400, b'{"error": {"message": "gone", "details": [{"reason": "API_KEY_INVALID"}]}}'),
        (400, openai_error("The model `llama3-8b` has been decommissioned.", "model_decommissioned")),
        (400, openai_error("model 'x' not found, try pulling it first")),
        (429, openai_error("You exceeded your current quota", "insufficient_quota")),
        (400, openai_error("Access denied, please make sure your account is in good standing.")),
        (400, openai_error("x", "Arrearage")),
        (429, openai_error("您的账户已欠费，请充值后重试。")),
        (429, openai_error("Your team has used all available credits or reached its monthly spending limit.")),
        (400, openai_error("Your free trial has expired. Please upgrade your plan to continue.")),
        (400, openai_error("Invalid model: mistral-large-9")),
        (400, openai_error("The requested model is not supported.", "model_not_supported")),
        (400, openai_error("User location is not supported for the API use.")),
        (400, openai_error("Your subscription is overdue.")),
        (400, openai_error("Your subscription plan does not include this model")),
        (400, openai_error("This API key is not authorized to use this model")),
        (400, openai_error("Access to model denied")),
        (400, openai_error("accounts/x/models/y is not a valid model ID")),
        (400, openai_error("The supported API model names are a or b, but you passed c")),
        (400, openai_error("The model you requested is offline")),
        (400, openai_error("Model llama is not deployed")),
        (400, openai_error("Insufficient user quota")),
        (400, openai_error("Wallet balance is zero, add funds to continue")),
        (400, openai_error("free trial quota exhausted and postpaid billing is not enabled")),
        (429, b'{"error": {"type": "usage_limit_reached", "message": "no"}}'),
        (429, b'{"error": {"code": "terminal_quota_exhausted", "message": "hard cap"}}'),
    ],
)
def test_an_account_error_is_not_blamed_on_the_request(status: int, body: bytes) -> None:
    assert classify_refusal(status, body) == "account"


@pytest.mark.parametrize(
    "body",
    [
        openai_error("Unsupported parameter: 'max_tokens'", "unsupported_parameter"),
        openai_error("Unsupported value: 'temperature' does not support 0.2 with this model.", "unsupported_value"),
        anthropic_error("temperature: Extra inputs are not permitted"),
        b'{"error": "registry.example/phi does not support tools"}',
        openai_error("At most 0 image(s) may be provided in one prompt."),
        openai_error("This response_format type is unavailable now"),
        openai_error('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'),
        openai_error("gpt-5 models don't support temperature=0.2. Only temperature=1 is supported."),
        openai_error('Invalid JSON payload received. Unknown name "frequency_penalty": Cannot find field.'),
        openai_error("The following fields are not currently supported: ['frequency_penalty']"),
        openai_error("'response_format.type' must be 'json_schema' or 'text'"),
        openai_error("llama-3 is not a multimodal model"),
        openai_error("messages[0].content: invalid type: sequence, expected a string at line 1 column 60"),
        openai_error("Images can only be sent to models with vision."),
        openai_error("Tool use is not available for this model"),
        openai_error("Expected last role User or Tool for serving but got assistant"),
        openai_error("The last message must have role 'user' (a conversation cannot end on an assistant turn)."),
        openai_error("function calling is not enabled for model x"),
        openai_error("model x cannot process image input"),
        openai_error("JSON mode is incompatible with streaming"),
        openai_error("This model only support stream mode"),
        openai_error("The parameter `logit_bias` is not recognized"),
        openai_error("Web search is disabled for this model"),
        openai_error("Prompt caching is not enabled for this model"),
        openai_error("`suffix` is not permitted with this model"),
    ],
)
def test_an_error_that_another_model_may_not_have_is_unsupported(body: bytes) -> None:
    assert classify_refusal(400, body) == "unsupported"


@pytest.mark.parametrize(
    "status, body",
    [
        (400, openai_error("Prompt template exceeds the allowed number of variables.")),
        (400, openai_error("prompt_cache_key exceeds 64 characters")),
        (400, openai_error("The prompt's user name exceeds 64 characters.")),
        (400, b"not JSON"),
        (400, b"3"),
        (400, b'{"error": "bad"}'),
        (400, openai_error("messages[0].content: 'check your billing details: invalid api key' is no label")),
        (
            400,
            msgspec.json.encode({"error": {"message": "too long", "code": "string_above_max_length", "param": "user"}}),
        ),
        (429, openai_error("too many tokens per minute")),
        (429, openai_error("Quota exceeded for quota metric 'requests per minute'. Please retry in 34s.")),
        (429, openai_error("Rate limit exceeded for your plan, 10 requests per minute")),
        (429, openai_error("A trial key is limited to 10 calls / minute. Upgrade to a production key.")),
        (400, openai_error("max_output_tokens (200000) exceeds model maximum output tokens (128000)")),
        (400, openai_error("max_tokens is too large: 200000. This model supports at most 16384 completion tokens.")),
        (400, openai_error("The thinking budget of 40000 tokens exceeds the maximum of 24576.")),
        (400, openai_error("messages.0.content.1.image.source.base64: image exceeds 5 MB maximum")),
        (400, openai_error("Error while downloading https://example.com/sensitive.png.")),
        (400, openai_error("Invalid schema: property names are case-sensitive.")),
        (400, openai_error("The key 'foo' is not allowed in metadata")),
        (400, openai_error("Invalid request: stop sequence length exceeds 32")),
        (400, openai_error("Invalid input: the length of array tools exceeds 128")),
        (400, openai_error("Bad request: messages.3.tool_call_id length exceeds 64")),
        (400, openai_error("Request body exceeds 32 MB")),
        (400, openai_error("tools: Input should have at most 128 items after validation, not 150")),
        (400, openai_error("stop: too many stop sequences (5), at most 4 are allowed")),
        (400, openai_error("messages.3.content: Input should be a valid string, got a model of the user's plan")),
        (400, anthropic_error("messages: final assistant content cannot end with trailing whitespace")),
        (400, openai_error("`max_tokens` must be greater than `thinking.budget_tokens`")),
        (500, openai_error("out of memory")),
    ],
)
def test_other_errors_are_permanent_or_temporary(status: int, body: bytes) -> None:
    assert classify_refusal(status, body) is None


def test_a_moderated_request_is_not_an_account_error() -> None:
    body = b'{"error": {"code": 403, "message": "x requires moderation: your input was flagged for violence"}}'
    assert classify_refusal(403, body) == "content_policy"


def test_a_404_about_one_request_is_not_an_account_error() -> None:
    assert classify_refusal(404, openai_error("No endpoints found that support tool use.")) == "unsupported"
    assert classify_refusal(404, openai_error("No endpoints found for x/y.")) == "account"


def test_a_forbidden_parameter_is_not_an_account_error() -> None:
    body = openai_error("You are not allowed to request logprobs from this model.")
    assert classify_refusal(403, body) == "unsupported"
    assert classify_refusal(403, openai_error("You are not allowed to sample from this model.")) == "account"


@pytest.mark.parametrize(
    "body",
    [
        openai_error("x", "context_length_exceeded"),
        openai_error("request (66202 tokens) exceeds the available context size (65536 tokens), try increasing it"),
    ],
)
def test_a_500_about_the_context_is_a_prompt_that_is_too_long(body: bytes) -> None:
    assert classify_refusal(500, body) == "context_length"


@pytest.mark.parametrize(
    "text, refusal",
    [
        ("Free tier users have to wait for this model", "unknown"),
        ("top_k is not permitted", "unknown"),
        ("The wind blows from the north today", "unknown"),
        ("temperature 5 is out of range", "unknown"),
        ("This model does not allow n above 1", "unknown"),
        ("For this model the web plugin is no longer available", "unknown"),
        ("bad seed", None),
        ("nothing works", None),
        ("content must be a string", None),
        ("messages.0.content.1 is no picture of a cat", None),
        ("All workers are asleep, slow down", None),
    ],
)
def test_an_error_that_blames_nothing_in_the_request_allows_another_endpoint(text: str, refusal: str | None) -> None:
    assert classify_refusal(400, openai_error(text)) == refusal


@pytest.mark.parametrize("text", ["it's my account that was suspended", "it's too many requests for me"])
def test_words_of_the_request_classify_nothing(text: str) -> None:
    sent = msgspec.json.encode({"messages": [{"role": text}]})
    body = openai_error(f"Invalid value: '{text}'")
    assert classify_refusal(400, body, sent) is None
    assert not is_temporary(400, body, sent)


@pytest.mark.parametrize(
    "size, body",
    [
        (20_000, lambda size: openai_error("x", "violat" * size)),
        (20_000, lambda size: b"<title" * size),
        (20_000, lambda size: b"<title>" * size),
        (900, lambda size: b'{"a":' * size + b"1" + b"}" * size),
        (900, lambda size: b'{"message":' * size + b"1" + b"}" * size),
    ],
    ids=["code", "open tags", "tags", "nested", "nested messages"],
)
def test_a_hostile_error_is_read_in_linear_time(size: int, body: Callable[[int], bytes]) -> None:
    assert_linear(lambda parts: partial(classify_refusal, 400, body(parts)), size)


def test_a_delay_in_other_letters_is_none() -> None:
    assert stated_delay_s("try again in 5 milli\u017feconds".encode()) is None


def test_a_request_above_a_limit_per_minute_fits_another_endpoint() -> None:
    body = openai_error("Request too large for model `x` on tokens per minute (TPM): Limit 6000, Requested 9000")
    assert classify_refusal(413, body) == "unsupported"


@pytest.mark.parametrize(
    "body",
    [
        b'{"__type": "ThrottlingException", "message": "Please wait."}',
        openai_error("Too many requests, please wait before trying again."),
        openai_error("Rate limit reached for gpt-4o"),
        openai_error("该模型当前访问量过大，请您稍后再试"),
        b'{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}',
        openai_error("The engine is currently overloaded, please try again later"),
        openai_error("Concurrency limit exceeded for this key"),
        openai_error("The request queue is full"),
        openai_error("Service temporarily unavailable"),
        openai_error("Rate limit of 10 requests per minute exceeded"),
        openai_error("请求过于频繁，请稍后再试"),
        openai_error("Model is loading, please wait"),
        openai_error("All workers are busy"),
        openai_error("Upstream rate limited, retry later"),
        openai_error("Model capacity reached"),
    ],
)
def test_a_4xx_about_load_is_temporary(body: bytes) -> None:
    assert is_temporary(400, body)


@pytest.mark.parametrize(
    "status, body",
    [
        (400, openai_error("The function is overloaded: two tools are called f")),
        (400, openai_error("messages.0: a story about rate limits is no label")),
        (401, openai_error("Invalid API key. Please try again later.")),
        (400, openai_error("Invalid request: see the full documentation")),
        (400, openai_error("Request body limit of 32 MB exceeded")),
        (400, openai_error("Error while downloading the image to the server")),
        (403, openai_error("You do not have permission for downloading this model")),
        (413, openai_error("Request too large on tokens per minute (TPM): Limit 6000. Rate limit reached.")),
    ],
)
def test_other_4xx_are_not(status: int, body: bytes) -> None:
    assert not is_temporary(status, body)


def test_a_413_counts_as_a_prompt_that_is_too_long() -> None:
    assert classify_refusal(413, b"") == "context_length"


@pytest.mark.parametrize(
    "body, text",
    [
        (b'{"error": {"message": "CUDA out of memory", "type": "server_error"}}', "CUDA out of memory"),
        (b'{"error": "temperature must be positive", "error_type": "validation"}', "temperature must be positive"),
        (b'{"object": "error", "message": "flat", "code": 400}', "flat"),
        (b'{"detail": "Not Found"}', "Not Found"),
        (b'{"detail": [{"loc": ["body", "n"], "msg": "too large"}]}', "body.n: too large"),
        (b'[{"error": {"message": "listed", "code": 400}}]', "listed"),
        (b'{"errors": [{"message": "first"}, {"message": "second"}]}', "first; second"),
        (b'{"error": {"error": {"message": "nested"}}}', "nested"),
        (b"<html><head><title>502 Bad Gateway</title></head></html>", "502 Bad Gateway"),
        (b"upstream connect error\n", "upstream connect error"),
        (b'{"error": {"code": "overloaded"}}', "overloaded"),
        (b"", None),
        (b"{}", None),
        (
            openai_error('{"type": "error", "error": {"type": "x", "message": "the provider\'s words"}}'),
            "the provider's words",
        ),
        (
            openai_error('AnthropicException - {"error": {"message": "too hot"}}. Received m'),
            "AnthropicException - too hot",
        ),
        (openai_error("expected {'a': 1}, got {\"a\": 1}"), "expected {'a': 1}, got {\"a\": 1}"),
        (openai_error('{"title": "Rome"} is no schema'), '{"title": "Rome"} is no schema'),
        (openai_error('{"error": {"message": "half a character: \\ud83d"}}'), "half a character: \ufffd"),
    ],
)
def test_error_messages_are_read_in_every_format(body: bytes, text: str | None) -> None:
    assert error_text(body) == text


def test_keys_in_an_error_are_masked() -> None:
    text = error_text(openai_error("Incorrect API key provided: sk-proj-abc123DEF456ghi. Bearer tok_12345678 too"))
    assert text is not None
    assert "abc123" not in text
    assert "tok_1234" not in text


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["error", "message", "detail", "errors", "code", "type", "loc", "msg", "x"]), inner
            )
        ),
    ),
    st.integers(400, 599),
)
def test_any_json_is_parsed_without_an_exception(tree: Any, status: int) -> None:
    body = msgspec.json.encode(tree)
    assert classify_refusal(status, body) in (None, *get_args(Refusal))
    assert error_text(body) is None or isinstance(error_text(body), str)
    assert error_in(tree) is None or isinstance(tree, dict)


@pytest.mark.parametrize(
    "text, refusal",
    [
        ("Budget has been exceeded! Current cost: 10.01, Max budget: 10.0", "account"),
        ("You have reached your specified API usage limits. You will regain access on 2026-12-01.", "account"),
        ("`reasoning_effort` must be one of `none` or `default`", "unsupported"),
        ("reasoning_effort: unknown level 'minimal'", "unsupported"),
        ("`temperature` is deprecated for this model.", "unsupported"),
        ("Model grok-4 does not support parameter reasoningEffort.", "unsupported"),
        ("The model doesn't support the temperature field. Remove temperature and try again.", "unsupported"),
        ("openai does not support parameters: ['temperature'], for model=o3-mini.", "unsupported"),
        ("logprobs are not supported with reasoning models.", "unsupported"),
        ("System message must be at the beginning.", "unsupported"),
        ("the user's reasoning_effort story must be less violent", None),
    ],
)
def test_refusals_of_one_model_or_account_allow_another_endpoint(text: str, refusal: str | None) -> None:
    assert classify_refusal(400, openai_error(text)) == refusal


def test_a_refusal_that_a_gateway_quotes_is_classified_by_the_providers_code() -> None:
    inner = {"error": {"message": "no", "code": "unsupported_parameter", "param": "temperature"}}
    body = openai_error(f"OpenAIException - {msgspec.json.encode(inner).decode()}")
    assert classify_refusal(400, body) == "unsupported"
    assert stated_param(body) == "temperature"


def test_the_providers_message_behind_a_gateway_is_read() -> None:
    error = {"object": "error", "message": "too hot"}
    for raw in (msgspec.json.encode(error).decode(), error, "too hot"):
        body = {"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": raw}}}
        assert error_text(msgspec.json.encode(body)) == "Provider returned error: too hot"


@pytest.mark.parametrize(
    "body, seconds",
    [
        (b'[{"error": {"details": [{"retryDelay": "34.5s"}]}}]', 34.5),
        (openai_error("Limit 9, used 9. Please try again in 1m2.5s. Visit the console."), 62.5),
        (openai_error("Please try again in 20ms."), 0.02),
        (openai_error("Please retry after 7 seconds."), 7),
        (openai_error("Please try again in a moment."), None),
        (openai_error("Please try again in 1 hour, 2 minutes and 3 seconds."), 3723),
        (openai_error("You can retry in 6 months."), None),
        (openai_error("You can try again in 2 days."), 86_400),
        (openai_error(f"Please try again in {'9' * 400}s."), 86_400),
        (b'{"retryDelay": "%ds"}' % 10**400, 86_400),
        (b"<html>retry", None),
    ],
)
def test_a_delay_stated_in_an_error_is_parsed(body: bytes, seconds: float | None) -> None:
    assert stated_delay_s(body) == seconds
