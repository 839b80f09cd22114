"""Measures the time per request of the served adapter and its base on this machine, with the task's prompts."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from demo.time_budget import ItemCost

ALONE = 2
BATCHED = 12
"""Requests in flight; fewer than in an evaluation, so the measured cost is an overestimate."""


def measure(base_url: str, model: str, bodies: Sequence[dict[str, Any]]) -> ItemCost:
    """Send the first bodies one at a time, the others concurrently."""
    import openai

    with openai.OpenAI(base_url=base_url, api_key="none", max_retries=0, timeout=300) as client:

        def ask(body: dict[str, Any]) -> None:
            client.chat.completions.create(model=model, temperature=0, **body)

        began = time.monotonic()
        for body in bodies[:ALONE]:
            ask(body)
        alone = (time.monotonic() - began) / ALONE
        concurrent = bodies[ALONE:]
        began = time.monotonic()
        with ThreadPoolExecutor(len(concurrent)) as pool:
            list(pool.map(ask, concurrent))
        batched = (time.monotonic() - began) / len(concurrent)
    return ItemCost(alone=alone, batched=batched)


def bodies(dataset: Path, call_site: str, prompt: str, *, max_tokens_factor: int = 1) -> list[dict[str, Any]]:
    """Requests for rows of the training split, which no candidate is scored on.

    `prompt`: the column, `prompt` (pruned, for adapters) or `original_prompt` (as the application sends it).
    """
    table = pq.read_table(dataset / "train.parquet", columns=[prompt])
    card = yaml.safe_load((dataset / "dataset.yaml").read_text(encoding="utf-8"))
    site = card["call_sites"][call_site]
    body: dict[str, Any] = {"max_tokens": max_tokens_factor * site["max_tokens"]}
    schema = (site.get("checks") or {}).get("json_schema")
    if schema and prompt == "original_prompt":
        named = {"name": "answer", "schema": schema}
        body["response_format"] = {"type": "json_schema", "json_schema": named}
    rows = table.slice(0, ALONE + BATCHED)[prompt].to_pylist()
    return [body | {"messages": messages} for messages in rows]
