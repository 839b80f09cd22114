"""The dataset's folder: five Parquet files and `dataset.yaml`, named by the hash of their content.

The same rows, settings and library versions give the same bytes: rows are in a fixed order, writer
options are fixed, and nothing of the clock or the machine goes in.
"""

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.dataset import TaskDataset, row_schema
from pipeline.extract.rows import Row
from traffic import config
from traffic.home import Home, atomic_folder, hash8

_ROW_GROUP = 5_000
_NONE: Mapping[str, bytes] = {}


def parquet_bytes(rows: Sequence[Row], cohort_keys: tuple[str, ...], task: str) -> bytes:
    """One split as a Parquet file of `pipeline.dataset.row_schema`."""
    schema = row_schema(cohort_keys)
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, schema, compression="zstd", version="2.6", data_page_version="1.0") as writer:
        # Original prompts repeat a long system prompt: small row groups keep memory flat and dictionaries whole.
        for start in range(0, max(1, len(rows)), _ROW_GROUP):
            part = [as_written(row, cohort_keys, task) for row in rows[start : start + _ROW_GROUP]]
            writer.write_table(pa.Table.from_pylist(part, schema=schema))
    return bytes(sink.getvalue())


def as_written(row: Row, cohort_keys: Iterable[str], task: str) -> dict[str, Any]:
    """The row's fields in `row_schema`."""
    return {
        "prompt": row.pruned,
        "completion": [{"role": "assistant", "content": row.answer}],
        "original_prompt": [{"role": m["role"], "content": m["content"]} for m in row.messages],
        "response_format": row.response_format,
        "cohort": {key: row.cohort.get(key) for key in cohort_keys},
        "call_site": row.call_site or task,
        "template": row.template,
        "record_id": row.id,
        "ts": row.ts,
        "label_source": row.label_source,
        "weight": row.weight,
        "group": row.group or row.id,
        "logged": {
            "text": row.logged_text,
            "model": row.model,
            "input_tokens": row.input_tokens,
            "output_tokens": row.output_tokens,
            "latency_ms": row.latency_ms,
            "cost_usd": row.cost_usd,
        },
    }


def write(
    home: Home, card: TaskDataset, files: Mapping[str, bytes], extras: Mapping[str, bytes] = _NONE
) -> tuple[TaskDataset, Path, bool]:
    """The card under its final name, the folder, and whether this call wrote it (False: it was there already).

    `extras` are further files by name, which follow from rows and settings: they are not part of the hash.
    """
    name = f"{card.task}@{hash8(msgspec.to_builtins(card), *(files[split] for split in card.splits))}"
    card = msgspec.structs.replace(card, name=name)
    target = home.datasets / name
    if target.exists():
        _now_newest(target / "dataset.yaml")
        return card, target, False
    with atomic_folder(target) as folder:
        for split, data in files.items():
            (folder / f"{split}.parquet").write_bytes(data)
        for filename, data in extras.items():
            (folder / filename).write_bytes(data)
        (folder / "dataset.yaml").write_text(config.dump(card), encoding="utf-8")
        _now_newest(folder / "dataset.yaml")
    return card, target, True


def _now_newest(path: Path) -> None:
    """Of datasets, the newest is the one that was asked for last."""
    # The file system's own clock ticks every few milliseconds: two datasets can be written in one tick.
    now = time.time_ns()
    os.utime(path, ns=(now, now))
