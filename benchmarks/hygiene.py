"""Checks a dataset against gold: duplicates, wrong answers of the teacher, leakage between splits, drift."""

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.gold import Gold, clusters
from pipeline import dataset as datasets
from pipeline import store
from traffic.artifacts import Home

Rows = dict[str, list[dict[str, Any]]]
"""Rows of a dataset by split."""

_COPIES = ("exact_duplicates", "same_text", "conflicting_answers", "near_duplicates", "near_conflicting_answers")


def read_rows(folder: Path) -> Rows:
    columns = ["record_id", "call_site", "prompt", "original_prompt", "completion", "logged", "label_source"]
    return {split: datasets.read_split(folder, split).select(columns).to_pylist() for split in datasets.SPLITS}


def answered(home: Home, sites: Iterable[str]) -> set[str]:
    """Ids of the answered requests of the call sites, the basis for counts of duplicates and faults."""
    rows = store.connect(home).execute(
        "SELECT id FROM records WHERE list_contains(?, call_site) AND purpose = 'serve' "
        "AND coalesce(status, 200) = 200 AND trim(coalesce(output.text, '')) <> ''",
        [list(sites)],
    )
    return {row[0] for row in rows.fetchall()}


def duplicates(rows: Rows, eligible: set[str], gold: dict[str, Gold], removed: dict[str, int]) -> dict[str, Any]:
    """Injected copies that the dataset still contains, and the filters' own counts of removed rows.

    A copy counts as found if the dataset has at most one row of its gold cluster.
    """
    kept = [row["record_id"] for part in rows.values() for row in part]
    result: dict[str, Any] = {"removed_as_copies": {name: removed[name] for name in _COPIES if name in removed}}
    for name, near in (("exact", False), ("near", True)):
        first = clusters(gold, near=near)
        planted = [i for i in eligible if i in gold and (gold[i].near_duplicate_of if near else gold[i].duplicate_of)]
        # A copy can only be recognised if its original is present too.
        planted = [i for i in planted if first[i] in eligible]
        sizes = Counter(first[i] for i in kept if i in first)
        copies = {first[i] for i in planted}
        surviving = sum(size - 1 for root, size in sizes.items() if size > 1 and root in copies)
        removed_copies = max(0, len(planted) - surviving)
        result[name] = {
            "planted": len(planted),
            "found": removed_copies,
            "surviving": surviving,
            "recall": round(removed_copies / len(planted), 4) if planted else None,
        }
    return result


def faults(rows: Rows, folder: Path, eligible: set[str], gold: dict[str, Gold]) -> dict[str, Any]:
    """Injected wrong answers by kind: removed by filters, listed as suspects, or unnoticed; and good rows lost.

    Copies count once: a good row is lost if no row of its cluster remains.
    """
    first = clusters(gold, near=True)
    kept = {row["record_id"]: row for part in rows.values() for row in part}
    clusters_kept = {first[i] for i in kept if i in first}
    suspects = _suspects(folder)
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    for row_id in eligible & gold.keys():
        kind = gold[row_id].injected_fault
        if kind is None:
            continue
        kinds[kind]["planted"] += 1
        # A user's correction has replaced the wrong answer.
        if row_id not in kept or kept[row_id]["label_source"] in ("corrected", "human"):
            kinds[kind]["removed_by_filters"] += 1
        else:
            kinds[kind]["suspected" if row_id in suspects else "unnoticed"] += 1
    good = {first[i] for i in eligible & gold.keys() if gold[i].logged_correct}
    right = {i for i in kept if i in gold and gold[i].logged_correct}
    wrong = {i for i in kept if i in gold and gold[i].logged_correct is False}
    total = sum(kinds.values(), Counter[str]())
    return {
        "kinds": {kind: dict(counts) for kind, counts in sorted(kinds.items())},
        "planted": total["planted"],
        "removed_by_filters": total["removed_by_filters"],
        "suspected": total["suspected"],
        "unnoticed": total["unnoticed"],
        "good_requests": len(good),
        "good_requests_lost": len(good - clusters_kept),
        "good_rows_kept": len(right),
        "good_rows_suspected": len(right & suspects),
        "suspects": len(suspects & kept.keys()),
        "suspects_wrong_by_gold": len(wrong & suspects),
        "wrong_rows_kept": len(wrong),
    }


def _suspects(folder: Path) -> set[str]:
    path = folder / "suspects.csv"
    if not path.exists():
        return set()
    with path.open(encoding="utf-8", newline="") as lines:
        return {row["record_id"] for row in csv.DictReader(lines)}


def leakage(rows: Rows, gold: dict[str, Gold]) -> dict[str, Any]:
    """Rows of each later split that also occur in an earlier one: by text, injected copy, or source item.

    Counted independently of the dataset's own report.
    """
    first = clusters(gold, near=True)
    texts: set[tuple[str, str]] = set()
    bare: set[tuple[str, str]] = set()
    copies: set[str] = set()
    items: set[str] = set()
    result: dict[str, Any] = {}
    for split, part in rows.items():
        counts: Counter[str] = Counter(rows=len(part), exact=0, letters_only=0, planted_copies=0, source_items=0)
        own: list[tuple[tuple[str, str], tuple[str, str], str, str | None]] = []
        for row in part:
            text = "\n".join(message["content"] or "" for message in row["prompt"])
            record_id: str = row["record_id"]
            known = gold.get(record_id)
            exact, letters = (row["call_site"], text), (row["call_site"], re.sub(r"[\W_]+", "", text).casefold())
            root = first.get(record_id, record_id)
            item = known.source_item if known else None
            own.append((exact, letters, root, item))
            counts["exact"] += exact in texts
            counts["letters_only"] += letters in bare
            counts["planted_copies"] += root in copies
            counts["source_items"] += item in items
        for exact, letters, root, item in own:
            texts.add(exact)
            bare.add(letters)
            copies.add(root)
            if item is not None:
                items.add(item)
        result[split] = dict(counts)
    return result


def drift(reported: dict[str, Any], sites: Iterable[str], gold: dict[str, Gold]) -> dict[str, Any]:
    """Labels that are new in the log's last part by gold, compared with those that `extract` reports."""
    wanted = set(sites)
    rows = [row for row in gold.values() if row.drift and row.feature in wanted]
    planted = {(row.feature, row.gold) for row in rows if isinstance(row.gold, str)}
    reported_labels = {(arrival["call_site"], arrival["value"]) for arrival in reported.get("labels", ())}
    return {
        "planted": sorted(label for _, label in planted),
        "found": sorted(label for _, label in planted & reported_labels),
        "missed": sorted(label for _, label in planted - reported_labels),
        "not_planted": sorted(label for _, label in reported_labels - planted),
        "rows_without_a_label": sum(not isinstance(row.gold, str) for row in rows),
    }
