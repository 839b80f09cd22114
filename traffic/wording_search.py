"""Finds which of many wordings a text contains, in one pass over it: some ten microseconds for a page.

    search = WordingSearch({"label": ("labels? only",), "code": ("write … code",)})
    search.names(text, search.scan(text))  # {"code"} for "write some code."

A wording is a regular expression that begins and ends at a word boundary; ` … ` stands for up to 40 characters of the
same sentence. A wording's possible beginnings are listed ("label only ", "labels only "; "write "). The Aho-Corasick
algorithm finds those of all wordings in one pass, in a time that does not depend on their number. Only there is the
wording's expression tried, and only if its last words are in the text as well.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from ahocorasick_rs import AhoCorasick, BytesAhoCorasick, Implementation, MatchKind

Match = Callable[[str, int], Any]
Hit = tuple[int, int, int]
"""Index of the text that was found, start of its first word, and its end in the text with a space on each side."""
Removal = tuple[int, int, int]
"""Start and end of a part to remove from a text, and the number of spaces that replace it."""

_BORDERS = bytes(code if re.match(r"\w", chr(code)) else ord(" ") for code in range(128)) + bytes(range(128, 256))
_WIDE_BORDER = re.compile(r"[^\w ]")
_MAX_BEGINNINGS = 128
"""Maximum per wording; with more, the wording is tried at shorter beginnings, which are found more often."""
_FREQUENT = frozenset(
    f"{word} " for word in "as her if in into it its from that the there this what who why with you your".split()
)
"""Words of most texts, which exclude hardly any."""
_PART = re.compile(r"\\.|\[[^\]]*\]|\{[\d,]+\}|.", re.DOTALL)
_QUANTIFIERS = ("?", "*", "+")
_LOOKAROUNDS = ("(?=", "(?!", "(?<")


_Try = tuple[str, int, Match]
"""Name of a wording, the bit of its last words, and its expression."""


class Scan(NamedTuple):
    """What a search found in one pass over a text."""

    tries: list[tuple[int, tuple[_Try, ...]]]
    """Where wordings begin, and which."""
    positions: dict[str, list[int]]
    """Starts of words, by kind."""
    tails: int
    """One bit for each set of last words of which one is in the text, and one that is always set."""


class Literals:
    """Finds any of a few texts in a long one, ten times faster than `in` finds one of them.

    Matches do not overlap; of texts that begin alike, the first listed is found.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        # The library uses vector instructions where the texts have more than three different first bytes. No text in
        # UTF-8 has the last two.
        rare = (b"\xfe\xfe", b"\xff\xff")
        self._texts = texts
        self._index = BytesAhoCorasick([*(text.encode() for text in texts), *rare], MatchKind.LeftmostFirst)

    def find(self, text: str) -> list[tuple[str, int]]:
        """Texts that are in this one and where each begins, in order."""
        data = text.encode("utf-8", "surrogatepass")
        hits = self._index.find_matches_as_indexes(data)
        if not hits or len(data) == len(text):
            return [(self._texts[index], at) for index, at, _ in hits]
        found: list[tuple[str, int]] = []
        read = characters = 0
        for index, at, _ in hits:
            characters += len(data[read:at].decode("utf-8", "surrogatepass"))
            read = at
            found.append((self._texts[index], characters))
        return found


class WordIndex:
    """Finds many short texts in a long one. A space in a short text matches any character that no word has (`\\W`)."""

    def __init__(self, texts: Sequence[str]) -> None:
        # What no ASCII text has is left out, for a smaller table.
        of_ascii = [text.encode() if text.isascii() else b"\xff" for text in texts]
        self._of_bytes = BytesAhoCorasick(of_ascii, implementation=Implementation.DFA)
        self._of_text = AhoCorasick(texts, implementation=Implementation.DFA, store_patterns=False)

    def find(self, text: str) -> list[Hit]:
        """All matches, overlapping ones too, in order of their ends. `text` begins and ends with a border, so that
        ` word` is found at its beginning. The start of a hit is that of the first word if its text begins with a space.
        """
        if text.isascii():
            return self._of_bytes.find_matches_as_indexes(b" %b " % text.encode().translate(_BORDERS), overlapping=True)
        return self._of_text.find_matches_as_indexes(f" {_WIDE_BORDER.sub(' ', text)} ", overlapping=True)


class WordingSearch:
    """Index of wordings by name, and of `words` by kind (texts as `WordIndex` takes them), found in the same pass.

    Raises: ValueError for a wording that can begin with any letter.
    """

    def __init__(self, wordings: Mapping[str, Iterable[str]], words: Mapping[str, Sequence[str]] | None = None) -> None:
        by_head: dict[str, dict[tuple[str, frozenset[str]], list[str]]] = {}
        for name, texts in wordings.items():
            for wording in (alternative for text in texts for alternative in _whole_alternatives(text)):
                key = name, _last_words(wording)
                for head in beginnings(wording):
                    by_head.setdefault(head, {}).setdefault(key, []).append(wording)
        last_words = sorted({tails for keys in by_head.values() for _, tails in keys if tails}, key=sorted)
        bits = {tails: 2 << n for n, tails in enumerate(last_words)} | {frozenset(): 1}
        compiled: dict[tuple[str, ...], Match] = {}
        self._kinds = tuple(words or ())
        kinds: dict[str, list[str]] = {}
        for kind, texts_of_kind in (words or {}).items():
            for text in texts_of_kind:
                kinds.setdefault(text, []).append(kind)
        beginnings_of_words = {f" {text}" for text in {*by_head, *(text for tails in last_words for text in tails)}}
        # Each text is searched for once, whatever it is searched for; the words come first.
        texts = [*kinds, *sorted(beginnings_of_words - kinds.keys())]
        self._of_text: list[tuple[int, Sequence[str], tuple[_Try, ...]]] = []
        for text in texts:
            groups = by_head.get(text[1:], {})
            for group in map(tuple, groups.values()):
                if group not in compiled:
                    compiled[group] = re.compile(f"(?:{pattern_text(group)})\\b").match
            tries = tuple((name, bits[tails], compiled[tuple(group)]) for (name, tails), group in groups.items())
            ends = sum(bits[tails] for tails in last_words if text[1:] in tails)
            self._of_text.append((ends, kinds.get(text, ()), tries))
        self._index = WordIndex(texts)

    def scan(self, text: str) -> Scan:
        """Finds words and beginnings of wordings in a lower-case text."""
        positions: dict[str, list[int]] = {kind: [] for kind in self._kinds}
        found: list[tuple[int, tuple[_Try, ...]]] = []
        tails = 1
        of_text = self._of_text
        for index, at, _ in self._index.find(text):
            ends, kinds, tries = of_text[index]
            if ends:
                tails |= ends
            if kinds:
                for kind in kinds:
                    positions[kind].append(at)
            if tries:
                found.append((at, tries))
        return Scan(found, positions, tails)

    def names(self, text: str, scan: Scan, removals: Sequence[Removal] = ()) -> set[str]:
        """Names of the wordings in a lower-case text. `scan`: from before the removals."""
        names: set[str] = set()
        tails = scan.tails
        first_removed = removals[0][0] if removals else len(text)
        for at, tries in scan.tries:
            for name, needed, match in tries:
                if needed & tails and name not in names:
                    start = at if at < first_removed else _without_removals(at, removals)
                    if start >= 0 and match(text, start) is not None:
                        names.add(name)
        return names


def _without_removals(at: int, removals: Sequence[Removal]) -> int:
    """Index of a character after the removals; -1 if it is removed."""
    cut = 0
    for begin, end, spaces in removals:
        if at < begin:
            break
        if at < end:
            return -1
        cut += end - begin - spaces
    return at - cut


def pattern_text(wordings: Iterable[str]) -> str:
    """Wordings as the text of one regular expression, without groups."""
    text = "|".join(wordings).replace(" … ", r"\b[^.\n]{0,40}\b")
    return re.sub(r"(?<!\\)[(](?![?])", "(?:", text)


def after(befores: Iterable[str], wording: str) -> tuple[str, ...]:
    """Wordings that must follow one of `befores`, words that are too frequent to search for."""
    return tuple(rf"(?<=\b{before} ){wording}" for before in befores)


def beginnings(wording: str) -> frozenset[str]:
    """Texts with one of which each match begins, as long as a few can be listed; a space stands for any border.

    Raises: ValueError if a match can begin with any letter.
    """
    ended, whole = _beginnings(wording)
    # A wording ends at a word boundary.
    texts = ended | {f"{text} " for text in whole}
    if any(not text.strip() for text in texts):
        raise ValueError(f"wording {wording!r}: a wording must begin with letters")
    return frozenset(text for text in texts if not any(text[:size] in texts for size in range(1, len(text))))


def _whole_alternatives(wording: str) -> list[str]:
    """The alternatives of a wording that is one group."""
    items = _items(wording)
    if len(items) > 1 or not wording.startswith("("):
        return [wording]
    return [text for alternative in _alternatives(wording[1:-1]) for text in _whole_alternatives(alternative)]


def _last_words(wording: str) -> frozenset[str]:
    """Beginnings of the last words of a wording, one of which each match has; empty where they cannot be listed, or
    where `beginnings` lists the whole wording.
    """
    if not _beginnings(wording)[0]:
        return frozenset()
    items = _items(wording)
    for start in range(len(items) - 1, 0, -1):
        if not _is_quantifier(items[start]) and _is_after_border(items, start):
            try:
                words = beginnings("".join(items[start:]))
            except ValueError:
                continue
            if _FREQUENT.isdisjoint(words):
                return words
    return frozenset()


def _is_after_border(items: Sequence[str], index: int) -> bool:
    """Whether what matches the item is always preceded by a border."""
    if index == 0:
        return True
    last = items[index - 1]
    if _is_quantifier(last):
        may_lack = last in ("?", "*") or last.startswith("{0")
        return _ends_with_border(items[index - 2]) and (not may_lack or _is_after_border(items, index - 2))
    return _is_after_border(items, index - 1) if last.startswith(_LOOKAROUNDS) else _ends_with_border(last)


def _is_quantifier(item: str) -> bool:
    return item in _QUANTIFIERS or item.startswith("{")


def _ends_with_border(item: str) -> bool:
    if item.startswith("("):
        ends = (_items(alternative) for alternative in _alternatives(item[1:-1]))
        return all(bool(items) and _is_after_border(items, len(items)) for items in ends)
    if item.startswith("["):
        return re.fullmatch(r"\[(?:\\s|[^\w\\^])+\]", item.replace("[-", "[")) is not None
    # A gap has its spaces in it.
    return item in (r"\b", r"\n") or (len(item) == 1 and _letter(item) == " " and item not in (".", "…"))


def _beginnings(wording: str) -> tuple[set[str], set[str]]:
    """Beginnings after which a match may go on in any way, and texts that are whole matches."""
    ended: set[str] = set()
    whole = {""}
    items = _items(wording)
    for item, before, quantifier in zip(items, ["", *items], [*items[1:], ""], strict=False):
        if _is_quantifier(item) or item.startswith(_LOOKAROUNDS) or item == r"\b":
            continue
        # What is listed if the list ends here: with the border that follows a word's last letter.
        cut = {text if text.endswith(" ") else f"{text} " for text in whole} if before == r"\b" else whole
        texts = _texts_of(item)
        if texts is None:
            return ended | cut, set()
        further, longer = ({start + text for start in whole for text in group} for group in texts)
        if len(ended) + len(whole) + len(further) + len(longer) > _MAX_BEGINNINGS:
            return ended | cut, set()
        ended |= further
        if quantifier == "?":
            whole |= longer
        elif quantifier == "*" or quantifier.startswith("{0"):
            ended |= longer
        elif quantifier == "+" or quantifier.startswith("{"):
            return ended | longer, set()
        else:
            whole = longer
    return ended, whole


def _texts_of(item: str) -> tuple[set[str], set[str]] | None:
    """`_beginnings` of one item; None if it can be any letter."""
    if item.startswith("("):
        parts = [_beginnings(alternative) for alternative in _alternatives(item[1:-1])]
        return set().union(*(ended for ended, _ in parts)), set().union(*(whole for _, whole in parts))
    if item.startswith("["):
        letters = item[1:-1]
        known = not (letters.startswith("^") or "\\" in letters or "-" in letters[1:])
        return (set(), set(map(_letter, letters))) if known else None
    if item in ("…", ".") or re.fullmatch(r"\\[a-mo-zA-Z]", item):
        return None
    return set(), {" " if item == r"\n" else _letter(item[-1])}


def _letter(char: str) -> str:
    return char if re.match(r"\w", char) else " "


def _alternatives(wording: str) -> list[str]:
    alternatives = [""]
    for item in _items(wording):
        if item == "|":
            alternatives.append("")
        else:
            alternatives[-1] += item
    return alternatives


@cache
def _items(wording: str) -> tuple[str, ...]:
    """The letters, escapes, sets, groups and quantifiers of a wording."""
    items: list[str] = []
    depth = 0
    for part in _PART.findall(wording):
        if depth:
            items[-1] += part
        else:
            items.append(part)
        depth += (part == "(") - (part == ")")
    return tuple(items)
