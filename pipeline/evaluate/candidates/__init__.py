"""Kinds of candidates, behind one Protocol (`candidate.Candidate`)."""

from collections.abc import Mapping
from pathlib import Path
from typing import assert_never

from pipeline.evaluate.candidates.candidate import Answered, Candidate, Resources
from pipeline.evaluate.candidates.cascade import Cascade
from pipeline.evaluate.candidates.classifier import ClassicalModel, EncoderModel
from pipeline.evaluate.candidates.hosted import HostedModel
from pipeline.evaluate.candidates.logged import LoggedAnswers
from pipeline.evaluate.candidates.own_server import OwnServerModel
from pipeline.evaluate.config import (
    AdapterConfig,
    BaseConfig,
    CandidateConfig,
    CascadeConfig,
    ClassicalConfig,
    EncoderConfig,
    HostedConfig,
    TeacherConfig,
)

__all__ = ["Answered", "Candidate", "Cascade", "HostedModel", "Resources", "build"]


def build(config: CandidateConfig, task: str, resources: Resources, finished: Mapping[str, Path]) -> Candidate:
    """The candidate of an entry in the candidates file.

    `finished`: folders of the evaluations so far, by candidate; cascades are computed from them.

    Raises: NotFound, ConfigError if the files of an own model are missing or broken.
    """
    match config:
        case TeacherConfig():
            return LoggedAnswers(config)
        case HostedConfig():
            return HostedModel(config, resources)
        case AdapterConfig() | BaseConfig():
            return OwnServerModel(config, task, resources)
        case ClassicalConfig():
            return ClassicalModel(config, resources)
        case EncoderConfig():
            return EncoderModel(config, task, resources)
        case CascadeConfig():
            return Cascade(config, resources.home, finished)
        case _:
            assert_never(config)
