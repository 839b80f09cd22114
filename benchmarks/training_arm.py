"""One arm of a training benchmark, in a separate process, so that peak memory is measured per arm.

    python -m benchmarks.training_arm ARM.json RESULT.json

Trains on the arm's rows, reports time and memory, and scores the adapter on held-out rows, in the same way for all
arms: by the most probable label, or by a generated answer if the answers are texts.
"""

import copy
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from pipeline.train.config import TrainConfig
from traffic.adapters import ComputeDtype

ANSWER_TOKENS = 160
"""Maximum length of a generated answer, for tasks without labels."""


class Turn(msgspec.Struct, frozen=True):
    role: str
    content: str


class Row(msgspec.Struct, frozen=True):
    prompt: list[Turn]
    completion: list[Turn]


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of one arm: those of the previous one and one more optimisation."""

    name: str
    config: TrainConfig
    base: str
    """Folder of the base model's weights."""
    folder: str
    rows: list[Row]
    test: list[Row]
    """Held-out rows; empty: not scored."""
    labels: tuple[str, ...]
    """The closed set of answers, if there is one."""
    steps: int | None
    """Optimiser steps; None: all epochs."""
    plain_weights: bool = False
    """Load the base model's weights in float32, like TRL; else in the compute dtype."""
    compute_dtype: ComputeDtype = "bfloat16"
    checkpointing: bool = False
    own_loss: bool = True
    """Use the trainer of `pipeline.train.entry`, with its loss on completions only."""
    grouped: bool = True
    lean: bool = True
    share_prefix: bool = True
    device: Literal["cpu", "cuda"] = "cpu"
    warm_up: int = 0
    """Warm-up steps that are not timed."""
    max_seconds: float | None = None
    """Time limit of the timed steps; the step in progress is finished."""
    quantised: bool = False


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Time, memory and score of one arm."""

    name: str
    steps: int
    examples: int
    seconds: float
    """From the beginning of the first step to the end of the last one."""
    examples_per_second: float
    supervised_tokens_per_second: float
    prompt_tokens: float
    """Mean over the rows."""
    supervised_tokens: float
    """Mean tokens of the answer with its end-of-turn token."""
    peak_rss_gib: float
    loss: float
    """Mean training loss of the last steps."""
    right: list[bool]
    """Correctness of each held-out row, in the same order in all arms; empty if not scored."""
    tokens_per_second: float = 0.0
    """Prompt and completion tokens without padding, as counted by the trainer."""
    tokens_per_step: float = 0.0
    peak_gpu_gib: float = 0.0
    """Peak of PyTorch's allocator, without the driver's context; 0 on a CPU."""
    save_seconds: float = 0.0
    """Time to write the adapter and the optimiser's state."""
    losses: list[float] = []
    """Loss of every step."""
    gradient_norms: list[float] = []


def run(arm: Arm) -> Outcome:
    """Train and score."""
    from pipeline.train import chat

    os.environ["HF_HUB_OFFLINE"] = "1"
    tokenizer = chat.load_tokenizer(arm.base)
    encoded = [chat.encode(tokenizer, _turns(row.prompt), _turns(row.completion)) for row in arm.rows]
    trainer = _ours(arm, tokenizer, encoded) if arm.own_loss else _trl(arm, max(len(row.ids) for row in encoded))
    clock = _clock(arm)
    trainer.add_callback(clock)
    trainer.train()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    seconds = clock.ended - clock.began
    steps = trainer.state.global_step - arm.warm_up
    supervised = statistics.fmean(row.supervised for row in encoded)
    logged = [entry for entry in trainer.state.log_history if "loss" in entry]
    losses = [entry["loss"] for entry in logged]
    tokens = logged[-1]["num_tokens"] - (logged[arm.warm_up - 1]["num_tokens"] if arm.warm_up else 0)
    examples = min(steps * arm.config.effective_batch, round(arm.config.epochs * len(arm.rows)))
    if arm.config.packing:
        examples = round(tokens / statistics.fmean(len(row.ids) for row in encoded))
    return Outcome(
        name=arm.name,
        steps=steps,
        examples=examples,
        seconds=seconds,
        examples_per_second=examples / seconds,
        supervised_tokens_per_second=examples * supervised / seconds,
        prompt_tokens=statistics.fmean(row.prompt_length for row in encoded),
        supervised_tokens=supervised,
        peak_rss_gib=peak,
        loss=statistics.fmean(losses[-5:]),
        right=_right(arm, trainer.model, tokenizer) if arm.test else [],
        tokens_per_second=tokens / seconds,
        tokens_per_step=tokens / steps,
        peak_gpu_gib=_peak_gpu_gib(arm),
        save_seconds=_save_seconds(trainer, Path(arm.folder)),
        losses=losses,
        gradient_norms=[entry["grad_norm"] for entry in logged],
    )


def _peak_gpu_gib(arm: Arm) -> float:
    import torch

    return torch.cuda.max_memory_allocated() / 2**30 if arm.device == "cuda" else 0.0


def _save_seconds(trainer: Any, folder: Path) -> float:
    import torch

    began = time.monotonic()
    trainer.save_model(str(folder / "saved"))
    torch.save(trainer.optimizer.state_dict(), folder / "saved" / "optimizer.pt")
    return time.monotonic() - began


def _trl(arm: Arm, longest: int) -> Any:
    """TRL's trainer as in its documentation: a model's name, a conversational dataset, a LoRA configuration.

    Learning rate, epochs, a `max_length` without truncation, and this machine's compute dtype are set. The rest are
    TRL's defaults: float32 weights (with autocast for another compute dtype), gradient checkpointing, 8 examples per
    step in random order, loss on completions.
    """
    import datasets
    from trl import SFTConfig, SFTTrainer

    from pipeline.train import entry

    stated: dict[str, Any] = {} if arm.plain_weights else {"model_init_kwargs": {"dtype": arm.compute_dtype}}
    if not arm.checkpointing:
        stated["gradient_checkpointing"] = False
    if arm.steps is not None:
        stated["max_steps"] = arm.steps
    arguments = SFTConfig(
        output_dir=arm.folder,
        learning_rate=arm.config.learning_rate,
        num_train_epochs=arm.config.epochs,
        # One token more per row than ours: TRL also trains on text that templates add after the end of a turn.
        max_length=max(SFTConfig.max_length or 0, longest + 8),
        use_cpu=arm.device == "cpu",
        bf16=arm.compute_dtype == "bfloat16",
        # These do not affect training: no files or progress output, and the loss of each step is logged.
        save_strategy="no",
        logging_steps=1,
        disable_tqdm=True,
        dataloader_pin_memory=False,
        **stated,
    )
    data = datasets.Dataset.from_list([msgspec.to_builtins(row) for row in arm.rows])
    adapter = entry.lora_config(arm.config, arm.base)
    return SFTTrainer(model=arm.base, args=arguments, train_dataset=data, peft_config=adapter)


def _ours(arm: Arm, tokenizer: Any, encoded: Sequence[Any]) -> Any:
    """The trainer of `fasttier train` without validation and checkpoints, which TRL's defaults do not have either."""
    import datasets
    from transformers.trainer_utils import IntervalStrategy, SaveStrategy

    from pipeline.train import entry, job, rows
    from pipeline.train.trainer import Trainer

    config = msgspec.structs.replace(arm.config, group_by_length=arm.grouped, gradient_checkpointing=arm.checkpointing)
    work = job.Job(
        config=config, base=arm.base, base_name=config.model.name, base_revision="", dataset="", run=arm.folder,
        device=arm.device, processes=1, max_tokens=ANSWER_TOKENS, compute_dtype=arm.compute_dtype,
    )  # fmt: skip
    split = rows.Split(list(encoded), 0, [1.0] * len(encoded))
    arguments = entry.sft_config(work, len(encoded), entry.packed(work, split))
    arguments.eval_strategy, arguments.save_strategy = IntervalStrategy.NO, SaveStrategy.NO
    arguments.load_best_model_at_end = False
    arguments.logging_steps = 1
    if arm.steps is not None:
        arguments.max_steps = arm.steps
    data = datasets.Dataset.from_list([{"input_ids": row.ids, "labels": row.labels} for row in encoded])
    trainer = Trainer(
        model=entry.load_base(work, quantised=arm.quantised, whole=False, kernels=config.kernels),
        args=arguments,
        train_dataset=data,
        processing_class=tokenizer,
        peft_config=entry.lora_config(config, arm.base),
    )
    if arm.quantised:
        entry.keep_adapter_in_float32(trainer.model, work)
    trainer.lean, trainer.share_prefix = arm.lean, arm.share_prefix
    return trainer


def _clock(arm: Arm) -> Any:
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        began = ended = 0.0

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            self.began = time.monotonic()

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **__: Any) -> None:
            if "loss" not in (logs or {}):
                return
            # Reading the loss waits for the GPU to finish the step.
            self.ended = time.monotonic()
            if state.global_step == arm.warm_up:
                self.began = self.ended
            elif arm.max_seconds is not None and self.ended - self.began > arm.max_seconds:
                control.should_training_stop = state.global_step > arm.warm_up

    return Clock()


# ---------------------------------------------------------------------------------------------- the score


def _right(arm: Arm, model: Any, tokenizer: Any) -> list[bool]:
    """Whether the answer equals the logged one, for each held-out row."""
    import torch

    from pipeline.train import chat
    from pipeline.train.shared_prefix import common_beginning

    prompts = [chat.encode_prompt(tokenizer, _turns(row.prompt)) for row in arm.test]
    prefix = prompts[0][: min(common_beginning(prompts), min(map(len, prompts)) - 1)]
    model.eval()
    model.config.use_cache = True
    right = []
    half = arm.compute_dtype == "bfloat16"
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
        # The shared prefix of all prompts is computed once.
        shared = model(input_ids=torch.tensor([prefix]), use_cache=True).past_key_values if prefix else None
        for row, prompt in zip(arm.test, prompts, strict=True):
            rest = torch.tensor([prompt[len(prefix) :]])
            reply = model(input_ids=rest, past_key_values=copy.deepcopy(shared), use_cache=True)
            if arm.labels:
                answers = [_answer(tokenizer, row, label) for label in arm.labels]
                answer = arm.labels[_likeliest(model, reply, answers)]
            else:
                answer = _generate(model, reply, tokenizer)
            right.append(_canonical(answer) == _canonical(row.completion[0].content))
    return right


def _answer(tokenizer: Any, row: Row, label: str) -> list[int]:
    from pipeline.train import chat

    encoded = chat.encode(tokenizer, _turns(row.prompt), [{"role": "assistant", "content": label}])
    return encoded.ids[encoded.prompt_length :]


def _likeliest(model: Any, reply: Any, answers: list[list[int]]) -> int:
    """Index of the most probable answer (with its end of turn) after the prompt that `reply` has read."""
    import torch

    longest = max(map(len, answers))
    ids = torch.tensor([answer + [0] * (longest - len(answer)) for answer in answers])
    cache = reply.past_key_values
    cache.batch_repeat_interleave(len(answers))
    first = reply.logits[:, -1:].float().expand(len(answers), -1, -1)
    rest = model(input_ids=ids[:, :-1], past_key_values=cache, use_cache=True).logits.float()
    logprobs = torch.cat([first, rest], dim=1).log_softmax(-1).gather(-1, ids[..., None])[..., 0]
    inside = torch.arange(longest)[None] < torch.tensor([[len(answer)] for answer in answers])
    return int((logprobs * inside).sum(1).argmax())


def _generate(model: Any, reply: Any, tokenizer: Any) -> str:
    """The greedy answer after the prompt that `reply` has read."""
    import torch

    end = tokenizer.convert_tokens_to_ids(tokenizer.eos_token)
    ids: list[int] = []
    while (token := int(reply.logits[0, -1].argmax())) != end and len(ids) < ANSWER_TOKENS:
        ids.append(token)
        reply = model(input_ids=torch.tensor([[token]]), past_key_values=reply.past_key_values, use_cache=True)
    return str(tokenizer.decode(ids, skip_special_tokens=True))


def _canonical(answer: str) -> Any:
    """Comparison key of an answer: the value of JSON, the words of other text."""
    try:
        return json.loads(answer)
    except ValueError:
        return " ".join(answer.split())


def _turns(turns: Sequence[Turn]) -> list[dict[str, str]]:
    return [{"role": turn.role, "content": turn.content} for turn in turns]


if __name__ == "__main__":
    arm = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Arm)
    Path(sys.argv[2]).write_bytes(msgspec.json.encode(run(arm)))
