"""The adapter's card: purpose, training data, and licence duties of the base model."""

from pathlib import Path

import msgspec
import pytest
import yaml

from pipeline import rights
from pipeline.dataset import ConfirmedTerms, Rights, load
from pipeline.train import artefact, model_card
from traffic import adapters
from traffic.adapters import Adapter, BaseModel
from traffic.artifacts import Home

GOLDEN = Path(__file__).resolve().parents[3] / "golden"
TABLE = rights.load()
TERMS = ConfirmedTerms(
    name="openai",
    outputs="conditional",
    clause="No competing models.",
    source="https://openai.example/terms",
    terms_read="2026-11-23",
    terms_verified="quoted",
    confirmed_on="2026-11-24",
)


@pytest.fixture
def adapter(tmp_path: Path) -> Adapter:
    (tmp_path / "adapter.yaml").write_bytes((GOLDEN / "adapter-v1.yaml").read_bytes())
    return adapters.load(tmp_path)


def made(adapter: Adapter, base: str, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "dataset.yaml").write_bytes((GOLDEN / "dataset-v1.yaml").read_bytes())
    licence = rights.load().licence(base)
    on = msgspec.structs.replace(adapter, base_model=BaseModel(base, "0123abc", "/models"))
    dataset = msgspec.structs.replace(load(tmp_path), rights=Rights(answers={"openai": 950}, confirmed=(TERMS,)))
    return model_card.files(on, licence, dataset)


def test_the_folder_of_a_llama_adapter_has_its_licence_texts(adapter: Adapter, tmp_path: Path) -> None:
    files = made(adapter, "meta-llama/Llama-3.1-8B-Instruct", tmp_path)
    page = files["README.md"]
    assert "# Llama-mail.sort@0a1b2c3d" in page
    assert "**Built with Llama**" in page
    assert "Acceptable Use Policy" in page
    assert files["NOTICE"].startswith("Llama 3.1 is licensed under the Llama 3.1 Community License")
    assert yaml.safe_load(page.split("---\n")[1])["license"] == "llama3.1"


def test_an_apache_model_has_its_duties_without_a_notice(adapter: Adapter, tmp_path: Path) -> None:
    files = made(adapter, "Qwen/Qwen2.5-7B-Instruct", tmp_path)
    assert set(files) == {"README.md"}
    assert "ships a copy of the Apache License 2.0" in files["README.md"]
    assert "# mail.sort@0a1b2c3d" in files["README.md"]
    assert "Built with Llama" not in files["README.md"]


def test_a_base_model_with_an_unknown_licence_is_reported(adapter: Adapter, tmp_path: Path) -> None:
    page = made(adapter, "someone/else", tmp_path)["README.md"]
    assert "`someone/else` is not in configs/rights.yaml" in page
    assert "license: other" in page


def test_the_card_names_call_sites_data_metrics_and_confirmed_terms(adapter: Adapter, tmp_path: Path) -> None:
    page = made(adapter, "Qwen/Qwen2.5-7B-Instruct", tmp_path)["README.md"]
    assert "| `mail.sort` | classification | 1 | one of 3 labels | 8 |" in page
    assert "`mail.sort@11223344`: logged requests of 2026-11-01 to 2026-11-14" in page
    assert "| validation_loss | 0.113 |" in page
    assert "950 answers are under the terms of openai" in page
    assert "The author of the dataset confirmed that this use is allowed on 2026-11-24" in page


def test_licence_texts_are_published_and_do_not_affect_the_adapters_name(adapter: Adapter, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    (files / artefact.WEIGHTS).write_text("weights")
    folder = artefact.publish(files, adapter, Home(tmp_path / "home"), {"README.md": "card\n", "NOTICE": "notice\n"})
    assert folder.name == adapter.name
    assert {file.name for file in folder.iterdir()} == {"README.md", "NOTICE", "adapter.yaml", artefact.WEIGHTS}
