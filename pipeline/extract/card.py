"""`dataset.yaml`: contents, origin and removed rows of a dataset."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from pipeline.dataset import Groups, Split, TaskDataset
from pipeline.extract import consent_and_terms, label_coverage, privacy, prompt_history
from pipeline.extract.call_site import Task
from pipeline.extract.config import ExtractConfig
from pipeline.extract.filters import Ledger
from pipeline.extract.rows import Row
from traffic.adapters import CallSitePrompts
from traffic.answers import labels_of
from traffic.callsites import Checks

NO_COHORT = "plan"
"""Parquet has no struct without fields: a log without cohorts gets this key, always null."""
_VARIANTS = 100
"""Maximum variants of labels on the card."""
UNKNOWN = "unknown"
"""Rows without a value in the card's counts; in the rows themselves it is null."""


def max_tokens(completions: Iterable[str]) -> int:
    """Limit of output tokens: the longest completion at 2 bytes a token plus a margin, a multiple of 8.

    The tokenizer is not known yet. English has about 4 bytes per token, and identifiers, numbers and JSON about 2.5,
    so a completion as long as the longest in the log always fits.
    """
    longest = max((len(text.encode()) for text in completions), default=0)
    return -(-(longest // 2 + 9) // 8) * 8


def describe(
    task: str,
    prompts: Mapping[str, CallSitePrompts],
    tasks: Sequence[Task],
    ledger: Ledger,
    parts: Mapping[str, Sequence[Row]],
    config: ExtractConfig,
    groups: Groups,
) -> TaskDataset:
    """Card of the rows in `parts`, without a name. Raises: AssertionError if the counts do not add up."""
    rows = [row for part in parts.values() for row in part]
    keys = sorted({key for row in rows for key in row.cohort}) or [NO_COHORT]
    filters = ledger.close(len(rows))
    billed = [row.input_tokens for row in rows if row.input_tokens]
    checks = {name: site.checks for name, site in prompts.items()}
    return TaskDataset(
        name="",
        task=task,
        call_sites=dict(prompts),
        rows_considered=ledger.considered,
        filters=filters,
        rows=len(rows),
        splits={name: _split(part) for name, part in parts.items()},
        label_sources=_counts(row.label_source for row in rows),
        cohorts={key: _counts(row.cohort.get(key, UNKNOWN) for row in rows) for key in keys},
        source_first=min(task.scan.first for task in tasks).isoformat(),
        source_last=max(task.scan.last for task in tasks).isoformat(),
        prompt_chars_original=_mean(_chars(row.messages) for row in rows),
        prompt_chars_pruned=_mean(_chars(row.pruned) for row in rows),
        prompt_tokens_logged=_mean(billed) if billed else None,
        days=_days(parts),
        checks_source=_checks_source(tasks),
        labels=_ordered(label_coverage.counts(rows, checks)),
        label_variants=_variants(ledger),
        emptied_labels=dict(sorted(ledger.emptied.items())),
        unseen_labels=_unseen(parts, checks),
        rights=consent_and_terms.report(rows, filters, consent_and_terms.load(config.rights)),
        prompts=prompt_history.merged((task.prompts for task in tasks), parts["test"][0].ts if parts["test"] else None),
        groups=groups,
        personal_data=privacy.merged([task.personal for task in tasks if task.personal is not None]),
        config={key: value for key, value in msgspec.to_builtins(config).items() if key != "processes"},
    )


def _checks_source(tasks: Sequence[Task]) -> str:
    if len(tasks) == 1:
        return tasks[0].checks.source
    return "; ".join(f"{task.name}: {task.checks.source}" for task in tasks)


def _split(rows: Sequence[Row]) -> Split:
    return Split(len(rows), rows[0].ts.isoformat(), rows[-1].ts.isoformat()) if rows else Split(rows=0)


def _days(parts: Mapping[str, Sequence[Row]]) -> dict[str, dict[str, int]]:
    days: dict[str, Counter[str]] = {}
    for split, rows in parts.items():
        for row in rows:
            days.setdefault(row.ts.date().isoformat(), Counter())[split] += 1
    return {day: {split: days[day][split] for split in parts if days[day][split]} for day in sorted(days)}


def _variants(ledger: Ledger) -> dict[str, dict[str, int]]:
    by_site: dict[str, dict[str, int]] = {}
    for (spelling, label), n in sorted(ledger.variants.items(), key=lambda item: (-item[1], item[0]))[:_VARIANTS]:
        by_site.setdefault(label, {})[spelling] = n
    return by_site


def _unseen(parts: Mapping[str, Sequence[Row]], checks: Mapping[str, Checks]) -> dict[str, int]:
    in_train = {(row.call_site, label) for row in parts["train"] for label in _labels(row, checks)}
    rows = ((row.call_site, label) for row in parts["test"] for label in _labels(row, checks))
    return _counts(label for site, label in rows if (site, label) not in in_train)


def _labels(row: Row, checks: Mapping[str, Checks]) -> tuple[str, ...]:
    site_checks = checks.get(row.call_site)
    return labels_of(row.answer, site_checks) if site_checks is not None and site_checks.labels else ()


def _counts(values: Iterable[str]) -> dict[str, int]:
    return _ordered(Counter(values))


def _ordered(counts: Counter[str]) -> dict[str, int]:
    """Most frequent first, ties by name."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def strata(
    parts: Mapping[str, Sequence[Row]], cohort_keys: Sequence[str], labelled: Sequence[str]
) -> dict[str, dict[str, dict[str, int]]]:
    """Rows by call site, cohort or label (the key), value and split, including splits without rows.

    `labelled`: call sites whose answers are labels; if there are several, each has its own key.
    """
    counts: dict[str, dict[str, dict[str, int]]] = defaultdict(dict)
    for split, rows in parts.items():
        for row in rows:
            for key, value in _strata_of(row, cohort_keys, labelled):
                counts[key].setdefault(value, dict.fromkeys(parts, 0))[split] += 1
    return {
        key: dict(sorted(values.items(), key=lambda item: (-sum(item[1].values()), item[0])))
        for key, values in sorted(counts.items())
    }


def _strata_of(row: Row, cohort_keys: Sequence[str], labelled: Sequence[str]) -> Iterator[tuple[str, str]]:
    yield "call_site", row.call_site
    for key in cohort_keys:
        yield key, row.cohort.get(key) or UNKNOWN
    if row.call_site in labelled:
        yield "label" if len(labelled) == 1 else f"label of {row.call_site}", row.answer


def _chars(messages: Iterable[Mapping[str, Any]]) -> int:
    return sum(len(message["content"]) for message in messages)


def _mean(values: Iterable[int]) -> int:
    numbers = list(values)
    return round(sum(numbers) / len(numbers))
