"""Files as bug reports show them: damaged, wrapped, encoded, exported by databases."""

import datetime
import decimal
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.fakes import reported
from tests.fakes.reported import ASK, TIME, TOPIC, Case, chat, jsonl

pytestmark = pytest.mark.slow


def pair(number: int = 1, **more: Any) -> dict[str, Any]:
    request = {"model": "gpt-4o-mini", "messages": ASK}
    return {
        "id": f"r{number}",
        "request": request,
        "response": chat(id=f"c{number}"),
        "timestamp": f"2026-10-05T09:30:0{number}Z",
    } | more


def lines(count: int) -> list[bytes]:
    return jsonl(*(pair(n) for n in range(count))).splitlines()


def parquet(rows: list[dict[str, Any]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


WHEN = datetime.datetime(2026, 10, 5, 9, 30, tzinfo=datetime.UTC)
DOCUMENT = json.dumps([pair(n) for n in range(4)], indent=2).encode()

OBSERVATION = {
    "id": "o1",
    "traceId": "t1",
    "type": "GENERATION",
    "name": "topic",
    "startTime": TIME,
    "input": ASK,
    "output": {"role": "assistant", "content": "billing"},
    "providedModelName": "gpt-4o-mini",
}
STORED = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1791192660,
    "status": "completed",
    "model": "gpt-4o-mini",
    "instructions": "Name the topic.",
    "input": "I was charged twice",
    "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "billing"}]}],
}

SHEET = (
    "id;traceId;type;startTime;providedModelName;input;output\r\n"
    'o1;t1;GENERATION;01.10.2026 08:00;gpt-4o-mini;"[{""role"":""user"",""content"":""Grüße""}]";billing\r\n'
    'o2;t2;GENERATION;01.10.2026 08:01;gpt-4o-mini;"[{""role"":""user"",""content"":""cut at 32767 char";billing\r\n'
)

CASES = [
    Case(
        "a-table-saved-by-a-spreadsheet-on-windows",
        SHEET.encode("cp1252"),
        [{"asked": "Grüße", "text": "billing", "ts": "2026-10-01T08:00:00+00:00"}],
        rejected=1,
        counts={"reasons": {"cut_text": 1}},
    ),
    Case("rows-of-three-formats-in-one-file", jsonl(pair(0), OBSERVATION, pair(1), STORED), [TOPIC] * 4),
    Case(
        "rows-of-nobody-in-a-file-of-a-format",
        jsonl(*(OBSERVATION | {"id": f"o{n}"} for n in range(3)), {"type": "GENERATION", "level": "info"}),
        [TOPIC] * 3,
        rejected=1,
        counts={"reasons": {"no_contents": 1}},
    ),
    Case("line-ends-of-windows-with-a-mark", b"\xef\xbb\xbf" + b"\r\n".join(lines(3)) + b"\r\n", [TOPIC] * 3),
    Case("marks-inside-a-joined-file", b"".join(b"\xef\xbb\xbf" + line + b"\n" for line in lines(3)), [TOPIC] * 3),
    Case(
        "numbers-that-are-none-in-every-line",
        b"".join(json.dumps(pair(n, score=float("nan"))).encode() + b"\n" for n in range(3)),
        [TOPIC] * 3,
    ),
    Case(
        "one-line-nested-a-thousand-deep",
        b"\n".join(lines(3)) + b'\n{"id": "deep", "request": ' + b"[" * 1000 + b"]" * 1000 + b"}\n",
        [TOPIC] * 3,
        rejected=1,
        counts={"reasons": {"too_deep": 1}},
    ),
    Case("an-object-a-file", {f"chatcmpl-{n}": json.dumps(pair(n % 10, id=f"r{n}")).encode() for n in range(600)}),
    Case("commas-behind-lines", b",\n".join(lines(3)) + b",\n", [TOPIC] * 3),
    Case("an-array-one-row-a-line", b"[\n" + b",\n".join(lines(3)) + b"\n]\n", [TOPIC] * 3),
    Case(
        "an-array-cut-in-the-middle",
        b"[\n" + b",\n".join(lines(3)) + b',\n{"id": "r9", "request": {"mod',
        [TOPIC] * 3,
        rejected=1,
    ),
    Case("a-document-cut-in-the-middle", DOCUMENT[: len(DOCUMENT) - 120], [TOPIC] * 3, rejected=1),
    Case(
        "objects-over-several-lines",
        b"".join(json.dumps(pair(n), indent=2).encode() + b"\n" for n in range(3)),
        [TOPIC] * 3,
    ),
    Case("objects-without-line-ends", b"".join(lines(3)), [TOPIC] * 3),
    Case("zeros-of-a-crashed-machine", b"\n".join(lines(3)) + b"\n" + b"\x00" * 4096, [TOPIC] * 3, rejected=1),
    Case(
        "a-time-in-front-of-each-line",
        b"".join(b"2026-10-05T09:30:00.000Z " + line + b"\n" for line in lines(3)),
        [TOPIC] * 3,
    ),
    Case(
        "a-logger-in-front-of-each-line",
        b"starting up\n" + b"".join(b"INFO:llm.audit:[req] " + line + b"\n" for line in lines(3)) + b"done\n",
        [TOPIC] * 3,
        rejected=2,
    ),
    Case(
        "container-log-lines",
        b"".join(b"2026-10-05T09:30:00.000000001Z stdout F " + line + b"\n" for line in lines(3)),
        [TOPIC] * 3,
    ),
    Case(
        "cloudwatch-subscription",
        jsonl(
            {
                "messageType": "DATA_MESSAGE",
                "logGroup": "llm",
                "logEvents": [
                    {"id": str(n), "timestamp": 1791192600000 + n, "message": line.decode()}
                    for n, line in enumerate(lines(3))
                ],
            }
        ),
        [TOPIC] * 3,
    ),
    Case(
        "one-line-in-latin-1",
        b"\n".join([*lines(2), lines(1)[0].replace(b"I was charged", b"Caf\xe9: I was charged")]) + b"\n",
        [TOPIC] * 2,
        rejected=1,
    ),
    Case("zero-bytes-in-texts", jsonl(pair(1, response=chat("bil\x00ling"))), [{"asked": "I was charged twice"}]),
    Case(
        "gzip-members-and-padding",
        gzip.compress(lines(3)[0] + b"\n") + gzip.compress(b"\n".join(lines(3)[1:]) + b"\n") + b"\x00" * 512,
        [TOPIC] * 3,
    ),
    Case(
        "utf-16-csv",
        '\ufeffid,request,response,timestamp\r\nr1,"{}","{}",{}\r\n'.format(
            json.dumps(pair()["request"]).replace('"', '""'), json.dumps(chat()).replace('"', '""'), TIME
        ).encode("utf-16-le"),
        [TOPIC],
    ),
    Case(
        "tabs-between-cells",
        "id\trequest\tresponse\ttimestamp\nr1\t{}\t{}\t{}\n".format(
            json.dumps(pair()["request"]), json.dumps(chat()), TIME
        ).encode(),
        [TOPIC],
    ),
    Case(
        "csv-with-backslashes-before-quotes",
        'id,request,response,timestamp\nr1,"{}","{}",{}\n'.format(
            json.dumps(pair()["request"]).replace('"', '\\"'), json.dumps(chat()).replace('"', '\\"'), TIME
        ).encode(),
        [TOPIC],
    ),
    Case(
        "csv-of-python-objects",
        'id,request,response,timestamp\nr1,"{}","{}",{}\n'.format(
            str(pair()["request"]).replace('"', '""'),
            str(chat("it's", message={"refusal": None})).replace('"', '""'),
            TIME,
        ).encode(),
        [TOPIC | {"text": "it's"}],
    ),
    Case(
        "parquet-with-structs",
        parquet(
            [
                {
                    "id": "r1",
                    "request": {"model": "gpt-4o-mini", "messages": ASK},
                    "response": chat(),
                    "timestamp": WHEN,
                    "cost_usd": decimal.Decimal("0.002"),
                }
            ]
        ),
        [TOPIC | {"ts": TIME, "cost_usd": 0.002, "tokens": (21, 0, 0, 3)}],
    ),
    Case(
        "parquet-with-json-text-and-naive-times",
        parquet(
            [
                {
                    "id": 7,
                    "request": json.dumps(pair()["request"]),
                    "response": json.dumps(chat()),
                    "timestamp": WHEN.replace(tzinfo=None),
                }
            ]
        ),
        [TOPIC | {"id": "7", "ts": TIME}],
    ),
    Case(
        "parquet-whose-structs-fill-missing-keys",
        parquet(
            [
                {
                    "id": "r1",
                    "request": {
                        "model": "m",
                        "messages": [
                            *ASK,
                            {
                                "role": "assistant",
                                "content": None,
                                "tool_calls": [
                                    {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                                ],
                            },
                        ],
                    },
                    "response": chat(),
                    "timestamp": WHEN,
                },
                {
                    "id": "r2",
                    "request": {
                        "model": "m",
                        "messages": ASK,
                        "tools": [{"type": "function", "function": {"name": "f"}}],
                    },
                    "response": chat(),
                    "timestamp": WHEN,
                },
            ]
        ),
        [{"roles": ["system", "user", "assistant"], "tools": []}, TOPIC | {"tools": ["f"], "messages": ASK}],
    ),
    Case(
        "python-literals-in-lines",
        "".join(str(pair(n) | {"cache_hit": False, "error": None}) + "\n" for n in range(2)).encode(),
        [TOPIC] * 2,
    ),
    Case(
        "times-in-every-unit",
        jsonl(
            *(
                pair(n, timestamp=t)
                for n, t in enumerate(
                    [
                        1791192600,
                        1791192600.0,
                        "1791192600000",
                        1791192600000000,
                        "1791192600000000000",
                        "2026-10-05 09:30:00 UTC",
                        "Mon, 05 Oct 2026 09:30:00 GMT",
                        {"$date": "2026-10-05T09:30:00Z"},
                        "2026-10-05T11:30:00+0200",
                        "2026-10-05T09:30:00,000Z",
                    ]
                )
            )
        ),
        [{"ts": TIME}] * 10,
    ),
    Case(
        "empty-lines-and-comments",
        b"\n".join([b"# exported 2026-10-05", *lines(2), b"", b"  ", b""]) + b"\n",
        [TOPIC] * 2,
        rejected=4,
    ),
    Case(
        "data-frames-by-column",
        json.dumps(
            {key: {str(n): pair(n)[key] for n in range(3)} for key in ("id", "request", "response", "timestamp")}
        ).encode(),
        [TOPIC] * 3,
    ),
    Case(
        "rows-as-quoted-json", b"\n".join(json.dumps(line.decode()).encode() for line in lines(3)) + b"\n", [TOPIC] * 3
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_file_is_read_as_reported(case: Case, tmp_path: Path) -> None:
    reported.run(case, tmp_path)
