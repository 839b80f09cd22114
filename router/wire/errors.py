"""Extracts the message of an error from a response body or a stream event in any format. Pure.

    error_text(b'{"detail": [{"loc": ["body"], "msg": "Field required"}]}') == "body: Field required"

Formats: `{"error": {"message"}}`, `{"error": "text"}`, flat `{"message"}`, `{"detail": "text" | [...]}`,
`{"errors": [...]}`, a list around any of them, plain text, and the title of an HTML page. Keys are masked.
"""

import re
from typing import Any

import msgspec

from traffic.loose_json import Tree, first_object
from traffic.retry_and_escalation import bounded_pause_s

MAX_TEXT_CHARS = 500
CONTEXT_LENGTH_EXCEEDED = "context_length_exceeded"
"""OpenAI's code for a request that exceeds the model's context."""
_TEXT_KEYS = (
    "message",
    "msg",
    "detail",
    "details",
    "error_description",
    "error_message",
    "reason",
    "title",
    "errors",
    "error_msg",
    "errorMessage",
    "status_msg",
)
_NAME_KEYS = ("code", "type", "status")
_SECRET = re.compile(
    r"(?:sk|pk|rk|gsk|hf|xai|key|api)[-_][A-Za-z0-9*_\-]{6,}|Bearer\s+\S+|AIza[\w-]{10,}|eyJ[\w.-]{20,}"
)


def error_text(body: bytes) -> str | None:
    """The message of an error body, at most 500 characters on one line; None if it has none."""
    text = _text_of(decoded(body))
    return masked(text) if text else None


def error_in(tree: Any, *, named: bool = False) -> str | None:
    """The message in decoded JSON; None if it is not an error. `named`: the stream event has the name `error`."""
    if not named:
        if not isinstance(tree, dict):
            return None
        stated = tree.get("error") or _error_of_choice(tree)
        if not stated and tree.get("type") != "error" and tree.get("object") != "error":
            return None
        if _has_answer(tree):
            return None
    inner = _error_of_choice(tree) if isinstance(tree, dict) else None
    return masked(_text_of(tree) or _text_of(inner) or "an error without a message")


def stated_status(tree: Any) -> int | None:
    """The HTTP status of an error inside an answer: stated as its code, or derived from its type."""
    if not isinstance(tree, dict):
        return None
    error = tree.get("error")
    for node in (error, tree):
        if not isinstance(node, dict):
            continue
        for key in ("code", "status", "status_code", "http_code"):
            number = node.get(key)
            if isinstance(number, str) and number.isdecimal():
                number = int(number[:9])
            if isinstance(number, int) and 400 <= number < 600:
                return number
        names = [node.get(key) for key in ("type", "code", "status", "__type")]
        status = next((_STATUSES[name] for name in names if isinstance(name, str) and name in _STATUSES), None)
        if status is not None:
            return status
    return None


_STATUSES = {
    "invalid_request_error": 400,
    "invalid_request": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "billing_error": 402,
    "insufficient_quota": 429,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "overloaded_error": 529,
    "RESOURCE_EXHAUSTED": 429,
    "INVALID_ARGUMENT": 400,
    "UNAVAILABLE": 503,
    "throttlingException": 429,
    "validationException": 400,
    "serviceUnavailableException": 503,
}


_FAILURES = ("error", "network_error")
"""Finish reasons of answers that failed."""


def stated_delay_s(body: bytes) -> float | None:
    """Seconds after which an error's text says to try again, where no header does (Google, OpenAI, Groq)."""
    match = _DELAY.search(body.decode("utf-8", "replace"))
    if match is None:
        return None
    parts = re.findall(r"(\d+(?:\.\d+)?) ?([a-z]+)", match[0].lower())
    return bounded_pause_s(sum(float(number) * _SECONDS[unit] for number, unit in parts))


_SECONDS = {
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 0.001),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86_400.0),
}
_DURATION = rf"\d+(?:\.\d+)? ?(?:{'|'.join(_SECONDS)})(?![a-z])"
_DELAY = re.compile(
    rf'"retryDelay"\s*:\s*"{_DURATION}|(?:retry|try again) (?:in|after) (?:{_DURATION}(?:[ ,]|and )*)+',
    re.IGNORECASE | re.ASCII,
)


def masked(text: str) -> str:
    """The text on one line, at most 500 characters, without anything that looks like a key."""
    return _SECRET.sub("***", " ".join(text.split()))[:MAX_TEXT_CHARS]


def decoded(body: bytes) -> Any:
    """The JSON of a body; else its text, or the title of an HTML page."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = body.decode("utf-8", "replace")
        if text.lstrip()[:1] == "<":
            title = re.search(r"<title[^<>]*>([^<]*)", text, re.IGNORECASE)
            return title[1] if title else ""
        return text


def quoted_error(text: str) -> tuple[str, Tree]:
    """The error body that a message consists of, after names of exceptions (LiteLLM: `AnthropicException - {...}`), and
    the text before it; an empty body if there is none.

    Other JSON, or JSON at another position, may be the client's own.
    """
    match = _EXCEPTIONS.match(text)
    quoted = first_object(text, match.end() - 1) if match is not None else None
    if match is None or quoted is None or not _is_error(quoted[0]):
        return "", {}
    return text[: match.end() - 1].lstrip(), quoted[0]


_EXCEPTIONS = re.compile(r"\s*(?:[\w.]{1,80}(?:Error|Exception)\b[\s:-]{0,4}|Error code: \d{3} - ){0,4}\{")
_ERROR_KEYS = frozenset({"error", "message", "detail"})


def _is_error(quoted: Tree) -> bool:
    nested = (value for value in quoted.values() if isinstance(value, dict))
    return any(not _ERROR_KEYS.isdisjoint(part) for part in (quoted, *nested))


def _error_of_choice(tree: dict[str, Any]) -> Any:
    """OpenRouter's error of the provider behind it, or Z.ai's: in a choice, or as a finish reason only."""
    choices = tree.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and (choice.get("error") or choice.get("finish_reason") in _FAILURES):
            return choice.get("error") or "the provider failed"
    return None


def _has_answer(tree: dict[str, Any]) -> bool:
    """Whether there is also an answer; the error then concerns something else."""
    choices = tree.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        message = (choice.get("delta") or choice.get("message")) if isinstance(choice, dict) else None
        if isinstance(message, dict) and any(value for key, value in message.items() if key != "role"):
            return True
    return bool(tree.get("content"))


def _text_of(value: Any, depth: int = 0) -> str:
    """The first readable text of an error."""
    if isinstance(value, str):
        beginning, quoted = quoted_error(value)
        inner = _text_of(quoted, depth + 1) if quoted and depth <= 6 else ""
        return f"{beginning}{inner}" if inner else value.strip()
    if depth > 6:
        return ""
    if isinstance(value, list):
        return "; ".join(filter(None, (_text_of(item, depth + 1) for item in value[:5])))
    if not isinstance(value, dict):
        return ""
    if text := _text_of(value.get("error"), depth + 1):
        return text
    text = next((inner for key in _TEXT_KEYS if (inner := _text_of(value.get(key), depth + 1))), "")
    metadata = value.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    if raw and (inner := _text_of(decoded(raw.encode("utf-8", "replace")) if isinstance(raw, str) else raw, depth + 1)):
        # OpenRouter: the provider's own words stand behind its "Provider returned error".
        text = f"{text}: {inner}" if text else inner
    location = value.get("loc")
    if text and isinstance(location, list):
        return f"{'.'.join(map(str, location))}: {text}"
    if not text:
        # An error beside an empty answer, in an object of another name.
        others = (part for key, part in value.items() if isinstance(part, dict) and key not in _TEXT_KEYS)
        text = next((inner for part in others if (inner := _text_of(part, max(depth + 1, 6)))), "")
    names = (value.get(key) for key in _NAME_KEYS)
    return text or next((str(name) for name in names if name and isinstance(name, str | int)), "")
