"""Periods of use of each template, and changes of prompts within the log."""

import difflib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from pipeline.dataset import PromptChange, Prompts, PromptTemplate
from pipeline.extract.rows import Row
from traffic.prompts import Template
from traffic.templates import versions_of_one

_RECENT = 200
_SHOWN_CHARS = 100
_ADDRESS = re.compile(r"\S+@\S+|https?://\S+")


def of(site: str, rows: Sequence[Row], templates: Sequence[Template]) -> Prompts:
    """Prompt history of one call site; `rows` in time order, `row.template` empty where none matched."""
    uses: dict[str, list[int]] = defaultdict(list)
    for n, row in enumerate(rows):
        if row.template:
            uses[row.template].append(n)
    by_id = {template.id: template for template in templates}
    order = sorted(uses, key=lambda name: (uses[name][0], name))
    missed = len(rows) - sum(map(len, uses.values()))
    late = rows[-max(1, len(rows) // 10) :]
    recent = sum(not row.template for row in late) / len(late) if late else 0.0
    return Prompts(
        templates=tuple(
            PromptTemplate(
                id=name,
                call_site=site,
                requests=len(uses[name]),
                share=round(len(uses[name]) / len(rows), 4),
                first=rows[uses[name][0]].ts.isoformat(),
                last=rows[uses[name][-1]].ts.isoformat(),
                slots=sum(pattern.slots for pattern in by_id[name].original),
            )
            for name in order
        ),
        changes=tuple(
            _change(site, rows[uses[name][0]].ts, by_id[predecessor], by_id[name])
            for name in order
            if (predecessor := _replaced_template(by_id[name], rows, uses, by_id)) is not None
        ),
        unmatched={site: missed} if missed else {},
        unmatched_lately={site: round(recent, 4)} if recent > 0.5 else {},
    )


def merged(histories: Iterable[Prompts], test_begins: datetime | None) -> Prompts:
    """Merges the histories of a task's call sites; `test_begins`: time of the first test row."""
    parts = list(histories)
    test_start = test_begins.isoformat() if test_begins else None
    # Compared as times, not as text: the fraction of a second is optional.
    templates = [
        msgspec.structs.replace(template, retired=test_start is not None and _time(template.last) < _time(test_start))
        for part in parts
        for template in part.templates
    ]
    return Prompts(
        templates=tuple(templates),
        changes=tuple(change for part in parts for change in part.changes),
        unmatched={site: n for part in parts for site, n in part.unmatched.items()},
        unmatched_lately={site: share for part in parts for site, share in part.unmatched_lately.items()},
    )


def lines(prompts: Prompts) -> list[str]:
    """Terminal output: prompt changes, and call sites whose prompt changed too recently to train on."""
    messages = []
    if prompts.changes:
        last = max(prompts.changes, key=lambda change: _time(change.at))
        retired = sum(template.retired for template in prompts.templates)
        messages.append(
            f"prompt changed {len(prompts.changes)} time(s), last {last.at[:16]} ({last.call_site}: "
            f"+{last.lines_added} -{last.lines_removed} lines); {retired} template(s) retired before the test split"
        )
    for site, share in prompts.unmatched_lately.items():
        messages.append(
            f"warning: {share:.0%} of the latest requests of {site} match no template: its prompt changed too recently "
            "to train on; ingest more of the log"
        )
    return messages


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _replaced_template(
    template: Template, rows: Sequence[Row], uses: dict[str, list[int]], by_id: dict[str, Template]
) -> str | None:
    """The template that `template` replaced; None for the first template or an unrelated prompt."""
    start = uses[template.id][0]
    if start < max(10, 0.02 * len(rows)):
        return None
    recent = Counter(row.template for row in rows[max(0, start - _RECENT) : start] if row.template)
    if not recent:
        return None
    predecessor = min(recent, key=lambda name: (-recent[name], name))
    later_share = sum(n > start for n in uses[predecessor]) / max(1, len(rows) - start)
    replaced = later_share < 0.1 * (len(uses[predecessor]) / len(rows))
    same_task = _roles(template) == _roles(by_id[predecessor]) and versions_of_one(
        (_text(by_id[predecessor]),), (_text(template),)
    )
    return predecessor if same_task or replaced else None


def _change(site: str, at: datetime, old: Template, new: Template) -> PromptChange:
    diff = list(difflib.unified_diff(_text(old).splitlines(), _text(new).splitlines(), n=0, lineterm=""))[2:]
    changed = [line for line in diff if line[:1] in "+-"]
    return PromptChange(
        call_site=site,
        at=at.isoformat(),
        from_template=old.id,
        to_template=new.id,
        lines_added=sum(line.startswith("+") for line in changed),
        lines_removed=sum(line.startswith("-") for line in changed),
        first_change=_masked(changed[0]) if changed else "",
    )


def _masked(line: str) -> str:
    text = re.sub(r"\d", "#", _ADDRESS.sub("<address>", line))
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"


def _roles(template: Template) -> tuple[str, ...]:
    return tuple(pattern.role for pattern in template.original)


def _text(template: Template) -> str:
    return "\n".join("{}".join(pattern.literals) for pattern in template.original)
