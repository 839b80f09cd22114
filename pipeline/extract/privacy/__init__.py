"""Replaces personal data with typed placeholders or removes the row, except for types that are allowed by name.

Runs per call site, after template matching and answer checks. Only slots are searched: a value in the fixed text of a
template (a support address) belongs to the company; it is listed and kept. A prompt is redacted from its own content
alone, as in the router: for every kept row `redactor.redact` gives the same text.
"""

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pipeline.dataset import PersonalData
from pipeline.extract.config import PrivacyConfig
from pipeline.extract.filters import Ledger
from pipeline.extract.privacy import person_model, scan
from pipeline.extract.rows import Row
from traffic.prompts import MessagePattern, Template, render, spans
from traffic.redaction import PERSONAL_TYPES, PersonalType, Redaction
from traffic.redaction.placeholders import Values
from traffic.redaction.recognisers import versions

__all__ = ["Result", "in_words", "merged", "redact"]


class Result(NamedTuple):
    """Kept rows, counts for the dataset card, and the redaction for live requests (None: no redaction)."""

    rows: list[Row]
    data: PersonalData
    redaction: Redaction | None = None


class _Personal(NamedTuple):
    """Personal values of one row."""

    found: Values
    """All types, in any text of the row."""
    prompt: Values
    """Replaced types only: values in the prompt."""
    whole: Values
    """Replaced types only: values in the prompt, the answer or the logged text."""


def redact(
    rows: Sequence[Row],
    config: PrivacyConfig,
    ledger: Ledger,
    templates: Sequence[Template],
    labels: Iterable[str] = (),
    processes: int | None = None,
) -> Result:
    """Redact the pruned prompt, the original prompt, the answer and the logged text.

    `labels`: the closed set of answers, which are never changed. The result does not depend on `processes`
    (None: one per core for large inputs). Raises: NotFound if `ner_model` is not installed.
    """
    if config.action == "keep":
        return Result(list(rows), PersonalData(action="keep", allowed=config.allow, names="not looked for"))
    closed = frozenset(labels)
    fixed = _fixed_texts(templates)
    texts = (text for row in rows for text in _texts(row, templates, closed))
    findings = scan.find_all([*fixed, *texts], config, processes)
    model = person_model.chosen(config.ner_model)
    redaction = Redaction(
        types=tuple(kind for kind in PERSONAL_TYPES if kind not in config.allow),
        phone_regions=config.phone_regions,
        own=tuple(sorted({span.key for text in fixed for span in findings.get(text, ())})),
        ner_model=model,
    )
    kept: list[Row] = []
    found_counts, redacted, excluded = Counter[PersonalType](), Counter[PersonalType](), Counter[PersonalType]()
    removed = 0
    for row in rows:
        if not any(text in findings for text in _texts(row, templates, closed)):
            kept.append(row)
            continue
        personal = _personal(row, findings, redaction, templates, closed)
        found_counts += personal.found.counts()
        if not personal.whole:
            kept.append(row)
            continue
        excluding = (
            set(personal.whole.counts())
            if config.action == "exclude"
            else _types_that_exclude(row, personal, templates, closed)
        )
        if excluding:
            excluded.update(excluding)
            removed += 1
            continue
        redacted += personal.whole.counts()
        _replace(row, personal, templates, closed)
        kept.append(row)
    _note(ledger, config, removed, excluded)
    data = PersonalData(
        action=config.action,
        found=_ordered(found_counts),
        redacted=_ordered(redacted),
        rows_excluded=_ordered(excluded),
        allowed=config.allow,
        static=_static(fixed, findings),
        names=(
            "by wordings in which people name themselves; no NER model is installed"
            if model is None
            else f"by wordings in which people name themselves, and by the NER model {model}"
        ),
        recognisers=versions() | person_model.versions(model),
    )
    return Result(kept, data, redaction if config.action == "redact" else None)


def _personal(
    row: Row,
    findings: scan.Findings,
    redaction: Redaction,
    templates: Sequence[Template],
    labels: frozenset[str],
) -> _Personal:
    def find_values(text: str) -> Any:
        return findings.get(text, ())

    texts, prompts = _texts(row, templates, labels), _prompts(row, templates)
    in_prompt = Values(dict.fromkeys(prompts), find_values, redaction.own)
    everything = Values(texts, find_values, redaction.own, known=in_prompt)
    allowed = [kind for kind in PERSONAL_TYPES if kind not in redaction.types]
    return _Personal(everything, in_prompt.without(allowed), everything.without(allowed))


def _types_that_exclude(
    row: Row, personal: _Personal, templates: Sequence[Template], labels: frozenset[str]
) -> set[PersonalType]:
    """Types that require removing the row: the answer needs the value, or only the answer reveals it as personal."""
    prompts = _prompts(row, templates)
    types = set() if row.answer in labels else personal.whole.needed_by(row.answer, prompts)
    for text in prompts:
        if personal.whole.replace(text) != personal.prompt.replace(text):
            types |= {value.type for value in personal.whole.in_text(text)}
    return types


def _note(ledger: Ledger, config: PrivacyConfig, removed: int, excluded: Mapping[PersonalType, int]) -> None:
    if config.action == "exclude":
        ledger.add("personal_data", removed, "personal data in the request or its answer (privacy.action: exclude)")
        return
    types = ", ".join(f"{kind} {excluded[kind]}" for kind in PERSONAL_TYPES if excluded.get(kind))
    reason = f"the answer needs personal data: {types}" if types else "the answer needs personal data"
    ledger.add("personal_data_in_answer", removed, reason)


def merged(parts: Sequence[PersonalData]) -> PersonalData | None:
    """Combines the results of several call sites; None without any."""
    if not parts:
        return None

    def total(counts: Iterable[Mapping[PersonalType, int]]) -> dict[PersonalType, int]:
        return _ordered(sum((Counter(count) for count in counts), Counter()))

    return PersonalData(
        action=parts[0].action,
        found=total(part.found for part in parts),
        redacted=total(part.redacted for part in parts),
        rows_excluded=total(part.rows_excluded for part in parts),
        allowed=parts[0].allowed,
        static={
            kind: values
            for kind in PERSONAL_TYPES
            if (values := tuple(dict.fromkeys(value for part in parts for value in part.static.get(kind, ()))))
        },
        names=parts[0].names,
        recognisers=parts[0].recognisers,
    )


def in_words(data: PersonalData) -> list[str]:
    """Terminal output."""
    if data.action == "keep":
        return ["personal data: kept, every type is allowed by name (privacy.allow)"]
    lines = []
    done = "redacted" if data.action == "redact" else "looked for"
    counts = data.redacted if data.action == "redact" else data.found
    shown = ", ".join(f"{kind} {count}" for kind, count in counts.items()) or "none found"
    lines.append(f"personal data {done}: {shown}; names {data.names}")
    if data.allowed:
        allowed = ", ".join(f"{kind} {data.found.get(kind, 0)}" for kind in data.allowed)
        lines.append(f"personal data kept, allowed by name: {allowed}")
    if data.static:
        shown = ", ".join(value for values in data.static.values() for value in values[:3])
        lines.append(f"personal data in the fixed prompt, kept: {shown}")
    return lines


def _ordered(counts: Mapping[PersonalType, int]) -> dict[PersonalType, int]:
    return {kind: counts[kind] for kind in PERSONAL_TYPES if counts.get(kind)}


def _fixed_texts(templates: Iterable[Template]) -> list[str]:
    patterns = [pattern for template in templates for pattern in (*template.original, *template.pruned)]
    return list(dict.fromkeys(text for p in patterns for text in p.literals if text))


def _static(fixed: Iterable[str], findings: Mapping[str, Any]) -> dict[PersonalType, tuple[str, ...]]:
    values: dict[PersonalType, dict[str, str]] = {}
    for text in fixed:
        for span in findings.get(text, ()):
            values.setdefault(span.type, {}).setdefault(span.key, text[span.start : span.end])
    return {kind: tuple(values[kind].values()) for kind in PERSONAL_TYPES if kind in values}


def _texts(row: Row, templates: Sequence[Template], labels: frozenset[str]) -> list[str]:
    """Texts of the row that may contain personal data, the prompt first."""
    texts = _prompts(row, templates)
    texts += [] if row.answer in labels else [row.answer]
    if row.logged_text is not None and row.logged_text.strip() not in labels:
        texts.append(row.logged_text)
    return list(dict.fromkeys(texts))


def _prompts(row: Row, templates: Sequence[Template]) -> list[str]:
    # Without a template the fixed part is unknown, so whole messages are searched.
    has_template = any(template.id == row.template for template in templates)
    return list(row.slots) if has_template else [message["content"] for message in row.messages]


def _replace(row: Row, personal: _Personal, templates: Sequence[Template], labels: frozenset[str]) -> None:
    values = personal.prompt
    template = next((candidate for candidate in templates if candidate.id == row.template), None)
    if template is None:
        row.messages = [_with_content(m, values.replace(m["content"])) for m in row.messages]
        row.pruned = [_with_content(m, values.replace(m["content"])) for m in row.pruned]
        row.slots = tuple(map(values.replace, row.slots))
    else:
        slots = tuple(map(values.replace, row.slots))
        pairs = iter(zip(row.slots, slots, strict=True))
        row.messages = [
            _with_content(message, _refilled(message["content"], pattern, list(itertools.islice(pairs, pattern.slots))))
            if pattern.slot
            else message
            for message, pattern in zip(row.messages, template.original, strict=True)
        ]
        row.slots = slots
        row.pruned = render(template, slots, side="pruned")
    if row.answer not in labels:
        row.answer = personal.whole.replace_in_answer(row.answer)
    if row.logged_text is not None and row.logged_text.strip() not in labels:
        row.logged_text = personal.whole.replace_in_answer(row.logged_text)


def _with_content(message: Mapping[str, Any], content: str) -> dict[str, Any]:
    return {**message, "content": content}


def _refilled(content: str, pattern: MessagePattern, pairs: Sequence[tuple[str, str]]) -> str:
    """The message with its slots redacted and all other bytes unchanged."""
    if pattern.middles:
        slot_spans = spans(pattern.literals, content)
        assert slot_spans is not None, "the row has this template"
        # From last to first, so that earlier offsets stay valid.
        for (start, end), (_, redacted) in reversed(list(zip(slot_spans, pairs, strict=True))):
            content = content[:start] + redacted + content[end:]
        return content
    ((slot, redacted),) = pairs
    start_of_slot = len(pattern.prefix)
    if not content.startswith(slot, start_of_slot):
        # Its whitespace differs from the template's.
        start_of_slot = content.rfind(slot)
    return content[:start_of_slot] + redacted + content[start_of_slot + len(slot) :]
