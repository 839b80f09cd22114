"""CSV files that people open in a spreadsheet: no cell of a log may become a formula there.

Texts of a log come from strangers. A cell that begins with `=`, `+`, `-` or `@` (or a sign that is read as one of
them) is computed when the file is opened, and can send its neighbours away (OWASP, "CSV Injection").
An apostrophe in front makes it text; `restore` takes it off again.
"""

import codecs
import contextlib
import csv
import datetime as dt
import io
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple

from traffic.errors import InputError, NotFound

_SYMBOLS = {"€": "eur", "£": "gbp", "¥": "jpy", "₹": "inr", "US$": "usd", "CHF": "chf"}
_CODES = ("usd", "eur", "gbp", "chf", "jpy", "inr", "cad", "aud", "sek", "nok", "dkk", "pln", "brl", "cny", "sgd")
_SLASHES = re.compile(r"(\d{1,2})/(\d{1,2})/\d{4}(?!\d)")
_WRITTEN = ("%d.%m.%Y", "%Y/%m/%d", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%Y")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def defuse(text: str) -> str:
    """The text as a cell that no spreadsheet computes; `restore` gives the text back."""
    return "'" + text if _dangerous(text) or text.startswith("'") else text


def restore(cell: str) -> str:
    """What `defuse` made the cell of; a cell that a person typed stays as it is."""
    return cell[1:] if cell.startswith("'") and (_dangerous(cell[1:]) or cell[1:].startswith("'")) else cell


def text_of(path: Path, missing: str) -> str:
    """A file that a person exported, as text: UTF-8, or UTF-16 with its mark.

    Raises: NotFound with the message `missing`, InputError.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise NotFound(missing) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start} is no UTF-8; export the file as `CSV UTF-8`") from None


class Table(NamedTuple):
    """A CSV file."""

    names: tuple[str, ...]
    """Of the columns, as the first line writes them."""
    rows: tuple[tuple[int, dict[str, str | None]], ...]
    """Line of the file, and its cells by column."""


def table_of(path: Path, text: str) -> Table:
    """The rows of a CSV file; separated by commas, semicolons or tabs, as its first line is.

    Raises: InputError where two columns have one name, or a cell cannot be read.
    """
    head = text.lstrip().partition("\n")[0]
    reader = csv.DictReader(io.StringIO(text.lstrip(), newline=""), delimiter=max(",;\t", key=head.count))
    names = tuple(name for name in reader.fieldnames or () if name)
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{path}: the column {twice[0]} is there twice")
    try:
        return Table(names, tuple((reader.line_num, row) for row in reader))
    except csv.Error as error:
        raise InputError(f"{path}: line {reader.line_num}: {error}") from None


def amount(text: str) -> Decimal:
    """An amount of money as people and exports write it: `1,234.50`, `1.234,50`, `$5`, `(5.00)`, `830,00`.

    A single comma before exactly three digits separates thousands. Raises: ValueError.
    """
    plain = re.sub(r"[^0-9.,eE()+-]", "", text)
    # Of the letters only an exponent belongs to a number, not those of EUR.
    plain = re.sub(r"[eE](?![-+]?[0-9])|(?<![0-9])[eE]", "", plain)
    negative = plain.startswith("(") and plain.endswith(")")
    plain = plain.strip("()")
    if "," in plain and (plain.rfind(",") > plain.rfind(".") >= 0 or re.fullmatch(r"[+-]?\d+,(\d{1,2}|\d{4,})", plain)):
        plain = plain.replace(".", "").replace(",", ".")
    try:
        found = Decimal(plain.replace(",", ""))
    except InvalidOperation:
        raise ValueError(f"{text!r} is no amount") from None
    if not found.is_finite():
        raise ValueError(f"{text!r} is no amount")
    return -found if negative else found


def currency(*texts: str) -> str | None:
    """The currency that an amount or the name of its column states: a symbol, or a code such as `EUR`."""
    for text in texts:
        for symbol, code in _SYMBOLS.items():
            if symbol in text:
                return code
        if found := re.search(r"(?<![A-Za-z])(" + "|".join(_CODES) + r")(?![A-Za-z])", text.replace("_", " "), re.I):
            return found[0].lower()
    return None


class Days:
    """Reads the days of one column: ISO 8601 (with a zone: its day in UTC), `2.11.2026`, `2 Nov 2026`, `11/02/2026`.

    Whether a day with slashes begins with the month is decided by the whole column; where nothing in it tells,
    such days are refused rather than guessed.
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
        for form in _WRITTEN:
            with contextlib.suppress(ValueError):
                return dt.datetime.strptime(text, form).date()  # noqa: DTZ007
        raise ValueError(f"{text!r} is no day; write it as 2026-11-02")


def csv_text(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A CSV file (RFC 4180) whose cells are all defused; write it as it is, without translating line ends."""
    sink = io.StringIO(newline="")
    writer = csv.writer(sink)
    writer.writerow([defuse(name) for name in header])
    writer.writerows([defuse(cell) for cell in row] for row in rows)
    return sink.getvalue()


def _dangerous(text: str) -> bool:
    # Some programs trim a cell before they look at it.
    return text.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA)
