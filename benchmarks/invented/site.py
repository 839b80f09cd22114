"""What a call site of an invented company is: who asks what, how it is answered, and which tier it truly needs."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Message = dict[str, Any]


@dataclass(frozen=True)
class Turn:
    """One request (the user's text, or all messages after the system prompt) and its answer."""

    asked: str | list[Message]
    answer: str
    calls: tuple[tuple[str, str], ...] = ()
    """Function calls in the answer: name and arguments."""
    reasoning_tokens: int = 0


Make = Callable[[random.Random], Turn]


@dataclass(frozen=True)
class Site:
    """A call site. `weight`: its share of the log, relative to the others."""

    name: str
    tier: int
    task: str
    make: Make
    system: str | Callable[[random.Random], str] = ""
    weight: float = 1.0
    tools: tuple[str, ...] = ()
    """Names of the functions that are offered."""
    response_format: dict[str, Any] | None = None
    params: dict[str, Any] = field(default_factory=dict)
    since: float = 0.0
    """Share of the log's time that has passed when its first request comes."""


def called(key: str, function: str, arguments: dict[str, Any], result: str, said: str | None = None) -> list[Message]:
    """A function call of the assistant and its result, as messages."""
    call = {"id": key, "type": "function", "function": {"name": function, "arguments": json.dumps(arguments)}}
    return [
        {"role": "assistant", "content": said, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": key, "content": result},
    ]
