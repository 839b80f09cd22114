"""vLLM's CPU worker with LoRA applied as matrix products: one product per adapter in the batch.

    python -m vllm.entrypoints.openai.api_server --worker-cls serving.cpu_lora.Worker ...

vLLM's own CPU path copies the adapter's matrices once per token before it multiplies, which makes an adapter several
times slower than its base model. In batches with both it also applies the last adapter's weights to tokens of the base
model. This one groups tokens by adapter, and skips tokens without one. Only vLLM processes import this module.
"""

from typing import Any

import torch
from vllm.lora.punica_wrapper.punica_cpu import PunicaWrapperCPU
from vllm.platforms import current_platform
from vllm.v1.worker.cpu_worker import CPUWorker

Run = tuple[int, slice]
"""Adapter slot, and the consecutive rows of the batch that use it."""


class Worker(CPUWorker):
    """The CPU worker with `GroupedLora` in place of vLLM's LoRA kernels."""

    def load_model(self, *args: Any, **kwargs: Any) -> None:
        # Before any layer is wrapped: the platform names the class of the LoRA kernels, and there is no option for it.
        qualified_name = f"{GroupedLora.__module__}.{GroupedLora.__qualname__}"
        current_platform.get_punica_wrapper = lambda: qualified_name  # type: ignore[method-assign]
        super().load_model(*args, **kwargs)


class GroupedLora(PunicaWrapperCPU):
    """y += scale * (x @ A.T) @ B.T for each run of rows with the same adapter.

    Stacked weights have the shapes (slots, 1, rank, in) and (slots, 1, out, rank).
    """

    _token_runs: tuple[Run, ...] = ()

    def update_metadata(self, *args: Any, **kwargs: Any) -> None:
        """Called once per step: compute which rows of the batch belong to which adapter."""
        super().update_metadata(*args, **kwargs)
        self._token_runs = runs(self.token_lora_indices)

    def add_lora_linear(
        self,
        y: torch.Tensor,
        x: torch.Tensor,
        lora_a_stacked: tuple[torch.Tensor, ...],
        lora_b_stacked: tuple[torch.Tensor, ...],
        scale: float,
        output_slices: tuple[int, ...],
        **_: Any,
    ) -> None:
        """In place on y, one slice of columns per packed projection (such as q, k and v)."""
        rows_y, rows_x = y.view(-1, y.shape[-1]), x.reshape(-1, x.shape[-1])
        for slot, rows in self._token_runs:
            start = 0
            for a, b, width in zip(lora_a_stacked, lora_b_stacked, output_slices, strict=True):
                low_rank = rows_x[rows] @ a[slot, 0].T
                rows_y[rows, start : start + width].addmm_(low_rank, b[slot, 0].T, alpha=scale)
                start += width


def runs(slots: torch.Tensor) -> tuple[Run, ...]:
    """Runs of equal adapter slots in a 1-D tensor; -1 (no adapter) is left out."""
    values, lengths = torch.unique_consecutive(slots, return_counts=True)
    token_runs, start = [], 0
    for slot, length in zip(values.tolist(), lengths.tolist(), strict=True):
        if slot >= 0:
            token_runs.append((slot, slice(start, start + length)))
        start += length
    return tuple(token_runs)
