"""Training by `fasttier train` compared with TRL's defaults: speed, memory and score, one optimisation at a time.

    make bench-train               # or: python -m benchmarks.train [--json [FILE]] [--home HOME --dataset TASK]

One task with the same rows in all arms. The first arm is `SFTTrainer` as in its documentation, with the full prompts
and TRL's defaults (float32 weights, gradient checkpointing, 8 examples per step in random order, loss on completions);
only LoRA matrices, learning rate and epochs, this machine's compute dtype (autocast for bfloat16) and a `max_length`
without truncation are set as in our configuration. Each further arm adds one optimisation. Each arm runs in a separate
process; three are trained to the end and scored on held-out rows, the others are timed for --steps steps. Without
--dataset the task is the demo's help desk, generated.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import harness
from benchmarks.training_arm import Arm, Outcome, Row
from demo import tickets, traffic
from pipeline import dataset, statistics
from pipeline.train import base_models, compute_dtype, rows
from pipeline.train.config import CONFIGS, TrainConfig
from traffic import config
from traffic.artifacts import Home
from traffic.errors import FastTierError, NotEnoughData, TrainingFailed

ROOT = Path(__file__).resolve().parent.parent

BATCH = 8
"""TRL's examples per step, used in all arms, so that equal examples mean equal updates."""
MARGIN = 0.02
"""Difference of scores that counts as equal: another order of rows changes the score as much."""
SPLITS = (
    "splits.train=0.68", "splits.validation=0.03", "splits.calibration=0.03", "splits.threshold=0.03",
    "splits.test=0.23", "rights.confirmed=[openai]",
)  # fmt: skip

LEVERS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("TRL defaults", {"plain_weights": True, "checkpointing": True, "own_loss": False}),
    ("+ weights in the compute dtype", {"plain_weights": False}),
    ("+ no gradient checkpointing", {"checkpointing": False}),
    ("+ loss on completions in one piece", {"own_loss": True, "grouped": False, "lean": False, "share_prefix": False}),
    ("+ batches of similar length", {"grouped": True}),
    ("+ plain attention, no casts for adapters", {"lean": True}),
    ("+ shared beginning once a batch", {"share_prefix": True}),
    ("+ pruned prompts", {}),
)
"""Arms, each with its change from the previous one."""
SCORED = ("TRL defaults", "+ shared beginning once a batch", "+ pruned prompts")
BARS = ((SCORED[1], 2.5, "unpruned prompts on both sides"), (SCORED[2], 5.0, "pruned prompts"))


def arms(
    chosen: TrainConfig, base: Path, folder: Path, data: Path, labels: tuple[str, ...], steps: int, scored: int
) -> list[Arm]:
    """All arms. Raises: NotEnoughData, InputError."""
    training_rows = dataset.read_split(data, "train").to_pylist()
    if len(training_rows) < BATCH:
        raise NotEnoughData(f"{data}: {len(training_rows)} rows in train, the benchmark needs {BATCH}")
    sampled = rows.sample([row for row in training_rows if row["weight"] > 0], chosen.max_examples, chosen.seed)
    held_out = rows.spread(dataset.read_split(data, "test").to_pylist(), scored)
    result: list[Arm] = []
    levers: dict[str, Any] = {}
    dtype = compute_dtype.of_weights(base, "cpu")
    for name, changed in LEVERS:
        levers |= changed
        prompt = "prompt" if name == "+ pruned prompts" else "original_prompt"
        result.append(
            Arm(
                name=name,
                config=chosen,
                base=str(base),
                folder=str(folder),
                rows=_rows(sampled, prompt),
                test=_rows(held_out, prompt) if name in SCORED else [],
                labels=labels,
                steps=None if name in SCORED else steps,
                compute_dtype=dtype,
                **levers,
            )
        )
    return result


def _rows(source: Sequence[dict[str, Any]], prompt: str) -> list[Row]:
    return msgspec.convert([{"prompt": row[prompt], "completion": row["completion"]} for row in source], list[Row])


def run(arm: Arm, folder: Path) -> Outcome:
    """Run the arm in a separate process. Raises: TrainingFailed with the end of its output."""
    job, result = folder / "arm.json", folder / "result.json"
    job.write_bytes(msgspec.json.encode(arm))
    environment = os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "", "TOKENIZERS_PARALLELISM": "false"}
    command = [sys.executable, "-m", "benchmarks.training_arm", str(job), str(result)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise TrainingFailed(f"{arm.name}: " + "\n".join(done.stderr.splitlines()[-12:]))
    return msgspec.json.decode(result.read_bytes(), type=Outcome)


def make_dataset(home: Home, requests: int) -> Path:
    """Create the demo's help desk as a task dataset with the product's commands. Raises: TrainingFailed."""
    log = home.root / "demo-log.jsonl"
    traffic.generate(log, requests=requests, days=14, seed=0)
    sets = [word for value in SPLITS for word in ("--set", value)]
    for words in (["ingest", str(log)], ["extract", "--task", tickets.CALL_SITE, *sets]):
        command = [sys.executable, "-m", "cli", *words, "--home", str(home.root)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise TrainingFailed(f"fasttier {words[0]}: {done.stderr.strip()}")
    return home.dataset(tickets.CALL_SITE)


def figures(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The outcomes with the effect of each optimisation, and whether the limits are met."""
    first = outcomes[0]
    compared, before = [], first
    for outcome in outcomes:
        row = msgspec.to_builtins(outcome)
        row["times_trl"] = outcome.supervised_tokens_per_second / first.supervised_tokens_per_second
        row["lever"] = outcome.supervised_tokens_per_second / before.supervised_tokens_per_second
        row["scored"] = n = len(outcome.right)
        if n:
            interval = statistics.proportion_interval(sum(outcome.right), n)
            row |= {"score": sum(outcome.right) / n, "low": interval.low, "high": interval.high}
        compared.append(row)
        before = outcome
    by_name = {outcome.name: (outcome, row) for outcome, row in zip(outcomes, compared, strict=True)}
    return {"arms": compared, "bars": [_bar(first, *by_name[name], least, what) for name, least, what in BARS]}


def _bar(trl: Outcome, ours: Outcome, row: dict[str, Any], least: float, description: str) -> dict[str, Any]:
    """Met if fast enough, and the score on the same rows is at most `MARGIN` lower, not significantly (95%)."""
    pairs = list(zip(ours.right, trl.right, strict=True))
    score = (sum(ours.right) - sum(trl.right)) / len(pairs)
    difference = statistics.score_interval(pairs.count((True, False)), pairs.count((False, True)), len(pairs))
    return {
        "what": description,
        "at_least": least,
        "times_trl": row["times_trl"],
        "score_difference": score,
        "low": difference.low,
        "high": difference.high,
        "met": row["times_trl"] >= least and score >= -MARGIN and difference.high >= 0,
    }


def table(result: dict[str, Any]) -> list[str]:
    """The figures as text."""
    head = (
        "arm",
        "prompt",
        "answer",
        "examples/s",
        "answer tokens/s",
        "x TRL",
        "lever",
        "RSS GiB",
        "loss",
        "score (95%)",
    )
    body = [
        (
            row["name"],
            f"{row['prompt_tokens']:.0f}",
            f"{row['supervised_tokens']:.1f}",
            f"{row['examples_per_second']:.2f}",
            f"{row['supervised_tokens_per_second']:.1f}",
            f"{row['times_trl']:.2f}",
            f"{row['lever']:.2f}",
            f"{row['peak_rss_gib']:.2f}",
            f"{row['loss']:.3f}",
            f"{row['score']:.1%} ({row['low']:.1%}-{row['high']:.1%})" if row["scored"] else "",
        )
        for row in result["arms"]
    ]
    bars = [
        f"bar {bar['at_least']}x, {bar['what']}: {bar['times_trl']:.2f}x, score {bar['score_difference']:+.1%} "
        f"({bar['low']:+.1%} to {bar['high']:+.1%}) against TRL on the same rows: {'met' if bar['met'] else 'MISSED'}"
        for bar in result["bars"]
    ]
    return [*harness.table(head, body), *bars]


def measure(options: argparse.Namespace, progress: Callable[[str], None]) -> dict[str, Any]:
    """Measure all arms in one run."""
    sets = (f"batch_size={BATCH}", f"effective_batch={BATCH}", f"max_examples={options.examples}", "device=cpu")
    chosen = config.load(options.config, TrainConfig, [*sets, f"epochs={options.epochs}", *options.set])
    with tempfile.TemporaryDirectory(prefix="bench-train-") as scratch:
        home = options.home or Home(Path(scratch))
        if options.dataset is None:
            progress("making the dataset")
        data = home.dataset(options.dataset) if options.dataset else make_dataset(home, options.requests)
        card = dataset.load(data)
        sites = card.call_sites.values()
        labels = tuple(sorted({label for site in sites for label in site.checks.labels}))
        base = base_models.resolve(chosen.model, home).path
        outcomes = []
        for arm in arms(chosen, base, Path(scratch) / "run", data, labels, options.steps, options.test):
            if not (options.levers or arm.name in SCORED):
                continue
            progress(f"{arm.name}: {len(arm.rows)} rows{'' if arm.steps is None else f', {arm.steps} steps'}")
            outcomes.append(run(arm, Path(scratch)))
    setting = {
        "dataset": card.name,
        "rows": len(arm.rows),
        "test_rows": len(arm.test),
        "labels": len(labels),
        "examples_per_step": BATCH,
        "epochs": chosen.epochs,
        "learning_rate": chosen.learning_rate,
        "lora": msgspec.to_builtins(chosen.lora),
        "base_model": chosen.model.name,
        "compute_dtype": arm.compute_dtype,
        "cores": len(os.sched_getaffinity(0)),
        "machine": platform.machine(),
    }
    return {"setting": setting, **figures(outcomes)}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--home", type=lambda path: Home(Path(path)), help="home that holds --dataset")
    parser.add_argument("--dataset", help="task, task@hash or folder (default: the demo's help desk)")
    parser.add_argument("--config", type=Path, default=CONFIGS / "smollm2-135m.yaml", help="training configuration")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override one value of --config"
    )
    parser.add_argument("--examples", type=int, default=96, help="training rows")
    parser.add_argument("--epochs", type=float, default=1, help="epochs of the scored arms")
    parser.add_argument("--steps", type=int, default=3, help="optimiser steps of the timed arms")
    parser.add_argument(
        "--levers",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="also time the arms between the scored ones",
    )
    parser.add_argument("--test", type=int, default=200, help="held-out rows to score")
    parser.add_argument("--requests", type=int, default=3000, help="requests of the generated log")
    options = parser.parse_args(arguments)
    try:
        result = measure(options, harness.progress)
    except FastTierError as error:
        harness.progress(f"bench-train: {error}")
        raise SystemExit(2) from None
    harness.show(result, options.json, table(result))


if __name__ == "__main__":
    main()
