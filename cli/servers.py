"""Model servers that run during a stage."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cli.app import DEFAULTS, Common

if TYPE_CHECKING:
    from pipeline.evaluate.config import CandidatesConfig
    from pipeline.evaluate.endpoints import Endpoint
    from serving.supervise import Server
    from traffic.artifacts import Home
    from traffic.classifiers import Classifier


@contextlib.contextmanager
def endpoints_of(
    dataset: Path, candidates: "CandidatesConfig", home: "Home", given: Sequence[str]
) -> Iterator[dict[str, "Endpoint"]]:
    """Endpoints of own models: given ones (NAME=URL), and servers started here for the others."""
    from pipeline import evaluate as stage
    from pipeline.evaluate.endpoints import from_options

    endpoints: dict[str, Endpoint] = from_options(given, candidates, dataset, home)
    with contextlib.ExitStack() as servers:
        for need in stage.needs_server(candidates, dataset, home, given=endpoints):
            server = servers.enter_context(
                start_server(need.base_model, need.base_name, need.adapters, home, "evaluate")
            )
            for candidate, model in need.candidates.items():
                endpoints[candidate] = stage.Endpoint(server.base_url, model, server.api_key)
        yield endpoints


class EndpointsOnDemand(Mapping[str, "Endpoint"]):
    """`endpoints_of`, but servers are started at the first access."""

    def __init__(
        self,
        dataset: Path,
        candidates: "CandidatesConfig",
        home: "Home",
        given: Sequence[str],
        servers: contextlib.ExitStack,
    ) -> None:
        self._names = [candidate.name for candidate in candidates.candidates]
        self._needs = (dataset, candidates, home, given)
        self._servers = servers
        self._found: Mapping[str, Endpoint] | None = None

    def __getitem__(self, name: str) -> "Endpoint":
        if name not in self._names:
            raise KeyError(name)
        if self._found is None:
            self._found = self._servers.enter_context(endpoints_of(*self._needs))
        return self._found[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def start_classifiers(
    classifiers: "Mapping[Path, Classifier]", home: "Home", purpose: str, common: Common = DEFAULTS
) -> "Server":
    """Start one server for all classifiers and wait until it is healthy."""
    from serving import classifier_args, supervise
    from serving.config import load_config

    config = load_config("cpu", common.config, common.set_)
    command = classifier_args.command(config, classifiers, port=config.port or supervise.free_port(config.host))
    name = next(iter(classifiers.values())).name
    log = home.runs / "servers" / f"{purpose}-{name}.log"
    return supervise.start(command, log, home=home, warm=False)


def start_server(
    base_model: Path,
    base_name: str,
    adapters: Mapping[str, Path],
    home: "Home",
    purpose: str,
    common: Common = DEFAULTS,
) -> "Server":
    """Start a server for a base model and its adapters, and wait until it is healthy. Shows progress."""
    from rich.console import Console

    from pipeline.train import compute_dtype
    from serving import adapter_files, engine, supervise
    from serving.command import Launch
    from serving.config import detect_device, load_config
    from traffic.processes import cores

    device = detect_device()
    config = load_config(device, common.config, common.set_)
    chosen = engine.choose(config)
    files = {name: adapter_files.adapter_files(folder) for name, folder in adapters.items()}
    command = engine.COMMANDS[chosen](
        config,
        Launch(
            base_model=base_model,
            adapters=files,
            port=config.port or supervise.free_port(config.host),
            served_model_name=base_name,
            chat_template=adapter_files.chat_template(next(iter(files.values())), base_model)
            if files
            else adapter_files.model_template(base_model),
            device=device,
            python=engine.interpreter(chosen),
            threads=cores(),
            # On a GPU the engine chooses, since this interpreter may not have PyTorch.
            dtype=compute_dtype.of_weights(base_model, device) if device == "cpu" and config.dtype == "auto" else None,
        ),
    )
    log = home.runs / "servers" / f"{purpose}-{base_model.name}.log"
    starting = f"starting {engine.TITLES[chosen]} ({device})"
    with Console(stderr=True).status(f"{starting}, log in {log}") as status:
        return supervise.start(
            command,
            log,
            on_progress=lambda seconds, line: status.update(f"{starting} {seconds:.0f} s: {line[-80:]}"),
            home=home,
        )
