"""The dataset's folder: five Parquet files and `dataset.yaml`, named by the hash of their content.

The same rows, settings and library versions give the same name and bytes: rows are in a fixed order, writer options
are fixed, and of the clock and the machine only the card's `created_at` goes in, which is not hashed.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.dataset import FILE, TaskDataset, load, row_schema
from pipeline.extract.rows import Row
from traffic import artifacts, config
from traffic.artifacts import Home, atomic_folder

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
        "requests": row.requests,
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
    """The card with its final name, the folder, and whether this call wrote it (False: it existed already).

    `extras`: further files by name; derived from rows and settings, so not part of the hash.
    """
    name = artifacts.name_of(card.task, msgspec.to_builtins(card), *(files[split] for split in card.splits))
    target = home.datasets / name
    if (target / FILE).is_file():
        artifacts.make_current(home, artifacts.DATASET, target)
        return load(target), target, False
    card = msgspec.structs.replace(card, name=name, created_at=artifacts.created_now(home, artifacts.DATASET))
    with atomic_folder(target, FILE) as folder:
        for split, data in files.items():
            (folder / f"{split}.parquet").write_bytes(data)
        for filename, data in extras.items():
            (folder / filename).write_bytes(data)
        (folder / FILE).write_text(config.dump(card), encoding="utf-8")
    return card, target, True
