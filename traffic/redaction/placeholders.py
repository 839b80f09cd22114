"""The values of one request, and placeholders such as `<EMAIL_1>` for them, the same wherever a value stands.

Values of one type are numbered, so that each placeholder stands for one value and can be put back.
"""

import copy
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from traffic.checks import parse_json
from traffic.redaction import PERSONAL_TYPES, PersonalType
from traffic.redaction.names import COMMON_WORDS
from traffic.redaction.recognisers import Found

_BETWEEN = r"[\s\u00a0().\-/\u2010-\u2013]{0,3}"
_NOTHING_LEFT = re.compile(r"[\W_]*")
_PLACEHOLDER = re.compile(rf"<(?:{'|'.join(PERSONAL_TYPES)})_[1-9]\d*>")


class Value(NamedTuple):
    """One value of a request, with the expression that finds it however it is written."""

    type: PersonalType
    key: str
    placeholder: str
    text: str
    """As it is written first."""
    pattern: re.Pattern[str]


class Values:
    """All values of a request, in the order in which they come up.

    `replace` takes every one of them out of a text; `in_text` says which ones it would.
    """

    def __init__(
        self,
        texts: Iterable[str],
        found: Callable[[str], Iterable[Found]],
        ignored: Collection[str],
        known: "Values | None" = None,
    ) -> None:
        """`found` gives the findings of a text; keys in `ignored` are nobody's. `known` keep their placeholders."""
        texts = list(texts)
        self._found = found
        self._values: dict[tuple[PersonalType, str], Value] = dict(known._values) if known is not None else {}
        numbers = Counter(value.type for value in self)
        whole = ""
        for text in texts:
            for each in found(text):
                if each.key in ignored or (each.type, each.key) in self._values:
                    continue
                # A text may speak of <EMAIL_1> itself.
                whole = whole or "\n".join(texts)
                numbers[each.type] += 1
                while (placeholder := f"<{each.type}_{numbers[each.type]}>") in whole:
                    numbers[each.type] += 1
                value = text[each.start : each.end]
                self._values[each.type, each.key] = Value(
                    each.type, each.key, placeholder, value, _pattern(each, value)
                )

    def __iter__(self) -> Iterator[Value]:
        return iter(self._values.values())

    def __bool__(self) -> bool:
        return bool(self._values)

    def counts(self) -> Counter[PersonalType]:
        return Counter(value.type for value in self)

    def without(self, types: Collection[PersonalType]) -> "Values":
        """The same without the values of these types."""
        rest = copy.copy(self)
        rest._values = {key: value for key, value in self._values.items() if value.type not in types}
        return rest

    def in_text(self, text: str) -> list[Value]:
        return [value for _, _, value in self._spans(text)]

    def replace(self, text: str) -> str:
        for start, end, value in reversed(self._spans(text)):
            text = text[:start] + value.placeholder + text[end:]
        return text

    def originals(self) -> dict[str, str]:
        """Values by their placeholders."""
        return {value.placeholder: value.text for value in self}

    def replace_in_answer(self, answer: str) -> str:
        """The answer without the values; JSON stays JSON, its keys in their order."""
        document = _document(answer)
        if document is None:
            return self.replace(answer)
        changed = self._replaced(document)
        # An answer that has nothing to hide keeps its spaces.
        return answer if changed == document else msgspec.json.encode(changed).decode()

    def needed_by(self, answer: str, prompts: Iterable[str]) -> set[PersonalType]:
        """Types of the values without which the answer would not be one.

        A value that is a whole field of a JSON answer, or the whole answer, is what the task asks for; one
        that no prompt of the row has cannot be learnt from it.
        """
        document = _document(answer)
        leaves = [answer] if document is None else list(_leaves(document))
        known = {value.key for prompt in prompts for value in self.in_text(prompt)}
        needed: set[PersonalType] = set()
        for leaf in leaves:
            spans = self._spans(leaf)
            rest = leaf
            for start, end, _ in reversed(spans):
                rest = rest[:start] + rest[end:]
            whole = _NOTHING_LEFT.fullmatch(rest) is not None
            needed |= {value.type for _, _, value in spans if whole or value.key not in known}
        return needed

    def _replaced(self, node: Any) -> Any:
        if isinstance(node, dict):
            return {self.replace(key): self._replaced(value) for key, value in node.items()}
        if isinstance(node, list):
            return [self._replaced(value) for value in node]
        if isinstance(node, str):
            return self.replace(node)
        if isinstance(node, int | float) and not isinstance(node, bool):
            text = str(node)
            replaced = self.replace(text)
            return node if replaced == text else replaced
        return node

    def _spans(self, text: str) -> list[tuple[int, int, Value]]:
        """Stretches of the text that are values, in order; none overlaps another."""
        spans = [
            (each.start, each.end, self._values[each.type, each.key])
            for each in self._found(text)
            if (each.type, each.key) in self._values
        ]
        for value in self:
            spans += [(match.start(), match.end(), value) for match in value.pattern.finditer(text)]
        # The longest claim wins: a first name gives way to the full name, a phone number to the address it is part of.
        chosen: list[tuple[int, int, Value]] = []
        for span in sorted(spans, key=lambda each: (each[0] - each[1], each[0])):
            if all(span[1] <= begin or end <= span[0] for begin, end, _ in chosen):
                chosen.append(span)
        return sorted(chosen, key=lambda each: each[0])


def restored(answer: str, originals: Mapping[str, str]) -> str:
    """The answer with the values in place of their placeholders; a JSON document stays one."""
    if not originals:
        return answer
    if _document(answer) is None:
        return _PLACEHOLDER.sub(lambda found: originals.get(found.group(), found.group()), answer)
    # Outside of its strings a document has no placeholder. In them a server may have escaped the angle brackets.
    return _IN_JSON.sub(lambda found: _escaped(found, originals), answer)


def placeholders_in(text: str) -> set[str]:
    return set(_PLACEHOLDER.findall(text))


_IN_JSON = re.compile(rf"(?:<|\\u003[cC])((?:{'|'.join(PERSONAL_TYPES)})_[1-9]\d*)(?:>|\\u003[eE])")


def _escaped(found: re.Match[str], originals: Mapping[str, str]) -> str:
    value = originals.get(f"<{found.group(1)}>")
    return found.group() if value is None else msgspec.json.encode(value).decode()[1:-1]


def _document(answer: str) -> Any:
    if not answer.lstrip().startswith(("{", "[")):
        return None
    try:
        return parse_json(answer.strip())
    except ValueError:
        return None


def _leaves(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield key
            yield from _leaves(value)
    elif isinstance(node, list):
        for value in node:
            yield from _leaves(value)
    elif node is not None and not isinstance(node, bool):
        yield str(node)


def _pattern(found: Found, text: str) -> re.Pattern[str]:
    """Finds the value in another spelling: other spaces and hyphens, other case, a phone number without its country."""
    if found.type == "PHONE":
        country, _, national = found.key[1:].partition(" ")
        trunk = rf"(?:\(?0\)?{_BETWEEN})?"
        head = rf"(?:(?:\+|00)?{_BETWEEN.join(country)}{_BETWEEN})?"
        return re.compile(rf"(?<![^\W_])(?<!\d[.,])\(?{head}{trunk}{_BETWEEN.join(national)}(?![^\W_])")
    if found.type in ("CARD", "IBAN"):
        return re.compile(rf"(?<![^\W_]){_BETWEEN.join(found.key)}(?![^\W_])", re.I)
    if found.type == "PERSON":
        words = text.split()
        whole = r"\s+".join(map(re.escape, words))
        # Alone a part of a name is the person only where it is written as one.
        parts = [re.escape(word) for word in words if word[0].isupper() and len(word) > 2 and word not in COMMON_WORDS]
        alone = "|" + "|".join(parts) if len(words) > 1 and parts else ""
        return re.compile(rf"(?<![^\W_])(?:(?i:{whole}){alone})(?![^\W_])")
    return re.compile(rf"(?<![0-9A-Za-z_]){re.escape(text)}(?![0-9A-Za-z_])", re.I)
