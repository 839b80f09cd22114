"""Attention for training on a CPU: plain matrix products for short sequences, PyTorch's kernel for long ones.

PyTorch's fused kernel saves memory that short sequences do not need; its backward pass took a quarter of a small
model's step (docs/LOG.md, 2026-11-25).
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "cpu_short_or_sdpa"

LARGEST_SCORES = 3_000_000
"""Maximum heads x queries x keys, over all rows of a batch, for plain products. Measured with 9 heads of 64: less than
half the time at 3 million, no gain at 10 million. Each layer keeps 7 bytes per score for its backward pass."""


@contextlib.contextmanager
def used_by(model: Any) -> Iterator[None]:
    """Use this attention in the model inside the block."""
    AttentionInterface.register(NAME, forward)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)
    try:
        yield
    finally:
        model.set_attn_implementation("sdpa")


def forward(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **rest: Any,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Attention function of transformers: query (rows, heads, queries, size), key and value with fewer heads.

    `attention_mask`: bool (rows or 1, 1, queries, keys), true where a query attends to a key; None: causal.
    """
    rows, heads, queries, size = query.shape
    kv_heads, keys = key.shape[1:3]
    if rows * heads * queries * keys > LARGEST_SCORES or dropout or scaling is None or queries != keys:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **rest
        )
    if attention_mask is None:
        attention_mask = torch.ones(queries, keys, dtype=torch.bool, device=query.device).tril()[None, None]
    # Heads that share a key are adjacent, so keys and values need no copy.
    scores = (query * scaling).reshape(rows, kv_heads, -1, size) @ key.transpose(2, 3)
    scores = scores.view(rows, heads, queries, keys).masked_fill(~attention_mask, torch.finfo(query.dtype).min)
    shares = scores.softmax(dim=-1, dtype=torch.float32).to(query.dtype)
    values = shares.view(rows, kv_heads, -1, keys) @ value
    return values.view(rows, heads, queries, size).transpose(1, 2).contiguous(), None
