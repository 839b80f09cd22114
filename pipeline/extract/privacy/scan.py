"""Searches many texts for personal data: each distinct text once, on all cores if there are enough texts."""

from collections.abc import Iterable
from functools import lru_cache

from pipeline.extract.config import PrivacyConfig
from pipeline.extract.privacy import person_model
from pipeline.extract.privacy.person_model import PersonModel
from traffic.processes import cores, pool
from traffic.redaction import recognisers
from traffic.redaction.recognisers import Finding, without_overlaps

Findings = dict[str, tuple[Finding, ...]]

_WORTH_A_POOL = 20_000
"""Minimum texts for several processes; fewer take less time than starting a process."""
_CHUNK = 500


class Finder:
    """The router's recognisers, and a model for names where one is installed. Raises: NotFound."""

    def __init__(self, config: PrivacyConfig) -> None:
        self._regions = config.phone_regions
        model = person_model.chosen(config.ner_model)
        self._model = PersonModel(model) if model is not None else None

    def may_hold(self, text: str) -> bool:
        return self._model is not None or recognisers.may_hold(text)

    def find(self, text: str) -> tuple[Finding, ...]:
        """Values in text order without overlaps."""
        patterns = recognisers.find(text, self._regions)
        if self._model is None:
            return patterns
        people = without_overlaps(self._model.people(text), patterns)
        return tuple(sorted((*patterns, *people), key=lambda value: value.start))


def find_all(texts: Iterable[str], config: PrivacyConfig, processes: int | None = None) -> Findings:
    """Findings by text, for texts with any; the result does not depend on `processes` (None: all cores)."""
    finder = _finder(config)
    suspects = [text for text in dict.fromkeys(texts) if finder.may_hold(text)]
    workers = cores() if processes is None else processes
    if workers == 1 or (processes is None and len(suspects) < _WORTH_A_POOL):
        results = [finder.find(text) for text in suspects]
    else:
        chunks = [suspects[start : start + _CHUNK] for start in range(0, len(suspects), _CHUNK)]
        # Not fork: DuckDB's threads do not survive it.
        with pool(workers, "forkserver", preload=[__name__]) as executor:
            parts = executor.map(_find_chunk, chunks, [config] * len(chunks))
            results = [values for part in parts for values in part]
    return {text: values for text, values in zip(suspects, results, strict=True) if values}


@lru_cache(maxsize=2)
def _finder(config: PrivacyConfig) -> Finder:
    return Finder(config)


def _find_chunk(texts: list[str], config: PrivacyConfig) -> list[tuple[Finding, ...]]:
    finder = _finder(config)
    return [finder.find(text) for text in texts]
