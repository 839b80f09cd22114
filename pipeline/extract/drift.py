"""Drift: labels and templates that occur only in the log's last days.

A rare label is often first seen late. It counts as new only if chance is unlikely: if its rows were spread evenly over
the log, the probability that all of them fall into the last days is below 0.001.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

from pipeline.dataset import Arrival, Drift
from pipeline.extract.rows import Row

DAYS = 7
_CHANCE = 1e-3


def report(parts: Mapping[str, Sequence[Row]], labelled: Sequence[str]) -> Drift:
    """Labels of the call sites `labelled`, and templates of all, that first occur in the log's last seven days.

    For a log shorter than two weeks, its second half is used. Rows are dataset rows, so copies count once.
    """
    rows = sorted((row for part in parts.values() for row in part), key=lambda row: row.ts)
    if not rows:
        return Drift()
    split_of = {row.id: name for name, part in parts.items() for row in part}
    first, last = rows[0].ts, rows[-1].ts
    since = max(last - timedelta(days=DAYS), first + (last - first) / 2)
    by_site: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_site[row.call_site].append(row)
    labels: list[Arrival] = []
    templates: list[Arrival] = []
    for site, mine in sorted(by_site.items()):
        if site in labelled:
            labels += _arrivals(site, mine, [row.answer for row in mine], since, split_of)
        templates += _arrivals(site, mine, [row.template for row in mine], since, split_of)
    return Drift(labels=tuple(labels), templates=tuple(templates))


def _arrivals(
    site: str, rows: Sequence[Row], values: Sequence[str], since: datetime, split_of: Mapping[str, str]
) -> list[Arrival]:
    late = sum(row.ts >= since for row in rows) / len(rows)
    days = _last_days(rows)
    totals = Counter(row.ts.date() for row in rows)
    with_value: dict[str, list[Row]] = defaultdict(list)
    for row, value in zip(rows, values, strict=True):
        with_value[value].append(row)
    drifted = []
    for value, mine in with_value.items():
        if mine[0].ts < since or late ** len(mine) >= _CHANCE:
            continue
        counts = Counter(row.ts.date() for row in mine)
        drifted.append(
            Arrival(
                call_site=site,
                value=value,
                first_seen=mine[0].ts.isoformat(),
                rows=len(mine),
                train_rows=sum(split_of[row.id] == "train" for row in mine),
                test_rows=sum(split_of[row.id] == "test" for row in mine),
                daily_share={
                    day.isoformat(): round(counts[day] / totals[day], 4) if totals[day] else 0.0 for day in days
                },
            )
        )
    return sorted(drifted, key=lambda arrival: (-arrival.rows, arrival.value))


def _last_days(rows: Sequence[Row]) -> list[date]:
    end = rows[-1].ts.date()
    return [end - timedelta(days=n) for n in reversed(range(DAYS))]
