"""pipeline/extract/label_quality/: injected label errors are found; only training and validation rows are affected."""

import csv
import io
import random

import pytest

from pipeline.dataset import SPLITS
from pipeline.extract import label_quality
from pipeline.extract.config import LabelQualityConfig
from pipeline.extract.filters import Ledger
from pipeline.extract.label_quality import Task
from pipeline.extract.rows import Row
from tests.fakes import call_site_rows
from traffic.callsites import Checks

TOPICS = {
    "brakes": ("squeaky brake", "brake lever", "brake pad", "rim brake"),
    "refund": ("money back", "refund please", "return the order", "paid twice"),
    "gears": ("chain slips", "derailleur", "gear cable", "shifts badly"),
}
FILLERS = ("hello", "since monday", "please help", "on my bike", "again", "thank you")
TASK = {"shop.topic": Task("classification", Checks(labels=tuple(TOPICS)))}
SIZES = dict(zip(SPLITS, (180, 40, 30, 30, 30), strict=True))


def parts(seed: int = 0) -> tuple[dict[str, list[Row]], set[str]]:
    """Splits of an easy task with one label in twelve wrong, and the ids of the wrong ones."""
    draw = random.Random(seed)
    made: dict[str, list[Row]] = {split: [] for split in SPLITS}
    wrong = set()
    for index, split in enumerate(split for split, size in SIZES.items() for _ in range(size)):
        label = draw.choice(sorted(TOPICS))
        text = " ".join([draw.choice(FILLERS), *draw.sample(TOPICS[label], 2), draw.choice(FILLERS)])
        row = call_site_rows.row(index, f"{text} {index}", label, call_site="shop.topic", group=f"g{index}")
        if index % 12 == 5:
            row.answer = draw.choice(sorted(TOPICS.keys() - {label}))
            wrong.add(row.id)
        made[split].append(row)
    return made, wrong


def ids(splits: dict[str, list[Row]], *names: str) -> set[str]:
    return {row.id for name in names for row in splits[name]}


def test_injected_label_errors_are_found_with_the_correct_label():
    made, wrong = parts()
    _, suspects = label_quality.apply(made, TASK, LabelQualityConfig(), Ledger(0))
    ids = {suspect.row.id for suspect in suspects}
    assert len(ids & wrong) >= 0.9 * len(wrong)
    assert len(ids - wrong) <= 3
    for suspect in suspects:
        words = suspect.row.slots[0]
        if suspect.row.id in wrong:
            assert any(word in words for word in TOPICS[suspect.finding.suggested])
    assert {suspect.split for suspect in suspects} == set(SPLITS)


def test_list_changes_no_row_and_off_finds_no_suspects():
    made, _ = parts()
    same, suspects = label_quality.apply(made, TASK, LabelQualityConfig(), Ledger(0))
    assert same == made
    assert suspects
    assert all(row.weight == 1 for rows in same.values() for row in rows)
    assert label_quality.apply(made, TASK, LabelQualityConfig(action="off"), Ledger(0)) == (made, [])


@pytest.mark.parametrize("action", ["drop", "weight"])
def test_only_training_rows_are_dropped_or_weighted(action):
    made, wrong = parts()
    total = sum(map(len, made.values()))
    ledger = Ledger(total)
    after, suspects = label_quality.apply(made, TASK, LabelQualityConfig(action=action), ledger)
    for split in ("calibration", "threshold", "test"):
        assert after[split] == made[split]
        assert all(row.weight == 1 for row in after[split])
    touched = {suspect.row.id for suspect in suspects if suspect.split in ("train", "validation")}
    if action == "drop":
        assert ids(after, *SPLITS) == ids(made, *SPLITS) - touched
        assert ledger.counts() == {"suspect_label": len(touched)}
    else:
        assert {row.id for rows in after.values() for row in rows if row.weight == 0.3} == touched
    ledger.close(sum(map(len, after.values())))
    assert touched & wrong


def test_human_labels_are_listed_and_never_dropped():
    made, wrong = parts()
    by_hand = sorted(ids(made, "train") & wrong)[:4]
    for row in made["train"]:
        if row.id in by_hand:
            row.label_source = "human" if row.id == by_hand[0] else "corrected"
    after, suspects = label_quality.apply(made, TASK, LabelQualityConfig(action="drop"), Ledger(400))
    assert set(by_hand) <= ids(after, "train")
    assert {suspect.row.id for suspect in suspects} & set(by_hand)


def test_suspects_in_train_do_not_depend_on_later_splits():
    made, _ = parts()
    changed = {
        split: [call_site_rows.row(900 + n, "derailleur", "refund", call_site="shop.topic") for n in range(30)]
        if split in ("calibration", "threshold", "test")
        else rows
        for split, rows in made.items()
    }
    first, second = (
        {
            (s.row.id, s.finding.quality)
            for s in label_quality.apply(p, TASK, LabelQualityConfig(), Ledger(0))[1]
            if s.split == "train"
        }
        for p in (made, changed)
    )
    assert first == second


def test_too_few_rows_and_rare_labels_are_not_checked():
    made, _ = parts()
    few = {split: rows[:5] for split, rows in made.items()}
    assert label_quality.apply(few, TASK, LabelQualityConfig(), Ledger(0))[1] == []
    made["train"][0].answer = "delivery"
    _, suspects = label_quality.apply(made, TASK, LabelQualityConfig(), Ledger(0))
    assert made["train"][0].id not in {suspect.row.id for suspect in suspects}


def test_the_file_lists_the_most_likely_errors_first_without_formulas():
    made, wrong = parts()
    row = next(row for row in made["train"] if row.id in wrong)
    row.pruned[1]["content"] = "=cmd| " + row.pruned[1]["content"]
    _, suspects = label_quality.apply(made, TASK, LabelQualityConfig(), Ledger(0))
    rows = list(csv.DictReader(io.StringIO(label_quality.csv_bytes(suspects).decode())))
    qualities = [float(row["quality"]) for row in rows]
    assert qualities == sorted(qualities)
    assert next(each for each in rows if each["record_id"] == row.id)["text"].startswith("'=cmd|")
    assert label_quality.described(suspects)["splits"].keys() == set(SPLITS)
    assert sum(label_quality.described(suspects)["reasons"].values()) == len(rows)
