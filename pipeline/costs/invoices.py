"""What a provider billed, by day and model: OpenAI's costs export, Anthropic's cost report, or any CSV with a mapping.

OpenAI      GET /v1/organization/costs?group_by=line_item,project_id (JSON pages), or the CSV of its usage page
Anthropic   GET /v1/organizations/cost_report?group_by[]=description (JSON pages; amounts are cents)
"""

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Literal

import msgspec

from pipeline.spreadsheets import amount, csv_rows, text_of
from traffic.errors import InputError, UnknownFormat

Kind = Literal["input", "cached_input", "cache_write", "output", "other"]
_VERSION = re.compile(r"[-@](\d{4}-\d{2}-\d{2}|\d{8}|\d{4})$|-latest$")
_OPENAI_CSV = {"day": "start_time_iso", "model": "line_item", "usd": "amount_value", "currency": "amount_currency",
               "project": "project_id"}  # fmt: skip


class InvoiceConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How an invoice is read."""

    columns: dict[str, str] = {}
    """Of a CSV of any provider: `day`, `model` and `usd`, and where there are such columns `kind`, `requests`,
    `project`, `currency` and `provider`, each with the name of its column."""
    provider: str | None = None
    """Who billed it, as the log names them, where the file does not say; None: it is compared with every provider."""
    router_projects: tuple[str, ...] = ()
    """Projects, workspaces or keys that only the router uses: what others spend bypasses it."""
    usd_per_unit: dict[str, float] = {}
    """Exchange rates of other currencies, such as `eur: 1.16`."""


class Billed(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an invoice."""

    day: dt.date
    model: str | None
    """As `family` spells it; None: the line names none."""
    kind: Kind
    usd: float
    decimals: int
    """Digits after the point with which the amount is stated."""
    requests: int | None = None
    project: str | None = None


class Invoice(msgspec.Struct, frozen=True, kw_only=True):
    """All lines of a file."""

    provider: str | None
    lines: tuple[Billed, ...]
    notes: tuple[str, ...] = ()
    """Lines that could not be read."""


def family(model: str) -> str:
    """A model's name without gateway prefix and version: invoices and logs name the same model differently."""
    name = model.strip().casefold().rpartition("/")[2]
    while (shorter := _VERSION.sub("", name)) != name:
        name = shorter
    return name


def load(path: Path, config: InvoiceConfig) -> Invoice:
    """A line that cannot be read is left out and named. Raises: NotFound, UnknownFormat, InputError."""
    text = text_of(path, f"no invoice {path}")
    is_json = text.lstrip()[:1] in ("{", "[")
    provider, rows = _json(path, text) if is_json else _table(path, text, config)
    found: list[Billed] = []
    wrong: list[str] = []
    for where, row in rows:
        try:
            found.append(_line(row, config))
        except (ValueError, KeyError, TypeError, InvalidOperation, AttributeError) as error:
            wrong.append(f"{where}: {str(error) or type(error).__name__}")
    if not found:
        raise InputError(f"{path}: no line of the invoice can be read ({'; '.join(wrong[:3]) or 'it has none'})")
    notes = (f"{path}: {len(wrong)} lines left out ({'; '.join(wrong[:3])})",) if wrong else ()
    return Invoice(provider=config.provider or provider, lines=tuple(found), notes=notes)


Row = Mapping[str, Any]
"""day, model, kind, usd (a decimal text), currency, requests, project."""


def _json(path: Path, text: str) -> tuple[str | None, Iterable[tuple[str, Row]]]:
    try:
        tree = msgspec.json.decode(text)
    except msgspec.DecodeError:
        try:
            tree = [msgspec.json.decode(line) for line in text.splitlines() if line.strip()]
        except msgspec.DecodeError as error:
            raise InputError(f"{path}: not valid JSON: {error}") from None
    pages = tree if isinstance(tree, list) else [tree]
    buckets = [b for page in pages if isinstance(page, dict) for b in (page.get("data") or [page])]
    buckets = [b for b in buckets if isinstance(b, dict) and isinstance(b.get("results"), list)]
    if any("starting_at" in b for b in buckets):
        return "anthropic", _anthropic(buckets)
    if any("start_time" in b for b in buckets):
        return "openai", _openai(buckets)
    raise UnknownFormat(f"{path}: neither OpenAI's costs nor Anthropic's cost report; a CSV needs invoice.columns")


def _openai(buckets: Iterable[dict[str, Any]]) -> Iterator[tuple[str, Row]]:
    for n, bucket in enumerate(buckets):
        day = dt.datetime.fromtimestamp(int(bucket["start_time"]), dt.UTC).date().isoformat()
        for m, result in enumerate(bucket["results"]):
            amount = result.get("amount") or {} if isinstance(result, dict) else {}
            item = result.get("line_item") if isinstance(result, dict) else None
            yield f"bucket {n}, result {m}", {
                "day": day, "model": item, "usd": amount.get("value"), "currency": amount.get("currency"),
                "requests": result.get("quantity_requests") if isinstance(result, dict) else None,
                "project": result.get("project_id") if isinstance(result, dict) else None,
            }  # fmt: skip


def _anthropic(buckets: Iterable[dict[str, Any]]) -> Iterator[tuple[str, Row]]:
    for n, bucket in enumerate(buckets):
        for m, result in enumerate(bucket["results"]):
            known = result if isinstance(result, dict) else {}
            cents = known.get("amount")
            yield f"bucket {n}, result {m}", {
                "day": str(bucket["starting_at"]), "model": known.get("model") or known.get("cost_type"),
                "kind": known.get("token_type"), "usd": None if cents is None else str(Decimal(str(cents)) / 100),
                "currency": known.get("currency"), "project": known.get("workspace_id"),
            }  # fmt: skip


def _table(path: Path, text: str, config: InvoiceConfig) -> tuple[str | None, Iterable[tuple[str, Row]]]:
    reader = csv_rows(text)
    names = set(reader.fieldnames or ())
    columns, provider = config.columns, None
    if not columns and set(_OPENAI_CSV.values()) <= names:
        columns, provider = _OPENAI_CSV, "openai"
    if missing := [key for key in ("day", "model", "usd") if columns.get(key) not in names]:
        raise UnknownFormat(
            f"{path}: say which columns hold {', '.join(missing)} (invoice.columns in configs/costs.yaml); "
            f"the file has {', '.join(sorted(names)) or 'none'}"
        )
    return provider, (
        (f"line {reader.line_num}", {key: row.get(column) for key, column in columns.items()}) for row in reader
    )


def _line(row: Row, config: InvoiceConfig) -> Billed:
    currency = str(row.get("currency") or "usd").strip().lower()
    rate = 1.0 if currency == "usd" else config.usd_per_unit.get(currency)
    if rate is None:
        raise ValueError(f"currency {currency} has no rate (invoice.usd_per_unit)")
    stated = amount(str(row["usd"]))
    exponent = stated.as_tuple().exponent
    model, kind = _item(row.get("model"), row.get("kind"))
    requests = str(row.get("requests") or "").replace(",", "")
    return Billed(
        day=dt.date.fromisoformat(str(row["day"]).strip()[:10]), model=model, kind=kind, usd=float(stated) * rate,
        decimals=-exponent if isinstance(exponent, int) and exponent < 0 else 0,
        requests=int(float(requests)) if requests else None,
        project=str(row["project"]) if row.get("project") else None,
    )  # fmt: skip


def _item(item: Any, kind: Any) -> tuple[str | None, Kind]:
    """Model and kind of `gpt-4o-2024-08-06, cached input`, or of a name with the kind in a field of its own."""
    name, _, rest = str(item or "").partition(",")
    told = f"{rest} {kind or ''}".lower().replace("_", " ")
    found: Kind = "other"
    if "output" in told:
        found = "output"
    elif "cache" in told:
        found = "cache_write" if "creation" in told or "write" in told else "cached_input"
        found = "input" if "uncached" in told else found
    elif "input" in told or "prompt" in told:
        found = "input"
    return family(name) or None, found
