"""Tasks of several call sites, groups, leakage and sameness of bytes, through the command."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline import dataset, extract, store
from pipeline.extract import ExtractConfig
from pipeline.extract.config import Balance
from tests.fakes.call_site_rows import record
from tests.fakes.task_datasets import undated
from traffic.artifacts import Home
from traffic.errors import ConfigError, InputError, NotEnoughData
from traffic.record import Record

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]


def other(index: int, site: str, answer: str = "short", **changes: Any) -> Record:
    """A request of another call site, with a prompt of its own, at the time of the `index`-th."""
    text = f"{' '.join(format(index, 'b').replace('0', 'sun ').replace('1', 'moon ').split())} item {index}"
    messages = [{"role": "system", "content": f"Shorten what {site} sends."}, {"role": "user", "content": text}]
    body = msgspec.Raw(msgspec.json.encode(messages))
    return record(index, None, f"{answer} {index}", id=f"{site}{index}", request_id=f"{site}{index}",
                  call_site=site, messages=body, request_type="rewrite", **changes)  # fmt: skip


def log() -> list[Record]:
    """Two Tier 1 call sites of 480 and 150 requests, one of Tier 3, one too small, and one that is new."""
    records = [record(n, session_id=f"s{n // 4}", tier=1) for n in range(480)]
    records += [record(n, f"MY BRAKES SQUEAL ON RIDE {n - 480}!!", "brakes", tier=1) for n in range(480, 500, 5)]
    records += [other(3 * n, "shop.rewrite", tier=1) for n in range(150)]
    records += [other(n, "shop.agent", tier=3) for n in range(120)]
    records += [other(n, "shop.rare", tier=1) for n in range(40)]
    records += [other(n, "shop.new", tier=1) for n in range(600, 720)]
    return records


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("home"))
    store.append(home, log(), source="test")
    return home


@pytest.fixture(scope="module")
def everything(home: Home) -> extract.ExtractSummary:
    return extract.run(home=home)


def rows_of(summary: extract.ExtractSummary) -> dict[str, list[dict[str, Any]]]:
    return {name: dataset.read_split(Path(summary.path), name).to_pylist() for name in dataset.SPLITS}


def test_tier_1_selects_all_suitable_call_sites_with_reasons_for_the_others(
    everything: extract.ExtractSummary,
) -> None:
    card = dataset.load(Path(everything.path))
    assert everything.task == "tier-1"
    assert set(card.call_sites) == {"shop.topic", "shop.rewrite"}
    assert {name: why.split(",")[0] for name, why in card.skipped_call_sites.items()} == {
        "shop.agent": "is not Tier 1: of 120 answered requests tier 3: 120 (logged",
        "shop.new": "no request within the train split",
        "shop.rare": "40 attempts",
    }
    assert card.call_sites["shop.topic"].checks.labels
    assert card.call_sites["shop.rewrite"].request_type == "rewrite"
    systems = {t.pruned[0].prefix for site in card.call_sites.values() for t in site.templates}
    assert systems == {"topic", "rewrite"}


def test_every_row_has_its_call_site_and_removed_rows_are_counted(everything: extract.ExtractSummary) -> None:
    card = dataset.load(Path(everything.path))
    rows = [row for part in rows_of(everything).values() for row in part]
    assert card.rows == len(rows) == card.rows_considered - sum(f.removed for f in card.filters)
    counts = {site: sum(row["call_site"] == site for row in rows) for site in card.call_sites}
    assert counts == everything.call_sites
    assert {site: sum(n.values()) for site, n in card.strata["call_site"].items()} == counts


def test_the_larger_call_site_is_sampled_in_train_only(home: Home, everything: extract.ExtractSummary) -> None:
    whole = extract.run(home=home, config=ExtractConfig(balance=Balance(temperature=1)))
    thinned, all_of_them = rows_of(everything), rows_of(whole)
    assert len(thinned["train"]) < len(all_of_them["train"])
    assert [row["record_id"] for row in thinned["test"]] == [row["record_id"] for row in all_of_them["test"]]


def test_groups_texts_and_sessions_do_not_cross_splits(everything: extract.ExtractSummary) -> None:
    card = dataset.load(Path(everything.path))
    parts = rows_of(everything)
    groups = [{row["group"] for row in part} for part in parts.values()]
    assert all(not first & second for first, second in itertools.combinations(groups, 2))
    assert all(each.exact == each.near == each.sessions == 0 for each in card.leakage.values())
    assert card.groups.largest > 1
    times = [row["ts"] for part in parts.values() for row in part]
    assert times == sorted(times)


def test_near_duplicates_are_dropped_and_counted(everything: extract.ExtractSummary) -> None:
    assert {f.name: f.removed for f in everything.filters}["near_duplicates"] == 4


def test_several_call_sites_need_a_task_name_and_enough_rows_each(home: Home) -> None:
    with pytest.raises(ConfigError, match="--name"):
        extract.run(["shop.topic", "shop.rewrite"], home=home)
    with pytest.raises(NotEnoughData, match=r"shop\.rare: 40 rows"):
        extract.run(["shop.topic", "shop.rare"], home=home, name="two")
    with pytest.raises(InputError, match=r"shop\.agent is not Tier 1"):
        extract.run(["shop.topic", "shop.agent"], home=home, name="two")
    assert extract.run(["shop.topic", "shop.rewrite"], home=home, name="two").dataset.startswith("two@")


def run(home: Home, *options: str, seed: str = "0") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli", "extract", *options, "--home", str(home.root), "--json"]
    environment = os.environ | {"PYTHONHASHSEED": seed}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=ROOT)


def test_the_dataset_does_not_depend_on_processes_or_hash_seed(tmp_path: Path) -> None:
    written = []
    for processes, seed in (("1", "1"), ("2", "2")):
        home = Home(tmp_path / processes)
        store.append(home, log() if seed == "1" else log()[::-1], source="test")
        options = ("--task", "shop.topic", "--task", "shop.rewrite", "--name", "two", "--set", f"processes={processes}")
        done = run(home, *options, seed=seed)
        assert done.returncode == 0, done.stderr
        folder = home.datasets / json.loads(done.stdout)["dataset"]
        written.append(undated(folder) | {"": folder.name.encode()})
    assert written[0] == written[1]


def test_the_command_takes_either_call_sites_or_tier_1(home: Home) -> None:
    for options in ((), ("--task", "shop.topic", "--tier", "1")):
        done = run(home, *options)
        assert done.returncode == 2
        assert "--task CALL_SITE (one or more), or --tier 1" in done.stderr
