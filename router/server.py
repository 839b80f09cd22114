"""Runs the router until it is stopped.

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
"""Time for requests in flight at shutdown."""


class RouteSummary(msgspec.Struct, frozen=True):
    """Result of one run of the router."""

    requests: int
    attempts: int
    escalations: int
    errors: int
    """Number of error responses."""
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
    """Serve until SIGINT or SIGTERM. `announce` is called with each warning and then with the address.

    The sources of `deps` are reloaded when they change, and on SIGHUP.

    Raises: ConfigError (also if the port is in use), MissingSecret.
    """
    home, serving = deps.home, _at(deps.config.serving, host, port)
    app = make_app(msgspec.structs.replace(deps, config=msgspec.structs.replace(deps.config, serving=serving)))
    router: Router = app.state.router
    listening = _listen(serving)
    address, bound = listening.getsockname()[:2]
    for warning in router.warnings:
        announce(f"warning: {warning}")
    server = uvicorn.Server(server_config(app))
    # Code, prices and rules stay for good; scanning them in a full collection would stop all requests for 50 ms.
    gc.collect()
    gc.freeze()
    # Requests leave few cycles; collecting every 700 objects took 5% of the time.
    gc.set_threshold(10_000, 20, 50)
    with listening, _stopping_quietly(), _rereading(router):
        # After the handlers are installed: a caller that waits for this line may send a signal at once.
        announce(f"router on http://{address}:{bound}/v1 (request log in {home.log}); stop it with Ctrl-C")
        server.run(sockets=[listening])
    counts = router.counts
    return RouteSummary(counts["requests"], counts["attempts"], counts["escalations"], counts["errors"], str(home.log))


def server_config(app: Starlette, *, grace_s: int = GRACE_SECONDS) -> uvicorn.Config:
    """uvicorn's configuration."""
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
    """Reload the files on SIGHUP, as service managers expect; stop if the terminal was closed."""

    def reread(number: int, frame: object) -> None:
        del number, frame
        if in_terminal and not _has_terminal():
            signal.raise_signal(signal.SIGTERM)
        elif router.configs is not None:
            router.configs.forget()

    # nohup ignores the signal, so closing the terminal must not stop the router.
    in_terminal = _has_terminal() and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    previous = signal.signal(signal.SIGHUP, reread)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, previous)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _stopping_quietly() -> Iterator[None]:
    """Catch the signal that uvicorn raises again after it has shut down on SIGINT or SIGTERM."""
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _at(serving: Serving, host: str | None, port: int | None) -> Serving:
    """The section with host and port of the command line, validated again."""
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
