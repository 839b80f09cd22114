"""Finds the registered call site of a request: by its call-site tag, else by its fixed text. Pure.

The fixed text is what the application sends in every request: the system prompt, and the fixed part of the user's
message. A lookup takes one dictionary access for a known system prompt, and a few comparisons otherwise. A system
prompt that matches none may be an edited one (`edited_prompts.py`).
"""

from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from traffic.callsites import CallSite, Registry, ShapeTemplate
from traffic.edited_prompts import EditedPrompts
from traffic.prompts import SYSTEM_ROLES, MessagePattern, SlotBounds, between, normalise
from traffic.record import Message

_HEAD = 12
"""Length of the prefix by which patterns are looked up."""
_REMEMBERED = 2048
_REMEMBERED_CHARS = 65_536


class Match(NamedTuple):
    """The registry entry of a request, and the template that matched (None if found by tag only)."""

    entry: CallSite
    template: ShapeTemplate | None


class _Candidate(NamedTuple):
    entry: CallSite
    template: ShapeTemplate
    user: MessagePattern | None


def standing_parts(messages: Sequence[Message]) -> tuple[str | None, str]:
    """Leading system texts joined by a blank line (None without any), and the text of the first user message."""
    system: list[str] = []
    leading, user = True, ""
    for message in messages:
        if message.role not in SYSTEM_ROLES:
            leading = False
        elif leading:
            system.append(message.text)
        if message.role == "user":
            user = message.text
            break
    return ("\n\n".join(system) if system else None), user


class ShapeIndex:
    """Index of the registry for lookups by request."""

    def __init__(self, registry: Registry) -> None:
        self._by_name = {site.name: site for site in registry.call_sites}
        self._exact: dict[str, list[_Candidate]] = defaultdict(list)
        self._slotted: dict[str, list[tuple[MessagePattern, _Candidate]]] = defaultdict(list)
        self._user_only: dict[str, list[_Candidate]] = defaultdict(list)
        self._remembered: OrderedDict[str, tuple[_Candidate, ...]] = OrderedDict()
        for site in registry.call_sites:
            for template in site.templates:
                self._add(site, template)
        self._any = bool(self._exact or self._slotted or self._user_only)
        self._systems = list(self._by_system().items())
        self._edited = EditedPrompts([prompt for prompt, _ in self._systems])
        # More specific user patterns are tried first.
        for group in (*self._exact.values(), *self._user_only.values()):
            group.sort(key=lambda c: -sum(map(len, c.user.literals)) if c.user is not None else 1)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def find(self, call_site: str | None, messages: Sequence[Message]) -> Match | None:
        """The entry of a request: by a registered tag, else by template, which may override tier and request type."""
        named = self._by_name.get(call_site) if call_site is not None else None
        if named is not None and all(t.tier is None and t.request_type is None for t in named.templates):
            return Match(named, None)
        if not self._any:
            return Match(named, None) if named is not None else None
        system, user = standing_parts(messages)
        candidates = self._of_system(system) if system is not None else self._of_user(user)
        for candidate in candidates:
            if named is not None and candidate.entry.name != named.name:
                continue
            if candidate.user is None or holds(candidate.user, user.strip()):
                return Match(_of_shape(candidate.entry, candidate.template), candidate.template)
        return Match(named, None) if named is not None else None

    def entry(self, call_site: str | None, messages: Sequence[Message]) -> CallSite | None:
        """The entry of a request, with overrides of its template; None if unknown."""
        match = self.find(call_site, messages)
        return match.entry if match is not None else None

    def _add(self, site: CallSite, template: ShapeTemplate) -> None:
        system = next((p for p in template.messages if p.role in SYSTEM_ROLES), None)
        user = next((p for p in template.messages if p.role not in SYSTEM_ROLES), None)
        candidate = _Candidate(site, template, user)
        if system is None:
            if user is not None:
                self._user_only[_head(user)].append(candidate)
        elif system.slot:
            even = msgspec.structs.replace(
                system, prefix=_even(system.prefix).lstrip(), suffix=_even(system.suffix).rstrip(),
                middles=tuple(map(_even, system.middles)),
            )  # fmt: skip
            self._slotted[_head(even)].append((even, candidate))
        else:
            self._exact[normalise(system.prefix)].append(candidate)

    def _by_system(self) -> dict[tuple[str, tuple[str, ...]], list[_Candidate]]:
        """Candidates by call site and fixed texts of their system prompt."""
        candidates: defaultdict[tuple[str, tuple[str, ...]], list[_Candidate]] = defaultdict(list)
        for text, exact in self._exact.items():
            for candidate in exact:
                candidates[candidate.entry.name, (text,)].append(candidate)
        for slotted in self._slotted.values():
            for pattern, candidate in slotted:
                candidates[candidate.entry.name, pattern.literals].append(candidate)
        return candidates

    def _of_system(self, text: str) -> Sequence[_Candidate]:
        cached = self._remembered.get(text)
        if cached is not None:
            return cached
        even = normalise(text)
        candidates = list(self._exact.get(even, ()))
        slotted = [*self._slotted.get(even[:_HEAD], ()), *self._slotted.get("", ())]
        matching = [(pattern, candidate) for pattern, candidate in slotted if holds(pattern, even)]
        matching.sort(key=lambda pair: -sum(map(len, pair[0].literals)))
        candidates += [candidate for _, candidate in matching]
        if not candidates and (number := self._edited.find(even)) is not None:
            candidates = list(self._systems[number][1])
        candidates.sort(key=lambda candidate: candidate.user is None)
        result = tuple(candidates)
        if len(text) <= _REMEMBERED_CHARS:
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.popitem(last=False)
            self._remembered[text] = result
        return result

    def _of_user(self, text: str) -> Sequence[_Candidate]:
        text = text.strip()
        if not self._user_only:
            return ()
        candidates = [*self._user_only.get(text[:_HEAD], ()), *self._user_only.get("", ())]
        return [candidate for candidate in candidates if candidate.user is not None and holds(candidate.user, text)]


def holds(pattern: MessagePattern, text: str) -> bool:
    """Whether a text has the pattern's fixed parts, with slots within their limits."""
    if not pattern.slot:
        return text == pattern.prefix
    slots = between(pattern.literals, text)
    if slots is None:
        return False
    return all(
        SlotBounds.allow(bounds, text[start:end]) for bounds, (start, end) in zip(pattern.bounds, slots, strict=False)
    )


def _head(pattern: MessagePattern) -> str:
    return pattern.prefix[:_HEAD] if len(pattern.prefix) >= _HEAD else ""


def _even(text: str) -> str:
    """`normalise` without stripping: the surrounding whitespace is next to a slot."""
    inner = normalise(f"x{text}x")
    return inner[1:-1]


def _of_shape(entry: CallSite, template: ShapeTemplate) -> CallSite:
    if template.tier is None and template.request_type is None:
        return entry
    return msgspec.structs.replace(
        entry,
        tier=template.tier or entry.tier,
        request_type=template.request_type or entry.request_type,
        checks=entry.checks,
    )
