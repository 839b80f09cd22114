"""Answers byte by byte, as servers and the proxies in front of them send them; and how connections end."""

import gzip
import io
import itertools
import json
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import pyarrow as pa

from tests.fakes.raw_upstream import Piece, Wire
from tests.fakes.reports import first
from tests.fakes.wire_bench import WHOLE, Heard, choice, completion

ANSWER = json.dumps(completion(choice({"content": "ok"}))).encode()


class WireCase(NamedTuple):
    """What an endpoint of chat completions sends, and what is right."""

    name: str
    right: Callable[[Heard], object]
    wires: tuple[Wire, ...]
    """One for each request; the last one for all that follow."""
    stream: bool = False
    body: dict[str, Any] = {}  # noqa: RUF012  (nobody writes to it)
    before: int = 0
    """Requests that come first."""


def http(body: bytes, head: str = "content-type: application/json", *, status: str = "200 OK", **more: Any) -> Wire:
    """A whole answer with its length."""
    return wire(f"HTTP/1.1 {status}\r\n{head}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body, **more)


def wire(*pieces: Piece, **more: Any) -> Wire:
    return Wire(pieces, **more)


def ok(heard: Heard) -> bool:
    return heard.status == 200 and heard.record.error is None and first(heard)["content"] == "ok"


def read(heard: Heard) -> bool:
    return heard.status == 200 and heard.record.error is None and heard.text == "ok"


def failed(*said: str, status: int = 502) -> Callable[[Heard], object]:
    return lambda h: h.status == status and b'"error"' in h.body and all(word.encode() in h.body for word in said)


EVENTS = "content-type: text/event-stream"
CLOSED = Wire((), closes=True)
RESET = Wire((), resets=True)
PAGE = b"<!DOCTYPE html><html><head><title>413 Request Entity Too Large</title></head><body>nginx</body></html>"
ENDED = b"\n\n".join(WHOLE.split(b"\n\n")[:3]) + b"\n\n"
"""A stream up to its finish reason."""
ZSTD = pa.compress(ANSWER, codec="zstd", asbytes=True)

MEMBERS = http(
    b"".join(gzip.compress(part + b"\n\n") for part in WHOLE.split(b"\n\n") if part),
    f"{EVENTS}\r\ncontent-encoding: gzip",
)


def zstd_pieces(pause_s: float) -> list[Piece]:
    """A stream in zstd, flushed behind each event."""
    sink = io.BytesIO()
    packing, sent, pieces = pa.CompressedOutputStream(pa.PythonFile(sink, mode="w"), "zstd"), 0, list[Piece]()
    for part in WHOLE.split(b"\n\n"):
        packing.write(part + b"\n\n")
        packing.flush()
        pieces += [sink.getvalue()[sent:], pause_s if b"ok" in part else 0.01]
        sent = len(sink.getvalue())
    return [f"HTTP/1.1 200 OK\r\n{EVENTS}\r\ncontent-encoding: zstd\r\n\r\n".encode(), *pieces]


WIRES = [
    WireCase("gzip that no header names", ok, (http(gzip.compress(ANSWER)),)),
    WireCase("gzip that a header names", ok, (http(gzip.compress(ANSWER), "content-encoding: gzip"),)),
    WireCase("deflate without its head", ok, (http(zlib.compress(ANSWER, wbits=-15), "content-encoding: deflate"),)),
    WireCase("zstd that nobody asked for", ok, (http(ZSTD, "content-encoding: zstd"),)),
    WireCase("an encoding that is none", ok, (http(ANSWER, "content-encoding: utf-8"),)),
    WireCase("gzip that is said to be, and is none", ok, (http(ANSWER, "content-encoding: gzip"),)),
    WireCase(
        "a stream in gzip", read, (http(gzip.compress(WHOLE), f"{EVENTS}\r\ncontent-encoding: gzip"),), stream=True
    ),
    WireCase("a stream in gzip that no header names", read, (http(gzip.compress(WHOLE), EVENTS),), stream=True),
    WireCase("a stream in gzip of a member for each event", read, (MEMBERS,), stream=True),
    WireCase(
        "a stream in zstd comes when it comes",
        lambda h: read(h) and h.parts[0][0] < h.parts[-1][0] - 0.3,
        (wire(*zstd_pieces(0.5), closes=True),),
        stream=True,
    ),
    WireCase(
        "a length and chunks",
        ok,
        (
            wire(
                b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
                % (len(ANSWER), ANSWER)
            ),
        ),
    ),
    WireCase(
        "a header without a blank",
        ok,
        (wire(b"HTTP/1.1 200 OK\r\ncontent-length:%d\r\n\r\n%b" % (len(ANSWER), ANSWER)),),
    ),
    WireCase(
        "empty lines behind an answer",
        ok,
        (wire(*http(ANSWER).pieces, b"\r\n\r\n"), http(ANSWER)),
        before=1,
    ),
    WireCase(
        "a length beyond the end of a stream",
        read,
        (wire(b"HTTP/1.1 200 OK\r\n%b\r\ncontent-length: 99999\r\n\r\n%b" % (EVENTS.encode(), WHOLE), 2.0),),
        stream=True,
    ),
    WireCase(
        "chunks that end with the connection behind [DONE]",
        read,
        (
            wire(
                b"HTTP/1.1 200 OK\r\n%b\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n"
                % (EVENTS.encode(), len(WHOLE), WHOLE),
                closes=True,
            ),
        ),
        stream=True,
    ),
    WireCase(
        "a connection that HTTP/1.0 keeps",
        ok,
        (wire(b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: %d\r\n\r\n%b" % (len(ANSWER), ANSWER)),),
        before=1,
    ),
    WireCase("a byte order mark before JSON", ok, (http(b"\xef\xbb\xbf" + ANSWER),)),
    WireCase(
        "blank lines before JSON",
        ok,
        (wire(b"HTTP/1.1 200 OK\r\n\r\n", 0.1, b"\n\n", 0.1, b"\n" + ANSWER, closes=True),),
    ),
    WireCase("blank lines before JSON for a stream", read, (http(b"\r\n\n" + ANSWER),), stream=True),
    WireCase("JSON that is called text", ok, (http(ANSWER, "content-type: text/plain"),)),
    WireCase("JSON without a type", ok, (http(ANSWER, "server: x"),)),
    WireCase("JSON that is called events", ok, (http(ANSWER, EVENTS),)),
    WireCase(
        "a status without a reason",
        ok,
        (wire(b"HTTP/1.1 200\r\ncontent-length: %d\r\n\r\n%b" % (len(ANSWER), ANSWER)),),
    ),
    WireCase(
        "HTTP/1.0", ok, (wire(b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n" + ANSWER, closes=True),)
    ),
    WireCase(
        "line ends of one character", ok, (wire(b"HTTP/1.1 200 OK\ncontent-length: %d\n\n%b" % (len(ANSWER), ANSWER)),)
    ),
    WireCase(
        "early hints and a 100 first",
        ok,
        (
            wire(
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n",
                0.05,
                *http(ANSWER).pieces,
            ),
        ),
    ),
    WireCase(
        "a head that comes slowly",
        ok,
        (wire(b"HTTP/1.1 200", 0.1, b" OK\r\ncontent-le", 0.1, b"ngth: %d\r\n" % len(ANSWER), 0.1, b"\r\n" + ANSWER),),
    ),
    WireCase(
        "chunks with extensions and trailers",
        ok,
        (
            wire(
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x;a=b\r\n%b\r\n0\r\nx-t: 1\r\n\r\n"
                % (len(ANSWER), ANSWER)
            ),
        ),
    ),
    WireCase("a length and bytes behind it", ok, (wire(*http(ANSWER).pieces, b"garbage", closes=True),)),
    WireCase(
        "a length that is not reached",
        failed("closed"),
        (wire(b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n" + ANSWER, closes=True),),
    ),
    WireCase("nothing", failed("204"), (wire(b"HTTP/1.1 204 No Content\r\n\r\n"),)),
    WireCase("an empty body", failed(), (http(b""),)),
    WireCase("a page with a 200", failed(), (http(b"<html><title>Sign in</title></html>", "content-type: text/html"),)),
    WireCase(
        "a move to another address",
        lambda h: h.status == 502 and "https://new.example/v1" in (h.record.error or ""),
        (http(b"", "location: https://new.example/v1/chat/completions", status="308 Permanent Redirect"),),
    ),
    WireCase(
        "a page about the size of the request", failed("413", "Too Large", status=413), (http(PAGE, status="413 X"),)
    ),
    WireCase("an error of nothing", failed("500"), (http(b"", status="500 X"),)),
    WireCase("a server's own timeout is no fault of the client's", ok, (http(b"{}", status="408 X"), http(ANSWER))),
    WireCase(
        "a model that failed behind its server is no fault of the client's",
        ok,
        (http(b"{}", status="424 X"), http(ANSWER)),
    ),
    WireCase("a conflict is worth another try", ok, (http(b'{"error":"busy"}', status="409 X"), http(ANSWER))),
    WireCase("too early is worth another try", ok, (http(b'{"error":"early"}', status="425 X"), http(ANSWER))),
    WireCase("a pause in milliseconds", ok, (http(b"{}", "retry-after-ms: 30", status="429 X"), http(ANSWER))),
    WireCase("an idle connection that is closed", ok, (http(ANSWER), CLOSED, http(ANSWER)), before=1),
    WireCase("an idle connection that is reset", ok, (http(ANSWER), RESET, http(ANSWER)), before=1),
    WireCase(
        "an idle connection that is closed, for a stream",
        read,
        (http(ANSWER), CLOSED, http(WHOLE, EVENTS)),
        before=1,
        stream=True,
    ),
    WireCase("a new connection that is closed is a failure", failed("closed without a response"), (CLOSED,)),
    WireCase(
        "a refusal before the body was read",
        failed("large", status=413),
        (Wire(http(b'{"error":{"message":"too large"}}', status="413 X").pieces, closes=True, early=True),),
        body={"user": "u" * 3_000_000},
    ),
    WireCase("only the end of a stream", failed(), (http(b"data: [DONE]\n\n", EVENTS),), stream=True),
    WireCase(
        "a stream with fields that mean nothing",
        read,
        (http(b"retry: 3\nid: 1\n" + WHOLE.replace(b"data: ", b"id:2\ndata:"), EVENTS),),
        stream=True,
    ),
    WireCase(
        "JSON over several lines of data",
        lambda h: h.status == 200 and h.record.error is None and h.record.output.text == "ok",
        (
            http(
                b"".join(
                    b"data: " + json.dumps(json.loads(d), indent=1).replace("\n", "\ndata: ").encode() + b"\n\n"
                    if d != b"[DONE]"
                    else b"data: [DONE]\n\n"
                    for d in [x[6:] for x in WHOLE.split(b"\n\n") if x]
                ),
                EVENTS,
            ),
        ),
        stream=True,
    ),
    WireCase(
        "a stream byte by byte",
        read,
        (
            wire(
                b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % EVENTS.encode(),
                *itertools.chain.from_iterable((WHOLE[i : i + 40], 0.002) for i in range(0, len(WHOLE), 40)),
                closes=True,
            ),
        ),
        stream=True,
    ),
    WireCase(
        "an error in the middle without JSON",
        lambda h: h.status == 200 and b"upstream exploded" in h.body and b"[DONE]" not in h.body,
        (
            wire(
                b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % EVENTS.encode(),
                b"\n\n".join(WHOLE.split(b"\n\n")[:2]) + b"\n\n",
                0.1,
                b"event: error\ndata: upstream exploded\n\n",
                closes=True,
            ),
        ),
        stream=True,
    ),
    WireCase(
        "an error of a proxy in the middle as plain JSON",
        lambda h: h.status == 200 and b"worker died" in h.body and b"[DONE]" not in h.body,
        (
            wire(
                b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % EVENTS.encode(),
                b"\n\n".join(WHOLE.split(b"\n\n")[:2]) + b"\n\n",
                0.1,
                b'{"error": {"message": "worker died", "code": 500}}\n\n',
                closes=True,
            ),
        ),
        stream=True,
    ),
    WireCase(
        "a connection that ends behind the finish reason, in a chunk",
        read,
        (
            wire(
                b"HTTP/1.1 200 OK\r\n%b\r\ntransfer-encoding: chunked\r\n\r\n" % EVENTS.encode(),
                b"%x\r\n%b\r\n" % (len(ENDED), ENDED),
                b"fff\r\ndata: {",
                resets=True,
            ),
        ),
        stream=True,
    ),
    WireCase(
        "an event that is cut off behind the finish reason",
        read,
        (http(ENDED + b'data: {"id": "c", "usa', EVENTS),),
        stream=True,
    ),
    *[
        WireCase(f"a status of {status}", ok, (http(b"<html>", status=f"{status} X"), http(ANSWER)))
        for status in (500, 502, 504, 520, 522, 524, 529)
    ],
    WireCase(
        "an overload as the first event of a stream",
        read,
        (
            http(b'event: error\ndata: {"error":{"type":"overloaded_error","message":"Overloaded"}}\n\n', EVENTS),
            http(WHOLE, EVENTS),
        ),
        stream=True,
    ),
]
