"""A company's traffic as LiteLLM rows and a gold file."""

import datetime as dt
import importlib
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.invented.site import Site, Turn

COMPANIES = (
    "bank", "boxoffice", "forge", "freight", "harbour", "helpdesk", "innkeep", "insurer", "ledger", "lender",
    "newsroom", "ops", "repair", "riddles", "silt", "trials",
)  # fmt: skip
START = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
DAYS = 14
_IN_USD, _OUT_USD = 2.5e-6, 10e-6
Row = dict[str, Any]


def rows(company: str, requests: int, seed: int, *, tagged: bool = True) -> Iterator[tuple[Row, Row]]:
    """Log rows with their gold rows, in the order of time."""
    sites = importlib.import_module(f"benchmarks.invented.{company}").SITES
    r = random.Random(f"{company} {seed}")
    for n in range(requests):
        live = [site for site in sites if site.since * requests <= n]
        site = r.choices(live, [site.weight for site in live])[0]
        at = START + dt.timedelta(days=DAYS) * (n + r.random()) / requests
        turn = site.make(r)
        yield (
            _row(f"{company}-{seed}-{n}", site, turn, at, r, tagged=tagged),
            {"id": f"{company}-{seed}-{n}", "feature": site.name, "task_type": site.task, "tier_true": site.tier},
        )


def _row(key: str, site: Site, turn: Turn, at: dt.datetime, r: random.Random, *, tagged: bool) -> Row:
    system = site.system(r) if callable(site.system) else site.system
    asked = [{"role": "user", "content": turn.asked}] if isinstance(turn.asked, str) else turn.asked
    messages = [*([{"role": "system", "content": system}] if system else []), *asked]
    parameters: Row = {"max_tokens": 4096, "temperature": 0, **site.params}
    if site.tools:
        parameters["tools"] = [_tool(name) for name in site.tools]
    if site.response_format:
        parameters["response_format"] = site.response_format
    read = sum(len(str(m.get("content") or "")) for m in messages) // 4 + 60 * len(site.tools)
    wrote = (
        (len(turn.answer) + sum(len(arguments) + 20 for _, arguments in turn.calls)) // 4 + 1 + turn.reasoning_tokens
    )
    calls = [
        {"id": f"call_{n}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for n, (name, arguments) in enumerate(turn.calls)
    ]
    end = at + dt.timedelta(seconds=0.2 + wrote / 60)
    usage = {
        "prompt_tokens": read, "completion_tokens": wrote, "total_tokens": read + wrote,
        "completion_tokens_details": {"reasoning_tokens": turn.reasoning_tokens},
    }  # fmt: skip
    answer = {"role": "assistant", "content": turn.answer or None, "tool_calls": calls or None}
    plan = r.choice(("free", "pro", "team"))
    return {
        "id": key, "trace_id": f"s-{key}", "call_type": "acompletion", "cache_hit": False, "stream": False,
        "status": "success", "custom_llm_provider": "openai", "model": "gpt-4o",
        "startTime": at.isoformat(), "endTime": end.isoformat(), "completionStartTime": end.isoformat(),
        "response_cost": read * _IN_USD + wrote * _OUT_USD,
        "prompt_tokens": read, "completion_tokens": wrote, "total_tokens": read + wrote,
        "metadata": {"requester_metadata": {"feature": site.name, "plan": plan} if tagged else {"plan": plan}},
        "messages": messages, "model_parameters": parameters,
        "response": {
            "id": key, "model": "gpt-4o-2024-08-06", "object": "chat.completion", "created": int(at.timestamp()),
            "choices": [{"index": 0, "finish_reason": "tool_calls" if calls else "stop", "message": answer}],
            "usage": usage,
        },
    }  # fmt: skip


def _tool(name: str) -> Row:
    about = name.replace("_", " ")
    schema = {"type": "object", "properties": {"query": {"type": "string", "description": f"what to {about}"}}}
    return {"type": "function", "function": {"name": name, "description": about, "parameters": schema}}


def write(company: str, folder: Path, *, requests: int, seed: int, tagged: bool = True) -> tuple[Path, Path]:
    """Paths of the log and the gold file."""
    folder.mkdir(parents=True, exist_ok=True)
    log, gold = folder / "log.jsonl", folder / "gold.jsonl"
    with log.open("w", encoding="utf-8") as logged, gold.open("w", encoding="utf-8") as true:
        for row, known in rows(company, requests, seed, tagged=tagged):
            logged.write(json.dumps(row, ensure_ascii=False) + "\n")
            true.write(json.dumps(known) + "\n")
    return log, gold
