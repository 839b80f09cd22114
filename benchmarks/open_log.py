"""Measures the pipeline on a log with gold answers: rules, personal data, training sets, adapters.

    python -m benchmarks.open_log --log LOG.jsonl.gz --gold GOLD.jsonl.gz [--task CALL_SITE ...] [--tier 1] [--json]

The section `routing` proposes a registry from the log's first half and applies it to the second: with call-site tags,
without tags, and by the rules alone.
The gold file has one JSON object per line (`benchmarks/gold.py`). Without --task, --together and --tier, the tasks are
the most frequent Tier 1 call site with a closed set of answers, the two most frequent extractions, and all of Tier 1 as
one task. Every stage is the real command in the home folder (--home is kept, so a second run only does what is
missing); --train "..." adds options to `fasttier train`, --no-train skips training and evaluation.
All candidates with evaluations on the dataset's test split are scored against gold; the tables are also logged to the
home's MLflow.
"""

import argparse
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks import gold_scores, harness, hygiene, open_log_report, personal_data, routing_quality
from benchmarks.gold import Gold, read_gold, tasks_of
from pipeline import rights, tracking
from pipeline.store.period import ALL_DAYS
from traffic import config
from traffic.artifacts import Home


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--gold", type=Path, required=True)
    parser.add_argument("--home", type=Path, default=Path("data-benchmark"))
    parser.add_argument("--task", action="append", default=[])
    parser.add_argument("--together", action="append", default=[], metavar="NAME=SITE,SITE", help="several as one task")
    parser.add_argument("--tier", type=int, choices=[1], help="also one task of all Tier 1 call sites")
    parser.add_argument("--extract", default="", help='options for `fasttier extract`, such as "--set seed=1"')
    parser.add_argument("--train", default="", help='options for `fasttier train`, such as "--set epochs=2"')
    parser.add_argument("--evaluate", default="", help='options for `fasttier evaluate`, such as "--limit 200"')
    parser.add_argument(
        "--calibrate",
        action="append",
        help='options for one `fasttier calibrate` of each own candidate (default: "--target 0.05", then '
        '"--max-escalation 0.2"); the last one gives the reported cascade',
    )
    parser.add_argument("--no-train", action="store_true")
    parser.add_argument(
        "--encoder",
        metavar="OPTIONS",
        help='train an encoder for tasks with closed labels, with options such as "--set minutes=15"; "" for none',
    )
    parser.add_argument(
        "--only",
        type=lambda kinds: tuple(kinds.split(",")),
        metavar="KIND,KIND",
        help="evaluate only candidates of these kinds, such as teacher,classical,encoder; adapters only if listed",
    )
    parser.add_argument("--routing-only", action="store_true", help="only profile, registry and rules against gold")
    options = parser.parse_args()

    home = Home(options.home)
    gold = {row.id: row for row in read_gold(options.gold)}
    result: dict[str, Any] = {"ingest": stage("ingest", str(options.log), home=home)}
    result["rules"] = routing_quality.against_gold(home, options.gold, ALL_DAYS, None)
    result["routing"] = routing_quality.measure(home, options.gold)
    if options.routing_only:
        harness.show(result, options.json, routing_quality.lines(result["routing"]))
        return
    result["personal_data"] = personal_data.in_log(home, gold)
    chosen: list[tuple[str, ...]] = [("--task", task) for task in options.task]
    for name, _, sites in (each.partition("=") for each in options.together):
        chosen.append((*(word for site in sites.split(",") for word in ("--task", site)), "--name", name))
    if options.tier:
        chosen.append(("--tier", "1"))
    chosen = chosen or [*(("--task", task) for task in tasks_of(gold.values())), ("--tier", "1")]
    result["tasks"] = {}
    for task in chosen:
        found = result["tasks"][task[-1]] = run_task(task, options, home, gold)
        if "against_gold" in found:
            record(home, task[-1], found)
        if options.json not in (None, "-"):
            # After each task, so that results are kept if the next one fails.
            Path(options.json).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    harness.show(result, options.json, open_log_report.lines(result))


def stage(*arguments: str, home: Home, refusal: bool = False) -> dict[str, Any]:
    """Run one command of the project and return its machine-readable summary.

    With `refusal`, exit status 1 and too little data are permitted: the result is empty, with the reason on stderr.
    """
    command = [sys.executable, "-m", "cli", *arguments, "--home", str(home.root), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if refusal and done.returncode in (1, 2) and not done.stdout.strip():
        return {}
    if done.returncode and not (refusal and done.returncode == 1):
        raise SystemExit(f"{shlex.join(command)} ended with {done.returncode}")
    summary: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return summary


OWN = ("adapter", "classical", "encoder")
"""Kinds of candidates that are calibrated."""


def candidates(home: Home, kinds: tuple[str, ...]) -> Path:
    """The shipped candidates file, limited to these kinds and their cascades."""
    tree = config.read(config.CONFIGS / "candidates.yaml")
    kept = [candidate for candidate in tree["candidates"] if candidate["kind"] in kinds]
    names = {row["name"] for row in kept}
    kept += [
        candidate for candidate in tree["candidates"] if {candidate.get("tier_1"), candidate.get("tier_2")} <= names
    ]
    path = home.runs / "candidates.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(config.dump(tree | {"candidates": kept}), encoding="utf-8")
    return path


CALIBRATE = ("--target 0.05", "--max-escalation 0.2")
"""Options that judge by the logged answers, as without gold labels."""


def run_task(task: tuple[str, ...], options: argparse.Namespace, home: Home, gold: dict[str, Gold]) -> dict[str, Any]:
    """Run all stages of one task. `task`: options of `extract`: --task SITE, several and --name NAME, or --tier 1."""
    # This measures the pipeline; permission to train on a provider's answers is up to the owner of the log.
    confirmed = ",".join(row.name for row in rights.load().providers)
    extract_options = [*task, "--set", f"rights.confirmed=[{confirmed}]", *shlex.split(options.extract)]
    extracted = stage("extract", *extract_options, home=home)
    result: dict[str, Any] = {"extract": extracted} | against_gold(extracted, home, gold)
    if options.no_train:
        return result | scored(extracted, options, home, gold)
    dataset: tuple[str, ...] = ("--dataset", extracted["dataset"])
    if options.only is None or "adapter" in options.only:
        result["train"] = stage("train", *dataset, *shlex.split(options.train), home=home)
    if options.encoder is not None:
        encoder = ("--config", str(config.CONFIGS / "train" / "encoder.yaml"), *shlex.split(options.encoder))
        result["encoder"] = stage("train", *dataset, *encoder, home=home, refusal=True)
    dataset = (*dataset, "--candidates", str(candidates(home, options.only))) if options.only else dataset
    evaluate_options = (*dataset, "--labels", str(options.gold), *shlex.split(options.evaluate))
    evaluation = stage("evaluate", *evaluate_options, home=home)
    result["evaluate"] = {scores["candidate"]: scores for scores in evaluation["scores"]}
    for name in [name for name, scores in result["evaluate"].items() if scores["kind"] in OWN]:
        for rule in options.calibrate or CALIBRATE:
            stage("calibrate", *dataset, "--candidate", name, *shlex.split(rule), home=home, refusal=True)
    return result | scored(extracted, options, home, gold)


def record(home: Home, task: str, figures: dict[str, Any]) -> None:
    """Log the figures to MLflow, with the runs that they belong to."""
    tags = {"stage": "gold", "task": task, "dataset": figures["extract"]["dataset"]}
    with tracking.run(home, f"against gold {task}", tags=tags):
        mlflow = tracking.configure(home)
        mlflow.log_dict(figures, "open_log.json")
        mlflow.log_text("\n".join(open_log_report.task_lines(figures)), "open_log.txt")
        for name, candidate_figures in figures["against_gold"]["candidates"].items():
            mlflow.log_metric(f"gold_accuracy.{name}", candidate_figures["accuracy"])


def scored(extracted: dict[str, Any], options: argparse.Namespace, home: Home, gold: dict[str, Gold]) -> dict[str, Any]:
    """Scores of the home's candidates against gold, if it has any."""
    measured = gold_scores.measure(home, Path(extracted["path"]), options.gold, gold)
    return {"against_gold": measured} if measured else {}


def against_gold(extracted: dict[str, Any], home: Home, gold: dict[str, Gold]) -> dict[str, Any]:
    folder, sites = Path(extracted["path"]), list(extracted["call_sites"])
    rows = hygiene.read_rows(folder)
    eligible = hygiene.answered(home, sites)
    removed = {f["name"]: f["removed"] for f in extracted["filters"]}
    return {
        "duplicates": hygiene.duplicates(rows, eligible, gold, removed),
        "faults": hygiene.faults(rows, folder, eligible, gold),
        "personal_data": personal_data.in_dataset(rows, gold),
        "leakage": hygiene.leakage(rows, gold),
        "drift": hygiene.drift(extracted["drift"], sites, gold),
    }


if __name__ == "__main__":
    main()
