"""The table `configs/rights.yaml`: whose answers may be trained on, and what base models' licences ask for."""

import datetime as dt
import functools
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from traffic import config

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
    """Patterns of the model, for records that name no provider, or rows that name none."""

    def covers(self, provider: str | None, model: str | None) -> bool:
        if provider and self.providers:
            return any(fnmatchcase(provider.lower(), pattern) for pattern in self.providers)
        return bool(model) and any(fnmatchcase(str(model).lower(), pattern.lower()) for pattern in self.models)


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

    def terms(self, provider: str | None, model: str | None) -> ProviderTerms | None:
        """The first row that covers an answer; None where no row does."""
        return next((row for row in self.providers if row.covers(provider, model)), None)

    def licence(self, base_model: str) -> BaseModelLicence | None:
        """By the base model's hub id."""
        return next(
            (row for row in self.base_models if any(fnmatchcase(base_model, each) for each in row.models)), None
        )


@functools.cache
def load(path: Path = TABLE) -> RightsTable:
    """Read once per process: each call site of a task asks for it. Raises: NotFound, ConfigError."""
    return config.load(path, RightsTable)
