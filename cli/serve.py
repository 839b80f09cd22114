"""`fasttier serve`: serve adapters with a local model server, or classifiers in one process."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cli.app import DEFAULTS, OWN_MODEL, Common, Summary, announce, run_stage
from cli.servers import start_classifiers, start_server

if TYPE_CHECKING:
    from serving.supervise import Server
    from traffic.artifacts import Home


def serve(*adapter: Annotated[str, OWN_MODEL], common: Common = DEFAULTS) -> int:
    """Serve adapters of one base model, or classifiers; check parity with training, run until interrupted.

    Adapters run on vLLM, or on transformers where vLLM is not installed or with --set engine=transformers.
    """

    def stage(home: "Home") -> Summary:
        from serving import classifier_parity, parity
        from serving.status import Served
        from traffic import own_models
        from traffic.adapters import Adapter
        from traffic.classifiers import Classifier
        from traffic.errors import ConfigError

        folders = [own_models.find(home, name) for name in adapter or (None,)]
        loaded_cards = [own_models.load(folder) for folder in folders]
        classifiers = {f: card for f, card in zip(folders, loaded_cards, strict=True) if isinstance(card, Classifier)}
        cards = [card for card in loaded_cards if isinstance(card, Adapter)]
        if classifiers and cards:
            raise ConfigError("adapters and classifiers are served by different servers; start one for each")
        if classifiers:
            server = servers.enter_context(start_classifiers(classifiers, home, "serve", common))
            matches = [
                classifier_parity.check(server.base_url, folder, api_key=server.api_key) for folder in classifiers
            ]
            running.append(server)
            return Served(server.base_url, server.pid, tuple(matches), str(server.log_path))
        base = cards[0].base_model
        if len(cards) > 1 and any(card.merged for card in cards):
            raise ConfigError("a merged model needs its own server; start one for each")
        if any(card.base_model != base for card in cards):
            raise ConfigError("these adapters have different base models; start one server for each")
        files = {card.name: folder for card, folder in zip(cards, folders, strict=True)}
        model, name, loaded = Path(base.path), base.name, files
        if cards[0].merged:
            model, name, loaded = folders[0], cards[0].name, {}
        server = servers.enter_context(start_server(model, name, loaded, home, "serve", common))
        checked = [
            parity.check(
                server.base_url,
                files[card.name],
                model=card.name,
                base_model=base.name,
                api_key=server.api_key,
                training_dtype=card.parity_dtype,
                serving_dtype=server.command.dtype,
            )
            for card in cards
        ]
        running.append(server)
        return Served(server.base_url, server.pid, tuple(checked), str(server.log_path))

    running: list[Server] = []
    with contextlib.ExitStack() as servers:
        status = run_stage(common, stage)
        with contextlib.suppress(KeyboardInterrupt):
            for server in running if status == 0 else ():
                server_status = server.wait()
                announce(f"fasttier: the server ended with status {server_status}; its log is {server.log_path}")
                status = 2
    return status
