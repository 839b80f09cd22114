"""Measure the pipeline on a log that has gold answers: rules, dataset hygiene, adapters.

    python benchmarks/open_log.py --log LOG.jsonl.gz --gold GOLD.jsonl.gz --task CALL_SITE [--task ...] [--json]

Gold is one JSON object a line: `id`, `tier_true`, `gold` with `gold_kind`, `injected_fault`, `logged_correct`
(null where unknown). It knows no call site: without --task it takes the Tier 1 call site with the
most traffic. Every stage is the real command in the home folder (--home, kept, so a second run only
does what is missing); --train "..." adds options to `fasttier train`, --no-train stops after extract.
"""

import argparse
import collections
import gzip
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from pipeline import dataset as datasets
from pipeline import store
from traffic import config, policy
from traffic.features import features_of, request_type
from traffic.home import Home
from traffic.record import Params, decode_messages

ROOT = Path(__file__).resolve().parent.parent


class Gold(msgspec.Struct, frozen=True):
    """What is known of one request."""

    id: str
    tier_true: int | None = None
    injected_fault: str | None = None
    logged_correct: bool | None = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--gold", type=Path, required=True)
    parser.add_argument("--home", type=Path, default=Path("data-benchmark"))
    parser.add_argument("--task", action="append", default=[])
    parser.add_argument("--train", default="", help='options for `fasttier train`, such as "--set epochs=2"')
    parser.add_argument("--no-train", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    home = Home(options.home)
    gold = {row.id: row for row in read_gold(options.gold)}
    result: dict[str, Any] = {"ingest": stage("ingest", str(options.log), home=home)}
    result["rules"] = rules_against_gold(home, gold)
    tasks = options.task or [busiest(home, result["rules"].pop("sites"))]
    result["rules"].pop("sites", None)
    result["tasks"] = {task: run_task(task, options, home, gold) for task in tasks}
    print(json.dumps(result) if options.json else json.dumps(result, indent=2))


def stage(*arguments: str, home: Home) -> dict[str, Any]:
    """Run one command of the project and return its machine-readable summary."""
    command = [sys.executable, str(ROOT / "fasttier.py"), *arguments, "--home", str(home.root), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{shlex.join(command)} ended with {done.returncode}")
    summary: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return summary


def read_gold(path: Path) -> Iterator[Gold]:
    decode = msgspec.json.Decoder(Gold).decode
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
        for line in lines:
            yield decode(line)


def rules_against_gold(home: Home, gold: dict[str, Gold]) -> dict[str, Any]:
    """Where the rules alone, without any call-site entry, send the log's requests."""
    rules = policy.load(config.CONFIGS / "router.yaml")
    cells: collections.Counter[str] = collections.Counter()
    sites: collections.Counter[str] = collections.Counter()
    rows = store.connect(home).sql("SELECT id, call_site, messages, tools, response_format, params FROM records")
    for batch in rows.to_arrow_reader(2048):
        for row in batch.to_pylist():
            known = gold.get(row["id"])
            if known is None or known.tier_true is None:
                continue
            messages = decode_messages(row["messages"])
            tools, form = (json.loads(row[name]) if row[name] else None for name in ("tools", "response_format"))
            given = row["params"] or {}
            other = json.loads(given["other"]) if given.get("other") else {}
            params = Params(given.get("max_tokens"), given.get("temperature"), bool(given.get("stream")), other)
            features = features_of(messages, tools, form, params)
            tier = policy.decide(rules, features, request_type(features, messages), None).tier
            cells[f"{known.tier_true}->{tier}"] += 1
            sites[row["call_site"]] += tier == 1
    total = sum(cells.values())
    moved = {cell: (int(cell[0]), int(cell[-1])) for cell in cells}
    return {
        "requests": total,
        "confusion": dict(sorted(cells.items())),
        "sent_low_share": sum(cells[c] for c, (true, sent) in moved.items() if sent < true) / total,
        "sent_high_share": sum(cells[c] for c, (true, sent) in moved.items() if sent > true) / total,
        "sites": dict(sites),
    }


def busiest(home: Home, sites: dict[str, int]) -> str:
    """The call site with the most Tier 1 requests."""
    return max(sites, key=lambda site: sites[site])


def run_task(task: str, options: argparse.Namespace, home: Home, gold: dict[str, Gold]) -> dict[str, Any]:
    extracted = stage("extract", "--task", task, home=home)
    folder = home.dataset(task)
    found: dict[str, Any] = {"dataset": folder.name, "hygiene": hygiene(folder, task, home, gold)}
    if options.no_train:
        return found | {"extract": extracted}
    found["train"] = stage("train", "--dataset", folder.name, *shlex.split(options.train), home=home)
    evaluation = stage("evaluate", "--dataset", folder.name, "--labels", str(options.gold), home=home)
    found["evaluate"] = {scores["candidate"]: scores for scores in evaluation["scores"]}
    return found


def hygiene(folder: Path, task: str, home: Home, gold: dict[str, Gold]) -> dict[str, Any]:
    """How many planted faults of the teacher the filters removed, and how many good rows they cost."""
    kept = {
        record_id
        for split in datasets.SPLITS
        for record_id in datasets.read_split(folder, split).column("record_id").to_pylist()
    }
    rows = store.connect(home).execute(
        "SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY request_hash ORDER BY ts) AS copy FROM records "
        "WHERE call_site = ? AND purpose = 'serve' AND status = 200) WHERE copy = 1",
        [task],
    )
    unique = {row[0] for row in rows.fetchall()}
    faulty = {i for i, row in gold.items() if i in unique and row.injected_fault is not None}
    good = {i for i, row in gold.items() if i in unique and row.logged_correct}
    return {
        "rows_kept": len(kept),
        "planted_faults": len(faulty),
        "planted_faults_kept": len(faulty & kept),
        "good_rows": len(good),
        "good_rows_lost": len(good - kept),
    }


if __name__ == "__main__":
    main()
