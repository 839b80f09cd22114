"""Reads and writes CSV files for spreadsheets, without formula injection.

Texts of a log are untrusted. A cell that begins with `=`, `+`, `-` or `@` (or a full-width form) is evaluated when the
file is opened and can exfiltrate other cells (OWASP, "CSV Injection"). `defuse` prefixes an apostrophe, which makes it
text; `restore` removes it.
"""

import codecs
import contextlib
import csv
import datetime as dt
import gzip
import io
import re
import zlib
from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NamedTuple

from traffic.errors import InputError, NotFound

_SYMBOLS = {"€": "eur", "£": "gbp", "¥": "jpy", "₹": "inr", "US$": "usd", "CHF": "chf"}
_CODES = ("usd", "eur", "gbp", "chf", "jpy", "inr", "cad", "aud", "sek", "nok", "dkk", "pln", "brl", "cny", "sgd")
_SLASHES = re.compile(r"(\d{1,2})/(\d{1,2})/\d{4}(?!\d)")
_DATE_FORMATS = ("%d.%m.%Y", "%Y/%m/%d", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%Y")
_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)
"""The first line by which Excel is told the delimiter."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def defuse(text: str) -> str:
    """The text as a cell that no spreadsheet evaluates; `restore` is the inverse."""
    return "'" + text if _dangerous(text) or text.startswith("'") else text


def restore(cell: str) -> str:
    """Inverse of `defuse`; other cells are unchanged."""
    return cell[1:] if cell.startswith("'") and (_dangerous(cell[1:]) or cell[1:].startswith("'")) else cell


def text_of(path: Path, missing: str) -> str:
    """Text of an exported file: UTF-8, or UTF-16 with a byte order mark; a name in `.gz` is decompressed.

    Raises: NotFound with the message `missing`, InputError.
    """
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except FileNotFoundError:
        raise NotFound(missing) from None
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start} is no UTF-8; export the file as `CSV UTF-8`") from None


class Table(NamedTuple):
    """A CSV file."""

    names: tuple[str, ...]
    """Column names."""
    rows: tuple[tuple[int, dict[str | Any, Any]], ...]
    """First line of the row, and cells by column: None if missing, a list under the key None if there are too many."""


def table_of(path: Path, text: str, *, strict: bool = False) -> Table:
    """The rows of a CSV file; the delimiter (comma, semicolon or tab) follows from its first line.

    Raises: InputError for a duplicate column name or an unreadable cell; if `strict`, also for misplaced quotes.
    """
    text = text.lstrip()
    stated = _SEPARATOR_LINE.match(text)
    text, lines_above = (text, 0) if stated is None else (text[stated.end() :], 1)
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count) if stated is None else stated[1]
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=strict)
    names = tuple(name for name in reader.fieldnames or () if name)
    if duplicates := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{path}: duplicate column {duplicates[0]}")
    rows, last = [], reader.line_num
    try:
        for row in reader:
            rows.append((lines_above + last + 1, row))
            last = reader.line_num
    except csv.Error as error:
        raise InputError(f"{path}:{lines_above + last + 1}: {error}") from None
    return Table(names, tuple(rows))


def amount(text: str) -> Decimal:
    """Parse an amount of money: `1,234.50`, `1.234,50`, `$5`, `(5.00)`, `830,00`.

    A single comma before exactly three digits separates thousands. Raises: ValueError.
    """
    plain = re.sub(r"[^0-9.,eE()+-]", "", text)
    # Keep the E of an exponent, not that of EUR.
    plain = re.sub(r"[eE](?![-+]?[0-9])|(?<![0-9])[eE]", "", plain)
    negative = plain.startswith("(") and plain.endswith(")")
    plain = plain.strip("()")
    if "," in plain and (plain.rfind(",") > plain.rfind(".") >= 0 or re.fullmatch(r"[+-]?\d+,(\d{1,2}|\d{4,})", plain)):
        plain = plain.replace(".", "").replace(",", ".")
    try:
        value = Decimal(plain.replace(",", ""))
    except InvalidOperation:
        raise ValueError(f"{text!r} is not an amount") from None
    if not value.is_finite():
        raise ValueError(f"{text!r} is not an amount")
    return -value if negative else value


def currency(*texts: str) -> str | None:
    """Currency in an amount or column name: a symbol, or a code such as `EUR`."""
    for text in texts:
        for symbol, code in _SYMBOLS.items():
            if symbol in text:
                return code
        if match := re.search(r"(?<![A-Za-z])(" + "|".join(_CODES) + r")(?![A-Za-z])", text.replace("_", " "), re.I):
            return match[0].lower()
    return None


class Days:
    """Parses the days of one column: ISO 8601 (with a zone: its day in UTC), `2.11.2026`, `2 Nov 2026`, `11/02/2026`.

    The whole column decides whether days with slashes begin with the month; if it stays ambiguous they are refused.
    """

    def __init__(self, column: Iterable[str]) -> None:
        pairs = [(int(m[1]), int(m[2])) for text in column if (m := _SLASHES.match(text.strip()))]
        day_first, month_first = any(a > 12 for a, _ in pairs), any(b > 12 for _, b in pairs)
        self._slashes = {(True, False): "%d/%m/%Y", (False, True): "%m/%d/%Y"}.get((day_first, month_first))

    def read(self, text: str) -> dt.date:
        """Raises: ValueError."""
        text = text.strip()
        if _SLASHES.match(text):
            if self._slashes is None:
                raise ValueError(f"{text!r}: day or month first? write it as 2026-11-02")
            return dt.datetime.strptime(text.split()[0], self._slashes).date()  # noqa: DTZ007 -- a day has no zone
        with contextlib.suppress(ValueError):
            moment = dt.datetime.fromisoformat(text.removesuffix(" UTC"))
            return (moment.astimezone(dt.UTC) if moment.tzinfo else moment).date()
        for form in _DATE_FORMATS:
            with contextlib.suppress(ValueError):
                return dt.datetime.strptime(text, form).date()  # noqa: DTZ007
        raise ValueError(f"{text!r} is not a date; write it as 2026-11-02")


def csv_text(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A CSV file (RFC 4180) with all cells defused; write it without translating line ends."""
    sink = io.StringIO(newline="")
    writer = csv.writer(sink)
    writer.writerow([defuse(name) for name in header])
    writer.writerows([defuse(cell) for cell in row] for row in rows)
    return sink.getvalue()


def _dangerous(text: str) -> bool:
    # Some programs trim a cell before they look at it.
    return text.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA)
