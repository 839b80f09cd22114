"""Finds the lists of a prompt that hold known labels, whatever their form, from what stands beside the labels.

Where two labels stand behind the same marks, or before the same, so do the others: a bullet, a separator, a tag, a
key of JSON. The list is what stands at all these places.

    list(lists("Topics:\\n- brakes: they squeal\\n- gears: they jump\\n- wheels", ["brakes", "gears"]))
    # includes Listed(["brakes", "gears", "wheels"], is_tight=True)

Source: wrapper induction (Kushmerick et al., 1997). Time is linear in the length of the prompt.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

_LABEL, _LAST = "\ue000", "\ue001"
"""Stand for a known label, and for the word before the last item of a row."""
_MAX_KEY = 40
"""Characters in front of and behind a label that are compared."""
_MAX_ITEM = 65
_MAX_KEYS = 64
_MAX_CHARS = 100_000
"""Of a prompt; longer ones hold documents, not lists of labels."""
_MAX_RANGE = 20

_AND = r"(?:or|and|oder|und|ou|et|o|y|e|или|або|lub|albo|eller|of|veya|nebo|vagy|sau|ή|atau|hoặc|ili|ali|أو|या)"
_BEFORE_LAST = re.compile(rf"[,،、]?(?<!\s)\s+{_AND}(?=\s)|[،,]?(?<!\s)\s+أو")
_MARKS = r"\s*[,;|/+<、，；،؛]\s*"
_SEPARATES = re.compile(rf"{_MARKS}|[)\]]{_MARKS}[(\[]|[\"'`»”」』]{_MARKS}[\"'`«“„「『]|[」』»]\s*[「『«]|\n")
_QUOTES = re.compile(r" ?[\"'`“”„«»「」『』(\[{)\]}]+ ?")
_CIRCLED = re.compile("[\u2460-\u2473\u2776-\u277f]")
"""Circled numbers of points, which count as letters otherwise."""
# The second lookbehind: a run of spaces would be searched from each of them, in quadratic time.
_END_OF_ROW = re.compile(r"[.!?:]\s|[。！？：]|(?<![,;/+、，；،؛])(?<![^\S\n])[^\S\n]*\n")
_HEADING = re.compile(r"\n[^\n]*[:：][^\S\n]*\n")
_END_OF_PARAGRAPH = re.compile(r"\n\s*\n")
_POINT = r"(?<!\w)(?:\d{1,3}|[a-zA-Z]|[ivxlc]{2,5})(?!\w)"
_ENDS_ITEM = re.compile(
    rf"[\n\t,;|、，；،؛:：\"“”`«»「」『』<>(){{}}\[\]=→{_LABEL}{_LAST}]|\s[-–—/+]+\s|[.!?](?=\s|$)|。"
)
_BEFORE_ITEM = " *'-•–·"
_HEADER = re.compile(r"^.*\n(?=(?:[ \t]*+\|)?(?:[ \t]*+:?-{2,}+:?[ \t]*+\|)+)", re.MULTILINE)
"""The first row of a Markdown table."""
_RANGE = re.compile(r"(?<![\w.,-])(\d{1,2})(?!\d|[.,]\d)[^\d\n]{1,40}?(?<![\d.,])(\d{1,2})(?![\d%])")


class _Key(NamedTuple):
    """What several labels have on one side: marks, perhaps with the word beyond them; in a row, what separates them."""

    side: Literal["left", "right", "row"]
    marks: str
    word: str = ""
    """`#` for the number or letter of a point."""

    @property
    def is_inline(self) -> bool:
        """Whether the items are words of one sentence, not points or elements."""
        return (
            not self.word and self.marks != "\n" and (self.side == "row" or _QUOTES.fullmatch(self.marks) is not None)
        )

    def pattern(self) -> re.Pattern[str]:
        word = _POINT if self.word == "#" else re.escape(self.word)
        marks = re.escape(self.marks).replace(",", f",{_LAST}?")
        if self.side == "row":
            return re.compile(marks)
        if self.side == "left":
            return re.compile(rf"(?<!\w){word}{marks}" if word else marks)
        return re.compile(rf"{marks}{word}(?!\w)" if word else marks)


class Listed(NamedTuple):
    """A list of the prompt, with at least two items."""

    items: list[str]
    is_tight: bool
    """Nothing but members of one list; else words of other sentences may be among them."""


class _Item(NamedTuple):
    text: str
    start: int
    end: int
    is_label: bool


def lists(prompt: str, labels: Sequence[str]) -> Iterator[Listed]:
    """Lists around the labels. The same list may occur several times, whole and in parts."""
    text, known = _marked(prompt[:_MAX_CHARS], labels) if labels else ("", {})
    row_text = _BEFORE_LAST.sub(f",{_LAST}", text)
    row_known = dict(zip(_places(row_text), known.values(), strict=True))
    for key in _keys(text, known):
        yield from _items_at(text, known, key)
    for key in _keys(row_text, row_known, rows=True):
        yield from _items_at(row_text, row_known, key)
    yield from _scales(prompt)


def _places(text: str) -> list[int]:
    return [match.start() for match in re.finditer(_LABEL, text)]


def _marked(prompt: str, labels: Sequence[str]) -> tuple[str, dict[int, str]]:
    """The prompt with a mark in place of each label, and the labels by the places of their marks.

    A label that is written exactly so in the prompt is no word that differs from it by case.
    """
    alternatives = "|".join(map(re.escape, sorted(labels, key=len, reverse=True)))
    pattern = re.compile(rf"(?<!\w)(?<!\w[-.@])(?:{alternatives})(?!\w|[-.@]\w)", re.IGNORECASE)
    text = f"\n{_HEADER.sub('', prompt.replace(_LABEL, ' ').replace(_LAST, ' '))}\n"
    if not any(map(_CIRCLED.search, labels)):
        text = _CIRCLED.sub("• ", text)
    exact = set(labels).intersection(pattern.findall(text))
    other_cases = {label.casefold() for label in exact}
    known: list[str] = []

    def mark(match: re.Match[str]) -> str:
        label = match.group()
        if label not in exact and label.casefold() in other_cases:
            return label
        known.append(label)
        return _LABEL

    marked = pattern.sub(mark, text)
    return marked, dict(zip(_places(marked), known, strict=True))


def _keys(text: str, known: dict[int, str], *, rows: bool = False) -> list[_Key]:
    """What at least two different labels have beside them."""
    labels: dict[_Key, set[str]] = {}
    for place, label in known.items():
        before = text[max(0, place - _MAX_KEY) : place].rpartition(_LABEL)[2]
        behind = text[place + 1 : place + 1 + _MAX_KEY].partition(_LABEL)[0]
        for key in (
            _row_keys(before, behind) if rows else (*_left(before), *_right(behind, starts_line=before.endswith("\n")))
        ):
            labels.setdefault(key, set()).add(label)
    # A word beside the marks tells the names in `name: bug, description: broken` from the descriptions.
    narrower = {(key.side, key.marks): labels[key] for key in labels if key.word and len(labels[key]) > 1}
    keys = [
        key
        for key, held in labels.items()
        if len(held) > 1 and (key.word or narrower.get((key.side, key.marks)) != held)
    ]
    return sorted(keys, key=lambda key: -len(labels[key]))[:_MAX_KEYS]


def _row_keys(before: str, behind: str) -> Iterator[_Key]:
    before, behind = before.replace(_LAST, ""), behind.replace(_LAST, "")
    left, right = re.split(r"\w", before)[-1], re.split(r"\w", behind)[0]
    if left.endswith("\n") and right.startswith("\n"):
        yield _Key("row", "\n")
    yield from (_Key("row", marks) for marks in (left, right) if marks != "\n" and _SEPARATES.fullmatch(marks))
    yield from (key for key in _left(before) if "," in key.marks and not key.word)


def _left(before: str) -> Iterator[_Key]:
    words = re.split(r"(\w+)", before)
    marks, word = words[-1], words[-2] if len(words) > 1 else ""
    if "\n" in marks:
        if (marks := marks[marks.rfind("\n") :]).strip():
            yield _Key("left", marks)
    elif _SEPARATES.fullmatch(marks) is None:
        if marks.strip(" .:!?"):
            yield _Key("left", marks)
        if word:
            yield _Key("left", marks, "#" if re.fullmatch(_POINT, word) else word)


def _right(behind: str, *, starts_line: bool) -> Iterator[_Key]:
    words = re.split(r"(\w+)", behind)
    marks, word = words[0], words[1] if len(words) > 1 else ""
    if "\n" in marks:
        if marks.partition("\n")[0].strip(" .!?"):
            yield _Key("right", marks[: marks.find("\n") + 1])
    elif _SEPARATES.fullmatch(marks) is None:
        if marks.strip(" .!?") or (starts_line and "." in marks):
            yield _Key("right", marks)
        if word:
            yield _Key("right", marks, "#" if re.fullmatch(_POINT, word) else word)


def _items_at(text: str, known: dict[int, str], key: _Key) -> Iterator[Listed]:
    """What stands at the places of the key: its runs, and their parts around the labels."""
    found: dict[int, _Item] = {}
    for match in key.pattern().finditer(text):
        sides = [
            _before(text, match.start(), known) if key.side != "left" else None,
            _behind(text, match.end(), known) if key.side != "right" else None,
        ]
        found.update((item.start, item) for item in sides if item is not None)
    # "sind yes": words of a sentence are no list.
    is_tight = not key.word or bool(key.marks.strip(" "))
    for run in _runs(text, list(found.values()), key):
        for part in _parts(run, key):
            yield from _listed(part, is_tight=is_tight)


def _listed(items: list[_Item], *, is_tight: bool) -> Iterator[Listed]:
    texts = list(dict.fromkeys(item.text for item in items))
    if len(texts) > 1:
        yield Listed(texts, is_tight)


def _behind(text: str, start: int, known: dict[int, str]) -> _Item | None:
    if start in known:
        return _Item(known[start], start, start + 1, True)
    written = text[start : start + _MAX_ITEM]
    stop = _ENDS_ITEM.search(written)
    end = stop.start() if stop else len(written)
    is_heading = written[end : end + 2] in (":\n", "：\n")
    item = written[:end].strip(" *'")
    return _Item(item, start, start + end, False) if item.strip("-_#•") and not is_heading else None


def _before(text: str, end: int, known: dict[int, str]) -> _Item | None:
    if end - 1 in known:
        return _Item(known[end - 1], end - 1, end, True)
    first = max(0, end - _MAX_ITEM)
    written = text[first:end]
    start = max((stop.end() for stop in _ENDS_ITEM.finditer(written)), default=0)
    item = written[start:].lstrip(_BEFORE_ITEM)
    return _Item(item.rstrip(" *'"), first + len(written) - len(item), end, False) if item.strip("-_#") else None


def _runs(text: str, items: list[_Item], key: _Key) -> Iterator[list[_Item]]:
    """The items of one list: in a row, those of a sentence; else those of a paragraph, or the heads of paragraphs."""
    runs: list[list[_Item]] = []
    for item in items:
        if runs and not _are_apart(text, runs[-1], item, key):
            runs[-1].append(item)
        else:
            runs.append([item])
    yield from runs
    if not key.is_inline and len(runs) > 1 and len(runs) == len(items):
        yield items


def _are_apart(text: str, run: list[_Item], following: _Item, key: _Key) -> bool:
    start, end = run[-1].end, following.start
    if not key.is_inline:
        is_below_another = not following.is_label and _HEADING.search(text, start, end) is not None
        return is_below_another or _END_OF_PARAGRAPH.search(text, start, end) is not None
    # "spam, ham or phishing, in lower case"; "of" is a word of other sentences, too.
    is_last = _LAST in text[max(0, run[-1].start - 3) : run[-1].start] and _LAST not in text[start:end]
    return _END_OF_ROW.search(text, start, end) is not None or (is_last and any(item.is_label for item in run[:-1]))


def _parts(run: list[_Item], key: _Key) -> Iterator[list[_Item]]:
    places = [n for n, item in enumerate(run) if item.is_label]
    if not places:
        return
    first, last = places[0], places[-1] + 1
    # A line without a mark may be the heading of those below it.
    start = first if key.marks == "\n" else max(0, first - 1)
    yield from (run, run[1:], run[first:last], run[start:last], run[first : last + 1], run[start : last + 1])


def _scales(prompt: str) -> Iterator[Listed]:
    """The numbers of scales: "from 1 to 5"."""
    for first, last in sorted({(int(low), int(high)) for low, high in _RANGE.findall(prompt)}):
        if 1 < last - first <= _MAX_RANGE:
            yield Listed([str(number) for number in range(first, last + 1)], True)
