"""Small logs modelled on public bug reports, each with what must come out of it."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from pipeline import ingest, store
from pipeline.ingest import IngestSummary
from traffic.artifacts import Home
from traffic.record import decode_messages

ASK = [{"role": "system", "content": "Name the topic."}, {"role": "user", "content": "I was charged twice"}]
REQUEST = {"model": "gpt-4o-mini", "messages": ASK}
BILLING = {"role": "assistant", "content": "billing"}
TIME = "2026-10-05T09:30:00+00:00"
START, END = 1791192600000000000, 1791192601500000000
"""The same time and the end of the answer, in nanoseconds."""
TOPIC = {"asked": "I was charged twice", "system": "Name the topic.", "text": "billing"}
GEMINI = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "billing"}]}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 21, "candidatesTokenCount": 3, "totalTokenCount": 24},
    "modelVersion": "gemini-2.5-flash",
}
GEMINI_ASK = {"contents": [{"role": "user", "parts": [{"text": "I was charged twice"}]}]}
CLAUDE = {
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-4-5",
    "content": [{"type": "text", "text": "billing"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 21, "cache_read_input_tokens": 100, "output_tokens": 3},
}
CLAUDE_ASK = {
    "anthropic_version": "bedrock-2023-05-31",
    "max_tokens": 9,
    "system": "Name the topic.",
    "messages": ASK[1:],
}


def topic(**facts: Any) -> dict[str, Any]:
    """What is expected of a record of the usual question, with these facts besides."""
    return TOPIC | facts


class Case(NamedTuple):
    """A log and what it holds."""

    name: str
    content: bytes | dict[str, bytes]
    """The file, or files by name."""
    rows: list[dict[str, Any]] | None = None
    """Facts of each accepted record, in the order of time and id; None: only the counts are checked."""
    rejected: int = 0
    counts: dict[str, dict[str, int]] = {}  # noqa: RUF012 - never changed
    """Counts of the summary that must be there, by name."""


def jsonl(*rows: Any) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def chat(text: Any = "billing", **more: Any) -> dict[str, Any]:
    """A chat completion's body; `message`, `finish`, `usage` replace its parts."""
    message = {"role": "assistant", "content": text} | more.pop("message", {})
    body = {
        "id": "chatcmpl-9",
        "object": "chat.completion",
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [{"index": 0, "message": message, "finish_reason": more.pop("finish", "stop")}],
        "usage": {"prompt_tokens": 21, "completion_tokens": 3, "total_tokens": 24},
    }
    return body | more


def pair(response: Any = None, request: Any = None, **more: Any) -> dict[str, Any]:
    """A logged pair of the usual question and answer, or of these bodies."""
    body = chat() if response is None else response
    return {"timestamp": TIME, "request": request or REQUEST, "response": body} | more


def write(case: Case, folder: Path) -> Path:
    """The case's log as a file or a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(case.content, bytes):
        (folder / "log").write_bytes(case.content)
        return folder / "log"
    for name, data in case.content.items():
        (folder / name).write_bytes(data)
    return folder


def run(case: Case, folder: Path) -> None:
    """Ingest the case's log and check what came out."""
    home = Home(folder / "home")
    check(case, ingest.run([write(case, folder / "in")], home=home, processes=1), home)


def check(case: Case, summary: IngestSummary, home: Home) -> None:
    """Whether the records and the counts are those of the case."""
    assert summary.read == summary.accepted + summary.rejected + summary.already_known
    assert summary.rejected == case.rejected, summary.reasons
    for name, counts in case.counts.items():
        counted = getattr(summary, name)
        assert {key: counted.get(key) for key in counts} == counts, counted
    if case.rows is None:
        return
    stored = store.connect(home).sql("select * from records order by ts, id").to_arrow_table().to_pylist()
    assert len(stored) == len(case.rows), summary
    for row, expected in zip(stored, case.rows, strict=True):
        facts = _facts(row)
        assert {key: facts[key] for key in expected} == expected


def _facts(row: dict[str, Any]) -> dict[str, Any]:
    messages = json.loads(row["messages"])
    usage = row["usage"]
    calls = json.loads(row["output"]["tool_calls"]) if row["output"]["tool_calls"] else []
    tools = json.loads(row["tools"]) if row["tools"] else []
    return {
        **{
            key: row[key]
            for key in ("id", "status", "error", "model", "provider", "call_site", "user_id", "session_id")
        },
        **{key: row[key] for key in ("cost_usd", "cache_hit", "latency_ms", "ttft_ms", "trace_id", "response_format")},
        **row["output"],
        "calls": [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls],
        "tools": [tool.get("function", tool).get("name") for tool in tools],
        "roles": [message["role"] for message in messages],
        "asked": decode_messages(row["messages"].encode())[-1].text if messages else None,
        "system": next((m["content"] for m in messages if m["role"] in ("system", "developer")), None),
        "messages": messages,
        "ts": row["ts"].isoformat(),
        "tokens": None if usage is None or usage.get("estimated") else _tokens(usage),
        "max_tokens": row["params"]["max_tokens"],
        "temperature": row["params"]["temperature"],
        "stream": row["params"]["stream"],
        "failed": row["status"] != 200,
        "logged": row["price_source"] == "logged",
        "searches": usage and usage["web_searches"],
        "consent": dict(row["cohort"]).get("training"),
        "environment": dict(row["cohort"]).get("environment"),
    }


def _tokens(usage: dict[str, Any]) -> tuple[int, int, int, int]:
    return usage["input_uncached"], usage["cache_read"], usage["cache_write"], usage["output"]
