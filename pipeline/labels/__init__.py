"""Labels from people: export of the items to label, import of the labels.

    fasttier label export --task support.intent --disagreements --out todo.csv
    fasttier label import todo.csv

`export` writes CSV or Label Studio tasks; `import` appends to data/signals/labels/, joined by record id.
`extract` trains on the newest label of a request before anything else, `evaluate` scores against it.
"""

from pathlib import Path

import pyarrow.parquet as pq

from pipeline.store import commits, manifest
from traffic.artifacts import Home

SOURCE = "human"


def stored(home: Home) -> dict[str, str]:
    """The newest human label by record id; empty if there are none."""
    newest: dict[str, tuple[object, str]] = {}
    for path in _parts(home):
        for row in pq.read_table(path).to_pylist():
            if row["label"] and (row["id"] not in newest or newest[row["id"]][0] < row["ts"]):
                newest[row["id"]] = row["ts"], row["label"]
    return {record_id: label for record_id, (_, label) in newest.items()}


def _parts(home: Home) -> list[Path]:
    return manifest.parts(home, commits(home), "labels")
