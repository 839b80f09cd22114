"""Files in requests: data URLs and content types."""

import base64

import pytest

from router.wire.media import Media, media_of

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(20)).decode()
WEBP = base64.b64encode(b"RIFF\x00\x00\x00\x00WEBPVP8 ").decode()


@pytest.mark.parametrize(
    "url, name, expected",
    [
        (f"data:image/jpeg;base64,{PNG}", "", Media("image/png", PNG)),
        (f"data:image/png;base64,{WEBP}", "", Media("image/webp", WEBP)),
        ("data:image/jpg;base64,aGk=", "", Media("image/jpeg", "aGk=")),
        (f" data:image/png;base64,{PNG[:8]}\n{PNG[8:]}", "", Media("image/png", PNG)),
        ("data:application/pdf;name=a.pdf;base64,JVBERg==", "", Media("application/pdf", "JVBERg==")),
        ("data:text/plain,hello%20you", "", Media("text/plain", "aGVsbG8geW91")),
        ("JVBERg==", "a.PDF", Media("application/pdf", "JVBERg==")),
        ("JVBERg==", "", None),
        ("https://example.com/a.png", "a.png", None),
        ("data:image/png;base64,@@@@", "", None),
        ("file-123", "a.pdf", None),
        ("", "", None),
    ],
)
def test_a_file_is_read_from_a_data_url_or_recognised_by_its_name(url: str, name: str, expected: Media | None) -> None:
    assert media_of(url, name) == expected


def test_a_text_file_is_text() -> None:
    media = media_of("data:text/markdown;base64,77u/aMOk", "")
    assert media is not None
    assert (media.is_text, media.text()) == (True, "hä")
