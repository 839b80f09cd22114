"""The order in which examples are trained on: a function of seed and epoch, and of nothing else."""

from collections.abc import Iterator, Sequence

import torch

MEGABATCH = 50
"""Batches that are drawn at random together and sorted by length; more saves padding, less is more random."""


def generator_of(seed: int, epoch: int) -> torch.Generator:
    """The random numbers of one epoch."""
    return torch.Generator().manual_seed(seed * 1_000_003 + epoch)


def epoch_size(weights: Sequence[float]) -> int:
    """Examples of one epoch: the sum of the weights."""
    return max(1, round(sum(weights)))


def draw(weights: Sequence[float], generator: torch.Generator) -> list[int]:
    """Indices of one epoch in random order: over the epochs each comes as often as its weight says, on average.

    `epoch_size` indices. A weight under 1 leaves the example out of some epochs, the loss and its scale stay as they
    are: in expectation that is the example's loss times its weight. No index comes more than once more than another of
    its weight (systematic sampling along a random order).
    """
    order = torch.randperm(len(weights), generator=generator)
    size = epoch_size(weights)
    reached = torch.tensor(weights, dtype=torch.float64)[order].cumsum(0)
    at = (torch.arange(size) + torch.rand(1, generator=generator, dtype=torch.float64)) * (reached[-1] / size)
    found = torch.searchsorted(reached, at, right=True).clamp(max=len(weights) - 1)
    drawn: list[int] = order[found].tolist()
    return drawn


class LengthGroupedSampler(torch.utils.data.Sampler[int]):
    """Random order, with batches of similar length when `batch` is given, and as often as `weights` say.

    transformers' own (`trainer_pt_utils.LengthGroupedSampler`) draws from the global generator, so a run that resumes
    in a later epoch sees a different order than the one that it continues.
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
        """Called by the trainer at the start of each epoch, also of one that it resumes in the middle."""
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
        # The short batch, if there is one, must stay last: the loader cuts the stream of indices every `batch`.
        tail = [batches.pop()] if batches and len(batches[-1]) < self._batch else []
        # Shuffled, or the length (and with it the kind of example) would fall and rise through the epoch. The longest
        # batch goes first: if memory is short, it is so at once.
        shuffled = [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]
        if shuffled:
            longest = max(range(len(shuffled)), key=lambda i: self._lengths[shuffled[i][0]])
            shuffled[0], shuffled[longest] = shuffled[longest], shuffled[0]
        return iter([index for batch in [*shuffled, *tail] for index in batch])
