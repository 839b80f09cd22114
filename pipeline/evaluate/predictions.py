"""The rows of an evaluation's `predictions.parquet`, read back: what was answered, and would the router keep it?"""

from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.evaluate.answers import Answer
from pipeline.metrics import Reference
from traffic.confidence import Signals, Threshold
from traffic.errors import InputError
from traffic.record import Usage

_FILE = "predictions.parquet"
TEXT_KINDS = ("any_of_text", "label_free_text")
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

    @property
    def usable(self) -> bool:
        """Whether it is an answer that passes its checks: others escalate, however sure the model was."""
        return self.output is not None and self.error is None and not self.failed_checks

    @property
    def wanted(self) -> str | Reference:
        """The reference as answers are scored by it."""
        if self.reference_kind is None:
            return self.reference
        value: Any = self.reference
        if self.reference_kind in TEXT_KINDS:
            # A text may happen to be JSON, such as `true` or `1.50`: only a list of accepted ones was written as JSON.
            value = listed(self.reference) or self.reference
        elif self.reference_kind != "label":
            value = _decoded(self.reference)
        return msgspec.convert({"kind": self.reference_kind, "value": value}, Reference)

    def kept(self, cut: Threshold | None) -> bool:
        """Whether the router would keep the answer; `cut` None: unless it fails its checks."""
        if not self.usable or cut is None:
            return self.usable
        return self.signals is not None and cut.value(self.signals) >= cut.threshold

    def answer(self) -> Answer:
        """The answer as `evaluate` had it, as far as the file says."""
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


def read(evaluation: Path) -> list[Prediction]:
    """The rows of an evaluation's folder, in the order of its items. Raises: InputError."""
    path = evaluation / _FILE
    try:
        rows = pq.read_table(path).to_pylist()
        return [_prediction(row) for row in rows]
    except (OSError, pa.ArrowInvalid, msgspec.ValidationError, KeyError) as error:
        raise InputError(f"{path}: cannot be read ({error}); run `fasttier evaluate` again") from None


def listed(text: str) -> list[Any] | None:
    """The list that a reference of texts stands for; None where it is one text."""
    found = _decoded(text)
    return found if isinstance(found, list) else None


def _decoded(text: str) -> Any:
    """The JSON value of a reference; the text itself where it is none."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _prediction(row: dict[str, Any]) -> Prediction:
    names = set(Prediction.__struct_fields__) - {"signals", "cohort"}
    given = {name: row[name] for name in names & row.keys() if row[name] is not None}
    cohort = {key: value for key, value in (row.get("cohort") or {}).items() if value is not None}
    return msgspec.convert(given | {"signals": _signals(row), "cohort": cohort}, Prediction)


def _signals(row: dict[str, Any]) -> Signals | None:
    if row.get("signal_tokens") is None:
        return None
    found = {name: row[name] for name in Signals.__struct_fields__ if name != "tokens"}
    return Signals(**found, tokens=row["signal_tokens"])
