"""The deployment table (`data/deployments.yaml`): which adapter answers which call site at Tier 1.

Written by `serving`, watched by `router`. Changes are pure functions from table to table; the history
keeps every change with its reason, and rolling back undoes the last one.
"""

import contextlib
import fcntl
import zlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from traffic import config
from traffic.artifacts import Home, write_atomic
from traffic.errors import NotFound
from traffic.tiers import Endpoint

UNKNOWN = "unknown"
"""Value of a cohort key that a request does not have."""


class Deployment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """One adapter that answers one call site."""

    call_site: str
    cohort: dict[str, str] | None = None
    """Only requests that have these cohort values, such as `{language: de}`. None: all."""
    only: dict[str, tuple[str, ...]] = {}
    """By cohort key the values that the decision promoted: a request needs one of them for each key, `unknown` where
    it does not have the key. Empty: all."""
    adapter: str
    """`<task>@<hash8>` of the adapter, under which the endpoint serves it."""
    endpoint: Endpoint
    share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    """Canary: the share of matching requests that goes here; the rest goes to Tier 2."""
    shadow: bool = False
    """Shadow: asked after the answer was sent; its own answer is only logged."""
    calibration: str | None = None
    """Path of the calibration.yaml with the escalation threshold; relative paths start at the home."""
    since: datetime
    decision: str | None = None
    """File name of the decision whose verdict was "build"."""
    override: str | None = None
    """Reason for a deployment without a "build" decision."""

    @cached_property
    def title(self) -> str:
        """For the request log."""
        cohort = "".join(f" {key}={value}" for key, value in sorted((self.cohort or {}).items()))
        return f"{self.call_site}{cohort} since {self.since:%Y-%m-%dT%H:%M:%SZ}"

    def in_share(self, key: str) -> bool:
        """Whether a request belongs to the canary; `key`: session, user or request id, which fixes the result."""
        if self.share >= 1:
            return True
        return zlib.crc32(f"{self.adapter}\0{key}".encode("utf-8", "surrogatepass")) / 2**32 < self.share

    def calibration_path(self, home: Home) -> Path:
        """Where the calibration's file is. Raises: ValueError if the deployment has none."""
        if self.calibration is None:
            raise ValueError(f"{self.call_site}: no calibration")
        below_home = home.root / self.calibration
        # Earlier versions stored the path relative to the working directory of the router.
        return below_home if below_home.exists() else Path(self.calibration)


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One change in the history."""

    at: datetime
    action: Literal["register", "rollback"]
    call_site: str
    cohort: dict[str, str] | None = None
    now: Deployment | None
    """Deployment after the change; None: nothing at Tier 1."""
    before: Deployment | None


class Deployments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`deployments.yaml`."""

    schema_version: Literal[1] = 1
    entries: tuple[Deployment, ...] = ()
    """At most one active deployment and one shadow per call site and cohort."""
    history: tuple[Change, ...] = ()
    """Oldest first."""

    def lookup(self, call_site: str | None, cohort: Mapping[str, str], *, shadow: bool = False) -> Deployment | None:
        """The deployment (or shadow) for a request: of the matching entries, the one with the most cohort keys."""
        matching = [
            entry
            for entry in self.entries
            if entry.call_site == call_site
            and entry.shadow == shadow
            and (not entry.cohort or entry.cohort.items() <= cohort.items())
            and (not entry.only or all(cohort.get(key, UNKNOWN) in values for key, values in entry.only.items()))
        ]
        if len(matching) == 1:
            return matching[0]
        return max(matching, key=lambda entry: len(entry.cohort or {}), default=None)

    def current(self, call_site: str, cohort: Mapping[str, str] | None, *, shadow: bool = False) -> Deployment | None:
        """The active entry, or the shadow, for exactly this call site and cohort."""
        return next((entry for entry in self.entries if _is_for(entry, call_site, cohort, shadow)), None)


def with_deployment(table: Deployments, deployment: Deployment) -> Deployments:
    """The table with this deployment in place of the one for the same call site and cohort.

    A shadow is kept beside the active deployment, and removed when its adapter becomes active.
    """
    change = Change(
        at=deployment.since,
        action="register",
        call_site=deployment.call_site,
        cohort=deployment.cohort,
        now=deployment,
        before=table.current(deployment.call_site, deployment.cohort, shadow=deployment.shadow),
    )
    return _changed(table, change, deployment)


def rolled_back(
    table: Deployments,
    call_site: str,
    *,
    at: datetime,
    cohort: Mapping[str, str] | None = None,
    shadow: bool = False,
) -> Deployments:
    """The table with the deployment before the current one, or none if it was the first.

    The active deployment is rolled back before a shadow, unless `shadow` is set.

    Raises: NotFound if nothing is deployed for the call site.
    """
    current = table.current(call_site, cohort) if not shadow else None
    current = current or table.current(call_site, cohort, shadow=True)
    if current is None:
        deployed = ", ".join(sorted({entry.call_site for entry in table.entries})) or "none"
        raise NotFound(f"nothing is deployed for {call_site!r}, so there is nothing to roll back; deployed: {deployed}")
    # The registration of the current deployment: two rollbacks go back two deployments.
    registered = next(
        (change for change in reversed(table.history) if change.action == "register" and change.now == current), None
    )
    change = Change(
        at=at,
        action="rollback",
        call_site=call_site,
        cohort=current.cohort,
        now=registered.before if registered else None,
        before=current,
    )
    return _changed(table, change, current)


def _changed(table: Deployments, change: Change, target: Deployment) -> Deployments:
    """`target`: the entry that is added or removed."""
    others = tuple(
        entry
        for entry in table.entries
        if not _is_for(entry, target.call_site, target.cohort, target.shadow)
        and not (
            change.action == "register"
            and entry.adapter == target.adapter
            and _is_for(entry, target.call_site, target.cohort, shadow=True)
        )
    )
    return Deployments(
        entries=(*others, change.now) if change.now else others,
        history=(*table.history, change),
    )


def _is_for(entry: Deployment, call_site: str, cohort: Mapping[str, str] | None, shadow: bool) -> bool:
    return entry.call_site == call_site and entry.shadow == shadow and (entry.cohort or {}) == dict(cohort or {})


def load(path: Path) -> Deployments:
    """Raises: NotFound if there is no such file, ConfigError if it is broken."""
    return config.load(path, Deployments)


def load_or_empty(path: Path) -> Deployments:
    """As `load`; an empty table if there is no file yet."""
    return load(path) if path.exists() else Deployments()


def save(path: Path, table: Deployments) -> None:
    """Replace the file atomically: a reader sees the old table or the new one."""
    write_atomic(path, config.dump(table))


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Lock to hold during load, change and save, so that concurrent commands lose no change."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with (path.parent / f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
