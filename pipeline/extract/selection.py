"""Selects the call sites of a task: the named ones, or every Tier 1 call site with enough rows."""

from collections.abc import Callable, Sequence
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
    """The cleaned rows of each named call site, or of every suitable one without `names`.

    A named call site that is not suitable raises an error; the others are returned as skipped, with the reason.

    Raises: NotFound, InputError, NotEnoughData.
    """
    skipped: Skipped = {}
    candidates = list(dict.fromkeys(names))

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
        untagged.name(connection, registry, candidates)
        if not names:
            candidates = _large_enough(connection, config, skipped)
        permissions = consent_and_terms.load(config.rights, connection)
        read = [
            attempt(name, partial(call_site.read, connection, name, registry.get(name), config, policy, permissions))
            for name in candidates
        ]
    requests_of_sites = [requests for requests in read if requests is not None]
    systems = call_site.systems({requests.name: requests.request_type for requests in requests_of_sites})

    def task(requests: call_site.Requests) -> Task:
        cleaned = call_site.clean(requests, systems[requests.name], config)
        if len(requests_of_sites) > 1:
            refuse_too_few(cleaned, config)
        return cleaned

    cleaned = [attempt(requests.name, partial(task, requests)) for requests in requests_of_sites]
    tasks = [result for result in cleaned if result is not None]
    if not tasks:
        raise NotEnoughData(
            f"none of the {len(skipped)} call sites of the log is Tier 1 with {config.min_rows} valid answers; "
            "run `fasttier extract --task CALL_SITE` for the reason of one of them"
        )
    return tasks, dict(sorted(skipped.items()))


def refuse_too_few(task: Task, config: ExtractConfig) -> None:
    """Raises: NotEnoughData if the call site has fewer than `min_rows` rows."""
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
    """Removes call sites without rows in the train split: an adapter must not list a call site it never saw.

    Raises: NotEnoughData if such a call site was `chosen` by name.
    """
    in_train = {row.call_site for row in parts["train"]}
    new = [part.name for part in tasks if part.name not in in_train]
    if chosen and new:
        raise NotEnoughData(
            f"{', '.join(new)}: no request within the train split; extract it separately once the log has more of it"
        )
    remaining = {name: [row for row in part if row.call_site in in_train] for name, part in parts.items()}
    removed = sum(map(len, parts.values())) - sum(map(len, remaining.values()))
    if len(tasks) > 1:
        ledger.add("call_site_too_new", removed, "the call site has no request within the train split")
    for name in new:
        skipped[name] = "no request within the train split"
    return [part for part in tasks if part.name in in_train], remaining
