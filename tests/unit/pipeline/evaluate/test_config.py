"""The candidates file: valid entries, and error messages."""

from pathlib import Path

import pytest

from pipeline.evaluate.config import CandidatesConfig, HostedConfig, kind_of, missing_key, read_key
from traffic import config
from traffic.errors import ConfigError


def load(text: str, folder: Path) -> CandidatesConfig:
    path = folder / "candidates.yaml"
    path.write_text(text)
    return config.load(path, CandidatesConfig)


def test_the_shipped_file_has_every_kind_of_candidate() -> None:
    shipped = config.load(config.CONFIGS / "candidates.yaml", CandidatesConfig)
    assert {kind_of(candidate) for candidate in shipped.candidates} == {
        "adapter", "base", "teacher", "classical", "encoder", "openai", "cascade",
    }  # fmt: skip


@pytest.mark.parametrize(
    "text, part",
    [
        ("candidates: []", "length >= 1"),
        ("candidates: [{name: a, kind: oracle}]", "oracle"),
        ("candidates: [{name: a}]", "kind"),
        ("candidates: [{name: a, kind: teacher, modle: x}]", "modle"),
        ("candidates: [{name: a/b, kind: teacher}]", "candidates[0].name"),
        ("candidates: [{name: a@1, kind: teacher}]", "candidates[0].name"),
        ("candidates: [{name: a, kind: teacher}, {name: a, kind: base}]", "duplicate candidate name 'a'"),
        ("candidates: [{name: a, kind: openai, base_url: localhost, model: m}]", "base_url"),
        (
            "{judge: {candidate: b}, candidates: [{name: a, kind: teacher}]}",
            "judge 'b' is not a candidate",
        ),
        ("candidates: [{name: a, kind: openai, base_url: 'http://x/v1', model: m, mode: later}]", "mode"),
        ("{concurrency: 0, candidates: [{name: a, kind: teacher}]}", "concurrency"),
        ("candidates: [{name: a, kind: openai, base_url: 'http://x/v1', model: m, api_key: sk-1}]", "api_key"),
    ],
)
def test_invalid_input_is_an_error_with_its_location(text: str, part: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text, tmp_path)
    assert part in str(caught.value)
    assert str(tmp_path / "candidates.yaml") in str(caught.value)


def test_the_key_is_read_only_from_the_named_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOME_PROVIDER_KEY", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-another")
    hosted = HostedConfig(name="a", base_url="http://x/v1", model="m", api_key_env="SOME_PROVIDER_KEY")
    assert missing_key(hosted) == "SOME_PROVIDER_KEY"
    assert read_key(hosted) is None
    monkeypatch.setenv("SOME_PROVIDER_KEY", "sk-right")
    assert missing_key(hosted) is None
    assert read_key(hosted) == "sk-right"


def test_a_candidate_without_a_key_is_not_skipped() -> None:
    assert missing_key(HostedConfig(name="a", base_url="http://x/v1", model="m")) is None
