"""Finds which of many wordings a text contains, in one pass over it: some ten microseconds for a page.

    search = WordingSearch({"label": ("labels? only",), "code": ("write … code",)})
    search.names(text, search.scan(text))  # {"code"} for "write some code."

A wording is a regular expression that begins and ends at a word boundary; ` … ` stands for up to 40 characters of the
same sentence. A wording's possible beginnings are listed ("label only ", "labels only "; "write "). The Aho-Corasick
algorithm finds those of all wordings in one pass, in a time that does not depend on their number. Only there is the
wording's expression tried, and only if a beginning of its part after the last gap is in the text as well.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ahocorasick_rs import AhoCorasick, BytesAhoCorasick, Implementation

Match = Callable[[str, int], Any]
Hit = tuple[int, int, int]
"""A text that was found: its index among those searched for, where its first word starts, and an end that counts the
borders around the match."""
Removal = tuple[int, int, int]
"""Start and end of a part that a text is to lose, and how many spaces take its place."""

_BORDERS = bytes(code if re.match(r"\w", chr(code)) else ord(" ") for code in range(128)) + bytes(range(128, 256))
_WIDE_BORDER = re.compile(r"[^\w ]")
_MAX_BEGINNINGS = 128
"""Texts per wording; where there are more, the wording is tried at shorter ones, which are found more often."""
_PART = re.compile(r"\\.|\[[^\]]*\]|\{[\d,]+\}|.", re.DOTALL)
_QUANTIFIERS = ("?", "*", "+")
_LOOKAROUNDS = ("(?=", "(?!", "(?<")


class WordIndex:
    """Finds many short texts in a long one. In both, a space stands for any character that no word has (`\\W`)."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._of_bytes = BytesAhoCorasick([text.encode() for text in texts], implementation=Implementation.DFA)
        self._of_text = AhoCorasick(texts, implementation=Implementation.DFA, store_patterns=False)

    def find(self, text: str) -> list[Hit]:
        """All hits of texts that begin with a space, overlapping ones too, in order of their ends. The limits of `text`
        are borders, so that ` word` is found at its beginning.
        """
        if text.isascii():
            return self._of_bytes.find_matches_as_indexes(b" %b " % text.encode().translate(_BORDERS), overlapping=True)
        return self._of_text.find_matches_as_indexes(f" {_WIDE_BORDER.sub(' ', text)} ", overlapping=True)


class WordingSearch:
    """Index of wordings by name, and of `words` (texts as `WordIndex` takes them), which are found in the same pass.

    Raises: ValueError for a wording that can begin with any letter.
    """

    def __init__(self, wordings: Mapping[str, Iterable[str]], words: Sequence[str] = ()) -> None:
        by_head: dict[str, dict[tuple[str, frozenset[str]], list[str]]] = {}
        for name, texts in wordings.items():
            for wording in (alternative for text in texts for alternative in _whole_alternatives(text)):
                key = name, _beginnings_after_gap(wording)
                for head in beginnings(wording):
                    by_head.setdefault(head, {}).setdefault(key, []).append(wording)
        gaps = sorted({tails for keys in by_head.values() for _, tails in keys if tails}, key=sorted)
        bits = {tails: 1 << n for n, tails in enumerate(gaps)} | {frozenset(): 0}
        compiled: dict[tuple[str, ...], Match] = {}
        self._tried: list[tuple[tuple[str, int, Match], ...]] = [()] * len(words)
        self._tails = [0] * len(words)
        texts = sorted({*by_head, *(text for tails in gaps for text in tails)})
        for text in texts:
            groups = by_head.get(text, {})
            for group in map(tuple, groups.values()):
                if group not in compiled:
                    compiled[group] = re.compile(f"(?:{pattern_text(group)})\\b").match
            self._tried.append(
                tuple((name, bits[tails], compiled[tuple(group)]) for (name, tails), group in groups.items())
            )
            self._tails.append(sum(bits[tails] for tails in gaps if text in tails))
        self._index = WordIndex([*words, *(f" {text}" for text in texts)])

    def scan(self, text: str) -> list[Hit]:
        """Where words and beginnings of wordings are in a lower-case text; the words have the first indexes."""
        return self._index.find(text)

    def names(self, text: str, hits: Iterable[Hit], removals: Sequence[Removal] = ()) -> set[str]:
        """Names of the wordings in a lower-case text. `hits`: of `scan`, from before the removals."""
        names: set[str] = set()
        tails = 0
        for index, _, _ in hits:
            tails |= self._tails[index]
        for index, at, _ in hits:
            for name, needed, match in self._tried[index]:
                if name not in names and (not needed or needed & tails):
                    start = _without_removals(at, removals) if removals else at
                    if start >= 0 and match(text, start) is not None:
                        names.add(name)
        return names


def _without_removals(at: int, removals: Sequence[Removal]) -> int:
    """Where a place is after the removals; -1 if it is removed."""
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


def _beginnings_after_gap(wording: str) -> frozenset[str]:
    """Beginnings of what must stand after the last gap of a wording; empty without a gap outside of its groups."""
    items = _items(wording)
    if "…" not in items:
        return frozenset()
    after_gap = len(items) - items[::-1].index("…") + 1
    return beginnings("".join(items[after_gap:]))


def _beginnings(wording: str) -> tuple[set[str], set[str]]:
    """Beginnings after which a match may go on in any way, and texts that are whole matches."""
    ended: set[str] = set()
    whole = {""}
    items = _items(wording)
    for item, quantifier in zip(items, [*items[1:], ""], strict=True):
        if item in _QUANTIFIERS or item.startswith(("{", *_LOOKAROUNDS)) or item == r"\b":
            continue
        texts = _texts_of(item)
        if texts is None:
            return ended | whole, set()
        further, longer = ({start + text for start in whole for text in group} for group in texts)
        if len(ended) + len(whole) + len(further) + len(longer) > _MAX_BEGINNINGS:
            return ended | whole, set()
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


def _items(wording: str) -> list[str]:
    """The letters, escapes, sets, groups and quantifiers of a wording."""
    items: list[str] = []
    depth = 0
    for part in _PART.findall(wording):
        if depth:
            items[-1] += part
        else:
            items.append(part)
        depth += (part == "(") - (part == ")")
    return items
