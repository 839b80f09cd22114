"""Rows inside the wrappers and documents of log shippers, queries, runtimes and exports, as bug reports show them."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import reported
from tests.fakes.reported import (
    ASK,
    BILLING,
    GEMINI,
    GEMINI_ASK,
    REQUEST,
    START,
    TIME,
    TOPIC,
    Case,
    chat,
    jsonl,
    pair,
    topic,
)

pytestmark = pytest.mark.slow


def undated() -> dict[str, Any]:
    return {"request": REQUEST, "response": chat()}


def table(*rows: list[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def docker_line(text: str) -> bytes:
    return json.dumps({"log": text, "stream": "stdout", "time": TIME}, separators=(",", ":")).encode() + b"\n"


DOCKER = json.dumps(pair(timestamp="2026-10-05T09:30:01Z"))
GEMINI_PIECES = [
    {"candidates": [{"content": {"role": "model", "parts": [{"text": "bil"}]}}]},
    GEMINI | {"candidates": [{"content": {"role": "model", "parts": [{"text": "ling"}]}, "finishReason": "STOP"}]},
]
FILES = [
    *(
        Case(
            f"payloads-of-vertex-in-{len(pieces)}-texts",
            jsonl(
                {"logging_time": "2026-10-05 09:30:00 UTC", "full_request": None, "full_response": None}
                | {"request_payload": [json.dumps(GEMINI_ASK)], "response_payload": list(map(json.dumps, pieces))}
            ),
            [
                {
                    "asked": TOPIC["asked"],
                    "text": "billing",
                    "finish_reason": "stop",
                    "tokens": (21, 0, 0, 3),
                    "ts": TIME,
                }
            ],
        )
        for pieces in ([GEMINI], GEMINI_PIECES)
    ),
    Case(
        "csv-with-column-names-in-capitals",
        table(
            ["REQUEST_ID", "CREATED_AT", "REQUEST", "RESPONSE", "LATENCY_MS"],
            ["r1", "2026-10-05 02:30:00.000 -0700", json.dumps(REQUEST), json.dumps(chat()), "900"],
        ),
        [topic(id="r1", ts=TIME, latency_ms=900.0)],
    ),
    Case(
        "rows-by-id",
        json.dumps({"a": pair(), "b": pair(timestamp="2026-10-05T09:30:01Z"), "c": {"note": "x"}}).encode(),
        [TOPIC, TOPIC],
        rejected=1,
    ),
    Case(
        "rows-by-id-inside-an-object", json.dumps({"logs": {"a": pair(), "b": pair(timestamp=1)}}).encode(), [TOPIC], 1
    ),
    Case(
        "query-of-loki",
        json.dumps(
            {
                "data": {
                    "resultType": "streams",
                    "result": [{"stream": {}, "values": [[str(START), json.dumps(undated())]]}],
                }
            }
        ).encode(),
        [topic(ts=TIME)],
    ),
    Case(
        "query-of-logs-insights",
        json.dumps(
            {
                "results": [
                    [
                        {"field": "@timestamp", "value": "2026-10-05 09:30:00.000"},
                        {"field": "@message", "value": json.dumps(undated())},
                    ]
                ],
                "status": "Complete",
            }
        ).encode(),
        [topic(ts=TIME)],
    ),
    Case(
        "rows-wrapped-in-several-ways",
        jsonl(
            {"time": TIME, "detail": undated()},
            {"timestamp": "2026-10-05T09:30:01Z", "jsonPayload": {"message": json.dumps(undated())}},
            {"@timestamp": TIME, "log": f"2026-10-05T09:30:02Z stdout F {json.dumps(pair(timestamp=1791192602))}"},
            pair(timestamp="2026-10-05T09:30:03Z"),
        ),
        [topic(ts=f"2026-10-05T09:30:0{n}+00:00") for n in range(4)],
    ),
    Case(
        "lines-in-colour",
        b"".join(b"\x1b[32mINFO\x1b[0m " + line + b"\x1b[0m\n" for line in jsonl(pair()).splitlines()),
        [TOPIC],
    ),
    Case(
        "lines-split-by-container-runtimes",
        {
            "cri": f"T stdout P {json.dumps(pair())[:60]}\nT stdout F {json.dumps(pair())[60:]}\n".encode(),
            "docker": b"".join(map(docker_line, (DOCKER[:60], DOCKER[60:120], DOCKER[120:] + "\n"))),
        },
        [TOPIC, TOPIC],
    ),
    Case(
        "cells-as-python-prints-them",
        table(["timestamp", "request", "response"], [TIME, repr(REQUEST), repr({**chat(), "note": None})]),
        [TOPIC],
    ),
    Case(
        "times-of-azure-log-analytics",
        {
            "export.csv": table(
                [
                    "TimeGenerated [UTC]",
                    "CorrelationId",
                    "SequenceNumber",
                    "ModelName",
                    "RequestMessages",
                    "ResponseMessages",
                ],
                [
                    "10/5/2026, 9:30:00.000 AM",
                    "c1",
                    "0",
                    "gpt-4o-mini",
                    json.dumps(ASK),
                    json.dumps([BILLING]),
                ],
            ),
            "PT1H.json": jsonl(
                {
                    "time": "2026-10-05T09:30:01Z",
                    "properties": {
                        "CorrelationId": "c2",
                        "SequenceNumber": 0,
                        "RequestMessages": json.dumps(ASK),
                        "ResponseMessages": json.dumps([BILLING]),
                    },
                }
            ),
        },
        [topic(ts=TIME), topic(ts="2026-10-05T09:30:01+00:00")],
    ),
    Case(
        "durations-under-other-names",
        jsonl(
            *(pair(id=key, **{key: value}) for key, value in (("elapsed_ms", 250), ("requestDurationSeconds", 0.25)))
        ),
        [topic(latency_ms=250.0)] * 2,
    ),
    Case(
        "times-beside-a-duration",
        jsonl(pair(id="1", request_time_ms=START // 1_000_000, total_time_ms=900, latency_ms=250))
        + jsonl(pair(id="2", time_ms=START // 1_000_000), pair(id="3", latency_s="n/a", duration_ms=300)),
        [topic(latency_ms=250.0), topic(latency_ms=None), topic(latency_ms=300.0)],
    ),
    Case(
        "stream-whose-chunks-lack-a-count-that-the-log-has",
        jsonl(
            {"schemaType": "ModelInvocationLog", "timestamp": TIME, "requestId": "r", "modelId": "m"}
            | {"operation": "InvokeModelWithResponseStream"}
            | {"input": {"inputBodyJson": {"inputText": "I was charged twice"}, "inputTokenCount": 21}}
            | {
                "output": {
                    "outputBodyJson": [
                        {"outputText": "bil", "index": 0, "completionReason": None, "inputTextTokenCount": 21},
                        {
                            "outputText": "ling",
                            "index": 0,
                            "completionReason": "FINISH",
                            "totalOutputTextTokenCount": 3,
                        },
                    ],
                    "outputTokenCount": 3,
                }
            }
        ),
        [{"text": "billing", "tokens": (21, 0, 0, 3)}],
    ),
    Case(
        "consent-outside-of-the-unwrapped-row",
        jsonl(
            {"@timestamp": TIME, "labels": {"training_consent": "no"}, "message": json.dumps(pair())},
            {"@timestamp": TIME, "labels": {"app": "train"}, "message": json.dumps(pair(timestamp=TIME[:-6] + "Z"))}
            | {"attributes": {"usr": {"allow_training": True}}, "message": json.dumps(pair(consent="no", id="2"))},
        ),
        [topic(consent="no"), topic(consent="no")],
    ),
    Case(
        "refusal-outside-of-a-nearer-consent",
        jsonl({"training_consent": "no", "app": {"training_consent": "yes", "log": json.dumps(pair())}}),
        [topic(consent="no")],
    ),
]


@pytest.mark.parametrize("case", FILES, ids=lambda case: case.name)
def test_rows_inside_wrappers_are_read_into_the_expected_records(case: Case, tmp_path: Path) -> None:
    reported.run(case, tmp_path)
