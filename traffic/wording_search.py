"""Finds which of many wordings a text contains, in one pass over it: some ten microseconds for a page.

A wording is a regular expression that begins and ends at a word boundary; ` … ` stands for up to 40 characters of the
same sentence. It is tried only where one of its possible beginnings begins a word. Those are found by the Aho-Corasick
algorithm, whose time does not depend on the number of wordings.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ahocorasick_rs import AhoCorasick, BytesAhoCorasick, Implementation

HEAD = 3
"""Minimum length of a beginning, unless the word ends there."""

Match = Callable[[str, int], Any]

_BORDERS = bytes(code if re.match(r"\w", chr(code)) else ord(" ") for code in range(128)) + bytes(range(128, 256))
_WIDE_BORDER = re.compile(r"[^\w ]")


class WordIndex:
    """Finds many short texts in a long one. In both, a space stands for any character that no word has (`\\W`)."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._of_bytes = BytesAhoCorasick([text.encode() for text in texts], implementation=Implementation.DFA)
        self._of_text = AhoCorasick(texts, implementation=Implementation.DFA, store_patterns=False)

    def find(self, text: str) -> list[tuple[int, int, int]]:
        """Index, start and end of each text found in `text` after a space put before it, so that ` word` is found at
        the start of the word in `text`.
        """
        if text.isascii():
            return self._of_bytes.find_matches_as_indexes(b" %b " % text.encode().translate(_BORDERS), overlapping=True)
        return self._of_text.find_matches_as_indexes(f" {_WIDE_BORDER.sub(' ', text)} ", overlapping=True)


class WordingSearch:
    """Index of wordings by name. Raises: ValueError for a wording that can begin with any letter."""

    def __init__(self, wordings: Mapping[str, Iterable[str]]) -> None:
        by_head: dict[str, dict[str, list[str]]] = {}
        for name, alternatives in wordings.items():
            for wording in alternatives:
                for head in beginnings(wording):
                    by_head.setdefault(head, {}).setdefault(name, []).append(wording)
        compiled: dict[tuple[str, ...], Match] = {}
        self._by_head: list[tuple[tuple[str, Match], ...]] = []
        for named in by_head.values():
            for group in named.values():
                if tuple(group) not in compiled:
                    compiled[tuple(group)] = re.compile(f"(?:{pattern_text(group)})\\b").match
            self._by_head.append(tuple((name, compiled[tuple(group)]) for name, group in named.items()))
        self._heads = WordIndex([f" {head}" for head in by_head])

    def find(self, text: str) -> set[str]:
        """Names of the wordings in a lower-case text."""
        names: set[str] = set()
        by_head = self._by_head
        for head, at, _ in self._heads.find(text):
            for name, match in by_head[head]:
                if name not in names and match(text, at) is not None:
                    names.add(name)
        return names


def pattern_text(wordings: Iterable[str]) -> str:
    """Wordings as the text of one regular expression, without groups."""
    text = "|".join(wordings).replace(" … ", r"\b[^.\n]{0,40}\b")
    return re.sub(r"(?<!\\)[(](?![?])", "(?:", text)


def after(befores: Iterable[str], wording: str) -> tuple[str, ...]:
    """Wordings that must follow one of `befores`, words that are too frequent to search for."""
    return tuple(rf"(?<=\b{before} ){wording}" for before in befores)


def beginnings(wording: str) -> frozenset[str]:
    """Possible beginnings of a match. Raises: ValueError if it can begin with any letter."""
    # A lookbehind does not affect the beginning of a match.
    prefixes = frozenset(_beginnings(re.sub(r"^\(\?<[=!].*?\)", "", wording)))
    if "" in prefixes:
        raise ValueError(f"wording {wording!r}: a wording must begin with letters")
    return prefixes


def _beginnings(wording: str) -> set[str]:
    """Possible beginnings of a match; an empty string if unknown."""
    if wording.startswith("("):
        alternatives, rest = _alternatives(wording)
        return {""} if rest.startswith(("?", "*", "{0")) else set().union(*map(_beginnings, alternatives))
    letters = re.match(r"[^\W_]*", wording)
    text = letters.group() if letters else ""
    following = wording[len(text) : len(text) + 1]
    # A letter before `?` or `*` is optional.
    text = text[:-1] if following in ("?", "*", "{") else text
    if len(text) < HEAD and following not in ("", " ", "-", "'", "/", ";"):
        return {""}
    return {text}


def _alternatives(group: str) -> tuple[list[str], str]:
    """Alternatives of the leading group, and the rest after the group."""
    depth, start, alternatives = 0, 1, []
    for at, char in enumerate(group):
        depth += (char == "(") - (char == ")")
        if depth == 0 or (char == "|" and depth == 1):
            alternatives.append(group[start:at])
            start = at + 1
        if depth == 0:
            break
    return alternatives, group[start:]
