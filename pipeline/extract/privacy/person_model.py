"""Recognises names with a spaCy pipeline, if one is installed; for training sets only, not in the router."""

from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from traffic.errors import NotFound
from traffic.redaction.names import is_name
from traffic.redaction.recognisers import Finding, key_of


class PersonModel:
    """A spaCy pipeline with named entities."""

    def __init__(self, name: str) -> None:
        import spacy

        self._nlp: Any = spacy.load(name, exclude=["lemmatizer"])

    def people(self, text: str) -> Iterator[Finding]:
        for entity in self._nlp(text).ents:
            value = text[entity.start_char : entity.end_char]
            if entity.label_ in ("PERSON", "PER") and is_name(value):
                yield Finding("PERSON", entity.start_char, entity.end_char, key_of("PERSON", value))


def chosen(name: str | None) -> str | None:
    """The pipeline to use, by `privacy.ner_model`; None without one. Raises: NotFound if the named one is missing."""
    if name == "none":
        return None
    # The same list as spaCy's own; importing spaCy takes seconds, and most machines have no pipeline.
    installed = {entry.name for entry in metadata.entry_points(group="spacy_models")}
    if name is None:
        return min(installed, default=None)
    if name not in installed and not (Path(name) / "meta.json").exists():
        raise NotFound(
            f"privacy.ner_model: no spaCy pipeline {name!r} is installed; install it beside fasttier, "
            "or leave the key out"
        )
    return name


def versions(name: str | None) -> dict[str, str]:
    """spaCy and the pipeline by version; empty without one."""
    if name is None:
        return {}
    import spacy

    folder = spacy.util.get_package_path(name) if spacy.util.is_package(name) else Path(name)
    meta = spacy.util.load_meta(folder / "meta.json")
    return {"spacy": metadata.version("spacy"), f"{meta['lang']}_{meta['name']}": meta["version"]}
