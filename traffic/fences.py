"""Markdown fences: whether a text has program text in one. Data and prose in a fence are none."""

import re

_FENCE = re.compile(r"```(?:([\w+#-]++)(?=\s))?\s*(.*?)(?:```|\Z)", re.DOTALL)
_DATA_LANGUAGES = frozenset(
    "json jsonc json5 yaml yml xml html csv tsv toml ini text txt plain plaintext markdown md properties env".split()
)
"""Languages of a fence, and words in their place, that hold data or text and no program."""


def holds_program(text: str) -> bool:
    """Some fence names a programming language, or none while what it holds is no JSON."""
    return "```" in text and any(
        _is_program(language) if language else not body.startswith(("{", "["))
        for language, body in _FENCE.findall(text)
    )


def names_program(text: str) -> bool:
    """Some fence names a programming language."""
    return "```" in text and any(_is_program(language) for language, _ in _FENCE.findall(text))


def _is_program(language: str) -> bool:
    return language != "" and language.lower() not in _DATA_LANGUAGES
