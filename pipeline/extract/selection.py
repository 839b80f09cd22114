"""Which call sites make up a task: those that were named, or every one of Tier 1 that has enough to learn from."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

import duckdb

from pipeline import store
from pipeline.extract import call_site, consent_and_terms, rows
from pipeline.extract.call_site import Task
from pipeline.extract.config import ExtractConfig
from pipeline.extract.filters import Ledger
from pipeline.extract.rows import Row
from pipeline.store import untagged
from traffic.artifacts import Home
from traffic.callsites import Registry
from traffic.errors import InputError, NotEnoughData
from traffic.policy import Policy

T = TypeVar("T")

Skipped = dict[str, str]
"""Reason by call site."""


def collect(
    home: Home, names: Sequence[str], config: ExtractConfig, registry: Registry, policy: Policy
) -> tuple[list[Task], Skipped]:
    """The rows of each call site, ready to be put together; without `names`, of every one that fits.

    A named call site that does not fit is an error; of the others it is said why they were left out.

    Raises: NotFound, InputError, NotEnoughData.
    """
    skipped: Skipped = {}
    wanted = list(dict.fromkeys(names))

    def attempt(name: str, step: Callable[[], T]) -> T | None:
        if names:
            return step()
        try:
            return step()
        except InputError as error:
            skipped[name] = str(error).removeprefix(f"{name}: ").removeprefix(f"{name} ")
            return None

    with store.connect(home) as connection:
        consent_and_terms.refuse_unknown_list(connection, config.rights)
        untagged.name(connection, registry, wanted)
        if not names:
            wanted = _large_enough(connection, config, skipped)
        read = [
            attempt(name, partial(call_site.read, connection, name, registry.get(name), config, policy))
            for name in wanted
        ]
    found = [each for each in read if each is not None]
    systems = call_site.systems({each.name: each.request_type for each in found})

    def task(requests: call_site.Requests) -> Task:
        cleaned = call_site.clean(requests, systems[requests.name], config)
        if len(found) > 1:
            refuse_too_few(cleaned, config)
        return cleaned

    cleaned = [attempt(each.name, partial(task, each)) for each in found]
    tasks = [each for each in cleaned if each is not None]
    if not tasks:
        raise NotEnoughData(
            f"none of the {len(skipped)} call sites of the log is Tier 1 with {config.min_rows} good answers; "
            "`fasttier extract --task CALL_SITE` says what one of them lacks"
        )
    return tasks, dict(sorted(skipped.items()))


def refuse_too_few(task: Task, config: ExtractConfig) -> None:
    """Raises: NotEnoughData if the call site has less than `min_rows`, which hold for each of several."""
    if len(task.rows) < config.min_rows:
        raise NotEnoughData(task.ledger.too_few(task.name, len(task.rows), config.min_rows))


def _large_enough(connection: duckdb.DuckDBPyConnection, config: ExtractConfig, skipped: Skipped) -> list[str]:
    counts = rows.call_sites(connection)
    for name, count in counts.items():
        if count < config.min_rows:
            skipped[name] = f"{count} attempts, fewer than min_rows {config.min_rows}"
    return [name for name in counts if name not in skipped]


def trained(
    tasks: Sequence[Task], parts: dict[str, list[Row]], skipped: Skipped, ledger: Ledger, *, chosen: bool
) -> tuple[list[Task], dict[str, list[Row]]]:
    """Without the call sites that have no row in the train split: an adapter would claim to have learnt them.

    Raises: NotEnoughData if such a call site was `chosen` by name.
    """
    seen = {row.call_site for row in parts["train"]}
    new = [each.name for each in tasks if each.name not in seen]
    if chosen and new:
        raise NotEnoughData(
            f"{', '.join(new)}: no request in the time of the train split; extract it on its own, later"
        )
    left: Mapping[str, list[Row]] = {
        name: [row for row in part if row.call_site in seen] for name, part in parts.items()
    }
    gone = sum(map(len, parts.values())) - sum(map(len, left.values()))
    if len(tasks) > 1:
        ledger.add("call_site_too_new", gone, "no request of the call site is in the time of the train split")
    for name in new:
        skipped[name] = "no request in the time of the train split"
    return [each for each in tasks if each.name in seen], dict(left)
