"""The text of an error in any form: a body of any status, or an event of a stream. Pure.

    error_text(b'{"detail": [{"loc": ["body"], "msg": "Field required"}]}') == "body: Field required"

Understood: `{"error": {"message"}}`, `{"error": "text"}`, flat `{"message"}`, `{"detail": "text" | [...]}`,
`{"errors": [...]}`, a list around any of them, plain text, and the title of an HTML page. Keys are masked.
"""

import re
from typing import Any

import msgspec

MAX_TEXT_CHARS = 500
_TEXT_KEYS = ("message", "msg", "detail", "details", "error_description", "error_message", "reason", "title", "errors")
_NAME_KEYS = ("code", "type", "status")
_SECRET = re.compile(
    r"(?:sk|pk|rk|gsk|hf|xai|key|api)[-_][A-Za-z0-9*_\-]{6,}|Bearer\s+\S+|AIza[\w-]{10,}|eyJ[\w.-]{20,}"
)


def error_text(body: bytes) -> str | None:
    """The text of an error's body, at most 500 characters on one line; None where the body holds none."""
    text = _text_of(decoded(body))
    return masked(text) if text else None


def error_in(tree: Any, *, named: bool = False) -> str | None:
    """The text of an error, None where decoded JSON is none; `named`: an event of a stream is called an error."""
    if not named:
        if not isinstance(tree, dict):
            return None
        stated = tree.get("error") or _error_of_choice(tree)
        if not stated and tree.get("type") != "error" and tree.get("object") != "error":
            return None
        if _has_answer(tree):
            return None
    inner = _error_of_choice(tree) if isinstance(tree, dict) else None
    return masked(_text_of(tree) or _text_of(inner) or "an error without a text")


def stated_status(tree: Any) -> int | None:
    """The HTTP status that an error inside of an answer names as its code, or that its type stands for."""
    if not isinstance(tree, dict):
        return None
    error = tree.get("error")
    for said in (error, tree):
        if not isinstance(said, dict):
            continue
        for key in ("code", "status", "status_code", "http_code"):
            number = said.get(key)
            if isinstance(number, str) and number.isdecimal():
                number = int(number[:9])
            if isinstance(number, int) and 400 <= number < 600:
                return number
        named = [said.get(key) for key in ("type", "code", "status")]
        found = next((_STATUSES[name] for name in named if isinstance(name, str) and name in _STATUSES), None)
        if found is not None:
            return found
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
}


def masked(text: str) -> str:
    """One line of at most 500 characters without anything that looks like a key."""
    return _SECRET.sub("***", " ".join(text.split()))[:MAX_TEXT_CHARS]


def decoded(body: bytes) -> Any:
    """The JSON of a body; of another body its text, of a page its title."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = body.decode("utf-8", "replace")
        if text.lstrip()[:1] == "<":
            title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
            return title.group(1) if title else ""
        return text


def _error_of_choice(tree: dict[str, Any]) -> Any:
    """What OpenRouter says where the provider behind it died: the error is a choice's, or only its finish reason."""
    choices = tree.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and (choice.get("error") or choice.get("finish_reason") == "error"):
            return choice.get("error") or "the provider failed"
    return None


def _has_answer(tree: dict[str, Any]) -> bool:
    """Whether there is an answer beside the error, which is then about something else."""
    choices = tree.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        said = (choice.get("delta") or choice.get("message")) if isinstance(choice, dict) else None
        if isinstance(said, dict) and any(value for key, value in said.items() if key != "role"):
            return True
    return bool(tree.get("content"))


def _text_of(value: Any, depth: int = 0) -> str:
    """The first readable text of an error's tree."""
    if isinstance(value, str):
        return value.strip()
    if depth > 6:
        return ""
    if isinstance(value, list):
        return "; ".join(filter(None, (_text_of(item, depth + 1) for item in value[:5])))
    if not isinstance(value, dict):
        return ""
    if text := _text_of(value.get("error"), depth + 1):
        return text
    text = next((found for key in _TEXT_KEYS if (found := _text_of(value.get(key), depth + 1))), "")
    where = value.get("loc")
    if text and isinstance(where, list):
        return f"{'.'.join(map(str, where))}: {text}"
    names = (value.get(key) for key in _NAME_KEYS)
    return text or next((str(name) for name in names if name and isinstance(name, str | int)), "")
