"""Errors that come where an answer was expected: with status 200, or inside of a stream."""

from typing import Any

MAX_TEXT_CHARS = 500
_TEXT_KEYS = ("message", "detail", "error", "msg", "error_message", "reason", "title", "code", "type")


def error_in(tree: Any, *, named: bool = False) -> str | None:
    """The text of an error, None where decoded JSON is none; `named`: an event of a stream is called an error."""
    if not named:
        if not isinstance(tree, dict):
            return None
        stated = tree.get("error")
        if not stated and tree.get("type") != "error" and tree.get("object") != "error":
            return None
        if _has_answer(tree):
            return None
    return (_text_of(tree) or "an error without a text")[:MAX_TEXT_CHARS]


def _has_answer(tree: dict[str, Any]) -> bool:
    """Whether there is an answer beside the error, which is then about something else."""
    choices = tree.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        said = (choice.get("delta") or choice.get("message")) if isinstance(choice, dict) else None
        if isinstance(said, dict) and any(value for key, value in said.items() if key != "role"):
            return True
    return bool(tree.get("content"))


def _text_of(value: Any, depth: int = 0) -> str:
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if depth > 5:
        return ""
    if isinstance(value, list):
        return "; ".join(filter(None, (_text_of(item, depth + 1) for item in value[:5])))
    if not isinstance(value, dict):
        return ""
    inner = value.get("error")
    if isinstance(inner, dict) and (found := _text_of(inner, depth + 1)):
        return found
    return next((found for key in _TEXT_KEYS if (found := _text_of(value.get(key), depth + 1))), "")
