"""Configuration of an evaluation (`configs/candidates.yaml`): the candidates, how they are asked, their prices."""

import datetime as dt
import os
from typing import Annotated, Any, Literal

import msgspec

from pipeline.classifiers.config import EncoderModel

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]
"""Part of a folder name: no slash, no @."""


class AdapterConfig(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="adapter"
):
    """A fine-tuned adapter of the dataset's task, asked with the pruned prompt."""

    name: Name
    adapter: str | None = None
    """Folder, `task@hash8` or task; None: the newest adapter of the dataset's task."""
    constrain: bool = False
    """Constrained decoding to the label set or schema, as for `base`."""


class BaseConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="base"):
    """The adapter's base model with the full original prompt: the baseline for fine-tuning."""

    name: Name
    model: str | None = None
    """Folder with the weights; None: the base model of the task's newest adapter."""
    constrain: bool = True
    """Constrained decoding to the label set or schema, so that the base model does not lose on form alone."""


class TeacherConfig(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="teacher"
):
    """The logged answers, with their logged latency and cost."""

    name: Name


class ClassicalConfig(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="classical"
):
    """Linear models on n-grams and frozen embeddings for closed labels, fitted here.

    On the train and validation splits, its probabilities calibrated on the calibration split.
    """

    name: Name
    c: Annotated[float, msgspec.Meta(gt=0)] = 20.0
    """Inverse regularisation strength on n-grams."""
    embedding_c: Annotated[float, msgspec.Meta(gt=0)] = 30.0
    """On embeddings."""
    encoder: EncoderModel | None = None
    """Pretrained encoder of the embeddings; None, or where it cannot be had: n-grams alone."""


class EncoderConfig(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="encoder"
):
    """A fine-tuned encoder for closed labels."""

    name: Name
    classifier: str | None = None
    """Folder or `task@hash8`; None: the newest encoder that was trained on the dataset, else on its task."""


class GivenPrice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """USD per million tokens, overriding `configs/prices.yaml`."""

    input_mtok_usd: Annotated[float, msgspec.Meta(ge=0)]
    output_mtok_usd: Annotated[float, msgspec.Meta(ge=0)]
    cache_read_mtok_usd: Annotated[float, msgspec.Meta(ge=0)] | None = None


class HostedConfig(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="openai"
):
    """Any hosted model with an OpenAI-compatible API, asked with the full original prompt."""

    name: Name
    base_url: Annotated[str, msgspec.Meta(pattern=r"^https?://\S+$")]
    model: str
    api_key_env: str | None = None
    """Environment variable with the API key; None: no key needed. The candidate is skipped if the variable is unset."""
    provider: str | None = None
    """Provider name in the price table; None: derived from the model's name."""
    price: GivenPrice | None = None
    """None: use the price table."""
    deprecated_on: dt.date | None = None
    """Day on which the provider retires the model; None: use the price table."""
    max_concurrency: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """None: the file's `concurrency`."""
    simulated: bool = False
    """A stand-in answers instead of the model; every number derived from it is marked."""
    temperature: float | None = 0.0
    """None: not sent, for models that reject the parameter."""
    max_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Cap on output tokens; None: twice the call site's cap, since other tokenisers may need more."""
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    logprobs: bool = False
    """Request log-probabilities; many hosted models reject them."""
    extra_body: dict[str, Any] = {}
    """Additional request parameters, such as `reasoning_effort`."""
    mode: Literal["live", "batch"] = "live"
    """batch: use the provider's batch API (OpenAI's protocol), which answers within a day at a lower price. The cost in
    the report stays the live price."""
    batch_price_share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5
    """Price of the batch API as a share of the list price."""
    only_judge: bool = False
    """Used only as the judge; not evaluated itself."""


class JudgeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """LLM as a judge: pairwise comparison of a candidate's free texts with the incumbent's."""

    candidate: Name
    """Name of the judging candidate, of kind openai."""
    repeats: Annotated[int, msgspec.Meta(ge=1, le=10)] = 2
    """Requests per order of the two answers; repeats reveal an inconsistent judge."""
    items: Annotated[int, msgspec.Meta(ge=1)] = 100
    """Maximum number of items per candidate."""
    max_tokens: Annotated[int, msgspec.Meta(ge=1)] = 64
    """Cap on output tokens of a verdict unless the candidate has its own; reasoning models need more."""
    criteria: str = "Which answer does better what the request asks for, as the one who made the request would see it?"
    """Question put to the judge."""


class CascadeConfig(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="cascade"
):
    """Tier 1 with its calibrated threshold, then Tier 2 for what escalates: what users get. Computed from the
    evaluations of two other candidates; no model is asked again."""

    name: Name
    tier_1: Name = "adapter"
    """Calibrated candidate (`fasttier calibrate`)."""
    tier_2: Name = "teacher"
    """Candidate that answers escalated requests."""


Kind = Literal["adapter", "base", "teacher", "classical", "encoder", "openai", "cascade"]
CandidateConfig = (
    AdapterConfig | BaseConfig | TeacherConfig | ClassicalConfig | EncoderConfig | HostedConfig | CascadeConfig
)


class CandidatesConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`configs/candidates.yaml`."""

    schema_version: Literal[1] = 1
    candidates: Annotated[tuple[CandidateConfig, ...], msgspec.Meta(min_length=1)]
    concurrency: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 16
    """Requests in flight while quality and throughput are measured."""
    latency_sample: Annotated[int, msgspec.Meta(ge=0)] = 20
    """Items asked one at a time first, to measure the latency of an unloaded server."""
    timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 120.0
    """Timeout of one attempt."""
    max_retries: Annotated[int, msgspec.Meta(ge=0)] = 4
    """Retries of connection errors, timeouts, 408, 409, 429 (after its Retry-After) and 5xx; each has its own budget
    reservation."""
    machine: str = "cpu-2core"
    """Machine that serves own models: a name in `configs/gpus.yaml`."""
    cpu_machine: str = "cpu-2core"
    """Machine that runs classical models."""
    batch_poll_s: Annotated[float, msgspec.Meta(ge=0)] = 30.0
    """Longest interval between two polls of a batch."""
    traces: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Log the first N items of every candidate as MLflow traces with their scores."""
    judge: JudgeConfig | None = None
    """None: free texts are not judged."""
    out_of_scope: tuple[str, ...] = ()
    """Labels that mean "none of these", in addition to common names such as `out_of_scope` or `oos`."""

    def __post_init__(self) -> None:
        names = [candidate.name for candidate in self.candidates]
        duplicates = sorted({name for name in names if names.count(name) > 1})
        if duplicates:
            raise ValueError(f"duplicate candidate name {duplicates[0]!r}")
        hosted = [candidate.name for candidate in self.candidates if isinstance(candidate, HostedConfig)]
        if self.judge is not None and self.judge.candidate not in hosted:
            expected = ", ".join(hosted) or "none"
            raise ValueError(f"judge {self.judge.candidate!r} is not a candidate of kind openai ({expected})")

    def judging(self) -> HostedConfig | None:
        """The candidate that judges free texts."""
        name = self.judge.candidate if self.judge else None
        return next((c for c in self.candidates if isinstance(c, HostedConfig) and c.name == name), None)


def kind_of(candidate: CandidateConfig) -> Kind:
    """The candidate's `kind` in the YAML file."""
    kind: Kind = candidate.__struct_config__.tag  # type: ignore[assignment] # a tag may also be a number or None
    return kind


def missing_key(candidate: HostedConfig) -> str | None:
    """Name of the unset environment variable that the candidate needs, or None."""
    return candidate.api_key_env if candidate.api_key_env and not os.environ.get(candidate.api_key_env) else None


def read_key(candidate: HostedConfig) -> str | None:
    """The API key from the environment; None where none is needed."""
    return os.environ.get(candidate.api_key_env) if candidate.api_key_env else None
