"""Endpoints of own models: what has to be served, under which names, and where it is."""

import os
from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec

from pipeline import dataset as datasets
from pipeline.evaluate.candidates import AdapterCandidate, BaseCandidate, Candidate, CandidatesConfig
from traffic import adapters
from traffic.adapters import Adapter
from traffic.artifacts import Home
from traffic.errors import ConfigError, ModelUnavailable, NotFound


class Endpoint(msgspec.Struct, frozen=True):
    """A running server that speaks the OpenAI protocol."""

    base_url: str
    """Ends in `/v1`."""
    model: str
    """Name under which it serves the candidate."""
    api_key: str | None = None

    def __repr__(self) -> str:
        return f"Endpoint({self.base_url}, {self.model})"


class OwnModel(msgspec.Struct, frozen=True, kw_only=True):
    """What an own candidate is made of."""

    candidate: str
    served_name: str
    """Model name of its requests: the adapter's name, or the base model's."""
    base_name: str
    base_path: Path
    identity: str
    """Changes whenever answers could: the adapter's content hash, or the base model's revision."""
    adapter: Adapter | None = None
    adapter_path: Path | None = None


class ServerNeed(msgspec.Struct, frozen=True, kw_only=True):
    """One vLLM that has to run: a base model and the adapters on it."""

    base_model: Path
    base_name: str
    """Served name of the base model."""
    adapters: dict[str, Path]
    """Served name to folder."""
    max_rank: int
    """Largest adapter rank; 0 without adapters."""
    candidates: dict[str, str]
    """Candidate name to served name."""


def own_model(candidate: Candidate, task: str, home: Home) -> OwnModel | None:
    """What an `adapter` or `base` candidate is made of; None for other kinds.

    Raises: NotFound if the task has no adapter, ConfigError if its card is broken.
    """
    if isinstance(candidate, AdapterCandidate):
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
    if not isinstance(candidate, BaseCandidate):
        return None
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


def _adapter(candidate: str, wanted: str, home: Home) -> Path:
    try:
        return home.adapter(wanted)
    except NotFound as error:
        raise NotFound(f"candidate {candidate}: {error}, or take the candidate out of the file") from None


def needs_server(
    candidates: CandidatesConfig, dataset: Path, home: Home, given: Collection[str] = ()
) -> list[ServerNeed]:
    """Servers that the own candidates need, except those in `given`, which have an endpoint already.

    Raises: NotFound, ConfigError, ModelUnavailable if the base model's weights are not on this machine.
    """
    task = datasets.load(dataset).task
    wanted = [own_model(candidate, task, home) for candidate in candidates.candidates if candidate.name not in given]
    by_base: dict[Path, list[OwnModel]] = {}
    for model in wanted:
        if model is not None:
            by_base.setdefault(model.base_path.resolve(), []).append(model)
    needs = []
    for base, models in by_base.items():
        if not base.is_dir():
            raise ModelUnavailable(
                f"candidate {models[0].candidate}: the weights of {models[0].base_name} are not at {base}; "
                "put them there, or pass --endpoint CANDIDATE=URL of a server that has them"
            )
        needs.append(
            ServerNeed(
                base_model=base,
                base_name=models[0].base_name,
                adapters={m.served_name: m.adapter_path for m in models if m.adapter_path is not None},
                max_rank=max((m.adapter.rank for m in models if m.adapter is not None and m.adapter_path), default=0),
                candidates={m.candidate: m.served_name for m in models},
            )
        )
    return needs


def from_options(
    options: Sequence[str], candidates: CandidatesConfig, dataset: Path, home: Home
) -> dict[str, Endpoint]:
    """Endpoints that a user names as `CANDIDATE=URL`; the key, where the server wants one, is in VLLM_API_KEY.

    Raises: ConfigError.
    """
    task = datasets.load(dataset).task
    own = {c.name: c for c in candidates.candidates if isinstance(c, AdapterCandidate | BaseCandidate)}
    found = {}
    for option in options:
        name, equals, url = option.partition("=")
        if not equals or not url.startswith(("http://", "https://")):
            raise ConfigError(f"--endpoint {option}: write it as CANDIDATE=http://HOST:PORT/v1")
        if name not in own:
            there = ", ".join(own) or "none in the file"
            raise ConfigError(f"--endpoint {option}: no own model {name!r} among the candidates; there are: {there}")
        model = own_model(own[name], task, home)
        assert model is not None
        url = url.rstrip("/")
        base_url = url if url.endswith("/v1") else f"{url}/v1"
        found[name] = Endpoint(base_url, model.served_name, os.environ.get("VLLM_API_KEY"))
    return found
