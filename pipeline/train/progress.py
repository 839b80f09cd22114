"""What the training process reports while it runs: `transformers` events into progress.jsonl."""

import math
from typing import Any, Literal

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from pipeline.train.job import Event, EventWriter
from traffic.errors import TrainingFailed


class ProgressCallback(TrainerCallback):
    """Writes each step, the logged metrics and each validation; stops a run whose loss is no number."""

    def __init__(self, events: EventWriter) -> None:
        self._events = events

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **rest: Any) -> None:
        self._events.write(Event("step", step=state.global_step, total=state.max_steps))

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **rest: Any,
    ) -> None:
        metrics = {key: float(value) for key, value in (logs or {}).items()}
        lost = sorted(
            key for key, value in metrics.items() if key in ("loss", "eval_loss") and not math.isfinite(value)
        )
        if lost:
            raise TrainingFailed(
                f"{lost[0]} is {metrics[lost[0]]} at step {state.global_step}: "
                f"lower learning_rate {args.learning_rate:g}"
            )
        kind: Literal["eval", "log"] = "eval" if "eval_loss" in metrics else "log"
        self._events.write(Event(kind, step=state.global_step, total=state.max_steps, metrics=metrics))
