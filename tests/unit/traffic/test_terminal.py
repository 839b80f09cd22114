import pytest

from traffic.terminal import printable


@pytest.mark.parametrize(
    "text, shown",
    [
        ("support.intent", "support.intent"),
        ("Müller 客服 👍", "Müller 客服 👍"),
        ("\x1b[2Jx", "\\x1b[2Jx"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\x9b31m", "\\x9b31m"),
        ("a\u202eb", "a\\u202eb"),
        ("a\u2028b", "a\\u2028b"),
    ],
)
def test_control_sequences_are_escaped_and_other_texts_are_unchanged(text: str, shown: str) -> None:
    assert printable(text) == shown
