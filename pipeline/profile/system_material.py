"""Material in system prompts: the document, record or menu that an application puts there for one request."""

from collections.abc import Sequence
from statistics import median
from typing import Any

import msgspec

from pipeline.profile import answers, template_lines
from pipeline.profile.sample import Sampled
from traffic.prompts import SYSTEM_ROLES
from traffic.record import Message

VARYING_SHARE = 0.5
"""Share of different system prompts in a shape from which on what differs is material, not a few variants."""
MATERIAL_WORDS = 20
"""Median words of what differs, below which it is a date, a name or the like."""


def apart(samples: Sequence[Sampled]) -> Sequence[Sampled]:
    """The requests of a shape with such material at the beginning of the user's last message.

    Where a text stands says nothing about the task, so that it is measured as if all applications sent it alike. The
    same list where the system prompts hold none.
    """
    systems = [s.system or "" for s in samples]
    if len(set(systems)) < VARYING_SHARE * len(systems):
        return samples
    template, materials = template_lines.split(systems, form_of=str)
    if not template or median(map(answers.word_count, materials)) < MATERIAL_WORDS:
        return samples
    return [_moved(s, template, material) for s, material in zip(samples, materials, strict=True)]


def _moved(sampled: Sampled, template: str, material: str) -> Sampled:
    # A prompt without such material, or of another template, is whole.
    if material == (sampled.system or ""):
        return sampled
    turns = [m for m in sampled.messages if m.role not in SYSTEM_ROLES]
    last = max((n for n, m in enumerate(turns) if m.role == "user"), default=None)
    if last is None:
        return sampled
    turns[last] = msgspec.structs.replace(turns[last], content=_preceded(turns[last].content, material))
    return msgspec.structs.replace(sampled, system=template, messages=(Message("system", template), *turns))


def _preceded(content: str | list[dict[str, Any]] | None, material: str) -> str | list[dict[str, Any]]:
    """The content of a message after the material, with its images."""
    if isinstance(content, list):
        return [{"type": "text", "text": material}, *content]
    return f"{material}\n{content or ''}"
