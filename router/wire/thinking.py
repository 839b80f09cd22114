"""Thinking of Anthropic endpoints: parameters, and earlier thinking. Pure."""

from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from typing import Any, get_args

from traffic.loose_json import Tree, encode, json_or, text, tree, trees
from traffic.tiers import Effort

_LOW_BUDGET_TOKENS, _MEDIUM_BUDGET_TOKENS = 2048, 8192
"""Largest thinking budgets that count as low and as medium effort."""

_BUDGETS = {"low": _LOW_BUDGET_TOKENS, "high": 2 * _MEDIUM_BUDGET_TOKENS, **dict.fromkeys(("xhigh", "max"), 32_768)}
EFFORTS: tuple[Effort, ...] = get_args(Effort)
"""Values of `reasoning_effort` in ascending order."""
ANTHROPIC_EFFORTS = EFFORTS[EFFORTS.index("low") :]
"""Values of Anthropic's `output_config.effort`."""
UNSIGNED = "fasttier-unsigned"
"""Signature of thinking by another provider's model, which Anthropic would reject."""
LEAST_THINKING_TOKENS = 1024
"""Smallest budget that the API accepts."""
_SEAL = "fasttier-thinking:"
"""Beginning of reasoning items' `encrypted_content` that this router can read."""


def is_thinking(block: Tree) -> bool:
    return block.get("type") in ("thinking", "redacted_thinking")


def is_unsigned(block: Tree) -> bool:
    """Whether a block is thinking of another provider's model, which this router sent to a client of Anthropic's."""
    return block.get("signature") == UNSIGNED


def is_signed(thinking: Tree) -> bool:
    """Whether Anthropic accepts a block of earlier thinking."""
    if thinking.get("type") == "redacted_thinking":
        return bool(thinking.get("data"))
    return text(thinking.get("signature")) not in ("", UNSIGNED)


def sealed(blocks: list[Tree]) -> str:
    """Signed thinking blocks as the `encrypted_content` of a reasoning item, which clients return unchanged."""
    return _SEAL + b64encode(encode(blocks)).decode()


def unsealed(content: Any) -> list[Tree]:
    """The thinking blocks of an `encrypted_content`; empty if another server wrote it."""
    if not isinstance(content, str) or not content.startswith(_SEAL):
        return []
    try:
        return trees(json_or(b64decode(content.removeprefix(_SEAL), validate=True)))
    except ValueError:
        return []


def nearest_effort(effort: Any, supported: Sequence[str]) -> Any:
    """The supported effort next to the requested one, the higher one of two."""
    if effort not in EFFORTS:
        return effort
    rank = EFFORTS.index
    return min(supported, key=lambda value: (abs(rank(value) - rank(effort)), -rank(value)))


def effort_of(budget_tokens: int) -> str:
    """The effort that a thinking budget stands for."""
    return (
        "low" if budget_tokens <= _LOW_BUDGET_TOKENS else "medium" if budget_tokens <= _MEDIUM_BUDGET_TOKENS else "high"
    )


def adaptive(thinking: Tree, output_config: Tree) -> tuple[Tree, Tree]:
    """A thinking budget as adaptive thinking and its effort; an effort that the client states stays."""
    budget = thinking.get("budget_tokens")
    if thinking.get("type") != "enabled":
        return thinking, output_config
    converted = {key: value for key, value in thinking.items() if key != "budget_tokens"} | {"type": "adaptive"}
    effort = {"effort": effort_of(budget)} if isinstance(budget, int) else {}
    return converted, effort | output_config


def with_budget(body: Tree) -> Tree:
    """Adaptive thinking as the budget that its effort stands for, or none if the request does not allow a budget."""
    effort = text(tree(body.get("output_config")).get("effort"))
    body = body | {"thinking": {"type": "enabled", "budget_tokens": _BUDGETS.get(effort, _MEDIUM_BUDGET_TOKENS)}}
    if isinstance(body.get("max_tokens"), int):
        fit_thinking(body)
        reconcile(body)
    else:
        _drop_thinking(body)
    return body


def with_effort(sent: Tree) -> Tree:
    """OpenRouter's `reasoning` converted to an effort or a budget."""
    reasoning = tree(sent.get("reasoning"))
    if not reasoning or not reasoning.keys() <= {"effort", "max_tokens", "enabled", "exclude", "summary"}:
        return sent
    modern = {key: value for key, value in sent.items() if key != "reasoning"}
    if reasoning.get("effort") is not None:
        modern.setdefault("reasoning_effort", reasoning["effort"])
    elif isinstance(reasoning.get("max_tokens"), int):
        modern.setdefault("thinking", {"type": "enabled", "budget_tokens": reasoning["max_tokens"]})
    return modern


def without_thinking(body: Tree, rejected: Callable[[Tree], bool]) -> Tree:
    """A request without the rejected blocks of earlier thinking, and without thinking itself where it would need
    them."""
    turns = []
    for turn in trees(body.get("messages")):
        content = turn.get("content")
        if isinstance(content, list):
            content = [block for block in content if not rejected(tree(block))]
        if content:
            # The API rejects empty turns.
            turns.append(turn | {"content": content})
    body = body | {"messages": turns}
    reconcile(body)
    return body


def thinking_tokens(body: Tree) -> int:
    """Thinking budget of an Anthropic request."""
    thinking = tree(body.get("thinking"))
    budget = thinking.get("budget_tokens")
    return budget if thinking.get("type") == "enabled" and isinstance(budget, int) else 0


def fit_thinking(body: Tree) -> None:
    """Lower the thinking budget below the cap on output tokens, as the API requires."""
    cap, budget = body["max_tokens"], thinking_tokens(body)
    if not budget or budget < cap:
        return
    if cap > LEAST_THINKING_TOKENS:
        body["thinking"] = body["thinking"] | {"budget_tokens": max(LEAST_THINKING_TOKENS, cap // 2)}
    else:
        _drop_thinking(body)


def reconcile(body: Tree) -> None:
    """Remove parameters that the API rejects in combination with thinking; a forced tool call removes the thinking."""
    if tree(body.get("thinking")).get("type") not in ("enabled", "adaptive"):
        return
    forced = tree(body.get("tool_choice")).get("type") in ("any", "tool")
    if forced or (body["thinking"]["type"] == "enabled" and _called_without_thinking(trees(body.get("messages")))):
        _drop_thinking(body)
        return
    for key in ("temperature", "top_k"):
        body.pop(key, None)


def _drop_thinking(body: Tree) -> None:
    """Remove the thinking, and the edits of the context that the API rejects without it."""
    del body["thinking"]
    context = tree(body.get("context_management"))
    edits = trees(context.get("edits"))
    kept = [edit for edit in edits if not text(edit.get("type")).startswith("clear_thinking")]
    if kept:
        body["context_management"] = context | {"edits": kept}
    elif edits:
        del body["context_management"]


def _called_without_thinking(turns: Sequence[Tree]) -> bool:
    """Whether the last turn has tool results, and the turn with their calls does not begin with thinking."""
    if len(turns) < 2 or not any(b.get("type") == "tool_result" for b in trees(turns[-1].get("content"))):
        return False
    return not is_thinking(next(iter(trees(turns[-2].get("content"))), {}))
