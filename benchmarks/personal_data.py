"""Injected personal data: what the recognisers find in the log, and what remains in a dataset."""

import re
from collections import Counter
from typing import Any

from benchmarks.gold import Gold
from benchmarks.hygiene import Rows
from pipeline import store
from pipeline.extract.config import PrivacyConfig
from pipeline.extract.privacy import scan
from traffic.artifacts import Home
from traffic.record import decode_messages
from traffic.redaction import PERSONAL_TYPES

_TYPES = {"email": "EMAIL", "phone": "PHONE", "card": "CARD", "iban": "IBAN", "ip": "IP", "person_name": "PERSON"}
_PLACEHOLDER = re.compile(rf"<({'|'.join(PERSONAL_TYPES)})_\d+>")


def planted(row: Gold) -> set[tuple[str, str]]:
    """Types and values of a request, matched to each other; gold lists both in different orders."""
    types = {_TYPES.get(kind, kind.upper()) for kind in row.pii or ()}
    return {(_type_of(value, types), value) for value in row.pii_values or ()}


def _type_of(value: str, types: set[str]) -> str:
    digits = len(re.sub(r"\D", "", value))
    likely = ["EMAIL"] if "@" in value else []
    likely += ["IBAN"] if re.match(r"[A-Za-z]{2}\d\d", value) else []
    likely += ["IP"] if re.fullmatch(r"[\da-fA-F:.]+", value) and ("." in value or "::" in value) else []
    likely += ["CARD"] if digits >= 14 else []
    likely += ["PHONE"] if digits >= 7 else []
    return next((kind for kind in (*likely, "PERSON") if kind in types), min(types))


def in_log(home: Home, gold: dict[str, Gold]) -> dict[str, Any]:
    """Figures of the recognisers alone, on all messages except the system's, of every request with gold data.

    A value is found if its exact bounds are. Precision is a lower bound if the log's texts contain other personal data.
    """
    texts: dict[str, list[str]] = {}
    for row_id, messages in store.connect(home).sql("SELECT id, messages FROM records").fetchall():
        if row_id in gold:
            texts[row_id] = [m.text for m in decode_messages(messages) if m.role != "system"]
    findings = scan.find_all((text for each in texts.values() for text in each), PrivacyConfig())
    counts: Counter[tuple[str, str]] = Counter()
    for row_id, each in texts.items():
        wanted = planted(gold[row_id])
        found = {(f.type, text[f.start : f.end]) for text in each for f in findings.get(text, ())}
        counts.update((kind, "planted") for kind, _ in wanted)
        counts.update((kind, "detected") for kind, _ in found)
        counts.update((kind, "found") for kind, _ in found & wanted)
    return {
        kind: _rates(counts, kind) for kind in PERSONAL_TYPES if counts[kind, "planted"] or counts[kind, "detected"]
    }


def in_dataset(rows: Rows, gold: dict[str, Gold]) -> dict[str, Any]:
    """Injected values that remain in any text of a row, with any spacing; and placeholders compared with injections."""
    counts: Counter[tuple[str, str]] = Counter()
    for row in (row for part in rows.values() for row in part):
        known = gold.get(row["record_id"])
        if known is None:
            continue
        messages = [*row["prompt"], *row["original_prompt"], *row["completion"]]
        whole = "\n".join([*(m["content"] or "" for m in messages), row["logged"]["text"] or ""])
        bare = _bare(whole)
        placeholders = Counter(kind for kind, _ in {(m.group(1), m.group()) for m in _PLACEHOLDER.finditer(whole)})
        wanted = planted(known)
        for kind, value in wanted:
            counts[kind, "planted"] += 1
            counts[kind, "found"] += _bare(value) not in bare
        for kind, number in placeholders.items():
            counts[kind, "detected"] += number
    return {
        kind: _rates(counts, kind) for kind in PERSONAL_TYPES if counts[kind, "planted"] or counts[kind, "detected"]
    }


def _bare(text: str) -> str:
    return re.sub(r"[\s().-]+", "", text).casefold()


def _rates(counts: Counter[tuple[str, str]], kind: str) -> dict[str, Any]:
    wanted, found, detected = (counts[kind, name] for name in ("planted", "found", "detected"))
    return {
        "planted": wanted,
        "found": found,
        "detected": detected,
        "recall": round(found / wanted, 4) if wanted else None,
        "precision_at_least": round(min(found, detected) / detected, 4) if detected else None,
    }
