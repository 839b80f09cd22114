"""pipeline/train/cpu_attention.py"""

import pytest
import torch
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from pipeline.train import cpu_attention

pytestmark = pytest.mark.slow

HEADS, KV_HEADS, SIZE = 6, 2, 8


class Layer(torch.nn.Module):
    is_causal = True
    num_key_value_groups = HEADS // KV_HEADS


def inputs(rows: int, length: int) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(rows, heads, length, SIZE, requires_grad=True) for heads in (HEADS, KV_HEADS, KV_HEADS)]


def attended(attention, rows: int, length: int, mask: torch.Tensor | None) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Output, and gradients of queries, keys and values."""
    given = inputs(rows, length)
    result, _ = attention(Layer(), *given, mask, scaling=SIZE**-0.5)
    (result * torch.arange(result.numel()).view_as(result)).sum().backward()
    return result, [tensor.grad for tensor in given]


def padded(rows: int, length: int) -> torch.Tensor:
    """Causal mask; the last two keys of the first row are padding."""
    mask = torch.ones(length, length, dtype=torch.bool).tril().repeat(rows, 1, 1, 1)
    mask[0, :, :, -2:] = False
    return mask


@pytest.mark.parametrize("mask", [None, padded(3, 7)], ids=["causal", "padded"])
def test_short_sequences_have_the_result_and_gradients_of_pytorchs_kernel(mask):
    result, gradients = attended(cpu_attention.forward, 3, 7, mask)
    expected, theirs = attended(sdpa_attention_forward, 3, 7, mask)
    torch.testing.assert_close(result, expected)
    for one, other in zip(gradients, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("rows, length, plain", [(1, 8, True), (4, 400, False)])
def test_attention_scores_are_stored_for_short_sequences_only(rows, length, plain):
    query, key, value = inputs(rows, length)
    result, _ = cpu_attention.forward(Layer(), query, key, value, None, scaling=SIZE**-0.5)
    seen, steps = set(), [result.grad_fn]
    while steps:
        step = steps.pop()
        seen.add(type(step).__name__)
        steps += [before for before, _ in step.next_functions if before is not None]
    assert ("SoftmaxBackward0" in seen) == plain


def test_a_single_query_with_many_keys_is_handled():
    query, key, value = inputs(2, 5)
    result, _ = cpu_attention.forward(Layer(), query[:, :, -1:], key, value, None, scaling=SIZE**-0.5)
    whole, _ = cpu_attention.forward(Layer(), query, key, value, None, scaling=SIZE**-0.5)
    torch.testing.assert_close(result, whole[:, -1:])
