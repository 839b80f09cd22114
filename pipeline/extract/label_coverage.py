"""Labels of which the filters leave no row: each is named with the filters that took its rows."""

from collections import Counter
from collections.abc import Iterable, Mapping

from pipeline.extract.filters import Ledger
from pipeline.extract.label_set import named_in
from pipeline.extract.rows import Row
from traffic.answers import labels_of, resolve
from traffic.callsites import Checks
from traffic.checks import failed_checks

_SEVERAL = 5
"""Rows with the same answer that make it a label."""


def counts(rows: Iterable[Row], checks: Mapping[str, Checks], default: Checks | None = None) -> Counter[str]:
    """Rows per label, over the call sites whose answers are labels; a row of a set counts for each of its labels."""
    found: Counter[str] = Counter()
    for row in rows:
        own = checks.get(row.call_site) or default
        if own is not None and own.labels:
            found.update(labels_of(row.answer, own))
    return found


def before_answers(
    ledger: Ledger,
    kept: Iterable[Row],
    read: Counter[str],
    removed: Mapping[str, Counter[str]],
    checks: Checks,
    prompt: str,
) -> None:
    """Name the labels that the log has and `kept` has not: the filters of the scan took them, or the ones after it."""
    if not checks.labels:
        return
    left = set(counts(kept, {}, checks))
    taken: dict[str, Counter[str]] = {}
    for reason, answers in removed.items():
        for label, n in _labels(answers, checks).items():
            taken.setdefault(label, Counter())[reason] += n
    for reason, answers in removed.items():
        # Where every row of a label went, it is in no label set: the prompt says that it is one.
        for label in (text for text, n in answers.items() if n >= _SEVERAL and named_in(prompt, text)):
            if resolve(label, checks) not in checks.labels:
                ledger.emptied[label] = f"{reason} {answers[label]}"
    for label, n in _labels(read, checks).items():
        if label not in left:
            later = ledger.names_since(removed)
            taken.setdefault(label, Counter())[" or ".join(later) or "filters of prompt and answer"] += n
    for label in checks.labels:
        if label not in left and label in taken:
            ledger.emptied[label] = ", ".join(f"{reason} {n}" for reason, n in taken[label].most_common())


def _labels(answers: Mapping[str, int], checks: Checks) -> Counter[str]:
    found: Counter[str] = Counter()
    for text, n in answers.items():
        answer = resolve(text, checks)
        if not failed_checks(answer, "stop", checks):
            found.update(dict.fromkeys(labels_of(answer, checks), n))
    return found


class Watch:
    """Compares the labels of the rows after each step with those before it."""

    def __init__(self, ledger: Ledger, rows: Iterable[Row], checks: Mapping[str, Checks]) -> None:
        self._ledger, self._checks = ledger, checks
        self._before, self._removed = counts(rows, checks), ledger.counts()

    def note(self, rows: Iterable[Row]) -> None:
        """Name the labels that the filters since the last call emptied."""
        after, removed = counts(rows, self._checks), self._ledger.counts()
        grown = [name for name, n in removed.items() if n > self._removed.get(name, 0)]
        for label in self._before.keys() - after.keys():
            self._ledger.emptied[label] = f"{' or '.join(grown)} {self._before[label]}"
        self._before, self._removed = after, removed
