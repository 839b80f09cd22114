"""`extract` on a real records store, from its rows to a dataset that the `datasets` library reads."""

import itertools
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from pipeline import dataset, extract, store
from pipeline.extract import ExtractConfig, ExtractSummary
from tests.fakes.call_site_rows import QUESTIONS, START, record
from tests.fakes.task_datasets import undated
from traffic.artifacts import Home
from traffic.callsites import CallSite, Checks, Registry
from traffic.errors import InputError, NotEnoughData, NotFound
from traffic.prompts import match_any, render
from traffic.record import Output, Record

pytestmark = pytest.mark.integration

LABELS = ("brakes", "delivery", "gears", "opening_hours", "refund", "wheels")


def dirty_log() -> list[Record]:
    """240 good requests, and one or more of each kind of dirt; the last day asks about a label that is new."""
    records = [record(n) for n in range(240)]
    records += [record(n, "where is parcel 1 that I ordered", "delivery") for n in range(240, 250)]
    records += [record(n, "where is  parcel 1 that I ordered ", "delivery") for n in range(250, 252)]
    records += [record(n, "my brakes squeal on ride 5", "gears") for n in range(252, 253)]
    records += [record(n, status=500, error="overloaded", output=Output()) for n in range(260, 263)]
    records += [record(n, answer="brakes or gears") for n in range(263, 267)]
    records += [record(n, answer="I'm sorry, but I can't help with that.") for n in range(267, 269)]
    records += [record(n, output=Output(text="openin", finish_reason="length")) for n in range(269, 271)]
    records += [record(271, cache_hit=True), record(272, output=Output(finish_reason="stop"))]
    turns = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "hi"},
        {"role": "user", "content": "x"},
    ]
    records += [record(273, messages=msgspec.Raw(msgspec.json.encode(turns)), tier=1)]
    # A caller's own retry of a failed request: the store links the two.
    records += [
        record(274, "retried text", status=429, output=Output(), session_id="s1"),
        record(275, "retried text", "gears", session_id="s1"),
    ]
    records += [record(n, f"my wheel number {n} is bent", "wheels") for n in range(280, 300)]
    records += [record(n, call_site="shop.essay", answer="word " * 40) for n in range(300, 330)]
    return records


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("home"))
    at = START + timedelta(days=1)
    feedback = [
        {"id": "r00010", "thumb": "down", "corrected": None, "ts": at},
        {"id": "r00011", "thumb": "down", "corrected": "refund", "ts": at},
    ]
    store.append(home, dirty_log(), source="test", signals={"feedback": feedback})
    return home


@pytest.fixture(scope="module")
def summary(home: Home) -> ExtractSummary:
    return extract.run("shop.topic", home=home)


def test_every_attempt_is_kept_or_counted_under_a_reason(summary: ExtractSummary) -> None:
    removed = {f.name: f.removed for f in summary.filters if f.removed}
    assert removed == {
        "retries": 1,
        "errors": 3,
        "cache_hits": 1,
        "no_answer": 1,
        "truncated": 2,
        "thumbs_down": 1,
        "no_template": 1,
        "refused": 2,
        "off_label_set": 4,
        "conflicting_answers": 1,
        "exact_duplicates": 10,
        "same_text": 2,
    }
    assert summary.rows_considered == summary.rows + sum(removed.values()) == 289


def test_the_label_set_comes_from_the_prompt(home: Home, summary: ExtractSummary) -> None:
    card = dataset.load(Path(summary.path))
    assert card.call_sites["shop.topic"].checks == Checks(labels=LABELS)
    assert card.checks_source == summary.checks_source == "the prompt names 6 labels, 6 of them are in the log"


def test_a_label_that_appears_only_in_the_test_period_is_reported(summary: ExtractSummary) -> None:
    assert summary.unseen_labels == {"wheels": 20}
    assert any(line.startswith("drift: 1 label(s)") for line in summary.lines())


def test_a_correction_becomes_the_label_and_the_logged_answer_is_kept(summary: ExtractSummary) -> None:
    rows = dataset.read_split(Path(summary.path), "train").to_pylist()
    (corrected,) = [row for row in rows if row["label_source"] == "corrected"]
    assert corrected["record_id"] == "r00011"
    assert corrected["completion"] == [{"role": "assistant", "content": "refund"}]
    assert corrected["logged"]["text"] == "delivery"


def test_splits_are_consecutive_in_time_and_share_no_prompt(summary: ExtractSummary) -> None:
    splits = [dataset.read_split(Path(summary.path), name).to_pylist() for name in dataset.SPLITS]
    for earlier, later in itertools.pairwise(splits):
        assert earlier[-1]["ts"] <= later[0]["ts"]
    prompts = [str(row["prompt"]) for rows in splits for row in rows]
    assert len(set(prompts)) == len(prompts) == summary.rows


def test_a_pruned_prompt_is_rendered_from_its_template(summary: ExtractSummary) -> None:
    templates = dataset.load(Path(summary.path)).call_sites["shop.topic"].templates
    for row in dataset.read_split(Path(summary.path), "test").to_pylist():
        found = match_any(templates, row["original_prompt"])
        assert found is not None
        assert render(*found) == row["prompt"]
        assert f"Question: {row['prompt'][-1]['content']}" == row["original_prompt"][-1]["content"]
    assert summary.prompt_chars_pruned < summary.prompt_chars_original / 4


def test_the_datasets_library_reads_every_split(summary: ExtractSummary, tmp_path: Path) -> None:
    import datasets

    files = {name: str(Path(summary.path) / f"{name}.parquet") for name in dataset.SPLITS}
    loaded = datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path))
    assert {name: loaded[name].num_rows for name in dataset.SPLITS} == {n: s.rows for n, s in summary.splits.items()}
    first = loaded["train"][0]
    assert [turn["role"] for turn in first["prompt"]] == ["system", "user"]
    assert first["completion"][0]["content"] in QUESTIONS
    assert first["cohort"] == {"plan": "paid"}


def test_a_second_run_finds_the_existing_dataset(home: Home, summary: ExtractSummary) -> None:
    again = extract.run("shop.topic", home=home)
    assert again == msgspec.structs.replace(summary, written=False)
    assert f"already there: {summary.path}" in again.lines()
    assert home.dataset("shop.topic") == Path(summary.path)


SCRIPT = """
import sys, pathlib
from pipeline import extract
from traffic.artifacts import Home
print(extract.run("shop.topic", home=Home(pathlib.Path(sys.argv[1]))).dataset)
"""


def test_the_dataset_does_not_depend_on_the_hash_seed(summary: ExtractSummary, tmp_path: Path) -> None:
    outputs = {}
    for seed in ("1", "2"):
        home = Home(tmp_path / seed)
        feedback = [
            {"id": f"r{n:05}", "thumb": "down", "corrected": label, "ts": START + timedelta(days=1)}
            for n, label in ((10, None), (11, "refund"))
        ]
        # The store holds the same records, committed in another order.
        records = dirty_log()
        store.append(home, records if seed == "1" else records[::-1], source="test", signals={"feedback": feedback})
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(extract.__file__).parents[2])}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(home.root)], env=environment, capture_output=True, text=True, check=True
        )
        folder = home.datasets / done.stdout.strip()
        outputs[seed] = undated(folder)
        assert done.stdout.strip() == summary.dataset
    assert outputs["1"] == outputs["2"]
    assert {"dataset.yaml", "train.parquet", "README.md", "filters.svg"} <= set(outputs["1"])


def test_an_entry_in_the_registry_sets_checks_and_request_type(home: Home) -> None:
    entry = CallSite(name="shop.topic", request_type="moderation", checks=Checks(labels=("gears", "refund")))
    config = ExtractConfig(min_rows=50)
    found = extract.run("shop.topic", home=home, config=config, registry=Registry(call_sites=(entry,)))
    assert found.request_type == "moderation"
    assert found.labels == 2
    assert {f.name: f.removed for f in found.filters}["off_label_set"] > 100


def test_the_cap_on_training_rows_is_counted_and_does_not_affect_other_splits(
    home: Home, summary: ExtractSummary
) -> None:
    capped = extract.run("shop.topic", home=home, config=ExtractConfig(max_train_rows=20))
    assert capped.splits["train"].rows == 20
    assert capped.splits["test"] == summary.splits["test"]
    assert {f.name: f.removed for f in capped.filters}["train_cap"] == summary.splits["train"].rows - 20


def test_a_call_site_of_another_tier_is_refused_unless_overridden(tmp_path: Path) -> None:
    home = Home(tmp_path)
    store.append(home, [record(n, tier=2) for n in range(120)], source="test")
    with pytest.raises(InputError, match=r"shop\.topic is not Tier 1: of 120 answered requests tier 2: 120"):
        extract.run("shop.topic", home=home)
    assert extract.run("shop.topic", home=home, config=ExtractConfig(tier="any")).rows == 120


def test_too_little_data_an_unknown_call_site_and_an_empty_store_are_errors(home: Home, tmp_path: Path) -> None:
    with pytest.raises(NotEnoughData, match="1,000 are needed"):
        extract.run("shop.topic", home=home, config=ExtractConfig(min_rows=1000))
    with pytest.raises(NotFound, match=r"did you mean `shop\.topic`"):
        extract.run("shop.topics", home=home)
    with pytest.raises(NotFound, match="fasttier ingest"):
        extract.run("shop.topic", home=Home(tmp_path))


def test_a_call_site_without_usable_answers_reports_the_largest_filter(tmp_path: Path) -> None:
    home = Home(tmp_path)
    store.append(home, [record(n, status=500, output=Output()) for n in range(30)], source="test")
    with pytest.raises(InputError, match=r"30 errors"):
        extract.run("shop.topic", home=home)


def test_a_log_without_cohorts_gives_a_dataset(tmp_path: Path) -> None:
    home = Home(tmp_path)
    store.append(home, [record(n, cohort={}) for n in range(120)], source="test")
    written = extract.run("shop.topic", home=home)
    assert dataset.load(Path(written.path)).cohorts == {"plan": {"unknown": 120}}
    assert dataset.read_split(Path(written.path), "test").num_rows == 12
