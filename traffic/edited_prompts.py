"""Recognises a registered system prompt after an edit, by sentences that only its call site has. Pure.

Applications reword a rule of a prompt, add one or leave one out between two profiles. What is left of the prompt still
identifies the call site, unless other call sites have it too.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

KEPT_SHARE = 0.6
"""Share of a prompt's own text that the edited prompt must still have; or the share of the edited prompt that must be
the registered prompt's own, if much was left out."""
LEAST_KEPT_SHARE = 0.3
"""Share of the registered prompt's own text that must be left in any case: a persona alone is no task."""
KEPT_CHARS = 40
"""Length of own text, in characters, below which nothing is recognised: short prompts are alike."""
_SENTENCE_CHARS = 12
"""Shorter sentences and headings ("Rules:", "Be brief.") identify nothing."""
_MAX_CHARS = 16_384
_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n+")


class EditedPrompts:
    """Index of registered system prompts by their sentences."""

    def __init__(self, prompts: Sequence[tuple[str, Sequence[str]]]) -> None:
        """`prompts`: call site and fixed texts (one, or those between slots) of each prompt, normalised."""
        self._sites = [site for site, _ in prompts]
        sentences = [[s for text in texts for s in _sentences(text)] for _, texts in prompts]
        prompts_with: defaultdict[str, set[int]] = defaultdict(set)
        for number, listed in enumerate(sentences):
            for sentence in listed:
                prompts_with[sentence].add(number)
        self._own = {
            sentence: tuple(sorted(numbers))
            for sentence, numbers in prompts_with.items()
            if len({self._sites[number] for number in numbers}) == 1
        }
        self._own_chars = [sum(len(s) for s in set(listed) if s in self._own) for listed in sentences]

    def find(self, text: str) -> int | None:
        """Number of the prompt of which `text` (normalised) is an edited form; None: of none, or of two call sites."""
        if len(text) > _MAX_CHARS:
            return None
        sentences = set(_sentences(text))
        kept: Counter[int] = Counter()
        for sentence in sentences:
            for number in self._own.get(sentence, ()):
                kept[number] += len(sentence)
        if not kept:
            return None
        best, chars = max(kept.items(), key=lambda item: (item[1], -item[0]))
        if any(2 * other > chars and self._sites[number] != self._sites[best] for number, other in kept.items()):
            return None
        all_chars = sum(map(len, sentences))
        own_chars = self._own_chars[best]
        shortened = chars >= KEPT_SHARE * all_chars and chars >= LEAST_KEPT_SHARE * own_chars
        enough = chars >= KEPT_SHARE * own_chars or shortened
        return best if enough and chars >= KEPT_CHARS else None


def _sentences(text: str) -> list[str]:
    return [s for part in _END.split(text) if len(s := part.strip()) >= _SENTENCE_CHARS]
