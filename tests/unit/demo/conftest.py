"""A generated log shared by several tests."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from demo import traffic
from demo.gold import Gold, read
from demo.traffic import Facts


class Log(msgspec.Struct):
    """A parsed generated log."""

    facts: Facts
    path: Path
    rows: list[dict[str, Any]]
    gold: list[Gold]


@pytest.fixture(scope="session")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    path = tmp_path_factory.mktemp("log") / "requests.jsonl"
    facts = traffic.generate(path, requests=3000, days=6, seed=5)
    rows = []
    for line in path.read_bytes().splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return Log(facts, path, rows, read(Path(facts.gold)))
