"""What kind of requests and answers a shape has: yes or no, from its behaviour."""

from pipeline.profile.answers import REASON_WORDS
from pipeline.profile.behaviour import Behaviour
from pipeline.profile.predictability import (
    FEW_LABELS,
    LONG_WORDS,
    MIN_BODIES,
    UNPREDICTABLE,
    asks_for_reasoning,
    asks_on_text,
    has_premises,
)

MAX_CANNED = 40
MAX_NAMES, NAME_WORDS = 100, 12
"""Different answers, and words of one, up to which longer answers may be the names of labels."""
MECHANICAL_WORDS = 15
NEW_WORDS = 0.1
COMPUTED_NUMBERS = 0.7
"""Share of the numbers in answers that stand in the request, below which some are worked out."""
LONG_PROSE, SHORT_PROSE = 100, 70
"""Words from which on free text may be an argument, and up to which it is a reply or a note."""
NEW_MESSAGES = 0.7
"""Share of different messages from which on a shape's messages do not repeat."""
SMALL_MESSAGE_WORDS, SMALL_ANSWER_WORDS = 25, 10
"""A request that is small on both sides brings too little along to reason from, quantities aside."""
MIN_LENGTH_CORRELATION, MAX_LENGTH_SPREAD = 0.5, 0.3
"""Limits of `length_tracking` and `length_spread` for answers whose length follows the message's."""
TRANSFORMED_WORDS, REWORDED_WORDS = 18, 25
"""Words of an answer up to which its message is a line (longer translations are Tier 2), or two that are reworded."""
EDITED_LETTER = 0.75
"""Likeness of a letter to its message from which on the message was a letter too, and not the facts for one."""
ADDED_TO_MESSAGE = 1.25
"""Length per word of the message from which on an answer adds to it."""
COPIED = 0.9
"""Share of copied values, and of copied words in them, from which on passages were taken out of a message."""
VERBATIM, EXCERPT = 0.95, 0.3
"""Share of an answer's words that stand in the message, and its length per word of the message, of an excerpt."""
NEW_TEXT = 0.6
"""Share of new answers, and of new words in them, from which on small answers are no values of the request."""
LABELS_WORDS = 12
MAX_VERDICTS = 3
LETTERS = 0.8
"""Share of answers with a salutation from which on a shape writes letters."""


def is_short(b: Behaviour) -> bool:
    return b.answer_words_p90 <= 8 and not b.is_record


def is_closed_structure(b: Behaviour) -> bool:
    """Structured answers of a few values that all are labels."""
    few = b.answer_words_p50 <= LABELS_WORDS
    return b.is_record and b.closed_value_share >= 0.9 and b.prose_words_p50 < 10 and few


def is_closed(b: Behaviour) -> bool:
    return b.common_answer_share >= 0.75 and b.new_answer_share <= 0.45


def repeats_few(b: Behaviour) -> bool:
    """The same few messages come again and again. Where nearly each is new, few per answer are no sign of that."""
    new = b.bodies_per_answer * b.distinct_answers
    return b.bodies_per_answer < MIN_BODIES and new < NEW_MESSAGES * b.answered


def is_canned(b: Behaviour) -> bool:
    """Longer answers out of a small fixed set: prepared texts or long names, whose choice is a label."""
    if is_short(b) or b.code_share >= 0.5:
        return False
    named = b.answer_words_p90 <= NAME_WORDS and not b.is_record and b.option_share < 0.5
    if named and is_closed(b) and b.bodies_per_answer >= MIN_BODIES and FEW_LABELS < b.distinct_answers <= MAX_NAMES:
        return True
    prepared = b.common_answer_share >= 0.95 and b.new_answer_share <= 0.05 and b.distinct_answers <= MAX_CANNED
    return prepared and b.bodies_per_answer >= 2 * MIN_BODIES


def is_calculation(b: Behaviour) -> bool:
    """Of a record: some of its values are worked out from the request's numbers, and reasoning is asked for."""
    new = b.copied_value_share < 0.3 and b.closed_value_share < 0.5 and b.new_word_share >= 0.3
    computed = b.numbered_share >= 0.5 and b.copied_number_share < COMPUTED_NUMBERS and not is_closed(b)
    return (new or computed) and b.user_numbers_p50 >= 3 and b.wording.get("reasoning", 0) >= 0.5


def is_small(b: Behaviour) -> bool:
    """Few words in and few out, no quantities and nothing that asks for reasoning."""
    return (
        b.user_words_p50 <= SMALL_MESSAGE_WORDS
        and b.answer_words_p90 <= SMALL_ANSWER_WORDS
        and b.number_share < 0.5
        and b.code_share < 0.1
        and max(asked_share(b), b.puzzle_share, b.option_list_share) < 0.5
        and not asks_for_reasoning(b)
    )


def is_new_text(b: Behaviour) -> bool:
    """Answers of several words that neither the request nor other answers have: known or thought up."""
    apart = b.copied_word_share <= 0.2 and b.edit_likeness < 0.45 and b.new_word_share >= NEW_TEXT
    return apart and b.answer_words_p50 >= 2 and b.new_answer_share >= NEW_TEXT


def has_quantities(b: Behaviour) -> bool:
    """Something to calculate with or to count: numbers, a question, or more than a few words."""
    return b.user_numbers_p50 >= 1 or b.question_share >= 0.5 or b.user_words_p50 > SMALL_MESSAGE_WORDS


def asks_of_the_world(b: Behaviour) -> bool:
    """A bare question, answered with one of two or three words that a cheap classifier cannot predict."""
    closed = is_short(b) and is_closed(b) and 2 <= b.distinct_answers <= MAX_VERDICTS and b.majority_share < 0.85
    if b.bare_question_share < 0.8 or not closed or b.bodies_per_answer < MIN_BODIES:
        return False
    return b.skill is None or b.skill < UNPREDICTABLE


def is_answer_on_text(b: Behaviour) -> bool:
    """Short answers, hardly ever the same, to such questions."""
    short = not b.is_record and b.answer_words_p90 <= MECHANICAL_WORDS
    return asks_on_text(b) and b.option_list_share < 0.5 and short and not is_closed(b)


def asked_share(b: Behaviour) -> float:
    """Share of messages whose question is the task; in a text to be rewritten or given a title it is not."""
    drafted = max(b.signs.get(sign, 0.0) for sign in ("generation", "rewrite", "extraction", "summary"))
    return 0.0 if drafted >= 0.5 else b.question_share


def is_copied(b: Behaviour) -> bool:
    """Values that differ between requests, longer ones too, each a small part of its message."""
    copied = b.copied_value_share >= COPIED and b.copied_word_share >= COPIED
    return copied and b.length_ratio <= 0.5 and not is_closed(b)


def is_excerpt(b: Behaviour) -> bool:
    """Passages that the instruction asks for, word for word: longer than values, and a small part of the message."""
    verbatim = b.copied_word_share >= VERBATIM and b.new_word_share <= 1 - VERBATIM and b.length_ratio <= EXCERPT
    answers_question = asks_on_text(b) or max(asked_share(b), b.option_list_share) >= 0.5
    return verbatim and b.signs.get("extraction", 0.0) >= 0.5 and not (answers_question or is_closed(b))


def is_mechanical(b: Behaviour) -> bool:
    """Nothing in the short answers is new: each word stands in the request or in many answers."""
    return (
        b.new_word_share <= NEW_WORDS
        and b.answer_words_p90 <= MECHANICAL_WORDS
        and (b.copied_word_share >= 0.3 or b.edit_likeness >= 0.4)
        and not (is_closed(b) and b.distinct_answers <= FEW_LABELS)
        and b.verdict_share < 0.5
        and max(asked_share(b), b.puzzle_share, b.wording.get("reasoning", 0.0)) < 0.5
    )


def is_edit(b: Behaviour) -> bool:
    """Answers are the message with small changes."""
    if b.is_record or b.code_share >= 0.5 or b.user_words_p50 > 600:
        return False
    # A text that was to be made of the message (an exercise, a glossary) repeats it and adds its own parts.
    if b.letter_share >= LETTERS and b.edit_likeness < EDITED_LETTER:
        return False
    ratio = b.material_ratio or b.length_ratio
    if _adds(b, ratio):
        return False
    return b.edit_likeness >= 0.6 and b.copied_word_share >= 0.4 and 0.5 <= ratio <= 1.6


def is_transformed(b: Behaviour) -> bool:
    """Each answer is a short message in another language, form or tone: its length follows the message's."""
    if b.is_record or b.code_share >= 0.5 or is_closed(b) or asked_share(b) >= 0.5 or _adds(b, b.material_ratio):
        return False
    if b.record_message_share >= 0.5:
        return False
    follows = b.length_tracking >= MIN_LENGTH_CORRELATION and b.length_spread <= MAX_LENGTH_SPREAD
    most = REWORDED_WORDS if b.signs.get("rewrite", 0.0) >= 0.5 else TRANSFORMED_WORDS
    return follows and b.answer_words_p50 <= most and 0.5 <= b.material_ratio <= 2


def _adds(b: Behaviour, ratio: float) -> bool:
    """A text that was to be written, not rewritten, is longer than its message."""
    written = b.signs.get("generation", 0.0) >= 0.5 and b.signs.get("rewrite", 0.0) < 0.5
    return written and ratio > ADDED_TO_MESSAGE


def is_verdict_on_listed_facts(b: Behaviour) -> bool:
    """One of a few labels, none of them the usual one, on points that are listed: which of them counts is weighed."""
    few = b.distinct_answers <= FEW_LABELS and b.majority_share < 0.8
    return few and b.fact_list_share >= 0.5 and b.user_words_p50 < LONG_WORDS


def is_argued(b: Behaviour) -> bool:
    return b.wording.get("reasoning", 0.0) >= 0.5 and has_premises(b)


def is_draft(b: Behaviour) -> bool:
    """Texts that were asked for: what they begin or end with (a greeting, a kind of change) is no verdict."""
    drafted = max(b.signs.get(sign, 0.0) for sign in ("summary", "generation", "draft")) >= 0.5
    if not (drafted or b.letter_share >= LETTERS) or asks_for_reasoning(b) or b.signs.get("code", 0.0) >= 0.5:
        return False
    return b.wording.get("reasoning", 0) < 0.5 or b.answer_words_p90 > REASON_WORDS
