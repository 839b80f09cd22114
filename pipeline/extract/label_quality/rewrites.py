"""Doubtful rewrites: an answer whose form nearly all others do not have.

- it is the request again, where most answers change something
- it begins with words and a colon, stands in quotes, or has a line or a bracket behind it, and the request has not
- it is written in another script than the request
- its length is far from the others', for a request as long as this one
"""

import math
import re
import statistics
import unicodedata
from collections.abc import Callable, Iterator, Sequence

from pipeline.extract.label_quality.suspects import Finding
from pipeline.extract.rows import Row
from traffic import classifiers

_RARE = 0.1
"""A form that more of the answers have is a habit of the task."""
_FAR = 6.0
"""Robust standard deviations (median absolute deviation x 1.4826) of the logarithm of the ratio of lengths."""
_MIN_ROWS = 20
_OPENING = re.compile(r"[^\W\d_][\w '’-]{0,60}:\s")
_OPEN_QUOTES, _CLOSED_QUOTES = "\"“„«'`「『", "\"”“»'`」』"
_BRACKET = re.compile(r"\n\s*[(\[][^\n]*[)\]]\s*$")


def find(rows: Sequence[Row], fitted: Sequence[bool]) -> list[Finding]:
    """Rows whose answer has a rare form; quality is that form's share among the fitted rows."""
    if sum(fitted) < _MIN_ROWS:
        return []
    pairs = [(classifiers.text_of(row.pruned).strip(), row.answer.strip()) for row in rows]
    found: dict[int, Finding] = {}
    for reason, has in _FORMS.items():
        marks = [has(request, answer) for request, answer in pairs]
        share = sum(mark and used for mark, used in zip(marks, fitted, strict=True)) / sum(fitted)
        if share <= _RARE:
            for place in (n for n, mark in enumerate(marks) if mark):
                found.setdefault(place, Finding(place, share, reason))
    lengths = list(_lengths(pairs, fitted))
    if sum(fitted[finding.place] for finding in lengths) <= _RARE * sum(fitted):
        for finding in lengths:
            found.setdefault(finding.place, finding)
    return [found[place] for place in sorted(found)]


def _echo(request: str, answer: str) -> bool:
    return _flat(answer) == _flat(request)


def _opening(request: str, answer: str) -> bool:
    match = _OPENING.match(answer)
    return match is not None and match.group().strip().casefold() not in request.casefold()


def _quoted(request: str, answer: str) -> bool:
    def stands(text: str) -> bool:
        return len(text) > 1 and text[0] in _OPEN_QUOTES and text[-1] in _CLOSED_QUOTES

    return stands(answer) and not stands(request)


def _more_lines(request: str, answer: str) -> bool:
    return "\n" in answer and "\n" not in request


def _remark(request: str, answer: str) -> bool:
    return _BRACKET.search(answer) is not None and _BRACKET.search(request) is None


def _other_script(request: str, answer: str) -> bool:
    asked, given = _script(request), _script(answer)
    return bool(asked and given) and asked != given


_FORMS: dict[str, Callable[[str, str], bool]] = {
    "repeats the request": _echo,
    "words before the answer": _opening,
    "in quotes": _quoted,
    "a remark behind the answer": _remark,
    "more lines than the request": _more_lines,
    "another script than the request": _other_script,
}


def _lengths(pairs: Sequence[tuple[str, str]], fitted: Sequence[bool]) -> Iterator[Finding]:
    ratios = [math.log((len(answer) + 1) / (len(request) + 1)) for request, answer in pairs]
    known = [ratio for ratio, used in zip(ratios, fitted, strict=True) if used]
    middle = statistics.median(known)
    spread = 1.4826 * statistics.median(abs(ratio - middle) for ratio in known)
    for place, ratio in enumerate(ratios):
        distance = abs(ratio - middle) / max(spread, 0.1)
        if distance > _FAR:
            longer = "longer" if ratio > middle else "shorter"
            yield Finding(place, 1 / (1 + distance), f"much {longer} than other answers to such a request")


def _flat(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _script(text: str) -> str:
    """The first word of most letters' Unicode names, such as LATIN; Chinese and Japanese count as one."""
    counts: dict[str, int] = {}
    for letter in text[:500]:
        if letter.isalpha():
            name = unicodedata.name(letter, "?").partition(" ")[0].partition("-")[0]
            name = "CJK" if name in ("HIRAGANA", "KATAKANA") else name
            counts[name] = counts.get(name, 0) + 1
    return max(sorted(counts), key=lambda name: counts[name], default="")
