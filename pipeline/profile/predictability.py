"""How well a cheap classifier learns a shape's short answers: what it cannot learn has to be worked out."""

from pipeline.profile.behaviour import Behaviour
from pipeline.profile.scores import Scores
from traffic.features import PREMISE_WORDS

PARTLY_PREDICTABLE, CLEARLY_PREDICTABLE = 0.4, 0.5
"""Classifier skill on a closed label: below the first it predicts little, from the second on it predicts the label."""
UNPREDICTABLE = 0.25
"""Classifier skill below which it predicts next to nothing: the answer has to be known or worked out."""
WEIGHED_VERDICT = 0.65
"""The same for a verdict that the instruction asks to weigh."""
ENOUGH_ROWS = 8
"""Rows per label, of all but the commonest, that are enough to train the classifier on."""
FEW_WORDS_SHARE = 0.04
"""Largest share of words found in one message only, where a shape's messages recombine a few words."""
ROWS_PER_WORD = 0.25
"""Rows per label needed per word of a message: of long texts few rows teach nothing, easy or not."""
ROWS_OF_QUESTIONS = 40
"""Rows per label needed where only a question suggests reasoning: the wording of open questions is hard to learn."""
FEW_LABELS = 6
"""Maximum distinct answers of a worked-out verdict; so few occur in requests by chance."""
MIN_BODIES = 1.8
"""Different messages per answer: below, the same few items come again, and say nothing about a closed label set."""
LONG_WORDS = 200
SENTENCE_WORDS = 15
"""Words of a message from which on it may be a sentence and a question."""
COMPARED = 0.5
"""Skill of a classifier that only sees how alike a message's parts are, from which on it predicts the answer."""
PICKED = 0.55
"""The same of one that predicts the text of the listed item that an answer names."""
RESTATED = 0.5
"""Share of messages with a statement in the words of its text, from which on a shape checks one against the other."""
RESTATED_DOUBT = 1 / 3
"""Factor of the points that a classifier predicts nothing: it sees words, not which of them agree."""
REASONING_SIGNS = ("reasoning", "deliberation", "judgement", "analysis")


def asks_for_reasoning(b: Behaviour) -> bool:
    return max(b.signs.get(sign, 0.0) for sign in REASONING_SIGNS) >= 0.5


def asks_on_text(b: Behaviour) -> bool:
    """A question on the text that comes with it; where every request has one, the text may be a sentence."""
    least = SENTENCE_WORDS if b.text_question_share >= 0.95 else PREMISE_WORDS
    return b.text_question_share >= 0.6 and b.user_words_p50 >= least


def is_compared(b: Behaviour) -> bool:
    """How alike the parts of the message are predicts the answer: the same item or not, in the document or not."""
    return b.comparison_skill is not None and b.comparison_skill >= COMPARED


def is_picked(b: Behaviour) -> bool:
    """Answers name one of the listed items, and a cheap classifier predicts which."""
    return b.picked_skill is not None and b.picked_skill >= PICKED


def checks_statement(b: Behaviour) -> bool:
    """Whether a statement agrees with the text that comes with it is read off, unless reasons or options are given."""
    weighed = max(b.puzzle_share, b.option_list_share, b.fact_list_share) >= 0.5 or asks_for_reasoning(b)
    return b.restated_share >= RESTATED and not weighed and not _recombines_few_words(b)


def has_premises(b: Behaviour) -> bool:
    """The message brings something to reason from: facts, quantities, a puzzle, answers to choose from, a program."""
    return (
        b.user_words_p50 >= PREMISE_WORDS
        or b.user_numbers_p50 >= 3
        or b.candidates_p50 >= 2
        or max(b.puzzle_share, b.option_list_share) >= 0.2
        or b.code_input_share >= 0.5
    )


def _needed_rows(b: Behaviour) -> float:
    """Rows per label that are enough to train the classifier on."""
    return max(ENOUGH_ROWS, ROWS_PER_WORD * b.user_words_p50)


def _is_verdict_on_facts(b: Behaviour) -> bool:
    """One of a few labels, none of them the usual one, on a message of some facts."""
    facts = b.user_words_p50 < LONG_WORDS and has_premises(b)
    return facts and b.distinct_answers <= FEW_LABELS and b.majority_share < 0.7 and b.rows_per_label >= _needed_rows(b)


def _recombines_few_words(b: Behaviour) -> bool:
    """Messages recombine the same few words: an answer that no single word decides is decided by their combination."""
    return b.new_message_word_share <= FEW_WORDS_SHARE and b.bodies_per_answer >= MIN_BODIES


def _is_puzzle_of_few_words(b: Behaviour) -> bool:
    """Enough rows of few words for a classifier to learn the label, if single words decided it."""
    enough = b.rows_per_label >= 3 * ENOUGH_ROWS and b.distinct_answers <= FEW_LABELS and b.majority_share < 0.7
    return enough and _recombines_few_words(b)


def _is_asked(b: Behaviour) -> bool:
    """Nearly every message is a question, answered with one of a few words."""
    return b.question_share >= 0.9 and b.distinct_answers <= FEW_LABELS


def _weighed_below(b: Behaviour) -> float:
    """Skill below which a verdict on facts is hard; higher if the instruction asks for reasoning, or facts are listed:
    which of them counts is weighed."""
    if asks_for_reasoning(b) or b.fact_list_share >= 0.5:
        return WEIGHED_VERDICT
    return CLEARLY_PREDICTABLE if b.wording.get("reasoning", 0.0) >= 0.5 else PARTLY_PREDICTABLE


def add_predictability(b: Behaviour, scores: Scores) -> None:
    """How well a cheap classifier predicts the label: what it cannot has to be worked out."""
    if b.skill is None or b.answered < 20:
        return
    # What the text says is read off, though not by a cheap classifier, which sees the same text with other questions.
    worked_out = "generation" if asks_on_text(b) and b.option_list_share < 0.5 else "reasoning"
    stated = checks_statement(b)
    # Chance accuracy of picking one of the named candidates.
    chance = 1 / b.candidates_p50 if b.candidates_p50 >= 2 else 0.0
    bare = b.skill if b.skill_without_numbers is None else b.skill_without_numbers
    if b.skill >= 0.15 and bare < 0.6 * b.skill:
        scores.add(
            f"the answer depends on quantities (skill {b.skill:.2f}, without digits {bare:.2f})",
            reasoning=3.0, label=-1.0,
        )  # fmt: skip
    elif b.skill < PARTLY_PREDICTABLE and _is_puzzle_of_few_words(b):
        scores.add(
            f"messages recombine a few words; a cheap classifier predicts little (skill {b.skill:.2f})",
            label=-2.0, **{worked_out: 4.5},
        )  # fmt: skip
    elif UNPREDICTABLE + chance <= b.skill < _weighed_below(b) and _is_verdict_on_facts(b) and not stated:
        scores.add(
            f"few labels on messages with facts; a cheap classifier predicts little (skill {b.skill:.2f})",
            reasoning=3.3, label=-1.0,
        )  # fmt: skip
    elif b.skill >= UNPREDICTABLE + chance:
        points = round(2.5 * min(1.0, b.skill / CLEARLY_PREDICTABLE), 1)
        scores.add(f"a cheap classifier predicts the label (skill {b.skill:.2f})", label=points)
    elif b.majority_share < 0.8 and (_recombines_few_words(b) or (not chance and (has_premises(b) or _is_asked(b)))):
        combined = _recombines_few_words(b)
        needed = ENOUGH_ROWS if combined else _needed_rows(b) if has_premises(b) else ROWS_OF_QUESTIONS
        doubt = max(0.0, min(1.0, (UNPREDICTABLE - b.skill) / 0.2)) * min(1.0, b.rows_per_label / needed)
        doubt *= RESTATED_DOUBT if stated else 1.0
        strength = 4.5 if combined and b.distinct_answers <= FEW_LABELS else 3.0
        scores.add(
            f"a cheap classifier predicts next to nothing (skill {b.skill:.2f})",
            label=round(-2 * doubt, 1), **{worked_out: round(strength * doubt, 1)},
        )  # fmt: skip
