"""Own models of either kind: adapters (`data/adapters/`) and classifiers (`data/classifiers/`)."""

import datetime as dt
from pathlib import Path

from traffic import adapters, classifiers
from traffic.adapters import Adapter
from traffic.artifacts import Home
from traffic.classifiers import Classifier
from traffic.errors import NotFound

Card = Adapter | Classifier
_EARLIEST = dt.datetime.min.replace(tzinfo=dt.UTC)


def load(folder: Path) -> Card:
    """Metadata in a model's folder. Raises: NotFound, ConfigError."""
    if (folder / classifiers.FILE).is_file():
        return classifiers.load(folder)
    return adapters.load(folder)


def named(home: Home, name: str) -> Path:
    """Folder of the model with this name; it may not exist."""
    folder = home.classifiers / name
    return folder if (folder / classifiers.FILE).is_file() else home.adapters / name


def find(home: Home, name: str | None) -> Path:
    """Folder of a model: a path, `task@hash`, a task, or None; the newest one if an adapter and a classifier match.

    Raises: NotFound, ConfigError.
    """
    folders: list[Path] = []
    problems: list[NotFound] = []
    for look in (home.adapter, home.classifier):
        try:
            folders.append(look(name))
        except NotFound as error:
            problems.append(error)
    if not folders:
        raise problems[0]
    return max(folders, key=lambda folder: _created_at(load(folder)))


def _created_at(card: Card) -> dt.datetime:
    created_at = card.created_at or _EARLIEST
    return created_at if created_at.tzinfo else created_at.replace(tzinfo=dt.UTC)
