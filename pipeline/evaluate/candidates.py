"""Candidates of an evaluation (`configs/candidates.yaml`): who is asked, how, and at what price."""

import datetime as dt
import os
from typing import Annotated, Any, Literal

import msgspec

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]
"""Part of a folder name, so no slash and no @."""


class AdapterCandidate(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="adapter"
):
    """A fine-tuned adapter of the dataset's task, asked with the pruned prompt."""

    name: Name
    adapter: str | None = None
    """Folder, `task@hash8` or task; None: the newest adapter of the dataset's task."""
    constrain: bool = False
    """Hold the answer to the label set or schema while it is decoded, as for `base`."""


class BaseCandidate(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="base"
):
    """The adapter's base model with the full original prompt: what fine-tuning has to beat."""

    name: Name
    model: str | None = None
    """Folder of the weights; None: the base of the task's newest adapter."""
    constrain: bool = True
    """Hold the answer to the label set or schema while it is decoded: a fair rival cannot fail on form."""


class TeacherCandidate(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="teacher"
):
    """The logged answers as they are, with their logged latency and cost."""

    name: Name


class ClassicalCandidate(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="classical"
):
    """TF-IDF and logistic regression for closed labels.

    Fitted on the train and validation splits, its probabilities calibrated on the calibration split.
    """

    name: Name
    c: Annotated[float, msgspec.Meta(gt=0)] = 20.0
    """Inverse strength of the regularisation."""


class GivenPrice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """USD per million tokens, where `configs/prices.yaml` is not to be asked."""

    input_mtok_usd: Annotated[float, msgspec.Meta(ge=0)]
    output_mtok_usd: Annotated[float, msgspec.Meta(ge=0)]
    cache_read_mtok_usd: Annotated[float, msgspec.Meta(ge=0)] | None = None


class OpenAICandidate(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="openai"
):
    """Any hosted model that speaks the OpenAI protocol, asked with the full original prompt."""

    name: Name
    base_url: Annotated[str, msgspec.Meta(pattern=r"^https?://\S+$")]
    model: str
    api_key_env: str | None = None
    """Environment variable with the key; None: the server wants none. Unset: the candidate is skipped."""
    provider: str | None = None
    """As the price table calls it; None: by the model's name."""
    price: GivenPrice | None = None
    """None: from the price table."""
    deprecated_on: dt.date | None = None
    """The day on which the provider switches the model off; None: what the price table knows."""
    max_concurrency: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """None: the file's `concurrency`."""
    simulated: bool = False
    """A stand-in answers, not the model: every number that comes from it says so."""
    temperature: float | None = 0.0
    """None: not sent, for models that refuse it."""
    max_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Cap on output tokens; None: twice the call site's, as other tokenisers may need more."""
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    logprobs: bool = False
    """Ask for log-probabilities; many hosted models refuse them."""
    extra_body: dict[str, Any] = {}
    """Further request parameters, such as `reasoning_effort`."""
    mode: Literal["live", "batch"] = "live"
    """batch: asked through the provider's batch API (OpenAI's protocol), which answers within a day for less. What the
    candidate would cost in use stays the live price."""
    batch_price_share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5
    """Of the list price, what the batch API costs."""
    only_judge: bool = False
    """Compares answers of others (`judge`) and is no candidate itself."""


class JudgeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A hosted model that compares free texts of a candidate with those of the incumbent, in pairs."""

    candidate: Name
    """Name of a candidate of kind openai, who is asked."""
    repeats: Annotated[int, msgspec.Meta(ge=1, le=10)] = 2
    """So often each order of the two answers is asked: a judge that changes its mind is found out."""
    items: Annotated[int, msgspec.Meta(ge=1)] = 100
    """At most so many items per candidate."""
    max_tokens: Annotated[int, msgspec.Meta(ge=1)] = 64
    """Cap on a verdict where the candidate has none; a reasoning model needs more."""
    criteria: str = "Which answer does better what the request asks for, as the one who made the request would see it?"


class CascadeCandidate(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="cascade"
):
    """Tier 1 with its calibrated threshold, and Tier 2 for what it is not sure of: what users get. Nobody is asked
    again: it is put together from the answers of two other candidates."""

    name: Name
    tier_1: Name = "adapter"
    """Candidate that was calibrated (`fasttier calibrate`)."""
    tier_2: Name = "teacher"
    """Candidate that answers what escalates."""


Kind = Literal["adapter", "base", "teacher", "classical", "openai", "cascade"]
Candidate = (
    AdapterCandidate | BaseCandidate | TeacherCandidate | ClassicalCandidate | OpenAICandidate | CascadeCandidate
)


class CandidatesConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`configs/candidates.yaml`."""

    schema_version: Literal[1] = 1
    candidates: Annotated[tuple[Candidate, ...], msgspec.Meta(min_length=1)]
    concurrency: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 16
    """Requests in flight while quality and throughput are measured."""
    latency_sample: Annotated[int, msgspec.Meta(ge=0)] = 20
    """So many items are asked one at a time first: their latency is that of a server without load."""
    timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 120.0
    """Of one attempt."""
    max_retries: Annotated[int, msgspec.Meta(ge=0)] = 4
    """Of the SDK: connection errors, 408, 409, 429 (its Retry-After is kept) and 5xx."""
    machine: str = "cpu-2core"
    """What own models are served on: a name in `configs/gpus.yaml`."""
    cpu_machine: str = "cpu-2core"
    """What a classical model would run on."""
    batch_poll_s: Annotated[float, msgspec.Meta(ge=0)] = 30.0
    """Longest wait between two looks at a batch."""
    traces: Annotated[int, msgspec.Meta(ge=0)] = 0
    """The first so many items of every candidate also as MLflow traces with their scores."""
    judge: JudgeConfig | None = None
    """None: nobody is asked which of two texts is better."""
    out_of_scope: tuple[str, ...] = ()
    """Labels that stand for "none of these"; besides the usual names, such as `out_of_scope` or `oos`."""

    def __post_init__(self) -> None:
        names = [candidate.name for candidate in self.candidates]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"candidate {twice[0]!r} stands there twice")
        hosted = [candidate.name for candidate in self.candidates if isinstance(candidate, OpenAICandidate)]
        if self.judge is not None and self.judge.candidate not in hosted:
            there = ", ".join(hosted) or "none"
            raise ValueError(f"judge {self.judge.candidate!r} is no candidate of kind openai; there are: {there}")

    def judging(self) -> OpenAICandidate | None:
        """Who compares texts."""
        name = self.judge.candidate if self.judge else None
        return next((c for c in self.candidates if isinstance(c, OpenAICandidate) and c.name == name), None)


def kind_of(candidate: Candidate) -> Kind:
    """The candidate's `kind` in the YAML file."""
    kind: Kind = candidate.__struct_config__.tag  # type: ignore[assignment] # a tag may also be a number or None
    return kind


def missing_key(candidate: Candidate) -> str | None:
    """Name of the unset environment variable that a hosted candidate needs, or None."""
    if isinstance(candidate, OpenAICandidate) and candidate.api_key_env and not os.environ.get(candidate.api_key_env):
        return candidate.api_key_env
    return None


def read_key(candidate: OpenAICandidate) -> str | None:
    """The candidate's key out of the environment; None where it needs none."""
    return os.environ.get(candidate.api_key_env) if candidate.api_key_env else None
