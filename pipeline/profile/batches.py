"""Requests that bring several numbered items and get one answer for each of them: measured item by item."""

import re
from collections.abc import Sequence

import msgspec

from pipeline.profile.answers import structured
from pipeline.profile.sample import Sampled

MIN_ITEMS = 2
MIN_SHARE = 0.8
"""Share of the requests that must be such batches, and of the items that must have an answer."""
MAX_ITEMS = 2000
MAX_ANSWER_CHARS = 80
"""Of one item: longer answers are prose, which a numbered list only orders."""
_HERE = "\x00"
"""Place of an item in the text around the items."""
_ITEM = re.compile(r"^[ \t]*[\[(#]?(\d{1,3})[\])]?[ \t]*[.):|–-]?[ \t]+(?=\S)", re.MULTILINE)
_ANSWER = re.compile(r"(?:^|[,;\n])[ \t]*[\[(#\"]?(\d{1,3})[\])\"]?[ \t]*(?:[.):=|–-]|->)[ \t]*([^,;\n]+)")

_SPACED_ANSWER = re.compile(r"^[ \t]*(\d{1,3})[ \t]++(?![.):=|–-])(\S.*)$")
"""`3 approved`: a number and its answer without a mark between them."""


def items(samples: Sequence[Sampled]) -> Sequence[Sampled]:
    """One sample for each item with its own answer, if the requests are batches; the same samples if not."""
    answered = [s for s in samples if s.ok and s.answer.strip()]
    # Most logs have no batches: the first few answers show it.
    if not answered or not any(_answers(s.answer) for s in answered[:5]):
        return samples
    split = [_split(s) for s in answered]
    if sum(map(bool, split)) < MIN_SHARE * len(answered):
        return samples
    expanded = [item for parts in split for item in parts]
    return expanded[:: -(-len(expanded) // MAX_ITEMS)]


def _split(sampled: Sampled) -> list[Sampled]:
    at = next((n for n in range(len(sampled.messages) - 1, -1, -1) if sampled.messages[n].role == "user"), None)
    if at is None:
        return []
    around, asked = _questions(sampled.messages[at].text)
    given = _answers(sampled.answer, list(asked))
    both = [number for number in asked if number in given]
    if len(both) < max(MIN_ITEMS, MIN_SHARE * max(len(asked), len(given))):
        return []
    return [
        msgspec.structs.replace(
            sampled,
            id=f"{sampled.id}#{number}",
            messages=(
                *sampled.messages[:at],
                msgspec.structs.replace(sampled.messages[at], content=around.replace(_HERE, asked[number])),
                *sampled.messages[at + 1 :],
            ),
            answer=given[number],
        )
        for number in both
    ]


def _questions(message: str) -> tuple[str, dict[int, str]]:
    """Numbered items of a message, each up to the next one or an empty line, and the message with `_HERE` for them."""
    starts = list(_ITEM.finditer(message))
    numbers = [int(match[1]) for match in starts]
    if len(numbers) < MIN_ITEMS or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        return "", {}
    ends = [match.start() for match in starts[1:]] + [len(message)]
    texts = [message[match.end() : end] for match, end in zip(starts, ends, strict=True)]
    _, _, rest = texts[-1].partition("\n\n")
    around = f"{message[: starts[0].start()]}{_HERE}\n\n{rest}"
    return around, {n: text.split("\n\n")[0].strip() for n, text in zip(numbers, texts, strict=True)}


def _answers(answer: str, numbers: Sequence[int] = ()) -> dict[int, str]:
    """Answers by the number of their item: numbered lines, or JSON with one value for each."""
    value = structured(answer)
    if isinstance(value, dict):
        pairs = {int(key): item for key, item in value.items() if key.isdecimal()}
        given = {number: str(item) for number, item in pairs.items() if not isinstance(item, dict | list)}
        return given if len(given) == len(value) else {}
    if isinstance(value, list):
        plain = [str(item) for item in value if not isinstance(item, dict | list)]
        known = numbers or range(len(plain))
        return dict(zip(known, plain, strict=True)) if len(plain) == len(value) == len(known) else {}
    lines = [line for line in answer.splitlines() if line.strip()]
    if len(lines) >= MIN_ITEMS and all(spaced := [_SPACED_ANSWER.match(line) for line in lines]):
        answers = {int(match[1]): match[2].strip() for match in spaced if match}
        return answers if all(len(text) <= MAX_ANSWER_CHARS for text in answers.values()) else {}
    given = {int(number): text.strip() for number, text in _ANSWER.findall(answer)}
    whole = all(_ANSWER.match(line.strip()) for line in lines)
    return given if whole and all(len(text) <= MAX_ANSWER_CHARS for text in given.values()) else {}
