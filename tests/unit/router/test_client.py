"""The client's side of a request."""

from router.client import header_list


def test_a_header_holds_no_control_character_and_no_line_end() -> None:
    assert header_list({b"x-a": "caf\u00e9 \x00\x1b[1m\x7f\r\nb", b"x-b": None}) == [
        (b"x-a", b"caf\\xe9 \\x00\\x1b[1m\\x7f b")
    ]
