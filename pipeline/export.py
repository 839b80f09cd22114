"""Merge an adapter into its base model: a folder of bfloat16 weights that serves without LoRA.

    fasttier export support.intent --merged

Reads data/adapters/<task>@<hash8>/ and the base model's weights; writes data/adapters/<task>@<another hash8>/ with
the whole model, tokenizer, chat template and the adapter's parity.jsonl, which the merged model is checked against.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from pipeline import rights
from pipeline.train import artefact, base_models, compute_dtype, model_card
from traffic import adapters, artifacts, config
from traffic.adapters import FILE, Adapter, ParityItem
from traffic.artifacts import Home, atomic_folder, write_atomic
from traffic.errors import InputError, ModelUnavailable

MAX_GAP, MEAN_GAP = 0.8, 0.08
"""Maximum and mean difference of log-probabilities, in nats; the limits of a server in 16 bits (serving/parity.py).
Rounding merged weights to bfloat16 stays well below them, merging into another base does not."""


class ExportSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Result of an export."""

    adapter: str
    """Name of the merged model, used like an adapter's."""
    source: str
    path: Path
    base_model: str
    gib: float
    max_logprob_gap: float
    """Nats, over the tokens of parity.jsonl: the effect of rounding the merged weights to bfloat16."""
    mean_logprob_gap: float

    def lines(self) -> list[str]:
        """The result as text."""
        gaps = f"{self.max_logprob_gap:.3f} nats at most, {self.mean_logprob_gap:.4f} on average"
        return [
            f"merged      {self.source} into {self.base_model}, in bfloat16: {self.gib:.2f} GiB",
            f"parity      log-probabilities within {gaps} of the adapter's",
            f"written     {self.path}",
            f"next        fasttier serve {self.adapter}, fasttier evaluate",
        ]


def run(adapter: Path, *, home: Home) -> ExportSummary:
    """Merge the adapter in this folder into its base model.

    Adapters trained on a 4-bit base are merged into the whole weights, as they are served.
    Raises: NotFound, ConfigError, InputError, ModelUnavailable.
    """
    card = adapters.load(adapter)
    if card.merged:
        raise InputError(f"{card.name} is already a merged model (of {card.source})")
    base = Path(card.base_model.path)
    if not (base / "config.json").is_file():
        raise ModelUnavailable(
            f"{base}: no weights of {card.base_model.name}, on which {card.name} was trained; put them there"
        )
    if base_models.is_other(base, card.base_model.revision):
        raise InputError(
            f"{base} holds other weights than those that {card.name} was trained on ({card.base_model.name} at "
            f"revision {card.base_model.revision}); restore them or train again"
        )
    items = adapters.load_parity(adapter)
    merged_card = msgspec.structs.replace(
        card,
        name=name_of(card),
        merged=True,
        source=card.name,
        created_at=artifacts.created_now(home, artifacts.ADAPTER),
    )
    target = home.adapters / merged_card.name
    with atomic_folder(target, FILE) as folder:
        gaps = merge(base, adapter, folder, items)
        refuse_large_gaps(gaps, card.name)
        for name in ("parity.jsonl", artefact.CHAT_TEMPLATE, model_card.NOTICE):
            if (adapter / name).is_file():
                shutil.copyfile(adapter / name, folder / name)
        licence = rights.load().licence(card.base_model.name)
        write_atomic(folder / model_card.README, model_card.merged_page(merged_card, licence))
        write_atomic(folder / FILE, config.dump(merged_card))
    return ExportSummary(
        adapter=merged_card.name,
        source=card.name,
        path=target,
        base_model=card.base_model.name,
        gib=round(sum(file.stat().st_size for file in target.iterdir()) / 2**30, 3),
        max_logprob_gap=round(max(gaps), 6),
        mean_logprob_gap=round(sum(gaps) / len(gaps), 6),
    )


def refuse_large_gaps(gaps: Sequence[float], name: str) -> None:
    """Raise InputError if the merged model's log-probabilities differ too much from the adapter's."""
    largest, mean = max(gaps), sum(gaps) / len(gaps)
    # In this form NaN is refused too.
    if not (largest <= MAX_GAP and mean <= MEAN_GAP):
        raise InputError(
            f"{name} answers otherwise when merged: log-probabilities of parity.jsonl differ by up to {largest:.3f} "
            f"nats (limit {MAX_GAP}) and {mean:.4f} on average (limit {MEAN_GAP}); nothing was written, serve the "
            "adapter instead"
        )


def name_of(card: Adapter) -> str:
    """`<task>@<hash8>` over the adapter's name and the base's revision, which identify their contents."""
    return artifacts.name_of(card.task, "merged", card.name, card.base_model.name, card.base_model.revision)


def merge(base: Path, adapter: Path, folder: Path, items: Sequence[ParityItem]) -> list[float]:
    """Write the merged model and its tokenizer into `folder`.

    Returns the difference of log-probabilities from the adapter's for each completion token of `items`, in nats.
    """
    import torch
    from peft import PeftModel
    from peft.tuners.lora import LoraLayer
    from transformers import AutoModelForCausalLM

    from pipeline.train import chat, parity

    # Merged weights are stored in bfloat16 whatever the machine computes in: the type of the base's own weights.
    loaded: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16, use_safetensors=True)
    model: Any = PeftModel.from_pretrained(loaded, str(adapter), autocast_adapter_dtype=False)
    layers: list[Any] = [module for module in model.modules() if isinstance(module, LoraLayer)]
    for layer in layers:
        (name,) = layer.lora_A
        down, up = layer.lora_A[name].weight, layer.lora_B[name].weight
        weight = layer.get_base_layer().weight
        # In float32, rounded once; PEFT's own merge rounds the update to bfloat16 first.
        update = (up.float() @ down.float()) * layer.scaling[name]
        weight.data = (weight.float() + update).to(torch.bfloat16)
    merged: Any = model.unload().eval()
    merged.save_pretrained(folder)
    chat.load_tokenizer(str(adapter)).save_pretrained(folder)
    merged = merged.to(getattr(torch, compute_dtype.of_weights(base, "cpu")))
    gaps = []
    for item in items:
        if item.completion_ids:
            logprobs, _ = parity.score(merged, item.prompt_ids, item.completion_ids)
            gaps += [abs(actual - expected) for actual, expected in zip(logprobs, item.logprobs, strict=True)]
    if not gaps:
        raise InputError(f"{adapter / 'parity.jsonl'} holds no answers; train the adapter again")
    return gaps
