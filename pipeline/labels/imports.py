"""Imports labels into the signals store: a filled CSV of `label export`, or Label Studio's JSON export.

    fasttier label import todo.csv

A label must pass the checks of its call site. Labels that fail are written with file, line and reason to
data/signals/_rejected/; labels that the store already has change nothing.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from pipeline import dataset as datasets
from pipeline import labels, spreadsheets, store
from pipeline.extract.task import canonical_answer
from pipeline.labels import files, label_studio
from traffic import artifacts
from traffic.answers import resolve
from traffic.artifacts import Home, hash8, write_atomic
from traffic.callsites import Checks
from traffic.checks import failed_checks
from traffic.errors import InputError

_MAX_REJECTED_SHOWN = 5


class LabelRow(NamedTuple):
    """One line of the file."""

    line: int
    """First line of the CSV row; of a JSON file the number of the task, from 1."""
    record_id: str | None
    label: str | None
    problem: str | None = None


class Rejected(msgspec.Struct, frozen=True):
    """One line of `signals/_rejected/labels-<hash8>.jsonl`."""

    source: str
    line: int
    id: str | None
    label: str | None
    reason: str


class ImportSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Result of `label import`; `read` is the sum of the four counts below it."""

    source: str
    read: int
    new: int
    known: int
    """Labels that the store already has."""
    empty: int
    """Rows without a label."""
    rejected: int
    by_call_site: dict[str, int]
    """New labels."""
    first_rejected: tuple[Rejected, ...]
    rejected_path: str | None

    def lines(self) -> list[str]:
        """Summary for the terminal, with the next command."""
        sites = ", ".join(f"{site} {count}" for site, count in self.by_call_site.items())
        others = f"{self.known} already known, {self.empty} without a label, {self.rejected} rejected"
        return [
            f"{self.read} rows of {self.source}: {self.new} new labels{f' ({sites})' if sites else ''}, {others}",
            *(f"  {row.source}:{row.line}: {row.reason}" for row in self.first_rejected),
            *([f"rejected rows: {self.rejected_path}"] if self.rejected_path else []),
            "next: fasttier extract --task CALL_SITE (to train on them), or fasttier evaluate (to score against them)",
        ]


def run(path: Path, *, home: Home, now: dt.datetime | None = None) -> ImportSummary:
    """Import a file. Raises: NotFound; InputError if it is not a labels file or has no usable row."""
    rows = list(read(path))
    sites = _call_sites(home, [row.record_id for row in rows if row.record_id])
    checks = _checks(home, set(sites.values()))
    stored = labels.stored(home)
    new: dict[str, str] = {}
    rejected: list[Rejected] = []
    again = empty = 0
    for row in rows:
        reason = row.problem or _id_problem(row, sites)
        if reason is None and row.label is None:
            empty += 1
            continue
        label = row.label or ""
        if reason is None and row.record_id is not None:
            rules = checks.get(sites[row.record_id], Checks())
            # A label may have any spelling; it is normalised like the answers of the dataset.
            label = resolve(label, rules) if rules.labels else label
            reason = next(iter(failed_checks(label, "stop", rules)), None)
            if reason is None:
                label = canonical_answer(label, rules)
                if new.get(row.record_id, label) != label:
                    reason = "the same id has a different label above"
        if reason is not None or row.record_id is None:
            rejected.append(Rejected(str(path), row.line, row.record_id, row.label, reason or "no id"))
        elif stored.get(row.record_id) == label or row.record_id in new:
            again += 1
        else:
            new[row.record_id] = label
    if rejected and len(rejected) == len(rows) - empty:
        first = rejected[0]
        raise InputError(f"{path}:{first.line}: {first.reason} (none of its {len(rejected)} labels is usable)")
    if new:
        now_utc = now or dt.datetime.now(dt.UTC)
        signals = [{"id": name, "label": label, "source": labels.SOURCE, "ts": now_utc} for name, label in new.items()]
        store.append(home, source=str(path), signals={"labels": signals})
    by_call_site = Counter(sites[name] for name in new)
    return ImportSummary(
        source=str(path),
        read=len(rows),
        new=len(new),
        known=again,
        empty=empty,
        rejected=len(rejected),
        by_call_site=dict(sorted(by_call_site.items())),
        first_rejected=tuple(rejected[:_MAX_REJECTED_SHOWN]),
        rejected_path=_keep(home, rejected),
    )


def read(path: Path) -> Iterator[LabelRow]:
    """Rows of a CSV file with the columns `id` (or `record_id`) and `label`, of Label Studio's JSON, or of JSON lines.

    Raises: NotFound, InputError.
    """
    text = spreadsheets.text_of(path, f"no labels file {path}")
    return _json_rows(path, text) if files.is_json(text) else _csv_rows(path, text)


def _csv_rows(path: Path, text: str) -> Iterator[LabelRow]:
    for line, row in files.csv_rows(path, text, (label_studio.NAME,), strict=True):
        if not {"id", "record_id"} & row.keys():
            raise InputError(f"{path}:1: no column id; it has {', '.join(map(str, row))[:100]!r}")
        yield _row(line, row)._replace(problem="more cells than columns" if row.get(None) else None)


def _json_rows(path: Path, text: str) -> Iterator[LabelRow]:
    for number, task in files.json_rows(path, text):
        try:
            yield _row(number, task)
        except ValueError as problem:
            yield LabelRow(number, label_studio.record_id(task), None, str(problem))
        except (AttributeError, TypeError):
            yield LabelRow(number, label_studio.record_id(task), None, "not in the form of Label Studio's annotations")


def _row(line: int, row: files.Row) -> LabelRow:
    return LabelRow(line, label_studio.record_id(row), label_studio.label(row))


def _id_problem(row: LabelRow, sites: dict[str, str]) -> str | None:
    if row.record_id is None:
        return "no id"
    return None if row.record_id in sites else f"no record {row.record_id!r} in the store"


def _call_sites(home: Home, ids: Sequence[str]) -> dict[str, str]:
    """Call sites by record id; ids that are not in the store are missing."""
    with store.connect(home) as connection:
        query = "SELECT id, coalesce(call_site, '') FROM records WHERE id IN (SELECT unnest($ids))"
        return dict(connection.execute(query, {"ids": list(ids)}).fetchall())


def _checks(home: Home, sites: set[str]) -> dict[str, Checks]:
    """Checks by call site, from the newest dataset that contains it."""
    checks: dict[str, Checks] = {}
    for dataset in artifacts.listed(home, artifacts.DATASET):
        if sites <= checks.keys():
            break
        for site, prompts in datasets.load(dataset.path).call_sites.items():
            checks.setdefault(site, prompts.checks)
    return checks


def _keep(home: Home, rejected: Sequence[Rejected]) -> str | None:
    if not rejected:
        return None
    lines = b"".join(msgspec.json.encode(row) + b"\n" for row in rejected)
    path = home.signals / "_rejected" / f"labels-{hash8(lines)}.jsonl"
    write_atomic(path, lines)
    return str(path)
