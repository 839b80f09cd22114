"""The closed label set of a classifying call site, found in its prompt and its logged answers.

Applications spell their labels out in the prompt, as bullets, as `label - meaning` lines or in a row
with commas. A list there that the answers are mostly taken from is the label set, together with its
members that the log has rarely or never seen. Without one, the frequent short answers are.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from pipeline.extract.config import ExtractConfig

MAX_LABEL_CHARS = 64
_COVERED = 0.8
"""Share of the answers that a label set must cover to be one."""

_BULLET = re.compile(r"^\s*(?:[-*•–·]|\d{1,3}[.)])\s+")
_MEANING = re.compile(r"\s+[-–—=→>]+\s.*|\s*:\s.*|:$|\s+\(.*\)\s*$")
_AND = r"(?:or|and|oder|und|ou|et|o|y)\s+"
_SEPARATOR = re.compile(rf"\s*[,;|、]\s*(?:{_AND})?|\s+/\s+|\s+{_AND}")
_QUOTED = re.compile(r"[\"`“„]([^\"`“”„\n]{1,64})[\"`”“]")
_QUOTES = "\"'`“”„«»*[]{}<>"


class LabelSet(NamedTuple):
    """Labels in alphabetical order, and where they come from; empty when the answers are no labels."""

    labels: tuple[str, ...]
    source: str


def discover(answers: Counter[str], prompt: str, config: ExtractConfig) -> LabelSet:
    """Labels of a call site from its answers (stripped, with their counts) and the fixed text of its prompts."""
    total = answers.total()
    candidates = Counter({text: n for text, n in answers.items() if "\n" not in text and len(text) <= MAX_LABEL_CHARS})
    needed = max(config.label_min_rows, config.label_min_share * total)
    frequent = {text for text, n in candidates.items() if n >= needed}
    listed = _listed(candidates, prompt)
    spelled = {text for text in frequent if _spelled(text, prompt)}
    labels = listed | spelled
    if labels and _share(labels, answers) >= _COVERED:
        seen = len(labels & candidates.keys())
        return LabelSet(tuple(sorted(labels)), f"the prompt names {len(labels)} labels, {seen} of them are in the log")
    plain = {text for text in frequent if not _decorated(text, candidates)}
    if plain and _share(plain, answers) >= _COVERED:
        return LabelSet(tuple(sorted(plain)), f"answers that occur at least {max(1, round(needed))} times")
    return LabelSet((), "none: the answers are no closed set")


def _listed(candidates: Counter[str], prompt: str) -> set[str]:
    """Members of the prompt's lists that the answers are mostly taken from, unseen ones included."""
    labels: set[str] = set()
    for items in _lists(prompt):
        seen = [item for item in items if item in candidates]
        if len(seen) < 2 or 2 * len(seen) < len(items):
            continue
        labels.update(seen)
        # A word beside the labels may be a remark: unseen ones count only in a long list that is otherwise all labels.
        if len(items) >= 5 and len(seen) >= 0.75 * len(items):
            labels.update(item for item in items if _alike(item, seen))
    return labels


def _lists(prompt: str) -> Iterator[list[str]]:
    """Every list in the prompt: runs of adjacent lines, and rows of items within a line."""
    run: list[str] = []
    for line in [*prompt.splitlines(), ""]:
        if line.strip():
            run.append(_item(_MEANING.sub("", _BULLET.sub("", line))))
        else:
            yield from _run(run)
            run = []
        row = [_item(part) for part in _SEPARATOR.split(re.sub(r"^[^:]*:\s", "", line)) if part.strip()]
        yield from (items for items in (row, _QUOTED.findall(line)) if len(items) > 1)


def _run(lines: list[str]) -> Iterator[list[str]]:
    """A paragraph of lines as a list, whole and without its heading or its closing line."""
    for items in (lines, lines[1:], lines[:-1], lines[1:-1]):
        if len(items) > 1:
            yield items


def _item(text: str) -> str:
    text = text.strip()
    bare = text.strip(_QUOTES).strip()
    # A sentence's full stop is not the label's; a question mark may be.
    return bare[:-1].strip(_QUOTES) if bare.endswith(".") else bare


def _alike(item: str, labels: list[str]) -> bool:
    """Could this unseen member of the list be a label, by its shape?"""
    if (
        not item
        or len(item) > max(MAX_LABEL_CHARS, 1)
        or len(item.split()) > max(len(label.split()) for label in labels)
    ):
        return False
    return len(item) <= 2 * max(map(len, labels))


def _spelled(label: str, prompt: str) -> bool:
    """Does the prompt hold the label verbatim, as whole words?"""
    return re.search(rf"(?<!\w){re.escape(label)}(?!\w)", prompt) is not None


def _decorated(text: str, candidates: Counter[str]) -> bool:
    """Is this a much more frequent answer with prose or marks around it, such as `Answer: ham` or `**ham**`?"""
    count = candidates[text]
    words = re.findall(r"\w+(?:[-./]\w+)*", text)
    return any(part != text and candidates[part] >= 10 * count for part in words)


def _share(labels: set[str], answers: Counter[str]) -> float:
    return sum(answers[label] for label in labels) / max(1, answers.total())
