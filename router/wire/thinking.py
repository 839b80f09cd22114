"""Thinking of Anthropic endpoints: parameters, and earlier thinking. Pure."""

from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any, get_args

from router.wire.endpoint_limits import fit_thinking
from traffic.loose_json import Tree, encode, json_or, loads, text, tree, trees
from traffic.tiers import Effort

_LOW_BUDGET_TOKENS, _MEDIUM_BUDGET_TOKENS = 2048, 8192
"""Largest thinking budgets that count as low and as medium effort."""

_BUDGETS = {"low": _LOW_BUDGET_TOKENS, "high": 2 * _MEDIUM_BUDGET_TOKENS, **dict.fromkeys(("xhigh", "max"), 32_768)}
EFFORTS: tuple[Effort, ...] = get_args(Effort)
"""Values of `reasoning_effort` in ascending order."""
ANTHROPIC_EFFORTS = EFFORTS[EFFORTS.index("low") :]
"""Values of Anthropic's `output_config.effort`."""
_THINKING = ("thinking", "redacted_thinking")
_SEAL = "fasttier-thinking:"
"""Beginning of reasoning items' `encrypted_content` that this router can read."""


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
        del body["thinking"]
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


def without_thinking(payload: bytes) -> bytes:
    """A request without earlier thinking, and without thinking itself: the turn with tool calls that it continues would
    have to begin with thinking."""
    body = loads(payload)
    body.pop("thinking", None)
    turns = []
    for turn in trees(body.get("messages")):
        content = turn.get("content")
        if isinstance(content, list):
            content = [block for block in content if tree(block).get("type") not in _THINKING]
        if content or not turn.get("content"):
            turns.append(turn | {"content": content})
    return encode(body | {"messages": turns})


def reconcile(body: Tree) -> None:
    """Remove parameters that the API rejects in combination with thinking; a forced tool call removes the thinking."""
    if tree(body.get("thinking")).get("type") not in ("enabled", "adaptive"):
        return
    forced = tree(body.get("tool_choice")).get("type") in ("any", "tool")
    if forced or (body["thinking"]["type"] == "enabled" and _called_without_thinking(trees(body.get("messages")))):
        del body["thinking"]
        return
    for key in ("temperature", "top_k"):
        body.pop(key, None)


def _called_without_thinking(turns: Sequence[Tree]) -> bool:
    """Whether the last turn has tool results, and the turn with their calls does not begin with thinking."""
    if len(turns) < 2 or not any(b.get("type") == "tool_result" for b in trees(turns[-1].get("content"))):
        return False
    first = next(iter(trees(turns[-2].get("content"))), {})
    return first.get("type") not in _THINKING
