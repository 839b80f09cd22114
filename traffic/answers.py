"""The canonical form of an answer: without reasoning, fences, quotes and invisible characters; labels as listed.

Logged answers of a large model vary in form: `Refund`, `"refund"`, `refund.`, a Markdown fence around JSON, a block of
reasoning in front. The application evidently accepts them, so a small model is trained on one form of each. What cannot
be brought into that form is returned as it is, and fails the checks.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence

import msgspec

from traffic.callsites import Checks

_OPENING = r"think|thinking|thought|thoughts|reasoning|reflection|scratchpad|analysis"
# A block at the beginning only: further down, a tag may be what the task is about.
_REASONING = re.compile(
    rf"""\s*(?:
        <(?P<tag>{_OPENING})>.*?</(?P=tag)>
        | \[(?P<bracket>THINK|REASONING)\].*?\[/(?P=bracket)\]
        | ◁think▷.*?◁/think▷
        | <\|begin_of_(?P<pipe>thought|thinking)\|>.*?<\|end_of_(?P=pipe)\|>
        | (?:<\|start\|>assistant)?<\|channel\|>(?:analysis|commentary)<\|message\|>.*?<\|end\|>
    )""",
    re.DOTALL | re.VERBOSE | re.IGNORECASE,
)
# Chat templates that write the opening tag themselves leave only the closing one in the answer.
_CLOSED_ONLY = re.compile(rf"(?:(?!<(?:{_OPENING})>).)*?</(?:{_OPENING})>", re.DOTALL | re.IGNORECASE)
_UNCLOSED = re.compile(rf"\s*(?:<(?:{_OPENING})>|\[THINK\]|◁think▷|<\|begin_of_thought\|>)", re.IGNORECASE)
_FINAL = re.compile(r"\s*(?:<\|start\|>assistant)?<\|channel\|>final<\|message\|>|\s*<\|begin_of_solution\|>")
_FINAL_END = re.compile(r"(?:<\|(?:end|return|end_of_solution)\|>)\s*$")
_FENCE = re.compile(r"(`{3,}|~{3,})[ \t]*[\w+-]*[ \t]*\r?\n?(.*?)\r?\n?\1", re.DOTALL)
_LEAD = re.compile(
    r"(?:the\s+)?(?:final\s+)?(?:answer|label|labels|category|categories|class|classification|intent|topic|sentiment"
    r"|result|output|antwort|kategorie|réponse|respuesta)(?:\s+is)?\s*(?:[:=]|->|→)\s*",
    re.IGNORECASE,
)
_QUOTES = "\"'`“”„‟‘’‚«»‹›「」『』"
_MARKS = f"{_QUOTES}*"
_STOPS = ".。!;,"
_SEPARATOR = re.compile(r"\s*[,;|\n、，；]\s*")


def without_reasoning(text: str) -> str:
    """The answer behind its blocks of reasoning; nothing of a block that never ends, since no answer follows it."""
    if "<" not in text and "[" not in text and "◁" not in text:
        return text
    rest = text
    while (block := _REASONING.match(rest)) is not None:
        rest = rest[block.end() :]
    if (final := _FINAL.match(rest)) is not None:
        rest = _FINAL_END.sub("", rest[final.end() :])
    elif rest is text and (closed := _CLOSED_ONLY.match(rest)) is not None:
        rest = rest[closed.end() :]
    if _UNCLOSED.match(rest) is not None:
        return ""
    return text if rest is text else rest.strip()


def visible(text: str) -> str:
    """The text in NFC, without invisible characters and with plain spaces. For labels and JSON, not for prose: joiners
    are part of some scripts and of emoji."""
    if text.isascii():
        return text
    composed = unicodedata.normalize("NFC", text)
    kept = (" " if unicodedata.category(c) == "Zs" else c for c in composed if unicodedata.category(c) != "Cf")
    return "".join(kept)


def unfenced(text: str) -> str:
    """What stands inside a Markdown fence that is the whole answer."""
    stripped = text.strip()
    fence = _FENCE.fullmatch(stripped)
    return fence[2].strip() if fence is not None else stripped


def bare(text: str) -> str:
    """One line of an answer without fence, emphasis, quotes, final stop and `Answer:` in front."""
    answer = unfenced(visible(text))
    for _ in range(3):
        before = answer
        answer = _LEAD.sub("", answer.strip(), count=1) if _LEAD.match(answer.strip()) else answer.strip()
        answer = _unwrapped(answer.rstrip(_STOPS).rstrip())
        if answer == before:
            break
    return answer


def folded(text: str) -> str:
    """Equal for spellings of one label: case, quotes, final stops, and how words are joined do not count."""
    return re.sub(r"[_-]", " ", re.sub(r"\s+", " ", bare(text).casefold()))


def resolve_label(text: str, labels: Iterable[str]) -> str | None:
    """The label that an answer spells in its own way; None where it spells none, or fits several."""
    known = tuple(labels)
    stripped = text.strip()
    if stripped in known:
        return stripped
    one = bare(text)
    if one in known:
        return one
    for same in (str.casefold, folded):
        fitting = [label for label in known if same(label) == same(one)]
        if fitting:
            return fitting[0] if len(fitting) == 1 else None
    return None


def items_of(text: str) -> list[str] | None:
    """The members of an answer that is a JSON list of texts, or a row of items with separators; None: it is neither."""
    answer = unfenced(visible(text))
    if answer.startswith("["):
        return _json_list(answer)
    if answer.startswith("{"):
        return None
    items = [bare(re.sub(r"^\s*(?:[-*•]|\d+[.)])\s+", "", item)) for item in _SEPARATOR.split(bare(answer))]
    return [item for item in items if item]


def resolve_labels(text: str, checks: Checks) -> str | None:
    """A set of labels in its canonical form: each once, in the order of the label set; None where one is unknown."""
    items = items_of(text)
    if items is None:
        return None
    found = [resolve_label(item, checks.labels) for item in items]
    if None in found:
        return None
    return joined({label for label in found if label is not None}, checks)


def joined(labels: Iterable[str], checks: Checks) -> str:
    """A set of labels as the call site writes it: a JSON list, or separated by commas."""
    chosen = set(labels)
    ordered = [label for label in checks.labels if label in chosen]
    return msgspec.json.encode(ordered).decode() if checks.multiple == "json" else ", ".join(ordered)


def labels_of(answer: str, checks: Checks) -> tuple[str, ...]:
    """The labels in a canonical answer: one, or the members of a set."""
    if checks.multiple is None:
        return (answer,)
    return tuple(items_of(answer) or ())


def resolve(text: str, checks: Checks, *, keep_reasoning: bool = False) -> str:
    """The canonical form of a logged answer as far as it has one; else the answer without the whitespace around it."""
    answer = (text if keep_reasoning else without_reasoning(text)).strip()
    if checks.labels:
        found = resolve_labels(answer, checks) if checks.multiple else resolve_label(answer, checks.labels)
        return answer if found is None else found
    if checks.json or checks.json_schema is not None:
        # Invisible characters inside a value are its own; around the document they are nobody's.
        return unfenced(answer.strip("\u200b\u200c\u200d\u2060\ufeff\u00ad \t\r\n"))
    return answer.strip("\u200b\u2060\ufeff").strip()


def _unwrapped(answer: str) -> str:
    while len(answer) > 1 and answer[0] in _MARKS and answer[-1] in _MARKS:
        answer = answer[1:-1].strip()
    return answer


def _json_list(text: str) -> list[str] | None:
    try:
        return msgspec.json.decode(text, type=list[str])
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None


def sets(answers: Sequence[str]) -> bool:
    """Whether these answers are sets of items: enough of them have several."""
    several = sum(len(items_of(answer) or ()) > 1 for answer in answers)
    return several >= max(2, 0.05 * len(answers))
