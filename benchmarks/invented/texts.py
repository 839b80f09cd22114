"""Words and sentences that the invented companies' texts are made of."""

import random
import re
from collections.abc import Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")

FIRST = "Ana Bo Cem Dora Eli Finn Gia Hugo Ines Jan Kira Luis Mei Nora Omar Pia Quinn Rosa Sven Tara".split()
LAST = "Abel Brandt Costa Diaz Egli Ferri Grau Huber Ito Jansen Keller Lemaire Moreau Novak Ortiz Pires".split()
CITIES = "Bergen Lyon Porto Graz Siena Ghent Turku Split Leiden Cork Malaga Bremen Nantes Osaka Lodz".split()
THINGS = (
    "desk lamp,rain jacket,coffee grinder,bike pump,yoga mat,wool scarf,phone case,garden hose,bread knife,tent,"
    "water bottle,notebook,headphones,kettle,door lock,rug,toaster,backpack,mirror,shelf"
).split(",")
FILLERS = (
    "I have been a customer for years.", "Thanks in advance.", "Please get back to me soon.", "Hope you are well.",
    "This is the second time I write.", "My neighbour had the same.", "I checked the website already.",
    "Let me know what you need from me.", "It is not urgent but annoying.", "Best regards.",
)  # fmt: skip
_SUBJECTS = (
    "the team", "our supplier", "the new warehouse", "the board", "finance", "the pilot group", "legal", "the vendor",
    "marketing", "the client", "the city council", "the second shift", "engineering", "the auditor",
)  # fmt: skip
_VERBS = (
    "agreed to postpone", "asked for more detail on", "rejected", "signed off on", "raised concerns about", "praised",
    "will look again at", "measured", "compared", "could not explain", "budgeted for", "moved forward with",
)  # fmt: skip
_OBJECTS = (
    "the rollout in spring", "the price list", "the packaging change", "the hiring plan", "the delivery windows",
    "the quality report", "the lease", "the training days", "the returns desk", "the energy bill", "the rebranding",
    "the customer survey", "the insurance terms", "the safety walk", "the data migration",
)  # fmt: skip
_ENDS = (
    "after a long discussion", "because of the cost", "until the figures are in", "despite the delay", "by Friday",
    "with two people against it", "as nobody objected", "for the third time", "without a clear owner", "by a hair",
)  # fmt: skip


def pick(r: random.Random, values: Sequence[T]) -> T:
    return values[r.randrange(len(values))]


def name(r: random.Random) -> str:
    return f"{pick(r, FIRST)} {pick(r, LAST)}"


def day(r: random.Random) -> str:
    return f"2026-{r.randint(1, 12):02}-{r.randint(1, 28):02}"


def money(r: random.Random, low: int = 5, high: int = 900) -> str:
    return f"{r.randint(low, high)}.{r.randint(0, 99):02}"


def code(r: random.Random, letters: int = 2, digits: int = 5) -> str:
    return "".join(r.choice("ABCDEFGHKLMNPRSTUVWX") for _ in range(letters)) + "".join(
        r.choice("0123456789") for _ in range(digits)
    )


def sentence(r: random.Random) -> str:
    text = f"{pick(r, _SUBJECTS)} {pick(r, _VERBS)} {pick(r, _OBJECTS)} {pick(r, _ENDS)}."
    return text[0].upper() + text[1:]


def prose(r: random.Random, sentences: int) -> str:
    """Business prose, a paragraph for every six sentences."""
    listed = [sentence(r) for _ in range(sentences)]
    return "\n\n".join(" ".join(listed[n : n + 6]) for n in range(0, len(listed), 6))


def transcript(r: random.Random, turns: int) -> str:
    who = [pick(r, FIRST) for _ in range(3)]
    return "\n".join(f"{pick(r, who)}: {sentence(r)}" for _ in range(turns))


def labelled(r: random.Random, cues: Mapping[str, Sequence[str]], noise: float = 0.1) -> tuple[str, str]:
    """A short message with a cue of one of the labels in it, and the label; now and then another one's cue."""
    label = pick(r, tuple(cues))
    cue = pick(r, cues[pick(r, tuple(cues)) if r.random() < noise else label])
    parts = [f"{cue} ({pick(r, THINGS)})", pick(r, FILLERS)]
    r.shuffle(parts)
    return f"{' '.join(parts)} {pick(r, FIRST)}", label


def misspelt(r: random.Random, text: str) -> str:
    """The text with a few letters swapped or lost."""
    letters = list(text)
    for _ in range(max(2, len(text) // 40)):
        at = r.randrange(1, len(letters) - 2)
        if letters[at].isalpha() and letters[at + 1].isalpha():
            letters[at], letters[at + 1] = letters[at + 1], letters[at]
    return "".join(letters)


_SLOT = re.compile(r"\{([a-z_]+)\}")


def fill(r: random.Random, pattern: str, words: Mapping[str, Sequence[str]]) -> str:
    """The pattern with each {slot} replaced by one of its words, which may hold slots themselves."""
    while slot := _SLOT.search(pattern):
        pattern = pattern[: slot.start()] + pick(r, words[slot[1]]) + pattern[slot.end() :]
    return pattern


def slip(r: random.Random, right: str, values: Sequence[str], rate: float = 0.02) -> str:
    """The right answer, now and then another one: models err."""
    return pick(r, values) if r.random() < rate else right


def spin(r: random.Random, text: str, **words: str | Sequence[str]) -> str:
    """The text with each `<name>` replaced by one of `words[name]` and each `[a|b]` by one of its alternatives."""
    while found := re.search(r"<(\w+)>", text):
        word = words[found[1]]
        text = text[: found.start()] + (word if isinstance(word, str) else pick(r, word)) + text[found.end() :]
    while found := re.search(r"\[([^\[\]]*)\]", text):
        text = text[: found.start()] + pick(r, found[1].split("|")) + text[found.end() :]
    return text.replace(" .", ".")


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def typed(r: random.Random, text: str) -> str:
    """The text as people type it: now and then without capitals, full stop or care."""
    if r.random() < 0.25:
        text = text.lower()
    if r.random() < 0.3:
        text = text.rstrip(".")
    return misspelt(r, text) if r.random() < 0.12 and len(text) > 8 else text


def cued(
    r: random.Random, cues: Mapping[str, Sequence[str]], noise: float = 0.03, *, words: Mapping[str, str]
) -> tuple[str, str]:
    """A message made from one label's templates, and the label: earlier labels are commoner, `noise` are mislabelled."""
    labels = tuple(cues)
    label = r.choices(labels, [1 / (n + 3) for n in range(len(labels))])[0]
    return spin(r, pick(r, cues[pick(r, labels) if r.random() < noise else label]), **words), label


def mangled(r: random.Random, answer: str, rate: float = 0.02) -> str:
    """The answer, at times with the prose, fence or cut that a client did not ask for."""
    if r.random() >= rate:
        return answer
    return pick(
        r,
        (
            f"Answer: {answer}",
            f"```\n{answer}\n```",
            f"{answer}\n\nLet me know if you need more.",
            answer[: max(1, len(answer) * 2 // 3)],
        ),
    )


def grounded(
    r: random.Random, articles: Sequence[tuple[str, str, tuple[str, ...], str]], others: int
) -> tuple[list[tuple[str, str]], str, str]:
    """Retrieved articles, a question and its answer; the answer is empty where its article was not retrieved."""

    def figures() -> dict[str, str]:
        return {"a": str(r.randint(2, 14)), "b": str(r.randint(15, 60)), "m": pick(r, ("March", "June", "September"))}

    title, passage, asks, answer = pick(r, articles)
    told = figures()
    listed = [(t, spin(r, p, **figures())) for t, p, *_ in r.sample(articles, others + 1) if t != title][:others]
    if known := r.random() < 0.92:
        listed.append((title, spin(r, passage, **told)))
    r.shuffle(listed)
    opening = pick(r, ("", "", "", "In short: ", "Good question. ", "Happy to help: ", "Thanks for asking. "))
    return listed, typed(r, spin(r, pick(r, asks), **told)), opening + spin(r, answer, **told) if known else ""
