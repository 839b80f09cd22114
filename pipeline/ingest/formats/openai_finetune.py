"""Fine-tuning files: OpenAI's `{"messages": [..., the answer], "tools"?}`, `{"prompt", "completion"}` as texts or as
messages (TRL), ShareGPT's `{"conversations": [{"from", "value"}, ...]}`, Alpaca's `{"instruction", "input", "output"}`,
preferences.

Rows have no time and get that of their file. Answers excluded from training (weight 0, a false label) are rejected, and
so are rows with an unknown role.
"""

from collections.abc import Mapping
from typing import Any

from pipeline.ingest.bodies import Prompt, Unreadable, read_answer, read_messages, read_prompt
from pipeline.ingest.bodies.messages import KNOWN_ROLES
from pipeline.ingest.formats.format import Draft, tree_format
from pipeline.ingest.values import Notes, opened_value

_BESIDE = frozenset(
    {"messages", "tools", "parallel_tool_calls", "functions", "weight", "metadata", "response_format", "id", "tags"}
)


def _recognises(tree: Mapping[str, Any]) -> bool:
    if "preferred_output" in tree:
        return isinstance(tree.get("input"), Mapping)
    if isinstance(tree.get("prompt"), str | list) and isinstance(tree.get("completion"), str | list):
        return tree.keys() <= {"prompt", "completion", "id", "metadata", "tools", "label"}
    if isinstance(tree.get("instruction"), str) and isinstance(tree.get("output"), str):
        return tree.keys() <= {"instruction", "input", "output", "system", "id", "text"}
    if isinstance(turns := tree.get("conversations"), list):
        return bool(turns) and isinstance(turns[0], Mapping) and ("from" in turns[0] or "role" in turns[0])
    messages = tree.get("messages")
    return isinstance(messages, list) and bool(messages) and tree.keys() <= _BESIDE


def _read(row: dict[str, Any], notes: Notes) -> Draft:
    if "label" in row and row["label"] not in (True, 1, "true", "True", "1"):
        raise Unreadable("not_approved", f"label: {str(row['label'])[:40]} does not approve the completion")
    if "instruction" in row:
        prompt, answer = _instruction(row, notes), read_answer(row["output"], notes)
    elif "preferred_output" in row:
        prompt, answer = read_prompt(row["input"], notes), read_answer(row["preferred_output"], notes)
    elif "completion" in row:
        key = "messages" if isinstance(row["prompt"], list) else "prompt"
        prompt = read_prompt({key: row["prompt"], "tools": row.get("tools")}, notes)
        answer = read_answer(row["completion"], notes)
    else:
        messages = opened_value(row.get("messages", row.get("conversations")))
        if not isinstance(messages, list) or not messages:
            raise Unreadable("not_chat", "the list of messages is empty")
        last = read_messages(messages[-1:])[0]
        if last["role"] != "assistant":
            raise Unreadable("no_answer", "the last message is not from the assistant")
        if messages[-1].get("weight") == 0:
            raise Unreadable("not_approved", "the last message has weight 0: excluded from training")
        prompt = read_prompt({**row, "messages": messages[:-1]}, notes)
        answer = read_answer(last, notes)
    strange = {message["role"] for message in prompt.messages} - KNOWN_ROLES
    if strange:
        raise Unreadable("unknown_role", f"messages of {', '.join(sorted(map(str, strange)))}")
    if answer is not None and answer.finish_reason is None:
        # Written or approved by people, so the answer is complete.
        answer.finish_reason = "tool_calls" if answer.tool_calls and not answer.text else "stop"
    return Draft(id=row.get("id"), prompt=prompt, answer=answer, status=200)


def _instruction(row: Mapping[str, Any], notes: Notes) -> Prompt:
    """Alpaca's template: the instruction followed by the input, if any."""
    request = "\n\n".join(part for part in (row["instruction"], row.get("input")) if part)
    system = [{"role": "system", "content": row["system"]}] if row.get("system") else []
    return read_prompt({"messages": [*system, {"role": "user", "content": request}]}, notes)


FORMAT = tree_format("openai_finetune", _recognises, _read)
