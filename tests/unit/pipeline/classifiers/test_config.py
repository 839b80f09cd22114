"""Configurations of classifiers."""

import pytest

from cli.train import is_classifier
from pipeline.classifiers.config import Fit
from pipeline.evaluate.config import CandidatesConfig, ClassicalConfig
from traffic import config
from traffic.errors import ConfigError

FOLDER = config.CONFIGS / "train"


@pytest.mark.parametrize("name", ["encoder", "classical"])
def test_shipped_configurations_load_and_name_their_kind(name: str) -> None:
    path = FOLDER / f"{name}.yaml"
    loaded: Fit = config.load(path, Fit)  # type: ignore[arg-type] # a tagged union
    assert loaded.__struct_config__.tag == name
    assert loaded.encoder is not None
    assert loaded.encoder.wheel is not None
    assert is_classifier(path)
    assert not is_classifier(FOLDER / "smollm2-135m.yaml")


def test_the_candidate_matches_the_training_configuration() -> None:
    shipped = config.load(config.CONFIGS / "candidates.yaml", CandidatesConfig)
    candidate = next(candidate for candidate in shipped.candidates if isinstance(candidate, ClassicalConfig))
    fit: Fit = config.load(FOLDER / "classical.yaml", Fit)  # type: ignore[arg-type] # a tagged union
    assert candidate.encoder == fit.encoder


def test_an_unknown_setting_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="epoch"):
        config.load(FOLDER / "encoder.yaml", Fit, ["epoch=3"])  # type: ignore[type-var] # a tagged union


@pytest.mark.parametrize("members", ["[words]", "[embedding,embedding]", "[]"])
def test_members_without_the_fine_tuned_encoder_or_named_twice_are_refused(members: str) -> None:
    with pytest.raises(ConfigError, match="members"):
        config.load(FOLDER / "encoder.yaml", Fit, [f"members={members}"])  # type: ignore[type-var] # a tagged union
