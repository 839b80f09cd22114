"""A task whose answers are sets of labels, from the log to the decision, by the commands that a user types."""

import json
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

TASK = "mail.tags"
TAGS = {
    "refund": ("please pay back my money", "i want the amount returned", "send me my refund"),
    "delay": ("the parcel is late", "it should have come last week", "still waiting for the courier"),
    "damage": ("the box was crushed", "it arrived broken", "there is a crack in the glass"),
    "praise": ("your staff was lovely", "great service by the way", "thank you so much"),
}
SYSTEM = (
    "Tag the mail of a customer. Tags: refund, delay, damage, praise. Several may apply. "
    "Answer with a JSON list of tags and nothing else."
)
NOTHING = "just so that you know, no answer is needed"
ROWS = 3300
CLASSICAL = Path(__file__).resolve().parents[2] / "configs/train/classical.yaml"
CANDIDATES = """
schema_version: 1
candidates:
  - {name: teacher, kind: teacher}
  - {name: classical, kind: classical}
"""


def fasttier(*arguments: str | Path, home: Path) -> dict[str, Any]:
    """Run a stage with --json; its summary."""
    command = [sys.executable, "-m", "cli", *map(str, arguments), "--home", str(home), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=home.parent)
    assert done.returncode == 0, done.stderr[-3000:]
    summary: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return summary


def log_lines(seed: int) -> list[str]:
    """Pairs of mails and tags; the tags stand in any order, and a few rows have none."""
    draw = random.Random(seed)
    start = datetime(2026, 9, 1, tzinfo=UTC)
    lines = []
    for n in range(ROWS):
        tags = draw.sample(sorted(TAGS), draw.choices((0, 1, 2, 3), (1, 5, 4, 1))[0])
        mail = (
            f"Order {draw.randrange(10**6)}: "
            + ". ".join(draw.choice(TAGS[tag]) for tag in tags)
            + NOTHING * (not tags)
        )
        request = {
            "model": "gpt-4o",
            "messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": mail}],
            "metadata": {"call_site": TASK, "plan": draw.choice(("free", "pro"))},
        }
        message = {"role": "assistant", "content": json.dumps(tags)}
        usage = {"prompt_tokens": 70, "completion_tokens": 8, "total_tokens": 78}
        response = {
            "id": f"c{n}",
            "model": "gpt-4o",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": usage,
        }
        timestamp = (start + timedelta(minutes=10 * n)).isoformat()
        lines.append(
            json.dumps(
                {"timestamp": timestamp, "provider": "openai", "status": 200, "request": request, "response": response}
            )
        )
    return lines


def test_a_multi_label_task_runs_through_the_loop(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (tmp_path / "log.jsonl").write_text("\n".join(log_lines(5)) + "\n")
    fasttier("ingest", tmp_path / "log.jsonl", home=home)
    fasttier("profile", "--accept", home=home)
    site = next(s for s in yaml.safe_load((home / "callsites.yaml").read_text())["call_sites"] if s["name"] == TASK)
    assert (site["request_type"], site["tier"]) == ("classification", 1)

    extracted = fasttier("extract", "--task", TASK, "--set", "rights.confirmed=[openai]", home=home)
    card = yaml.safe_load((Path(extracted["path"]) / "dataset.yaml").read_text())
    checks = card["call_sites"][TASK]["checks"]
    assert (set(checks["labels"]), checks["multiple"]) == (set(TAGS), "json")

    fasttier("train", "--config", CLASSICAL, "--dataset", TASK, "--set", "encoder=null", home=home)
    candidates = tmp_path / "candidates.yaml"
    candidates.write_text(CANDIDATES)
    evaluated = fasttier("evaluate", "--candidates", candidates, "--dataset", TASK, home=home)
    scores = {one["candidate"]: one for one in evaluated["scores"]}
    # The order of the labels in the log's answers is any; as sets they are all learned.
    assert scores["classical"]["metrics"]["accuracy"]["value"] > 0.95
    assert scores["classical"]["metrics"]["format_ok"]["value"] == 1.0

    decided = fasttier("decide", "--task", TASK, home=home)
    assert (decided["verdict"], decided["winner"]) == ("build", "classical")
