"""Keeps Tier 1 rows: by the logged tier, or by the rules if none was logged."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from pipeline.extract.config import ExtractConfig
from pipeline.extract.filters import Ledger
from pipeline.extract.rows import Row
from traffic.callsites import CallSite, RequestType
from traffic.errors import InputError
from traffic.features import features_of, request_type
from traffic.policy import Policy, decide
from traffic.record import Message


def by_rules(
    rows: Sequence[Row], task: str, entry: CallSite | None, config: ExtractConfig, policy: Policy
) -> Counter[RequestType]:
    """Sets `tier` of rows without a logged tier; returns the request types by the rules, with counts."""
    types: Counter[RequestType] = Counter()
    decoded: dict[str | None, dict[str, Any] | None] = {None: None}
    for row in rows:
        if row.response_format not in decoded:
            decoded[row.response_format] = msgspec.json.decode(row.response_format or "null")
        messages = [Message(m["role"], m["content"], m.get("tool_calls")) for m in row.messages]
        features = features_of(messages, row.tools, decoded[row.response_format], row.params)
        kind = config.request_type or request_type(features, messages, entry)
        types[kind] += 1
        if row.tier is None:
            row.tier = decide(policy, features, kind, entry, call_site=task).tier
    return types


def tier_1(rows: list[Row], task: str, config: ExtractConfig, ledger: Ledger) -> list[Row]:
    """The rows of Tier 1, or all of them with `tier: any`.

    Escalated answers come from a higher tier by definition; their requests are kept.

    Raises: InputError if most rows are of another tier: then the call site is not Tier 1.
    """
    if config.tier == "any":
        return rows
    kept = [row for row in rows if row.tier == 1 or row.label_source == "escalated"]
    if 2 * len(kept) < len(rows):
        counts = Counter(row.tier for row in rows)
        spread = ", ".join(f"tier {tier}: {counts[tier]}" for tier in sorted(counts, key=lambda t: t or 0))
        raise InputError(
            f"{task} is not Tier 1: of {len(rows)} answered requests {spread} (logged, or by the rules of "
            "configs/router.yaml); to train on it anyway, use --set tier=any, or the call site an entry with "
            "tier: 1 in configs/callsites.yaml"
        )
    ledger.add("not_tier_1", len(rows) - len(kept), "a request of another tier, as logged or by the rules")
    return kept
