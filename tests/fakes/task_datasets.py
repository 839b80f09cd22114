"""A small task dataset on disk, in the format that `extract` writes."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import dataset
from pipeline.dataset import SPLITS, TaskDataset
from traffic import config
from traffic.adapters import CallSitePrompts
from traffic.artifacts import hash8
from traffic.callsites import Checks
from traffic.prompts import MessagePattern, Template

LABELS = ("delivery", "refund", "password", "invoice")
TEXTS = {
    "delivery": "where is my parcel number {}?",
    "refund": "I want my money back for order {}",
    "password": "I forgot my password, account {}",
    "invoice": "Guten Tag, ich brauche die Rechnung {}",
}
START = datetime(2026, 10, 1, tzinfo=UTC)
TEMPLATE = Template(
    id="0123abcd",
    original=(MessagePattern("system", prefix="Answer with one label."), MessagePattern("user", slot=True)),
    pruned=(MessagePattern("system", prefix="intent"), MessagePattern("user", slot=True)),
)


def row(index: int) -> dict[str, Any]:
    """A classification row; the label follows from the text."""
    label = LABELS[index % len(LABELS)]
    user = {"role": "user", "content": TEXTS[label].format(index)}
    return {
        "prompt": [{"role": "system", "content": "intent"}, user],
        "completion": [{"role": "assistant", "content": label}],
        "original_prompt": [{"role": "system", "content": "Answer with one label."}, user],
        "response_format": None,
        "cohort": {"plan": "free" if index % 3 else "paid"},
        "call_site": "support.intent",
        "template": TEMPLATE.id,
        "record_id": f"r{index:05}",
        "ts": START + timedelta(minutes=index),
        "label_source": "teacher",
        "weight": 1.0,
        "logged": {
            "text": label,
            "model": "gpt-4o-mini",
            "input_tokens": 30,
            "output_tokens": 3,
            "latency_ms": 400.0,
            "cost_usd": 0.00001,
        },
    }


def make(
    datasets: Path,
    *,
    train: int = 64,
    others: int = 8,
    task: str = "support.intent",
    extra: tuple[dict[str, Any], ...] = (),
) -> Path:
    """Write a dataset below `datasets` with `train` rows (and the `extra` ones) and `others` in each other split."""
    splits: dict[str, list[dict[str, Any]]] = {}
    at = 0
    for split in SPLITS:
        count = train if split == "train" else others
        splits[split] = [row(i) for i in range(at, at + count)] + (list(extra) if split == "train" else [])
        at += count
    name = f"{task}@{hash8([r['record_id'] + str(r['prompt']) for rows in splits.values() for r in rows])}"
    folder = datasets / name
    folder.mkdir(parents=True)
    for split, rows in splits.items():
        pq.write_table(pa.Table.from_pylist(rows, schema=dataset.row_schema(("plan",))), folder / f"{split}.parquet")
    card = TaskDataset(
        name=name,
        task=task,
        call_sites={
            task: CallSitePrompts(
                templates=(TEMPLATE,), request_type="intent", checks=Checks(labels=LABELS), max_tokens=8
            )
        },
        rows_considered=at,
        filters=(),
        rows=sum(len(rows) for rows in splits.values()),
        splits={split: dataset.Split(rows=len(rows)) for split, rows in splits.items()},
        label_sources={"teacher": at},
        cohorts={"plan": {"free": at - at // 3, "paid": at // 3}},
        source_first=START.isoformat(),
        source_last=(START + timedelta(minutes=at)).isoformat(),
        prompt_chars_original=60,
        prompt_chars_pruned=36,
    )
    (folder / "dataset.yaml").write_text(config.dump(card), encoding="utf-8")
    return folder


def undated(folder: Path) -> dict[str, bytes]:
    """The files of an artifact, without the time at which it was made."""
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    return {name: re.sub(rb"(?m)^created_at: .*$", b"", data) for name, data in files.items()}
