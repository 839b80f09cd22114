"""Numbers in requests and answers: how many, bare ones, and those that are copied."""

import re

JOINED_DIGITS = 6
"""Length of a number from which on it may be several of the request's, put together."""
_NUMBER = re.compile(r"\d[\d,.]*")
_NUMERIC = re.compile(r"^(?:[=≈~]\s*)?[-+]?[$€£¥]?\s?-?\d[\d,. /]*\s?(?:[%°€$£]|[^\W\d]{1,12})?$")


def count(text: str) -> int:
    """How many numbers a text has."""
    return len(_NUMBER.findall(text))


def copied_numbers(answer: str, request: str) -> tuple[int, int]:
    """How many numbers an answer has, and how many of them stand in the request, with whatever separators."""
    stated = [digits(number) for number in _NUMBER.findall(answer)]
    whole = _NUMBER.findall(request) if stated else []
    # Dates and versions have numbers as their parts.
    given = {digits(part).lstrip("0") for number in whole for part in (number, *re.split("[.,]", number))}
    apart = " ".join(given)
    row = digits(request) if any(len(number) >= JOINED_DIGITS for number in stated) else ""
    return len(stated), sum(
        number.lstrip("0") in given
        or (len(number) > 1 and number in apart)
        or (len(number) >= JOINED_DIGITS and number in row)
        for number in stated
    )


def digits(text: str) -> str:
    """The digits of a text alone."""
    return re.sub(r"\D", "", text)


def is_number(text: str) -> bool:
    """A bare quantity, with a unit perhaps."""
    body = text.strip().strip("*`.\"' ")
    return len(body) <= 30 and _NUMERIC.match(body) is not None


def number_value(text: str) -> float | None:
    """The first number of a text; None without one."""
    match = _NUMBER.search(text)
    try:
        return float(match.group().replace(",", "").rstrip(".")) if match else None
    except ValueError:
        return None
