"""Serve the dashboard until it is stopped."""

import os
import socket
from collections.abc import Callable, Mapping

import msgspec
import uvicorn

from pipeline.dashboard.app import KEY_ENV, make_app
from pipeline.dashboard.views import Deps
from traffic.errors import ConfigError
from traffic.tiers import is_loopback


class DashboardSummary(msgspec.Struct, frozen=True):
    """Result of `fasttier dashboard`."""

    address: str

    def lines(self) -> list[str]:
        return [f"{self.address} is closed"]


def key_of(environ: Mapping[str, str]) -> str | None:
    """The access key; None: only this machine has access."""
    return environ.get(KEY_ENV, "").strip() or None


def run(deps: Deps, *, host: str, port: int, announce: Callable[[str], None]) -> DashboardSummary:
    """Serve until SIGINT or SIGTERM. Raises: ConfigError if it may not or cannot listen."""
    if not is_loopback(host) and deps.key is None:
        raise ConfigError(f"--host {host}: the dashboard requires a key on other interfaces; set {KEY_ENV}")
    listening = _listen(host, port)
    bound = listening.getsockname()[1]
    address = f"http://{f'[{host}]' if ':' in host else host}:{bound}/"
    app = make_app(deps)
    app.state.warm_up()
    announce(f"dashboard of {deps.home.root} on {address}; Ctrl-C stops it")
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
    uvicorn.Server(config).run(sockets=[listening])
    return DashboardSummary(address)


def _listen(host: str, port: int) -> socket.socket:
    try:
        # Listens before the address is announced, so that early connections queue instead of being refused.
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise ConfigError(f"cannot listen on {host}:{port}: {os.strerror(error.errno or 0)}") from None
