"""Escapes untrusted text for a terminal: control sequences, line ends, changes of the writing direction."""

import re

# C0 and C1 controls, line and paragraph separators, invisible format characters of the bidirectional algorithm.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """The text on one line, with control characters written as escapes: `\\x1b[2J`."""
    return _CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)
