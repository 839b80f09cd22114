"""The log formats that ingest reads: one module per format, each with a `FORMAT`."""

from collections.abc import Mapping
from typing import Any

from pipeline.ingest.bodies import Unreadable
from pipeline.ingest.formats import (
    anthropic_batch,
    anthropic_pairs,
    bedrock,
    flywheel,
    helicone,
    langfuse,
    langsmith,
    litellm,
    mapped,
    mixed,
    mlflow,
    native,
    openai_batch,
    openai_finetune,
    openai_pairs,
    openai_responses,
    openai_stored,
    otel,
    portkey,
)
from pipeline.ingest.formats.format import Format, LineReader, NotARequest, Reading
from pipeline.ingest.mapping import TagMapping
from traffic import config

# Ready mappings first: what they are recognised by is more than bodies under usual names.
FORMATS: dict[str, Format] = {shipped.name: shipped for shipped in mapped.SHIPPED} | {
    module.FORMAT.name: module.FORMAT
    for module in (
        litellm,
        openai_pairs,
        openai_responses,
        openai_stored,
        openai_batch,
        openai_finetune,
        anthropic_batch,
        anthropic_pairs,
        bedrock,
        langfuse,
        helicone,
        langsmith,
        portkey,
        otel,
        mlflow,
        flywheel,
        native,
        mapped,
    )
}

__all__ = ["FORMATS", "Format", "LineReader", "NotARequest", "Reading", "Unreadable", "formats_of", "mapping_of"]


def mapping_of(name: str) -> TagMapping:
    """The shipped mapping of a format. Raises: ConfigError, NotFound (for `mapped`, which has none)."""
    folders = (config.CONFIGS / folder / f"{name}.yaml" for folder in ("log_mappings", "log_tags"))
    return config.load(next((path for path in folders if path.is_file()), config.CONFIGS / name), TagMapping)


def formats_of(tree: Mapping[str, Any]) -> list[str]:
    """Names of the formats that recognise a decoded row."""
    return [name for name, candidate in FORMATS.items() if candidate.recognises(tree)]


_MIXED = mixed.mixed_format(dict(FORMATS), formats_of, mapping_of)
FORMATS[_MIXED.name] = _MIXED
