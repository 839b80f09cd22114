"""Live prompts as sent against live prompts as redacted: what a model that was trained on placeholders makes of each.

    python -m benchmarks.redaction --home data --task support.intent --json redaction.json

Needs the records store and a redacted dataset of the task (`fasttier extract`). Fits the classical classifier on the
training split, asks it about the test split's requests as the store has them, raw and through the router's redaction,
and times that redaction on all rows of the set. Answers are scored against the set's labels.
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.tables import table
from pipeline import dataset, store
from pipeline.classifiers import classical
from pipeline.classifiers.config import ClassicalFit
from pipeline.classifiers.examples import Examples, SiteData
from traffic import artifacts, classifiers
from traffic.adapters import CallSitePrompts
from traffic.artifacts import Home
from traffic.prompts import match_any, render
from traffic.redaction.redactor import redact

Row = dict[str, Any]


def read(folder: Path, split: str, task: str) -> list[Row]:
    return [row for row in dataset.read_split(folder, split).to_pylist() if row["call_site"] == task]


def raw_messages(home: Home, rows: list[Row]) -> dict[str, list[Row]]:
    """Messages as the store has them, by record id."""
    wanted = {row["record_id"] for row in rows}
    found = store.connect(home).sql("SELECT id, messages FROM records").fetchall()
    return {row_id: msgspec.json.decode(messages) for row_id, messages in found if row_id in wanted}


def both(messages: list[Row], prompts: CallSitePrompts) -> tuple[str, str, float]:
    """The pruned prompt's text raw and redacted, and the CPU microseconds that redacting took."""
    assert prompts.redaction is not None
    matched = match_any(prompts.templates, messages)
    assert matched is not None, "rows of the set match a template"
    template, slots = matched
    began = time.thread_time()
    redacted = redact(slots, prompts.redaction).slots
    took_us = (time.thread_time() - began) * 1e6
    texts = [classifiers.text_of(render(template, each)) for each in (slots, redacted)]
    return texts[0], texts[1], took_us


def measure(home: Home, task: str) -> dict[str, Any]:
    found = artifacts.current(home, artifacts.DATASET, task=task)
    if found is None:
        raise SystemExit(f"no dataset of {task} in {home.root}: run `fasttier extract --task {task}`")
    folder = found.path
    prompts = dataset.load(folder).call_sites[task]
    splits = {split: read(folder, split, task) for split in ("train", "calibration", "test")}
    raw = raw_messages(home, [row for rows in splits.values() for row in rows])

    def examples(split: str) -> Examples:
        rows = splits[split]
        return Examples([classifiers.text_of(row["prompt"]) for row in rows], [answer(row) for row in rows])

    data = SiteData(examples("train"), calibration=examples("calibration"))
    model = classical.fit(data, ClassicalFit(c=10.0), folder=task).classifier()
    pairs = {row["record_id"]: both(raw[row["record_id"]], prompts) for rows in splits.values() for row in rows}
    times: dict[bool, list[float]] = {True: [], False: []}
    for sent, asked, took_us in pairs.values():
        times[sent != asked].append(took_us)
    identical = sum(
        pairs[row["record_id"]][1] == classifiers.text_of(row["prompt"]) for rows in splits.values() for row in rows
    )
    right = {"raw": 0, "redacted": 0}
    held = dict(right)
    changed = flipped = 0
    for row in splits["test"]:
        sent, asked, _ = pairs[row["record_id"]]
        said = {name: model.answers([text])[0].text for name, text in (("raw", sent), ("redacted", asked))}
        for name, label in said.items():
            right[name] += label == answer(row)
            held[name] += sent != asked and label == answer(row)
        changed += sent != asked
        flipped += said["raw"] != said["redacted"]
    return {
        "task": task,
        "dataset": folder.name,
        "rows": len(pairs),
        "identical_to_the_set": identical,
        "test_rows": len(splits["test"]),
        "test_rows_with_personal_data": changed,
        "answers_that_differ": flipped,
        "accuracy_raw": right["raw"] / len(splits["test"]),
        "accuracy_redacted": right["redacted"] / len(splits["test"]),
        "accuracy_raw_with_personal_data": held["raw"] / changed if changed else None,
        "accuracy_redacted_with_personal_data": held["redacted"] / changed if changed else None,
        "redact_us_p50_without_values": statistics.median(times[False]) if times[False] else None,
        "redact_us_p50_with_values": statistics.median(times[True]) if times[True] else None,
        "redact_us_mean": statistics.fmean([*times[True], *times[False]]),
    }


def answer(row: Row) -> str:
    return str(row["completion"][0]["content"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=Path("data"))
    parser.add_argument("--task", required=True)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    measured = measure(Home(options.home), options.task)
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(measured), indent=2))
    print("\n".join(table(("what", "value"), list(measured.items()))))


if __name__ == "__main__":
    main()
