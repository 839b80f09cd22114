"""Metadata of a classifier: `classifier.yaml` (what it was trained for), `parity.jsonl` (expected outputs to check).

data/classifiers/<task>@<hash8>/
    classifier.yaml, parity.jsonl
    <slug of a call site>/      model.safetensors (linear heads), vocabulary.json (n-grams)
    encoder/                    model.onnx, tokenizer.json: as pretrained, for all call sites
    <slug>/encoder/             model.onnx, model.safetensors, tokenizer.json: fine-tuned for the call site
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from traffic import config
from traffic.adapters import CallSitePrompts
from traffic.artifacts import read_lines
from traffic.prompts import SYSTEM_ROLES

FILE = "classifier.yaml"
PARITY = "parity.jsonl"

Kind = Literal["classical", "encoder"]
Member = Literal["words", "embedding", "frozen_embedding"]
"""A linear head: on TF-IDF of word and character n-grams, or on the mean-pooled states of an encoder.
`frozen_embedding`: on the pretrained encoder, where `embedding` is on the fine-tuned one."""


class EncoderWeights(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The pretrained encoder, used as it is or fine-tuned."""

    name: str
    revision: str
    """`sha256:...` of the pretrained weights, or the hub commit."""
    licence: str = ""


class Guard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Out-of-distribution test: a text whose embedding is far from every label's training mean is unlike the data."""

    limit: float
    """Maximum cosine distance to the nearest label mean."""
    false_alarms: float
    """Share of calibration rows beyond the limit."""
    rows: int
    """Number of calibration rows that the limit was set on."""


class SiteModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The model of one call site."""

    folder: str
    """Folder of the heads in the artifact."""
    labels: tuple[str, ...]
    """In the order of the rows of the heads."""
    members: tuple[Member, ...]
    """Heads whose probabilities are averaged."""
    encoder: str | None = None
    """Folder of the encoder in the artifact; None: no member needs one."""
    frozen_encoder: str | None = None
    """Folder of the pretrained encoder, for the member `frozen_embedding`."""
    max_tokens: int = 256
    """Longer texts are truncated."""
    multiple: Literal["comma", "json"] | None = None
    """Format of answers that are sets of labels, with an independent probability per label. None: one label."""
    empty: bool = False
    """Whether the set without labels is an answer too; else a set has its most probable label at least."""
    temperature: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    guard: Guard | None = None


class Classifier(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`classifier.yaml`."""

    schema_version: Literal[1] = 1
    name: str
    """`<task>@<hash8>`, also its model name on servers; never reused."""
    task: str
    kind: Kind
    dataset: str
    """`<task>@<hash8>` of the dataset it was trained on."""
    call_sites: dict[str, CallSitePrompts]
    models: dict[str, SiteModel]
    """By call site."""
    encoder: EncoderWeights | None = None
    config: dict[str, Any]
    """The training configuration, resolved."""
    metrics: dict[str, float]
    libraries: dict[str, str]
    licence: str = ""
    created_at: datetime | None = None
    """When a stage last wrote this content (UTC); decides which one is current."""
    mlflow_run_id: str | None = None

    def served_name(self, call_site: str) -> str:
        """Model name in requests; it identifies the call site, which requests do not contain."""
        return self.name if len(self.models) == 1 else f"{self.name}/{call_site}"


class ParityItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of `parity.jsonl`: output for one text, computed in training."""

    call_site: str
    text: str
    answer: str
    logprobs: list[float]
    """By label in the model's order; for sets of labels, of each label independently."""


def load(folder: Path) -> Classifier:
    """`classifier.yaml` of a classifier's folder. Raises: NotFound, ConfigError."""
    return config.load(folder / FILE, Classifier)


def load_parity(folder: Path) -> list[ParityItem]:
    """`parity.jsonl` of a classifier's folder. Raises: NotFound, InputError."""
    missing = ": the classifier cannot be checked against its training; train it again"
    return read_lines(folder / PARITY, ParityItem, missing)


def text_of(messages: Iterable[Mapping[str, Any]]) -> str:
    """The part of a pruned prompt that varies between requests: all messages but the system message."""
    return "\n".join(str(message["content"]) for message in messages if message["role"] not in SYSTEM_ROLES)
