"""Finds labels without any row left, and the filters that removed their rows."""

from collections import Counter
from collections.abc import Iterable, Mapping

from pipeline.extract.filters import Ledger
from pipeline.extract.label_set import named_in
from pipeline.extract.rows import Row
from traffic.answers import labels_of, resolve
from traffic.callsites import Checks
from traffic.checks import failed_checks

_SEVERAL = 5
"""Minimum rows with the same answer for it to count as a label."""


def counts(rows: Iterable[Row], checks: Mapping[str, Checks], default: Checks | None = None) -> Counter[str]:
    """Rows per label over the call sites with labels; an answer with several labels counts once for each."""
    rows_per_label: Counter[str] = Counter()
    for row in rows:
        site_checks = checks.get(row.call_site) or default
        if site_checks is not None and site_checks.labels:
            rows_per_label.update(labels_of(row.answer, site_checks))
    return rows_per_label


def before_answers(
    ledger: Ledger,
    kept: Iterable[Row],
    read: Counter[str],
    removed: Mapping[str, Counter[str]],
    checks: Checks,
    prompt: str,
) -> None:
    """Record in the ledger the labels that occur in the log but not in `kept`, with the filters that removed them."""
    if not checks.labels:
        return
    remaining = set(counts(kept, {}, checks))
    removed_by: dict[str, Counter[str]] = {}
    for reason, answers in removed.items():
        for label, n in _labels(answers, checks).items():
            removed_by.setdefault(label, Counter())[reason] += n
    for reason, answers in removed.items():
        # A label without rows is in no discovered label set; it is recognised by its name in the prompt.
        for label in (text for text, n in answers.items() if n >= _SEVERAL and named_in(prompt, text)):
            if resolve(label, checks) not in checks.labels:
                ledger.emptied[label] = f"{reason} {answers[label]}"
    for label, n in _labels(read, checks).items():
        if label not in remaining:
            later = ledger.names_since(removed)
            removed_by.setdefault(label, Counter())[" or ".join(later) or "filters of prompt and answer"] += n
    for label in checks.labels:
        if label not in remaining and label in removed_by:
            ledger.emptied[label] = ", ".join(f"{reason} {n}" for reason, n in removed_by[label].most_common())


def _labels(answers: Mapping[str, int], checks: Checks) -> Counter[str]:
    rows_per_label: Counter[str] = Counter()
    for text, n in answers.items():
        answer = resolve(text, checks)
        if not failed_checks(answer, "stop", checks):
            rows_per_label.update(dict.fromkeys(labels_of(answer, checks), n))
    return rows_per_label


class CoverageTracker:
    """Compares the labels before and after each filter step."""

    def __init__(self, ledger: Ledger, rows: Iterable[Row], checks: Mapping[str, Checks]) -> None:
        self._ledger, self._checks = ledger, checks
        self._before, self._removed = counts(rows, checks), ledger.counts()

    def note(self, rows: Iterable[Row]) -> None:
        """Record the labels that lost their last row since the previous call."""
        current, removed = counts(rows, self._checks), self._ledger.counts()
        active_filters = [name for name, n in removed.items() if n > self._removed.get(name, 0)]
        for label in self._before.keys() - current.keys():
            self._ledger.emptied[label] = f"{' or '.join(active_filters)} {self._before[label]}"
        self._before, self._removed = current, removed
