"""Whose requests and answers may be trained on: customers who opted out, and providers whose terms restrict it.

Corrected and human labels are the customer's own; only answers of a model fall under its provider's terms.
"""

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline import rights
from pipeline.dataset import ConfirmedTerms, Filter, Rights
from pipeline.extract.config import ExtractConfig, RightsConfig
from pipeline.extract.filters import Ledger
from pipeline.extract.rows import Row
from traffic.errors import ConfigError, InputError, NotEnoughData, NotFound

OPTED_OUT = "opted_out"
TERMS = "terms_"
"""Filters of providers' terms are named after the row of the table, with this before it."""

_NO = ("false", "no", "0", "off", "opt_out", "opted_out", "opt-out", "denied")


class Permissions(NamedTuple):
    """The table of terms, what the user confirmed, and who opted out."""

    table: rights.RightsTable
    config: RightsConfig
    opted_out: frozenset[str]
    """Customer and user ids."""


def load(config: RightsConfig) -> Permissions:
    """Raises: NotFound or ConfigError for the table, the list of opt-outs, or a confirmed name that is in no table."""
    table = rights.load(Path(config.table) if config.table else rights.TABLE)
    known = [row.name for row in table.providers]
    strange = [name for name in config.confirmed if name not in known]
    if strange:
        raise ConfigError(
            f"rights.confirmed: no row {', '.join(strange)} in {config.table or 'configs/rights.yaml'}; "
            f"there are: {', '.join(known)}"
        )
    return Permissions(table, config, frozenset(_listed(Path(config.opted_out))) if config.opted_out else frozenset())


def _listed(path: Path) -> Iterable[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise NotFound(f"rights.opted_out: no file {path}; one customer or user id a line") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"rights.opted_out: {path} cannot be read: {error}") from None
    for row in csv.reader(text.splitlines()):
        # Of a CSV export the first column counts.
        if row and row[0].strip() and not row[0].startswith("#"):
            yield row[0].strip()


def permitted(rows: Sequence[Row], name: str, permissions: Permissions, ledger: Ledger) -> list[Row]:
    """The rows that may be trained on; the others are counted by reason.

    Raises: InputError if none may, with the option that would let them in.
    """
    flag = permissions.config.cohort_flag
    reason = f"the customer or user opted out of training (rights.opted_out, or {flag}: false in the record's cohort)"
    kept = ledger.split(rows, lambda row: not _opted_out(row, permissions), OPTED_OUT, reason)
    restricted: Counter[str] = Counter()
    allowed = []
    for row in kept:
        terms = _restricting(row, permissions)
        if terms is None:
            allowed.append(row)
        else:
            restricted[terms.name] += 1
    for terms in permissions.table.providers:
        if restricted[terms.name]:
            ledger.add(TERMS + terms.name, restricted[terms.name], _reason(terms))
    if rows and not allowed:
        if not restricted:
            raise InputError(f"{name}: the customers and users of all its {len(rows)} answered requests opted out")
        raise InputError(_too_few(name, 0, restricted, permissions))
    return allowed


def report(rows: Iterable[Row], filters: Sequence[Filter], permissions: Permissions) -> Rights:
    """What the dataset's card says: who was left out, whose answers are in the set, and on what ground."""
    removed = {each.name: each.removed for each in filters}
    answers: Counter[str] = Counter()
    not_listed: Counter[str] = Counter()
    for row in rows:
        if row.label_source in ("human", "corrected"):
            continue
        terms = permissions.table.terms(row.provider, row.model)
        if terms is None:
            not_listed[f"{row.provider or 'unknown provider'}: {row.model or 'unknown model'}"] += 1
        else:
            answers[terms.name] += 1
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
    if row.cohort.get(permissions.config.cohort_flag, "").strip().lower() in _NO:
        return True
    return row.customer_id in permissions.opted_out or row.user_id in permissions.opted_out


def _restricting(row: Row, permissions: Permissions) -> rights.ProviderTerms | None:
    if row.label_source in ("human", "corrected"):
        return None
    terms = permissions.table.terms(row.provider, row.model)
    if terms is None or terms.outputs == "allowed" or terms.name in permissions.config.confirmed:
        return None
    return terms


def _reason(terms: rights.ProviderTerms) -> str:
    return (
        f"answers under terms that restrict training on them: {terms.clause} ({terms.source}, read {terms.read}); "
        f"if your contract allows this use: --set 'rights.confirmed=[{terms.name}]'"
    )


def refuse_too_few(rows: Sequence[Row], name: str, config: ExtractConfig, ledger: Ledger) -> None:
    """Raises: NotEnoughData where terms of providers took so much that fewer than `min_rows` are left."""
    removed = ledger.counts()
    restricted = Counter({row.removeprefix(TERMS): n for row, n in removed.items() if row.startswith(TERMS)})
    if restricted and len(rows) < config.min_rows:
        raise NotEnoughData(_too_few(name, len(rows), restricted, load(config.rights)))


def _too_few(name: str, left: int, restricted: Counter[str], permissions: Permissions) -> str:
    named = [row for row in permissions.table.providers if restricted[row.name]]
    confirmed = ",".join([*permissions.config.confirmed, *(row.name for row in named)])
    terms = "; ".join(f"{row.name} {restricted[row.name]} rows, see {row.source}" for row in named)
    return (
        f"{name}: {left} rows are left to train on, since the providers' terms restrict training on answers ({terms}); "
        f"read them, and if your contract allows this use: --set 'rights.confirmed=[{confirmed}]'"
    )
