"""What kind of requests and answers a shape has: yes or no, from its behaviour."""

from pipeline.profile.answers import REASON_WORDS
from pipeline.profile.behaviour import STATED_SHARE, Behaviour
from pipeline.profile.predictability import FEW_LABELS, LONG_WORDS, MIN_BODIES, asks_for_reasoning, has_premises
from traffic.features import PREMISE_WORDS

MAX_CANNED = 40
ASSEMBLED_WORDS = 30
REARRANGED_WORDS = 12
MECHANICAL_WORDS = 15
NEW_WORDS = 0.1
COPIED_NUMBERS, COMPUTED_NUMBERS = 0.8, 0.7
"""Share of the numbers in answers that stand in the request: from the first on they are copied, below the second some
are worked out."""
TABLE_NUMBERS = 10
"""Numbers from which on, where they are a quarter of the words, a message is a table."""
TABLE_WORDS = 45
"""Words from which on a text on a table is more than a report of it."""
REVIEWED_WORDS = 600
LONG_PROSE, SHORT_PROSE = 100, 70
"""Words from which on free text may be an argument, and up to which it is a reply or a note."""
NEW_MESSAGES = 0.7
"""Share of different messages from which on a shape's messages do not repeat."""
SMALL_MESSAGE_WORDS, SMALL_ANSWER_WORDS = 25, 10
"""A request that is small on both sides brings too little along to reason from, quantities aside."""
SMALL_REWRITE_WORDS = 30
"""Words of an answer up to which it is a sentence or two."""
REWORDED_WORDS = 60
"""Words of a message up to which an answer of its words, of whatever length, may be a rewrite."""
KEPT_OF_FEW_WORDS, KEPT_OF_MESSAGE = 0.3, 0.9
"""Shares of an answer's words that stand in the message, if it is made of them: an answer of few words, any other."""
KEPT_OF_SENTENCE = 0.15
"""The same of a sentence or two that say in other words what the message says."""
EDITED_LETTER = 0.75
"""Likeness of a letter to its message from which on the message was a letter too, and not the facts for one."""
ADDED_TO_MESSAGE = 1.25
"""Length per word of the message from which on an answer adds to it."""
LABELS_WORDS = 12
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
    """Longer answers out of a small fixed set: prepared texts, whose choice is a label."""
    return (
        not is_short(b)
        and b.common_answer_share >= 0.95
        and b.new_answer_share <= 0.05
        and b.distinct_answers <= MAX_CANNED
        and b.bodies_per_answer >= 2 * MIN_BODIES
        and b.code_share < 0.5
    )


def is_calculation(b: Behaviour) -> bool:
    """Of a record: some of its values are worked out from the request's numbers, and reasoning is asked for."""
    new = b.copied_value_share < 0.3 and b.closed_value_share < 0.5 and b.new_word_share >= 0.3
    computed = b.numbered_share >= 0.5 and b.copied_number_share < COMPUTED_NUMBERS and not is_closed(b)
    return (new or computed) and b.user_numbers_p50 >= 3 and b.wording.get("reasoning", 0) >= 0.5


def is_judged_record(b: Behaviour) -> bool:
    """Findings in a form: reasoning is asked for on a longer text, and the values are hardly any of its words."""
    brought = b.user_words_p50 >= 2 * PREMISE_WORDS and b.copied_value_share < 0.3
    return brought and asks_for_reasoning(b) and not is_draft(b) and b.signs.get("extraction", 0.0) < 0.5


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


def asked_share(b: Behaviour) -> float:
    """Share of messages whose question is the task; in a text to be rewritten or given a title it is not."""
    drafted = max(b.signs.get(sign, 0.0) for sign in ("generation", "rewrite", "extraction", "summary"))
    return 0.0 if drafted >= 0.5 else b.question_share


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


def is_assembled(b: Behaviour) -> bool:
    """Answers are a form that is filled in with parts of the message."""
    return b.assembled_share >= 0.8 and b.answer_words_p90 <= ASSEMBLED_WORDS and b.code_share < 0.1


def is_edit(b: Behaviour) -> bool:
    """Answers are the message with small changes."""
    if b.is_record or b.code_share >= 0.5 or b.user_words_p50 > 600:
        return False
    # A text that was to be made of the message (an exercise, a glossary) repeats it and adds its own parts.
    if b.letter_share >= LETTERS and b.edit_likeness < EDITED_LETTER:
        return False
    written = b.signs.get("generation", 0.0) >= 0.5 and b.signs.get("rewrite", 0.0) < 0.5
    if written and b.length_ratio > ADDED_TO_MESSAGE:
        return False
    return b.edit_likeness >= 0.6 and b.copied_word_share >= 0.4 and 0.5 <= b.length_ratio <= 1.6


def is_shortened(b: Behaviour) -> bool:
    """Answers are a short message with parts left out, which was not to be summarised."""
    summary = max(b.signs.get("summary", 0.0), b.wording.get("summarization", 0.0)) >= 0.5
    if summary or b.is_record or b.code_share >= 0.5 or b.user_words_p50 > 120 or b.answer_words_p50 < 9:
        return False
    return b.copied_word_share >= 0.9 and 0.15 <= b.length_ratio <= 0.8


def is_rearranged(b: Behaviour) -> bool:
    """Answers are most of a very short message's words, in another order or spelling."""
    if b.is_record or b.code_share >= 0.5 or b.user_words_p50 > REARRANGED_WORDS or is_closed(b):
        return False
    asked = b.question_share >= 0.5 or b.puzzle_share >= 0.2
    return b.answer_words_p50 >= 2 and b.copied_word_share >= 0.95 and 0.5 <= b.length_ratio <= 1.2 and not asked


def is_made_of_message(b: Behaviour) -> bool:
    """Answers are made of the words of a short message, as was asked for."""
    asked = max(b.signs.get("rewrite", 0.0), b.wording.get("rewrite", 0.0)) >= 0.5
    if not asked or b.user_words_p50 > REWORDED_WORDS or b.candidates_p50 >= 2 or b.answer_words_p50 < 2:
        return False
    few = b.answer_words_p90 <= SMALL_ANSWER_WORDS
    return b.copied_word_share >= (KEPT_OF_FEW_WORDS if few else KEPT_OF_MESSAGE)


def is_reworded(b: Behaviour) -> bool:
    """Answers are a sentence or two, of about the message's length, in other words, as was asked for."""
    if b.signs.get("rewrite", 0.0) < 0.5 or b.is_record or b.answer_words_p90 > SMALL_REWRITE_WORDS:
        return False
    return b.copied_word_share >= KEPT_OF_SENTENCE and 0.4 <= b.length_ratio <= 1.8


def is_review_of_code(b: Behaviour) -> bool:
    drafted = max(b.signs.get("generation", 0), b.signs.get("summary", 0), b.signs.get("rewrite", 0)) >= 0.5
    asked = b.signs.get("code", 0) >= 0.5 and not drafted
    return asked and b.code_input_share >= 0.5 and b.answer_words_p50 >= 12 and not b.is_record


def is_review_of_text(b: Behaviour) -> bool:
    """A decision on a long text is asked for, with what speaks for it: no summary, and no reply."""
    asked = b.signs.get("decision", 0.0) >= 0.5 and b.signs.get("summary", 0.0) < 0.5
    return asked and b.user_words_p50 >= REVIEWED_WORDS and b.answer_words_p50 >= LONG_PROSE


def is_condensed(b: Behaviour) -> bool:
    """A long text in fewer words, nearly all of them its own."""
    own = b.copied_word_share >= 0.6 and b.new_word_share <= 0.05 and b.wording.get("reasoning", 0.0) < 0.5
    return own and b.user_words_p50 >= LONG_WORDS and b.length_ratio <= 0.4


def is_worked_out_table(b: Behaviour) -> bool:
    """The message is mostly numbers, and no summary is asked for."""
    numbers = b.user_numbers_p50 >= max(2 * TABLE_NUMBERS, 0.25 * b.user_words_p50)
    long = b.answer_words_p50 >= TABLE_WORDS
    return numbers and long and b.wording.get("reasoning", 0) >= 0.5 and b.signs.get("summary", 0) < 0.5


def is_label_with_remark(b: Behaviour) -> bool:
    """A label and a few words about it, as an answer to a message that brings nothing to weigh."""
    short = b.answer_words_p90 <= MECHANICAL_WORDS and b.user_words_p50 < PREMISE_WORDS
    return short and b.verdict_share >= STATED_SHARE and not (b.is_record or has_premises(b) or asks_for_reasoning(b))


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


def is_answered_from_text(b: Behaviour) -> bool:
    """A question on a text that the request brings, answered in some of its words."""
    asked = b.question_share >= 0.8 and b.distinct_answers > FEW_LABELS and b.number_share < 0.5
    brought = b.user_words_p50 >= PREMISE_WORDS and b.copied_word_share >= 0.6 and b.answer_words_p50 >= 4
    plain = max(b.puzzle_share, b.option_list_share, b.code_input_share, b.working_share) < 0.2
    rephrased = b.signs.get("rewrite", 0.0) >= 0.5
    return asked and brought and plain and not (b.is_record or rephrased or asks_for_reasoning(b))


def asks_about_itself(b: Behaviour) -> bool:
    return (
        b.question_share >= 0.8
        and b.copied_word_share >= 0.8
        and b.user_words_p50 >= 15
        and b.number_share < 0.5
        and b.signs.get("extraction", 0) < 0.5
        and not (is_closed(b) and b.distinct_answers <= FEW_LABELS)
    )


def copies_numbers(b: Behaviour) -> bool:
    """Numbers of the message are no quantities to weigh: the answer picks its words, or puts it in other words."""
    if b.signs.get("rewrite", 0.0) >= 0.5 and not asks_for_reasoning(b):
        return True
    copied = b.copied_word_share >= 0.8 or (b.numbered_share >= 0.5 and b.copied_number_share >= COPIED_NUMBERS)
    return copied and not (is_closed(b) and b.distinct_answers <= FEW_LABELS)
