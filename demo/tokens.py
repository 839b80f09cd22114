"""Token counts without a tokenizer: one token per four characters, plus the overhead of a chat message.

The log and the stand-ins count alike, so that their costs can be compared.
"""

from typing import Any

import msgspec


def of_text(text: str | None) -> int:
    """Tokens of a text; an empty one has none."""
    return -(-len(text or "") // 4)


def of_prompt(messages: list[dict[str, Any]], *extras: Any) -> int:
    """Tokens of a conversation; `extras` are tools and response format, counted as JSON."""
    around = 3 + sum(4 + of_text(message.get("content")) for message in messages)
    return around + sum(8 + of_text(msgspec.json.encode(extra).decode()) for extra in extras if extra)


def of_answer(text: str | None, tool_calls: list[dict[str, Any]] | None) -> int:
    """Tokens of an answer."""
    return of_text(text) + (of_text(msgspec.json.encode(tool_calls).decode()) if tool_calls else 0)
