"""Discovers the closed label set of a classifying call site from its prompt and its logged answers.

Applications list their labels in the prompt, as bullets, as `label - meaning` lines or separated by commas. A list that
covers most answers is the label set, including members that are rare in the log or missing from it. Without such a
list, the frequent short answers are the label set.
"""

import itertools
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from pipeline.extract import label_lists
from pipeline.extract.config import ExtractConfig
from traffic.answers import folded, items_of, resolve_labels, unfenced, visible
from traffic.callsites import Checks

MAX_LABEL_CHARS = 64
_COVERED = 0.8
"""Minimum share of the answers that a label set must cover."""
_SEVERAL = 0.05
"""Minimum share of answers with several labels for answers to be sets of labels."""
_MEANING = re.compile(r"\s+[-–—=→>]+\s.*|\s*:\s.*|:$|\s+\(.*\)\s*$")
_MAX_KNOWN = 300
"""Most frequent answers that are searched in the prompt."""
_QUOTES = "\"'`“”„«»「」『』*[]{}<>"


class LabelSet(NamedTuple):
    """Labels in alphabetical order, and their origin; empty if the answers are no labels."""

    labels: tuple[str, ...]
    source: str
    named: bool = False
    """The prompt names them."""


def discover(answers: Counter[str], prompt: str, config: ExtractConfig) -> LabelSet:
    """Labels of a call site from its answers (with their counts) and the fixed text of its prompts.

    Spellings of one label (case, quotes, a final stop) count together, under the prompt's spelling if answers use it.
    """
    total = answers.total()
    lists = list(label_lists.lists(prompt, _most_frequent(answers)))
    in_lists = set(itertools.chain.from_iterable(items for items, _ in lists))
    merged = _merged(answers, in_lists, prompt)
    candidates = Counter({text: n for text, n in merged.items() if "\n" not in text and len(text) <= MAX_LABEL_CHARS})
    min_count = max(config.label_min_rows, config.label_min_share * total)
    frequent = {text for text, n in candidates.items() if n >= min_count}
    listed = _listed(candidates, lists, config.label_min_share * total)
    spelled = {text for text in frequent if named_in(prompt, text)}
    # "billing, delivery" stands in the prompt's list of labels, but is two of them.
    spelled -= {text for text in spelled if len(items := items_of(text) or ()) > 1 and {*items} <= in_lists | spelled}
    labels = listed | spelled
    if labels and _share(labels | _explained(labels, merged), merged) >= _COVERED:
        logged_count = len(labels & candidates.keys())
        return LabelSet(
            tuple(sorted(labels)), f"the prompt names {len(labels)} labels, {logged_count} of them are in the log", True
        )
    plain = {text for text in frequent if not _decorated(text, candidates)}
    if plain and _share(plain, merged) >= _COVERED:
        return LabelSet(tuple(sorted(plain)), f"answers that occur at least {max(1, round(min_count))} times")
    return LabelSet((), "none: the answers are no closed set")


def discover_set(texts: Sequence[str], prompt: str, config: ExtractConfig, *, named: bool = False) -> Checks | None:
    """Checks of a call site whose answers are sets of labels; None if they are not.

    `named`: only if the prompt names the labels; else a task that extracts frequent values would be one of labels.
    """
    members = [items_of(text) for text in texts]
    several = [items for items in members if items is not None and len(items) > 1]
    if len(several) < max(2, _SEVERAL * len(texts)):
        return None
    counts = Counter(item for items in members for item in items or ())
    label_set = discover(counts, prompt, config)
    if named and not label_set.named:
        return None
    labels = label_set.labels
    # Members of a set occur with different partners; the parts of one label ("yes, urgent") always occur together.
    cooccurring: dict[str, set[frozenset[str]]] = {}
    for items in members:
        for item in items or ():
            cooccurring.setdefault(item, set()).add(frozenset(items or ()))
    if not labels or not any(len(cooccurring.get(label, ())) > 1 for label in labels):
        return None
    lists = sum(unfenced(text).startswith("[") for text in texts)
    checks = Checks(labels=labels, multiple="json" if 2 * lists > len(texts) else "comma")
    covered = sum(resolve_labels(text, checks) is not None for text in texts)
    return checks if covered >= _COVERED * len(texts) else None


def _merged(answers: Counter[str], listed: Collection[str], prompt: str) -> Counter[str]:
    """Counts of the answers, with all spellings of a label counted as one."""
    spellings: dict[str, Counter[str]] = {}
    for text, n in answers.items():
        spelling = visible(text).strip()
        spellings.setdefault(folded(spelling), Counter())[spelling] += n
    merged: Counter[str] = Counter()
    for counts in spellings.values():
        listed_spellings = [text for text in counts if text in listed]
        # `b` before `(b)`, if the prompt contains both.
        listed_spellings = listed_spellings or sorted((text for text in counts if named_in(prompt, text)), key=len)[:1]
        chosen = listed_spellings or [min(counts, key=lambda text: (-counts[text], text))]
        for text, n in counts.items():
            same_case_folded = [label for label in chosen if label.casefold() == text.casefold()]
            merged[text if text in chosen else (same_case_folded or chosen)[0]] += n
    return merged


def _listed(candidates: Counter[str], lists: Sequence[label_lists.Listed], min_count: float) -> set[str]:
    """Members of the prompt's lists whose members are answers, including some that no answer uses.

    `min_count`: minimum number of answers for a list; rarer ones may be wrong and stand in it by chance.
    """
    labels: set[str] = set()
    by_folded = {folded(text): text for text in candidates}
    for items, is_tight in lists:
        # If answers spell a label differently from the prompt, the answers' spelling wins: the application reads it.
        spelled = [item if item in candidates else by_folded.get(folded(item), item) for item in items]
        answered = [item for item in spelled if item in candidates]
        rows = sum(candidates[item] for item in answered)
        if len(answered) < 2 or 2 * len(answered) < len(items) or rows < min_count:
            continue
        labels.update(answered)
        # A word beside the labels may be a remark: unseen ones count only in a list that is otherwise all labels.
        unseen = [item for item in spelled if item not in candidates]
        if is_tight and 0 < len(unseen) <= max(1, len(items) // 4) and len(items) > 2:
            labels.update(_alike(unseen, answered))
    return labels


def _most_frequent(answers: Counter[str]) -> list[str]:
    """Answers that may be labels, without those of several labels."""
    texts = Counter[str]()
    for answer, n in answers.items():
        if "\n" not in answer and len(answer) <= MAX_LABEL_CHARS and (text := _item(answer)):
            texts[text] += n
    members = {text: items_of(text) or () for text in texts}
    counts = Counter(item for items in members.values() for item in items)
    single = [
        text
        for text, items in members.items()
        if (len(items) < 2 or min(counts[item] for item in items) < 2)
        # `c)` and `(c)` are `c` where some answers are.
        and ((inner := text.strip("()")) == text or inner not in texts)
    ]
    return sorted(single, key=lambda text: (-texts[text], text))[:_MAX_KNOWN]


def _item(text: str) -> str:
    text = text.strip()
    bare = text.strip(_QUOTES).strip()
    # A sentence's full stop is not the label's; a question mark may be.
    return bare[:-1].strip(_QUOTES) if bare.endswith((".", "。")) else bare


def _alike(items: list[str], labels: list[str]) -> Iterator[str]:
    """List members that no answer uses and that look like the labels: as short, in their case, of letters as they."""
    max_chars = min(MAX_LABEL_CHARS, 2 * max(map(len, labels)))
    max_words = max(len(label.split()) for label in labels)
    forms = set(map(_form, labels))
    return (
        item for item in items if 0 < len(item) <= max_chars and len(item.split()) <= max_words and _form(item) in forms
    )


def _form(label: str) -> tuple[bool, bool, bool, bool]:
    has_letters = label.upper() != label.lower()
    return has_letters, label[0].isupper(), has_letters and label.isupper(), label[-1].isalnum()


def named_in(prompt: str, label: str) -> bool:
    """Whether the prompt contains the label verbatim, as whole words."""
    return re.search(rf"(?<!\w){re.escape(label)}(?!\w)", prompt) is not None


def _explained(labels: set[str], answers: Counter[str]) -> set[str]:
    """Answers of a label and a reason (`billing - charged twice`), unless they outnumber the bare labels."""
    explained = {text for text in answers if _item(_MEANING.sub("", text.split("\n", 1)[0])) in labels} - labels
    return explained if _share(explained, answers) < _share(labels, answers) else set()


def _decorated(text: str, candidates: Counter[str]) -> bool:
    """Whether this is a much more frequent answer with prose or marks around it: `Answer: ham`, `**ham**`."""
    count = candidates[text]
    words = re.findall(r"\w+(?:[-./]\w+)*", text)
    return any(part != text and candidates[part] >= 10 * count for part in words)


def _share(labels: set[str], answers: Counter[str]) -> float:
    return sum(answers[label] for label in labels) / max(1, answers.total())
