"""The canonical form of an answer: without reasoning, fences, quotes and invisible characters; labels as listed.

Logged answers of a large model vary in form: `Refund`, `"refund"`, `refund.`, JSON in a Markdown fence, a reasoning
block first. The application accepts all of them, so a small model is trained on one canonical form. Answers without one
are returned unchanged, and fail the checks.
"""

import ast
import contextlib
import functools
import html
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from traffic.callsites import SEPARATORS, Checks
from traffic.control_tokens import without_end

INVISIBLE = "\0\u200b\u200c\u200d\u2060\ufeff\u00ad \t\r\n"
"""Characters around an answer that are no part of it."""
_OPENING = r"(?:\w+:)?(?:think|thinking|thought|thoughts|reasoning|reflection|scratchpad|analysis)"
# Only at the beginning: further down, a tag may be part of the task's content.
_REASONING = re.compile(
    rf"""\s*(?:
        <(?P<tag>{_OPENING})>.*?</(?P=tag)>
        | \[(?P<bracket>THINK|REASONING)\].*?\[/(?P=bracket)\]
        | ◁think▷.*?◁/think▷
        | <details\s+type="reasoning"[^<>]*>.*?</details>
        | <\|begin_of_(?P<pipe>thought|thinking)\|>.*?<\|end_of_(?P=pipe)\|>
        | (?:<\|start\|>assistant)?<\|channel\|>(?:analysis|commentary)<\|message\|>.*?<\|end\|>
    )""",
    re.DOTALL | re.VERBOSE | re.IGNORECASE,
)
# With chat templates that end in the opening tag, the answer contains only the closing one.
_CLOSED_ONLY = re.compile(rf"(?:(?!<(?:{_OPENING})>).)*?</(?:{_OPENING})>", re.DOTALL | re.IGNORECASE)
_UNCLOSED = re.compile(rf"\s*(?:<(?:{_OPENING})>|\[THINK\]|◁think▷|<\|begin_of_thought\|>)", re.IGNORECASE)
_FINAL = re.compile(r"\s*(?:<\|start\|>assistant)?<\|channel\|>final<\|message\|>|\s*<\|begin_of_solution\|>")
_FENCE = re.compile(r"`{3,}|~{3,}")
_LANGUAGE = re.compile(r"[ \t]*+[\w+#.-]*+[ \t]*+(?:\r?\n|(?=[{\[]))")
_LEAD = re.compile(
    r"(?:the\s+)?(?:final\s+)?(?:answer|labels?|category|categories|class|classification|intents?|topics?|tags?|sentiment"
    r"|result|output|antwort|kategorie|réponse|respuesta|thema|klasse|stimmung|absicht|catégorie|étiquette|sujet"
    r"|categoría|etiqueta|tema|intención|categoria|etichetta|argomento|categorie|onderwerp|kategoria|temat|категория|тема"
    r"|метка|カテゴリー?|ラベル|トピック|类别|分类|标签|主题|類別|分類|標籤|主題|카테고리|분류|라벨|주제|التصنيف|الفئة)"
    r"(?:\s+is)?\s*(?:[:：=]|->|→)\s*",
    re.IGNORECASE,
)
_CONFIDENCE = re.compile(
    r"[(\[](?:(?:confidence|certainty|score|probability|p) ?[:=]? ?)?(?:0?\.\d+|1\.0+|\d{1,3}(?:\.\d+)? ?%)[)\]]"
    r"|[(\[](?:confidence|certainty) ?[:=]? ?(?:very )?(?:high|medium|low)[)\]]",
    re.IGNORECASE,
)
_ENTITY = re.compile(r"&(?:amp|lt|gt|quot|apos|nbsp|#\d{1,5}|#x[0-9a-fA-F]{1,4});")
_QUOTES = "\"'`“”„‟‘’‚«»‹›「」『』"
_MARKS = f"{_QUOTES}*_"
_STOPS = ".。!;,…۔।"
# Letters and words in the brackets of an enumeration: `(b)`, `b)`, `[billing]`.
_OPTION = re.compile(r"[(\[]?(\w[\w .&/+-]*)[)\]]")
# What models put in front of an answer: the mark of a list or heading, or a number with its point.
_ITEM = re.compile(r"(?:[-*•]|#{1,6}|\d{1,2}[.)])\s+(?=[^\W\d])")
_WRAPPED = re.compile(r"<(\w+)>([^<>]*)</\1>|\\boxed\{([^{}]*)\}")
# Case of the Turkish i depends on the language, and emoji have a form without colour.
_ONE_FORM = str.maketrans("İı\u2010\u2011\u2012\u2013\u2212", "ii-----", "\ufe0f")
_PLUS = re.compile(r"\+(?=\d)")
_AND = re.compile(r" (?:and|und|et|y|e|&|\+) ")
_MOST_PARTS = 8
_MAX_LIST_CHARS = 4096
_UNQUOTED = re.compile(r"\[([^\[\]{}\"'\n]+)\]")
_SEPARATOR = re.compile(f"[{''.join(SEPARATORS)}]")


def without_reasoning(text: str) -> str:
    """The answer after its reasoning blocks; empty if a block never ends, since no answer follows it."""
    if "<" not in text and "[" not in text and "◁" not in text:
        return text
    start = 0
    while (block := _REASONING.match(text, start)) is not None:
        start = block.end()
    if (final := _FINAL.match(text, start)) is not None:
        start = final.end()
    elif start == 0 and (closed := _CLOSED_ONLY.match(text)) is not None:
        start = closed.end()
    if _UNCLOSED.match(text, start) is not None:
        return ""
    return without_end(text[start:]).strip() if start else text


def visible(text: str) -> str:
    """The text in NFC, without invisible characters and with plain spaces.

    For labels and JSON, not for prose: joiners are part of some scripts and of emoji.
    """
    if text.isascii():
        return text
    composed = unicodedata.normalize("NFC", text)
    characters = (" " if unicodedata.category(c) == "Zs" else c for c in composed if unicodedata.category(c) != "Cf")
    return "".join(characters)


def unfenced(text: str) -> str:
    """The content of a Markdown fence that encloses the whole answer; otherwise the stripped text."""
    stripped = text.strip()
    fence = _FENCE.match(stripped)
    if fence is None or len(stripped) < 2 * fence.end() or not stripped.endswith(fence[0]):
        return stripped
    body = stripped[fence.end() : -fence.end()]
    language = _LANGUAGE.match(body)
    # Without anything below it, the first line is the content.
    return (body[language.end() :].strip() if language is not None else "") or body.strip()


def bare(text: str) -> str:
    """A one-line answer without fence, tag, object of one key, emphasis, quotes, final stop and leading `Answer:`."""
    answer = _only_value(unfenced(visible(text).strip("\0"))).replace("**", "")
    if "&" in answer:
        answer = _ENTITY.sub(lambda entity: html.unescape(entity[0]), answer)
    if answer.endswith((")", "]")):
        answer = _without_confidence(answer)
    for _ in range(3):
        previous = answer
        answer = _LEAD.sub("", answer.strip(), count=1) if _LEAD.match(answer.strip()) else answer.strip()
        answer = _without_marks(_ITEM.sub("", _without_ticks(answer), count=1).rstrip(_STOPS).rstrip())
        if (option := _OPTION.fullmatch(answer)) is not None:
            answer = option[1]
        elif (wrapped := _WRAPPED.fullmatch(answer)) is not None:
            answer = wrapped[2] or wrapped[3] or ""
        if answer == previous:
            break
    return answer


def _without_confidence(text: str) -> str:
    at = max(text.rfind("("), text.rfind("["))
    return text[:at].rstrip() if _CONFIDENCE.fullmatch(text, max(at, 0)) else text


def _without_ticks(text: str) -> str:
    """Text without symbols such as ticks and arrows around its words."""
    if text.isascii():
        return text
    kept = [i for i, c in enumerate(text) if not (c in " →\ufe0f" or unicodedata.category(c) == "So")]
    return text[kept[0] : kept[-1] + 1] if kept else text


def folded(text: str) -> str:
    """Comparison key of a label: ignores case, width, quotes, final stops, plus signs, and how words are joined."""
    cased = bare(text) if text.isascii() else bare(unicodedata.normalize("NFKC", text).translate(_ONE_FORM))
    plain = _PLUS.sub("", re.sub(r"\s+", " ", cased.casefold())).replace(" %", "%")
    return re.sub(r"[_-]", " ", plain)


def resolve_label(text: str, labels: Iterable[str]) -> str | None:
    """The label that an answer is a spelling of; None without a match, or with several."""
    labels_in_order = tuple(labels)
    stripped = text.strip()
    if stripped in labels_in_order:
        return stripped
    answer = bare(text)
    if answer in labels_in_order:
        return answer
    cased, loose = _spellings(labels_in_order)
    matching = cased.get(stripped.casefold()) or cased.get(answer.casefold()) or loose.get(folded(answer), [])
    return matching[0] if len(matching) == 1 else None


@functools.lru_cache(maxsize=16)
def _spellings(labels: tuple[str, ...]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Labels by their case-folded text, and by their folded form."""
    cased, loose = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    for label in labels:
        cased[label.casefold()].append(label)
        loose[folded(label)].append(label)
    return dict(cased), dict(loose)


def _only_value(text: str) -> str:
    """The text in an object of one key, such as `{"label": "billing"}`; every other text as it is."""
    if not text.startswith("{"):
        return text
    try:
        tree = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return text
    value = next(iter(tree.values())) if len(tree) == 1 else None
    if isinstance(value, bool | int):
        return msgspec.json.encode(value).decode()
    return value if isinstance(value, str) else text


def items_of(text: str) -> list[str] | None:
    """Items of an answer that is a JSON list of strings or separated text; None for other JSON."""
    answer = unfenced(visible(text))
    if answer.startswith("["):
        items = _json_list(answer)
        return _other_list(answer) if items is None else items
    if answer.startswith("{"):
        return None
    # Quotes around each item are not quotes around the answer.
    whole = answer if sum(map(answer.count, "\"'`“”")) > 2 else bare(answer)
    items = [bare(re.sub(r"^\s*(?:[-*•]|\d+[.)])\s+", "", item)) for item in _SEPARATOR.split(whole)]
    return [item for item in items if item]


def resolve_labels(text: str, checks: Checks) -> str | None:
    """A set of labels in canonical form: no repeats, in the order of the label set; None if one is unknown."""
    items = items_of(text)
    if items is None:
        return None
    resolved = [resolve_label(item, checks.labels) for item in items]
    if None in resolved:
        # A label may contain one of these words itself.
        parted = [part for item in items for part in _AND.split(item, maxsplit=_MOST_PARTS)]
        resolved = [resolve_label(part, checks.labels) for part in parted] if len(parted) > len(items) else resolved
    if None in resolved:
        return None
    return joined({label for label in resolved if label is not None}, checks)


def joined(labels: Iterable[str], checks: Checks) -> str:
    """A set of labels in the call site's format: a JSON list, or separated by commas."""
    chosen = set(labels)
    ordered = [label for label in checks.labels if label in chosen]
    return msgspec.json.encode(ordered).decode() if checks.multiple == "json" else ", ".join(ordered)


def labels_of(answer: str, checks: Checks) -> tuple[str, ...]:
    """Labels of a canonical answer: one, or all members of a set."""
    if checks.multiple is None:
        return (answer,)
    return tuple(items_of(answer) or ())


def resolve(text: str, checks: Checks, *, keep_reasoning: bool = False) -> str:
    """The canonical form of a logged answer; if it has none, the answer without surrounding whitespace."""
    answer = without_end(text if keep_reasoning else without_reasoning(text)).strip()
    if checks.labels:
        resolved = resolve_labels(answer, checks) if checks.multiple else resolve_label(answer, checks.labels)
        return answer if resolved is None else resolved
    if checks.needs_json:
        # Invisible characters are removed around the document only: inside, they may belong to a value.
        return unfenced(answer.strip(INVISIBLE))
    return answer.strip("\u200b\u2060\ufeff").strip()


def _without_marks(answer: str) -> str:
    """Text without quotes and emphasis around it."""
    while len(answer) > 1 and answer[0] in _MARKS and answer[-1] in _MARKS:
        answer = answer[1:-1].strip()
    return answer


def _json_list(text: str) -> list[str] | None:
    try:
        return msgspec.json.decode(text, type=list[str])
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None


def _other_list(text: str) -> list[str] | None:
    """A list as Python prints it, or without quotes: `['billing', 'delivery']`, `[billing, delivery]`."""
    if (plain := _UNQUOTED.fullmatch(text)) is not None:
        return [item.strip() for item in plain[1].split(",") if item.strip()]
    with contextlib.suppress(ValueError, SyntaxError, MemoryError, RecursionError):
        if text.startswith("['") and text.endswith("']") and len(text) < _MAX_LIST_CHARS:
            tree = ast.literal_eval(text)
            return tree if isinstance(tree, list) and all(isinstance(item, str) for item in tree) else None
    return None


def are_sets(answers: Sequence[str]) -> bool:
    """Whether these answers are sets of items: at least 5% (and 2) of them have several items."""
    several = sum(len(items_of(answer) or ()) > 1 for answer in answers)
    return several >= max(2, 0.05 * len(answers))
