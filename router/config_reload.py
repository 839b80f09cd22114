"""Reloads router.yaml, callsites.yaml and prices.yaml when they change while the router runs.

The files are checked once a second and on SIGHUP. They are applied together or not at all: while one of them is broken,
the last good configuration stays in effect, and `error` has the reason. Requests in progress keep the configuration
that they started with.
"""

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from traffic import callsites, tiers
from traffic.callsites import Registry
from traffic.errors import FastTierError
from traffic.prices import PriceTable
from traffic.tiers import RoutingConfig, Serving

POLL_SECONDS = 1.0

_FIXED = ("host", "port", "client_keys_env")
"""Keys of `serving` that take effect only at a restart."""


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """Paths of the configuration files."""

    routing: Path
    call_sites: Path | None
    """None: no registry is used. A missing file counts as an empty registry."""
    prices: Path
    overrides: tuple[str, ...] = ()
    """`--set` of the command line; also applied on reload."""

    def read(self) -> "Configuration":
        """Raises: NotFound, ConfigError."""
        return Configuration(
            tiers.load(self.routing, self.overrides), _registry(self.call_sites), PriceTable.load(self.prices)
        )


def _registry(path: Path | None) -> Registry:
    return callsites.load_or_empty(path) if path is not None else Registry()


class Configuration(msgspec.Struct, frozen=True):
    """Contents of all files, read together."""

    routing: RoutingConfig
    registry: Registry
    prices: PriceTable


class ConfigWatcher:
    """Detects and reads a new configuration; `error` has the reason if it was not applied.

    The caller applies what `changed` returns and reports the result to `taken`.
    """

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self._last_state = self._state()
        self.error: str | None = None
        self.reloads = 0

    def changed(self) -> Configuration | None:
        """The new configuration if the files have changed since the last check and are valid."""
        state = self._state()
        if state == self._last_state:
            return None
        vanished = state[1] is None and self._last_state[1] is not None
        self._last_state = state
        if vanished:
            self.error = f"{self.sources.call_sites} was removed; its last entries stay in effect"
            return None
        try:
            return self.sources.read()
        except (FastTierError, OSError) as error:
            self.error = str(error)
            return None

    def taken(self, error: FastTierError | None = None) -> None:
        """Report that the configuration from `changed` was applied, or the error that prevented it."""
        self.error = None if error is None else str(error)
        self.reloads += error is None

    def forget(self) -> None:
        """Read the files at the next check even if they appear unchanged."""
        self._last_state = None

    async def pause(self) -> None:
        """Wait until the next check."""
        await asyncio.sleep(POLL_SECONDS)

    def _state(self) -> Any:
        paths = (self.sources.routing, self.sources.call_sites, self.sources.prices)
        return tuple(file_state(path) if path is not None else None for path in paths)


def with_fixed(new: RoutingConfig, running: Serving) -> tuple[RoutingConfig, list[str]]:
    """The configuration with running values for keys that need a restart, and a warning for each of them."""
    fixed = {name: getattr(running, name) for name in _FIXED}
    changed = [name for name in _FIXED if getattr(new.serving, name) != fixed[name]]
    warnings = [f"serving.{name} changed in router.yaml: takes effect at the next start" for name in changed]
    serving = msgspec.structs.replace(new.serving, **fixed)
    return msgspec.structs.replace(new, serving=serving), warnings


def file_state(path: Path) -> tuple[int, int, int] | None:
    """What changes when the file is written; None if it cannot be found."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return (stat.st_mtime_ns, stat.st_size, stat.st_ino)
