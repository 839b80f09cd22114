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

FORMATS: dict[str, Format] = {
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

__all__ = ["FORMATS", "Format", "LineReader", "NotARequest", "Reading", "Unreadable", "formats_of"]


def formats_of(tree: Mapping[str, Any]) -> list[str]:
    """Names of the formats that recognise a decoded row."""
    return [name for name, candidate in FORMATS.items() if candidate.recognises(tree)]
