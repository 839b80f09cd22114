"""The order of turns that chat completions want: results of tools directly after their calls. Pure."""

from collections.abc import Iterable

from traffic.loose_json import Tree, dumped, trees

NO_RESULT = "(no result: the call was interrupted)"


def in_order(messages: list[Tree]) -> list[Tree]:
    """Turns of the assistant in a row are one, and results follow the turn that called, whoever spoke between.

    Other protocols let a client say something between a call and its result; OpenAI and others refuse that.
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
    """Each call has a result and each result a call: agents that were interrupted leave out one or the other, which
    the APIs refuse. `messages` are in order.
    """
    paired: list[Tree] = []
    open_calls: list[str] = []
    for message in messages:
        identity = message.get("tool_call_id")
        if message["role"] == "tool" and identity in open_calls:
            open_calls.remove(identity)
            paired.append(message)
            continue
        paired += map(_interrupted, open_calls)
        open_calls = [call["id"] for call in trees(message.get("tool_calls"))]
        paired.append(_unasked(message) if message["role"] == "tool" else message)
    return [*paired, *map(_interrupted, open_calls)]


def with_ids(messages: list[Tree]) -> Iterable[Tree]:
    """The messages, with ids for tool calls that have none; a result without one belongs to the oldest open call."""
    waiting: list[str] = []
    made = 0
    for message in messages:
        calls = trees(message.get("tool_calls"))
        if calls:
            named = []
            for call in calls:
                made += not call.get("id")
                named.append(call | {"id": call.get("id") or f"call_{made}"})
                waiting.append(named[-1]["id"])
            yield message | {"tool_calls": named}
        elif message.get("role") == "tool":
            identity = message.get("tool_call_id") or (waiting[0] if waiting else None)
            if identity in waiting:
                waiting.remove(identity)
            yield message if identity is None else message | {"tool_call_id": identity}
        else:
            yield message


def _unasked(result: Tree) -> Tree:
    content = result.get("content") or ""
    said = content if isinstance(content, str) else dumped(content)
    return {"role": "user", "content": f"Result of tool call {result.get('tool_call_id')}: {said}"}


def _interrupted(call: str) -> Tree:
    return {"role": "tool", "tool_call_id": call, "content": NO_RESULT}


def _joined(first: Tree, second: Tree) -> Tree:
    joined = first | second
    for key in ("tool_calls", "thinking_blocks"):
        both = [*first.get(key, ()), *second.get(key, ())]
        if both:
            joined[key] = both
    reasoning = [said["reasoning_content"] for said in (first, second) if said.get("reasoning_content")]
    if reasoning:
        joined["reasoning_content"] = "\n\n".join(reasoning)
    contents = [said["content"] for said in (first, second) if said.get("content")]
    if len(contents) == 2 and all(isinstance(content, str) for content in contents):
        joined["content"] = "\n\n".join(contents)
    elif len(contents) == 2:
        parts = [[{"type": "text", "text": c}] if isinstance(c, str) else c for c in contents]
        joined["content"] = [*parts[0], *parts[1]]
    else:
        joined["content"] = contents[0] if contents else first.get("content")
    return joined
