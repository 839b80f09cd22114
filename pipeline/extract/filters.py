"""Filters on prompts and answers; every removed row is counted under exactly one filter.

They run after the SQL filters of `rows.py`. `Ledger` keeps the balance: rows considered = rows removed + rows kept.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence

from pipeline.dataset import Filter
from pipeline.extract.rows import Row
from pipeline.extract.task import canonical_answer, in_one_key_order
from traffic import control_tokens
from traffic.answers import resolve, without_reasoning
from traffic.callsites import Checks
from traffic.checks import failed_checks, is_refusal
from traffic.errors import InputError
from traffic.gateway_marks import is_cut, is_hidden
from traffic.number_format import some
from traffic.prompts import Template, match_any, normalise, render

CHECK_FILTERS = {
    "empty": ("no_answer", "no answer was logged"),
    "truncated": ("truncated", "the answer was cut by max_tokens"),
    "filtered": ("refused", "the model or its content filter refused"),
    "refusal": ("refused", "the model or its content filter refused"),
    "label": ("off_label_set", "the answer is none of the task's labels"),
    "json": ("invalid_json", "the answer is not exactly one JSON object or list"),
    "schema": ("schema_invalid", "the answer breaks the task's JSON schema"),
    "length": ("too_long", "the answer is longer than the call site allows"),
}
"""Filter name and reason by the first check that an answer fails."""

SHOWN_CHARS = 60
"""Maximum length of a label variant in the dataset card."""
_SHOWN_FILTERS = 6
_TRUST = {"human": 3, "corrected": 2, "escalated": 1, "teacher": 0}


class Ledger:
    """Rows removed by each filter, in the order in which the filters ran."""

    def __init__(self, considered: int) -> None:
        self.considered = considered
        self.variants: Counter[tuple[str, str]] = Counter()
        """Answers spelled differently from their label, with the label."""
        self.emptied: dict[str, str] = {}
        """Labels without any row left, with the filters that removed them."""
        self._filters: dict[str, Filter] = {}

    def add(self, name: str, removed: int, reason: str) -> None:
        previous = self._filters[name].removed if name in self._filters else 0
        self._filters[name] = Filter(name=name, removed=previous + removed, reason=reason)

    def split(self, rows: Sequence[Row], keep: Callable[[Row], bool], name: str, reason: str) -> list[Row]:
        """The rows to keep; removed rows are counted."""
        kept = [row for row in rows if keep(row)]
        self.add(name, len(rows) - len(kept), reason)
        return kept

    def include(self, other: "Ledger") -> None:
        """Add the counts of another ledger, such as another call site's."""
        self.considered += other.considered
        self.variants += other.variants
        self.emptied |= other.emptied
        for entry in other._filters.values():
            self.add(entry.name, entry.removed, entry.reason)

    def counts(self) -> dict[str, int]:
        """Rows removed so far, by filter; filters that removed none are omitted."""
        return {name: entry.removed for name, entry in self._filters.items() if entry.removed}

    def names_since(self, earlier: Collection[str]) -> list[str]:
        """Filters not in `before` that removed rows."""
        return [name for name, entry in self._filters.items() if entry.removed and name not in earlier]

    def in_words(self) -> str:
        """Filters by removed rows: `130 personal_data_in_answer (the answer needs ...: IP 130), ...`."""
        largest = sorted((entry for entry in self._filters.values() if entry.removed), key=lambda entry: -entry.removed)
        entries = [f"{entry.removed:,} {entry.name} ({entry.reason})" for entry in largest[:_SHOWN_FILTERS]]
        return some(entries, _SHOWN_FILTERS) if entries else "no filter removed any"

    def too_few(self, name: str, remaining: int, required: int) -> str:
        """Error message for a task or call site with too few rows left."""
        return (
            f"{name}: {remaining:,} rows are left of {self.considered:,} attempts, {required:,} are needed (min_rows); "
            f"removed: {self.in_words()}"
        )

    def close(self, kept: int) -> tuple[Filter, ...]:
        """All filters. Raises: AssertionError if removed and kept rows do not add up to the rows considered."""
        removed = sum(f.removed for f in self._filters.values())
        assert self.considered == removed + kept, f"{self.considered} considered, {removed} removed, {kept} kept"
        return tuple(self._filters.values())


def with_whole_contents(rows: Sequence[Row], name: str, ledger: Ledger) -> list[Row]:
    """The rows logged with complete contents. Raises: InputError if most rows were logged without contents."""
    kept = ledger.split(
        rows,
        lambda row: not any(map(is_hidden, _logged_texts(row))),
        "redacted_log",
        "the gateway logged a placeholder instead of the contents",
    )
    hidden = len(rows) - len(kept)
    if 2 * hidden > len(rows):
        placeholder = next(text for row in rows for text in _logged_texts(row) if is_hidden(text))
        raise InputError(
            f"{name}: {hidden} of {len(rows)} answered requests are logged without their contents "
            f"({placeholder[:40]!r} instead): switch on message logging in the gateway "
            "(LiteLLM: turn_off_message_logging: false) and ingest the log written afterwards"
        )
    return ledger.split(
        kept,
        lambda row: not any(map(is_cut, _logged_texts(row))),
        "truncated_log",
        "the gateway shortened the prompt or the answer in its log",
    )


def _logged_texts(row: Row) -> list[str]:
    contents = (message["content"] for message in row.messages)
    return [row.answer, *(content for content in contents if isinstance(content, str))]


def with_template(rows: Sequence[Row], templates: Sequence[Template], ledger: Ledger) -> list[Row]:
    """Rows that match a template; sets their template, slots and pruned prompt."""
    for row in rows:
        matched = match_any(templates, row.messages)
        if matched is not None:
            template, row.slots = matched
            row.template = template.id
            row.pruned = render(template, row.slots, side="pruned")
    reason = "the prompt matches no template (several turns, a rare system prompt, parts that are not text)"
    return ledger.split(rows, lambda row: bool(row.template), "no_template", reason)


def without_control_tokens(rows: Sequence[Row], ledger: Ledger) -> list[Row]:
    """Rows whose answer contains no control token of a chat model, except those that end it, which are removed.

    Control tokens in prompts are escaped elsewhere.
    """
    for row in rows:
        row.answer = control_tokens.without_end(row.answer)
    reason = "the answer contains a control token of chat models, such as <|im_end|>"
    return ledger.split(
        rows, lambda row: not control_tokens.has_any(without_reasoning(row.answer)), "control_tokens", reason
    )


def with_good_answer(rows: Sequence[Row], checks: Checks, ledger: Ledger, *, keep_reasoning: bool = False) -> list[Row]:
    """Rows whose answer passes the task's checks; sets the answer to its canonical form."""
    failed: Counter[str] = Counter()
    passed = []
    for row in rows:
        logged = row.answer
        row.answer = resolve(row.answer, checks, keep_reasoning=keep_reasoning)
        if row.logged_text is not None:
            # The logged answer is scored as a candidate in canonical form, as the application accepted it.
            row.logged_text = resolve(row.logged_text, checks, keep_reasoning=keep_reasoning)
        # The finish reason belongs to the logged answer, not to a label or correction by a person.
        finish = "stop" if row.label_source in ("human", "corrected") else row.finish_reason
        faults = failed_checks(row.answer, finish, checks)
        if faults:
            check = faults[0].partition(":")[0]
            # A refusal also fails the label check, but it is counted as a refusal.
            failed[CHECK_FILTERS["refusal" if is_refusal(row.answer) else check][0]] += 1
        else:
            row.answer = canonical_answer(row.answer, checks)
            if checks.labels and logged.strip() != row.answer:
                ledger.variants[logged.strip()[:SHOWN_CHARS], row.answer] += 1
            passed.append(row)
    if checks.needs_json:
        for row, answer in zip(passed, in_one_key_order([row.answer for row in passed]), strict=True):
            row.answer = answer
    # Checks that removed nothing are listed too.
    on = {"refusal", "label"} if checks.labels else {"refusal"}
    on |= {"json"} if checks.needs_json else set()
    on |= {"schema"} if checks.json_schema is not None else set()
    on |= {"length"} if checks.max_chars is not None else set()
    named = {name: reason for check, (name, reason) in CHECK_FILTERS.items() if check in on or failed[name]}
    for name, reason in named.items():
        ledger.add(name, failed[name], reason)
    return passed


def distinct(rows: Sequence[Row], ledger: Ledger) -> list[Row]:
    """One row per request text, with the agreed answer and the time of its first request.

    Copies with different answers: a human label or correction outweighs an escalated answer, which outweighs the
    teacher's; then the majority decides, then the latest. A text in one row cannot be in two splits.
    """
    groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[_text_key(row)].append(row)
    kept: list[Row] = []
    conflicts = copies = alike = 0
    for group, (chosen, agreeing) in zip(groups.values(), one_of_each(groups.values()), strict=True):
        kept.append(chosen)
        conflicts += len(group) - len(agreeing)
        exact_copies = sum(row.request_hash == chosen.request_hash for row in agreeing) - 1
        copies += exact_copies
        alike += len(agreeing) - 1 - exact_copies
    ledger.add(
        "conflicting_answers", conflicts, "another answer to the same request was more frequent, corrected or later"
    )
    ledger.add("exact_duplicates", copies, "the same request with the same answer")
    ledger.add("same_text", alike, "the same text and answer except for whitespace or Unicode form")
    kept.sort(key=lambda row: (row.ts, row.id))
    return kept


def one_of_each(groups: Iterable[list[Row]]) -> list[tuple[Row, list[Row]]]:
    """For each group of copies (in time order) the kept row and all rows with the same answer.

    `copies` and `requests` of the kept row count the rows that it represents.
    """
    chosen = []
    for group in groups:
        answer = _agreed(group) if len(group) > 1 else group[0].answer
        agreeing = [row for row in group if row.answer == answer]
        best = max(_TRUST[row.label_source] for row in agreeing)
        row = next(row for row in agreeing if _TRUST[row.label_source] == best)
        row.copies = sum(copy.copies for copy in agreeing)
        row.requests = sum(copy.requests for copy in group)
        chosen.append((row, agreeing))
    return chosen


def _text_key(row: Row) -> tuple[str, ...]:
    # The pruned prompt is the same for all versions of a system prompt, so their copies fall into one row.
    return tuple(normalise(message["content"]) for message in row.pruned)


def _agreed(group: list[Row]) -> str:
    """The agreed answer of a group of copies in time order."""
    best = max(_TRUST[row.label_source] for row in group)
    trusted = [row for row in group if _TRUST[row.label_source] == best]
    counts: Counter[str] = Counter()
    for row in trusted:
        counts[row.answer] += row.copies
    highest = max(counts.values())
    return next(row.answer for row in reversed(trusted) if counts[row.answer] == highest)
