"""What an answer is made of: label, JSON and its values, code, numbers; and how much of it stands in the request."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

_FENCE = re.compile(r"^\s*```[\w+-]*\n(.*?)\n?```\s*$", re.DOTALL)
_OBJECT = re.compile(r"[{\[].*[}\]]", re.DOTALL)
_PAIR = re.compile(r"^[ \t]*(?:[-*•]\s*)?\**([^\W\d][\w /()-]{0,30}?)\**\s*[:=：]\s*(.*)$")
_PREFIX = re.compile(
    r"^(?:the )?[\w ]{0,20}(?:answer|label|category|result|output|intent|class|verdict)(?: is)?\s*[:：]?\s+", re.I
)
_TAG = re.compile(r"<([A-Za-z][\w.-]*)[^<>]*>([^<>]+)</\1>")
_EDGES = " \t\r\n\"'`*.,;:!?。「」()[]<>"
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_DENSE = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_NUMBER = re.compile(r"\d[\d,.]*")
_NUMERIC = re.compile(r"^(?:[=≈~]\s*)?[-+]?[$€£¥]?\s?-?\d[\d,. /]*\s?(?:[%°€$£]|[^\W\d]{1,12})?$")
_OPTION = re.compile(r"^(?:option |answer |choice )?\(?([A-Ja-j])\)?[.:)]?$", re.IGNORECASE)
_OPTIONS = re.compile(r"(?:^|\s)\(?([A-E]|[1-5])\s?[.):]\s", re.MULTILINE)
_CODE = re.compile(
    r"```|^\s*(?:def |class |import |from \w+ import|function\b|const |let |var |public |private |"
    r"#include|package |func |"
    r"fn |SELECT\b|INSERT\b|UPDATE\b|WITH \w+ AS|CREATE (?:TABLE|VIEW)|return\b|if \(|for \(|while \(|<\?php|#!/)|"
    r"[;{]\s*$|^\s*(?:elif|else|try|except|for|while|if) ?.*:\s*$|\\(?:begin|frac|section)\{",
    re.MULTILINE,
)
_MARKS = re.compile(r"[{}()\[\];=<>$|&_#\\\"]")
_WORKING = re.compile(
    r"\d\s*[=≈]|=\s*[$€£]?-?\d|\b(?:therefore|thus|hence|it follows|because|since|so the|"
    r"which means|implies|suppose|assume)\b|"
    r"\b(?:step \d|first|second|finally)\b|∴|⇒|したがって|所以|因此|"
    r"\b(?:daher|also gilt|donc|par conséquent|por lo tanto|entonces)\b",
    re.IGNORECASE,
)


def unfenced(text: str) -> str:
    """The answer without a code fence around the whole of it."""
    found = _FENCE.match(text)
    return found.group(1).strip() if found else text.strip()


def structured(text: str) -> Any:
    """The JSON object or list that an answer is or holds, or its `key: value` lines as an object; None for prose."""
    body = unfenced(text)
    found = _OBJECT.search(body) if body[:1] not in "{[" else None
    candidates = (
        [body] if body[:1] in ("{", "[") else [found.group()] if found and len(found.group()) >= 0.5 * len(body) else []
    )
    for candidate in candidates:
        try:
            value = msgspec.json.decode(candidate)
        except msgspec.DecodeError:
            continue
        if isinstance(value, dict | list):
            return value
    tags = {name.lower(): value.strip() for name, value in _TAG.findall(body)}
    if tags and body.startswith("<") and body.endswith(">"):
        return tags
    return _pairs(body)


def is_object(text: str) -> bool:
    """The whole answer is one JSON object."""
    body = text.strip()
    if body[:1] != "{":
        return False
    try:
        return isinstance(msgspec.json.decode(body), dict)
    except msgspec.DecodeError:
        return False


def _pairs(body: str) -> dict[str, str] | None:
    lines = [line for line in body.splitlines() if line.strip()]
    if not 2 <= len(lines) <= 40:
        return None
    pairs = [found.groups() for line in lines if (found := _PAIR.match(line))]
    if len(pairs) < 0.8 * len(lines):
        return None
    return {key.strip().lower(): value.strip() for key, value in pairs}


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Path and value of everything that is no object or list; list items share one path."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item, f"{path}[]")
    else:
        yield path, value


def label(text: str) -> str:
    """An answer as a label: lower case, without quotes, a final stop, or `Answer:` before it."""
    body = unfenced(text)
    return _PREFIX.sub("", body[:200]).strip(_EDGES).casefold()


def words(text: str) -> list[str]:
    """Lower-case words; pairs of characters where a language puts no spaces."""
    lower = text.lower()
    if _DENSE.search(lower):
        dense = [c for c in lower if not c.isspace()]
        return ["".join(dense[n : n + 2]) for n in range(max(1, len(dense) - 1))]
    return _WORD.findall(lower)


def numbers(text: str) -> int:
    return len(_NUMBER.findall(text))


def is_number(text: str) -> bool:
    """A bare quantity, with a unit perhaps."""
    body = text.strip().strip("*`.\"' ")
    return len(body) <= 30 and _NUMERIC.match(body) is not None


def number_value(text: str) -> float | None:
    found = _NUMBER.search(text)
    try:
        return float(found.group().replace(",", "").rstrip(".")) if found else None
    except ValueError:
        return None


def is_option(text: str) -> bool:
    """One letter that names an option."""
    return _OPTION.match(text.strip().strip("*`\"'")) is not None


def lists_options(text: str) -> bool:
    """The text offers lettered or numbered options."""
    return len(set(_OPTIONS.findall(text))) >= 3


def is_code(text: str) -> bool:
    """Much of the answer is program text."""
    if not text:
        return False
    lines = [line for line in text.splitlines() if line.strip()]
    if text.startswith("#!") or (len(lines) >= 2 and _is_dense(text)):
        return True
    hits = len(_CODE.findall(text))
    return (
        "```" in text
        or hits >= max(2, 0.3 * len(lines))
        or (len(lines) <= 2 and hits >= 1 and len(text) > 20 and _CODE.match(text) is not None)
    )


def _is_dense(text: str) -> bool:
    """As many brackets, operators and quotes as program text has, in whatever language; JSON is none."""
    if text.lstrip()[:1] in "{[" and structured(text) is not None:
        return False
    marks = len(_MARKS.findall(text))
    return marks >= 12 and marks >= 0.14 * sum(not char.isspace() for char in text)


def working(text: str) -> int:
    """Marks of an argument or a calculation that is written out."""
    return len(_WORKING.findall(text[:4000]))


def holds_value(value: Any, text: str, digits: str) -> bool:
    """Whether a value of an answer stands in the request; `text` in lower case, `digits` its digits alone."""
    if isinstance(value, bool) or value is None:
        return False
    shown = str(value).strip().casefold()
    if not shown:
        return False
    if shown in text:
        return True
    bare = re.sub(r"\D", "", shown)
    if bare and len(bare) >= 0.5 * len(re.sub(r"\W", "", shown)):
        return bare in digits or bare.lstrip("0") in digits
    parts = words(shown)
    return len(parts) > 1 and sum(part in text for part in parts) >= 0.8 * len(parts)
