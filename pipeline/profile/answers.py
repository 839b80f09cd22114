"""What an answer is made of: label, JSON and its values, code, numbers; and how much of it stands in the request."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from rapidfuzz import fuzz

from pipeline.profile import quantities
from traffic import fences
from traffic.answers import are_sets, items_of
from traffic.answers import unfenced as without_fence
from traffic.loose_json import json_or

_OBJECT = re.compile(r"[^{\[]*+([{\[].*[}\]])", re.DOTALL)
"""Matched at the beginning only: a search would try each opening bracket, and go to the end from each."""
_PAIR = re.compile(r"^[ \t]*(?:[-*•]\s*)?\**([^\W\d][\w /()-]{0,30}?)\**\s*[:=：]\s*(.*)$")
_PREFIX = re.compile(
    r"^(?:the )?[\w ]{0,20}(?:answer|label|category|result|output|intent|class|verdict)(?: is)?\s*[:：]?\s+", re.I
)
_SECTION = re.compile(r"^\[\[ ## (\w[\w ]*?) ## \]\][ \t]*$", re.MULTILINE)
"""Header of a field in the answers that DSPy asks for."""
_TAG = re.compile(r"<([A-Za-z][\w.-]*)[^<>]*>([^<>]+)</\1>")
_WRAPPED = re.compile(r"<([A-Za-z][\w.-]*)[^<>]*>([^<>]*)</\1>")
_EDGES = " \t\r\n\"'`*.,;:!?。「」()[]<>"
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
"""Scripts that put no spaces between words (Korean does, around longer units)."""
_MARKS_IN_WORDS = "\u0300-\u036f\u0591-\u05bd\u064b-\u065f\u0670\u0900-\u0963\u0970-\u0dff"
"""Vowel signs and accents: part of a word, but no letters to `re`. Whole blocks of the scripts of India."""
_LETTER = rf"(?:[^\W_{_UNSPACED}]|[{_MARKS_IN_WORDS}])"
_WORD = re.compile(rf"{_LETTER}+(?:['’-]{_LETTER}+)*")
_WORD_OR_RUN = re.compile(rf"[{_UNSPACED}]+|{_WORD.pattern}")
_DENSE = re.compile(f"[{_UNSPACED}]")
UNSPACED_CHARS = 2
"""Characters per word, where a script has no spaces."""
MAX_RECORD_WORDS = 25
MAX_KEYS = 15
RECURRING_KEY = 3, 0.02
"""Answers, and share of them, in which a key must occur to be one of the shape's."""
MAX_MEMBER_CHARS = 60
PAIR_WORDS = 10
"""Words of a value from which on `key: value` lines are prose with headings."""
_FENCED = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
FENCED_SHARE = 0.4
"""Of an answer's characters: from there on it is program text with remarks, not an explanation with an example."""
_BEGINS = re.compile(
    r"\s*(?:(?:async )?def \w+\(|class \w+[(:{]|(?:export )?(?:async )?function \w*\(|func \w+\(|#include\b|"
    r"<\?php|@\w+\n)"
)
_CODE = re.compile(
    r"```|^[ \t]*(?:def |class |import |from \w+ import|function\b|const |let |var |public |private |"
    r"#include|package |func |"
    r"fn |SELECT\b|INSERT\b|UPDATE\b|WITH \w+ AS|CREATE (?:TABLE|VIEW)|return\b|if \(|for \(|while \(|<\?php|#!/)|"
    r"[;{][ \t]*$|^[ \t]*(?:elif|else|try|except|for|while|if) ?.*:[ \t]*$|\\(?:begin|frac|section)\{",
    re.MULTILINE,
)
_QUERY = re.compile(
    r"\s*(?:select(?! (?:the|your|an?|one|any) (?!from\b)[a-z])|insert into|update(?= [\w.`\"]+ set\b)|delete from)\b"
    r"(?=.*?\b(?:from|where|set|values|group by|order by|having|limit|union|intersect|except)\b)"
    r"(?=.*?(?:\w\.\w|\w_\w|[=<>*]))",
    re.IGNORECASE | re.DOTALL,
)
"""A query of a database, in lower case too: keywords, and names or operators that no sentence has."""
_DIFF = re.compile(r"^@@ |^diff --git |^[+-]{3} [ab]/", re.MULTILINE)
_STATEMENT = re.compile(
    r"^\s*(?:(?:local |let |const |var |my |\$)?[\w.$\[\]'\"]+(?:: ?[\w\[\]]+)? ?(?:[-+*/%.|&]|:)?= ?\S.*|"
    r"[\w.:$>-]+\([^()]*(?:\([^()]*\)[^()]*)*\)[;{]?|(?:end|fi|done|esac|then|else|do|begin|\}|\{|\)|\];?)[;,]?|"
    r"(?:Dim|Set|Next|Loop|Wend|End (?:Sub|If|Function|With)|(?:Private |Public )?(?:Sub|Function)|For Each)\b.*|"
    r"(?:function|local|sub|proc|def|fn|func|if|for|while|switch|case|return)\b.*[({:;).\w])\s*$"
)
"""A line as program text has it: an assignment, a call, the start or the end of a block."""
_SENTENCE = re.compile(r"[.!?。！？]\s*$|^[^\W\d_]+(?: [^\W\d_]+){5,}")
_FLAG = re.compile(r"(?<=\s)--?[A-Za-z][\w-]*")
_PIPE = re.compile(r" \| [a-z]")
_SHELL = re.compile(r"^(?:\$ |sudo )?[a-z][\w./-]* ")
_FORMULA = re.compile(r"^=[A-Z][A-Z.]*\(")
_EXPRESSION = re.compile(r"[{}()\[\];=<>|&_#\\\"/@'*^+?:]")
_VERDICT = re.compile(r"[:：\n][^\S\n]*([^:：\n]{1,40})$")
_CONCLUDED = re.compile(
    r"\b(?:answer|verdict|label|conclusion|result) is:? ((?:[^.:\n]|\.(?=\d)){1,40})\.?$", re.IGNORECASE
)
"""`So the answer is no.`"""
_OPENING = re.compile(r"\s*([^\n]{1,60}?)(?<![,，!:：])(?:\s*\n|[.;:。：] | [-–—] )")
_OPENING_WORDS = 5
_REASON = re.compile(
    r"reason|rational|thought|thinking|explan|justif|why|evidence|comment|begr(?:ü|ue)nd|grund|raison|motiv|razón|spiega|理由|根拠|原因|이유",
    re.I,
)
REASON_WORDS = 40
"""Words of an answer up to which a verdict with its reason is looked at as a label."""
_FIELD = re.compile(r"([^\W\d][\w .-]{0,20}?) ?[=:] ?([^;|=\n]{0,80})(?:[;|] ?|$)")
_FIELDS = re.compile(rf"(?>{_FIELD.pattern}){{2,20}}")
"""`street=Long Lane; number=7`: fields of one line."""
_LED_FIELDS = re.compile(rf"([^\W\d][\w .-]{{0,30}}) ?[|;(] ?((?>{_FIELD.pattern}){{1,20}})")
"""`BookTable|party=four|time=six`: a label before the fields."""
_SEPARATORS = re.compile(r"[\s._/()-]+")
_LONG_VALUE_WORDS = 6
_CONTIGUOUS = 80
"""Likeness (0-100) to some passage of the request from which on a longer value counts as copied."""
_COMPARED_CHARS = 1000
"""Of the beginning of a longer value: the search takes time by the square of its length."""
WRAPPED_WORDS = 12
_MARKS = re.compile(r"[{}()\[\];=<>$|&_#\\\"]")
_WORKING = re.compile(
    r"\d\s*[=≈]|=\s*[$€£]?-?\d|∴|⇒|"
    r"\b(?:therefore|thus|hence|it follows|because|since|so the|which means|implies|suppose|assume|"
    r"step \d|first|second|finally|daher|deshalb|also gilt|weil|daraus folgt|zuerst|schließlich|donc|par conséquent|"
    r"parce que|puisque|d'abord|enfin|por lo tanto|porque|entonces|primero|por último|quindi|perché|dunque|poiché|"
    r"infine|portanto|logo|primeiro|por fim|omdat|dus|daarom|ten eerste|ponieważ|dlatego|zatem|więc)\b|"
    r"したがって|ゆえに|なぜなら|よって|第一に|まず|最後に|所以|因此|因为|首先|最后|따라서|왜냐하면|먼저|마지막으로|"
    r"следовательно|поэтому|потому что|во-первых",
    re.IGNORECASE,
)


def unfenced(text: str) -> str:
    """The answer without a code fence or a single tag around the whole of it."""
    body = without_fence(text)
    wrapped = _WRAPPED.fullmatch(body)
    return wrapped.group(2).strip() if wrapped else body


def structured(text: str) -> Any:
    """The JSON object or list that an answer is or holds, or its `key: value` lines as an object; None for prose."""
    body = unfenced(text)
    if body[:1] in ("{", "["):
        value = json_or(body)
        if isinstance(value, dict | list):
            return value
    # Assignments of a program look like fields.
    if fences.names_program(text):
        return None
    embedded = _OBJECT.match(body) if body[:1] not in ("{", "[") else None
    if embedded is not None and len(embedded[1]) >= 0.5 * len(body):
        value = json_or(embedded[1])
        if isinstance(value, dict | list):
            return value
    if led := _LED_FIELDS.fullmatch(body):
        fields = {key.strip().lower(): value.strip() for key, value in _FIELD.findall(led[2])}
        return {"": led[1].strip()} | fields
    if _FIELDS.fullmatch(body):
        return {key.strip().lower(): value.strip() for key, value in _FIELD.findall(body)}
    tags = {name.lower(): value.strip() for name, value in _TAG.findall(body)}
    if tags and body.startswith("<") and body.endswith(">"):
        return tags
    return _sections(body) or _pairs(body)


def is_object(text: str) -> bool:
    """The whole answer is one JSON object."""
    body = text.strip()
    return body[:1] == "{" and isinstance(json_or(body), dict)


def _sections(body: str) -> dict[str, str]:
    before, *parts = _SECTION.split(body)
    named = {name.lower(): text.strip() for name, text in zip(parts[::2], parts[1::2], strict=True)}
    return {} if before.strip() else {name: text for name, text in named.items() if text}


def _pairs(body: str) -> dict[str, str] | None:
    lines = [line for line in body.splitlines() if line.strip()]
    if not 2 <= len(lines) <= 40:
        return None
    pairs = [match.groups() for line in lines if (match := _PAIR.match(line))]
    if len(pairs) < 0.8 * len(lines) or 2 * sum(word_count(value) > PAIR_WORDS for _, value in pairs) > len(pairs):
        return None
    return {key.strip().lower(): value.strip() for key, value in pairs}


def is_confidence(values: Sequence[Any]) -> bool:
    """Numbers from 0 to 1: how sure an answer is, not what it says."""
    numeric = all(isinstance(v, int | float) and not isinstance(v, bool) and 0 <= v <= 1 for v in values)
    return numeric and any(isinstance(v, float) and v % 1 for v in values)


def payloads(texts: Sequence[str]) -> list[str] | None:
    """The one value that varies in structured answers (`{"topic": "refund"}`), as bare text; None where several do."""
    values = list(map(structured, texts))
    if not texts or sum(value is not None for value in values) < 0.9 * len(texts):
        return None
    columns: dict[str, list[Any]] = {}
    for value in values:
        for path, leaf in leaves(value):
            columns.setdefault(path, []).append(leaf)
    varying = [path for path, column in columns.items() if len(set(map(str, column))) > 1 and not is_confidence(column)]
    if len(varying) != 1 or _REASON.search(varying[0]) or any(_REASON.search(path) for path in columns):
        return None
    return [
        ", ".join("" if leaf is None else str(leaf) for path, leaf in leaves(value) if path == varying[0])
        if value is not None else text
        for text, value in zip(texts, values, strict=True)
    ]  # fmt: skip


def records(texts: Sequence[str]) -> list[Any]:
    """Each answer's JSON or fields; None for prose."""
    values = [structured(text) for text in texts]
    if sum(value is None for value in values) > 0.5 * len(values) and any(keyed_lines := keyed(texts)):
        return [value or None for value in keyed_lines]
    if any(value is not None for value in values):
        return values
    return [value or None for value in delimited(texts)]


def delimited(texts: Sequence[str]) -> list[dict[str, str]]:
    """Answers as records of unnamed fields, where nearly all are one line with the same separators; else empty."""
    if sum(word_count(text) for text in texts) > MAX_RECORD_WORDS * len(texts) or any(map(is_code, texts[:20])):
        return [{} for _ in texts]
    for separator in (";", "|", "\t"):
        counts = Counter(text.count(separator) if "\n" not in text.strip() else 0 for text in texts)
        n, most = counts.most_common(1)[0] if counts else (0, 0)
        if n >= 2 and most >= 0.9 * len(texts):
            return [
                {str(at): part.strip() for at, part in enumerate(text.split(separator))} if text.count(separator) == n
                else {} for text in texts
            ]  # fmt: skip
    return [{} for _ in texts]


def keyed(texts: Sequence[str]) -> list[dict[str, str]]:
    """Answers of `key: value` lines, each with some of the same few keys, as objects; empty ones where they are not.

    A single answer may be one such line, which alone could be a sentence.
    """
    split = [[_PAIR.match(line) for line in text.splitlines() if line.strip()] for text in texts]
    pairs = [
        {match[1].strip().lower(): match[2].strip() for match in lines if match} if all(lines) else {}
        for lines in split
    ]  # fmt: skip
    counts = Counter(key for listed in pairs for key in listed)
    known = {key for key, n in counts.items() if n >= max(RECURRING_KEY[0], RECURRING_KEY[1] * len(texts))}
    if not 2 <= len(known) <= MAX_KEYS:
        return [{} for _ in texts]
    return [
        listed if known.issuperset(listed) and all(word_count(value) <= PAIR_WORDS for value in listed.values()) else {}
        for listed in pairs
    ]


_CALLED = ("name", "function", "function_name", "tool", "tool_name", "action")
_ARGUMENTS = ("arguments", "args", "parameters", "params", "kwargs", "input", "tool_input", "action_input")


def called_functions(value: Any) -> list[str]:
    """The functions that a structured answer calls, one or a list: names beside an object of arguments."""
    if isinstance(value, list):
        return [name for item in value if isinstance(item, dict) for name in called_functions(item)]
    if not isinstance(value, dict) or not any(isinstance(value.get(key), dict) for key in _ARGUMENTS):
        return []
    return [name for key in _CALLED if isinstance(name := value.get(key), str)][:1]


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Path and value of everything that is no object or list; list items share one path."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item, f"{path}[]")
    else:
        yield path, value


def label(text: str) -> str:
    """An answer as a label: lower case, without quotes, a final stop, or `Answer:` before it."""
    body = unfenced(text)
    return _PREFIX.sub("", body[:200]).strip(_EDGES).casefold()


def members(texts: Sequence[str]) -> list[frozenset[str]] | None:
    """The labels in each answer, where the answers are sets of some; None where they are not."""
    if not are_sets(texts):
        return None
    sets = [frozenset(label(item) for item in items_of(text) or ()) for text in texts]
    counts = Counter(item for items in sets for item in items)
    closed = sum(all(len(item) <= MAX_MEMBER_CHARS and counts[item] > 2 for item in items) for items in sets)
    return sets if closed >= 0.9 * len(sets) else None


def labels(texts: Sequence[str]) -> list[str]:
    """The answers as labels. Of sets the order does not count."""
    sets = members(texts)
    if sets is not None:
        return [", ".join(sorted(items)) for items in sets]
    return _without_sentences([label(text) for text in texts])


def _without_sentences(stated: list[str]) -> list[str]:
    """Labels without the sentence around some of them ("the customer feels angry"), where it holds several labels."""
    counts = Counter(stated)
    known = sorted((text for text, n in counts.items() if n > 2 and 0 < word_count(text) <= 3), key=len, reverse=True)
    if len(known) < 2 or sum(counts[text] for text in known) < 0.3 * len(stated):
        return stated
    # The longest label that a sentence holds; a pattern of all labels reads each sentence once.
    named = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, known))})(?!\w)")
    inside: dict[str, tuple[str, str, str]] = {}
    for text in counts:
        held = max(named.finditer(text), key=lambda at: len(at[0]), default=None)
        if held is not None and held[0] != text and word_count(text) <= WRAPPED_WORDS:
            inside[text] = (text[: held.start()], text[held.end() :], held[0])
    around: dict[tuple[str, str], set[str]] = {}
    for before, after, name in inside.values():
        around.setdefault((before, after), set()).add(name)
    # Two words at least: "not urgent" is another label than "urgent".
    plain = {
        text: name for text, (before, after, name) in inside.items()
        if len(around[before, after]) > 1 and word_count(before) + word_count(after) > 1
    }  # fmt: skip
    return [plain.get(text, text) for text in stated]


def words(text: str) -> list[str]:
    """Lower-case words; pairs of characters where a script puts no spaces."""
    lower = text.lower()
    if not _DENSE.search(lower):
        return _WORD.findall(lower)
    parts: list[str] = []
    for part in _WORD_OR_RUN.findall(lower):
        if _DENSE.match(part):
            parts += [part[n : n + 2] for n in range(max(1, len(part) - 1))]
        else:
            parts.append(part)
    return parts


def word_count(text: str) -> int:
    """Length of a text in words, comparable between scripts with and without spaces."""
    if not _DENSE.search(text):
        return len(_WORD.findall(text))
    parts = _WORD_OR_RUN.findall(text)
    return sum(-(-len(part) // UNSPACED_CHARS) if _DENSE.match(part) else 1 for part in parts)


def is_code(text: str) -> bool:
    """Much of the answer is program text."""
    if not text:
        return False
    lines = [line for line in text.splitlines() if line.strip()]
    if text.startswith("#!") or _BEGINS.match(text) or _QUERY.match(text) or (len(lines) >= 2 and _is_dense(text)):
        return True
    statements = sum(_STATEMENT.match(line) is not None and not _SENTENCE.search(line) for line in lines)
    if (
        (len(lines) >= 2 and statements >= 0.6 * len(lines))
        or _is_command(lines)
        or _is_expression(lines)
        or _FORMULA.match(text)
    ):
        return True
    if "```" in text:
        # An example in an explanation is not what was asked for.
        fenced = sum(map(len, _FENCED.findall(text)))
        return fenced >= FENCED_SHARE * len(text)
    hits = len(_CODE.findall(text))
    return hits >= max(2, 0.3 * len(lines)) or (
        len(lines) <= 2 and hits >= 1 and len(text) > 20 and _CODE.match(text) is not None
    )


def _is_command(lines: Sequence[str]) -> bool:
    """A command line or two, with flags or pipes, and no sentence."""
    return 0 < len(lines) <= 3 and all(
        _SHELL.match(line) and len(_FLAG.findall(line)) + 2 * len(_PIPE.findall(line)) >= 3 for line in lines
    )


def _is_expression(lines: Sequence[str]) -> bool:
    """One line that is a query or a pattern: brackets, operators and paths instead of a sentence."""
    if len(lines) != 1 or not 16 <= len(lines[0]) <= 500 or lines[0].startswith("http") or structured(lines[0]):
        return False
    marks = _EXPRESSION.findall(lines[0])
    return len(set(marks) & set("()[]{}")) >= 2 and len(marks) >= 0.2 * len(lines[0].replace(" ", ""))


def verdict(text: str) -> str:
    """What an argument ends in, after a colon or as "the answer is", as a label; empty where nothing short is there."""
    end = text.rstrip()
    match = _CONCLUDED.search(end) or _VERDICT.search(end)
    return label(match.group(1)) if match else ""


def opening(text: str) -> str:
    """The few words that an answer begins with before its reason, as a label; empty where it begins with a sentence."""
    match = _OPENING.match(unfenced(text))
    body = label(match.group(1)) if match else ""
    # `Answer: approve` on a line of its own; "Answer: approve" has lost its first word already.
    body = re.sub(r"^[^:：]{1,24}[:：]\s*", "", body)
    return body if word_count(body) <= _OPENING_WORDS else ""


def decided_field(text: str) -> str:
    """Of a JSON answer that gives a reason: its other values, as a label; empty without a reason."""
    value = structured(text)
    if not isinstance(value, dict) or not any(_REASON.search(key) for key in value):
        return ""
    decided = [item for key, item in value.items() if not _REASON.search(key)]
    others = [
        ", ".join(map(str, item)) if isinstance(item, list) else str(item)
        for item in decided if not isinstance(item, dict)
    ]  # fmt: skip
    return (
        label(" ".join(others))
        if len(others) <= 2 and all(word_count(item) <= _OPENING_WORDS for item in others)
        else ""
    )


def verdicts(texts: Sequence[str]) -> list[str]:
    """The label in each answer that states one with a reason: at its end, its beginning, or in a field of its own."""
    open_ = ["" if structured(text) is not None else text for text in texts]
    begun = [opening(text) if word_count(text) <= REASON_WORDS else "" for text in open_]
    readings = [list(map(verdict, open_)), begun, list(map(decided_field, texts))]
    return max(readings, key=recurring_share)


def recurring_share(labels: Sequence[str]) -> float:
    """Share of labels that come again, of all answers; 0 where they hardly ever differ."""
    counts = Counter(labels)
    del counts[""]
    often = [n for _, n in counts.most_common(20) if n > 2]
    return sum(often) / len(labels) if len(often) > 1 else 0.0


def holds_code(text: str) -> bool:
    """A message brings program text along: a fenced program, a diff, or a passage that is dense in code's marks."""
    return fences.holds_program(text) or _DIFF.search(text) is not None or (len(text) <= 6000 and is_code(text))


def _is_dense(text: str) -> bool:
    """As many brackets, operators and quotes as program text has, in whatever language; JSON is none."""
    if text.lstrip()[:1] in "{[" and structured(text) is not None:
        return False
    marks = len(_MARKS.findall(text))
    return marks >= 12 and marks >= 0.14 * sum(not char.isspace() for char in text)


def working(text: str) -> int:
    """Marks of an argument or a calculation that is written out."""
    return len(_WORKING.findall(text[:4000]))


def respaced(answer: str, message: str) -> bool:
    """A code or number that stands in the message with other spaces, dots or hyphens (an IBAN, a telephone number)."""
    bare = _SEPARATORS.sub("", answer).casefold()
    return 6 <= len(bare) <= 40 and any(map(str.isdigit, bare)) and bare in _SEPARATORS.sub("", message).casefold()


def holds_value(value: Any, text: str, digits: str) -> bool:
    """Whether a value of an answer stands in the request; `text` in lower case, `digits` its digits alone."""
    if isinstance(value, bool) or value is None:
        return False
    shown = str(value).strip().casefold()
    if not shown:
        return False
    if shown in text:
        return True
    bare = quantities.digits(shown)
    if bare and len(bare) >= 0.5 * len(re.sub(r"\W", "", shown)):
        return bare in digits or bare.lstrip("0") in digits
    parts = words(shown)
    if len(parts) > _LONG_VALUE_WORDS:
        # Many words stand somewhere in a long request, in whatever order.
        return fuzz.partial_ratio(shown[:_COMPARED_CHARS], text, score_cutoff=_CONTIGUOUS) > 0
    return len(parts) > 1 and sum(part in text for part in parts) >= 0.8 * len(parts)
