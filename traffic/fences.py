"""Markdown fences: whether a text has program text in one. Data and prose in a fence are none.

Many prompts put fences around whatever they pass on, so a fence alone says nothing.
"""

import re

_FENCE = re.compile(r"```(?:([\w+#-]++)(?=([ \t]*\n)|\s))?\s*(.*?)(?:```|\Z)", re.DOTALL)
_DATA_LANGUAGES = frozenset(
    "json jsonc json5 yaml yml xml html csv tsv toml ini text txt plain plaintext markdown md properties env".split()
)
"""Languages of a fence, and words in their place, that hold data or text and no program."""
_LANGUAGES = frozenset(
    "python py python3 javascript js jsx typescript ts tsx java kotlin scala c cpp c++ c# csharp go golang rust ruby "
    "php swift r sql bash sh shell zsh powershell diff dockerfile lua perl haskell elixir dart matlab julia css".split()
)
"""Languages that may stand on the line of the program itself, where any other word is one of the text."""
_MARK = re.compile(r"[{}\[\];=<>$&|+*\\]|\w\(")
_MARKS_SHARE = 0.03
"""Of the characters: prose has hardly any."""
_READ_CHARS = 2000


def holds_program(text: str) -> bool:
    """Some fence names a programming language, or none while what it holds has a program's marks and is no JSON."""
    return "```" in text and any(
        language.lower() not in _DATA_LANGUAGES if _names_language(language, line_end) else _has_marks(body)
        for language, line_end, body in _FENCE.findall(text)
    )


def names_program(text: str) -> bool:
    """Some fence names a programming language."""
    return "```" in text and any(
        _names_language(language, line_end) and language.lower() not in _DATA_LANGUAGES
        for language, line_end, _ in _FENCE.findall(text)
    )


def _names_language(language: str, line_end: str) -> bool:
    """`line_end`: empty if text follows on the same line."""
    return language != "" and (line_end != "" or language.lower() in _LANGUAGES)


def _has_marks(body: str) -> bool:
    read = body[:_READ_CHARS]
    return not body.startswith(("{", "[")) and len(_MARK.findall(read)) > _MARKS_SHARE * len(read)
