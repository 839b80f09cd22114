"""Detects doubtful rewrites: answers of a form that is rare among the other answers.

- it repeats the request, where most answers change it
- it has an introduction with a colon, quotes, a further line or a bracketed remark that the request has not
- it is written in another script than the request
- its length relative to the request differs strongly from the other answers
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
"""Maximum share of answers with a form for it to count as rare."""
_FAR = 6.0
"""Robust standard deviations (median absolute deviation x 1.4826) of the logarithm of the ratio of lengths."""
_MIN_ROWS = 20
_OPENING = re.compile(r"[^\W\d_][\w '’-]{0,60}:\s")
_OPEN_QUOTES, _CLOSED_QUOTES = "\"“„«'`「『", "\"”“»'`」』"
_BRACKET = re.compile(r"\n\s*[(\[][^\n]*[)\]]\s*$")


def find(rows: Sequence[Row], fitted: Sequence[bool]) -> list[Finding]:
    """Rows whose answer has a rare form; quality is the form's share among the fitted rows."""
    if sum(fitted) < _MIN_ROWS:
        return []
    pairs = [(classifiers.text_of(row.pruned).strip(), row.answer.strip()) for row in rows]
    findings: dict[int, Finding] = {}
    for reason, has in _FORMS.items():
        marks = [has(request, answer) for request, answer in pairs]
        share = sum(mark and used for mark, used in zip(marks, fitted, strict=True)) / sum(fitted)
        if share <= _RARE:
            for index in (n for n, mark in enumerate(marks) if mark):
                findings.setdefault(index, Finding(index, share, reason))
    lengths = list(_lengths(pairs, fitted))
    if sum(fitted[finding.row_index] for finding in lengths) <= _RARE * sum(fitted):
        for finding in lengths:
            findings.setdefault(finding.row_index, finding)
    return [findings[index] for index in sorted(findings)]


def _echo(request: str, answer: str) -> bool:
    return _flat(answer) == _flat(request)


def _opening(request: str, answer: str) -> bool:
    match = _OPENING.match(answer)
    return match is not None and match.group().strip().casefold() not in request.casefold()


def _quoted(request: str, answer: str) -> bool:
    def is_quoted(text: str) -> bool:
        return len(text) > 1 and text[0] in _OPEN_QUOTES and text[-1] in _CLOSED_QUOTES

    return is_quoted(answer) and not is_quoted(request)


def _more_lines(request: str, answer: str) -> bool:
    return "\n" in answer and "\n" not in request


def _remark(request: str, answer: str) -> bool:
    return _BRACKET.search(answer) is not None and _BRACKET.search(request) is None


def _other_script(request: str, answer: str) -> bool:
    request_script, answer_script = _script(request), _script(answer)
    return bool(request_script and answer_script) and request_script != answer_script


_FORMS: dict[str, Callable[[str, str], bool]] = {
    "repeats the request": _echo,
    "words before the answer": _opening,
    "in quotes": _quoted,
    "a remark after the answer": _remark,
    "more lines than the request": _more_lines,
    "another script than the request": _other_script,
}


def _lengths(pairs: Sequence[tuple[str, str]], fitted: Sequence[bool]) -> Iterator[Finding]:
    ratios = [math.log((len(answer) + 1) / (len(request) + 1)) for request, answer in pairs]
    fitted_ratios = [ratio for ratio, used in zip(ratios, fitted, strict=True) if used]
    middle = statistics.median(fitted_ratios)
    spread = 1.4826 * statistics.median(abs(ratio - middle) for ratio in fitted_ratios)
    for index, ratio in enumerate(ratios):
        distance = abs(ratio - middle) / max(spread, 0.1)
        if distance > _FAR:
            longer = "longer" if ratio > middle else "shorter"
            yield Finding(index, 1 / (1 + distance), f"much {longer} than other answers to such a request")


def _flat(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _script(text: str) -> str:
    """The most frequent script, by the first word of Unicode names, such as LATIN; CJK for Chinese and Japanese."""
    counts: dict[str, int] = {}
    for letter in text[:500]:
        if letter.isalpha():
            name = unicodedata.name(letter, "?").partition(" ")[0].partition("-")[0]
            name = "CJK" if name in ("HIRAGANA", "KATAKANA") else name
            counts[name] = counts.get(name, 0) + 1
    return max(sorted(counts), key=lambda name: counts[name], default="")
