"""OpenAI's stored completions (`GET /v1/chat/completions`), with the messages of their second call.

The API returns inputs separately (`/{id}/messages`). They may be in a row's `messages` (a list, or that call's list
object), separate rows, or list objects, in the same file or in others of the same ingest. A completion without them
counts for cost and volume only.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from pipeline.ingest.bodies import Unreadable, read_answer, read_prompt
from pipeline.ingest.formats.format import Companions, Draft, NotARequest, Part, tree_format
from pipeline.ingest.values import Notes, opened_value

_REQUEST = (
    "model",
    "tools",
    "tool_choice",
    "response_format",
    "temperature",
    "top_p",
    "seed",
    "metadata",
    "user",
    "max_tokens",
    "max_completion_tokens",
)


def _recognises(tree: Mapping[str, Any]) -> bool:
    if str(tree.get("object")) in ("chat.completion", "chat.completion.chunk", "text_completion"):
        return isinstance(tree.get("choices"), list) and "request" not in tree
    return is_stored_message(tree) or any(isinstance(item, Mapping) and _recognises(item) for item in _listed(tree)[:1])


def _listed(tree: Mapping[str, Any]) -> list[Any]:
    """The items of an API list object."""
    items = tree.get("data") if tree.get("object") == "list" else None
    return items if isinstance(items, list) else []


def _expand(line: bytes) -> Iterable[bytes]:
    if b'"list"' not in line:
        return (line,)
    tree = msgspec.json.decode(line)
    items = _listed(tree) if isinstance(tree, Mapping) else []
    return [msgspec.json.encode(item) for item in items] or (line,)


def is_stored_message(tree: Mapping[str, Any]) -> bool:
    """Whether a row is a message of a stored completion: its id is the completion's id and a number."""
    completion, dash, position = str(tree.get("id", "")).rpartition("-")
    return (
        bool(dash)
        and position.isdecimal()
        and completion.startswith("chatcmpl-")
        and "role" in tree
        and "choices" not in tree
    )


def _read(row: dict[str, Any], notes: Notes) -> Draft:
    if is_stored_message(row):
        raise NotARequest("message of a stored completion")
    messages = opened_value(row.get("messages", row.get("input_messages", row.get("input"))))
    if isinstance(messages, Mapping):
        messages = messages.get("data")
    request = {key: row[key] for key in _REQUEST if key in row}
    answer = read_answer({key: value for key, value in row.items() if key not in ("messages", "input")}, notes)
    if answer is None:
        raise Unreadable("no_answer", "the completion has no choices")
    prompt = read_prompt({**request, "messages": _ordered(messages)}, notes) if messages else None
    return Draft(id=row.get("id"), ts=row.get("created"), prompt=prompt, answer=answer, provider="openai")


def _ordered(messages: Any) -> Any:
    """Messages in the order sent: ids end in the position; the API may list the newest first."""
    if isinstance(messages, list) and all(isinstance(m, Mapping) and is_stored_message(m) for m in messages):
        ordered = sorted(messages, key=lambda m: int(str(m["id"]).rpartition("-")[2]))
        return [{key: value for key, value in m.items() if key != "id"} for m in ordered]
    return messages


def _given(row: Mapping[str, Any]) -> list[Part]:
    if not is_stored_message(row):
        return []
    completion, _, position = str(row["id"]).rpartition("-")
    return [(completion, int(position), {key: value for key, value in row.items() if key != "id"})]


def _wanted(row: Mapping[str, Any]) -> Sequence[str]:
    has_messages = any(row.get(key) for key in ("messages", "input_messages", "input"))
    return (str(row["id"]),) if "id" in row and "choices" in row and not has_messages else ()


FORMAT = tree_format(
    "openai_stored",
    _recognises,
    _read,
    _expand,
    Companions(_given, _wanted, lambda row, parts: {**row, "messages": parts}, unique_keys=True, wait=True),
)
