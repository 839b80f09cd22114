"""Removes rows that may not be used for training: customers who opted out, and providers whose terms restrict it.

Corrected and human labels are the customer's own; only answers of a model fall under its provider's terms.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from pipeline import rights
from pipeline.consent_words import consent_of
from pipeline.dataset import ConfirmedTerms, Filter, Rights
from pipeline.extract.config import ExtractConfig, RightsConfig
from pipeline.extract.filters import Ledger
from pipeline.extract.rows import Row
from pipeline.spreadsheets import text_of
from traffic.answers import visible
from traffic.errors import ConfigError, InputError, NotEnoughData
from traffic.loose_json import json_or
from traffic.number_format import count, some

OPTED_OUT = "opted_out"
TERMS = "terms_"
"""Prefix of the filters named after a provider's row in the table of terms."""

UNKNOWN_CONSENT = "unknown_consent"
_SPREADSHEET_NUMBER = re.compile(r"^(\d+)\.0$")
"""Spreadsheets and data frames write a column of numbers with gaps as 1001.0."""
_REMARK = re.compile(r"^[-*•]\s+|\s+#.*$")
"""The mark of a list in front of an id, and a comment behind it."""
_ID_HEADING = re.compile(
    r"(?:customer|user|account|client|tenant|org(?:ani[sz]ation)?|company)(?:[ _-]?(?:id|key))?|id"
)
_IDS = "SELECT customer_id FROM records WHERE customer_id <> '' UNION SELECT user_id FROM records WHERE user_id <> ''"


class Permissions(NamedTuple):
    """Table of terms, the terms that the user confirmed, and the ids that opted out."""

    table: rights.RightsTable
    config: RightsConfig
    opted_out: frozenset[str]
    """Customer and user ids."""


def load(config: RightsConfig) -> Permissions:
    """Raises: NotFound, ConfigError, InputError for the table, the opt-out list, or a confirmed name without a row."""
    table = rights.load(Path(config.table) if config.table else rights.TABLE)
    provider_names = [row.name for row in table.providers]
    strange = [name for name in config.confirmed if name not in provider_names]
    if strange:
        raise ConfigError(
            f"rights.confirmed: no row {', '.join(strange)} in {config.table or 'configs/rights.yaml'}; "
            f"there are: {', '.join(provider_names)}"
        )
    return Permissions(table, config, frozenset(_listed(Path(config.opted_out))) if config.opted_out else frozenset())


def _listed(path: Path) -> Iterable[str]:
    """Ids of an opt-out list: one per line, all in one line, JSON or JSON lines, or a column of a table separated by
    commas, semicolons, tabs or bars.

    The column is the first whose heading names customer or user ids, else the first. The heading is yielded as well,
    since no customer has that id.
    """
    text = text_of(path, f"rights.opted_out: no file {path}; one customer or user id a line")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if (listed := _listed_in_json(text, lines)) is not None:
        yield from filter(None, map(_key, listed))
        return
    separator = max(";\t|,", key=lambda mark: sum(mark in line for line in lines))
    rows = [row for row in csv.reader(lines, delimiter=separator, skipinitialspace=True) if row]
    if len(rows) == 1:
        rows = [[cell] for cell in rows[0]]
    headings = [cell.strip().casefold() for cell in rows[0]] if rows else []
    column = next((n for n, cell in enumerate(headings) if _ID_HEADING.fullmatch(cell)), 0)
    for row in rows:
        if len(row) > column:
            # With and without a remark: an id may look as if it had one.
            cell = visible(row[column]).strip()
            yield from filter(None, (_key(cell), _key(_REMARK.sub("", cell))))


def _listed_in_json(text: str, lines: Sequence[str]) -> list[str] | None:
    """Ids of a list with objects, as a document or as lines; None for any other list."""
    document = json_or(text)
    trees = [json_or(line) for line in lines] if document is None else [document]
    if None in trees or not any(_has_objects(tree) for tree in trees):
        return None
    return [name for tree in trees for name in _ids_in(tree)]


def _has_objects(tree: Any) -> bool:
    return isinstance(tree, dict) or (isinstance(tree, list) and any(isinstance(item, dict) for item in tree))


def _ids_in(tree: Any) -> Iterator[str]:
    """Ids in JSON: items of lists; of an object the field named as one, else what is inside it, else its keys."""
    if isinstance(tree, str | int):
        yield str(tree)
    elif isinstance(tree, list):
        yield from chain.from_iterable(map(_ids_in, tree))
    elif isinstance(tree, dict):
        named = [tree[key] for key in tree if _ID_HEADING.fullmatch(_plain_heading(key))]
        inside = named or [value for value in tree.values() if isinstance(value, dict | list)]
        yield from chain.from_iterable(map(_ids_in, inside or tree))


def _plain_heading(key: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key).casefold()


def _key(name: str | None) -> str:
    """Id for comparison: an opt-out of `Cust-2` also covers `cust-2 `, and `="0012"` of a spreadsheet `0012`."""
    return _SPREADSHEET_NUMBER.sub(r"\1", visible(name or "").strip().strip("=\"'[]{} \t").casefold())


def refuse_unknown_list(connection: duckdb.DuckDBPyConnection, config: RightsConfig) -> None:
    """Raises: InputError if no id of the opt-out list is in the store, since the list then uses other ids."""
    if config.opted_out is None:
        return
    listed = set(_listed(Path(config.opted_out)))
    if not listed:
        return
    logged_ids = {_key(name) for (name,) in connection.execute(_IDS).fetchall()}
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
    reason = f"the customer or user opted out of training (rights.opted_out, or {flag}: false in the record's cohort)"
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
    if consent_of(_consent(row, permissions)) == "no":
        return True
    return any(_key(name) in permissions.opted_out for name in (row.customer_id, row.user_id) if name)


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
