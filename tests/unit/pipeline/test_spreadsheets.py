"""pipeline/spreadsheets.py"""

import csv
import io
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import spreadsheets
from traffic.errors import InputError


@given(st.text())
def test_escaped_formulas_are_restored(text):
    cell = spreadsheets.defuse(text)
    assert not cell.lstrip(" ").startswith(("=", "+", "-", "@"))
    assert spreadsheets.restore(cell) == text


@pytest.mark.parametrize("text", ["refund", "don't", "'tis", "5'11\"", "a=b", ""])
def test_typed_cells_are_unchanged(text):
    assert spreadsheets.restore(text) == text


@pytest.mark.parametrize("text", ['=HYPERLINK("http://x")', "+1", "-2+3", "@SUM(1)", "\t=1", " =1", "＝1"])
def test_formulas_are_escaped_as_text(text):
    assert spreadsheets.defuse(text).startswith("'")


@given(
    st.lists(
        st.lists(st.text(alphabet=st.characters(exclude_characters="\x00", codec="utf-8")), min_size=2, max_size=2)
    )
)
def test_a_written_file_is_read_back(rows):
    text = spreadsheets.csv_text(("a", "b"), rows)
    back = list(csv.reader(io.StringIO(text, newline="")))
    assert [[spreadsheets.restore(cell) for cell in row] for row in back[1:]] == rows


@pytest.mark.parametrize(
    "text, value",
    [
        ("1,234.50", "1234.50"), ("1.234,50", "1234.50"), ("$5", "5"), ("(5.00)", "-5.00"), ("830,00", "830.00"),
        ("1,234", "1234"), ("-0.25", "-0.25"), ("1e-05", "0.00001"), ("12 345,6 EUR", "12345.6"),
        ("1,234,567", "1234567"),
    ],
)  # fmt: skip
def test_amounts_are_read_in_every_number_format(text: str, value: str) -> None:
    assert spreadsheets.amount(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "oops", "NaN", "1.2.3", "--"])
def test_invalid_amounts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="amount"):
        spreadsheets.amount(text)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_rows_are_read_with_the_separator_of_the_first_line(separator: str) -> None:
    text = f"a{separator}b\n1{separator}'x'\n"
    assert spreadsheets.table_of(Path("x.csv"), text) == (("a", "b"), ((2, {"a": "1", "b": "'x'"}),))


def test_a_duplicate_column_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"x\.csv"):
        spreadsheets.table_of(Path("x.csv"), "a,b,a\n1,2,3\n")
