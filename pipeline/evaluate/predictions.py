"""`predictions.parquet` of an evaluation, one row per item: writing and reading."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.evaluate.answers import Answer
from pipeline.evaluate.items import Items
from pipeline.metrics import ItemScore, Reference
from traffic.confidence import Signals, Threshold
from traffic.errors import InputError
from traffic.loose_json import json_or
from traffic.record import Usage

FILE = "predictions.parquet"
SIGNALS = tuple(name for name in Signals.__struct_fields__ if name != "tokens")
_TEXT_KINDS = ("any_of_text", "label_free_text")
"""Kinds of references that are a text, or a list of texts."""


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """One item with a candidate's answer."""

    record_id: str
    call_site: str | None = None
    output: str | None = None
    """None: no answer, see `error`."""
    reference: str
    reference_kind: str | None = None
    correct: bool
    score: float = 0.0
    failed_checks: tuple[str, ...] = ()
    signals: Signals | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    latency_ms: float | None = None
    concurrency: int | None = None
    cost_usd: float | None = None
    finish_reason: str | None = None
    error: str | None = None
    cohort: dict[str, str] = {}
    requests: int = 1
    """Logged requests that the item stands for."""

    @property
    def usable(self) -> bool:
        """Whether the answer passes its checks; others escalate regardless of confidence."""
        return self.output is not None and self.error is None and not self.failed_checks

    @property
    def scored_against(self) -> str | Reference:
        """The reference in the form that `metrics.score` takes."""
        if self.reference_kind is None:
            return self.reference
        value: Any = self.reference
        if self.reference_kind in _TEXT_KINDS:
            # A text may happen to be JSON, such as `true` or `1.50`; only a list of accepted texts was written as JSON.
            value = text_list(self.reference) or self.reference
        elif self.reference_kind != "label":
            value = json_or(self.reference, self.reference)
        return msgspec.convert({"kind": self.reference_kind, "value": value}, Reference)

    def kept(self, cut: Threshold | None) -> bool:
        """Whether the router would keep the answer; without a threshold it keeps what passes its checks."""
        if not self.usable or cut is None:
            return self.usable
        return self.signals is not None and cut.value(self.signals) >= cut.threshold

    def answer(self) -> Answer:
        """The answer, as far as the file has it."""
        usage = None
        if self.input_tokens is not None and self.output_tokens is not None:
            usage = Usage(input_uncached=self.input_tokens, output=self.output_tokens)
        return Answer(
            record_id=self.record_id,
            text=self.output,
            finish_reason=self.finish_reason,
            error=self.error,
            usage=usage,
            signals=self.signals,
            latency_ms=self.latency_ms,
            concurrency=self.concurrency,
            cost_usd=self.cost_usd,
        )


def schema(cohort_keys: Sequence[str]) -> pa.Schema:
    """Columns of `predictions.parquet`."""
    return pa.schema(
        [
            pa.field("record_id", pa.string(), nullable=False),
            ("call_site", pa.string()),
            ("output", pa.string()),  # null: no answer, see error
            ("reference", pa.string()),  # a text as it is, other kinds as JSON
            ("reference_kind", pa.string()),
            pa.field("correct", pa.bool_(), nullable=False),
            pa.field("score", pa.float64(), nullable=False),
            ("failed_checks", pa.list_(pa.string())),
            *((name, pa.float64()) for name in SIGNALS),
            ("signal_tokens", pa.int64()),
            ("confidence", pa.float64()),  # calibrated probability of being right, if the candidate has one
            ("input_tokens", pa.int64()),
            ("output_tokens", pa.int64()),
            ("latency_ms", pa.float64()),
            ("concurrency", pa.int64()),
            ("cost_usd", pa.float64()),
            ("finish_reason", pa.string()),
            ("error", pa.string()),
            ("cohort", pa.struct([(key, pa.string()) for key in cohort_keys])),
            ("requests", pa.int64()),  # logged requests that the item stands for
            ("tier", pa.int64()),  # of a cascade: whose answer the client gets
        ]
    )


def table(
    items: Items, answers: Sequence[Answer], scores: Sequence[ItemScore], usd: Sequence[float | None]
) -> pa.Table:
    """The rows, in the order of the items."""
    keys = sorted({key for item in items.items for key in item.cohort})
    rows = []
    for item, answer, score, cost in zip(items.items, answers, scores, usd, strict=True):
        signals = answer.signals
        rows.append(
            {
                "record_id": item.record_id,
                "call_site": item.call_site,
                "output": answer.text,
                "reference": _reference_text(item.reference),
                "reference_kind": item.reference.kind if isinstance(item.reference, Reference) else None,
                "correct": score.correct,
                "score": score.score,
                "failed_checks": list(score.detail.failed),
                **{name: None if signals is None else getattr(signals, name) for name in SIGNALS},
                "signal_tokens": None if signals is None else signals.tokens,
                "confidence": answer.confidence,
                "input_tokens": None if answer.usage is None else answer.usage.input_total,
                "output_tokens": None if answer.usage is None else answer.usage.output,
                "latency_ms": answer.latency_ms,
                "concurrency": answer.concurrency,
                "cost_usd": cost,
                "finish_reason": answer.finish_reason,
                "error": answer.error,
                "cohort": {key: item.cohort.get(key) for key in keys},
                "requests": item.requests,
                "tier": answer.tier,
            }
        )
    return pa.Table.from_pylist(rows, schema=schema(keys))


def read(evaluation: Path) -> list[Prediction]:
    """The rows of an evaluation's folder, in the order of its items. Raises: InputError."""
    path = evaluation / FILE
    try:
        return [_prediction(row) for row in pq.read_table(path).to_pylist()]
    except (OSError, pa.ArrowInvalid, msgspec.ValidationError, KeyError) as error:
        raise InputError(f"{path}: cannot be read ({error}); run `fasttier evaluate` again") from None


def text_list(text: str) -> list[Any] | None:
    """The list of accepted texts that a reference stands for; None if it is one text."""
    value = json_or(text)
    return value if isinstance(value, list) else None


def _reference_text(reference: str | Reference) -> str:
    if isinstance(reference, str):
        return reference
    value = reference.value
    if reference.kind in _TEXT_KINDS and not isinstance(value, list | tuple):
        # One text is written as it is; one that reads as a JSON list goes into a list of its own.
        value = str(value)
        return value if text_list(value) is None else msgspec.json.encode([value]).decode()
    plain = isinstance(value, str) and reference.kind not in ("json", "json_any_of")
    return value if plain else msgspec.json.encode(value).decode()


def _prediction(row: dict[str, Any]) -> Prediction:
    names = set(Prediction.__struct_fields__) - {"signals", "cohort"}
    values = {name: row[name] for name in names & row.keys() if row[name] is not None}
    cohort = {key: value for key, value in (row.get("cohort") or {}).items() if value is not None}
    return msgspec.convert(values | {"signals": _signals(row), "cohort": cohort}, Prediction)


def _signals(row: dict[str, Any]) -> Signals | None:
    if row.get("signal_tokens") is None:
        return None
    return Signals(**{name: row[name] for name in SIGNALS}, tokens=row["signal_tokens"])
