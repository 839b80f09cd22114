"""Markdown fences: whether a text has program text in one. Data and prose in a fence are none.

Many prompts put fences around whatever they pass on, so a fence alone says nothing.
"""

import re

_FENCE = re.compile(r"```(?:([\w+#-]++)(?=([ \t]*\n)|\s))?\s*(.*?)(?:```|\Z)", re.DOTALL)
_LANGUAGES = frozenset(
    "python py python3 javascript js jsx typescript ts tsx java kotlin scala cpp c++ c# csharp golang ruby php sql "
    "bash sh zsh powershell dockerfile perl haskell elixir matlab css vb vba fortran cobol solidity terraform".split()
)
_WORDS_TOO = frozenset("c go r rust swift shell diff lua dart julia assembly code".split())
"""Languages that are words too: they count only on a line of their own."""
_MARK = re.compile(r"[{}\[\];=<>$&|+*\\]|\w\(")
_MARKS_SHARE = 0.03
"""Of the characters: prose has hardly any."""
_DATA_LANGUAGES = frozenset("json jsonc json5 yaml yml xml html csv tsv toml ini markdown md properties env".split())
"""Data has a program's marks too."""
_READ_CHARS = 2000


def holds_program(text: str) -> bool:
    """Some fence names a programming language, or holds text with a program's marks that is no data."""
    return "```" in text and any(
        _names_language(language, line_end) or (language.lower() not in _DATA_LANGUAGES and _has_marks(body))
        for language, line_end, body in _FENCE.findall(text)
    )


def names_program(text: str) -> bool:
    """Some fence names a programming language."""
    return "```" in text and any(_names_language(language, line_end) for language, line_end, _ in _FENCE.findall(text))


def _names_language(language: str, line_end: str) -> bool:
    """`line_end`: empty if text follows on the same line."""
    name = language.lower()
    return name in _LANGUAGES or (line_end != "" and name in _WORDS_TOO)


def _has_marks(body: str) -> bool:
    read = body[:_READ_CHARS]
    return not body.startswith(("{", "[")) and len(_MARK.findall(read)) > _MARKS_SHARE * len(read)
