"""Publishes the adapter of a finished training process: card, metrics, folder."""

from pathlib import Path

import msgspec

from pipeline import dataset as datasets
from pipeline import rights
from pipeline.train import artefact, base_models, chat, estimate, job, model_card
from traffic.adapters import Adapter, BaseModel
from traffic.artifacts import Home


def publish(
    work: job.Job,
    card: datasets.TaskDataset,
    base: base_models.LocalModel,
    metrics: dict[str, float],
    home: Home,
    *,
    mlflow_run: str | None = None,
) -> tuple[Adapter, Path]:
    """Publish the adapter that the job's processes left in its folder. Returns its card and its folder."""
    files = work.folder / "adapter"
    adapter = msgspec.structs.replace(card_of(work, card, base, metrics, files), mlflow_run_id=mlflow_run)
    texts = model_card.files(adapter, rights.load().licence(base.name), card)
    return adapter, artefact.publish(files, adapter, home, texts)


def card_of(
    work: job.Job, card: datasets.TaskDataset, base: base_models.LocalModel, metrics: dict[str, float], files: Path
) -> Adapter:
    return Adapter(
        name=artefact.name_of(card.task, files, work.config, card.name),
        task=card.task,
        base_model=BaseModel(base.name, base.revision, str(base.path.resolve())),
        rank=work.config.lora.rank,
        dataset=card.name,
        call_sites=card.call_sites,
        chat_template_sha256=chat.template_sha256((files / artefact.CHAT_TEMPLATE).read_text(encoding="utf-8")),
        config=msgspec.to_builtins(work.config, str_keys=True),
        metrics=metrics,
        libraries=dict(artefact.libraries()),
        licence=base.licence,
        compute_dtype=work.compute_dtype,
        untested=untested(work),
    )


def untested(work: job.Job) -> tuple[str, ...]:
    """Code paths of this run that were never tested on real hardware (docs/LOG.md has no run of them)."""
    config, gpu = work.config, work.device == "cuda"
    paths = {
        "training on a GPU": gpu,
        "float16": work.compute_dtype == "float16",
        "QLoRA on a GPU": gpu and config.quantization == "nf4",
        f"packing with {config.attention}": gpu and config.packing,
        "fused kernels": config.kernels,
        "torch.compile": config.compile,
        "FSDP2 on GPUs": gpu and config.sharding == "fsdp2",
        "several machines with GPUs": gpu and config.machines > 1,
    }
    return tuple(name for name, used in paths.items() if used)


def metrics_of(result: job.Result, events: list[job.Event]) -> dict[str, float]:
    """The metrics of adapter.yaml."""
    best = [event.metrics for event in events if event.kind == "eval" and event.step == result.best_step]
    return {
        "examples": result.examples,
        "validation_examples": result.validation_examples,
        "epochs": round(result.epochs, 4),
        "steps": result.steps,
        "best_step": result.best_step,
        "eval_loss": result.best_eval_loss,
        "eval_token_accuracy": best[-1].get("eval_mean_token_accuracy", 0.0) if best else 0.0,
        "supervised_tokens": result.supervised_tokens,
        "seconds": round(result.seconds, 2),
        # 0 if an earlier attempt finished the training and this one only wrote the adapter.
        "examples_per_second": round(result.trained_examples / result.seconds, 3) if result.seconds else 0.0,
        "supervised_tokens_per_second": round(result.supervised_tokens / result.seconds, 3) if result.seconds else 0.0,
        "peak_gpu_gib": round(result.peak_gpu_bytes / estimate.GIB, 3),
    }
