"""Prompts of a call site: what stays the same in every request, and what varies.

A `Template` is the fixed text around one slot per message. It is found in the log by `extract`,
stored in `adapter.yaml`, and matched against live requests: a request that matches none does not go
to the adapter, because the adapter never saw its like.
"""

import difflib
import hashlib
import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec

from traffic.home import hash8
from traffic.record import Message


class MessagePattern(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One message of a template: `prefix + slot + suffix`, or the prefix alone when `slot` is false."""

    role: str
    prefix: str = ""
    suffix: str = ""
    slot: bool = False


class Template(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a call site sends (`original`) and what the adapter is asked instead (`pruned`).

    Both have the same number of slots; the n-th slot of one is the n-th of the other.
    """

    id: Annotated[str, msgspec.Meta(min_length=8, max_length=8)]
    """First 8 hex digits of the SHA-256 of `original`."""
    original: tuple[MessagePattern, ...]
    pruned: tuple[MessagePattern, ...]


Messages = list[dict[str, Any]]
"""Chat messages as JSON objects with at least `role` and `content`."""

SYSTEM_ROLES = ("system", "developer")

_BLANKS = re.compile(r"[ \t]+")
_WHITESPACE = re.compile(r"\s+")
_CACHED_CHARS = 32_768


def normalise(text: str) -> str:
    """NFC, line ends as `\\n`, runs of spaces and tabs as one space, no trailing or outer whitespace. Idempotent."""
    # Static system prompts come back with every request; a long document does not, and would fill the cache.
    return _normalised_again(text) if len(text) <= _CACHED_CHARS else _normalised(text)


def _normalised(text: str) -> str:
    text = unicodedata.normalize("NFC", text)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _BLANKS.sub(" ", text).replace(" \n", "\n").strip()


_normalised_again = lru_cache(maxsize=256)(_normalised)


def request_hash(call_site: str | None, messages: msgspec.Raw | bytes, tools: list[dict[str, Any]] | None) -> str:
    """16 hex digits; two requests are exact duplicates when call site, messages and tools are the same JSON values."""
    digest = hashlib.blake2b(digest_size=8)
    digest.update((call_site or "").encode() + b"\0")
    try:
        # Key order and escapes differ between log formats; the values do not.
        digest.update(msgspec.json.encode(msgspec.json.decode(messages), order="sorted"))
    except msgspec.DecodeError:
        digest.update(bytes(messages))
    if tools:
        digest.update(b"\0" + msgspec.json.encode(tools, order="sorted"))
    return digest.hexdigest()


def system_hash(messages: Sequence[Message]) -> str | None:
    """16 hex digits over the normalised text of the leading system messages; None where there are none."""
    texts = []
    for message in messages:
        if message.role not in SYSTEM_ROLES:
            break
        texts.append(normalise(message.text))
    if not texts:
        return None
    return hashlib.blake2b("\0".join(texts).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def pruned_system(call_site: str, request_type: str) -> str:
    """A short stable prompt instead of the static one: the last part of the call site's name, as words.

    `support.intent` gives `intent`; parts that only number a version are skipped; a call site without
    a usable name gives its request type.
    """
    for part in reversed(re.split(r"[./:\s]+", call_site)):
        spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", part)
        words = [word for word in re.split(r"[\W_]+", spaced.lower()) if word]
        if any(word.isalpha() and not re.fullmatch(r"v|rev|version|prod|dev|test", word) for word in words):
            return " ".join(words[:4])[:32].strip()
    return request_type.replace("_", " ")


def find_templates(prompts: Sequence[Messages], min_support: float = 0.02, *, system: str = "") -> list[Template]:
    """Templates of one call site's requests, the most frequent first.

    Requests with the same roles and the same system text form a group; a group of fewer than
    `min_support` of all requests gives no template. `system` is the pruned system prompt (see
    `pruned_system`); without it the pruned side has none.
    """
    groups: dict[tuple[tuple[str, ...], tuple[str, ...]], list[tuple[str, ...]]] = defaultdict(list)
    for messages in prompts:
        texts = _texts(messages)
        if texts:
            roles = tuple(message["role"] for message in messages)
            fixed = tuple(normalise(text) for role, text in zip(roles, texts, strict=True) if role in SYSTEM_ROLES)
            groups[roles, fixed].append(texts)
    # A lone request shows no difference between what is fixed and what varies.
    needed = max(math.ceil(min_support * len(prompts) - 1e-9), min(2, len(prompts)))
    kept = sorted(
        (item for item in groups.items() if len(item[1]) >= needed), key=lambda item: (-len(item[1]), item[0])
    )
    variants: list[tuple[str, ...]] = []
    templates = []
    for (roles, fixed), rows in kept:
        number = next((n for n, other in enumerate(variants, start=1) if _versions_of_one(fixed, other)), None)
        if number is None:
            variants.append(fixed)
            number = len(variants)
        original = _original(roles, rows)
        # Two tasks behind one call site must not look alike to the adapter.
        name = system if number == 1 or not system else f"{system} {number}"
        templates.append(Template(id=hash8(original), original=original, pruned=_pruned(original, name)))
    return templates


def match(template: Template, messages: Messages) -> tuple[str, ...] | None:
    """The slots of a request, or None when it is not of this template.

    Differences in whitespace alone (and in Unicode composition of fixed messages) still match.
    """
    if len(messages) != len(template.original):
        return None
    slots = []
    for pattern, message in zip(template.original, messages, strict=True):
        content = message.get("content")
        if message.get("role") != pattern.role or not isinstance(content, str) or message.get("tool_calls"):
            return None
        if pattern.slot:
            slot = _slot(pattern, content)
            if slot is None:
                return None
            slots.append(slot)
        elif content != pattern.prefix and normalise(content) != normalise(pattern.prefix):
            return None
    return tuple(slots)


def match_any(templates: Iterable[Template], messages: Messages) -> tuple[Template, tuple[str, ...]] | None:
    """The first template that matches, with the slots."""
    for template in templates:
        slots = match(template, messages)
        if slots is not None:
            return template, slots
    return None


def render(template: Template, slots: Sequence[str], side: Literal["pruned", "original"] = "pruned") -> Messages:
    """Messages of one side of the template. Raises: ValueError when the number of slots is wrong."""
    patterns = template.pruned if side == "pruned" else template.original
    wanted = sum(pattern.slot for pattern in patterns)
    if len(slots) != wanted:
        raise ValueError(f"template {template.id} has {wanted} slots, got {len(slots)}")
    filling = iter(slots)
    return [
        {"role": p.role, "content": f"{p.prefix}{next(filling)}{p.suffix}" if p.slot else p.prefix} for p in patterns
    ]


def _texts(messages: Messages) -> tuple[str, ...] | None:
    texts = []
    for message in messages:
        content = message.get("content")
        if not isinstance(content, str) or not isinstance(message.get("role"), str) or message.get("tool_calls"):
            return None
        texts.append(content)
    return tuple(texts)


def _versions_of_one(fixed: tuple[str, ...], other: tuple[str, ...]) -> bool:
    lines, others = ["\n".join(texts).splitlines() for texts in (fixed, other)]
    return lines == others or difflib.SequenceMatcher(None, lines, others, autojunk=False).ratio() >= 0.5


def _original(roles: tuple[str, ...], rows: list[tuple[str, ...]]) -> tuple[MessagePattern, ...]:
    columns = [Counter(column) for column in zip(*rows, strict=True)]
    varying = {n for n, role in enumerate(roles) if role not in SYSTEM_ROLES and len(columns[n]) > 1}
    if not varying:
        # All requests are one and the same: what the user says is what would vary.
        varying = {max((n for n, role in enumerate(roles) if role not in SYSTEM_ROLES), default=len(roles) - 1)}
    patterns = []
    for n, role in enumerate(roles):
        if n in varying:
            prefix, suffix = _literals(columns[n])
            patterns.append(MessagePattern(role=role, prefix=prefix, suffix=suffix, slot=True))
        else:
            patterns.append(MessagePattern(role=role, prefix=columns[n].most_common(1)[0][0]))
    return tuple(patterns)


def _literals(texts: Counter[str]) -> tuple[str, str]:
    """Common prefix and suffix, cut back to whitespace or a colon so that no token spans the border of the slot."""
    if len(texts) < 2:
        return "", ""
    # A handful of texts share words by chance; a line end or a colon is no chance.
    borders = r"\s|：" if len(texts) >= 20 else r"\n|: |：|:\t"
    shared = _common_prefix(list(texts))
    prefix = shared[: max((found.end() for found in re.finditer(borders, shared)), default=0)]
    shared = _common_prefix([text[len(prefix) :][::-1] for text in texts])[::-1]
    start = re.search(r"\s" if len(texts) >= 20 else r"\n", shared)
    suffix = shared[start.start() :] if start else ""
    around = len(prefix) + len(suffix)
    blank = sum(n for text, n in texts.items() if not text[len(prefix) : len(text) - len(suffix)].strip())
    if around and 2 * blank > texts.total():
        return "", ""
    return prefix, suffix


def _common_prefix(texts: list[str]) -> str:
    # The texts between the smallest and the largest share whatever these two share.
    first, last = min(texts), max(texts)
    return first[: next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))]


def _pruned(original: tuple[MessagePattern, ...], system: str) -> tuple[MessagePattern, ...]:
    slotted = [pattern for pattern in original if pattern.slot]
    # One slot says for itself what it is; several of one role are told apart by the text around them.
    literal = len({(p.prefix, p.suffix) for p in slotted if p.role == "user"}) > 1
    head = (MessagePattern(role="system", prefix=system),) if system else ()
    return head + tuple(
        pattern if literal and pattern.role == "user" else MessagePattern(role=pattern.role, slot=True)
        for pattern in slotted
    )


def _slot(pattern: MessagePattern, content: str) -> str | None:
    prefix, suffix = pattern.prefix, pattern.suffix
    end = len(content) - len(suffix)
    if len(prefix) <= end and content.startswith(prefix) and content.endswith(suffix):
        return content[len(prefix) : end]
    start = _after(prefix, content)
    if start is None:
        return None
    rest = content[start:]
    tail = _after(suffix[::-1], rest[::-1])
    return None if tail is None else rest[: len(rest) - tail]


def _after(literal: str, text: str) -> int | None:
    """Where `literal` ends in `text` when runs of whitespace count as equal; None where text begins otherwise."""
    if not literal:
        return 0
    at = 0 if literal[0].isspace() else len(text) - len(text.lstrip())
    for word in re.split(r"(\s+)", literal):
        if not word:
            continue
        if not word.isspace():
            if not text.startswith(word, at):
                return None
            at += len(word)
            continue
        run = _WHITESPACE.match(text, at)
        if run is None:
            return at if at == len(text) else None
        if run.group().count("\n") < word.count("\n"):
            return None
        at = run.end()
    return at
