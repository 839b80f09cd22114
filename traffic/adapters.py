"""Metadata of an adapter: `adapter.yaml` (what it was trained for) and `parity.jsonl` (expected outputs to check)."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from traffic import config
from traffic.artifacts import read_lines
from traffic.callsites import Checks, RequestType
from traffic.prompts import Template
from traffic.redaction import Redaction

FILE = "adapter.yaml"
ComputeDtype = Literal["bfloat16", "float16", "float32"]
"""Type in which a machine multiplies matrices, by PyTorch's and vLLM's name."""


class BaseModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The base model of an adapter."""

    name: str
    """Hub id, such as `meta-llama/Llama-3.1-8B-Instruct`."""
    revision: str
    """Hub commit, or `sha256:...` of the weights if they are not from the hub."""
    path: str
    """Folder of the weights on the machine that trained."""


class CallSitePrompts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Prompts of one call site, and the requirements on its answers."""

    templates: tuple[Template, ...]
    """A live request that matches none of these does not go to the adapter."""
    request_type: RequestType
    checks: Checks = Checks()
    max_tokens: int = 256
    """Longest completion in training plus a margin."""
    redaction: Redaction | None = None
    """How personal data was redacted in training; live requests are redacted in the same way. None: not redacted."""


class Adapter(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`adapter.yaml`."""

    schema_version: Literal[1, 2] = 2
    name: str
    """`<task>@<hash8>`, also the name under which vLLM serves it: never reused."""
    task: str
    base_model: BaseModel
    rank: int
    dataset: str
    """`<task>@<hash8>` of the dataset it was trained on."""
    call_sites: dict[str, CallSitePrompts]
    chat_template_sha256: str
    config: dict[str, Any]
    """The training configuration, resolved."""
    metrics: dict[str, float]
    libraries: dict[str, str]
    licence: str
    """Licence terms of the base model, such as Llama's naming and notice."""
    created_at: datetime | None = None
    """When a stage last wrote this content (UTC); decides which one is current. None: written by schema version 1."""
    mlflow_run_id: str | None = None
    """MLflow run of the training; None: trained by an earlier version."""
    merged: bool = False
    """The folder has the full model with the adapter merged into its weights, and no PEFT files."""
    source: str | None = None
    """For a merged model: the adapter that was merged."""
    compute_dtype: ComputeDtype | None = None
    """Type used for training and parity.jsonl; None: bfloat16, written by an earlier version."""
    untested: tuple[str, ...] = ()
    """Code paths used in training that the project has never run on real hardware, such as packing on a GPU."""

    @property
    def parity_dtype(self) -> ComputeDtype | None:
        """Type in which a server must match parity.jsonl; None for a merged model, whose weights are rounded."""
        return None if self.merged else self.compute_dtype or "bfloat16"


class ParityItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of `parity.jsonl`: PEFT's output for one prompt, to check a server that has no PEFT."""

    prompt_ids: list[int]
    completion_ids: list[int]
    """Greedy tokens of the adapter, including the end-of-turn token."""
    logprobs: list[float]
    """The adapter's log-probability of each completion token."""
    margins: list[float]
    """Difference between the best and the second-best log-probability at each step."""
    base_logprobs: list[float]
    """The base model's log-probability of the same tokens; the adapter's must differ."""


def load(folder: Path) -> Adapter:
    """`adapter.yaml` of an adapter's folder. Raises: NotFound, ConfigError."""
    return config.load(folder / FILE, Adapter)


def load_parity(folder: Path) -> list[ParityItem]:
    """`parity.jsonl` of an adapter's folder. Raises: NotFound, InputError."""
    missing = ": the adapter cannot be checked against its training; train it again"
    return read_lines(folder / "parity.jsonl", ParityItem, missing)


def dump_parity(items: Iterable[ParityItem]) -> bytes:
    """The bytes of `parity.jsonl`."""
    return b"".join(msgspec.json.encode(item) + b"\n" for item in items)
