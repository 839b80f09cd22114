import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffic.redaction.plain_text import plain_text


@pytest.mark.parametrize(
    "text, plain",
    [
        ("a b-1\n", "a b-1\n"),
        ("a\u00a0b\u202fc\u3000d", "a b c d"),
        ("1\u20112\u20133\u22124\uff0d5", "1-2-3-4-5"),
        ("１２３ ٤٥٦ ९", "123 456 9"),
        ("ａｎａ＠ｅｘａｍｐｌｅ．ｃｏｍ", "ana@example.com"),
        ("Best,\r\nAna", "Best, \nAna"),
        ("a\u200bb\u00adc\ufeff", "abc"),
        ("Jose\u0301", "Jos\u00e9"),
        ("\u0915\u094d\u0937 東京 🙂", "\u0915\u094d\u0937 東京 🙂"),
    ],
)
def test_only_lookalikes_of_plain_characters_are_replaced(text: str, plain: str) -> None:
    assert plain_text(text).text == plain


@given(st.text(st.sampled_from("aé1\u0301\u200b\u2011\uff11\r\n ０e")))
def test_characters_have_spans_in_order_and_only_invisible_ones_have_none(text: str) -> None:
    plain = plain_text(text)
    spans = [plain.span(n, n + 1) for n in range(len(plain.text))]
    assert all(start < end for start, end in spans)
    gaps = zip([0, *(end for _, end in spans)], [*(start for start, _ in spans), len(text)], strict=True)
    assert all(text[end:start].strip("\u200b") == "" for end, start in gaps)


def test_memory_hardly_exceeds_that_of_the_text() -> None:
    text = "\u0430" * 100_000 + "\u200b"
    tracemalloc.start()
    plain_text(text)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 10 * len(text)
