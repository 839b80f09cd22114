"""Orders turns as chat completions require: tool results directly after their calls. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from traffic.loose_json import Tree, encode, text, tree, trees
from traffic.tiers import TurnRule

NO_RESULT = "(no result: the call was interrupted)"


def in_order(messages: list[Tree]) -> list[Tree]:
    """Merge consecutive assistant turns, and move tool results directly after the turn with their calls.

    Other protocols permit user text between a call and its result; OpenAI and others reject it.
    """
    groups: list[tuple[list[Tree], list[Tree]]] = []
    """Messages that become one, and the results that follow them."""
    callers: dict[str, list[Tree]] = {}
    """Results of the turn with a call, by the call's id."""
    for message in messages:
        results = callers.get(message.get("tool_call_id") or "") if message["role"] == "tool" else None
        if results is not None:
            results.append(message)
            continue
        merges = message["role"] == "assistant" and groups and not groups[-1][1]
        if merges and groups[-1][0][0]["role"] == "assistant":
            groups[-1][0].append(message)
        else:
            groups.append(([message], []))
        if message["role"] == "assistant":
            callers |= {call["id"]: groups[-1][1] for call in trees(message.get("tool_calls"))}
    return [message for turn, results in groups for message in (_joined(turn), *results)]


def with_results(messages: list[Tree]) -> list[Tree]:
    """Give each call a result, and each result a call: interrupted agents omit one of them, which the APIs reject.

    `messages`: as from `in_order`.
    """
    paired: list[Tree] = []
    known: set[bytes] = set()
    """Results that have a call, encoded."""
    open_calls: Counter[str] = Counter()
    others: list[Tree] = []
    """Results without an open call; they follow those that have one."""
    for message in messages:
        if message["role"] == "tool":
            identity = text(message.get("tool_call_id"))
            if open_calls[identity]:
                open_calls[identity] -= 1
                paired.append(message)
                known.add(encode(message))
            elif encode(message) not in known:
                content = labelled_result(message.get("tool_call_id"), message.get("content") or "")
                others.append({"role": "user", "content": content})
            continue
        paired += [*map(_interrupted, open_calls.elements()), *others]
        open_calls, others = Counter(call["id"] for call in trees(message.get("tool_calls"))), []
        paired.append(message)
    return [*paired, *map(_interrupted, open_calls.elements()), *others]


def with_files_after(messages: list[Tree]) -> list[Tree]:
    """Move images and files of tool results into the user's turn that follows: tool messages have only text."""
    moved: list[Tree] = []
    waiting: list[Tree] = []
    for message in messages:
        if message["role"] == "tool":
            result, files = _without_files(message)
            moved.append(result)
            waiting += files
            continue
        if waiting:
            is_user = message["role"] == "user"
            moved.append({"role": "user", "content": waiting + (as_parts(message["content"]) if is_user else [])})
            waiting = []
            if is_user:
                continue
        moved.append(message)
    return moved + ([{"role": "user", "content": waiting}] if waiting else [])


def _without_files(result: Tree) -> tuple[Tree, list[Tree]]:
    """A tool result without its files, and these with a label."""
    parts = trees(result.get("content"))
    files = [part for part in parts if part["type"] != "text"]
    if not files:
        return result, []
    kinds = " and ".join(dict.fromkeys("image" if file["type"] == "image_url" else "file" for file in files))
    label = f"{kinds.capitalize()} in the result of tool call {result.get('tool_call_id')}:"
    texts = [part for part in parts if part["type"] == "text"]
    # A single text as a string: small servers handle that form best.
    content = texts[0]["text"] if len(texts) == 1 and "cache_control" not in texts[0] else texts
    return result | {"content": content or f"(see the {kinds})"}, [{"type": "text", "text": label}, *files]


def as_parts(content: str | list[Tree]) -> list[Tree]:
    """The content of a message as a list of parts."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def ruled(messages: list[Tree], rules: Sequence[TurnRule]) -> list[Tree]:
    """The turns in the order that a server insists on; nothing of them is lost."""
    messages = [tree(message) for message in messages]
    if "system_first" in rules:
        messages = list(_system_first(messages))
    if "alternate" in rules:
        messages = list(_alternating(messages))
    if "assistant_after_tool" in rules:
        pairs = zip(messages, [*messages, {}][1:], strict=True)
        messages = [
            m
            for current, following in pairs
            for m in (current, *(_ACKNOWLEDGED if _is_follow_up(current, following) else ()))
        ]
    return messages


_ACKNOWLEDGED: tuple[Tree, ...] = ({"role": "assistant", "content": "OK."},)


def _is_follow_up(message: Tree, following: Tree) -> bool:
    return message.get("role") == "tool" and following.get("role") == "user"


def _system_first(messages: list[Tree]) -> Iterable[Tree]:
    """The system messages at the beginning as one; the user says the later ones."""
    count = next((n for n, message in enumerate(messages) if message.get("role") not in _SYSTEM), len(messages))
    if count:
        yield _joined(messages[:count])
    for message in messages[count:]:
        yield message | {"role": "user"} if message.get("role") in _SYSTEM else message


def _alternating(messages: list[Tree]) -> Iterable[Tree]:
    """Turns of the user in a row as one."""
    for role, turns in groupby(messages, key=lambda message: message.get("role")):
        same = list(turns)
        yield from (_joined(same),) if role == "user" else same


_SYSTEM = ("system", "developer")


def with_ids(messages: list[Tree]) -> Iterable[Tree]:
    """The messages, with a unique id for each tool call: some servers send none, or the same ones in every answer.

    A result belongs to the last calls with its id; without an id to the first of the last open calls.
    """
    waiting: dict[str, list[str]] = defaultdict(list)
    """Sent ids of calls by their stated id, the next to be answered last; by "" those of all calls."""
    answered: set[str] = set()
    last_sent: dict[str, str] = {}
    used: set[str] = set()
    numbers: dict[str, int] = {}
    """Number of the last call with a stated id."""
    for message in messages:
        calls = trees(message.get("tool_calls"))
        if calls:
            turn = []
            for call in calls:
                stated = call.get("id") or ""
                sent, number = stated or "call_1", numbers.get(stated, 1)
                while sent in used:
                    number += 1
                    sent = f"{stated or 'call'}_{number}"
                last_sent[stated], numbers[stated] = sent, number
                used.add(sent)
                turn.append((stated, sent))
            for stated, sent in reversed(turn):
                for key in {stated, ""}:
                    waiting[key].append(sent)
            yield message | {"tool_calls": [call | {"id": sent} for call, (_, sent) in zip(calls, turn, strict=True)]}
        elif message.get("role") == "tool":
            stated = message.get("tool_call_id") or ""
            open_calls = waiting[stated]
            while open_calls and open_calls[-1] in answered:
                open_calls.pop()
            sent = last_sent.get(stated, stated)
            if open_calls:
                sent = open_calls.pop()
                answered.add(sent)
            yield message | {"tool_call_id": sent} if sent else message
        else:
            yield message


def labelled_result(call: Any, content: str | list[Tree]) -> str | list[Tree]:
    """The content of a tool result without a call, for a turn of the user."""
    label = f"Result of tool call {call}: "
    return label + content if isinstance(content, str) else [{"type": "text", "text": label}, *content]


def _interrupted(call: str) -> Tree:
    return {"role": "tool", "tool_call_id": call, "content": NO_RESULT}


def _joined(turns: list[Tree]) -> Tree:
    """Several messages of one role as one."""
    if len(turns) == 1:
        return turns[0]
    joined = {key: value for turn in turns for key, value in turn.items()}
    for key in ("tool_calls", "thinking_blocks"):
        values = [value for turn in turns for value in turn.get(key) or ()]
        if values:
            joined[key] = values
    reasoning = [turn["reasoning_content"] for turn in turns if turn.get("reasoning_content")]
    if reasoning:
        joined["reasoning_content"] = "\n\n".join(reasoning)
    contents = [turn["content"] for turn in turns if turn.get("content")]
    if not contents:
        joined["content"] = turns[0].get("content")
    elif len(contents) == 1:
        joined["content"] = contents[0]
    elif all(isinstance(content, str) for content in contents):
        joined["content"] = "\n\n".join(contents)
    else:
        joined["content"] = [part for content in contents for part in as_parts(content)]
    return joined
