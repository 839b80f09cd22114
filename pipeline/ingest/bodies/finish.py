"""Maps finish reasons of all providers to the record's: stop, length, tool_calls, content_filter."""

from typing import Any

import msgspec

from pipeline.ingest.values import Notes

_WORDS = {
    "stop": "stop end_turn stop_sequence completed complete eos eos_token finish finished success",
    "length": "length max_tokens max_output_tokens max_completion_tokens model_length incomplete max_length "
    "token_limit truncated model_context_window_exceeded",
    "tool_calls": "tool_calls tool_call tool_use function_call function_calls",
    "content_filter": "content_filter content_filtered refusal refused safety recitation blocklist prohibited_content "
    "spii guardrail_intervened guardrail image_safety moderation",
}
_REASONS = {word: reason for reason, words in _WORDS.items() for word in words.split()}


def finish_reason(value: Any, notes: Notes) -> str | None:
    """The record's finish reason; unknown ones are kept and noted, never treated as a stop."""
    if value is None or value == "":
        return None
    if type(value) is str and value in _REASONS:
        return _REASONS[value]
    # Enums may be logged as numbers: an unknown reason, not a missing one.
    value = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    word = value.strip().casefold().replace("-", "_").replace(" ", "_").rpartition(".")[2]
    word = word.removeprefix("finish_reason_").removeprefix("finishreason_")
    known = _REASONS.get(word)
    if known is None:
        notes.unknown.append(f"finish_reason={value[:40]}")
    return known or value
