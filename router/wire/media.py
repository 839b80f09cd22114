"""Parses data URLs of images and files in requests, and detects the type of their bytes. Pure."""

import base64
import binascii
import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

_DATA_URL = re.compile(r"data:([a-z]+/[a-z0-9.+-]+)?((?:;[^;,]*)*),(.*)", re.IGNORECASE | re.DOTALL)
_SPELLINGS = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png"}
_BLANKS = re.compile(r"\s+")
_MAGIC = (
    (b"\x89PNG\r\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF", "application/pdf"),
)
_ENDINGS = {
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "json": "application/json",
    "xml": "application/xml",
    "yaml": "application/yaml",
}
_TEXTS = frozenset({"application/json", "application/xml", "application/yaml"})


class Media(NamedTuple):
    """A file."""

    kind: str
    """Media type in lower case."""
    data: str
    """Base64 without whitespace."""

    @property
    def is_text(self) -> bool:
        return self.kind.startswith("text/") or self.kind in _TEXTS

    def text(self) -> str:
        """The content of a text file."""
        return base64.b64decode(self.data).decode("utf-8-sig", "replace")


def media_of(url: str, filename: str = "") -> Media | None:
    """The file of a data URL, or of bare base64 with a known file name extension; None for anything else."""
    url = url.strip()
    match = _DATA_URL.fullmatch(url)
    if match is None:
        kind = _ENDINGS.get(filename.rpartition(".")[2].lower())
        return None if kind is None or ":" in url[:10] or not _is_base64(url) else Media(kind, _BLANKS.sub("", url))
    kind = (match[1] or "text/plain").lower()
    if ";base64" in match[2].lower():
        data = _BLANKS.sub("", match[3])
    else:
        data = base64.b64encode(unquote_to_bytes(match[3])).decode()
    return Media(_detected_type(data) or _SPELLINGS.get(kind, kind), data) if _is_base64(data) else None


def _detected_type(data: str) -> str | None:
    """Media type by the first bytes: some clients declare a JPEG as PNG, which APIs reject."""
    head = base64.b64decode(data[:16] + "=" * (-len(data[:16]) % 4))
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)


def _is_base64(data: str) -> bool:
    try:
        base64.b64decode(_BLANKS.sub("", data[:64])[:16], validate=True)
    except (binascii.Error, ValueError):
        return False
    return True
