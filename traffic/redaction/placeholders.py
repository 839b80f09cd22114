"""Personal values of one request and their placeholders, such as `<EMAIL_1>`.

Every occurrence of a value has the same placeholder. Values are numbered per type, so placeholders can be restored.
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
from traffic.redaction.plain_text import plain_text
from traffic.redaction.recognisers import Finding

_BETWEEN = r"[\s().\-/]{0,3}"
_NOTHING_LEFT = re.compile(r"[\W_]*")
_PLACEHOLDER = re.compile(rf"<(?:{'|'.join(PERSONAL_TYPES)})_[1-9]\d*>")


class Value(NamedTuple):
    """One value of a request, with the pattern that matches its spellings."""

    type: PersonalType
    key: str
    placeholder: str
    text: str
    """The first spelling in the request."""
    pattern: re.Pattern[str]


class Values:
    """All values of a request in order of first occurrence.

    `replace` puts placeholders into a text; `in_text` lists the values that it would replace.
    """

    def __init__(
        self,
        texts: Iterable[str],
        find: Callable[[str], Iterable[Finding]],
        ignored: Collection[str],
        known: "Values | None" = None,
    ) -> None:
        """`find` returns the findings of a text. Keys in `ignored` are skipped; `known` values keep placeholders."""
        texts = list(texts)
        self._find = find
        self._values: dict[tuple[PersonalType, str], Value] = dict(known._values) if known is not None else {}
        numbers = Counter(value.type for value in self)
        all_text = ""
        for text in texts:
            for finding in find(text):
                if finding.key in ignored or (finding.type, finding.key) in self._values:
                    continue
                # The text may already contain <EMAIL_1>; that number is skipped.
                all_text = all_text or "\n".join(texts)
                numbers[finding.type] += 1
                while (placeholder := f"<{finding.type}_{numbers[finding.type]}>") in all_text:
                    numbers[finding.type] += 1
                value = text[finding.start : finding.end]
                self._values[finding.type, finding.key] = Value(
                    finding.type, finding.key, placeholder, value, _pattern(finding, plain_text(value).text)
                )

    def __iter__(self) -> Iterator[Value]:
        return iter(self._values.values())

    def __bool__(self) -> bool:
        return bool(self._values)

    def counts(self) -> Counter[PersonalType]:
        return Counter(value.type for value in self)

    def without(self, types: Collection[PersonalType]) -> "Values":
        """A copy without the values of these types."""
        copied = copy.copy(self)
        copied._values = {key: value for key, value in self._values.items() if value.type not in types}
        return copied

    def in_text(self, text: str) -> list[Value]:
        return [value for _, _, value in self._spans(text)]

    def replace(self, text: str) -> str:
        parts: list[str] = []
        done = 0
        for start, end, value in self._spans(text):
            parts += (text[done:start], value.placeholder)
            done = end
        return "".join([*parts, text[done:]])

    def originals(self) -> dict[str, str]:
        """Values by their placeholders."""
        return {value.placeholder: value.text for value in self}

    def replace_in_answer(self, answer: str) -> str:
        """The answer with placeholders. JSON stays valid JSON with the same order of keys."""
        document = _document(answer)
        if document is None:
            return self.replace(answer)
        changed = self._replaced(document)
        # An answer without personal data keeps its whitespace.
        return answer if changed == document else msgspec.json.encode(changed).decode()

    def needed_by(self, answer: str, prompts: Iterable[str]) -> set[PersonalType]:
        """Types of values that the answer cannot do without.

        A value is needed if it is a whole JSON field or the whole answer (the task asks for it), or if no prompt of the
        row contains it (it cannot be learnt from the prompt).
        """
        document = _document(answer)
        leaves = [answer] if document is None else list(_leaves(document))
        in_prompts = {value.key for prompt in prompts for value in self.in_text(prompt)}
        needed: set[PersonalType] = set()
        for leaf in leaves:
            spans = self._spans(leaf)
            begins, ends = [start for start, _, _ in spans], [end for _, end, _ in spans]
            between = zip([0, *ends], [*begins, len(leaf)], strict=True)
            remainder = "".join(leaf[end:start] for end, start in between)
            is_whole_leaf = _NOTHING_LEFT.fullmatch(remainder) is not None
            needed |= {value.type for _, _, value in spans if is_whole_leaf or value.key not in in_prompts}
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
        """Non-overlapping spans of values in the text, in order."""
        spans = [
            (finding.start, finding.end, self._values[finding.type, finding.key])
            for finding in self._find(text)
            if (finding.type, finding.key) in self._values
        ]
        plain = plain_text(text)
        for value in self:
            spans += [(*plain.span(*match.span()), value) for match in value.pattern.finditer(plain.text)]
        # The longest span wins: a full name over its first name, an address over a phone number within it.
        chosen: list[tuple[int, int, Value]] = []
        taken = bytearray(len(text))
        for begin, end, value in sorted(spans, key=lambda span: (span[0] - span[1], span[0])):
            if taken.find(1, begin, end) < 0:
                taken[begin:end] = b"\1" * (end - begin)
                chosen.append((begin, end, value))
        return sorted(chosen, key=lambda span: span[0])


def restored(answer: str, originals: Mapping[str, str]) -> str:
    """The answer with placeholders replaced by their values; a JSON document stays valid."""
    if not originals:
        return answer
    if _document(answer) is None:
        return _PLACEHOLDER.sub(lambda match: originals.get(match.group(), match.group()), answer)
    # Placeholders occur inside JSON strings only, where a server may have escaped the angle brackets.
    return _IN_JSON.sub(lambda match: _escaped(match, originals), answer)


def placeholders_in(text: str) -> set[str]:
    return set(_PLACEHOLDER.findall(text))


_IN_JSON = re.compile(rf"(?:<|\\u003[cC])((?:{'|'.join(PERSONAL_TYPES)})_[1-9]\d*)(?:>|\\u003[eE])")


def _escaped(match: re.Match[str], originals: Mapping[str, str]) -> str:
    value = originals.get(f"<{match.group(1)}>")
    return match.group() if value is None else msgspec.json.encode(value).decode()[1:-1]


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


def _pattern(finding: Finding, text: str) -> re.Pattern[str]:
    """Matches other spellings of the value in a plain text: spacing, case, a phone number without country code."""
    if finding.type == "PHONE":
        country, _, national = finding.key[1:].partition(" ")
        trunk = rf"(?:\(?0\)?{_BETWEEN})?"
        head = rf"(?:(?:\+|00)?{_BETWEEN.join(country)}{_BETWEEN})?"
        return re.compile(rf"(?<![^\W_])(?<!\d[.,])\(?{head}{trunk}{_BETWEEN.join(national)}(?![^\W_])")
    if finding.type in ("CARD", "IBAN", "NATIONAL_ID"):
        return re.compile(rf"(?<![^\W_]){_BETWEEN.join(map(re.escape, finding.key))}(?![^\W_])", re.I)
    if finding.type == "PERSON":
        words = text.split()
        full_name = r"\s+".join(map(re.escape, words))
        # A part of a name alone counts only if capitalised.
        parts = [re.escape(word) for word in words if word[0].isupper() and len(word) > 2 and word not in COMMON_WORDS]
        single_parts = "|" + "|".join(parts) if len(words) > 1 and parts else ""
        return re.compile(rf"(?<![^\W_])(?:(?i:{full_name}){single_parts})(?![^\W_])")
    return re.compile(rf"(?<![0-9A-Za-z_]){re.escape(text)}(?![0-9A-Za-z_])", re.I)
