"""Order of training examples: a function of seed and epoch only."""

from collections.abc import Iterator, Sequence

import torch

MEGABATCH = 50
"""Batches sorted by length together: more saves padding, fewer are more random."""


def generator_of(seed: int, epoch: int) -> torch.Generator:
    """Random generator of one epoch."""
    return torch.Generator().manual_seed(seed * 1_000_003 + epoch)


def epoch_size(weights: Sequence[float]) -> int:
    """Examples of one epoch: the sum of the weights."""
    return max(1, round(sum(weights)))


def draw(weights: Sequence[float], generator: torch.Generator) -> list[int]:
    """`epoch_size` indices of one epoch in random order, each drawn as often as its weight on average.

    A weight below 1 leaves the example out of some epochs, which in expectation multiplies its loss by the weight.
    Systematic sampling along a random order: counts of equal weights differ by at most one.
    """
    order = torch.randperm(len(weights), generator=generator)
    size = epoch_size(weights)
    reached = torch.tensor(weights, dtype=torch.float64)[order].cumsum(0)
    positions = (torch.arange(size) + torch.rand(1, generator=generator, dtype=torch.float64)) * (reached[-1] / size)
    rows = torch.searchsorted(reached, positions, right=True).clamp(max=len(weights) - 1)
    drawn: list[int] = order[rows].tolist()
    return drawn


class LengthGroupedSampler(torch.utils.data.Sampler[int]):
    """Random order, drawn by `weights`, in batches of similar length when `batch` is given.

    The sampler of transformers (`trainer_pt_utils.LengthGroupedSampler`) uses the global generator, so a run resumed in
    a later epoch would see another order.
    """

    def __init__(
        self, lengths: Sequence[int], batch: int | None, seed: int, weights: Sequence[float] | None = None
    ) -> None:
        self._lengths = lengths
        self._weights = None if weights is None or all(weight == 1 for weight in weights) else list(weights)
        self._batch = batch
        self._seed = seed
        self._epoch = 0

    def __len__(self) -> int:
        return len(self._lengths) if self._weights is None else epoch_size(self._weights)

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer at the start of each epoch, also when it resumes in the middle of one."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[int]:
        generator = generator_of(self._seed, self._epoch)
        if self._weights is None:
            order = torch.randperm(len(self._lengths), generator=generator).tolist()
        else:
            order = draw(self._weights, generator)
        if self._batch is None:
            return iter(order)
        size = self._batch * max(1, min(MEGABATCH, len(order) // (self._batch * 4)))
        batches: list[list[int]] = []
        for start in range(0, len(order), size):
            group = sorted(order[start : start + size], key=lambda i: self._lengths[i], reverse=True)
            batches += [group[i : i + self._batch] for i in range(0, len(group), self._batch)]
        # An incomplete batch must stay last: the loader splits the index stream every `batch` indices.
        tail = [batches.pop()] if batches and len(batches[-1]) < self._batch else []
        # Shuffled, so that length does not drift through the epoch. The shortest batch comes first, so that a slow
        # machine soon shows a step; the longest second, so that a run that does not fit into memory fails early.
        shuffled = [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]
        for position, extreme in enumerate((min, max)[: len(shuffled)]):
            chosen = extreme(range(position, len(shuffled)), key=lambda i: self._lengths[shuffled[i][0]])
            shuffled[position], shuffled[chosen] = shuffled[chosen], shuffled[position]
        return iter([index for batch in [*shuffled, *tail] for index in batch])
