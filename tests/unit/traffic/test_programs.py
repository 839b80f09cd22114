import re

from hypothesis import given
from hypothesis import strategies as st

from traffic.programs import _DEFINITION, _DIFF, holds_code

CODE_PIECES = [
    "def ",
    "class ",
    "A",
    "f(",
    "(x)",
    ")",
    ":",
    " {",
    "{",
    ";",
    "public ",
    "async ",
    "func ",
    "#include ",
    "<a",
]
CODE_PIECES += ["function ", "@@ -", "1", "diff --git ", "--- a/", "--", " ", "\n", "\t", "é"]


@given(st.lists(st.sampled_from(CODE_PIECES), max_size=12).map("".join))
def test_code_is_found_wherever_a_pattern_finds_it(text: str) -> None:
    definition = re.compile(f"^(?:{_DEFINITION.pattern})", re.MULTILINE)
    # Not at the beginning, where a signature is code too.
    text = f"? {text}"
    assert holds_code(text) == any(pattern.search(text) for pattern in (_DIFF, definition))
