"""`extract` on a log whose system prompt has a name and a date in it and changes midway, by providers with terms."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline import dataset, extract, store
from pipeline.extract import ExtractConfig, ExtractSummary
from pipeline.extract.config import RightsConfig
from tests.fakes.call_site_rows import QUESTIONS, START, SYSTEM, record
from traffic.artifacts import Home
from traffic.errors import InputError
from traffic.prompts import match_any, render
from traffic.record import Record

pytestmark = pytest.mark.integration

NAMES = ("Ada", "Ben", "Cleo", "Dora", "Emil", "Fay", "Gus")
CHANGED = 150


def logged(index: int, **changes: Any) -> Record:
    label = list(QUESTIONS)[index % len(QUESTIONS)]
    rules = SYSTEM if index < CHANGED else SYSTEM + "\nNever apologise."
    system = f"You help {NAMES[index % 7]}. Today is {START + timedelta(days=index // 20):%Y-%m-%d}.\n{rules}"
    messages = [
        {"role": "system", "content": system},
        {"role": "user", "content": QUESTIONS[label].format(f"{index} of {index * 7919 % 10_007}")},
    ]
    fields = {"messages": msgspec.Raw(msgspec.json.encode(messages)), "provider": "openai", "model": "gpt-4o"}
    return record(index, **(fields | changes))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("home"))
    records = [logged(n) for n in range(240)]
    records += [logged(n, provider="anthropic", model="claude-x") for n in range(240, 260)]
    records += [logged(n, customer_id="acme") for n in range(260, 270)]
    records += [logged(n, cohort={"training": "false"}) for n in range(270, 275)]
    store.append(home, records, source="test")
    (home.root / "opted-out.txt").write_text("acme\n")
    return home


@pytest.fixture(scope="module")
def summary(home: Home) -> ExtractSummary:
    rights = RightsConfig(confirmed=("openai",), opted_out=str(home.root / "opted-out.txt"))
    return extract.run("shop.topic", home=home, config=ExtractConfig(rights=rights))


def test_each_version_of_a_prompt_with_a_name_and_a_date_is_one_template(summary: ExtractSummary) -> None:
    templates = dataset.load(Path(summary.path)).call_sites["shop.topic"].templates
    assert [t.original[0].slots for t in templates] == [2, 2]
    for row in dataset.read_split(Path(summary.path), "train").to_pylist():
        found = match_any(templates, row["original_prompt"])
        assert found is not None
        assert found[0].id == row["template"]
        assert render(*found) == row["prompt"]
        assert row["prompt"][0]["content"].startswith("topic\nYou help ")


def test_a_prompt_change_is_reported_with_its_day(summary: ExtractSummary) -> None:
    (change,) = dataset.load(Path(summary.path)).prompts.changes
    assert change.at == (START + timedelta(minutes=CHANGED)).isoformat()
    assert (change.lines_added, change.first_change) == (1, "+Never apologise.")
    assert any(line.startswith("prompt changed 1 time(s)") for line in summary.lines())


def test_opt_outs_and_restricted_answers_are_removed_and_counted(summary: ExtractSummary) -> None:
    card = dataset.load(Path(summary.path))
    assert (card.rights.opted_out, card.rights.restricted) == (15, {"anthropic": 20})
    assert set(card.rights.answers) == {"openai"}
    assert {row["logged"]["model"] for row in dataset.read_split(Path(summary.path), "test").to_pylist()} == {"gpt-4o"}


def test_the_card_and_its_charts_are_in_the_dataset_folder(summary: ExtractSummary) -> None:
    folder = Path(summary.path)
    page = (folder / "README.md").read_text(encoding="utf-8")
    assert "terms_anthropic" in page
    assert all(
        (folder / name).is_file() for name in ("filters.svg", "days.svg", "labels.svg", "cohorts.svg", "tokens.svg")
    )


def test_unconfirmed_terms_are_an_error_that_names_the_option(home: Home) -> None:
    with pytest.raises(InputError, match=r"--set 'rights\.confirmed=\[openai,anthropic\]'") as found:
        extract.run("shop.topic", home=home, config=ExtractConfig(tier="any"))
    assert "openai" in str(found.value)
