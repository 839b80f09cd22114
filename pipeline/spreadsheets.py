"""CSV files that people open in a spreadsheet: no cell of a log may become a formula there.

Texts of a log come from strangers. A cell that begins with `=`, `+`, `-` or `@` (or a sign that is read as one of
them) is computed when the file is opened, and can send its neighbours away (OWASP, "CSV Injection").
An apostrophe in front makes it text; `restore` takes it off again.
"""

import csv
import io
from collections.abc import Iterable, Sequence

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def defuse(text: str) -> str:
    """The text as a cell that no spreadsheet computes; `restore` gives the text back."""
    return "'" + text if _dangerous(text) or text.startswith("'") else text


def restore(cell: str) -> str:
    """What `defuse` made the cell of; a cell that a person typed stays as it is."""
    return cell[1:] if cell.startswith("'") and (_dangerous(cell[1:]) or cell[1:].startswith("'")) else cell


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
