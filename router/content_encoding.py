"""Content encodings of bodies: gzip, deflate, zstd, br.

    Decoder("gzip").decode(chunk)    # a response, chunk by chunk
    unpacked(data, "zstd", 2**24)    # a complete request

Responses are decoded tolerantly, as browsers do: deflate with or without a zlib header, plain text despite the header.
"""

import zlib
from typing import Literal

GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_WINDOWS = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
_CODECS: dict[str, Literal["zstd", "brotli"]] = {"zstd": "zstd", "br": "brotli"}
NAMES = (*_WINDOWS, *_CODECS)
_NO_TEXT = b"\xff"
_READ_BYTES = 65_536


class UnknownEncoding(ValueError):
    """The name of the encoding is not supported."""


class BadEncoding(ValueError):
    """The body does not match its content-encoding header, or is truncated."""


class TooLarge(ValueError):
    """The decoded body exceeds the limit."""


def unpacked(data: bytes, encoding: str, max_bytes: int) -> bytes:
    """Decode a complete body. The result is limited to `max_bytes`, since a small body can expand beyond memory.

    Raises: UnknownEncoding, BadEncoding, TooLarge.
    """
    if encoding in _CODECS:
        plain = _unpacked_by_arrow(data, _CODECS[encoding], max_bytes + 1)
        if len(plain) > max_bytes:
            raise TooLarge
        return plain
    if encoding not in _WINDOWS:
        raise UnknownEncoding(encoding)
    decompressor = zlib.decompressobj(_WINDOWS[encoding])
    try:
        plain = decompressor.decompress(data, max_bytes + 1)
    except zlib.error:
        raise BadEncoding(f"the body is not {encoding}") from None
    if len(plain) > max_bytes:
        raise TooLarge
    if not decompressor.eof:
        raise BadEncoding(f"the {encoding} body is truncated")
    return plain


def _unpacked_by_arrow(data: bytes, codec: Literal["zstd", "brotli"], max_bytes: int) -> bytes:
    """Raises: BadEncoding."""
    # Imported on demand: few clients use these codecs (Codex sends long conversations in zstd).
    import pyarrow as pa

    try:
        with pa.CompressedInputStream(pa.BufferReader(data), codec) as stream:
            return bytes(stream.read(max_bytes))
    except (OSError, pa.ArrowException):
        raise BadEncoding(f"the body is not {codec}") from None


class _ArrowDecompressor:
    """Decodes zstd and br text chunk by chunk with Arrow, whose streams only support reading to the end."""

    def __init__(self, codec: Literal["zstd", "brotli"]) -> None:
        import pyarrow as pa

        self._source = _ChunkFile()
        self._stream = pa.CompressedInputStream(pa.PythonFile(self._source, mode="r"), codec)

    def decode(self, data: bytes) -> bytes:
        self._source.data += data
        decoded = b""
        while True:
            # The read fails when the input ends, after writing all decoded bytes; text never contains the byte 0xff.
            buffer = bytearray(_NO_TEXT) * _READ_BYTES
            try:
                size = self._stream.readinto(buffer)
            except OSError as error:
                if "runcated" not in str(error):
                    raise BadEncoding(f"the body is broken: {error}") from None
                return decoded + buffer.rstrip(_NO_TEXT)
            if not size:
                return decoded
            decoded += buffer[:size]


class _ChunkFile:
    """A file-like object that ends at the last chunk until another one is added."""

    def __init__(self) -> None:
        self.data = b""
        self.closed = False

    def read(self, size: int) -> bytes:
        chunk, self.data = self.data[:size], self.data[size:]
        return chunk

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True


class Decoder:
    """Decodes the body of a response chunk by chunk; a plain body despite the header is passed through."""

    def __init__(self, encoding: str, *, events: bool = False) -> None:
        """`events`: the body is an event stream and must be decoded as it arrives."""
        self._encoding = encoding
        self._events = events
        self._decompressor: zlib._Decompress | _ArrowDecompressor | None = None
        self._started = False
        self._chunks: list[bytes] = []
        """Chunks of a zstd or br body, decoded at its end."""

    def decode(self, data: bytes) -> bytes:
        """Raises: BadEncoding."""
        if not self._started and data:
            self._started = True
            if self._encoding in _WINDOWS:
                self._decompressor = _decompressor(self._encoding, data)
            elif self._events and (self._encoding == "br" or data.startswith(_ZSTD_MAGIC[: len(data)])):
                self._decompressor = _ArrowDecompressor(_CODECS[self._encoding])
        if isinstance(self._decompressor, _ArrowDecompressor):
            return self._decompressor.decode(data)
        if self._encoding in _CODECS:
            self._chunks.append(data)
            return b""
        if self._decompressor is None:
            return data
        try:
            plain = self._decompressor.decompress(data)
            while self._decompressor.eof and self._decompressor.unused_data.startswith(GZIP_MAGIC):
                # Some servers flush by starting another gzip member.
                remaining, self._decompressor = self._decompressor.unused_data, zlib.decompressobj(zlib.MAX_WBITS | 32)
                plain += self._decompressor.decompress(remaining)
            return plain
        except zlib.error:
            raise BadEncoding(f"the body is not {self._encoding}") from None

    def end(self, max_bytes: int = 2**28) -> bytes:
        """The rest of the decoded body. Raises: BadEncoding."""
        data, self._chunks = b"".join(self._chunks), []
        if not data or (self._encoding == "zstd" and not data.startswith(_ZSTD_MAGIC)):
            return data
        return _unpacked_by_arrow(data, _CODECS[self._encoding], max_bytes)


def _decompressor(encoding: str, first: bytes) -> "zlib._Decompress | None":
    """The decompressor for a body that begins with `first`; None for a plain body."""
    if first.startswith(GZIP_MAGIC[: len(first)]):
        return zlib.decompressobj(zlib.MAX_WBITS | 32)
    if encoding != "deflate" or first.lstrip()[:1] in (b"{", b"[", b"<"):
        return None
    # A zlib header: method 8, and the first two bytes are a multiple of 31 (RFC 1950).
    headed = first[0] & 0x0F == 8 and (len(first) < 2 or int.from_bytes(first[:2]) % 31 == 0)
    return zlib.decompressobj(zlib.MAX_WBITS if headed else -zlib.MAX_WBITS)
