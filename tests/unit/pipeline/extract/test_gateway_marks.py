"""Truncation and redaction marks of gateways."""

import pytest

from pipeline.extract import filters
from pipeline.extract.filters import Ledger
from tests.fakes.call_site_rows import row
from traffic.errors import InputError
from traffic.gateway_marks import is_cut, is_hidden


@pytest.mark.parametrize(
    "text",
    [
        "a long... (litellm_truncated skipped 1801 chars) ...end", "<truncated due to size exceeding limit>",
        "begin ... [truncated]", "x...(truncated 512 characters)", "begin [+1,024 chars omitted] end", "…truncated",
    ],
)  # fmt: skip
def test_truncated_texts_are_recognised(text: str) -> None:
    assert is_cut(text)


@pytest.mark.parametrize(
    "text",
    [
        "redacted-by-litellm",
        "[REDACTED]",
        "<masked>",
        "***",
        "Content redacted",
        "(hidden)",
        "[Filtered]",
        "[Scrubbed due to 'password']",
    ],
)
def test_redacted_texts_are_recognised(text: str) -> None:
    assert is_hidden(text)


@pytest.mark.parametrize(
    "text",
    ["my parcel was truncated", "the name is [REDACTED], call me", "is it hidden in the basement?", "", "ok ..."],
)
def test_texts_about_truncation_are_kept(text: str) -> None:
    assert not is_cut(text)
    assert not is_hidden(text)


def test_rows_with_gateway_marks_are_counted_and_a_log_of_them_is_refused() -> None:
    cut, hidden = row(1, "where is ... [truncated]"), row(2, "redacted-by-litellm")
    ledger = Ledger(6)
    kept = filters.with_whole_contents([cut, hidden, *(row(n) for n in range(3, 7))], "desk", ledger)
    assert len(kept) == 4
    assert ledger.counts() == {"redacted_log": 1, "truncated_log": 1}
    with pytest.raises(InputError, match=r"2 of 3 .*without their contents.*message logging"):
        filters.with_whole_contents([hidden, row(3, "***"), row(4)], "desk", Ledger(3))
