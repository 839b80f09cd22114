"""Filters on prompts and answers; each removed row is counted under one filter.

They run after those of `rows.py`. `Ledger` adds up: rows considered = rows removed + rows kept.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence

from pipeline.dataset import Filter
from pipeline.extract.rows import Row
from pipeline.extract.task import canonical_answer
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
    "json": ("invalid_json", "the answer is not exactly one JSON object"),
    "schema": ("schema_invalid", "the answer breaks the task's JSON schema"),
    "length": ("too_long", "the answer is longer than the call site allows"),
}
"""By the first check that an answer fails: the filter that counts it, and why."""

SHOWN_CHARS = 60
"""Of a variant of a label, in the card."""
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
        before = self._filters[name].removed if name in self._filters else 0
        self._filters[name] = Filter(name=name, removed=before + removed, reason=reason)

    def split(self, rows: Sequence[Row], keep: Callable[[Row], bool], name: str, reason: str) -> list[Row]:
        """The rows to keep; removed rows are counted."""
        kept = [row for row in rows if keep(row)]
        self.add(name, len(rows) - len(kept), reason)
        return kept

    def include(self, other: "Ledger") -> None:
        """Add up with the ledger of other rows, such as another call site's."""
        self.considered += other.considered
        self.variants += other.variants
        self.emptied |= other.emptied
        for each in other._filters.values():
            self.add(each.name, each.removed, each.reason)

    def counts(self) -> dict[str, int]:
        """What was removed so far, by filter; those that removed nothing are left out."""
        return {name: each.removed for name, each in self._filters.items() if each.removed}

    def names_since(self, before: Collection[str]) -> list[str]:
        """Filters that removed rows and are not among these."""
        return [name for name, each in self._filters.items() if each.removed and name not in before]

    def in_words(self) -> str:
        """What took the rows, the largest first: `130 personal_data_in_answer (the answer needs ...: IP 130), ...`."""
        largest = sorted((each for each in self._filters.values() if each.removed), key=lambda each: -each.removed)
        shown = [f"{each.removed:,} {each.name} ({each.reason})" for each in largest[:_SHOWN_FILTERS]]
        return some(shown, _SHOWN_FILTERS) if shown else "no filter removed any"

    def too_few(self, name: str, left: int, needed: int) -> str:
        """The message where filters leave too few rows of a task or call site."""
        return (
            f"{name}: {left:,} rows are left of {self.considered:,} attempts, {needed:,} are needed (min_rows); "
            f"removed: {self.in_words()}"
        )

    def close(self, kept: int) -> tuple[Filter, ...]:
        """All filters. Raises: AssertionError if a row vanished without a reason, or was counted twice."""
        removed = sum(f.removed for f in self._filters.values())
        assert self.considered == removed + kept, f"{self.considered} considered, {removed} removed, {kept} kept"
        return tuple(self._filters.values())


def with_whole_contents(rows: Sequence[Row], name: str, ledger: Ledger) -> list[Row]:
    """The rows whose contents are whole. Raises: InputError if the log of the call site is mostly without contents."""
    kept = ledger.split(
        rows,
        lambda row: not any(map(is_hidden, _logged_texts(row))),
        "redacted_log",
        "the gateway logged a mark instead of the contents",
    )
    hidden = len(rows) - len(kept)
    if 2 * hidden > len(rows):
        shown = next(text for row in rows for text in _logged_texts(row) if is_hidden(text))
        raise InputError(
            f"{name}: {hidden} of {len(rows)} answered requests are logged without their contents "
            f"({shown[:40]!r} instead): switch on message logging in the gateway "
            "(LiteLLM: turn_off_message_logging: false) and ingest the log that it writes from then on"
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
    """Rows that match a template, with their slots and pruned prompt filled in."""
    for row in rows:
        found = match_any(templates, row.messages)
        if found is not None:
            template, row.slots = found
            row.template = template.id
            row.pruned = render(template, row.slots, side="pruned")
    reason = "the prompt has a shape of its own (several turns, a rare system prompt, parts that are not text)"
    return ledger.split(rows, lambda row: bool(row.template), "no_template", reason)


def without_control_tokens(rows: Sequence[Row], ledger: Ledger) -> list[Row]:
    """Rows whose answer holds no control token of a chat model; those in prompts are escaped."""
    reason = "the answer holds a control token of chat models, such as <|im_end|>"
    return ledger.split(rows, lambda row: not control_tokens.has_any(_final(row.answer)), "control_tokens", reason)


def _final(answer: str) -> str:
    # Markers of reasoning in front of an answer are no part of it.
    return without_reasoning(answer)


def with_good_answer(rows: Sequence[Row], checks: Checks, ledger: Ledger, *, keep_reasoning: bool = False) -> list[Row]:
    """Rows whose answer passes the task's checks, with the answer in canonical form."""
    failed: Counter[str] = Counter()
    kept = []
    for row in rows:
        logged = row.answer
        row.answer = resolve(row.answer, checks, keep_reasoning=keep_reasoning)
        if row.logged_text is not None:
            # The application took the logged answer in this form: as a candidate it is scored by what it means.
            row.logged_text = resolve(row.logged_text, checks, keep_reasoning=keep_reasoning)
        # A label or a correction was typed by a person: how the logged answer ended says nothing about it.
        finish = "stop" if row.label_source in ("human", "corrected") else row.finish_reason
        faults = failed_checks(row.answer, finish, checks)
        if faults:
            check = faults[0].partition(":")[0]
            # A refusal is none of the labels either, but it is the model that failed, not the form of its answer.
            failed[CHECK_FILTERS["refusal" if is_refusal(row.answer) else check][0]] += 1
        else:
            row.answer = canonical_answer(row.answer, checks)
            if checks.labels and logged.strip() != row.answer:
                ledger.variants[logged.strip()[:SHOWN_CHARS], row.answer] += 1
            kept.append(row)
    # Every check of the task is listed, also those that removed nothing.
    on = {"refusal", "label"} if checks.labels else {"refusal"}
    on |= {"json"} if checks.json or checks.json_schema is not None else set()
    on |= {"schema"} if checks.json_schema is not None else set()
    on |= {"length"} if checks.max_chars is not None else set()
    named = {name: reason for check, (name, reason) in CHECK_FILTERS.items() if check in on or failed[name]}
    for name, reason in named.items():
        ledger.add(name, failed[name], reason)
    return kept


def distinct(rows: Sequence[Row], ledger: Ledger) -> list[Row]:
    """One row per request text: with the answer that most of its copies got, at the time it was first asked that way.

    Where copies disagree, a correction outweighs an escalated answer, that one the teacher's; then the
    majority counts, then the latest. Each text is in one row, so it cannot be in two splits.
    """
    groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[_text_key(row)].append(row)
    kept: list[Row] = []
    conflicts = copies = alike = 0
    for group, (chosen, agreeing) in zip(groups.values(), one_of_each(groups.values()), strict=True):
        kept.append(chosen)
        conflicts += len(group) - len(agreeing)
        same = sum(row.request_hash == chosen.request_hash for row in agreeing) - 1
        copies += same
        alike += len(agreeing) - 1 - same
    ledger.add(
        "conflicting_answers", conflicts, "the same request got another answer more often, or corrected, or later"
    )
    ledger.add("exact_duplicates", copies, "the same request with the same answer")
    ledger.add("same_text", alike, "the same text and answer but for whitespace or Unicode form")
    kept.sort(key=lambda row: (row.ts, row.id))
    return kept


def one_of_each(groups: Iterable[list[Row]]) -> list[tuple[Row, list[Row]]]:
    """Of each group of copies, in the order of time, the row that stays, and all that have its answer.

    Each text counts as often as it was asked: a kept row represents all rows that agreed with it.
    """
    chosen = []
    for group in groups:
        answer = _agreed(group) if len(group) > 1 else group[0].answer
        agreeing = [row for row in group if row.answer == answer]
        best = max(_TRUST[row.label_source] for row in agreeing)
        row = next(row for row in agreeing if _TRUST[row.label_source] == best)
        row.copies = sum(each.copies for each in agreeing)
        row.requests = sum(each.requests for each in group)
        chosen.append((row, agreeing))
    return chosen


def _text_key(row: Row) -> tuple[str, ...]:
    # By the pruned prompt: two versions of a system prompt become one prompt, and their copies the same row.
    return tuple(normalise(message["content"]) for message in row.pruned)


def _agreed(group: list[Row]) -> str:
    """The answer of a request; `group` is in the order of time."""
    best = max(_TRUST[row.label_source] for row in group)
    trusted = [row for row in group if _TRUST[row.label_source] == best]
    counts: Counter[str] = Counter()
    for row in trusted:
        counts[row.answer] += row.copies
    most = max(counts.values())
    return next(row.answer for row in reversed(trusted) if counts[row.answer] == most)
