"""Writes a task dataset of three kinds of easy requests: a short label, a JSON object, a rewrite.

Each has two prompts: the application's, with a page of instructions, and the pruned one for an adapter. The answers can
be derived from the texts.
"""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import dataset
from traffic import config
from traffic.adapters import CallSitePrompts
from traffic.artifacts import hash8, write_atomic
from traffic.callsites import Checks
from traffic.prompts import MessagePattern, Template

TASK = "check.gpu"
VALIDATION = 24
START = datetime(2026, 10, 1, tzinfo=UTC)
SUBJECTS = ("parcel", "invoice", "refund", "password", "subscription", "address", "voucher", "appointment")
TROUBLES = ("is late", "is missing", "was charged twice", "does not work", "has to change", "should be cancelled")
NAMES = ("Ada", "Bruno", "Chiara", "Deniz", "Emil", "Fatma", "Goran", "Hedda", "Ines", "Jonas")
LABELS = tuple(f"{subject}_{trouble.split()[-1]}" for subject in SUBJECTS for trouble in TROUBLES)
PAGES = {
    "label": (
        "You sort messages of customers. Answer with exactly one label and nothing else. "
        + " ".join(f"Use {label} where the customer writes about that." for label in LABELS)
    ),
    "json": (
        "You read messages of customers and return one JSON object with the keys name, subject, order and urgent. "
        "Never add keys. Copy the name and the number of the order as they were written. "
        + " ".join(f"The subject {subject} stands for every message about a {subject}." for subject in SUBJECTS)
    ),
    "rewrite": (
        "You rewrite notes of support agents as one polite sentence to the customer. Keep every fact and every number, "
        "promise nothing, and begin with the customer's name. "
        + " ".join(f"Never call a {subject} anything but a {subject}." for subject in SUBJECTS)
    ),
}
PRUNED = {"label": "label", "json": "JSON: name, subject, order, urgent", "rewrite": "polite rewrite"}
KINDS = tuple(PAGES)
REQUEST_TYPES = {"label": "intent", "json": "extraction", "rewrite": "rewrite"}
MAX_TOKENS = 48


def messages(kind: str, index: int) -> tuple[str, str]:
    """The user's text and its answer."""
    draw = random.Random(f"{kind} {index}")
    subject, trouble, name = draw.choice(SUBJECTS), draw.choice(TROUBLES), draw.choice(NAMES)
    order, urgent = draw.randrange(10_000, 99_999), draw.random() < 0.3
    hurry = " Please hurry!" if urgent else ""
    greeting = draw.choice(("Hello,", "Good morning!", "Hi there,", "Dear team,"))
    aside = draw.choice(
        ("", " I have written before.", " I use the app on my phone.", " Nobody answers the telephone.")
    )
    text = f"{greeting} this is {name}. My {subject} with number {order} {trouble}.{aside}{hurry}"
    if kind == "label":
        return text, f"{subject}_{trouble.split()[-1]}"
    if kind == "json":
        return text, json.dumps({"name": name, "subject": subject, "order": order, "urgent": urgent})
    note = f"{name}, {subject} {order}: {trouble}. {'urgent' if urgent else 'can wait'}"
    return note, f"{name}, thank you for telling us that your {subject} {order} {trouble}; we are looking into it."


def texts(rows: int) -> list[str]:
    """Training texts of the tokenizer."""
    conversation = [part for index in range(rows) for kind in KINDS for part in messages(kind, index)]
    return [*PAGES.values(), *PRUNED.values(), *conversation, "system user assistant Today Date:"]


def write(datasets: Path, *, train: int) -> Path:
    """Write the dataset with `train` rows, and `VALIDATION` in each other split. Returns its folder."""
    source = _rows()
    splits = {
        split: [next(source) for _ in range(train if split == "train" else VALIDATION)] for split in dataset.SPLITS
    }
    total = sum(map(len, splits.values()))
    name = f"{TASK}@{hash8([row['prompt'] for rows in splits.values() for row in rows])}"
    folder = datasets / name
    folder.mkdir(parents=True, exist_ok=True)
    for split, rows in splits.items():
        pq.write_table(pa.Table.from_pylist(rows, schema=dataset.row_schema(("plan",))), folder / f"{split}.parquet")
    card = dataset.TaskDataset(
        name=name,
        task=TASK,
        call_sites={_site(kind): _prompts(kind) for kind in KINDS},
        rows_considered=total,
        filters=(),
        rows=total,
        splits={split: dataset.Split(rows=len(rows)) for split, rows in splits.items()},
        label_sources={"teacher": total},
        cohorts={"plan": {"paid": total}},
        source_first=START.isoformat(),
        source_last=(START + timedelta(minutes=total)).isoformat(),
        prompt_chars_original=sum(map(len, PAGES.values())) // len(PAGES),
        prompt_chars_pruned=sum(map(len, PRUNED.values())) // len(PRUNED),
    )
    write_atomic(folder / "dataset.yaml", config.dump(card))
    return folder


def _site(kind: str) -> str:
    return f"{TASK}.{kind}"


def _prompts(kind: str) -> CallSitePrompts:
    return CallSitePrompts(
        templates=(
            Template(
                id=hash8([kind]),
                original=(MessagePattern("system", prefix=PAGES[kind]), MessagePattern("user", slot=True)),
                pruned=(MessagePattern("system", prefix=PRUNED[kind]), MessagePattern("user", slot=True)),
            ),
        ),
        request_type=REQUEST_TYPES[kind],  # type: ignore[arg-type]
        checks=Checks(labels=LABELS if kind == "label" else ()),
        max_tokens=MAX_TOKENS,
    )


def _rows() -> Iterator[dict[str, Any]]:
    """Rows of all kinds in turn, a minute apart."""
    index = 0
    while True:
        kind = KINDS[index % len(KINDS)]
        text, answer = messages(kind, index)
        user = {"role": "user", "content": text}
        yield {
            "prompt": [{"role": "system", "content": PRUNED[kind]}, user],
            "completion": [{"role": "assistant", "content": answer}],
            "original_prompt": [{"role": "system", "content": PAGES[kind]}, user],
            "cohort": {"plan": "paid"},
            "call_site": _site(kind),
            "template": hash8([kind]),
            "record_id": f"check-{index:06}",
            "ts": START + timedelta(minutes=index),
            "label_source": "teacher",
            "weight": 1.0,
            "logged": {"text": answer},
        }
        index += 1
