"""Orders turns as chat completions require: tool results directly after their calls. Pure."""

from collections.abc import Iterable, Sequence

from traffic.loose_json import Tree, dumped, tree, trees
from traffic.tiers import TurnRule

NO_RESULT = "(no result: the call was interrupted)"


def in_order(messages: list[Tree]) -> list[Tree]:
    """Merge consecutive assistant turns, and move tool results directly after the turn with their calls.

    Other protocols permit user text between a call and its result; OpenAI and others reject it.
    """
    groups: list[list[Tree]] = []
    callers: dict[str, list[Tree]] = {}
    for message in messages:
        caller = callers.get(message.get("tool_call_id") or "") if message["role"] == "tool" else None
        if caller is not None:
            caller.append(message)
            continue
        if message["role"] == "assistant" and groups and len(groups[-1]) == 1 and groups[-1][0]["role"] == "assistant":
            groups[-1][0] = _joined(groups[-1][0], message)
        else:
            groups.append([message])
        if message["role"] == "assistant":
            callers |= {call["id"]: groups[-1] for call in trees(message.get("tool_calls"))}
    return [message for group in groups for message in group]


def with_results(messages: list[Tree]) -> list[Tree]:
    """Give each call a result, and each result a call: interrupted agents omit one of them, which the APIs reject.

    `messages`: as from `in_order`.
    """
    paired: list[Tree] = []
    open_calls: list[str] = []
    others: list[Tree] = []
    """Results without an open call; they follow those that have one."""
    for message in messages:
        identity = message.get("tool_call_id")
        if message["role"] == "tool":
            if identity in open_calls:
                open_calls.remove(identity)
                paired.append(message)
            elif message not in paired:
                others.append(_result_as_user_text(message))
            continue
        paired += [*map(_interrupted, open_calls), *others]
        open_calls, others = [call["id"] for call in trees(message.get("tool_calls"))], []
        paired.append(message)
    return [*paired, *map(_interrupted, open_calls), *others]


def ruled(messages: list[Tree], rules: Sequence[TurnRule]) -> list[Tree]:
    """The turns in the order that a server insists on; nothing of them is lost."""
    messages = [tree(message) for message in messages]
    if "system_first" in rules:
        messages = list(_system_first(messages))
    if "alternate" in rules:
        messages = list(_alternating(messages))
    if "assistant_after_tool" in rules:
        pairs = zip(messages, [*messages[1:], {}], strict=True)
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
        first = messages[0]
        for message in messages[1:count]:
            first = _joined(first, message)
        yield first
    for message in messages[count:]:
        yield message | {"role": "user"} if message.get("role") in _SYSTEM else message


def _alternating(messages: list[Tree]) -> Iterable[Tree]:
    """Turns of the user in a row as one."""
    last: Tree | None = None
    for message in messages:
        if last is not None and last.get("role") == message.get("role") == "user":
            last = _joined(last, message)
            continue
        if last is not None:
            yield last
        last = message
    if last is not None:
        yield last


_SYSTEM = ("system", "developer")


def with_ids(messages: list[Tree]) -> Iterable[Tree]:
    """The messages, with a unique id for each tool call: some servers send none, or the same ones in every answer.

    A result belongs to the last calls with its id; without an id to the first of the last open calls.
    """
    waiting: list[tuple[str, str]] = []
    """Stated and sent ids of open calls, those of the last turn first."""
    sent_ids: dict[str, str] = {}
    used: set[str] = set()
    for message in messages:
        calls = trees(message.get("tool_calls"))
        if calls:
            turn = []
            for call in calls:
                stated = call.get("id") or ""
                sent, number = stated or "call_1", 1
                while sent in used:
                    number += 1
                    sent = f"{stated or 'call'}_{number}"
                sent_ids[stated] = sent
                used.add(sent)
                turn.append((stated, sent))
            waiting = turn + waiting
            yield message | {"tool_calls": [call | {"id": sent} for call, (_, sent) in zip(calls, turn, strict=True)]}
        elif message.get("role") == "tool":
            stated = message.get("tool_call_id") or ""
            answered = next((entry for entry in waiting if not stated or entry[0] == stated), None)
            if answered is not None:
                waiting.remove(answered)
            sent = answered[1] if answered is not None else sent_ids.get(stated, stated)
            yield message | {"tool_call_id": sent} if sent else message
        else:
            yield message


def _result_as_user_text(result: Tree) -> Tree:
    content = result.get("content") or ""
    result_text = content if isinstance(content, str) else dumped(content)
    return {"role": "user", "content": f"Result of tool call {result.get('tool_call_id')}: {result_text}"}


def _interrupted(call: str) -> Tree:
    return {"role": "tool", "tool_call_id": call, "content": NO_RESULT}


def _joined(first: Tree, second: Tree) -> Tree:
    joined = first | second
    for key in ("tool_calls", "thinking_blocks"):
        values = [*first.get(key, ()), *second.get(key, ())]
        if values:
            joined[key] = values
    reasoning = [message["reasoning_content"] for message in (first, second) if message.get("reasoning_content")]
    if reasoning:
        joined["reasoning_content"] = "\n\n".join(reasoning)
    contents = [message["content"] for message in (first, second) if message.get("content")]
    if len(contents) == 2 and all(isinstance(content, str) for content in contents):
        joined["content"] = "\n\n".join(contents)
    elif len(contents) == 2:
        parts = [[{"type": "text", "text": c}] if isinstance(c, str) else c for c in contents]
        joined["content"] = [*parts[0], *parts[1]]
    else:
        joined["content"] = contents[0] if contents else first.get("content")
    return joined
