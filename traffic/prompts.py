"""Prompt templates of a call site: fixed text and variable slots.

A `Template` is the fixed text around the slots of each message. Templates are found in the log (`templates.py`), stored
in `adapter.yaml`, and matched against live requests. A request that matches none does not go to the adapter, which was
not trained on such prompts.
"""

import bisect
import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec

from traffic import control_tokens
from traffic.record import Message


class SlotBounds(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Limits on the value of a slot; a text beyond them belongs to another prompt."""

    values: tuple[str, ...] = ()
    """All possible values, such as names of plans; empty: any text within the other limits."""
    max_words: int | None = None
    max_chars: int | None = None
    max_lines: int | None = None

    def allow(self, value: str) -> bool:
        if self.values:
            return value in self.values or " ".join(value.split()) in self.values
        if self.max_chars is not None and len(value) > self.max_chars:
            return False
        if self.max_lines is not None and value.count("\n") >= self.max_lines:
            return False
        return self.max_words is None or len(value.split()) <= self.max_words


class MessagePattern(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One message of a template: `prefix + slot + middle + slot + ... + suffix`, or the prefix alone without slots."""

    role: str
    prefix: str = ""
    suffix: str = ""
    slot: bool = False
    """Whether the message has slots."""
    middles: tuple[str, ...] = ()
    """Fixed texts between the slots; there is one more slot than middles."""
    bounds: tuple[SlotBounds, ...] = ()
    """Limits of each slot in order; empty: no limits."""

    @property
    def literals(self) -> tuple[str, ...]:
        """The fixed texts, one more than slots."""
        return (self.prefix, *self.middles, self.suffix) if self.slot else (self.prefix,)

    @property
    def slots(self) -> int:
        return len(self.middles) + 1 if self.slot else 0


class Template(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A call site's prompt (`original`), and the shorter one for the adapter (`pruned`).

    Both have the same slots in the same order.
    """

    id: Annotated[str, msgspec.Meta(min_length=8, max_length=8)]
    """First 8 hex digits of the SHA-256 of `original`."""
    original: tuple[MessagePattern, ...]
    pruned: tuple[MessagePattern, ...]


Messages = list[dict[str, Any]]
"""Chat messages as JSON objects with at least `role` and `content`."""

SYSTEM_ROLES = ("system", "developer")

_BLANKS = re.compile(r"[ \t]+")
# A run of whitespace that `normalise` changes; possessive, so that no run is scanned twice.
_UNEVEN = re.compile(r"[ \t]++(?:\r\n?|\n)?|\r\n?")
_WHITESPACE = re.compile(r"\s+")
_CACHED_CHARS = 32_768


def normalise(text: str) -> str:
    """NFC, line ends as `\\n`, runs of spaces and tabs as one space, no trailing or outer whitespace. Idempotent."""
    # Static system prompts recur with every request; long documents do not, and would fill the cache.
    return _normalised_again(text) if len(text) <= _CACHED_CHARS else _normalised(text)


def _normalised(text: str) -> str:
    text = unicodedata.normalize("NFC", text)
    if not _uneven(text):
        return text.strip()
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _BLANKS.sub(" ", text).replace(" \n", "\n").strip()


def _uneven(text: str) -> bool:
    return "  " in text or "\t" in text or "\r" in text or " \n" in text


_normalised_again = lru_cache(maxsize=256)(_normalised)


class PlainMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A message with only a role and a text, like most. Fields in alphabetical order, as `_encoder` sorts keys."""

    content: str
    role: str

    @property
    def text(self) -> str:
        return self.content


_decode_plain = msgspec.json.Decoder(list[PlainMessage]).decode
_encoder = msgspec.json.Encoder(order="sorted")


def plain_messages(raw: msgspec.Raw | bytes) -> list[PlainMessage] | None:
    """Decode messages that have only roles and texts; None for all others, or if they are not messages."""
    try:
        return _decode_plain(raw)
    except msgspec.ValidationError:
        return None


def canonical_messages(raw: msgspec.Raw | bytes) -> bytes:
    """JSON with sorted keys and without the whitespace and escapes in which log formats differ.

    Bytes that are not JSON are returned unchanged.
    """
    try:
        return _encoder.encode(msgspec.json.decode(raw))
    except msgspec.DecodeError:
        return bytes(raw)


def request_hash(call_site: str | None, canonical: bytes, tools: list[dict[str, Any]] | None) -> str:
    """16 hex digits over call site, messages and tools as JSON values: equal for exact duplicates.

    `canonical`: messages from `canonical_messages`.
    """
    return _with_tools(_hash_begun(call_site, canonical), tools)


def plain_request_hash(
    call_site: str | None, messages: Sequence[PlainMessage], tools: list[dict[str, Any]] | None
) -> str:
    """Equal to `request_hash` of the messages' canonical JSON, but faster."""
    if len(messages) > 1 and len(messages[0].content) <= _CACHED_CHARS:
        digest = _hash_of_first(call_site, messages[0].role, messages[0].content).copy()
        digest.update(b"," + _encoder.encode(messages[1:])[1:])
    else:
        digest = _hash_begun(call_site, _encoder.encode(messages))
    return _with_tools(digest, tools)


# The first message (usually the system prompt) is hashed once and cached.
@lru_cache(maxsize=256)
def _hash_of_first(call_site: str | None, role: str, content: str) -> "hashlib.blake2b":
    return _hash_begun(call_site, _encoder.encode([PlainMessage(content=content, role=role)])[:-1])


def _hash_begun(call_site: str | None, canonical: bytes) -> "hashlib.blake2b":
    digest = hashlib.blake2b((call_site or "").encode() + b"\0", digest_size=8)
    digest.update(canonical)
    return digest


def _with_tools(digest: "hashlib.blake2b", tools: list[dict[str, Any]] | None) -> str:
    if tools:
        digest.update(b"\0" + _encoder.encode(tools))
    return digest.hexdigest()


def system_hash(messages: Sequence[Message | PlainMessage]) -> str | None:
    """16 hex digits over the normalised text of the leading system messages; None without any."""
    texts = []
    for message in messages:
        if message.role not in SYSTEM_ROLES:
            break
        texts.append(message.text)
    if not texts:
        return None
    return _hashed_again(tuple(texts)) if sum(map(len, texts)) <= _CACHED_CHARS else _hashed(texts)


def _hashed(texts: Sequence[str]) -> str:
    joined = "\0".join(map(normalise, texts))
    return hashlib.blake2b(joined.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


_hashed_again = lru_cache(maxsize=256)(_hashed)


def match(template: Template, messages: Messages) -> tuple[str, ...] | None:
    """Values of the slots of a request, or None if it does not match the template.

    Differences in whitespace (and in Unicode composition of fixed messages) are ignored. Fixed text between two slots
    matches at its first occurrence. Time is linear in the length of the request.
    """
    if len(messages) != len(template.original):
        return None
    slots: list[str] = []
    for pattern, message in zip(template.original, messages, strict=True):
        content = message.get("content")
        if message.get("role") != pattern.role or not isinstance(content, str) or message.get("tool_calls"):
            return None
        if pattern.slot:
            values = _slots(pattern, content)
            if values is None or (pattern.bounds and not all(map(SlotBounds.allow, pattern.bounds, values))):
                return None
            slots += values
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
    """Messages of one side of the template. For the pruned side, which goes to own models, control tokens in the slots
    are escaped. Raises: ValueError if the number of slots is wrong.
    """
    patterns = template.pruned if side == "pruned" else template.original
    filling = list(map(control_tokens.escape, slots)) if side == "pruned" else slots
    rendered: list[dict[str, Any]] = []
    used = 0
    for pattern in patterns:
        content = pattern.prefix
        if pattern.slot:
            first, used = used, used + pattern.slots
            content = _filled(pattern, filling[first:used]) if used <= len(slots) else ""
        rendered.append({"role": pattern.role, "content": content})
    if used != len(slots):
        raise ValueError(f"template {template.id} has {used} slots, got {len(slots)}")
    return rendered


def _filled(pattern: MessagePattern, slots: Sequence[str]) -> str:
    if not pattern.middles:
        return f"{pattern.prefix}{slots[0]}{pattern.suffix}"
    first, *rest = pattern.literals
    return first + "".join(slot + literal for slot, literal in zip(slots, rest, strict=True))


def _slots(pattern: MessagePattern, content: str) -> tuple[str, ...] | None:
    if not pattern.middles:
        slot = _slot(pattern, content)
        return None if slot is None else (slot,)
    ranges = spans(pattern.literals, content)
    return None if ranges is None else tuple(content[start:end] for start, end in ranges)


def spans(literals: tuple[str, ...], content: str) -> list[tuple[int, int]] | None:
    """Start and end of every slot between `literals`, ignoring whitespace differences; None without a match."""
    ranges = between(literals, content)
    if ranges is not None or not (_uneven(content) or _uneven_literals(literals) or content != content.strip()):
        return ranges
    evened, origin, source = _evened(content)
    ranges = between(_even_literals(literals), evened)
    if ranges is None:
        return None

    def back(at: int) -> int:
        n = bisect.bisect_right(origin, at) - 1
        return source[n] + at - origin[n]

    return [(back(start), back(end)) for start, end in ranges]


def between(literals: tuple[str, ...], text: str) -> list[tuple[int, int]] | None:
    """Start and end of every slot. Takes the leftmost literals, which finds a match if one exists."""
    prefix, *middles, suffix = literals
    position, end = len(prefix), len(text) - len(suffix)
    if position > end or not text.startswith(prefix) or not text.endswith(suffix):
        return None
    spans = []
    for middle in middles:
        start = text.find(middle, position, end)
        if start < 0:
            return None
        spans.append((position, start))
        position = start + len(middle)
    return [*spans, (position, end)]


def _evened(text: str) -> tuple[str, list[int], list[int]]:
    """`text` with normalised whitespace, and the starts of its unchanged parts in the result and in `text`."""
    start, stop = len(text) - len(text.lstrip()), len(text.rstrip())
    parts, origin, source = [], [0], [start]
    at, length = start, 0
    for run in _UNEVEN.finditer(text, start, max(start, stop)):
        blank = run.group()
        if blank == " ":
            continue
        even = "\n" if blank.endswith(("\n", "\r")) else " "
        parts += [text[at : run.start()], even]
        length += run.start() - at + 1
        at = run.end()
        origin.append(length)
        source.append(at)
    parts.append(text[at : max(start, stop)])
    return "".join(parts), origin, source


@lru_cache(maxsize=256)
def _uneven_literals(literals: tuple[str, ...]) -> bool:
    return _even_literals(literals) != literals


@lru_cache(maxsize=256)
def _even_literals(literals: tuple[str, ...]) -> tuple[str, ...]:
    even = [_BLANKS.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n")).replace(" \n", "\n") for text in literals]
    return even[0].lstrip(), *even[1:-1], even[-1].rstrip()


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
    """End of the prefix `literal` in `text`, where all runs of whitespace are equal; None if it is not a prefix."""
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
