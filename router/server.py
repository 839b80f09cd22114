"""Run the router until it is stopped.

    fasttier route [--host HOST] [--port PORT]

Reads configs/router.yaml, configs/callsites.yaml, configs/prices.yaml and the deployments of its home; writes the
request log there. Point the OpenAI client of an application at it: `base_url=http://127.0.0.1:8080/v1`.
"""

import contextlib
import gc
import os
import signal
import socket
from collections.abc import Callable, Iterator

import msgspec
import uvicorn
from starlette.applications import Starlette

from router.app import make_app
from router.http_server import HotProtocol
from router.process import Deps, Router
from traffic.errors import ConfigError
from traffic.tiers import Serving

GRACE_SECONDS = 10
"""Requests in flight at shutdown get this long."""


class RouteSummary(msgspec.Struct, frozen=True):
    """What the router did while it ran."""

    requests: int
    attempts: int
    escalations: int
    errors: int
    """Requests that got an error from the router."""
    log: str
    """Folder of the request log."""

    def lines(self) -> list[str]:
        return [
            (
                f"answered {self.requests:,} requests with {self.attempts:,} attempts: {self.escalations:,} "
                f"escalated, {self.errors:,} got an error"
            ),
            f"request log: {self.log}",
            f"next: fasttier ingest {self.log}",
        ]


def run(
    deps: Deps,
    *,
    host: str | None = None,
    port: int | None = None,
    announce: Callable[[str], None] = lambda line: None,
) -> RouteSummary:
    """Serve until SIGINT or SIGTERM. `announce` is told, a line at a time, the warnings and then the address.

    The sources of `deps` are read again when they change, and at SIGHUP.

    Raises: ConfigError (also where the port is taken), MissingSecret.
    """
    home, serving = deps.home, _at(deps.config.serving, host, port)
    app = make_app(msgspec.structs.replace(deps, config=msgspec.structs.replace(deps.config, serving=serving)))
    router: Router = app.state.router
    listening = _listen(serving)
    address, bound = listening.getsockname()[:2]
    for warning in router.warnings:
        announce(f"warning: {warning}")
    server = uvicorn.Server(server_config(app))
    # What is there by now (code, prices, rules) stays: a full collection that walked it stopped all requests for 50 ms.
    gc.collect()
    gc.freeze()
    # Requests leave few cycles: looking for them every 700 objects took a twentieth of the time.
    gc.set_threshold(10_000, 20, 50)
    with listening, _stopping_quietly(), _rereading(router):
        # After the handlers: whoever waits for this line may send a signal at once.
        announce(f"router on http://{address}:{bound}/v1 (request log in {home.log}); stop it with Ctrl-C")
        server.run(sockets=[listening])
    counts = router.counts
    return RouteSummary(counts["requests"], counts["attempts"], counts["escalations"], counts["errors"], str(home.log))


def server_config(app: Starlette, *, grace_s: int = GRACE_SECONDS) -> uvicorn.Config:
    """How uvicorn serves the application."""
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=HotProtocol,
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=grace_s,
    )


@contextlib.contextmanager
def _rereading(router: Router) -> Iterator[None]:
    """SIGHUP reads the files again, as service managers expect; where its terminal was closed, the router stops."""

    def reread(number: int, frame: object) -> None:
        del number, frame
        if in_terminal and not _has_terminal():
            signal.raise_signal(signal.SIGTERM)
        elif router.configs is not None:
            router.configs.forget()

    # Under nohup the signal is ignored: closing the terminal is no reason to stop.
    in_terminal = _has_terminal() and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    before = signal.signal(signal.SIGHUP, reread)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _stopping_quietly() -> Iterator[None]:
    """uvicorn shuts down on SIGINT and SIGTERM and then raises the signal again: here that only ends the block."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _at(serving: Serving, host: str | None, port: int | None) -> Serving:
    """The section with the command line's host and port, checked again."""
    tree = msgspec.to_builtins(serving)
    tree |= {key: value for key, value in (("host", host), ("port", port)) if value is not None}
    try:
        return msgspec.convert(tree, Serving)
    except msgspec.ValidationError as error:
        raise ConfigError(f"serving: {error}") from None


def _listen(serving: Serving) -> socket.socket:
    family = socket.AF_INET6 if ":" in serving.host else socket.AF_INET
    try:
        return socket.create_server((serving.host, serving.port), family=family, backlog=2048)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {serving.host} port {serving.port}: {error.strerror}; choose another with --port"
        ) from None
