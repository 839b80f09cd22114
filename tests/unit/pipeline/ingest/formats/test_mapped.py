"""Fields of single rows read with a mapping."""

import json

import pytest

from pipeline.ingest.formats import mapped
from pipeline.ingest.mapping import RecordPlaces, TagMapping

MAPPING = TagMapping(
    record=RecordPlaces(
        time=("start",),
        end=("end",),
        latency_ms=("latency",),
        prompt=("question",),
        answer=("answer",),
        model=("model",),
    )
)


@pytest.mark.parametrize("logged,latency_ms", [(0, 0.0), (120, 120.0), (None, 1500.0)])
def test_the_time_between_start_and_end_replaces_only_a_missing_latency(logged: int | None, latency_ms: float) -> None:
    row = {"start": "2026-09-01T08:00:00Z", "end": "2026-09-01T08:00:01.5Z", "latency": logged}
    line = json.dumps(row | {"question": "Which topic?", "answer": "billing", "model": "gpt-4.1"}).encode()
    assert mapped.FORMAT.reader(MAPPING)(line).record.latency_ms == latency_ms
