"""Number of examples that fit into a time, measured with real passes before training begins."""

import contextlib
import math
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pipeline.train.config import TrainConfig
from pipeline.train.estimate import forward_share

if TYPE_CHECKING:
    from pipeline.train.trainer import Trainer

WARM_UP_EXAMPLES = 2
TIMED_EXAMPLES = (4, 8, 8)
"""Per timed batch; fewer if the run's batches are smaller. The first is small: on a slow machine it is the only one."""
MAX_TIMED_SECONDS = 4.0
"""No further batch is timed if all would take longer than this."""


def steps_within(
    seconds: float, examples_per_second: float, *, config: TrainConfig, steps: int, validation_examples: int
) -> int:
    """Optimiser steps that take this long together with one epoch's validations.

    At most `steps`, and enough for `min_examples` even if they take longer.
    """
    validation = config.evaluation.per_epoch * validation_examples * forward_share(config)
    examples = seconds * examples_per_second - validation
    min_steps = math.ceil(config.min_examples / config.effective_batch)
    return min(steps, max(min_steps, int(examples / config.effective_batch)))


def measure(trainer: "Trainer", batch_size: int) -> float:
    """Examples per second of forward and backward passes over examples spread over the training set.

    Leaves weights, gradients and metrics as they were.
    """
    model: Any = trainer.model
    size = len(trainer.train_dataset)  # type: ignore[arg-type]
    batches = [WARM_UP_EXAMPLES, *(min(batch_size, examples) for examples in TIMED_EXAMPLES)]
    total = sum(batches)
    order = [index * size // total for index in range(total)]
    timed = seconds = 0.0
    model.train()
    with _undisturbed(trainer):
        for number, count in enumerate(batches):
            if timed and not fits(count, timed, seconds):
                break
            # Strided, so that each batch holds examples of the whole set.
            indices = [order[(number + offset * len(batches)) % total] for offset in range(count)]
            began = time.monotonic()
            _one_pass(trainer, indices)
            if number:
                timed, seconds = timed + count, seconds + time.monotonic() - began
    return timed / seconds


def fits(count: int, timed: float, seconds: float) -> bool:
    """Whether there is time for `count` more examples after `timed` of them took `seconds`."""
    return seconds * (1 + count / timed) <= MAX_TIMED_SECONDS


def _one_pass(trainer: "Trainer", indices: list[int]) -> None:
    data: Any = trainer.train_dataset
    batch = trainer.collator()([data[index] for index in indices])
    inputs = {name: value.to(trainer.args.device) for name, value in batch.items()}
    with trainer.accelerator.autocast():
        loss = trainer.compute_loss(trainer.model, inputs)
    trainer.accelerator.backward(loss)


@contextlib.contextmanager
def _undisturbed(trainer: "Trainer") -> Iterator[None]:
    """Passes inside the block run as in training, but leave no gradients and no metrics."""
    model: Any = trainer.model
    with trainer.lean_model():
        yield
    model.zero_grad(set_to_none=True)
    trainer._metrics["train"].clear()
    trainer._total_train_tokens = 0
