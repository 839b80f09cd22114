"""Records of one invented call site, as `ingest` stores them, and the rows that `extract` makes of them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from pipeline.extract.rows import Row
from traffic.record import Output, Params, Record, Usage

START = datetime(2026, 10, 1, 8, tzinfo=UTC)
SYSTEM = """You sort questions that come in at the help desk of a bicycle shop.

Answer with exactly one of these labels:
- brakes
- delivery
- gears
- opening_hours
- refund
- wheels

Never explain the label."""
QUESTIONS = {
    "brakes": "my brakes squeal on ride {}",
    "delivery": "where is parcel {} that I ordered",
    "gears": "gear {} does not stay in",
    "opening_hours": "are you open on day {}",
    "refund": "I want the money for order {} back",
}


def record(index: int, text: str | None = None, answer: str | None = None, **changes: Any) -> Record:
    """The `index`-th request, one minute after the one before; a well-answered one unless `changes` say otherwise."""
    label = list(QUESTIONS)[index % len(QUESTIONS)]
    text = QUESTIONS[label].format(index) if text is None else text
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": f"Question: {text}"}]
    fields: dict[str, Any] = {
        "id": f"r{index:05}",
        "request_id": f"r{index:05}",
        "ts": START + timedelta(minutes=index),
        "call_site": "shop.topic",
        "cohort": {"plan": "free" if index % 3 else "paid"},
        "messages": msgspec.Raw(msgspec.json.encode(messages)),
        "params": Params(max_tokens=16),
        "output": Output(text=label if answer is None else answer, finish_reason="stop"),
        "usage": Usage(input_uncached=90, output=2),
        "model": "big-model",
        "latency_ms": 500.0,
        "cost_usd": 0.0001,
        "source_format": "test",
    }
    return Record(**(fields | changes))


def row(index: int, text: str | None = None, answer: str = "gears", **changes: Any) -> Row:
    """A row of `extract` that has found its template."""
    text = f"text {index}" if text is None else text
    fields: dict[str, Any] = {
        "id": f"r{index:05}",
        "request_id": f"r{index:05}",
        "request_hash": f"hash of {text}",
        "ts": START + timedelta(minutes=index),
        "call_site": "shop.topic",
        "messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": text}],
        "tools": None,
        "response_format": None,
        "params": Params(),
        "tier": None,
        "request_type": None,
        "cohort": {"plan": "free"},
        "logged_text": answer,
        "finish_reason": "stop",
        "answer": answer,
        "label_source": "teacher",
        "model": "big-model",
        "input_tokens": 90,
        "output_tokens": 2,
        "latency_ms": 500.0,
        "cost_usd": 0.0001,
        "template": "0123abcd",
        "slots": (text,),
        "pruned": [{"role": "system", "content": "topic"}, {"role": "user", "content": text}],
    }
    return Row(**(fields | changes))
