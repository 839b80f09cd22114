"""Personal data stays out of the training set: typed placeholders, or rows left out, unless a type is allowed by name.

Runs per call site, when templates are known and answers are checked. Only what varies is looked at:
what the template itself says (a support address) is the company's own, is listed, and stays.
"""

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.dataset import PERSONAL_TYPES, PersonalData, PersonalType
from pipeline.extract.config import PrivacyConfig
from pipeline.extract.filters import Ledger
from pipeline.extract.rows import Row
from traffic.prompts import MessagePattern, Template, render, spans

__all__ = ["in_words", "merged", "redact"]


def redact(
    rows: Sequence[Row],
    config: PrivacyConfig,
    ledger: Ledger,
    templates: Sequence[Template],
    labels: Iterable[str] = (),
    processes: int | None = None,
) -> tuple[list[Row], PersonalData]:
    """The rows that stay, with placeholders in prompt, original prompt, answer and logged text; and what was done.

    `labels` is the closed set of answers, which never change. The result does not depend on `processes`
    (None: as many as there are cores, where it pays). Raises: NotFound if `ner_model` is not there.
    """
    if config.action == "keep":
        return list(rows), PersonalData(action="keep", allowed=config.allow, names="not looked for")
    # presidio takes seconds to import.
    from pipeline.extract.privacy import recognisers, scan
    from pipeline.extract.privacy.placeholders import Values

    closed = frozenset(labels)
    fixed = _fixed_texts(templates)
    texts = (text for row in rows for text in _texts(row, templates, closed))
    findings = scan.find_all([*fixed, *texts], config, processes)
    static = _static(fixed, findings)
    own = {each.key for text in fixed for each in findings.get(text, ())}

    kept: list[Row] = []
    found, redacted, excluded = Counter[PersonalType](), Counter[PersonalType](), Counter[PersonalType]()
    removed = 0
    for row in rows:
        texts_of_row = _texts(row, templates, closed)
        if not any(text in findings for text in texts_of_row):
            kept.append(row)
            continue
        everything = Values(texts_of_row, lambda text: findings.get(text, ()), own)
        found += everything.counts()
        values = everything.without(config.allow)
        if not values:
            kept.append(row)
            continue
        if config.action == "exclude":
            gone = set(values.counts())
        else:
            prompts = _prompts(row, templates)
            gone = set() if row.answer in closed else values.needed_by(row.answer, prompts)
        if gone:
            excluded.update(gone)
            removed += 1
            continue
        redacted += values.counts()
        _replace(row, values, templates, closed)
        kept.append(row)

    if config.action == "exclude":
        ledger.add("personal_data", removed, "personal data in the request or its answer (privacy.action: exclude)")
    else:
        types = ", ".join(f"{kind} {excluded[kind]}" for kind in PERSONAL_TYPES if excluded[kind])
        reason = f"the answer needs personal data: {types}" if types else "the answer needs personal data"
        ledger.add("personal_data_in_answer", removed, reason)
    model = recognisers.ner_model(config)
    return kept, PersonalData(
        action=config.action,
        found=_ordered(found),
        redacted=_ordered(redacted),
        rows_excluded=_ordered(excluded),
        allowed=config.allow,
        static=static,
        names=(
            "by wordings in which people name themselves; no NER model is installed"
            if model is None
            else f"by wordings in which people name themselves, and by the NER model {model}"
        ),
        recognisers=recognisers.versions(model),
    )


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


def _replace(row: Row, values: Any, templates: Sequence[Template], labels: frozenset[str]) -> None:
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
        row.answer = values.replace_in_answer(row.answer)
    if row.logged_text is not None and row.logged_text.strip() not in labels:
        row.logged_text = values.replace_in_answer(row.logged_text)


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
