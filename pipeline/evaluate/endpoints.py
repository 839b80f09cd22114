"""Endpoints of own models: the servers they need, their model names and URLs."""

import os
from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec

from pipeline import dataset as datasets
from pipeline.evaluate.config import AdapterConfig, BaseConfig, CandidatesConfig
from traffic import adapters
from traffic.adapters import Adapter
from traffic.artifacts import Home
from traffic.errors import ConfigError, ModelUnavailable, NotFound


class Endpoint(msgspec.Struct, frozen=True):
    """A running OpenAI-compatible server."""

    base_url: str
    """Ends in `/v1`."""
    model: str
    """Name under which the server knows the candidate."""
    api_key: str | None = None

    def __repr__(self) -> str:
        return f"Endpoint({self.base_url}, {self.model})"


class OwnModel(msgspec.Struct, frozen=True, kw_only=True):
    """Files and names of an own model."""

    candidate: str
    served_name: str
    """Model name in requests: the adapter's name, or the base model's."""
    base_name: str
    base_path: Path
    identity: str
    """Changes whenever answers could change: the adapter's content hash, or the base model's revision."""
    adapter: Adapter | None = None
    adapter_path: Path | None = None


class ServerNeed(msgspec.Struct, frozen=True, kw_only=True):
    """One vLLM to start: a base model with its adapters."""

    base_model: Path
    base_name: str
    """Served name of the base model."""
    adapters: dict[str, Path]
    """Served name to folder."""
    max_rank: int
    """Largest adapter rank; 0 without adapters."""
    candidates: dict[str, str]
    """Candidate name to served name."""


def own_model(candidate: AdapterConfig | BaseConfig, task: str, home: Home) -> OwnModel:
    """Files and names of a candidate's model.

    Raises: NotFound if the task has no adapter, ConfigError if its card is broken.
    """
    if isinstance(candidate, AdapterConfig):
        folder = _adapter(candidate.name, candidate.adapter or task, home)
        card = adapters.load(folder)
        return OwnModel(
            candidate=candidate.name,
            served_name=card.name,
            # A merged model is its own base.
            base_name=card.name if card.merged else card.base_model.name,
            base_path=folder if card.merged else Path(card.base_model.path),
            identity=card.name,
            adapter=card,
            adapter_path=None if card.merged else folder,
        )
    if candidate.model is not None:
        path = Path(candidate.model)
        return OwnModel(
            candidate=candidate.name,
            served_name=path.name,
            base_name=path.name,
            base_path=path,
            identity=candidate.model,
        )
    base = adapters.load(_adapter(candidate.name, task, home)).base_model
    return OwnModel(
        candidate=candidate.name,
        served_name=base.name,
        base_name=base.name,
        base_path=Path(base.path),
        identity=f"{base.name}@{base.revision}",
    )


def no_adapter(candidate: AdapterConfig | BaseConfig, task: str, home: Home) -> str | None:
    """Why a candidate is skipped: the task has no adapter yet. None if it has, or if the entry names a model."""
    if (candidate.adapter if isinstance(candidate, AdapterConfig) else candidate.model) is not None:
        return None
    try:
        home.adapter(task)
    except NotFound as error:
        return str(error)
    return None


def _adapter(candidate: str, name: str, home: Home) -> Path:
    try:
        return home.adapter(name)
    except NotFound as error:
        raise NotFound(f"candidate {candidate}: {error}, or remove the candidate from the file") from None


def needs_server(
    candidates: CandidatesConfig, dataset: Path, home: Home, given: Collection[str] = ()
) -> list[ServerNeed]:
    """Servers that own candidates need; those in `given` have an endpoint already, and skipped ones need none.

    Raises: NotFound, ConfigError, ModelUnavailable if the base model's weights are not on this machine.
    """
    task = datasets.load(dataset).task
    by_base: dict[Path, list[OwnModel]] = {}
    for candidate in _own_candidates(candidates):
        if candidate.name not in given and no_adapter(candidate, task, home) is None:
            model = own_model(candidate, task, home)
            by_base.setdefault(model.base_path.resolve(), []).append(model)
    needs = []
    for base, on_base in by_base.items():
        if not base.is_dir():
            raise ModelUnavailable(
                f"candidate {on_base[0].candidate}: the weights of {on_base[0].base_name} are not at {base}; "
                "copy them there, or pass --endpoint CANDIDATE=URL of a server that has them"
            )
        needs.append(
            ServerNeed(
                base_model=base,
                base_name=on_base[0].base_name,
                adapters={m.served_name: m.adapter_path for m in on_base if m.adapter_path is not None},
                max_rank=max((m.adapter.rank for m in on_base if m.adapter is not None and m.adapter_path), default=0),
                candidates={m.candidate: m.served_name for m in on_base},
            )
        )
    return needs


def from_options(
    options: Sequence[str], candidates: CandidatesConfig, dataset: Path, home: Home
) -> dict[str, Endpoint]:
    """Endpoints given as `CANDIDATE=URL`; the API key, if the server requires one, is in VLLM_API_KEY.

    Raises: ConfigError.
    """
    task = datasets.load(dataset).task
    own_candidates = {candidate.name: candidate for candidate in _own_candidates(candidates)}
    endpoints = {}
    for option in options:
        name, equals, url = option.partition("=")
        if not equals or not url.startswith(("http://", "https://")):
            raise ConfigError(f"--endpoint {option}: expected CANDIDATE=http://HOST:PORT/v1")
        if name not in own_candidates:
            expected = ", ".join(own_candidates) or "none"
            raise ConfigError(f"--endpoint {option}: {name!r} is not an own model of the candidates file ({expected})")
        base_url = url.rstrip("/").removesuffix("/v1") + "/v1"
        served_name = own_model(own_candidates[name], task, home).served_name
        endpoints[name] = Endpoint(base_url, served_name, os.environ.get("VLLM_API_KEY"))
    return endpoints


def _own_candidates(candidates: CandidatesConfig) -> list[AdapterConfig | BaseConfig]:
    return [c for c in candidates.candidates if isinstance(c, AdapterConfig | BaseConfig)]
