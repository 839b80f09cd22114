"""The steps of a check. Each runs in a separate process, reports numbers, and raises CheckFailed.

Training uses the product's code: the first run of each model is started with `accelerate launch`, as by
`fasttier train`, the others call its function directly.
"""

import filecmp
import gc
import importlib.util
import multiprocessing
import os
import signal
import statistics
import time
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.gpu import models, tasks
from benchmarks.gpu.runner import Note, showing
from benchmarks.gpu.setup import STEPS, TRAIN_ROWS, WARM_UP, Setup, rows_of
from benchmarks.training_arm import Arm, Outcome, Row
from pipeline import dataset as datasets
from pipeline import train
from pipeline.train import compute_dtype, estimate, job, launch, publication
from pipeline.train.config import CONFIGS, Architecture, TrainConfig
from pipeline.train.plan import Plan
from traffic import adapters, config
from traffic.errors import FastTierError

WEIGHTS = "adapter/adapter_model.safetensors"
LOSS_TOLERANCE = {"float32": 1e-4, "bfloat16": 2e-3, "float16": 2e-3}
"""Maximum relative difference between losses that differ only by the order of sums. At most 0.0001 was measured on a
CPU in bfloat16; attention between packed rows changes the loss of the tiny model by 0.0075."""
REPEAT_TOLERANCE = 1e-2
"""The same between two runs of one job on a GPU, whose backward pass sums in no fixed order, so that differences
accumulate over updates."""
KILL_POLL_SECONDS = 0.02
TIMED_SECONDS = {"full": 20.0, "tiny": 2.0}


class CheckFailed(FastTierError, AssertionError):
    """A step finished with numbers outside their limits."""


def require(condition: bool, message: str) -> None:
    """Raises: CheckFailed."""
    if not condition:
        raise CheckFailed(message)


def write_dataset(note: Note, setup: Setup) -> None:
    """Write the task dataset of all steps."""
    folder = tasks.write(setup.home.datasets, train=TRAIN_ROWS[setup.form])
    note({"dataset": folder.name, "train_rows": TRAIN_ROWS[setup.form], "validation_rows": tasks.VALIDATION})


def plan_shipped(note: Note, setup: Setup, model: str) -> None:
    """Plan the shipped configuration on the meta device, like `make train MODEL=... ARGS=--dry-run`."""
    settings = config.load(CONFIGS / f"{model}.yaml", TrainConfig)
    plan = train.run(settings, setup.dataset, home=setup.home, dry_run=True)
    require(isinstance(plan, Plan) and plan.checked_on_meta_device, "there is no plan")
    assert isinstance(plan, Plan)
    note({"parameters": plan.parameters, "adapter_parameters": plan.lora_parameters, "gib": plan.here_gib})
    require(plan.device == "cuda", f"planned for {plan.device}")
    require(any(offer.fits for offer in plan.offers), "no GPU of the table fits")


def write_weights(note: Note, setup: Setup, model: str) -> None:
    """Write a random model of the shipped architecture."""
    folder = setup.weights(model)
    folder.parent.mkdir(parents=True, exist_ok=True)
    arch = setup.architecture(model)
    count = models.build(folder, arch, tasks.texts(TRAIN_ROWS[setup.form]), setup.device, note)
    require(count == estimate.parameters(arch), f"{count:,} parameters, not the {estimate.parameters(arch):,} planned")


def launched(note: Note, setup: Setup, name: str, model: str, *changes: str) -> None:
    """Train with `accelerate launch`: loss, speed, memory compared with the plan, published adapter."""
    work = _prepared(setup, name, model, *changes)
    stamps: dict[int, float] = {}

    def on_event(event: job.Event) -> None:
        if event.kind == "step":
            stamps.setdefault(event.step, time.monotonic())

    began = time.monotonic()
    with showing(work.folder / "train.log"):
        result = launch.run(work, log=work.folder / "train.log", on_event=on_event)
    note({"run_s": time.monotonic() - began})
    _report(note, setup, work, model, result, *changes)
    gaps = [later - earlier for earlier, later in zip(list(stamps.values()), list(stamps.values())[1:], strict=False)]
    if gaps:
        note({"median_step_s": statistics.median(gaps)})


def forked(note: Note, setup: Setup, name: str, model: str, *changes: str) -> None:
    """Train in this process."""
    work = _prepared(setup, name, model, *changes)
    began = time.monotonic()
    result = _train_here(work)
    note({"run_s": time.monotonic() - began})
    _report(note, setup, work, model, result, *changes)


def _prepared(setup: Setup, name: str, model: str, *changes: str) -> job.Job:
    work = setup.job(name, model, *changes)
    train.prepare(work)
    return work


def _train_here(work: job.Job) -> job.Result:
    from pipeline.train import entry

    os.environ["ACCELERATE_MIXED_PRECISION"] = compute_dtype.MIXED_PRECISION[work.compute_dtype]
    entry.train(work)
    return msgspec.json.decode((work.folder / "result.json").read_bytes(), type=job.Result)


def _report(note: Note, setup: Setup, work: job.Job, model: str, result: job.Result, *changes: str) -> None:
    events = job.EventReader(work.folder).new()
    losses = [event.metrics["loss"] for event in events if event.kind == "log" and "loss" in event.metrics]
    first, last = statistics.fmean(losses[:3]), statistics.fmean(losses[-3:])
    plan = train.run(setup.planned(model, *changes), setup.dataset, home=setup.home, dry_run=True)
    assert isinstance(plan, Plan)
    measured = result.peak_gpu_bytes or result.peak_rss_bytes
    # Memory allocated by PyTorch, without the driver's context.
    planned = plan.here_gib - (estimate.CONTEXT_BYTES / estimate.GIB if setup.device == "cuda" else 0)
    metrics = publication.metrics_of(result, events)
    adapter, _ = publication.publish(work, datasets.load(setup.dataset), setup.base(model), metrics, setup.home)
    note(
        {
            "attention": work.config.attention,
            "packing": work.config.packing,
            "quantization": work.config.quantization,
            "kernels": work.config.kernels,
            "steps": result.steps,
            "loss_first_steps": first,
            "loss_last_steps": last,
            "eval_loss": result.best_eval_loss,
            "supervised_tokens_per_second": metrics["supervised_tokens_per_second"],
            "peak_gib": measured / estimate.GIB,
            "planned_peak_gib": planned,
            "adapter": adapter.name,
        }
    )
    require(last < first, f"the loss went from {first:.3f} to {last:.3f}")


def repeated(note: Note, setup: Setup, name: str, original: str) -> None:
    """Repeat the job of a finished run with the same seed on the same device."""
    work = _copied(setup, name, original)
    _train_here(work)
    _compare(note, setup, name, original)


def resumed(note: Note, setup: Setup, name: str, original: str) -> None:
    """Repeat it with SIGKILL after the first checkpoint, and resume."""
    work = _copied(setup, name, original)
    process = (
        multiprocessing.get_context("fork").Process(target=_train_here, args=(work,))
        if setup.device == "cpu"
        else multiprocessing.get_context("spawn").Process(target=_train_here, args=(work,))
    )
    process.start()
    try:
        while job.last_checkpoint(work.folder, 1) is None and process.is_alive():
            time.sleep(KILL_POLL_SECONDS)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.join()
    require(process.exitcode == -signal.SIGKILL, f"the run ended with {process.exitcode} before it was killed")
    train.prepare(work)
    result = _train_here(work)
    note({"resumed_from": result.resumed_from, "steps": result.steps})
    require(bool(result.resumed_from), "the run was not resumed")
    _compare(note, setup, name, original)


def _copied(setup: Setup, name: str, original: str) -> job.Job:
    """The job of `original` in another folder. Does not use the device."""
    folder = setup.run_folder(name)
    folder.mkdir(parents=True, exist_ok=True)
    work = job.load_job(setup.run_folder(original) / "job.json")
    work = msgspec.structs.replace(work, run=str(folder.resolve()))
    train.prepare(work)
    return work


def _compare(note: Note, setup: Setup, name: str, original: str) -> None:
    """Compare adapters and losses of two runs of the same job."""
    from safetensors.torch import load_file

    one, other = (setup.run_folder(run) for run in (name, original))
    same = filecmp.cmp(one / WEIGHTS, other / WEIGHTS, shallow=False)
    ours, theirs = load_file(one / WEIGHTS), load_file(other / WEIGHTS)
    apart = max(float((ours[key].float() - theirs[key].float()).abs().max()) for key in theirs)
    losses = [_losses(folder) for folder in (one, other)]
    gap = max(abs(a - b) / max(abs(b), 1e-9) for a, b in zip(*losses, strict=True))
    note({"identical": same, "largest_weight_difference": apart, "largest_relative_loss_difference": gap})
    require(same or setup.device == "cuda", f"not the same adapter: weights differ by up to {apart:g}")
    require(gap <= REPEAT_TOLERANCE, f"losses differ by up to {gap:.2%}")


def _losses(folder: Path) -> list[float]:
    events = job.EventReader(folder).new()
    return [event.metrics["loss"] for event in events if event.kind == "log" and "loss" in event.metrics]


# ------------------------------------------------------------------------------------ the same update in several ways


def equal_updates(note: Note, setup: Setup, model: str) -> None:
    """Three updates on the same rows: as one batch, accumulated, and packed with each available attention.

    Losses and gradient norms of the first update must agree within rounding.
    """
    flash = importlib.util.find_spec("flash_attn") is not None and setup.device == "cuda"
    ways = {
        "plain": ("packing=false", "attention=sdpa", "batch_size=16"),
        "accumulated": ("packing=false", "attention=sdpa", "batch_size=4"),
        "packed, sdpa": ("packing=true", "attention=sdpa"),
        **({"packed, flash_attention_2": ("packing=true", "attention=flash_attention_2")} if flash else {}),
        **({"packed, flex_attention": ("packing=true", "attention=flex_attention")} if setup.device == "cuda" else {}),
    }
    outcomes: dict[str, Outcome] = {}
    for way, changes in ways.items():
        settings = setup.shipped(model, "effective_batch=16", "epochs=3", "kernels=false", "warmup=0", *changes)
        outcomes[way] = _run(_arm(setup, model, settings, "prompt", rows=16, steps=3, name=way))
        note({way: {"losses": outcomes[way].losses, "gradient_norms": outcomes[way].gradient_norms}})
    plain, limit = outcomes["plain"], LOSS_TOLERANCE[setup.compute_dtype]
    for way, outcome in outcomes.items():
        loss, norm = (
            abs(mine[0] / theirs[0] - 1)
            for mine, theirs in (
                (outcome.losses, plain.losses),
                (outcome.gradient_norms, plain.gradient_norms),
            )
        )
        note({f"{way}: difference": {"loss": loss, "gradient_norm": norm}})
        require(loss <= limit and norm <= 10 * limit, f"{way}: loss {loss:.3%}, gradient norm {norm:.3%} from plain's")


def _arm(
    setup: Setup, model: str, settings: TrainConfig, prompt: str, *, rows: int, steps: int, name: str, **levers: Any
) -> Arm:
    folder = setup.run_folder(f"arm {model} {name}".replace(" ", "-"))
    folder.mkdir(parents=True, exist_ok=True)
    levers = {"checkpointing": settings.gradient_checkpointing} | levers
    return Arm(
        name=name,
        config=settings,
        base=str(setup.weights(model)),
        folder=str(folder),
        rows=msgspec.convert(rows_of(setup.dataset, "train", prompt, rows), list[Row]),
        test=[],
        labels=(),
        steps=steps,
        compute_dtype=setup.compute_dtype,
        device=setup.device,
        quantised=settings.quantization == "nf4",
        **levers,
    )


def _run(arm: Arm) -> Outcome:
    import torch

    from benchmarks import training_arm

    outcome = training_arm.run(arm)
    # Trainer and callbacks form a reference cycle with the model, and two models would not fit in memory.
    gc.collect()
    if arm.device == "cuda":
        torch.cuda.empty_cache()
    return outcome


# --------------------------------------------------------------------------------------------------------- the speed


def speed(note: Note, setup: Setup, model: str, prompt: str, trl: bool, *changes: str) -> None:
    """Measure tokens per second, MFU, peak memory and time to save of one arm."""
    form = setup.form
    settings = setup.shipped(model, *changes, f"epochs={STEPS[form]}")
    if not trl:
        settings = train.on_this_machine(settings, setup.device)
    levers = {"plain_weights": True, "checkpointing": True, "own_loss": False} if trl else {}
    arm = _arm(
        setup, model, settings, prompt, rows=TRAIN_ROWS[form], steps=STEPS[form], name=f"{prompt}-{trl}-{changes}"[:60],
        warm_up=WARM_UP[form], max_seconds=TIMED_SECONDS[form], **levers,
    )  # fmt: skip
    outcome = _run(arm)
    length = outcome.prompt_tokens + outcome.supervised_tokens
    arch = models.architecture(setup.weights(model))
    work = model_flops(arch, settings, length, outcome.supervised_tokens / length) * outcome.tokens_per_second
    passes = 1 if trl or settings.packing else settings.effective_batch / settings.batch_size
    note(
        {
            "attention": "sdpa" if trl else settings.attention,
            "packing": settings.packing and not trl,
            "steps": outcome.steps,
            "seconds": outcome.seconds,
            "tokens_per_second": outcome.tokens_per_second,
            "supervised_tokens_per_second": outcome.tokens_per_second * outcome.supervised_tokens / length,
            "examples_per_second": outcome.tokens_per_second / length,
            "tokens_per_example": length,
            "tokens_per_pass": outcome.tokens_per_step / passes,
            "tflops": work / 1e12,
            "mfu": work / setup.peak_flops if setup.peak_flops else None,
            "peak_gib": outcome.peak_gpu_gib or outcome.peak_rss_gib,
            "save_s": outcome.save_seconds,
            "quantization": settings.quantization,
            "gradient_checkpointing": arm.checkpointing,
            "rank": settings.lora.rank,
        }
    )


def model_flops(arch: Architecture, settings: TrainConfig, length: float, supervised: float) -> float:
    """FLOPs per token required by LoRA training: forward, and backward through frozen weights, without recomputation.

    The output layer counts only for the share `supervised` of the tokens, which have a loss.
    """
    step = estimate.Pass(tokens=1, length=length, logits=0, checkpointing=False)
    head = 4 * arch.vocab * arch.hidden
    return estimate.flops(arch, settings.lora, step) - head * (1 - supervised)


# ---------------------------------------------------------------------------------------------- the adapter, used again


def reloaded(note: Note, setup: Setup, name: str) -> None:
    """Reload a published adapter on the unquantised base in a new process, and compare with its parity.jsonl."""
    from peft import PeftModel

    from pipeline.train import chat, entry, parity
    from serving.parity import Answers, judge, tolerance_of

    work = job.load_job(setup.run_folder(name) / "job.json")
    folder = work.folder / "adapter"
    items, tokenizer = adapters.load_parity(folder), chat.load_tokenizer(str(folder))
    base: Any = entry.load_base(work, quantised=False)
    model = PeftModel.from_pretrained(base, str(folder), autocast_adapter_dtype=False).eval()
    answers = []
    for item in items:
        count = len(item.completion_ids)
        logprobs, _ = parity.score(model, item.prompt_ids, item.completion_ids)
        with model.disable_adapter():
            base_logprobs, _ = parity.score(model, item.prompt_ids, item.completion_ids)
        greedy = parity.greedy(model, [item.prompt_ids], tokenizer, count)[0]
        answers.append(Answers(logprobs, greedy + [-1] * (count - len(greedy)), base_logprobs))
    report = judge(name, items, answers, tolerance_of(work.compute_dtype, work.compute_dtype))
    note(
        {
            "items": report.items,
            "tokens": report.tokens,
            "max_logprob_gap": report.max_logprob_gap,
            "mean_logprob_gap": report.mean_logprob_gap,
            "greedy_mismatches": report.greedy_mismatches,
            "from_base": report.base_gap,
        }
    )
    require(report.passed, "; ".join(report.reasons))
