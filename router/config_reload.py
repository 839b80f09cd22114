"""Configuration that changes while the router runs: router.yaml, callsites.yaml and prices.yaml, read when they change.

The files are looked at once a second, and at SIGHUP. They are taken together or not at all: while one of them is broken
the last good configuration stays in force, and `error` says why. Requests under way end with what they began with.
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
"""Keys of `serving` that are only read at the start."""


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """Where the configuration was read from."""

    routing: Path
    call_sites: Path | None
    """None: no registry counts. A file that is not there yet has no entries."""
    prices: Path
    overrides: tuple[str, ...] = ()
    """`--set` of the command line: they hold for what is read later as well."""

    def read(self) -> "Configuration":
        """Raises: NotFound, ConfigError."""
        return Configuration(
            tiers.load(self.routing, self.overrides), _registry(self.call_sites), PriceTable.load(self.prices)
        )


def _registry(path: Path | None) -> Registry:
    return callsites.load_or_empty(path) if path is not None else Registry()


class Configuration(msgspec.Struct, frozen=True):
    """What was read together."""

    routing: RoutingConfig
    registry: Registry
    prices: PriceTable


class ConfigWatcher:
    """Tells when there is a new configuration; `error` says why a newer one was not taken.

    `take` is called with it on the thread of the event loop, and may refuse it by raising a FastTierError.
    """

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self._seen = self._state()
        self.error: str | None = None
        self.reloads = 0

    def changed(self) -> Configuration | None:
        """The new configuration where the files changed since the last look and are whole."""
        state = self._state()
        if state == self._seen:
            return None
        vanished = state[1] is None and self._seen[1] is not None
        self._seen = state
        if vanished:
            self.error = f"{self.sources.call_sites} is gone; its last entries stay in force"
            return None
        try:
            return self.sources.read()
        except (FastTierError, OSError) as error:
            self.error = str(error)
            return None

    def taken(self, error: FastTierError | None = None) -> None:
        """Whether the router could use what `changed` returned."""
        self.error = None if error is None else str(error)
        self.reloads += error is None

    def forget(self) -> None:
        """Read the files at the next look even if they look the same."""
        self._seen = None

    async def pause(self) -> None:
        """Until the next look."""
        await asyncio.sleep(POLL_SECONDS)

    def _state(self) -> Any:
        paths = (self.sources.routing, self.sources.call_sites, self.sources.prices)
        return tuple(_stat(path) if path is not None else None for path in paths)


def with_fixed(new: RoutingConfig, running: Serving) -> tuple[RoutingConfig, list[str]]:
    """The configuration with what cannot change in a running process as it is, and a warning for each such change."""
    kept = {name: getattr(running, name) for name in _FIXED}
    changed = [name for name in _FIXED if getattr(new.serving, name) != kept[name]]
    warnings = [f"serving.{name} changed in router.yaml: it holds from the next start" for name in changed]
    serving = msgspec.structs.replace(new.serving, **kept)
    return msgspec.structs.replace(new, serving=serving), warnings


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)
