"""How the requests of one shape behave: read from logged requests and answers, in any language, without a model."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from pipeline.profile import answers, comparison, listed_items, quantities, template_lines
from pipeline.profile.families import masked
from pipeline.profile.letters import is_letter
from pipeline.profile.overlap import overlap
from pipeline.profile.sample import Sampled, last_user
from traffic import hardness
from traffic.features import PREMISE_WORDS, Features, estimate_tokens, features_of, request_type
from traffic.record import Message

WORDED = 60
"""Requests whose wording is read; the standing part of it is the same in all."""
COMPARED = 250
CLOSED_WORDS = 8
BODY_CHARS = 160
CLOSED_SHARE = 0.75
STATED_SHARE = 0.8
"""Answers that state a label with a reason from which on the label is looked at."""
EMPTY_WORDS, EMPTY_SHARE = 2, 0.05
FEW_VALUES = 40
MAX_UNSEEN = 0.12
"""Probability that the next value of a field is a new one, up to which the field takes values out of a closed set."""
TEMPLATE_WORDS = 15
"""Words that all messages of a shape have from which on they are an instruction."""
LISTED_FACTS = 3
FIELD_WORDS = 6
"""Words of a field up to which it is no text."""
_CLOSING = " \t\"'”»)}]।"
_HEADING = re.compile(r"^[^\W\d_]{1,12}[:：]\s*")
_PAUSE = re.compile(r"\n|[.!:;] |[。：；]")
_ACT = re.compile(r"\s*\w+\((?:\w+ ?= ?|\))")
"""`inform(name='Ana', area=centre)`"""
_PARTS = re.compile(r"\w ?\[[^\[\]\n]+\]| \| |\t")
"""Fields, as of `name[Ana], area[centre]`, from their names' last letters, or borders in `Ana | lives in | Lund`."""
_POINT = re.compile(r"^[ \t]*(?:[-*•]|\d{1,2}[.)])[ \t]", re.MULTILINE)


_T = TypeVar("_T")


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """Measurements of one shape; shares are of the answered requests in the sample."""

    sampled: int
    answered: int
    tools: int = 0
    """Functions that a request offers, median."""
    tool_call_share: float = 0.0
    several_calls_share: float = 0.0
    """Of the answers that call a function, as text too: those that call more than one."""
    tool_result_share: float = 0.0
    """Requests that continue after a function's result."""
    chain_p90: int = 0
    """Function results in a request."""
    turn_share: float = 0.0
    """Requests with an earlier answer in them."""
    input_tokens_p50: int = 0
    user_words_p50: int = 0
    user_numbers_p50: int = 0
    question_share: float = 0.0
    text_question_share: float = 0.0
    """Requests whose message is a text with a question at its beginning or end."""
    bare_question_share: float = 0.0
    """Requests whose message is one short question and nothing else."""
    restated_share: float = 0.0
    """Requests whose message is a text and a statement in its words: a claim on it, or a second version of it."""
    record_message_share: float = 0.0
    """Requests whose message is a record: fields, triples or a call, and no text."""
    option_list_share: float = 0.0
    """Requests whose message offers options: lettered, numbered, or on one line."""
    answer_words_p50: int = 0
    answer_words_p90: int = 0
    distinct_answers: int = 0
    common_answer_share: float = 0.0
    """Answers among the 100 commonest that occur more than once."""
    new_answer_share: float = 0.0
    """Answers of the second half that the first half does not have."""
    majority_share: float = 0.0
    labels: tuple[str, ...] = ()
    """The commonest answers, where they are short."""
    number_share: float = 0.0
    """Bare quantities."""
    largest_number: float = 0.0
    option_share: float = 0.0
    """Answers that name options of their message, by letters or by their text."""
    json_share: float = 0.0
    single_value: bool = False
    """Structured answers in which one value varies: all else is measured on that value alone."""
    stable_keys_share: float = 0.0
    """Of the structured answers: those whose keys all are common ones."""
    object_share: float = 0.0
    """Answers that are one JSON object and nothing else."""
    keys: tuple[str, ...] = ()
    """Common ones, the most frequent first."""
    always_keys: tuple[str, ...] = ()
    """Those that practically every structured answer has."""
    new_message_word_share: float = 1.0
    """Share of the messages' words that no other message has; 0: they recombine a few words."""
    bodies_per_answer: float = 0.0
    """Different messages per different answer, repeated boilerplate aside."""
    called_functions: int = 0
    """Different functions that structured answers call, where practically all of them call one."""
    closed_value_share: float = 0.0
    """Of the values in structured answers: those of fields that take few values."""
    copied_value_share: float = 0.0
    """Of the other values: those that stand in the request."""
    prose_words_p50: int = 0
    """Words of the longest value that is not in the request."""
    copied_word_share: float = 0.0
    """Words of an answer that stand in the request, median."""
    numbered_share: float = 0.0
    """Answers with numbers in them."""
    copied_number_share: float = 0.0
    """Of the numbers in answers: those whose digits stand in the request."""
    new_word_share: float = 1.0
    """Words of an answer that neither its request nor other answers have, mean; numbers count unless copied."""
    edit_likeness: float = 0.0
    """Of answer and message, median: 1 where they are the same."""
    length_ratio: float = 0.0
    """Words of the answer per word of the message, median."""
    length_tracking: float = 0.0
    """Rank correlation of the answers' words with the messages': near 1 where a text is translated or rewritten."""
    material_ratio: float = 0.0
    """Words of the answer per word of the message without its template, median."""
    length_spread: float = 0.0
    """Interquartile range of the logarithm of the same ratio."""
    assembled_share: float = 0.0
    """Answers put together, always in the same order, from several parts of the message."""
    code_share: float = 0.0
    letter_share: float = 0.0
    """Letters, by their salutation."""
    working_share: float = 0.0
    """Answers that write out an argument or a calculation."""
    reasoning_tokens_p50: int = 0
    wording: dict[str, float] = {}
    """Share of each request type that the wording alone suggests."""
    signs: dict[str, float] = {}
    """Share of requests whose instruction has each sign of `traffic.phrases`."""
    skill: float | None = None
    """Cohen's kappa of a cheap classifier, cross-validated: 0 chance, 1 perfect."""
    rows_per_label: float = 0.0
    """Training rows per label, without the commonest label."""
    skill_without_numbers: float | None = None
    """The same where it sees no digits: much less than `skill` where the answer depends on quantities."""
    decided_by_numbers_share: float = 0.0
    """Requests that differ from others only in numbers, and in the answer."""
    verdict_share: float = 0.0
    """Longer answers that state one of a few labels: at their end, at their beginning or in a JSON field."""
    verdict_option_share: float = 0.0
    """Of all answers: those whose label is the letter of an option in the message."""
    verdict_skill: float | None = None
    """Cohen's kappa on that label, where a reason is given before or after it."""
    comparison_skill: float | None = None
    """Cohen's kappa of a classifier that sees only how alike the parts of a message are, where `skill` is low."""
    picked_share: float = 0.0
    """Answers that name an item, of a list that differs between messages, by its number or letter."""
    picked_skill: float | None = None
    """Cohen's kappa on the text of the listed item that an answer names by its number or letter."""
    candidates_p50: int = 0
    """Number of the shape's short answers that a request names, without those that nearly every request names."""
    puzzle_share: float = 0.0
    """Messages that relate a few names or nouns to each other."""
    code_input_share: float = 0.0
    """Messages that hold program text."""
    fact_list_share: float = 0.0
    """Messages that list at least three points, one a line."""

    @property
    def is_record(self) -> bool:
        """Answers are structures of several values."""
        return self.json_share >= 0.5 and not self.single_value


def behaviour(samples: Sequence[Sampled]) -> Behaviour:
    """Measures one shape's sample."""
    ordered = sorted(samples, key=lambda s: (s.at, s.id))
    done = [s for s in ordered if s.ok and (s.answer.strip() or s.tool_calls)]
    shown = _every(done, COMPARED)
    answered = [s for s in done if s.answer.strip()]
    bare = bare_values(answered)
    structure = _structure(answered) if answered else {}
    texts = _every(bare, COMPARED)
    lengths = [answers.word_count(s.answer) for s in texts]
    values: dict[str, Any] = {}
    if texts:
        # A list that stands in every message names the labels; it is nothing to choose from.
        materials = template_lines.removed([last_user(s) for s in texts], form_of=str)
        values |= _closedness(bare) | structure
        values |= overlap(_telling(texts) if values["common_answer_share"] < CLOSED_SHARE else texts)
        values |= {
            "single_value": bare is not answered and "json_share" in structure,
            **_verdicts(texts, materials, closed=values["common_answer_share"] >= CLOSED_SHARE),
            "candidates_p50": _candidates(texts, values["labels"]),
            "answer_words_p50": _quantile(lengths, 0.5),
            "answer_words_p90": _quantile(lengths, 0.9),
            "number_share": _share(quantities.is_number(s.answer) for s in texts),
            "largest_number": max(
                (quantities.number_value(s.answer) or 0.0 for s in texts if quantities.is_number(s.answer)), default=0.0
            ),
            "option_share": listed_items.option_share([s.answer for s in texts], materials),
            "code_share": _share(answers.is_code(s.answer) for s in texts),
            "letter_share": _share(is_letter(s.answer) for s in texts),
            "working_share": _share(answers.working(s.answer) >= 2 for s in texts),
        }
    # Calls that answers make as text stand in for those of the interface.
    return Behaviour(sampled=len(samples), answered=len(done), **(_requests(shown or ordered[:COMPARED]) | values))


def _every(samples: Sequence[_T], most: int) -> Sequence[_T]:
    """At most so many of the samples, evenly spread."""
    return samples[:: max(1, -(-len(samples) // most))]


def bare_values(answered: Sequence[Sampled]) -> Sequence[Sampled]:
    """The requests with the one value that varies as their answer, where there is one; the same list where not."""
    values = answers.payloads([s.answer for s in answered])
    if values is None:
        return answered
    return [
        msgspec.structs.replace(s, answer=value) for s, value in zip(answered, values, strict=True) if value.strip()
    ]


def _requests(shown: Sequence[Sampled]) -> dict[str, Any]:
    users = [last_user(s) for s in shown]
    worded = _every(_instructions_apart(shown, users), WORDED)
    features = [(messages, features_of(messages, s.tools, s.response_format, s.params)) for s, messages in worded]
    kinds = Counter(request_type(f, messages) for messages, f in features)
    results = [sum(m.role in ("tool", "function") for m in s.messages) for s in shown]
    material = template_lines.removed(users, form_of=str)
    return {
        "tools": _quantile([len(s.tools or ()) for s in shown], 0.5),
        "tool_call_share": _share(s.tool_calls > 0 for s in shown),
        "several_calls_share": _share(s.tool_calls > 1 for s in shown if s.tool_calls),
        "tool_result_share": _share(n > 0 for n in results),
        "chain_p90": _quantile(results, 0.9),
        "turn_share": _share(any(m.role == "assistant" for m in s.messages) for s in shown),
        "input_tokens_p50": _quantile([estimate_tokens([m.text for m in s.messages]) for s in shown], 0.5),
        "user_words_p50": _quantile([answers.word_count(text) for text in material], 0.5),
        "new_message_word_share": round(_new_message_words(users), 3),
        "user_numbers_p50": _quantile([quantities.count(text) for text in material], 0.5),
        "question_share": _share("?" in user or "？" in user for user in users),
        "text_question_share": _share(map(_asks_on_text, material)),
        "bare_question_share": _share(map(_is_bare_question, material)),
        "restated_share": _share(map(comparison.restates, material)),
        "record_message_share": _share(map(_is_record, material)),
        "option_list_share": _share(map(listed_items.lists_options, material)),
        "puzzle_share": _share(hardness.is_puzzle(user) for user in template_lines.removed(users)),
        "fact_list_share": _share(len(_POINT.findall(user)) >= LISTED_FACTS for user in users),
        "code_input_share": _share(answers.holds_code(user) for user in users),
        "reasoning_tokens_p50": _quantile([s.reasoning_tokens for s in shown], 0.5),
        "wording": {kind: n / len(features) for kind, n in kinds.most_common()},
        "signs": _signs([f for _, f in features]),
    }


def _asks_on_text(message: str) -> bool:
    lines = [line.rstrip(_CLOSING) for line in message.splitlines() if line.strip()]
    if len(lines) == 1:
        return answers.word_count(message) >= PREMISE_WORDS and lines[0].endswith(hardness.QUESTION_MARKS)
    return any(line.endswith(hardness.QUESTION_MARKS) for line in lines[:1] + lines[-1:])


def _is_bare_question(message: str) -> bool:
    line = _HEADING.sub("", message.strip().rstrip(_CLOSING))
    ends = line.endswith(hardness.QUESTION_MARKS) and sum(map(line.count, hardness.QUESTION_MARKS)) == 1
    return ends and not _PAUSE.search(line) and answers.word_count(line) < PREMISE_WORDS


def _is_record(message: str) -> bool:
    fields = answers.structured(message.strip())
    if fields:
        values = fields.values() if isinstance(fields, dict) else fields
        return len(values) >= 2 and all(answers.word_count(str(value)) <= FIELD_WORDS for value in values)
    lines = [line for line in message.splitlines() if line.strip()]
    return bool(lines) and (_ACT.match(lines[0]) is not None or all(len(_PARTS.findall(line)) >= 2 for line in lines))


def _instructions_apart(shown: Sequence[Sampled], users: Sequence[str]) -> list[tuple[Sampled, Sequence[Message]]]:
    """Each request with its messages; a template that all of them are made from becomes their system prompt.

    What it asks for is then told from what the data say, as if the application had sent them apart.
    """
    template, material = template_lines.split(users, form_of=str)
    if len(template.split()) < TEMPLATE_WORDS or any(len(s.messages) != 1 for s in shown):
        return [(s, s.messages) for s in shown]
    return [(s, (Message("system", template), Message("user", text))) for s, text in zip(shown, material, strict=True)]


def _new_message_words(messages: Sequence[str]) -> float:
    """Probability that the next word is a new one: the share of words of one message alone (Good, Turing)."""
    texts = [answers.words(message) for message in messages]
    holding = Counter(word for words in texts for word in set(words))
    total = sum(map(len, texts))
    return sum(holding[word] == 1 for words in texts for word in words) / total if total else 1.0


def _signs(features: Sequence[Features]) -> dict[str, float]:
    names = [name for name in Features.__struct_fields__ if name.startswith(("asks_", "names_"))]
    shares = {name.split("_", 1)[1]: _share(getattr(f, name) for f in features) for name in names}
    return {name: share for name, share in shares.items() if share}


def _closedness(done: Sequence[Sampled]) -> dict[str, Any]:
    labels = answers.labels([s.answer for s in done])
    counts = Counter(labels)
    half = len(labels) // 2
    common = [(text, n) for text, n in counts.most_common(100) if n > 1]
    # Of sets of labels the labels come again, not the sets.
    parts: Sequence[frozenset[str]] = answers.members([s.answer for s in done]) or [
        frozenset([text]) for text in labels
    ]
    known = {text for text, n in Counter(part for each in parts for part in sorted(each)).most_common(100) if n > 1}
    before = {part for each in parts[:half] for part in each}
    messages = [last_user(s) for s in done]
    # Where nearly all have one answer, what they share may be the one thing that is asked.
    if counts.most_common(1)[0][1] < template_lines.STANDING_SHARE * len(labels):
        messages = template_lines.removed(messages)
    return {
        "distinct_answers": len(counts),
        "common_answer_share": _share(each <= known for each in parts),
        "bodies_per_answer": len(_bodies(messages)) / len(counts),
        "new_answer_share": _share(not each <= before for each in parts[half:]) if half else 1.0,
        "majority_share": counts.most_common(1)[0][1] / len(labels),
        "labels": tuple(text for text, _ in common[:20] if len(text) <= 60),
    }


def _verdicts(texts: Sequence[Sampled], materials: Sequence[str], *, closed: bool) -> dict[str, float]:
    """Answers that state a label with a reason, and one that names an option. Short ones do if they are no labels."""
    longer = [
        (s.answer, material)
        for s, material in zip(texts, materials, strict=True)
        if not closed or answers.word_count(s.answer) > CLOSED_WORDS
    ]
    if not longer:
        return {}
    verdicts = answers.verdicts([answer for answer, _ in longer])
    options = [
        listed_items.names_letter(verdict) and listed_items.lists_options(material)
        for verdict, (_, material) in zip(verdicts, longer, strict=True)
    ]
    return {
        "verdict_share": answers.recurring_share(verdicts) * len(longer) / len(texts),
        "verdict_option_share": sum(options) / len(texts),
    }


def _candidates(texts: Sequence[Sampled], labels: Sequence[str]) -> int:
    """Answers to choose from in a request: the shape's own short answers that stand in its message.

    Answers to other questions on the same text are none: they stand in it because it is the same.
    """
    messages = [last_user(s).casefold() for s in texts]
    known = [set(answers.words(message)) for message in messages]
    parts = {label: set(answers.words(label)) for label in labels if len(label) > 1}
    bodies = [max(message.splitlines(), key=len, default=message).strip() for message in messages]
    given: dict[str, set[str]] = defaultdict(set)
    for label, body in zip(answers.labels([s.answer for s in texts]), bodies, strict=True):
        given[label].add(body)
    holding = {
        label: {n for n, words in enumerate(known) if own <= words and given[label] != {bodies[n]}}
        for label, own in parts.items()
        if own
    }
    # What every request names is the list of the labels, not something to choose from.
    varying = [holders for holders in holding.values() if len(holders) <= 0.8 * len(messages)]
    return int(_quantile([sum(n in holders for holders in varying) for n in range(len(messages))], 0.5))


def _bodies(messages: Sequence[str]) -> set[str]:
    """The longest lines of the messages: the material, without headers that vary around it or begin it."""
    bodies = [
        _varying([max(message.splitlines(), key=len, default=message) for message in messages]),
        # What a message ends with may be shorter than what it is about.
        _varying([next(reversed(message.strip().splitlines()), message) for message in messages]),
    ]
    return max(bodies, key=len)


def _varying(lines: Sequence[str]) -> set[str]:
    first, last = min(lines), max(lines)
    fixed = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), 0)
    return {masked(line[fixed : fixed + BODY_CHARS].lower()) for line in lines}


def _structure(answered: Sequence[Sampled]) -> dict[str, Any]:
    values = answers.records([s.answer for s in answered])
    records = [(s, list(answers.leaves(value))) for s, value in zip(answered, values, strict=True) if value is not None]
    if not records:
        return {}
    columns: dict[str, list[Any]] = defaultdict(list)
    for _, items in records:
        for path, value in items:
            columns[path].append(value)
    confidences = {path for path, column in columns.items() if answers.is_confidence(column)}
    closed = {path for path, column in columns.items() if _is_closed(Counter(str(v)[:80].casefold() for v in column))}
    listed = records[:: max(1, -(-len(records) // COMPARED))]
    paths = Counter(path for _, items in listed for path in {path for path, _ in items})
    common = {path for path, n in paths.items() if n >= max(2, 0.02 * len(listed))}
    total = copied = shut = 0
    prose: list[int] = []
    for sampled, items in listed:
        text = "\n".join(m.text for m in sampled.messages if m.role != "system").casefold()
        digits = re.sub(r"\D", "", text)
        longest = 0
        for path, value in items:
            if value is None or value == "" or path in confidences:
                continue
            if path in closed:
                shut += 1
                continue
            total += 1
            if answers.holds_value(value, text, digits):
                copied += 1
            elif isinstance(value, str):
                longest = max(longest, answers.word_count(value))
        prose.append(longest)
    stable = _share({path for path, _ in items} <= common for _, items in listed)
    if stable < 0.3 and not any(answers.is_object(s.answer) for s, _ in records):
        # Lines of prose with a colon each: no two answers have the same keys.
        return {}
    calls = [called for value in values if (called := answers.called_functions(value))]
    calling = len(calls) >= template_lines.STANDING_SHARE * len(records)
    return {
        "called_functions": len({name for called in calls for name in called}) if calling else 0,
        **({"several_calls_share": _share(len(called) > 1 for called in calls)} if calling else {}),
        "json_share": len(records) / max(len(records), len(_telling(answered))),
        "stable_keys_share": stable,
        "keys": tuple(path for path, _ in paths.most_common(30) if path in common),
        "always_keys": tuple(path for path in paths if paths[path] >= 0.99 * len(listed)),
        "object_share": _share(answers.is_object(s.answer) for s in answered),
        "closed_value_share": shut / max(1, shut + total),
        "copied_value_share": copied / total if total else 0.0,
        "prose_words_p50": _quantile(prose, 0.5),
    }


def _is_closed(column: Counter[str]) -> bool:
    """Short values that come again. The share of those seen once estimates how many are still unseen (Good, Turing)."""
    once = sum(n == 1 for n in column.values())
    short = sum(n for value, n in column.items() if len(value) <= 40)
    return (
        column.total() >= 5
        and once <= MAX_UNSEEN * column.total()
        and short >= 0.9 * column.total()
        and (len(column) <= max(FEW_VALUES, 0.25 * column.total()))
    )


def _telling(texts: Sequence[Sampled]) -> Sequence[Sampled]:
    """Without the commonest answer, where it is "none" or the like: what is said where there is nothing to say."""
    commonest, n = Counter(s.answer.strip() for s in texts).most_common(1)[0]
    if answers.word_count(commonest) > EMPTY_WORDS or not EMPTY_SHARE * len(texts) <= n < len(texts):
        return texts
    return [s for s in texts if s.answer.strip() != commonest]


def _share(values: Iterable[Any]) -> float:
    listed = list(values)
    return sum(map(bool, listed)) / len(listed) if listed else 0.0


def _quantile(values: Sequence[Any], q: float) -> Any:
    return sorted(values)[min(len(values) - 1, int(q * len(values)))] if values else 0
