"""Merge an adapter into its base model: one folder of bfloat16 weights that serves without LoRA.

    fasttier export support.intent --merged

Reads data/adapters/<task>@<hash8>/ and the base model's weights; writes data/adapters/<task>@<another hash8>/ with
the whole model, tokenizer, chat template, and the adapter's parity.jsonl, against which it is checked as it is served.
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

MAX_GAP, MEAN_GAP = 0.4, 0.08
"""Nats: as far apart as a server's log-probabilities may be from the adapter's (serving/parity.py). Rounding the merged
weights to bfloat16 stays well below; weights that are not the adapter's base do not."""


class ExportSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What was written."""

    adapter: str
    """Name of the merged model, which everything takes in place of an adapter's."""
    source: str
    path: Path
    base_model: str
    gib: float
    max_logprob_gap: float
    """Nats, over the tokens of parity.jsonl: what rounding the merged weights to bfloat16 changed."""
    mean_logprob_gap: float

    def lines(self) -> list[str]:
        """The result for people."""
        gaps = f"{self.max_logprob_gap:.3f} nats at most, {self.mean_logprob_gap:.4f} on average"
        return [
            f"merged      {self.source} into {self.base_model}, in bfloat16: {self.gib:.2f} GiB",
            f"parity      log-probabilities within {gaps} of the adapter's",
            f"written     {self.path}",
            f"next        fasttier serve {self.adapter}, fasttier evaluate",
        ]


def run(adapter: Path, *, home: Home) -> ExportSummary:
    """Merge the adapter in this folder into its base model.

    A base in 4 bits is never merged into: an adapter that was trained on one goes into the whole weights, as it is
    served. Raises: NotFound, ConfigError, InputError, ModelUnavailable.
    """
    card = adapters.load(adapter)
    if card.merged:
        raise InputError(f"{card.name} is a merged model already (of {card.source})")
    base = Path(card.base_model.path)
    if not (base / "config.json").is_file():
        raise ModelUnavailable(
            f"the weights of {card.base_model.name} are not at {base}, where {card.name} was trained on them; "
            "put them there"
        )
    if base_models.is_other(base, card.base_model.revision):
        raise InputError(
            f"{base} holds other weights than those that {card.name} was trained on ({card.base_model.name} at "
            f"revision {card.base_model.revision}); put those there, or train again"
        )
    items = adapters.load_parity(adapter)
    made = msgspec.structs.replace(
        card,
        name=name_of(card),
        merged=True,
        source=card.name,
        created_at=artifacts.created_now(home, artifacts.ADAPTER),
    )
    target = home.adapters / made.name
    with atomic_folder(target, FILE) as folder:
        gaps = merge(base, adapter, folder, items)
        refuse_far(gaps, card.name)
        for name in ("parity.jsonl", artefact.CHAT_TEMPLATE, model_card.NOTICE):
            if (adapter / name).is_file():
                shutil.copyfile(adapter / name, folder / name)
        licence = rights.load().licence(card.base_model.name)
        write_atomic(folder / model_card.README, model_card.merged_page(made, licence))
        write_atomic(folder / FILE, config.dump(made))
    return ExportSummary(
        adapter=made.name,
        source=card.name,
        path=target,
        base_model=card.base_model.name,
        gib=round(sum(file.stat().st_size for file in target.iterdir()) / 2**30, 3),
        max_logprob_gap=round(max(gaps), 6),
        mean_logprob_gap=round(sum(gaps) / len(gaps), 6),
    )


def refuse_far(gaps: Sequence[float], name: str) -> None:
    """Refuse a merged model that does not compute what its adapter does. Raises: InputError."""
    largest, mean = max(gaps), sum(gaps) / len(gaps)
    # Written this way round, a gap that is no number is refused too.
    if not (largest <= MAX_GAP and mean <= MEAN_GAP):
        raise InputError(
            f"merged, {name} answers otherwise than as an adapter: log-probabilities of parity.jsonl differ by up to "
            f"{largest:.3f} nats (at most {MAX_GAP}) and {mean:.4f} on average (at most {MEAN_GAP}); nothing was "
            "written, serve the adapter itself"
        )


def name_of(card: Adapter) -> str:
    """`<task>@<hash8>` over what is merged: the adapter's name and the base's revision stand for their contents."""
    return artifacts.name_of(card.task, "merged", card.name, card.base_model.name, card.base_model.revision)


def merge(base: Path, adapter: Path, folder: Path, items: Sequence[ParityItem]) -> list[float]:
    """Write the merged model and its tokenizer into `folder`.

    Returns for each completion token of `items` how far its log-probability is from the adapter's, in nats.
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
        # In float32 and rounded once. PEFT's own merge rounds the update to bfloat16 first.
        update = (up.float() @ down.float()) * layer.scaling[name]
        weight.data = (weight.float() + update).to(torch.bfloat16)
    merged: Any = model.unload().eval()
    merged.save_pretrained(folder)
    chat.load_tokenizer(str(adapter)).save_pretrained(folder)
    merged = merged.to(getattr(torch, compute_dtype.of_weights(base, "cpu")))
    gaps = []
    for item in items:
        if item.completion_ids:
            found, _ = parity.score(merged, item.prompt_ids, item.completion_ids)
            gaps += [abs(one - other) for one, other in zip(found, item.logprobs, strict=True)]
    if not gaps:
        raise InputError(f"{adapter / 'parity.jsonl'} holds no answers; train the adapter again")
    return gaps
