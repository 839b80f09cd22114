"""Images and files of requests: what their data URLs say, and what their bytes are. Pure."""

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
    """Media type, lower case."""
    data: str
    """In base64, without blanks."""

    @property
    def is_text(self) -> bool:
        return self.kind.startswith("text/") or self.kind in _TEXTS

    def text(self) -> str:
        """What a text file says."""
        return base64.b64decode(self.data).decode("utf-8-sig", "replace")


def media_of(url: str, filename: str = "") -> Media | None:
    """The file of a data URL, or of bare base64 whose file name says what it is; None where it is neither."""
    url = url.strip()
    found = _DATA_URL.fullmatch(url)
    if found is None:
        kind = _ENDINGS.get(filename.rpartition(".")[2].lower())
        return None if kind is None or ":" in url[:10] or not _is_base64(url) else Media(kind, _BLANKS.sub("", url))
    kind = (found[1] or "text/plain").lower()
    if ";base64" in found[2].lower():
        data = _BLANKS.sub("", found[3])
    else:
        data = base64.b64encode(unquote_to_bytes(found[3])).decode()
    return Media(_seen(data) or _SPELLINGS.get(kind, kind), data) if _is_base64(data) else None


def _seen(data: str) -> str | None:
    """What the first bytes of base64 are: clients call a JPEG a PNG, and an API compares."""
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
