"""Bodies in every encoding, in chunks of any size."""

import gzip
import io
import zlib

import pyarrow as pa
import pytest

from router.content_encoding import BadEncoding, Decoder, TooLarge, UnknownEncoding, unpacked

TEXT = b'{"a": "' + b"text " * 400 + b'"}'
ENCODED = {
    "gzip": gzip.compress(TEXT),
    "x-gzip": gzip.compress(TEXT),
    "deflate": zlib.compress(TEXT),
    "zstd": pa.compress(TEXT, codec="zstd", asbytes=True),
    "br": pa.compress(TEXT, codec="brotli", asbytes=True),
}


def decoded(encoding: str, data: bytes, step: int) -> bytes:
    decoder = Decoder(encoding)
    return b"".join(decoder.decode(data[i : i + step]) for i in range(0, len(data), step)) + decoder.end()


@pytest.mark.parametrize("step", [1, 7, 10_000])
@pytest.mark.parametrize("encoding", ENCODED)
def test_an_answer_is_decoded_regardless_of_chunk_boundaries(encoding: str, step: int) -> None:
    assert decoded(encoding, ENCODED[encoding], step) == TEXT


@pytest.mark.parametrize("step", [1, 7, 10_000])
@pytest.mark.parametrize("encoding, codec", [("zstd", "zstd"), ("br", "brotli")])
def test_events_are_decoded_as_they_arrive(encoding: str, codec: str, step: int) -> None:
    decoder, sink = Decoder(encoding, events=True), io.BytesIO()
    compressor, sent = pa.CompressedOutputStream(pa.PythonFile(sink, mode="w"), codec), 0
    events = [b"data: %d \xc3\xa9\n\n" % number * (1 + 9_000 * (number == 3)) for number in range(6)]
    for event in events:
        compressor.write(event)
        compressor.flush()
        end = sink.tell()
        piece, sent = sink.getvalue()[sent:end], end
        assert b"".join(decoder.decode(piece[i : i + step]) for i in range(0, len(piece), step)) == event
    assert decoder.end() == b""


@pytest.mark.parametrize("encoding", ["zstd", "br"])
def test_broken_events_raise_an_error(encoding: str) -> None:
    with pytest.raises(BadEncoding):
        Decoder(encoding, events=True).decode(ENCODED[encoding][:4] + b"\xff garbage" * 99)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_a_plain_answer_is_passed_through(encoding: str) -> None:
    assert decoded(encoding, TEXT, 100) == TEXT


def test_deflate_without_a_zlib_header_is_decoded() -> None:
    assert decoded("deflate", zlib.compress(TEXT, wbits=-15), 100) == TEXT


@pytest.mark.parametrize("encoding", ["deflate", "br"])
def test_a_broken_answer_raises_an_error(encoding: str) -> None:
    with pytest.raises(BadEncoding):
        decoded(encoding, ENCODED[encoding][:2] + b"garbage" * 99, 10_000)


@pytest.mark.parametrize("encoding", ENCODED)
def test_a_request_is_unpacked_up_to_its_limit(encoding: str) -> None:
    assert unpacked(ENCODED[encoding], encoding, len(TEXT)) == TEXT
    with pytest.raises(TooLarge):
        unpacked(ENCODED[encoding], encoding, len(TEXT) - 1)


def test_a_request_in_an_unknown_encoding_is_refused() -> None:
    with pytest.raises(UnknownEncoding):
        unpacked(TEXT, "rot13", 10_000)
