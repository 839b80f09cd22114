"""The table `configs/rights.yaml`: provider terms on training with answers, and licences of base models."""

import datetime as dt
import functools
import re
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
    """Terms of one provider on training with its answers."""

    name: Text
    """Name in `rights.confirmed`."""
    providers: tuple[str, ...]
    """Patterns (`*`, `?`, `[...]`) of the record's provider, in lower case."""
    outputs: Literal["allowed", "conditional", "forbidden"]
    clause: Text
    """Summary of the relevant clause."""
    source: Text
    read: dt.date
    verified: Verified
    models: tuple[str, ...] = ()
    """Patterns of the provider's own models, also when others serve them."""
    final: bool = False
    """Only these terms apply to the provider's answers, regardless of the model."""

    def hosts(self, provider: str) -> bool:
        """Whether the row covers the provider (lower case)."""
        return any(fnmatchcase(provider, pattern) for pattern in self.providers)

    def made(self, model: str) -> bool:
        """Whether the row covers the model in this spelling (lower case)."""
        return any(fnmatchcase(model, pattern.lower()) for pattern in self.models)


class BaseModelLicence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Licence obligations of a base model, which also apply to its adapters."""

    name: Text
    models: tuple[str, ...]
    """Patterns of the hub id."""
    licence: Text
    licence_id: Text
    """Licence id in the hub's model cards."""
    duties: tuple[Text, ...]
    source: Text
    read: dt.date
    verified: Verified
    name_prefix: str = ""
    """Required prefix of the name of a published model."""
    notice: str = ""
    """Text of the required NOTICE file."""


class RightsTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`configs/rights.yaml`."""

    schema_version: Literal[1]
    providers: tuple[ProviderTerms, ...]
    base_models: tuple[BaseModelLicence, ...] = ()

    def terms(self, provider: str | None, model: str | None) -> tuple[ProviderTerms, ...]:
        """Rows that apply to an answer: that of the host, then that of the model's developer.

        Gateways, also in the model's name, are ignored. For self-hosted open weights only the developer's row applies.
        Empty if no row covers the answer.
        """
        parsed = names.parse(provider, model)
        hosts = ((row for row in self.providers if row.hosts(name)) for name in parsed.providers)
        host = next((row for rows in hosts for row in rows), None)
        if host is not None and host.final:
            return (host,)
        makers = list(filter(None, map(self._maker, parsed.spellings)))
        if not makers:
            # Deployments and resellers add words of their own: databricks-claude-sonnet-4, Anthropic: Claude Sonnet 4.
            words = [re.split(r"[\s:/_-]+", name) for name in parsed.spellings[:1]]
            ends = ("-".join(part[start:]) for part in words for start in range(len(part)))
            makers = list(filter(None, map(self._maker, ends)))[:1]
        return tuple(dict.fromkeys(row for row in (host, *makers) if row is not None))

    def _maker(self, model: str) -> ProviderTerms | None:
        return next((row for row in self.providers if row.made(model)), None)

    def licence(self, base_model: str) -> BaseModelLicence | None:
        """Licence of a base model, by hub id; None if it is not listed."""
        rows = (row for row in self.base_models if any(fnmatchcase(base_model, name) for name in row.models))
        return next(rows, None)


@functools.cache
def load(path: Path = TABLE) -> RightsTable:
    """Load the table, cached per process. Raises: NotFound, ConfigError."""
    return config.load(path, RightsTable)
