"""Families of standing texts: which system prompts are one prompt with different values in it, and which are not.

A text is cut into segments (lines and sentences) with numbers, dates and addresses masked. Segments that many requests
share are standing; texts with nearly the same standing segments are a family. A family whose members differ by standing
text is split where its members' messages or answers differ too: one boilerplate may serve many tasks.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

ALIKE = 0.6
"""Share of the standing text that members of a family have in common."""
MIN_SPLIT = 8
"""Requests of a member below which it is never a shape of its own."""
_SAME_TASK = 0.5
"""Likeness between two members' texts, relative to the likeness inside each, below which they are different tasks."""
_LONGER = 2
"""How much longer the short quarter of one member's texts is than the long quarter of another's, if they differ."""
_LABEL_CHARS = 40
_OPEN_SLOT = 0.3
"""Share of a family's requests in rare members, from which on its differences are values of an open slot."""
MIN_FILLERS = 3
MIN_GAPPED, MAX_GAPPED = 4, 25
"""Words of a segment in which a changing word is looked for."""
_PIVOTS = 50
_COMPARED = 60

_CUT = re.compile(r"\n+|(?<=[.!?;:])\s+|(?<=[。！？；：])")
_LANGUAGES = (
    "english|german|french|spanish|italian|portuguese|dutch|japanese|chinese|korean|polish|russian|turkish|arabic|hindi|"
    "swedish|danish|norwegian|finnish|czech|deutsch|français|español|italiano|português|nederlands|polski"
)
_MONTHS = (
    "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sep(?:t(?:ember)?)?|oct(?:ober)?|"
    "nov(?:ember)?|dec(?:ember)?|(?:mon|tues|wednes|thurs|fri|satur|sun)day"
)
_MASK = re.compile(
    r"(?<!\S)[^\s@]+@\S+|https?://\S+|"
    rf"\b(?:[a-z]{{2}}[-_][A-Z]{{2}}|[\da-f]{{8,}}|{_MONTHS}|{_LANGUAGES})\b|\d+",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+")
_DENSE = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


Vector = dict[str, float]


class Text(msgspec.Struct, frozen=True):
    """One distinct standing text, with what its requests say and are answered."""

    text: str
    requests: int
    messages: tuple[str, ...] = ()
    """Of the user, a sample."""
    answers: tuple[str, ...] = ()


class Family(NamedTuple):
    """Texts of one shape, the most frequent first."""

    texts: list[Text]

    @property
    def requests(self) -> int:
        return sum(text.requests for text in self.texts)


def masked(text: str) -> str:
    """The text with what changes from call to call (numbers, dates, addresses, language names) replaced by `#`."""
    return _MASK.sub("#", text)


def segments(text: str) -> list[str]:
    """Masked lines and sentences, in order."""
    return [part for piece in _CUT.split(masked(text)) if (part := piece.strip())]


def families(texts: Iterable[Text], support: int = 5) -> list[Family]:
    """Texts grouped into shapes, the most frequent group first."""
    ordered = sorted(texts, key=lambda t: (-t.requests, t.text))
    cut = _without_fillers([segments(text.text) for text in ordered])
    counts: Counter[str] = Counter()
    for text, listed in zip(ordered, cut, strict=True):
        for part in set(listed):
            counts[part] += text.requests
    standing = [frozenset(part for part in listed if counts[part] >= support) for listed in cut]
    groups: list[list[int]] = []
    pivots: list[frozenset[str]] = []
    by_segment: dict[str, list[int]] = defaultdict(list)
    for n, parts in enumerate(standing):
        at = _nearest(parts, pivots, by_segment) if parts else _by_words(ordered[n], groups, ordered)
        if at is None:
            at = len(groups)
            groups.append([])
            pivots.append(parts)
            for part in parts:
                by_segment[part].append(at)
        groups[at].append(n)
    split = [family for group in groups for family in _split([(ordered[n], standing[n]) for n in group])]
    split.sort(key=lambda family: (-family.requests, family.texts[0].text))
    return split


def _without_fillers(cut: list[list[str]]) -> list[list[str]]:
    """The texts with `#` for a word that changes inside one segment while different tasks stand around it.

    A greeting with a city in it, say, that an application puts before each of its prompts. A word that changes in the
    one prompt of one task is left: it may be what the task is about.
    """
    rests: dict[tuple[str, ...], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for listed in cut:
        for part in listed:
            rest = "\n".join(other for other in listed if other != part)
            for key, word in _gapped(part) if rest else ():
                rests[key][rest].add(word)
    slots = {key for key, by_rest in rests.items() if sum(len(words) >= MIN_FILLERS for words in by_rest.values()) >= 2}
    if not slots:
        return cut
    return [
        [next((" ".join(key) for key, _ in _gapped(part) if key in slots), part) for part in listed] for listed in cut
    ]


def _gapped(part: str) -> Iterator[tuple[tuple[str, ...], str]]:
    words = part.split()
    if MIN_GAPPED <= len(words) <= MAX_GAPPED:
        for n, word in enumerate(words):
            yield (*words[:n], "#", *words[n + 1 :]), word


def _nearest(parts: frozenset[str], pivots: Sequence[frozenset[str]], by_segment: dict[str, list[int]]) -> int | None:
    shared: Counter[int] = Counter()
    for part in parts:
        for at in by_segment.get(part, ())[:_PIVOTS]:
            shared[at] += len(part)
    own = sum(map(len, parts))
    for at, common in shared.most_common(5):
        if common >= ALIKE * max(own, sum(map(len, pivots[at]))):
            return at
    return None


def _by_words(text: Text, groups: Sequence[list[int]], ordered: Sequence[Text]) -> int | None:
    """A group whose first text has most of the words: for a prompt of one sentence with a value in it."""
    words = Counter(_WORD.findall(masked(text.text)))
    for at, group in enumerate(groups[:_PIVOTS]):
        others = Counter(_WORD.findall(masked(ordered[group[0]].text)))
        if 2 * (words & others).total() >= 1.5 * max(1, words.total() + others.total()) * 0.75:
            return at
    return None


def _split(members: list[tuple[Text, frozenset[str]]]) -> list[Family]:
    variants: dict[frozenset[str], list[Text]] = defaultdict(list)
    for text, parts in members:
        variants[parts].append(text)
    total = sum(text.requests for text, _ in members)
    sized = sorted(variants.values(), key=lambda texts: (-_requests(texts), texts[0].text))
    rare = [texts for texts in sized if _requests(texts) < max(MIN_SPLIT, 0.002 * total)]
    if len(sized) == 1 or sum(map(_requests, rare)) >= _OPEN_SLOT * total:
        return [Family([text for text, _ in members])]
    weights = _word_weights([text for text, _ in members])
    shapes: list[tuple[_Profile, list[Text]]] = []
    for texts in sized:
        if shapes and any(texts is other for other in rare):
            shapes[0][1].extend(texts)
            continue
        profile = _Profile(texts, weights)
        home = next((shape for shape in shapes if shape[0].same_task(profile)), None)
        if home is None:
            shapes.append((profile, list(texts)))
        else:
            home[1].extend(texts)
    return [Family(sorted(texts, key=lambda t: (-t.requests, t.text))) for _, texts in shapes]


def _requests(texts: Iterable[Text]) -> int:
    return sum(text.requests for text in texts)


def _word_weights(texts: Sequence[Text]) -> dict[str, float]:
    """Inverse document frequency of the words of a family's messages and answers."""
    seen: Counter[str] = Counter()
    total = 0
    for text in texts:
        for content in (*text.messages[:_COMPARED], *text.answers[:_COMPARED]):
            seen.update(_words(content))
            total += 1
    return {word: math.log((1 + total) / (1 + count)) for word, count in seen.items()}


class _Profile:
    """What the requests of one member say and are answered, in halves, so that likeness has a yardstick."""

    def __init__(self, texts: Sequence[Text], weights: Mapping[str, float]) -> None:
        self._halves: list[tuple[Vector, Vector] | None] = []
        self._lengths: list[tuple[int, int] | None] = []
        for contents in ([m for t in texts for m in t.messages], [a for t in texts for a in t.answers]):
            kept = contents[:_COMPARED]
            both = (_vector(kept[::2], weights), _vector(kept[1::2], weights)) if len(kept) >= 2 else None
            self._halves.append(both)
            self._lengths.append(_quartiles(kept) if len(kept) >= MIN_SPLIT else None)

    def same_task(self, other: "_Profile") -> bool:
        for mine, theirs in zip(self._lengths, other._lengths, strict=True):
            if mine and theirs and max(mine[0], theirs[0]) > _LONGER * min(mine[1], theirs[1]):
                return False
        for one, two in zip(self._halves, other._halves, strict=True):
            if one is None or two is None:
                continue
            inside = min(_cosine(*one), _cosine(*two))
            across = max(_cosine(one[0], two[0]), _cosine(one[1], two[1]))
            if inside >= 0.1 and across < _SAME_TASK * inside:
                return False
        return True


def _quartiles(contents: Sequence[str]) -> tuple[int, int]:
    """Of the lengths; at least what a label has, so that `yes` and `unknown` are alike."""
    lengths = sorted(max(_LABEL_CHARS, len(content)) for content in contents)
    return lengths[len(lengths) // 4], lengths[3 * len(lengths) // 4]


def _vector(contents: Iterable[str], weights: Mapping[str, float]) -> Vector:
    counts: Counter[str] = Counter()
    for content in contents:
        counts.update(_words(content))
    vector = {word: count * weights.get(word, 0.0) for word, count in counts.items()}
    norm = math.sqrt(sum(value * value for value in vector.values()))
    return {word: value / norm for word, value in vector.items()} if norm else {}


def _cosine(one: Vector, other: Vector) -> float:
    if not one and not other:
        return 1.0
    if len(one) > len(other):
        one, other = other, one
    return sum(value * other.get(word, 0.0) for word, value in one.items())


def _words(text: str) -> set[str]:
    text = text[:1000].lower()
    if _DENSE.search(text):
        return {text[n : n + 2] for n in range(len(text) - 1)}
    return set(_WORD.findall(text))
