"""The invented texts, as YAML beside this file: prompts, and sentences by language (patterns of `demo.grammar`)."""

from pathlib import Path
from typing import TypeVar

from traffic import config

T = TypeVar("T")

ByLanguage = dict[str, str]
"""One pattern per language: en, de, es."""
ListByLanguage = dict[str, list[str]]


def read(name: str, type_: type[T]) -> T:
    """The file `<name>.yaml`. Raises: NotFound, ConfigError."""
    return config.load(Path(__file__).parent / f"{name}.yaml", type_)
