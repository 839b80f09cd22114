"""Whether a text holds a program: fenced, as a diff, or as the definition of a function or class."""

import re
from collections.abc import Sequence

from traffic import fences
from traffic.wording_search import Literals

_DIFF = re.compile(r"^(?:@@ -\d|diff --git |--- a/)", re.MULTILINE)
_DEFINITION = re.compile(
    r"[ \t]*(?:(?:async )?def \w+\(.*:|"
    r"(?:public |abstract |final )*class \w+(?:\([\w., ]*\)| (?:extends|implements) [\w, ]+)? ?[:{]|"
    r"(?:export |async )*function \w*\(.*\) ?\{|func \w+\(.*\{|#include *[<\"].*|"
    r"(?:public|private|protected) [\w<>\[\] ]+[({].*[{;])[ \t]*$",
    re.MULTILINE,
)
"""A whole line."""
_DIFF_STARTS = ("@@ -", "diff --git ", "--- a/")
"""Texts without which `_DIFF` cannot match."""
_DEFINITION_STARTS = ("#include", "def ", "class ", "function ", "func ", "public ", "private ", "protected ")
"""The same for `_DEFINITION`."""
_CODE_STARTS = Literals((*_DIFF_STARTS, *_DEFINITION_STARTS))
_SIGNATURE = re.compile(
    r"\s*`?[a-z]++(?:_\w++|[a-z\d]*+[A-Z]\w*+)\((?:[\w.]++(?:: ?[\w\[\]]++)?(?:, )?)*+\)`?(?: ?->|:)", re.ASCII
)
"""A function's signature that begins a message; its name tells it from a heading such as `note (s):`."""


def holds_code(text: str) -> bool:
    """A fenced program, a diff, the definition of a function or class, or a signature that begins the text."""
    if _SIGNATURE.match(text) is not None or ("`" in text and fences.holds_program(text)):
        return True
    starts = _CODE_STARTS.find(text)
    if not starts:
        return False
    if any(start in _DIFF_STARTS for start, _ in starts) and _DIFF.search(text) is not None:
        return True
    return _has_definition(text, starts)


def _has_definition(text: str, starts: Sequence[tuple[str, int]]) -> bool:
    """Some line defines something, of those in which `starts` are."""
    line_end = -1
    for _, at in starts:
        if at > line_end:
            if _DEFINITION.match(text, text.rfind("\n", 0, at) + 1):
                return True
            line_end = text.find("\n", at)
            if line_end < 0:
                return False
    return False
