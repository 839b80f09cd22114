"""Many texts at once: each distinct one is looked at once, on all cores where there are enough of them."""

import logging
from collections.abc import Iterable
from functools import lru_cache

from pipeline.extract.config import PrivacyConfig
from pipeline.extract.privacy.recognisers import Finder, Found
from traffic.processes import cores, pool

Findings = dict[str, tuple[Found, ...]]

_WORTH_A_POOL = 20_000
"""Texts; below that a second process costs more (presidio's import) than it saves."""
_CHUNK = 500


def find_all(texts: Iterable[str], config: PrivacyConfig, processes: int | None = None) -> Findings:
    """What stands in each text that holds anything; the same whatever the number of processes (None: all cores)."""
    finder = _finder(config)
    suspects = [text for text in dict.fromkeys(texts) if finder.may_hold(text)]
    workers = cores() if processes is None else processes
    if workers == 1 or (processes is None and len(suspects) < _WORTH_A_POOL):
        results = [finder.find(text) for text in suspects]
    else:
        chunks = [suspects[start : start + _CHUNK] for start in range(0, len(suspects), _CHUNK)]
        # Not fork: DuckDB's threads do not survive it. One server imports presidio, the workers share it.
        with pool(workers, "forkserver", preload=[__name__], initializer=_quiet) as executor:
            parts = executor.map(_find_chunk, chunks, [config] * len(chunks))
            results = [found for part in parts for found in part]
    return {text: found for text, found in zip(suspects, results, strict=True) if found}


@lru_cache(maxsize=2)
def _finder(config: PrivacyConfig) -> Finder:
    _quiet()
    return Finder(config)


def _quiet() -> None:
    # presidio logs an error for every candidate whose check digits are not even digits.
    logging.getLogger("presidio-analyzer").setLevel(logging.CRITICAL)


def _find_chunk(texts: list[str], config: PrivacyConfig) -> list[tuple[Found, ...]]:
    finder = _finder(config)
    return [finder.find(text) for text in texts]
