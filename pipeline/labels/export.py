"""Writes the items to label as CSV or Label Studio tasks.

fasttier label export --task support.intent --disagreements --sample 200 --out todo.csv
"""

import csv
from collections import Counter
from pathlib import Path

import msgspec

from pipeline import dataset as datasets
from pipeline import labels as labels_
from pipeline import spreadsheets
from pipeline.extract.label_quality import FILE as SUSPECTS
from pipeline.labels import items as items_
from pipeline.labels import label_studio
from pipeline.labels.items import Item
from traffic.artifacts import Home, write_atomic
from traffic.errors import ConfigError, NotEnoughData, NotFound

COLUMNS = ("id", "call_site", "text", "suggested")


class ExportSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Result of `label export`."""

    dataset: str
    split: str
    path: str
    interface: str | None
    """File with Label Studio's labelling interface; None for CSV."""
    rows: int
    """Rows in the split."""
    labelled: int
    """Rows with a human label already; they are not exported."""
    agreed: int
    """Rows on which all candidates agree; they do not affect a paired comparison."""
    candidates: tuple[str, ...]
    items: int

    def lines(self) -> list[str]:
        """Summary for the terminal, with the next command."""
        saved = f"; {self.agreed} of {self.rows} are not needed: all candidates agree on them" if self.agreed else ""
        return [
            f"{self.items} items of {self.dataset} ({self.split}) to label{saved}",
            *([f"left out: {self.labelled} already labelled"] if self.labelled else []),
            *([f"answers of: {', '.join(self.candidates)}"] if self.candidates else []),
            f"wrote {self.path}" + (f" and {self.interface}, the labelling interface" if self.interface else ""),
            f"next: fill the column `label` (an empty one is no label), then fasttier label import {self.path}"
            if self.interface is None
            else "next: import it into Label Studio, label, export as JSON, then fasttier label import FILE",
        ]


def run(
    task: str | None,
    out: Path,
    *,
    home: Home,
    split: str = "test",
    disagreements: bool = False,
    suspects: bool = False,
    sample: int | None = None,
    only: Path | None = None,
) -> ExportSummary:
    """Write a CSV file, or Label Studio tasks if the name ends in .json.

    `disagreements`: only items on which two candidates of the newest evaluations differ. `suspects`: only
    those of suspects.csv. `only`: only the ids of this CSV file with a column `id`, such as a decision's `.ask.csv`.
    Raises: NotFound, ConfigError, InputError, NotEnoughData if nothing is left.
    """
    if split not in datasets.SPLITS:
        raise ConfigError(f"--split {split}: there are {', '.join(datasets.SPLITS)}")
    if out.suffix not in (".csv", ".json"):
        raise ConfigError(f"--out {out}: a name in .csv, or in .json for Label Studio")
    folder = home.dataset(task)
    card = datasets.load(folder)
    answers = items_.candidates_answers(home, card.name, split)
    if disagreements and len(answers) < 2:
        raise NotEnoughData(
            f"{card.name}: {len(answers)} candidates are evaluated on its {split} split, and a disagreement needs two; "
            f"run `fasttier evaluate --dataset {card.name} --split {split}`"
        )
    rows = items_.load(folder, split, answers)
    stored = labels_.stored(home)
    items = [item for item in rows if item.record_id not in stored]
    labelled = len(rows) - len(items)
    if suspects:
        doubted = _suspects(folder)
        items = [item for item in items if item.record_id in doubted]
        if not items and (elsewhere := Counter(of for of in doubted.values() if of != split)):
            other = elsewhere.most_common(1)[0][0]
            raise NotEnoughData(
                f"{card.name}: none of its {len(doubted)} suspects is in the {split} split and without a label; "
                f"most are in {other}: --split {other}"
            )
    if only is not None:
        ids = _ids(only)
        items = [item for item in items if item.record_id in ids]
    item_count = len(items)
    if disagreements:
        items = [item for item in items if items_.disagree(item, len(answers))]
    agreed = item_count - len(items)
    items = items_.sample(items, sample)
    if not items:
        raise NotEnoughData(f"{card.name}: no item of its {split} split is left to label ({labelled} already labelled)")
    interface = None
    if out.suffix == ".json":
        checks = {name: site.checks for name, site in card.call_sites.items()}
        write_atomic(out, label_studio.tasks(items, checks))
        interface = out.with_suffix(".xml")
        closed = dict.fromkeys(label for each in checks.values() for label in each.labels)
        several = any(each.multiple is not None for each in checks.values())
        write_atomic(interface, label_studio.interface(list(closed), several=several))
    else:
        write_atomic(out, csv_text(items, tuple(answers)))
    return ExportSummary(
        dataset=card.name,
        split=split,
        path=str(out),
        interface=None if interface is None else str(interface),
        rows=len(rows),
        labelled=labelled,
        agreed=agreed,
        candidates=tuple(answers),
        items=len(items),
    )


def csv_text(items: list[Item], candidates: tuple[str, ...]) -> str:
    """The items as CSV, with a column per candidate and an empty one for the label."""
    header = (*COLUMNS, *(f"answer: {name}" for name in candidates), "label")
    rows = (
        (*item[:4], *(item.answers.get(name, "") for name in candidates), "")
        for item in items
    )  # fmt: skip
    return spreadsheets.csv_text(header, rows)


def _ids(path: Path) -> set[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if "id" not in (rows.fieldnames or ()):
                raise ConfigError(f"--items {path}: no column `id`")
            return {spreadsheets.restore(row["id"]) for row in rows if row["id"]}
    except OSError as error:
        raise NotFound(f"--items {path}: {error.strerror}") from None


def _suspects(folder: Path) -> dict[str, str]:
    """Split by id of a row whose logged answer is probably wrong."""
    path = folder / SUSPECTS
    if not path.is_file():
        raise NotFound(f"no {path}; run `fasttier extract` again, with label_quality.action other than off")
    with path.open(encoding="utf-8", newline="") as file:
        return {spreadsheets.restore(row["record_id"]): row["split"] for row in csv.DictReader(file)}
