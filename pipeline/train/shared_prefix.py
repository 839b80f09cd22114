"""Collator that computes the common prefix of a batch's rows once.

An unpruned prompt is mostly the call site's static text. In a causal model the states of a prefix do not depend on what
follows, so one copy serves the whole batch: `prefix, rest 1, rest 2, ...` in one sequence, where each rest has its own
positions and attends to the prefix and to itself. Loss and gradients equal those of the padded batch.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

Batch = dict[str, torch.Tensor]

ATTENTION_TOKENS = 3000
"""Length at which attention costs as much as the linear layers in SmolLM2-135M (2 x 106 M FLOPs per token against
4 x 30 x 576 per token and token attended to); larger models reach it later."""
MAX_COST_RATIO = 0.8
"""Rows are rearranged if that costs at most this share of the padded batch: the mask and its kernel cost time too."""


def common_beginning(sequences: Sequence[Sequence[int]]) -> int:
    """Number of leading tokens that all sequences share."""
    return sum(1 for _ in itertools.takewhile(lambda at: len(set(at)) == 1, zip(*sequences, strict=False)))


def common(examples: Sequence[Mapping[str, Any]], ignored: int) -> int:
    """Length of the rows' common prefix, at most each prompt less one token, which predicts the first label."""
    prefix = common_beginning([example["input_ids"] for example in examples])
    prompts = (
        next((n for n, label in enumerate(example["labels"]) if label != ignored), len(example["labels"]))
        for example in examples
    )
    return max(0, min(prefix, *(prompt - 1 for prompt in prompts)))


def cost(tokens: int, length: int) -> float:
    """Relative cost of `tokens` in sequences of this length."""
    return tokens * (1 + length / ATTENTION_TOKENS)


def pays(lengths: Sequence[int], prefix: int) -> bool:
    """Whether one sequence with a single prefix is cheaper than padded rows."""
    packed = prefix + sum(length - prefix for length in lengths)
    padded = len(lengths) * max(lengths)
    return prefix > 0 and cost(packed, packed) < MAX_COST_RATIO * cost(padded, max(lengths))


def mask(prefix: int, rests: Sequence[int]) -> torch.Tensor:
    """Attention mask: bool (1, 1, tokens, tokens), queries by keys."""
    owner = torch.repeat_interleave(torch.arange(len(rests) + 1), torch.tensor([prefix, *rests]))
    visible = (owner[None, :] == 0) | (owner[None, :] == owner[:, None])
    return visible.tril()[None, None]


class SharedPrefixCollator:
    """Collates rows with a single copy of their common prefix where that is cheaper, else as `plain` does."""

    def __init__(self, plain: Callable[[Sequence[Mapping[str, Any]]], Batch], ignored: int) -> None:
        self._plain = plain
        self._ignored = ignored

    def __call__(self, examples: Sequence[Mapping[str, Any]]) -> Batch:
        """`input_ids`, `labels`, `position_ids` (1, tokens) and `attention_mask` (1, 1, tokens, tokens)."""
        lengths = [len(example["input_ids"]) for example in examples]
        prefix = common(examples, self._ignored) if len(examples) > 1 else 0
        if not pays(lengths, prefix):
            return self._plain(examples)
        ids, labels = list(examples[0]["input_ids"][:prefix]), [self._ignored] * prefix
        positions = list(range(prefix))
        for example, length in zip(examples, lengths, strict=True):
            ids += example["input_ids"][prefix:]
            labels += example["labels"][prefix:]
            positions += range(prefix, length)
        return {
            "input_ids": torch.tensor([ids]),
            "labels": torch.tensor([labels]),
            "position_ids": torch.tensor([positions]),
            "attention_mask": mask(prefix, [length - prefix for length in lengths]),
        }
