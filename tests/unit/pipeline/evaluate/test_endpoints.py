"""Servers needed by own candidates."""

from pathlib import Path

import pytest

from pipeline.evaluate.config import AdapterConfig, BaseConfig, CandidatesConfig, TeacherConfig
from pipeline.evaluate.endpoints import Endpoint, from_options, needs_server, own_model
from tests.fakes.task_datasets import TEMPLATE, make
from traffic import config
from traffic.adapters import Adapter, BaseModel, CallSitePrompts
from traffic.artifacts import Home
from traffic.errors import ConfigError, ModelUnavailable, NotFound

OWN = CandidatesConfig(
    candidates=(TeacherConfig(name="teacher"), AdapterConfig(name="adapter"), BaseConfig(name="base"))
)


def adapter(home: Home, name: str, *, weights: Path, rank: int = 16) -> Path:
    folder = home.adapters / name
    folder.mkdir(parents=True)
    card = Adapter(
        name=name,
        task=name.partition("@")[0],
        base_model=BaseModel(name="org/tiny", revision="abc", path=str(weights)),
        rank=rank,
        dataset="support.intent@00000000",
        call_sites={"support.intent": CallSitePrompts(templates=(TEMPLATE,), request_type="intent")},
        chat_template_sha256="0" * 64,
        config={},
        metrics={},
        libraries={},
        licence="apache-2.0",
    )
    (folder / "adapter.yaml").write_text(config.dump(card))
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


def test_an_adapter_and_its_base_share_one_server(home: Home, weights: Path) -> None:
    folder = adapter(home, "support.intent@11111111", weights=weights)
    [need] = needs_server(OWN, make(home.datasets, others=2), home)
    assert need.base_model == weights
    assert need.base_name == "org/tiny"
    assert need.adapters == {"support.intent@11111111": folder}
    assert need.max_rank == 16
    assert need.candidates == {"adapter": "support.intent@11111111", "base": "org/tiny"}


def test_candidates_with_an_endpoint_need_no_server(home: Home, weights: Path) -> None:
    adapter(home, "support.intent@11111111", weights=weights)
    dataset = make(home.datasets, others=2)
    assert needs_server(OWN, dataset, home, given={"adapter", "base"}) == []
    [need] = needs_server(OWN, dataset, home, given={"base"})
    assert list(need.candidates) == ["adapter"]


def test_different_base_models_get_separate_servers(home: Home, weights: Path, tmp_path: Path) -> None:
    adapter(home, "support.intent@11111111", weights=weights)
    (tmp_path / "other").mkdir()
    chosen = CandidatesConfig(
        candidates=(AdapterConfig(name="adapter"), BaseConfig(name="big", model=str(tmp_path / "other")))
    )
    needs = needs_server(chosen, make(home.datasets, others=2), home)
    assert [list(need.candidates.values()) for need in needs] == [["support.intent@11111111"], ["other"]]


def test_missing_weights_are_an_error_with_a_remedy(home: Home, tmp_path: Path) -> None:
    adapter(home, "support.intent@11111111", weights=tmp_path / "gone")
    with pytest.raises(ModelUnavailable, match=r"org/tiny are not at .*gone; .*--endpoint CANDIDATE=URL"):
        needs_server(OWN, make(home.datasets, others=2), home)


def test_a_task_without_an_adapter_needs_no_server(home: Home) -> None:
    assert needs_server(OWN, make(home.datasets, others=2), home) == []


def test_an_adapter_that_the_candidates_file_names_must_exist(home: Home) -> None:
    named = CandidatesConfig(candidates=(AdapterConfig(name="adapter", adapter="support.intent@33333333"),))
    with pytest.raises(NotFound, match=r"candidate adapter: .*remove the candidate"):
        needs_server(named, make(home.datasets, others=2), home)


def test_an_endpoint_of_a_task_without_an_adapter_is_refused(home: Home) -> None:
    with pytest.raises(NotFound, match="fasttier train"):
        from_options(["adapter=http://127.0.0.1:8000"], OWN, make(home.datasets, others=2), home)


def test_the_identity_of_an_adapter_is_its_content_hash(home: Home, weights: Path) -> None:
    adapter(home, "support.intent@11111111", weights=weights)
    before = own_model(OWN.candidates[1], "support.intent", home)
    adapter(home, "support.intent@22222222", weights=weights)
    after = own_model(OWN.candidates[1], "support.intent", home)
    assert before is not None
    assert after is not None
    assert (before.identity, after.identity) == ("support.intent@11111111", "support.intent@22222222")


def test_an_endpoint_never_shows_its_key() -> None:
    assert "sk-secret" not in repr(Endpoint("http://x/v1", "m", "sk-secret"))


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://127.0.0.1:8000/", "http://127.0.0.1:8000/v1"])
def test_a_named_endpoint_must_serve_the_model(url: str, home: Home, weights: Path) -> None:
    adapter(home, "support.intent@11111111", weights=weights)
    endpoints = from_options([f"adapter={url}"], OWN, make(home.datasets, others=2), home)
    assert (endpoints["adapter"].base_url, endpoints["adapter"].model) == (
        "http://127.0.0.1:8000/v1",
        "support.intent@11111111",
    )


@pytest.mark.parametrize(
    "option, part",
    [
        ("http://x:1/v1", "CANDIDATE=http"),
        ("adapter=x:1", "CANDIDATE=http"),
        ("adaptor=http://x:1", "adapter, base"),
        ("teacher=http://x:1", "'teacher'"),
    ],
)
def test_an_invalid_endpoint_option_is_an_error_with_a_remedy(option: str, part: str, home: Home) -> None:
    with pytest.raises(ConfigError) as caught:
        from_options([option], OWN, make(home.datasets, others=2), home)
    assert part in str(caught.value)
