"""The table `configs/rights.yaml`: whose answers may be trained on, and what base models' licences ask for."""

import datetime as dt
import functools
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from traffic import config
from traffic import model_names as names

TABLE = config.CONFIGS / "rights.yaml"

Text = Annotated[str, msgspec.Meta(min_length=1)]
Verified = Literal["page", "quoted", "unverified"]


class ProviderTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the terms of one provider say about training on its answers."""

    name: Text
    """By which the user confirms it."""
    providers: tuple[str, ...]
    """Patterns (`*`, `?`, `[...]`) of the record's provider; lower case."""
    outputs: Literal["allowed", "conditional", "forbidden"]
    clause: Text
    """What the terms say, in our words."""
    source: Text
    read: dt.date
    verified: Verified
    models: tuple[str, ...] = ()
    """Patterns of the models that are its own, whoever serves them."""
    final: bool = False
    """What the provider answers is under these terms alone, whatever the model is called."""

    def hosts(self, provider: str) -> bool:
        """Is the provider (lower case) this row's?"""
        return any(fnmatchcase(provider, pattern) for pattern in self.providers)

    def made(self, model: str) -> bool:
        """Is the model of this spelling (lower case) this row's?"""
        return any(fnmatchcase(model, pattern.lower()) for pattern in self.models)


class BaseModelLicence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Duties that come with a base model, and so with every adapter on it."""

    name: Text
    models: tuple[str, ...]
    """Patterns of the hub id."""
    licence: Text
    licence_id: Text
    """As the hub's model cards write it."""
    duties: tuple[Text, ...]
    source: Text
    read: dt.date
    verified: Verified
    name_prefix: str = ""
    """With which the name of a model that is passed on must begin."""
    notice: str = ""
    """Text of the NOTICE file that goes with every copy."""


class RightsTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`configs/rights.yaml`."""

    schema_version: Literal[1]
    providers: tuple[ProviderTerms, ...]
    base_models: tuple[BaseModelLicence, ...] = ()

    def terms(self, provider: str | None, model: str | None) -> tuple[ProviderTerms, ...]:
        """The rows whose terms bind an answer: that of its host, then that of the model's maker.

        A gateway in front, or in the model's name, does not hide either. Open weights that a company serves itself
        have a provider without a row; then the maker's row counts alone. Empty where no row covers the answer.
        """
        found = names.parse(provider, model)
        hosts = ((row for row in self.providers if row.hosts(name)) for name in found.providers)
        host = next((row for rows in hosts for row in rows), None)
        if host is not None and host.final:
            return (host,)
        makers = [next((row for row in self.providers if row.made(name)), None) for name in found.spellings]
        return tuple(dict.fromkeys(row for row in (host, *makers) if row is not None))

    def licence(self, base_model: str) -> BaseModelLicence | None:
        """By the base model's hub id."""
        return next(
            (row for row in self.base_models if any(fnmatchcase(base_model, each) for each in row.models)), None
        )


@functools.cache
def load(path: Path = TABLE) -> RightsTable:
    """Read once per process: each call site of a task asks for it. Raises: NotFound, ConfigError."""
    return config.load(path, RightsTable)
