"""Reads invoices, by day and model: OpenAI's costs export, Anthropic's cost report, or any CSV with a column mapping.

OpenAI      GET /v1/organization/costs?group_by=line_item,project_id (JSON pages), or the CSV of its usage page
Anthropic   GET /v1/organizations/cost_report?group_by[]=description (JSON pages; amounts are cents)
"""

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import InvalidOperation
from pathlib import Path
from typing import Any, Literal

import msgspec

from pipeline.spreadsheets import Days, amount, currency, table_of, text_of
from traffic.errors import InputError, UnknownFormat

Kind = Literal["input", "cached_input", "cache_write", "output", "other"]
_VERSION = re.compile(r"[-@](\d{4}-\d{2}-\d{2}|\d{8}|\d{4})$|-latest$")
_GATEWAY = re.compile(r"^(?:[a-z-]+\.)*(?=claude|llama|nova|mistral)|-v\d+(:\d+)?$")
_NUMBER_FIRST = re.compile(r"^claude-(\d+(?:-\d)?)-(opus|sonnet|haiku)")
_OPENAI_CSV = {"day": "start_time_iso", "model": "line_item", "usd": "amount_value", "currency": "amount_currency",
               "project": "project_id"}  # fmt: skip
_ANTHROPIC_CSV = {"day": "usage_date_utc", "model": "model", "usd": "cost_usd", "kind": "token_type",
                  "project": "workspace"}  # fmt: skip


class InvoiceConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings for reading an invoice."""

    columns: dict[str, str] = {}
    """Field to column name, for CSVs of other providers: `day`, `model`, `usd`; optional: `kind`, `requests`,
    `project`, `currency`, `provider`."""
    provider: str | None = None
    """Provider name in the log, if the file does not contain it; None: compare with every provider."""
    router_projects: tuple[str, ...] = ()
    """Projects, workspaces or keys that only the router uses; spend of others bypasses it."""
    usd_per_unit: dict[str, float] = {}
    """Exchange rates of other currencies, such as `eur: 1.16`."""


class Billed(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an invoice."""

    day: dt.date
    model: str | None
    """Normalised by `family`; None: the line names no model."""
    kind: Kind
    usd: float
    is_model: bool = True
    """False: a tool, storage, a tax."""
    decimals: int
    """Decimal places of the amount."""
    requests: int | None = None
    project: str | None = None


class Invoice(msgspec.Struct, frozen=True, kw_only=True):
    """All lines of a file."""

    provider: str | None
    lines: tuple[Billed, ...]
    notes: tuple[str, ...] = ()
    """Unreadable lines."""


def family(model: str) -> str:
    """A model's name without gateway prefix and version, which differ between invoices and logs."""
    name = model.strip().casefold().rpartition("/")[2]
    name = _GATEWAY.sub("", name)
    if name.startswith("claude"):
        # Consoles write `Claude Sonnet 4.5`, and older ids put the number first.
        name = _NUMBER_FIRST.sub(r"claude-\2-\1", re.sub(r"[ .]+", "-", name))
    while (shorter := _VERSION.sub("", name)) != name:
        name = shorter
    return name


def load(path: Path, config: InvoiceConfig) -> Invoice:
    """Load an invoice; unreadable lines are left out and listed. Raises: NotFound, UnknownFormat, InputError."""
    text = text_of(path, f"no invoice {path}")
    is_json = text.lstrip()[:1] in ("{", "[")
    provider, rows, notes = _json(path, text) if is_json else _table(path, text, config)
    days = Days(str(row.get("day") or "") for _, row in rows)
    lines: list[Billed] = []
    rejected: list[str] = []
    for location, row in rows:
        try:
            lines.append(_line(row, config, days))
        except (ValueError, KeyError, TypeError, InvalidOperation, AttributeError, OverflowError) as error:
            rejected.append(f"{location}: {str(error) or type(error).__name__}")
    if not lines:
        raise InputError(f"{path}: no readable line ({'; '.join(rejected[:3]) or 'the invoice has no lines'})")
    if rejected:
        notes = [*notes, f"{path}: {len(rejected)} lines left out ({'; '.join(rejected[:3])})"]
    return Invoice(provider=config.provider or provider, lines=tuple(lines), notes=tuple(notes))


Row = Mapping[str, Any]
"""Keys: day (or second, UTC), model (or service), kind, usd (or cents), currency, requests, project."""
Rows = list[tuple[str, Row]]
"""Location in the file, and the fields."""


def _json(path: Path, text: str) -> tuple[str | None, Rows, list[str]]:
    try:
        tree = msgspec.json.decode(text)
    except msgspec.DecodeError:
        try:
            tree = [msgspec.json.decode(line) for line in text.splitlines() if line.strip()]
        except msgspec.DecodeError as error:
            raise InputError(f"{path}: not valid JSON: {error}") from None
    pages = [page for page in (tree if isinstance(tree, list) else [tree]) if isinstance(page, dict)]
    listed = [b for page in pages for b in (page["data"] if isinstance(page.get("data"), list) else [page])]
    listed = [b for b in listed if isinstance(b, dict) and isinstance(b.get("results"), list)]
    buckets = [b for n, b in enumerate(listed) if b not in listed[:n]]
    notes = []
    if len(buckets) < len(listed):
        notes.append(f"{path}: {len(listed) - len(buckets)} duplicate buckets count once")
    if pages and pages[-1].get("has_more") is True:
        notes.append(f"{path}: has_more: the export is incomplete, amounts of later pages are missing")
    if any("starting_at" in b for b in buckets):
        return "anthropic", list(_anthropic(buckets)), notes
    if any("start_time" in b for b in buckets):
        return "openai", list(_openai(buckets)), notes
    raise UnknownFormat(f"{path}: neither OpenAI's costs nor Anthropic's cost report; a CSV needs invoice.columns")


def _openai(buckets: Iterable[dict[str, Any]]) -> Iterator[tuple[str, Row]]:
    for n, bucket in enumerate(buckets):
        for m, result in enumerate(bucket["results"]):
            fields = result if isinstance(result, dict) else {}
            stated = fields.get("amount")
            cost = stated if isinstance(stated, dict) else {}
            yield f"bucket {n}, result {m}", {
                "second": bucket.get("start_time"), "model": fields.get("line_item"), "usd": cost.get("value"),
                "currency": cost.get("currency"), "requests": fields.get("quantity_requests"),
                "project": fields.get("project_id"),
            }  # fmt: skip


def _anthropic(buckets: Iterable[dict[str, Any]]) -> Iterator[tuple[str, Row]]:
    for n, bucket in enumerate(buckets):
        for m, result in enumerate(bucket["results"]):
            fields = result if isinstance(result, dict) else {}
            yield f"bucket {n}, result {m}", {
                "day": bucket.get("starting_at"), "model": fields.get("model"), "kind": fields.get("token_type"),
                "service": None if fields.get("cost_type") in (None, "tokens") else fields["cost_type"],
                "cents": fields.get("amount"), "currency": fields.get("currency"),
                "project": fields.get("workspace_id"),
            }  # fmt: skip


def _table(path: Path, text: str, config: InvoiceConfig) -> tuple[str | None, Rows, list[str]]:
    table = table_of(path, text)
    names = set(table.names)
    columns, provider = config.columns, None
    for known, name in ((_OPENAI_CSV, "openai"), (_ANTHROPIC_CSV, "anthropic")):
        if not columns and set(known.values()) <= names:
            columns, provider = known, name
    if missing := [key for key in ("day", "model", "usd") if columns.get(key) not in names]:
        raise UnknownFormat(
            f"{path}: no column for {', '.join(missing)}; set invoice.columns in configs/costs.yaml; "
            f"the file has {', '.join(sorted(names)) or 'none'}"
        )
    stated = currency(columns["usd"])
    fixed = {} if "currency" in columns or stated is None else {"currency": stated}
    rows: Rows = [
        (f"line {line}", {key: row.get(column) for key, column in columns.items()} | fixed) for line, row in table.rows
    ]
    return provider, rows, []


def _line(row: Row, config: InvoiceConfig, days: Days) -> Billed:
    cents = "cents" in row
    text = str(row["cents"] if cents else row["usd"])
    code = str(row.get("currency") or currency(text) or "usd").strip().lower()
    rate = 1.0 if code == "usd" else config.usd_per_unit.get(code)
    if rate is None:
        raise ValueError(f"currency {code} has no rate (invoice.usd_per_unit)")
    stated = amount(text)
    exponent = stated.as_tuple().exponent
    digits = -exponent if isinstance(exponent, int) and exponent < 0 else 0
    service = row.get("service")
    model, kind = (str(service), "other") if service else _item(row.get("model"), row.get("kind"))
    requests = str(row.get("requests") or "").replace(",", "")
    if "second" in row:
        day = dt.datetime.fromtimestamp(int(row["second"]), dt.UTC).date()
    else:
        day = days.read(str(row["day"] or ""))
    return Billed(
        day=day, model=model, kind=kind, usd=float(stated / 100 if cents else stated) * rate,
        decimals=digits + 2 if cents else digits, is_model=not service and not re.search(r"\s", model or ""),
        requests=int(float(requests)) if requests else None,
        project=str(row["project"]) if row.get("project") else None,
    )  # fmt: skip


def _item(item: Any, kind: Any) -> "tuple[str | None, Kind]":
    """Model and kind, from `gpt-4o-2024-08-06, cached input` or from two fields."""
    name, _, details = str(item or "").partition(",")
    description = f"{details} {kind or ''}".lower().replace("_", " ")
    item_kind: Kind = "other"
    if "output" in description:
        item_kind = "output"
    elif "cache" in description:
        item_kind = "cache_write" if "creation" in description or "write" in description else "cached_input"
        item_kind = "input" if "uncached" in description else item_kind
    elif "input" in description or "prompt" in description:
        item_kind = "input"
    return family(name) or None, item_kind
