"""Personal data stays out of the training set: typed placeholders, or rows left out, unless a type is allowed by name.

Runs per call site, when templates are known and answers are checked. Only slots are searched: a value in the fixed text
of a template (a support address) is the company's own, is listed, and stays. A prompt is redacted by what it shows
itself, as the router redacts live requests: for every row that stays, `redactor.redact` gives the same text.
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
    """The rows that stay, what was found and done, and how the router must redact live requests (None: not at all)."""

    rows: list[Row]
    data: PersonalData
    redaction: Redaction | None = None


class _Personal(NamedTuple):
    """The values of one row."""

    found: Values
    """Of every type, in any of its texts."""
    prompt: Values
    """Of the types that are replaced: those that the prompt shows."""
    whole: Values
    """The same, and those that only the answer or the logged text shows."""


def redact(
    rows: Sequence[Row],
    config: PrivacyConfig,
    ledger: Ledger,
    templates: Sequence[Template],
    labels: Iterable[str] = (),
    processes: int | None = None,
) -> Result:
    """Placeholders in prompt, original prompt, answer and logged text.

    `labels` is the closed set of answers, which never change. The result does not depend on `processes`
    (None: as many as there are cores, where it pays). Raises: NotFound if `ner_model` is not there.
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
        own=tuple(sorted({each.key for text in fixed for each in findings.get(text, ())})),
        ner_model=model,
    )
    kept: list[Row] = []
    found, redacted, excluded = Counter[PersonalType](), Counter[PersonalType](), Counter[PersonalType]()
    removed = 0
    for row in rows:
        if not any(text in findings for text in _texts(row, templates, closed)):
            kept.append(row)
            continue
        personal = _personal(row, findings, redaction, templates, closed)
        found += personal.found.counts()
        if not personal.whole:
            kept.append(row)
            continue
        gone = (
            set(personal.whole.counts())
            if config.action == "exclude"
            else _in_the_way(row, personal, templates, closed)
        )
        if gone:
            excluded.update(gone)
            removed += 1
            continue
        redacted += personal.whole.counts()
        _replace(row, personal, templates, closed)
        kept.append(row)
    _note(ledger, config, removed, excluded)
    data = PersonalData(
        action=config.action,
        found=_ordered(found),
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
    def found(text: str) -> Any:
        return findings.get(text, ())

    texts, prompts = _texts(row, templates, labels), _prompts(row, templates)
    in_prompt = Values(dict.fromkeys(prompts), found, redaction.own)
    everything = Values(texts, found, redaction.own, known=in_prompt)
    allowed = [kind for kind in PERSONAL_TYPES if kind not in redaction.types]
    return _Personal(everything, in_prompt.without(allowed), everything.without(allowed))


def _in_the_way(
    row: Row, personal: _Personal, templates: Sequence[Template], labels: frozenset[str]
) -> set[PersonalType]:
    """Types for which the row must go: the answer needs the value, or only the answer shows that it is one."""
    prompts = _prompts(row, templates)
    needed = set() if row.answer in labels else personal.whole.needed_by(row.answer, prompts)
    for text in prompts:
        if personal.whole.replace(text) != personal.prompt.replace(text):
            needed |= {value.type for value in personal.whole.in_text(text)}
    return needed


def _note(ledger: Ledger, config: PrivacyConfig, removed: int, excluded: Mapping[PersonalType, int]) -> None:
    if config.action == "exclude":
        ledger.add("personal_data", removed, "personal data in the request or its answer (privacy.action: exclude)")
        return
    types = ", ".join(f"{kind} {excluded[kind]}" for kind in PERSONAL_TYPES if excluded.get(kind))
    reason = f"the answer needs personal data: {types}" if types else "the answer needs personal data"
    ledger.add("personal_data_in_answer", removed, reason)


def merged(parts: Sequence[PersonalData]) -> PersonalData | None:
    """What was found in several call sites, as one; None where nobody looked."""
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
    """Lines for the terminal."""
    if data.action == "keep":
        return ["personal data: kept as it is, every type is allowed by name (privacy.allow)"]
    lines = []
    done = "redacted" if data.action == "redact" else "looked for"
    counts = data.redacted if data.action == "redact" else data.found
    shown = ", ".join(f"{kind} {count}" for kind, count in counts.items()) or "none found"
    lines.append(f"personal data {done}: {shown}; names {data.names}")
    if data.allowed:
        stays = ", ".join(f"{kind} {data.found.get(kind, 0)}" for kind in data.allowed)
        lines.append(f"personal data left in, allowed by name: {stays}")
    if data.static:
        shown = ", ".join(value for values in data.static.values() for value in values[:3])
        lines.append(f"personal data in the fixed prompt, left as it is: {shown}")
    return lines


def _ordered(counts: Mapping[PersonalType, int]) -> dict[PersonalType, int]:
    return {kind: counts[kind] for kind in PERSONAL_TYPES if counts.get(kind)}


def _fixed_texts(templates: Iterable[Template]) -> list[str]:
    patterns = [pattern for template in templates for pattern in (*template.original, *template.pruned)]
    return list(dict.fromkeys(text for p in patterns for text in p.literals if text))


def _static(fixed: Iterable[str], findings: Mapping[str, Any]) -> dict[PersonalType, tuple[str, ...]]:
    values: dict[PersonalType, dict[str, str]] = {}
    for text in fixed:
        for each in findings.get(text, ()):
            values.setdefault(each.type, {}).setdefault(each.key, text[each.start : each.end])
    return {kind: tuple(values[kind].values()) for kind in PERSONAL_TYPES if kind in values}


def _texts(row: Row, templates: Sequence[Template], labels: frozenset[str]) -> list[str]:
    """Whatever of the row may hold personal data, the prompt first."""
    texts = _prompts(row, templates)
    texts += [] if row.answer in labels else [row.answer]
    if row.logged_text is not None and row.logged_text.strip() not in labels:
        texts.append(row.logged_text)
    return list(dict.fromkeys(texts))


def _prompts(row: Row, templates: Sequence[Template]) -> list[str]:
    # A row without a template has no fixed part that is known.
    known = any(template.id == row.template for template in templates)
    return list(row.slots) if known else [message["content"] for message in row.messages]


def _replace(row: Row, personal: _Personal, templates: Sequence[Template], labels: frozenset[str]) -> None:
    values = personal.prompt
    template = next((each for each in templates if each.id == row.template), None)
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
    """The message with redacted slots where the slots were; the text around them stays to the byte."""
    if pattern.middles:
        places = spans(pattern.literals, content)
        assert places is not None, "the row has this template"
        # From the last to the first, so that the places of those before stay right.
        for (start, end), (_, redacted) in reversed(list(zip(places, pairs, strict=True))):
            content = content[:start] + redacted + content[end:]
        return content
    ((slot, redacted),) = pairs
    at = len(pattern.prefix)
    if not content.startswith(slot, at):
        # Its whitespace differs from the template's.
        at = content.rfind(slot)
    return content[:at] + redacted + content[at + len(slot) :]
