"""The dataset's card and its charts."""

import re
from pathlib import Path

import msgspec
import pytest
import yaml

from pipeline.dataset import (
    ConfirmedTerms,
    Filter,
    PersonalData,
    PromptChange,
    Prompts,
    PromptTemplate,
    Rights,
    Split,
    TaskDataset,
    load,
)
from pipeline.extract import charts, readme
from traffic import config
from traffic.adapters import CallSitePrompts

CARD = TaskDataset(
    name="shop.topic@01234567",
    task="shop.topic",
    call_sites={"shop.topic": CallSitePrompts(templates=(), request_type="intent")},
    rows_considered=1200,
    filters=(Filter("errors", 40, "the attempt failed"), Filter("refused", 0, "the model refused")),
    rows=1160,
    splits={
        "train": Split(1000, "2026-11-01T00:00:04+00:00", "2026-11-09T11:00:00+00:00"),
        "validation": Split(40),
        "calibration": Split(40),
        "threshold": Split(40),
        "test": Split(40, "2026-11-09T11:30:00+00:00", "2026-11-10T09:00:00+00:00"),
    },
    label_sources={"teacher": 1150, "human": 10},
    cohorts={"plan": {"free": 1000, "pro": 160}},
    source_first="2026-11-01T00:00:04+00:00",
    source_last="2026-11-10T09:00:00+00:00",
    prompt_chars_original=6100,
    prompt_chars_pruned=64,
    prompt_tokens_logged=1540,
    days={
        "2026-11-01": {"train": 1000},
        "2026-11-09": {"validation": 40, "calibration": 40, "threshold": 40, "test": 40},
    },
    checks_source="a label list | in the prompt",
    labels={"gears": 900, "brakes": 260},
    unseen_labels={"wheels": 3},
    strata={"plan": {"free": {"train": 900, "test": 20}, "pro": {"train": 100, "test": 20}}},
    rights=Rights(
        opted_out=5,
        restricted={"anthropic": 9},
        answers={"openai": 1150},
        not_listed={"acme: m1": 2},
        confirmed=(
            ConfirmedTerms(
                name="openai",
                outputs="conditional",
                clause="No competing models.",
                source="https://openai.example/terms",
                terms_read="2026-11-23",
                terms_verified="quoted",
                confirmed_on="2026-11-24",
            ),
        ),
    ),
    prompts=Prompts(
        templates=(
            PromptTemplate(
                id="00000001",
                call_site="shop.topic",
                requests=600,
                share=0.5,
                first="2026-11-01T00:00:04+00:00",
                last="2026-11-05T00:00:00+00:00",
                slots=2,
                retired=True,
            ),
        ),
        changes=(
            PromptChange(
                call_site="shop.topic",
                at="2026-11-05T00:01:00+00:00",
                from_template="00000001",
                to_template="00000002",
                lines_added=2,
                lines_removed=1,
                first_change="-Rule #: say <wheels>.",
            ),
        ),
        unmatched={"shop.topic": 12},
        unmatched_lately={"shop.topic": 0.8},
    ),
    personal_data=PersonalData(
        action="redact", found={"EMAIL": 7}, redacted={"EMAIL": 7}, static={"EMAIL": ("help@shop.example",)}
    ),
    config={"seed": 0},
)


@pytest.mark.parametrize(
    "said",
    [
        "1,160 rows out of 1,200 logged attempts, 2026-11-01 to 2026-11-10",
        "| train | 1,000 | 2026-11-01T00:00 | 2026-11-09T11:00 |",
        "| errors | 40 | the attempt failed |",
        "Filters that removed nothing: refused.",
        "2 labels: gears 900, brakes 260.",
        "a label list \\| in the prompt",
        "| free | 900 | 0 | 0 | 0 | 20 |",
        "6,100 characters as sent, 1,540 tokens as billed; 64 characters (about 16 tokens) after pruning",
        "| 600 | 50.0% | 2 | 2026-11-01T00:00 | 2026-11-05T00:00 | retired before the test split |",
        "| 2026-11-05T00:01 | shop.topic | 00000001 | 00000002 | +2 -1 | -Rule #: say &lt;wheels>. |",
        "12 requests of shop.topic match no template, among them 80% of the latest requests",
        "Labels of the test split that do not occur in train: wheels 3.",
        "| EMAIL | 7 | 7 | 0 | 1 |  |",
        "opted out: 5 rows",
        "provider's terms: anthropic 9",
        "not list: acme: m1 2",
        "| openai | 2026-11-24 | conditional | No competing models. | https://openai.example/terms (quoted, ",
        "seed: 0",
    ],
)
def test_the_page_shows_the_contents_of_the_card(said: str) -> None:
    assert said in readme.page(CARD)


def test_personal_data_is_counted_and_never_shown() -> None:
    assert "help@shop.example" not in readme.page(CARD)


def test_the_page_shows_only_existing_charts() -> None:
    files = readme.files(CARD)
    shown = re.findall(r"\]\(([a-z]+\.svg)\)", files["README.md"].decode())
    assert sorted(shown) == sorted(name for name in files if name.endswith(".svg"))
    assert sorted(shown) == ["cohorts.svg", "days.svg", "filters.svg", "labels.svg", "tokens.svg"]
    assert "](" not in readme.page(CARD)


@pytest.mark.slow
def test_charts_are_reproducible_byte_by_byte() -> None:
    first = charts.svgs(CARD)
    charts.svgs(msgspec.structs.replace(CARD, labels={"x": 1}))
    assert charts.svgs(CARD) == first
    assert first["labels.svg"].startswith(b"<svg")
    assert b"brakes" in first["labels.svg"]


def test_the_filter_chart_leads_from_the_store_to_the_dataset() -> None:
    spec = charts.filters(CARD)
    bars = spec["data"]["values"]
    assert [(bar["step"], bar["start"], bar["end"]) for bar in bars] == [
        ("in the store", 0, 1200),
        ("errors", 1160, 1200),
        ("in the set", 0, 1160),
    ]


def test_less_frequent_labels_share_one_bar() -> None:
    spec = charts.labels(msgspec.structs.replace(CARD, labels={f"label {n}": 50 - n for n in range(40)}))
    assert spec is not None
    bars = spec["data"]["values"]
    assert len(bars) == 31
    assert bars[-1] == {"label": "10 more", "rows": sum(50 - n for n in range(30, 40))}


def test_the_page_header_lists_the_splits_for_the_hub() -> None:
    _, head, _ = readme.page(CARD).split("---\n", 2)
    (viewed,) = yaml.safe_load(head)["configs"]
    assert viewed["data_files"][4] == {"split": "test", "path": "test.parquet"}


def test_a_card_of_an_earlier_version_has_a_page_too(tmp_path: Path) -> None:
    (tmp_path / "dataset.yaml").write_bytes(Path("tests/golden/dataset-v1.yaml").read_bytes())
    files = readme.files(load(tmp_path))
    assert (
        "Not checked: this dataset was written by a version without detection of personal data."
        in files["README.md"].decode()
    )
    assert "days.svg" not in files


def test_a_full_card_is_the_same_after_saving() -> None:
    assert config.convert(yaml.safe_load(config.dump(CARD)), TaskDataset, source="test") == CARD
