"""Measures each shape: behaviour from a sample, counts from the whole log, and the resulting proposal."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import duckdb

from pipeline.profile import batches, known_call_sites, system_material
from pipeline.profile.behaviour import Behaviour, behaviour
from pipeline.profile.propose import propose
from pipeline.profile.proposed_registry import Profiled
from pipeline.profile.shapes import Shape
from pipeline.profile.skill import with_skill

_LABEL_CHARS = 80
_LABELS = 500


def profiled(connection: duckdb.DuckDBPyConnection, shapes: Sequence[Shape]) -> list[Profiled]:
    """Shapes of the temp table `priced` that have requests, the most frequent first."""
    counts = _counts(connection)
    labels = _labels(connection)
    measured: list[tuple[int, Shape, Behaviour]] = []
    for number, shape in enumerate(shapes):
        if number in counts and shape.samples:
            samples = system_material.apart(batches.items([sampled.with_arguments() for sampled in shape.samples]))
            measured.append((number, shape, with_skill(behaviour(samples), samples)))
    tiers = known_call_sites.fitted().probabilities([(b, shape.prompt) for _, shape, b in measured])
    profiles = [
        Profiled(
            number=number,
            shape=shape,
            behaviour=b,
            proposal=propose(b, known),
            label_counts=labels.get(number, {}),
            **counts[number],
        )
        for (number, shape, b), known in zip(measured, tiers, strict=True)
    ]
    profiles.sort(key=lambda p: (-p.requests, p.shape.name))
    return profiles


def _counts(connection: duckdb.DuckDBPyConnection) -> dict[int, dict[str, Any]]:
    rows = connection.execute("""
        select shape, count(*) filter (where purpose = 'serve') as requests, count(*) as attempts,
               sum(logged_usd) + sum(coalesce(estimated_usd, 0)) as spend_usd, mode(visibility) as visibility,
               quantile_disc(output_tokens, 0.999) filter (where has_usage and ok and output_tokens > 0) as p999,
               count(*) filter (where has_usage and ok and output_tokens > 0) as output_rows,
               count(*) filter (where ok and purpose = 'serve') as answered
        from priced group by shape
    """).fetchall()
    names = ("requests", "attempts", "spend_usd", "visibility", "output_tokens_p999", "output_rows", "answered")
    return {row[0]: dict(zip(names, row[1:], strict=True)) for row in rows}


def _labels(connection: duckdb.DuckDBPyConnection) -> dict[int, dict[str, int]]:
    rows = connection.execute(f"""
        with answered as (
            select p.shape, trim(r.output.text) as answer, count(*) as n from priced p join records r using (id)
            where p.ok and p.output_chars between 1 and {_LABEL_CHARS} group by all
        )
        select shape, answer, n from answered
        qualify row_number() over (partition by shape order by n desc, answer) <= {_LABELS}
        order by shape, n desc, answer
    """).fetchall()  # noqa: S608
    by_shape: dict[int, dict[str, int]] = defaultdict(dict)
    for shape, answer, n in rows:
        by_shape[shape][answer] = n
    return by_shape
