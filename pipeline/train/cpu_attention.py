"""Attention for training on a CPU: plain matrix products where sequences are short, PyTorch's kernel where not.

PyTorch's fused kernel saves memory that short sequences do not need, and its backward pass was a quarter of a small
model's step (docs/LOG.md, 2026-11-25).
"""

from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "cpu_short_or_sdpa"
"""For `model.set_attn_implementation`."""

LARGEST_SCORES = 600_000
"""Queries x keys, over all rows of a batch, up to which plain products are faster: measured with 9 heads of 64, where
both took as long at about 1.2 million and plain products less than half at 360,000."""


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
    """As transformers' attention functions: query (rows, heads, queries, size), key and value with fewer heads.

    `attention_mask` is boolean (rows or 1, 1, queries, keys), true where a query sees a key; None: all before it.
    """
    rows, heads, queries, size = query.shape
    kv_heads, keys = key.shape[1:3]
    if rows * queries * keys > LARGEST_SCORES or dropout or scaling is None or queries != keys:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **rest
        )
    if attention_mask is None:
        attention_mask = torch.ones(queries, keys, dtype=torch.bool, device=query.device).tril()[None, None]
    # The heads that share a key stand one after the other: no copy of keys and values is needed.
    scores = query.reshape(rows, kv_heads, -1, size) @ key.transpose(2, 3) * scaling
    scores = scores.view(rows, heads, queries, keys).masked_fill(~attention_mask, torch.finfo(query.dtype).min)
    shares = scores.softmax(dim=-1, dtype=torch.float32).to(query.dtype)
    found = shares.view(rows, kv_heads, -1, keys) @ value
    return found.view(rows, heads, queries, size).transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, forward)
AttentionMaskInterface.register(NAME, sdpa_mask)
