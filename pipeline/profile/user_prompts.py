"""Prompts that stand in the user's message, where no system prompt says what the task is.

`Classify the review as good or bad: <review>` is sent a thousand times with another review. The lines and sentences
that many different messages share are such a prompt; what people ask twice by chance is not.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from pipeline.profile.answer_forms import AnswerForm, form_of
from pipeline.profile.families import masked, segments
from traffic.prompts import MessagePattern

MIN_TEXTS = 8
"""Different messages that must share a prompt."""
MIN_SHARE = 0.01
"""The same as a share of the messages that were looked at."""
MIN_CHARS = 12
_SEGMENTS = 60
_FIRST_WORDS = 4
_TRIMMED = 0.05


class UserPrompt(NamedTuple):
    """A prompt inside the user's message, and which of the messages have it."""

    pattern: MessagePattern
    members: list[int]


def user_prompts(texts: Sequence[str], answers: Sequence[str]) -> list[UserPrompt]:
    """The prompts that the messages share, the most frequent first; `answers`: to each of the messages."""
    support = max(MIN_TEXTS, int(MIN_SHARE * len(texts)))
    cut = [_parts(text) for text in texts]
    remainders: dict[str, set[int]] = defaultdict(set)
    for text, parts in zip(texts, cut, strict=True):
        for part in parts:
            # The length of the rest stands for the rest: a message that is only this part has none.
            remainders[part].add(len(text) - len(part))
    occurrences = Counter(part for parts in cut for part in parts)
    standing = {
        part for part, n in occurrences.items()
        if n >= support and len(part) >= MIN_CHARS and len(remainders[part]) >= MIN_TEXTS // 2
    }  # fmt: skip
    groups: dict[str, list[int]] = defaultdict(list)
    for n, parts in enumerate(cut):
        own = [part for part in parts if part in standing]
        if own:
            # The rarer of the long ones: boilerplate that every prompt has tells nothing apart.
            groups[min(own, key=lambda part: (_is_start(part), occurrences[part] / len(part), part))].append(n)
    prompts = []
    for members in groups.values():
        if len(members) < support:
            continue
        pattern = _pattern([texts[n].strip() for n in members])
        if pattern is not None:
            prompts.append(UserPrompt(pattern, members))
    prompts.sort(key=lambda prompt: (-len(prompt.members), prompt.pattern.literals))
    return _merged(prompts, texts, answers)


def _merged(prompts: list[UserPrompt], texts: Sequence[str], answers: Sequence[str]) -> list[UserPrompt]:
    """Prompts that begin with the same sentence and are answered in the same form are one prompt: what tells them
    apart is a sentence of their data.
    """
    kept: list[UserPrompt] = []
    forms: list[AnswerForm] = []
    for prompt in prompts:
        start, form = _first_segment(prompt), form_of([answers[n] for n in prompt.members])
        alike = [
            n for n, other in enumerate(kept)
            if start and start == _first_segment(other) and not form.differs(forms[n])
        ]  # fmt: skip
        members = [*kept[alike[0]].members, *prompt.members] if alike else []
        pattern = _pattern([texts[n].strip() for n in members])
        if pattern is None:
            kept.append(prompt)
            forms.append(form)
        else:
            kept[alike[0]] = UserPrompt(pattern, members)
            forms[alike[0]] = form_of([answers[n] for n in members])
    return kept


def _first_segment(prompt: UserPrompt) -> str:
    return next((part for part in segments(prompt.pattern.prefix) if len(part) >= 2 * MIN_CHARS), "")


def _parts(text: str) -> set[str]:
    parts = segments(text)
    kept = set(parts if len(parts) <= _SEGMENTS else parts[: _SEGMENTS // 2] + parts[-_SEGMENTS // 2 :])
    words = masked(text[:300]).split()
    if len(words) > _FIRST_WORDS:
        kept.add("^" + " ".join(words[:_FIRST_WORDS]))
    return kept


def _is_start(part: str) -> bool:
    return part.startswith("^")


def _pattern(texts: Sequence[str]) -> MessagePattern | None:
    prefix = _shared_start(texts)
    # Cut back to where a value may begin.
    cut = max((prefix.rfind(mark) + 1 for mark in "\n :\"'(<[：。"), default=0)
    prefix = prefix[:cut] if len(set(texts)) > 1 else prefix
    reversed_suffix = _shared_start([text[len(prefix) :][::-1] for text in texts if text.startswith(prefix)])
    suffix = reversed_suffix[::-1]
    starts = [n for n, char in enumerate(suffix) if char in "\n \"')>]。"]
    suffix = suffix[starts[0] :] if starts else ""
    if len(prefix.strip()) + len(suffix.strip()) < MIN_CHARS:
        return None
    return MessagePattern("user", prefix, suffix, slot=True)


def _shared_start(texts: Sequence[str]) -> str:
    """What nearly all texts begin with: the strays at both ends of the order are left out."""
    if not texts:
        return ""
    ordered = sorted(texts)
    strays = int(_TRIMMED * len(ordered))
    first, last = ordered[strays], ordered[len(ordered) - 1 - strays]
    return first[
        : next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    ]
