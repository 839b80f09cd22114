"""Finds the templates of a call site in its requests: shared text and variable slots.

Requests with similar system texts form a family. Words that occur once in each of its texts anchor the fixed parts, and
the text between fixed parts is a slot. If one wording replaces another over time, they are not values of a slot but
versions of the prompt, each with a separate template.
"""

import difflib
import itertools
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from traffic.artifacts import hash8
from traffic.prompts import (
    SYSTEM_ROLES,
    MessagePattern,
    Messages,
    SlotBounds,
    Template,
    between,
    normalise,
    spans,
)

_ROUNDS = 24
_COMPARED = 200
_ALIGNED = 64
_MIN_VALUES = 5
"""Minimum number of distinct values of a slot; fewer may be versions of the prompt."""
_LONG_WORDS = 12
_LABEL_CHARS = 40
_DATE = re.compile(r"\d{4}-\d\d-\d\d|\d{1,2}[./]\d{1,2}[./]\d{2,4}|\b(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day\b")
_LABEL = re.compile(r"\n.*\S|[:=>：]\s*$", re.DOTALL)

Key = tuple[str, ...]
"""The normalised system texts of a request."""


class _Family(NamedTuple):
    """Requests of one template: patterns of their system messages, and indexes of the requests."""

    heads: tuple[MessagePattern, ...]
    rows: list[int]

    @property
    def fixed(self) -> tuple[str, ...]:
        return tuple("".join(head.literals) for head in self.heads)


def pruned_system(call_site: str, request_type: str) -> str:
    """A short replacement of the static system prompt: the last part of the call site's name, as words.

    `support.intent` gives `intent`. Parts that only number a version are skipped; without a usable name it is the
    request type.
    """
    for part in reversed(re.split(r"[./:\s]+", call_site)):
        spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", part)
        words = [word for word in re.split(r"[\W_]+", spaced.lower()) if word]
        if any(word.isalpha() and not re.fullmatch(r"v|rev|version|prod|dev|test", word) for word in words):
            return " ".join(words[:4])[:32].strip()
    return request_type.replace("_", " ")


def find_templates(prompts: Sequence[Messages], min_support: float = 0.02, *, system: str = "") -> list[Template]:
    """Templates of one call site's requests, the most frequent first.

    `prompts`: in time order. `min_support`: minimum share of the requests for a template. `system`: the pruned system
    prompt (see `pruned_system`); if empty, the pruned side keeps only the slots of the original system prompt.
    """
    shapes: dict[tuple[str, ...], list[tuple[str, ...]]] = defaultdict(list)
    for messages in prompts:
        texts = _texts(messages)
        if texts:
            shapes[tuple(message["role"] for message in messages)].append(texts)
    # A single request does not show what is fixed and what varies.
    min_rows = max(math.ceil(min_support * len(prompts) - 1e-9), min(2, len(prompts)))
    groups = [(roles, family, rows) for roles, rows in shapes.items() for family in _of_shape(roles, rows, min_rows)]
    groups.sort(key=lambda group: (-len(group[1].rows), group[0], group[1].fixed))
    variants: list[tuple[str, ...]] = []
    templates = []
    for roles, family, rows in groups:
        fixed = family.fixed
        number = next((n for n, other in enumerate(variants, start=1) if versions_of_one(fixed, other)), None)
        if number is None:
            variants.append(fixed)
            number = len(variants)
        original = _original(roles, family, [rows[n] for n in family.rows], min_rows)
        # The adapter must be able to tell two tasks of one call site apart.
        name = system if number == 1 or not system else f"{system} {number}"
        templates.append(Template(id=_id(original), original=original, pruned=_pruned(original, name)))
    return templates


def versions_of_one(fixed: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether two prompts share half of their lines."""
    lines, others = ["\n".join(texts).splitlines() for texts in (fixed, other)]
    return lines == others or difflib.SequenceMatcher(None, lines, others, autojunk=False).ratio() >= 0.5


def common_pattern(role: str, texts: Sequence[str]) -> MessagePattern | None:
    """Pattern of the parts that distinct texts share; None if they share too little to be one prompt."""
    compared = list(texts[:: max(1, -(-len(texts) // _ALIGNED))])
    pattern = _pattern(role, _pieces(compared))
    shared = sum(map(len, pattern.literals))
    return pattern if shared >= max(12, min(0.4 * min(map(len, compared)), 60)) else None


def _texts(messages: Messages) -> tuple[str, ...] | None:
    texts = []
    for message in messages:
        content = message.get("content")
        if not isinstance(content, str) or not isinstance(message.get("role"), str) or message.get("tool_calls"):
            return None
        texts.append(content)
    return tuple(texts)


def _id(original: tuple[MessagePattern, ...]) -> str:
    # Later fields are hashed only if they are set, so that older templates keep their ids.
    trees = []
    for pattern in original:
        tree = msgspec.to_builtins(pattern)
        trees.append({key: value for key, value in tree.items() if value or key not in ("middles", "bounds")})
    return hash8(trees)


def _of_shape(roles: tuple[str, ...], rows: list[tuple[str, ...]], min_rows: int) -> list[_Family]:
    """Families of the requests with one sequence of roles."""
    keys: dict[Key, list[int]] = defaultdict(list)
    for n, texts in enumerate(rows):
        keys[tuple(normalise(text) for role, text in zip(roles, texts, strict=True) if role in SYSTEM_ROLES)].append(n)
    heads = tuple(role for role in roles if role in SYSTEM_ROLES)
    families = _families(keys, heads, min_rows)
    return [part for family in families for part in _by_examples(roles, rows, family, min_rows)]


def _families(keys: dict[Key, list[int]], roles: tuple[str, ...], min_rows: int) -> list[_Family]:
    remaining = dict(keys)
    families: list[_Family] = []
    for _ in range(_ROUNDS):
        if sum(map(len, remaining.values())) < min_rows:
            break
        pivot = min(remaining, key=lambda key: (-len(remaining[key]), key))
        patterns = _aligned(pivot, remaining, roles)
        slots = {} if patterns is None else {key: s for key in remaining if (s := _slots_of(patterns, key)) is not None}
        if patterns is None or len(slots) < 2 or pivot not in slots:
            rows = remaining.pop(pivot)
            if len(rows) >= min_rows:
                families.append(_Family(tuple(map(MessagePattern, roles, pivot)), rows))
            continue
        families += _varied(patterns, slots, {key: remaining.pop(key) for key in slots}, roles, min_rows)
    return families


def _varied(
    patterns: tuple[MessagePattern, ...],
    slots: dict[Key, tuple[str, ...]],
    keys: dict[Key, list[int]],
    roles: tuple[str, ...],
    min_rows: int,
) -> list[_Family]:
    """One family if every gap is a slot; else families per version, as told apart by the other gaps."""
    order = sorted((n, key) for key, rows in keys.items() for n in rows)
    bounds = [_slot_bounds(column, min_rows) for column in zip(*(slots[key] for _, key in order), strict=True)]
    versions = [n for n, bound in enumerate(bounds) if bound is None]
    if versions:
        parts: dict[tuple[str, ...], dict[Key, list[int]]] = defaultdict(dict)
        for key, values in slots.items():
            parts[tuple(values[n] for n in versions)][key] = keys[key]
        return [family for part in parts.values() for family in _families(part, roles, min_rows)]
    slot_bounds = iter(bound for bound in bounds if bound is not None)
    heads = tuple(
        msgspec.structs.replace(pattern, bounds=tuple(next(slot_bounds) for _ in range(pattern.slots)))
        for pattern in patterns
    )
    rows = [n for n, key in order if all(b is None or b.allow(v) for b, v in zip(bounds, slots[key], strict=True))]
    return [_Family(heads, rows)] if len(rows) >= min_rows else []


def _slot_bounds(column: Sequence[str], min_rows: int) -> SlotBounds | None:
    """Limits of a slot with these values (in time order); None if they are versions of the prompt."""
    counts = Counter(column)
    words = max(len(value.split()) for value in counts)
    often = {value: n for value, n in counts.items() if n >= min_rows}
    if len(counts) == 1:
        return SlotBounds(values=tuple(counts))
    mixed = _interleaved([value for value in column if value in often], often)
    sequel = len(counts) <= 20 and words > _LONG_WORDS // 2 and not mixed
    dates = len(often) == len(counts) and words <= _LONG_WORDS and all(map(_DATE.search, counts))
    if dates or (
        len(counts) >= _MIN_VALUES and len(column) - max(counts.values()) >= max(min_rows, _MIN_VALUES) and not sequel
    ):
        room = 1 if words <= _LONG_WORDS else 2
        lines = max(value.count("\n") for value in counts) + 1
        return SlotBounds(
            max_words=words * room,
            max_chars=2 * max(map(len, counts)) + 16,
            max_lines=lines * room if lines > 1 else 1,
        )
    return SlotBounds(values=tuple(sorted(often))) if mixed and words <= _LONG_WORDS else None


def _interleaved(column: Sequence[str], counts: dict[str, int]) -> bool:
    """Whether values alternate, instead of each replacing the one before."""
    total = len(column)
    changes = sum(a != b for a, b in itertools.pairwise(column))
    by_chance = (total - 1) * (1 - sum((n / total) ** 2 for n in counts.values())) if total else 0
    return len(counts) > 1 and total >= 20 and changes >= max(6, 2 * len(counts), 0.1 * by_chance)


def _aligned(pivot: Key, remaining: dict[Key, list[int]], roles: tuple[str, ...]) -> tuple[MessagePattern, ...] | None:
    """Patterns that the pivot shares with similar texts; None without any, or if they share too little."""
    others = [key for key in sorted(remaining, key=lambda key: remaining[key][0]) if key != pivot]
    others = others[:: max(1, -(-len(others) // _COMPARED))]
    likeness = {key: _likeness(pivot, key) for key in others}
    best = max(likeness.values(), default=0.0)
    members = [key for key in others if likeness[key] >= max(0.5, best - 0.25)]
    if not members:
        # A document in the middle of the system prompt outweighs the text around it.
        start = pivot[0][:60] if pivot and len(pivot[0]) > 60 else None
        members = [key for key in others if start and key[0].startswith(start)]
        if len(members) < 8:
            return None
    members = [pivot, *members[:: max(1, -(-len(members) // _ALIGNED))]]
    patterns = tuple(_pattern(role, _pieces([member[n] for member in members])) for n, role in enumerate(roles))
    shared = sum(len(literal) for pattern in patterns for literal in pattern.literals)
    shortest = min(sum(map(len, member)) for member in members)
    return patterns if shared >= max(12, min(0.4 * shortest, 60)) else None


def _likeness(one: Key, other: Key) -> float:
    words, others = Counter(" ".join(one).split()), Counter(" ".join(other).split())
    return 2 * (words & others).total() / max(1, words.total() + others.total())


def _pattern(role: str, pieces: tuple[str, ...]) -> MessagePattern:
    if len(pieces) == 1:
        return MessagePattern(role, pieces[0])
    return MessagePattern(role, pieces[0], pieces[-1], slot=True, middles=pieces[1:-1])


def _slots_of(patterns: tuple[MessagePattern, ...], key: Key) -> tuple[str, ...] | None:
    slots: list[str] = []
    for pattern, text in zip(patterns, key, strict=True):
        if not pattern.slot:
            if text != pattern.prefix:
                return None
            continue
        spans = between(pattern.literals, text)
        if spans is None:
            return None
        slots += (text[start:end] for start, end in spans)
    return tuple(slots)


def _pieces(texts: list[str]) -> tuple[str, ...]:
    """Literals that all texts share, in order; the text itself if all are equal."""
    if len(set(texts)) == 1:
        return (texts[0],)
    prefix = _whole_start(_common_prefix(texts))
    suffix = _whole_end(_common_suffix([text[len(prefix) :] for text in texts]))
    middles = _middles([text[len(prefix) : len(text) - len(suffix)] for text in texts])
    return prefix, *middles, suffix


def _middles(texts: list[str], often: float = 1.0) -> list[str]:
    """Literals around words that occur in all texts, and exactly once in at least the share `often` of them."""
    positions = [{m.group(): m.start() for m in reversed(list(re.finditer(r"\S+", text)))} for text in texts]
    once = Counter(word for text in texts for word, n in Counter(text.split()).items() if n == 1)
    anchors = [
        word
        for word in sorted(positions[0], key=positions[0].__getitem__)
        if once[word] >= often * len(texts) and all(word in at for at in positions)
    ]
    cursors = [0] * len(texts)
    middles: list[str] = []
    for word in anchors:
        starts = [at[word] for at in positions]
        if any(start < cursor for start, cursor in zip(starts, cursors, strict=True)):
            continue
        before = [text[cursor:start] for text, cursor, start in zip(texts, cursors, starts, strict=True)]
        after = [text[start + len(word) :] for text, start in zip(texts, starts, strict=True)]
        left, right = _whole_end(_common_suffix(before)), _whole_start(_common_prefix(after))
        adjoining = middles and all(len(text) == len(left) for text in before)
        literal = left + word + right
        if adjoining:
            middles[-1] += literal
        else:
            middles.append(literal)
        cursors = [start + len(word) + len(right) for start in starts]
    return middles


def _whole_start(shared: str) -> str:
    """Cut back to where a value may begin: after whitespace, an opening bracket or quote, a colon or `=`."""
    return shared[: max((border.end() for border in re.finditer(r"[\s=:(\[{<>\"'：]", shared)), default=0)]


def _whole_end(shared: str) -> str:
    """Cut back to where a value may end: before whitespace, or the punctuation before it."""
    border = re.search(r"[.,;:!?)\]}\"']*(?:\s|$)|</", shared)
    return shared[border.start() :] if border else ""


def _common_prefix(texts: Sequence[str]) -> str:
    # The common prefix of the smallest and largest text is shared by all texts between them.
    first, last = min(texts), max(texts)
    return first[: next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))]


def _common_suffix(texts: Iterable[str]) -> str:
    return _common_prefix([text[::-1] for text in texts])[::-1]


def _by_examples(roles: tuple[str, ...], rows: list[tuple[str, ...]], family: _Family, min_rows: int) -> list[_Family]:
    """The family, or one per version of its few-shot examples (fixed turns before the last)."""
    columns = []
    for n, role in enumerate(roles[:-1]):
        if role in SYSTEM_ROLES:
            continue
        column = [rows[row][n] for row in family.rows]
        counts = Counter(column)
        if 1 < len(counts) < _MIN_VALUES and min(counts.values()) >= min_rows and not _interleaved(column, counts):
            columns.append(n)
    if not columns:
        return [family]
    parts: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for row in family.rows:
        parts[tuple(rows[row][n] for n in columns)].append(row)
    return [_Family(family.heads, part) for part in parts.values() if len(part) >= min_rows]


def _original(
    roles: tuple[str, ...], family: _Family, rows: list[tuple[str, ...]], min_rows: int
) -> tuple[MessagePattern, ...]:
    columns = [Counter(column) for column in zip(*rows, strict=True)]
    varying = {n for n, role in enumerate(roles) if role not in SYSTEM_ROLES and len(columns[n]) > 1}
    if not varying and not any(head.slot for head in family.heads):
        # All requests are equal: assume that the last message is the one that varies.
        varying = {max((n for n, role in enumerate(roles) if role not in SYSTEM_ROLES), default=len(roles) - 1)}
    heads = iter(family.heads)
    patterns = []
    for n, role in enumerate(roles):
        head = next(heads) if role in SYSTEM_ROLES else None
        if n in varying:
            patterns.append(_user_pattern(role, columns[n], min_rows))
        elif head is not None and head.slot:
            patterns.append(_as_sent(head, columns[n]))
        else:
            patterns.append(MessagePattern(role=role, prefix=columns[n].most_common(1)[0][0]))
    return tuple(patterns)


def _as_sent(head: MessagePattern, texts: Counter[str]) -> MessagePattern:
    """The pattern with the most frequent whitespace, so that most requests match without normalisation."""
    spellings: Counter[tuple[str, ...]] = Counter()
    for text, n in list(texts.items())[:_COMPARED]:
        ends = [(0, 0), *(spans(head.literals, text) or ()), (len(text), len(text))]
        spellings[tuple(text[end:start] for (_, end), (start, _) in itertools.pairwise(ends))] += n
    prefix, *middles, suffix = min(spellings, key=lambda literals: (-spellings[literals], literals))
    if len(middles) != len(head.middles):
        return head
    return msgspec.structs.replace(head, prefix=prefix, middles=tuple(middles), suffix=suffix)


def _user_pattern(role: str, texts: Counter[str], min_rows: int) -> MessagePattern:
    prefix, suffix = _literals(texts)
    rests = [text[len(prefix) : len(text) - len(suffix)] for text in sorted(texts)]
    middles: list[str] = []
    if len(rests) >= 8:
        literals = _middles(rests[:: max(1, -(-len(rests) // _ALIGNED))], often=0.9)
        # Only literals at the start of a line or before a value: others may be words that users happen to share.
        middles = [text for text in literals if _LABEL.search(text) and re.search(r"[^\W\d_]", text)]
        middles = [text for text in middles if sum(text in rest for rest in rests) >= 0.99 * len(rests)]
    if not middles:
        return MessagePattern(role, prefix, suffix, slot=True)
    pattern = MessagePattern(role, prefix, suffix, slot=True, middles=tuple(middles))
    return msgspec.structs.replace(pattern, bounds=_closed(pattern, texts, min_rows))


def _closed(pattern: MessagePattern, texts: Counter[str], min_rows: int) -> tuple[SlotBounds, ...]:
    """Limits for slots with a few values, if another slot takes any value."""
    columns: list[Counter[str]] = [Counter() for _ in range(pattern.slots)]
    for text, n in texts.items():
        for column, (start, end) in zip(columns, between(pattern.literals, text) or (), strict=False):
            column[text[start:end]] += n
    bounds = [
        SlotBounds(values=tuple(sorted(column)))
        if len(column) <= 8
        and min(column.values()) >= max(min_rows, _MIN_VALUES)
        and max(map(len, column)) <= _LABEL_CHARS
        else SlotBounds()
        for column in columns
    ]
    return tuple(bounds) if any(b.values for b in bounds) and not all(b.values for b in bounds) else ()


def _literals(texts: Counter[str]) -> tuple[str, str]:
    """Common prefix and suffix, cut at whitespace or a colon so that no token spans the border of a slot."""
    if len(texts) < 2:
        return "", ""
    # A few texts may share words by chance, so then only line ends and colons count.
    borders = r"\s|：" if len(texts) >= 20 else r"\n|: |：|:\t"
    shared = _common_prefix(list(texts))
    prefix = shared[: max((border.end() for border in re.finditer(borders, shared)), default=0)]
    shared = _common_suffix(text[len(prefix) :] for text in texts)
    start = re.search(r"\s" if len(texts) >= 20 else r"\n", shared)
    suffix = shared[start.start() :] if start else ""
    around = len(prefix) + len(suffix)
    blank = sum(n for text, n in texts.items() if not text[len(prefix) : len(text) - len(suffix)].strip())
    if around and 2 * blank > texts.total():
        return "", ""
    return prefix, suffix


def _pruned(original: tuple[MessagePattern, ...], system: str) -> tuple[MessagePattern, ...]:
    slotted = [pattern for pattern in original if pattern.slot]
    # A single slot needs no label; several of one role are told apart by the fixed text around them.
    literal = len({pattern.literals for pattern in slotted if pattern.role == "user"}) > 1
    leading = next((n for n, p in enumerate(original) if p.role not in SYSTEM_ROLES), len(original))
    # Variable parts of the system prompt may affect the answer: their values are kept, each after its label.
    labels = [_label(text) for p in original[:leading] if p.slot for text in p.literals[:-1]]
    pieces = ("".join((system, "\n" * bool(system), *labels[:1])), *(f"\n{label}" for label in labels[1:]), "")
    head = (_pattern("system", pieces if labels else (system,)),) if system or labels else ()
    return head + tuple(
        _shortened(pattern, literal=literal)
        for n, pattern in enumerate(original)
        if pattern.slot and not (n < leading and pattern.role in SYSTEM_ROLES)
    )


def _shortened(pattern: MessagePattern, *, literal: bool) -> MessagePattern:
    if literal and pattern.role == "user" and not pattern.middles:
        return pattern
    if not pattern.middles:
        label = _label(pattern.prefix) if pattern.role in SYSTEM_ROLES else ""
        return MessagePattern(role=pattern.role, prefix=label, slot=True)
    prefix = pattern.prefix if len(pattern.prefix) <= _LABEL_CHARS else _label(pattern.prefix)
    middles = (text if len(text) <= _LABEL_CHARS else f"\n{_label(text)}" for text in pattern.middles)
    return MessagePattern(pattern.role, prefix, "", slot=True, middles=tuple(middles))


def _label(literal: str) -> str:
    """The last words on the line before a slot, with trailing whitespace."""
    line = literal.rpartition("\n")[2]
    words = [word for word in re.findall(r"\S+\s*", line) if re.search(r"\w", word)]
    return "".join(words[-3:])[-_LABEL_CHARS:]
