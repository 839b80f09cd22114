"""Formats money, shares, counts and durations for display."""

from collections.abc import Sequence


def usd(value: float | None) -> str:
    """`$1,234`, `$12.30`, `$0.0123`: small amounts keep three digits; `unpriced` for None."""
    if value is None:
        return "unpriced"
    size = abs(value)
    sign = "-" if value < 0 else ""
    if size == 0:
        return "$0"
    if size < 0.1:
        # Three digits, never as an exponent.
        return f"{sign}${_plain(size)}"
    return f"{sign}${size:,.2f}" if size < 100 else f"{sign}${size:,.0f}"


def percent(share: float | None, digits: int = 1) -> str:
    """`12.3%` of a share between 0 and 1; `-` for None."""
    return "-" if share is None else f"{share:.{digits}%}"


def points(difference: float | None, low: float | None = None, high: float | None = None) -> str:
    """Difference of two shares in percentage points with its interval: `+1.2 (-0.3..+2.7)`; `-` for None."""
    if difference is None:
        return "-"
    interval = f" ({100 * low:+.1f}..{100 * high:+.1f})" if low is not None and high is not None else ""
    return f"{100 * difference:+.1f}{interval}"


def number(value: float | None) -> str:
    """Three digits, thousands separated: `1,234`, `56.7`, `0.0123`; `-` for None."""
    if value is None:
        return "-"
    if value == 0:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 100 else _plain(value)


def count(n: int, noun: str, plural: str | None = None) -> str:
    """`1 file`, `1,200 files`."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def some(names: Sequence[str], limit: int = 3) -> str:
    """The first names of a list: `a, b, c, and 4 more`."""
    rest = f", and {len(names) - limit:,} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + rest


def duration(seconds: float) -> str:
    """`12 ms`, `4.5 s`, `45 s`, `3.2 min`, `1.5 h`, `2.1 days`."""
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"


def _plain(value: float) -> str:
    """Three significant digits without an exponent or trailing zeros."""
    text = f"{value:.3g}"
    if "e" in text:
        digits = max(0, 2 - int(text.partition("e")[2]))
        text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
