"""The lines that nearly all messages of a shape have: their template; what is left is each one's own material."""

from collections import Counter
from collections.abc import Callable, Sequence

from pipeline.profile.families import masked

STANDING_SHARE = 0.9
"""Share of the messages from which on a line is part of their template."""


def removed(messages: Sequence[str], form_of: Callable[[str], str] = masked) -> list[str]:
    """The messages without their template.

    `form_of`: what of a line must be the same; by default its text without numbers and names.
    """
    return split(messages, form_of)[1]


def split(messages: Sequence[str], form_of: Callable[[str], str] = masked) -> tuple[str, list[str]]:
    """The template, as the first message has it, and the material; a message that is template alone stays whole."""
    lines_of = [[(text := line.strip(), form_of(text)) for line in message.splitlines()] for message in messages]
    counts = Counter(form for lines in lines_of for form in {form for _, form in lines if form})
    standing = {form for form, n in counts.items() if n >= STANDING_SHARE * len(messages)}
    kept = ["\n".join(line for line, form in lines if form not in standing) for lines in lines_of]
    template = "\n".join(line for line, form in lines_of[0] if form in standing) if lines_of else ""
    return template, [own or message for own, message in zip(kept, messages, strict=True)]
