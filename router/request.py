"""A client's request: the fields that the router uses, and the original body.

Rules, templates and the log see every request as an OpenAI chat completion; `native` is the original body of another
dialect. The call site is taken from the header `x-fasttier-call-site`, else from the body's `metadata` (`call_site`,
`feature`); the other tags only from `metadata`: `plan`, `language`, `user_id`, `customer_id`, `session_id`, `trace_id`.
"""

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Literal

import msgspec

from traffic.features import estimate_tokens
from traffic.loose_json import encode
from traffic.record import Message, Output, Params, Usage

CALL_SITE_HEADER = b"x-fasttier-call-site"
DEADLINE_HEADER = b"x-fasttier-deadline-ms"
MAX_CALL_SITE_CHARS = 200
COHORT_KEYS = ("plan", "language")
_TAGS = frozenset({"call_site", "feature", *COHORT_KEYS, "user_id", "customer_id", "session_id", "trace_id"})

Dialect = Literal["openai", "anthropic", "responses", "completions", "embeddings"]
"""A client's protocol: chat completions, Anthropic's messages, responses, and two of OpenAI's that are forwarded."""


class BadRequest(ValueError):
    """The client's request is invalid; the message says why."""


class StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool | None = None


class Body(msgspec.Struct, frozen=True):
    """The fields of the body that the router uses."""

    messages: Sequence[Message]
    model: str | None = None
    tools: list[dict[str, Any]] | None = None
    functions: list[dict[str, Any]] | None = None
    """The deprecated form of `tools`."""
    response_format: dict[str, Any] | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    metadata: dict[str, Any] | None = None
    user: str | int | None = None


class PlainMessage(Message, frozen=True, forbid_unknown_fields=True):
    """A message with only a role and a text, like most."""

    content: str
    tool_calls: None = None


class PlainBody(Body, frozen=True):
    """A body whose messages are decoded completely."""

    messages: Sequence[PlainMessage]


# Ids must be unique but not secret: the system's secure generator needs a system call each time.
_random_bits = random.Random().getrandbits
_decode = msgspec.json.Decoder(Body).decode
_decode_plain = msgspec.json.Decoder(PlainBody).decode
_decode_tree = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

_STATED = frozenset(
    {"messages", "model", "tools", "response_format", "max_tokens", "max_completion_tokens", "temperature"}
    | {"stream", "metadata", "user"}
)
"""Parameters with a separate field in a record."""


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One parsed request."""

    id: str
    """Shared by all its attempts."""
    ts: datetime
    body: Body
    tree: dict[str, msgspec.Raw]
    """Every field, undecoded."""
    call_site: str | None
    cohort: dict[str, str]
    user_id: str | None
    customer_id: str | None
    session_id: str | None
    trace_id: str | None
    dialect: Dialect = "openai"
    native: dict[str, msgspec.Raw] = {}
    """Every field of the original body, undecoded, if it was not a chat completion."""
    native_headers: dict[str, str] = {}
    """Headers of the client's dialect, such as `anthropic-version`."""
    untranslated: tuple[str, ...] = ()
    """Parameters without an equivalent in chat completions."""
    left_out: tuple[str, ...] = ()
    """Dropped hints without an equivalent in chat completions; the answer is correct without them."""
    params: Params
    """Parameters for rules and log."""
    deadline_s: float | None = None
    """Time that the client waits: the header `x-fasttier-deadline-ms`, or the read timeout sent by OpenAI's SDKs."""

    @property
    def stream(self) -> bool:
        return bool(self.body.stream)

    @property
    def wants_usage(self) -> bool:
        """Whether to send usage: in a stream only on request."""
        return self.body.stream_options is not None and bool(self.body.stream_options.include_usage)

    @property
    def tools(self) -> list[dict[str, Any]] | None:
        return self.body.tools or self.body.functions

    @property
    def cap(self) -> int | None:
        """The client's cap on output tokens."""
        return self.params.max_tokens

    def value(self, key: str) -> Any:
        """A parameter of the body, decoded; None if it is missing."""
        return msgspec.json.decode(self.tree[key]) if key in self.tree else None

    def estimated_usage(self, output: Output) -> Usage:
        """Usage by the lengths of prompt and answer, for an answer without stated usage."""
        prompt = estimate_tokens([message.text for message in self.body.messages])
        prompt += sum(len(encode(tool)) // 4 for tool in self.tools or ())
        answer_chars = len(output.text or "") + sum(len(encode(call)) for call in output.tool_calls or ())
        return Usage(input_uncached=prompt, output=-(-answer_chars // 4), estimated=True)

    @cached_property
    def plain_messages(self) -> list[dict[str, Any]]:
        """The messages of `tree` as JSON objects."""
        messages: list[dict[str, Any]] = msgspec.json.decode(self.tree["messages"])
        return messages

    @property
    def template_messages(self) -> list[dict[str, Any]]:
        """The client's messages as JSON objects, for templates. Raises: msgspec.ValidationError for a number out of
        range.
        """
        if isinstance(self.body, PlainBody):
            return [{"role": message.role, "content": message.content} for message in self.body.messages]
        return self.plain_messages


def header_map(pairs: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Headers by name (lower case); repeated ones, such as `anthropic-beta`, are joined by commas."""
    headers = dict(pairs)
    if len(headers) == len(pairs):
        return headers
    headers = {}
    for name, value in pairs:
        headers[name] = headers[name] + b", " + value if name in headers else value
    return headers


def decode_tree(data: bytes) -> dict[str, msgspec.Raw]:
    """Every field of a body, undecoded. Raises: msgspec.DecodeError, UnicodeDecodeError."""
    # Unused fields are validated too, because they are logged and forwarded.
    data.decode()
    return _decode_tree(data)


def parse(data: bytes, headers: Mapping[bytes, bytes], *, now: datetime | None = None) -> ChatRequest:
    """Parse a body and headers (names in lower case). Raises: BadRequest."""
    try:
        try:
            body: Body = _decode_plain(data)
        except msgspec.ValidationError:
            body = _decode(data)
        tree = decode_tree(data)
    except msgspec.ValidationError as error:
        raise BadRequest(f"not a chat completion request: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"the body is not valid JSON: {error}") from None
    if not body.messages:
        raise BadRequest("`messages` is empty")
    return chat_request(body, tree, body.metadata or {}, headers, now=now)


def chat_request(
    body: Body,
    tree: dict[str, msgspec.Raw],
    tags: Mapping[str, Any],
    headers: Mapping[bytes, bytes],
    *,
    now: datetime | None = None,
) -> ChatRequest:
    """The request of a body; `tags` are what its metadata says. Raises: BadRequest."""
    values: dict[str, str] = {}
    for key, value in tags.items():
        if key in _TAGS and (text := _text(value)) is not None:
            values[key] = text
    call_site = values.get("call_site") or values.get("feature")
    if CALL_SITE_HEADER in headers:
        call_site = headers[CALL_SITE_HEADER].decode("utf-8", "replace").strip() or call_site
    if call_site is not None and len(call_site) > MAX_CALL_SITE_CHARS:
        raise BadRequest(f"the call site's name is longer than {MAX_CALL_SITE_CHARS} characters")
    return ChatRequest(
        id=f"{_random_bits(96):024x}",
        ts=now or datetime.now(UTC),
        body=body,
        tree=tree,
        call_site=call_site,
        cohort={key: values[key] for key in COHORT_KEYS if key in values},
        user_id=values.get("user_id") or (str(body.user) if body.user is not None else None),
        customer_id=values.get("customer_id"),
        session_id=values.get("session_id"),
        trace_id=values.get("trace_id") or (_trace(headers[b"traceparent"]) if b"traceparent" in headers else None),
        params=_params(body, tree),
        deadline_s=_deadline_s(headers, stream=bool(body.stream)),
    )


def _params(body: Body, tree: Mapping[str, msgspec.Raw]) -> Params:
    """Parameters for rules and log. Raises: BadRequest for a number out of range."""
    try:
        other = {key: msgspec.json.decode(raw) for key, raw in tree.items() if key not in _STATED}
    except msgspec.ValidationError as error:
        raise BadRequest(f"not a request: {error}") from None
    if body.model is not None:
        other["model"] = body.model
    # The lower one of two caps applies.
    cap, newer = body.max_tokens, body.max_completion_tokens
    if cap is None or (newer is not None and newer < cap):
        cap = newer
    return Params(max_tokens=cap, temperature=body.temperature, stream=bool(body.stream), other=other)


def _deadline_s(headers: Mapping[bytes, bytes], *, stream: bool) -> float | None:
    """Raises: BadRequest."""
    if DEADLINE_HEADER in headers:
        try:
            seconds = int(headers[DEADLINE_HEADER]) / 1000
        except ValueError:
            seconds = 0.0
        if seconds <= 0:
            raise BadRequest(f"{DEADLINE_HEADER.decode()} must be a whole number of milliseconds above 0")
        return seconds
    # For a stream the SDK's timeout limits the silence between events, not the whole time; without a limit it is
    # "None" or missing. The first header is sent by the Python SDKs, the second by the JavaScript ones.
    sent = None if stream else headers.get(b"x-stainless-read-timeout") or headers.get(b"x-stainless-timeout")
    if sent is None:
        return None
    try:
        seconds = float(sent)
    except ValueError:
        return None
    return seconds if 0 < seconds < 86_400 else None


def _text(value: Any) -> str | None:
    """A tag as text: OpenAI's metadata are strings, but clients also send numbers (customer ids)."""
    if isinstance(value, str):
        return value.strip() or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _trace(traceparent: bytes) -> str | None:
    """The trace id of a W3C `traceparent` header."""
    parts = traceparent.split(b"-")
    return parts[1].decode("ascii", "replace") if len(parts) == 4 and len(parts[1]) == 32 else None
