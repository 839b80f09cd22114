"""Finds which of many wordings a text contains, in one pass over its words: tens of microseconds for a page.

A wording is a regular expression that begins and ends at a word boundary; ` … ` stands for up to 40 characters of the
same sentence. It is tried only at words that begin with one of its possible beginnings.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

HEAD = 3
"""Length of the word prefix by which wordings are looked up."""

Match = Callable[[str, int], Any]

_WORD = re.compile(r"[^\W_]+")
_ASCII_BORDERS = {code: " " for code in range(128) if not chr(code).isalnum()}
_CACHED_WORDS = 100_000


class WordingSearch:
    """Index of wordings by name. Raises: ValueError for a wording that can begin with any letter."""

    def __init__(self, wordings: Mapping[str, Iterable[str]]) -> None:
        by_head: dict[str, dict[str, list[str]]] = {}
        for name, alternatives in wordings.items():
            for wording in alternatives:
                for head in beginnings(wording):
                    by_head.setdefault(head, {}).setdefault(name, []).append(wording)
        compiled: dict[tuple[str, ...], re.Pattern[str]] = {}
        self._by_head: dict[str, list[tuple[str, str, Match]]] = {}
        for head, named in by_head.items():
            for name, group in named.items():
                if tuple(group) not in compiled:
                    compiled[tuple(group)] = re.compile(f"(?:{pattern_text(group)})\\b")
                entry = (head, name, compiled[tuple(group)].match)
                self._by_head.setdefault(head[:HEAD], []).append(entry)
        self._by_word: dict[str, tuple[tuple[str, Match], ...]] = {}

    def find(self, text: str, words: Iterable[str]) -> set[str]:
        """Names of the wordings in a lower-case text. `words`: a superset of its words (see `words_of`)."""
        names: set[str] = set()
        by_word, by_head = self._by_word, self._by_head
        for word in words:
            if word[:HEAD] not in by_head:
                continue
            candidates = by_word.get(word)
            if candidates is None:
                candidates = self._candidates(word)
            for name, match in candidates:
                if name in names:
                    continue
                at = text.find(word)
                while at >= 0:
                    # Only at the start of a word.
                    before = text[at - 1] if at else " "
                    if not (before.isalnum() or before == "_") and match(text, at) is not None:
                        names.add(name)
                        break
                    at = text.find(word, at + 1)
        return names

    def _candidates(self, word: str) -> tuple[tuple[str, Match], ...]:
        listed = self._by_head.get(word[:HEAD], ())
        candidates = tuple((name, match) for beginning, name, match in listed if word.startswith(beginning))
        if len(self._by_word) >= _CACHED_WORDS:
            self._by_word.clear()
        self._by_word[word] = candidates
        return candidates


def words_of(text: str) -> set[str]:
    """The distinct words of a lower-case text: runs of letters and digits."""
    # For ASCII str.translate gives the same words as the pattern, several times faster.
    return set(text.translate(_ASCII_BORDERS).split()) if text.isascii() else set(_WORD.findall(text))


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
