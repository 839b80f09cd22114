"""Removes rows that may not be used for training: customers who opted out, and providers whose terms restrict it.

Corrected and human labels are the customer's own; only answers of a model fall under its provider's terms.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import duckdb

from pipeline import rights
from pipeline.consent_words import consent_of
from pipeline.dataset import ConfirmedTerms, Filter, Rights
from pipeline.extract import opt_out_list
from pipeline.extract.config import ExtractConfig, RightsConfig
from pipeline.extract.filters import Ledger
from pipeline.extract.rows import Row
from traffic.errors import ConfigError, InputError, NotEnoughData
from traffic.number_format import count, some

OPTED_OUT = "opted_out"
TERMS = "terms_"
"""Prefix of the filters named after a provider's row in the table of terms."""

UNKNOWN_CONSENT = "unknown_consent"
_IDS = "SELECT customer_id FROM records WHERE customer_id <> '' UNION SELECT user_id FROM records WHERE user_id <> ''"


_LATEST = """
    SELECT coalesce(customer_id, '') AS customer, coalesce(user_id, '') AS who,
        arg_max(coalesce(cohort[$flag], ''), (ts, id)) AS word
    FROM records WHERE customer <> '' OR who <> '' GROUP BY ALL HAVING word <> ''
"""


class Permissions(NamedTuple):
    """Table of terms, the terms that the user confirmed, and the ids that opted out."""

    table: rights.RightsTable
    config: RightsConfig
    opted_out: frozenset[str]
    """Customer and user ids of the opt-out list."""
    withdrawn: frozenset[tuple[str | None, str]] = frozenset()
    """Customer and user (each "" where none is logged) whose latest record refuses, which counts for the earlier ones
    too; for rows without a customer also None and the user."""


def load(config: RightsConfig, connection: duckdb.DuckDBPyConnection | None = None) -> Permissions:
    """`connection`: a records store in which refusals are looked up.

    Raises: NotFound, ConfigError, InputError for the table, the opt-out list, or a confirmed name without a row."""
    table = rights.load(Path(config.table) if config.table else rights.TABLE)
    provider_names = [row.name for row in table.providers]
    strange = [name for name in config.confirmed if name not in provider_names]
    if strange:
        raise ConfigError(
            f"rights.confirmed: no row {', '.join(strange)} in {config.table or 'configs/rights.yaml'}; "
            f"there are: {', '.join(provider_names)}"
        )
    listed = opt_out_list.read(Path(config.opted_out)) if config.opted_out else frozenset[str]()
    latest = connection.execute(_LATEST, {"flag": config.cohort_flag}).fetchall() if connection is not None else []
    refusing = [(customer, user) for customer, user, word in latest if consent_of(word) == "no"]
    # Users of several customers may have the same id.
    withdrawn = frozenset([*refusing, *((None, user) for _, user in refusing if user)])
    return Permissions(table, config, listed, withdrawn)


def refuse_unknown_list(connection: duckdb.DuckDBPyConnection, config: RightsConfig) -> None:
    """Raises: InputError if no id of the opt-out list is in the store, since the list then uses other ids."""
    if config.opted_out is None:
        return
    listed = opt_out_list.read(Path(config.opted_out))
    if not listed:
        return
    logged_ids = {opt_out_list.key_of(name) for (name,) in connection.execute(_IDS).fetchall()}
    if not logged_ids:
        raise InputError(
            f"rights.opted_out: {config.opted_out} lists {count(len(listed), 'id')}, but no record names a customer or "
            "user: say where the log keeps them (configs/log_tags/, customer_id and user_id) and ingest again"
        )
    if not listed & logged_ids:
        raise InputError(
            f"rights.opted_out: none of the {count(len(listed), 'id')} in {config.opted_out} is a customer or user of "
            f"the log: it has {some(sorted(logged_ids))}, not {some(sorted(listed))}; give the ids as the log has them"
        )


def permitted(rows: Sequence[Row], name: str, permissions: Permissions, ledger: Ledger) -> list[Row]:
    """The rows that may be used for training; removed rows are counted by reason.

    Raises: InputError if none may be used; the message names the setting that would allow them.
    """
    flag = permissions.config.cohort_flag
    reason = (
        f"the customer or user opted out of training (rights.opted_out, or {flag}: false in the cohort of the record "
        "or of the user's latest)"
    )
    kept = ledger.split(rows, lambda row: not _opted_out(row, permissions), OPTED_OUT, reason)
    unclear = Counter(value for row in kept if (value := _consent(row, permissions)) and consent_of(value) == "unknown")
    if unclear:
        words = ", ".join(f"{value!r} {n}" for value, n in unclear.most_common(3))
        ledger.add(UNKNOWN_CONSENT, unclear.total(), f"{flag} in the cohort says neither yes nor no: {words}")
        kept = [row for row in kept if not (value := _consent(row, permissions)) or consent_of(value) == "yes"]
    removed: Counter[str] = Counter()
    restricted: Counter[str] = Counter()
    allowed = []
    for row in kept:
        binding = _restricting(row, permissions)
        restricted.update(terms.name for terms in binding)
        if binding:
            removed[binding[0].name] += 1
        else:
            allowed.append(row)
    for terms in permissions.table.providers:
        if removed[terms.name]:
            ledger.add(TERMS + terms.name, removed[terms.name], _reason(terms))
    if rows and not allowed:
        if not restricted:
            raise InputError(
                f"{name}: no customer or user of its {len(rows)} answered requests allows training; "
                f"removed: {ledger.in_words()}"
            )
        raise InputError(_too_few(name, 0, restricted, permissions))
    return allowed


def report(rows: Iterable[Row], filters: Sequence[Filter], permissions: Permissions) -> Rights:
    """Permissions for the dataset card: removed rows, and the terms of the providers whose answers are in the set."""
    removed = {entry.name: entry.removed for entry in filters}
    answers: Counter[str] = Counter()
    not_listed: Counter[str] = Counter()
    for row in rows:
        if row.label_source in ("human", "corrected"):
            continue
        binding = permissions.table.terms(row.provider, row.model)
        if not binding:
            not_listed[f"{row.provider or 'unknown provider'}: {row.model or 'unknown model'}"] += 1
        answers.update(terms.name for terms in binding)
    config = permissions.config
    return Rights(
        opted_out=removed.get(OPTED_OUT, 0),
        restricted={name.removeprefix(TERMS): n for name, n in removed.items() if name.startswith(TERMS)},
        answers=dict(sorted(answers.items())),
        not_listed=dict(sorted(not_listed.items())),
        confirmed=tuple(
            ConfirmedTerms(
                name=row.name,
                outputs=row.outputs,
                clause=row.clause,
                source=row.source,
                terms_read=row.read.isoformat(),
                terms_verified=row.verified,
                confirmed_on=config.confirmed_on.isoformat() if config.confirmed_on else None,
            )
            for row in permissions.table.providers
            if row.name in config.confirmed
        ),
    )


def _opted_out(row: Row, permissions: Permissions) -> bool:
    user = row.user_id or ""
    if consent_of(_consent(row, permissions)) == "no":
        return True
    if not permissions.withdrawn.isdisjoint([(row.customer_id or None, user), ("", user)]):
        return True
    return any(opt_out_list.key_of(name) in permissions.opted_out for name in (row.customer_id, row.user_id) if name)


def _consent(row: Row, permissions: Permissions) -> str:
    """The record's consent flag in lower case; empty if there is none."""
    return row.cohort.get(permissions.config.cohort_flag, "").strip().casefold()


def _restricting(row: Row, permissions: Permissions) -> list[rights.ProviderTerms]:
    """Terms that exclude a row, the host's before those of the model's maker; none for a label by a person."""
    if row.label_source in ("human", "corrected"):
        return []
    confirmed = permissions.config.confirmed
    binding = permissions.table.terms(row.provider, row.model)
    return [terms for terms in binding if terms.outputs != "allowed" and terms.name not in confirmed]


def _reason(terms: rights.ProviderTerms) -> str:
    return (
        f"answers under terms that restrict training on them: {terms.clause} ({terms.source}, read {terms.read}); "
        f"if your contract allows this use: --set 'rights.confirmed=[{terms.name}]'"
    )


def refuse_too_few(rows: Sequence[Row], name: str, config: ExtractConfig, ledger: Ledger) -> None:
    """Raises: NotEnoughData if fewer than `min_rows` rows are left and provider terms removed some."""
    removed = ledger.counts()
    restricted = Counter({row.removeprefix(TERMS): n for row, n in removed.items() if row.startswith(TERMS)})
    if restricted and len(rows) < config.min_rows:
        raise NotEnoughData(_too_few(name, len(rows), restricted, load(config.rights)))


def _too_few(name: str, remaining: int, restricted: Counter[str], permissions: Permissions) -> str:
    named = [row for row in permissions.table.providers if restricted[row.name]]
    confirmed = ",".join([*permissions.config.confirmed, *(row.name for row in named)])
    terms = "; ".join(f"{row.name} {restricted[row.name]} rows, see {row.source}" for row in named)
    return (
        f"{name}: {remaining} rows are left to train on: the providers' terms restrict training on answers ({terms}); "
        f"read them, and if your contract allows this use: --set 'rights.confirmed=[{confirmed}]'"
    )
