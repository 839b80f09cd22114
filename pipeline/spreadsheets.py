"""CSV files that people open in a spreadsheet: no cell of a log may become a formula there.

Texts of a log come from strangers. A cell that begins with `=`, `+`, `-` or `@` (or a sign that is read as one of
them) is computed when the file is opened, and can send its neighbours away (OWASP, "CSV Injection").
An apostrophe in front makes it text; `restore` takes it off again.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path

from traffic.errors import InputError, NotFound

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def defuse(text: str) -> str:
    """The text as a cell that no spreadsheet computes; `restore` gives the text back."""
    return "'" + text if _dangerous(text) or text.startswith("'") else text


def restore(cell: str) -> str:
    """What `defuse` made the cell of; a cell that a person typed stays as it is."""
    return cell[1:] if cell.startswith("'") and (_dangerous(cell[1:]) or cell[1:].startswith("'")) else cell


def text_of(path: Path, missing: str) -> str:
    """A file that a person exported, as text. Raises: NotFound with the message `missing`, InputError."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise NotFound(missing) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None


def csv_rows(text: str) -> "csv.DictReader[str]":
    """Rows of a CSV file by the names in its first line; separated by commas, semicolons or tabs, as that line is."""
    head = text.lstrip().partition("\n")[0]
    return csv.DictReader(io.StringIO(text.lstrip(), newline=""), delimiter=max(",;\t", key=head.count))


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


def csv_text(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A CSV file (RFC 4180) whose cells are all defused; write it as it is, without translating line ends."""
    sink = io.StringIO(newline="")
    writer = csv.writer(sink)
    writer.writerow(header)
    writer.writerows([defuse(cell) for cell in row] for row in rows)
    return sink.getvalue()


def _dangerous(text: str) -> bool:
    # Some programs trim a cell before they look at it.
    return text.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA)
