"""Fine-tuning files: OpenAI's `{"messages": [..., the answer], "tools"?}`, `{"prompt", "completion"}` as texts or as
messages (TRL), ShareGPT's `{"conversations": [{"from", "value"}, ...]}`, preferences.

They have no time: their rows are dated with their file.
"""

from collections.abc import Mapping
from typing import Any

from pipeline.ingest.bodies import Unreadable, read_answer, read_messages, read_prompt
from pipeline.ingest.formats.format import Draft, tree_format
from pipeline.ingest.values import Notes, opened_value

_BESIDE = frozenset(
    {"messages", "tools", "parallel_tool_calls", "functions", "weight", "metadata", "response_format", "id", "tags"}
)


def _recognises(tree: Mapping[str, Any]) -> bool:
    if "preferred_output" in tree:
        return isinstance(tree.get("input"), Mapping)
    if isinstance(tree.get("prompt"), str | list) and isinstance(tree.get("completion"), str | list):
        return tree.keys() <= {"prompt", "completion", "id", "metadata", "tools"}
    if isinstance(turns := tree.get("conversations"), list):
        return bool(turns) and isinstance(turns[0], Mapping) and ("from" in turns[0] or "role" in turns[0])
    messages = tree.get("messages")
    return isinstance(messages, list) and bool(messages) and tree.keys() <= _BESIDE


def _read(row: dict[str, Any], notes: Notes) -> Draft:
    if "preferred_output" in row:
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
            raise Unreadable("no_answer", "the last message is not the assistant's")
        prompt = read_prompt({**row, "messages": messages[:-1]}, notes)
        answer = read_answer(last, notes)
    if answer is not None and answer.finish_reason is None:
        # People wrote or approved the answer: it is whole.
        answer.finish_reason = "tool_calls" if answer.tool_calls and not answer.text else "stop"
    return Draft(id=row.get("id"), prompt=prompt, answer=answer, status=200)


FORMAT = tree_format("openai_finetune", _recognises, _read)
