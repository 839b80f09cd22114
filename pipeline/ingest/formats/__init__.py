"""The log formats that ingest reads: one module per format, each with a `FORMAT`; and how to tell them apart."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from pipeline.ingest.formats import litellm, native, openai_pairs
from pipeline.ingest.formats.format import Format, LineReader, Reading, Unreadable

FORMATS: dict[str, Format] = {module.FORMAT.name: module.FORMAT for module in (litellm, openai_pairs, native)}

__all__ = ["FORMATS", "Format", "LineReader", "Reading", "Unreadable", "sniff"]


def sniff(trees: Iterable[Any]) -> Format | None:
    """The format that recognises most of these decoded lines; None when none recognises any."""
    votes = Counter(
        name
        for tree in trees
        if isinstance(tree, dict)
        for name, candidate in FORMATS.items()
        if candidate.recognises(tree)
    )
    return FORMATS[votes.most_common(1)[0][0]] if votes else None
