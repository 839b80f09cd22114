"""What a shape's behaviour says about its request type: each signal adds points (natural-log odds) to types."""

import math

from pipeline.profile.answers import REASON_WORDS
from pipeline.profile.behaviour import Behaviour
from pipeline.profile.predictability import (
    FEW_LABELS,
    LONG_WORDS,
    MIN_BODIES,
    REASONING_SIGNS,
    add_predictability,
    asks_for_reasoning,
    has_premises,
)
from pipeline.profile.scores import Scores
from traffic.callsites import RequestType
from traffic.features import LONG_CONTEXT_TOKENS, PREMISE_WORDS

MAX_CANNED = 40
FEW = 5
ASSEMBLED_WORDS = 30
REARRANGED_WORDS = 12
MECHANICAL_WORDS = 15
NEW_WORDS = 0.1
PREDICTABLE_VERDICT = 0.6
UNPREDICTABLE_VERDICT = 0.25
"""Skill on a stated label below which it has to be worked out."""
TABLE_NUMBERS = 10
"""Numbers from which on, where they are a quarter of the words, a message is a table."""
TABLE_WORDS = 45
"""Words from which on a text on a table is more than a report of it."""
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
LABELS_WORDS = 12
VALUE_WORDS = 4
"""Words of the longest value up to which a structured answer is a form that was filled in, copied or normalised."""
LONG_PROSE, SHORT_PROSE = 100, 70
"""Words from which on free text may be an argument, and up to which it is a reply or a note."""
LETTERS = 0.8
"""Share of answers with a salutation from which on a shape writes letters."""
LABEL_TYPES: tuple[RequestType, ...] = ("classification", "intent", "moderation")
_SIGNS: dict[str, tuple[str, ...]] = {
    "reasoning": REASONING_SIGNS,
    "code": ("code",),
}
"""Signs in the instruction that say what a request of the type is for."""
AGENT = "agent"
_WORDING_POINTS = 1.4


def score(b: Behaviour) -> Scores:
    """All signals of a shape's behaviour."""
    scores = Scores()
    if b.tools and (b.tool_call_share >= 0.1 or b.tool_result_share >= 0.1 or b.answered < FEW):
        _tools(b, scores)
        return scores
    _wording(b, scores)
    if b.answered >= FEW:
        for signal in (_labels, _values, _edits, _prose, _answers_from_text, _reasoned, _hardness):
            signal(b, scores)
    return scores


def _wording(b: Behaviour, scores: Scores) -> None:
    for kind, share in b.wording.items():
        # Generation is what the rules say when no wording says anything.
        silent = kind == "generation" and b.signs.get("generation", 0) < 0.5
        if share < 0.1 or silent:
            continue
        name = "label" if kind in LABEL_TYPES else kind
        # Numbers or program text in the message are no instruction, unless it asks; what the answers are tells more.
        stated = (
            kind not in _SIGNS
            or b.question_share >= 0.5
            or any(b.signs.get(sign, 0) >= 0.5 * share for sign in _SIGNS[kind])
        )
        weak = kind == "generation" or (b.answered >= FEW and not stated)
        points = _WORDING_POINTS * share * (0.5 if weak else 1.0)
        scores.add(f"worded like {kind} in {share:.0%}", **{name: round(points, 2)})
    if b.signs.get("label", 0) >= 0.5:
        scores.add("asks for one label", label=0.5)
    if b.signs.get("reasoning", 0) >= 0.5 or b.signs.get("deliberation", 0) >= 0.5:
        scores.add("asks for reasoning", reasoning=1.0)


def _tools(b: Behaviour, scores: Scores) -> None:
    scores.add(f"{b.tools} functions offered, {b.tool_call_share:.0%} of answers call one", tool_use=3.0, agent=2.0)
    if b.tool_result_share >= 0.15:
        scores.add(f"{b.tool_result_share:.0%} continue after a result, up to {b.chain_p90} results", agent=3.5)
    if b.tools >= 4:
        # Which function to call is a choice; what makes an agent are the results that it goes on from.
        once = b.tool_result_share < 0.05
        scores.add("a choice among many functions", agent=0.0 if once else 2.0, tool_use=2.0 if once else 0.0)
    elif b.tool_result_share < 0.05:
        scores.add("one call, then nothing", tool_use=2.0)
    if b.signs.get("multi_step", 0) >= 0.5:
        scores.add("worded as several steps", agent=1.0)


def _is_short(b: Behaviour) -> bool:
    return b.answer_words_p90 <= 8 and not b.is_record


def _is_closed_structure(b: Behaviour) -> bool:
    """Structured answers of a few values that all are labels."""
    few = b.answer_words_p50 <= LABELS_WORDS
    return b.is_record and b.closed_value_share >= 0.9 and b.prose_words_p50 < 10 and few


def _is_closed(b: Behaviour) -> bool:
    return b.common_answer_share >= 0.75 and b.new_answer_share <= 0.45


def _repeats_few(b: Behaviour) -> bool:
    """The same few messages come again and again. Where nearly each is new, few per answer are no sign of that."""
    new = b.bodies_per_answer * b.distinct_answers
    return b.bodies_per_answer < MIN_BODIES and new < NEW_MESSAGES * b.answered


def _is_canned(b: Behaviour) -> bool:
    """Longer answers out of a small fixed set: prepared texts, whose choice is a label."""
    return (
        not _is_short(b)
        and b.common_answer_share >= 0.95
        and b.new_answer_share <= 0.05
        and b.distinct_answers <= MAX_CANNED
        and b.bodies_per_answer >= 2 * MIN_BODIES
        and b.code_share < 0.5
    )


def _labels(b: Behaviour, scores: Scores) -> None:
    if b.is_record:
        return
    if b.option_share >= 0.6 and b.option_list_share >= 0.5:
        scores.add("answers name one of the options that each request brings along", reasoning=5.0, label=-1.0)
        return
    if _is_canned(b):
        scores.add(f"{b.distinct_answers} answers, as they stand, to many different messages", label=4.5)
        return
    if not _is_short(b):
        scores.add(
            f"answers of {b.answer_words_p50} words (p90 {b.answer_words_p90})",
            label=-2.5 if b.answer_words_p90 > 15 else -0.5,
        )
        return
    if b.number_share >= 0.5:
        if b.largest_number <= 10 and b.distinct_answers <= 11 and _is_closed(b) and b.question_share < 0.8:
            long = b.user_words_p50 >= LONG_WORDS
            scores.add(f"answers are ratings{' of long texts' if long else ''}", label=3.5 - long, reasoning=3.0 * long)
        elif b.copied_word_share < 0.5:
            scores.add(
                f"answers are quantities that are not in the request ({b.number_share:.0%})", reasoning=5.0, label=-1.0
            )
        else:
            scores.add("answers are numbers out of the request", extraction=4.6)
        return
    if _is_closed(b) and _repeats_few(b):
        scores.add(f"few short answers, but only to as few messages ({b.bodies_per_answer:.1f} per answer)", label=0.5)
    elif _is_closed(b) and b.copied_word_share >= 0.8 and b.distinct_answers > 8:
        scores.add(f"short answers out of {b.distinct_answers}, picked from the request", label=2.0, extraction=2.0)
    elif _is_closed(b):
        scores.add(
            f"{b.distinct_answers} short answers, {b.common_answer_share:.0%} of them common ones, "
            f"{b.new_answer_share:.0%} new in the second half",
            label=3.5 if b.distinct_answers <= FEW_LABELS else 4.2,
        )
    else:
        scores.add(f"short answers that keep changing ({b.new_answer_share:.0%} new in the second half)", label=-1.0)


def _is_calculation(b: Behaviour) -> bool:
    """A record of numbers that are not in the request, from a request with numbers."""
    new = b.copied_value_share < 0.3 and b.closed_value_share < 0.5 and b.new_word_share >= 0.3
    return new and b.user_numbers_p50 >= 3 and b.wording.get("reasoning", 0) >= 0.5


def _values(b: Behaviour, scores: Scores) -> None:
    if b.is_record and _is_calculation(b):
        scores.add(
            f"values that are neither in the request nor in other answers ({b.new_word_share:.0%})", reasoning=6.0
        )
    elif b.is_record and b.called_functions > 1:
        scores.add(f"answers call one of {b.called_functions} functions in text", tool_use=6.0)
    elif b.is_record:
        form = f"{b.json_share:.0%} structured answers with {len(b.keys)} common keys"
        if b.prose_words_p50 >= 10:
            scores.add(f"{form}, the longest free text {b.prose_words_p50} words", structured=5.0, generation=0.5)
        elif b.closed_value_share >= 0.9:
            few = _repeats_few(b) and b.distinct_answers <= 100
            scores.add(f"{form}, nearly all values out of small sets", label=0.5 if few else 4.0, extraction=1.5)
        elif b.copied_value_share >= 0.6:
            scores.add(f"{form}, {b.copied_value_share:.0%} of the open values stand in the request", extraction=6.0)
        elif b.prose_words_p50 <= VALUE_WORDS:
            scores.add(f"{form}, the longest value {b.prose_words_p50} words", extraction=5.0, structured=1.0)
        else:
            scores.add(f"{form}, {b.copied_value_share:.0%} of the open values stand in the request", structured=3.5)
        if _is_judged_record(b):
            scores.add(
                f"asked to judge {b.user_words_p50} words, and {b.copied_value_share:.0%} of the values stand in them",
                reasoning=3.5,
            )
    elif _is_assembled(b):
        scores.add(f"{b.assembled_share:.0%} are parts of the message, put together in the same order", extraction=4.5)
    elif (
        _is_short(b)
        and b.copied_word_share >= 0.8
        and b.length_ratio <= 0.6
        and not _is_closed(b)
        and b.number_share < 0.5
    ):
        scores.add(
            f"short answers whose words stand in the request ({b.copied_word_share:.0%})",
            extraction=3.5 if b.signs.get("generation", 0) >= 0.5 and not b.single_value else 4.5,
            rewrite=3.0,
        )
    elif _is_mechanical(b):
        scores.add(
            f"{b.copied_word_share:.0%} of the words stand in the request, and the rest is the form of the answers",
            extraction=4.5,
        )
    if _is_small(b) and (b.is_record or not _is_closed(b)):
        scores.add(
            f"{b.user_words_p50} words in, {b.answer_words_p50} out: little to reason from", extraction=4.5, rewrite=3.0
        )


def _is_judged_record(b: Behaviour) -> bool:
    """Findings in a form: reasoning is asked for on a longer text, and the values are hardly any of its words."""
    brought = b.user_words_p50 >= 2 * PREMISE_WORDS and b.copied_value_share < 0.3
    return brought and asks_for_reasoning(b) and not _is_draft(b) and b.signs.get("extraction", 0.0) < 0.5


def _is_small(b: Behaviour) -> bool:
    """Few words in and few out, no quantities and nothing that asks for reasoning."""
    return (
        b.user_words_p50 <= SMALL_MESSAGE_WORDS
        and b.answer_words_p90 <= SMALL_ANSWER_WORDS
        and b.number_share < 0.5
        and b.code_share < 0.1
        and max(_questions(b), b.puzzle_share, b.option_list_share) < 0.5
        and not asks_for_reasoning(b)
    )


def _questions(b: Behaviour) -> float:
    """Share of messages whose question is the task; in a text to be rewritten or given a title it is not."""
    drafted = max(b.signs.get(sign, 0.0) for sign in ("generation", "rewrite", "extraction", "summary"))
    return 0.0 if drafted >= 0.5 else b.question_share


def _is_mechanical(b: Behaviour) -> bool:
    """Nothing in the short answers is new: each word stands in the request or in many answers."""
    return (
        b.new_word_share <= NEW_WORDS
        and b.answer_words_p90 <= MECHANICAL_WORDS
        and (b.copied_word_share >= 0.3 or b.edit_likeness >= 0.4)
        and not (_is_closed(b) and b.distinct_answers <= FEW_LABELS)
        and b.verdict_share < 0.5
        and max(_questions(b), b.puzzle_share, b.wording.get("reasoning", 0.0)) < 0.5
    )


def _is_assembled(b: Behaviour) -> bool:
    """Answers are a form that is filled in with parts of the message."""
    return b.assembled_share >= 0.8 and b.answer_words_p90 <= ASSEMBLED_WORDS and b.code_share < 0.1


def _is_edit(b: Behaviour) -> bool:
    """Answers are the message with small changes."""
    if b.is_record or b.code_share >= 0.5 or b.user_words_p50 > 600:
        return False
    return b.edit_likeness >= 0.6 and b.copied_word_share >= 0.4 and 0.5 <= b.length_ratio <= 1.6


def _is_shortened(b: Behaviour) -> bool:
    """Answers are a short message with parts left out, which was not to be summarised."""
    summary = max(b.signs.get("summary", 0.0), b.wording.get("summarization", 0.0)) >= 0.5
    if summary or b.is_record or b.code_share >= 0.5 or b.user_words_p50 > 120 or b.answer_words_p50 < 9:
        return False
    return b.copied_word_share >= 0.9 and 0.15 <= b.length_ratio <= 0.8


def _is_rearranged(b: Behaviour) -> bool:
    """Answers are most of a very short message's words, in another order or spelling."""
    if b.is_record or b.code_share >= 0.5 or b.user_words_p50 > REARRANGED_WORDS or _is_closed(b):
        return False
    asked = b.question_share >= 0.5 or b.puzzle_share >= 0.2
    return b.answer_words_p50 >= 2 and b.copied_word_share >= 0.95 and 0.5 <= b.length_ratio <= 1.2 and not asked


def _is_made_of_message(b: Behaviour) -> bool:
    """Answers are made of the words of a short message, as was asked for."""
    asked = max(b.signs.get("rewrite", 0.0), b.wording.get("rewrite", 0.0)) >= 0.5
    if not asked or b.user_words_p50 > REWORDED_WORDS or b.candidates_p50 >= 2 or b.answer_words_p50 < 2:
        return False
    few = b.answer_words_p90 <= SMALL_ANSWER_WORDS
    return b.copied_word_share >= (KEPT_OF_FEW_WORDS if few else KEPT_OF_MESSAGE)


def _is_reworded(b: Behaviour) -> bool:
    """Answers are a sentence or two, of about the message's length, in other words, as was asked for."""
    if b.signs.get("rewrite", 0.0) < 0.5 or b.is_record or b.answer_words_p90 > SMALL_REWRITE_WORDS:
        return False
    return b.copied_word_share >= KEPT_OF_SENTENCE and 0.4 <= b.length_ratio <= 1.8


def _edits(b: Behaviour, scores: Scores) -> None:
    if _is_edit(b):
        likeness = f"likeness {b.edit_likeness:.2f}, {b.copied_word_share:.0%} of the words"
        scores.add(f"answers are the message with small changes ({likeness})", rewrite=5.5)
    elif _is_shortened(b):
        lengths = f"{b.user_words_p50} words in, {b.answer_words_p50} out"
        scores.add(f"answers are the message made shorter ({lengths}, {b.copied_word_share:.0%} copied)", rewrite=5.0)
    elif _is_rearranged(b):
        scores.add(f"answers are the few words of the message in another form ({b.length_ratio:.0%} kept)", rewrite=5.0)
    elif _is_made_of_message(b):
        scores.add("asked for in other words, and made of the message's own", rewrite=3.0)
    elif _is_reworded(b):
        scores.add(f"a message in other words ({b.copied_word_share:.0%} of them kept)", rewrite=5.0)


def _prose(b: Behaviour, scores: Scores) -> None:
    if b.input_tokens_p50 >= 0.6 * LONG_CONTEXT_TOKENS and b.answer_words_p50 >= 25 and not b.is_record:
        scores.add(
            f"input of {b.input_tokens_p50} tokens put together in {b.answer_words_p50} words",
            long_context=6.0 if b.input_tokens_p50 >= LONG_CONTEXT_TOKENS else 4.5,
        )
    elif (
        b.input_tokens_p50 >= 0.4 * LONG_CONTEXT_TOKENS
        and b.answer_words_p50 >= 100
        and not b.is_record
        and b.question_share >= 0.8
        and b.wording.get("long_context", 0) >= 0.5
    ):
        scores.add(
            f"a question on {b.input_tokens_p50} tokens, answered in {b.answer_words_p50} words", long_context=3.5
        )
    _code(b, scores)
    if b.answer_words_p50 < 12 or b.is_record or b.code_share >= 0.5 or _is_canned(b) or _is_edit(b):
        return
    if _is_worked_out_table(b):
        scores.add(f"a text of {b.answer_words_p50} words on a table of {b.user_numbers_p50} numbers", reasoning=4.0)
    elif b.user_words_p50 >= 120 and b.length_ratio <= 0.5:
        long = b.answer_words_p50 >= LONG_PROSE
        scores.add(f"{b.user_words_p50} words in, {b.answer_words_p50} out", summarization=1.5 if long else 3.5)
    elif not _is_shortened(b):
        short = b.answer_words_p50 <= SHORT_PROSE and not asks_for_reasoning(b)
        scores.add(f"free text of {b.answer_words_p50} words", generation=2.0 if short else 1.5)
    if b.letter_share >= LETTERS:
        scores.add(f"{b.letter_share:.0%} are letters or messages to somebody", generation=2.0)
    if b.answer_words_p50 >= LONG_PROSE and not _is_draft(b):
        worded = b.wording.get("reasoning", 0) >= 0.5
        scores.add(f"{b.answer_words_p50} words of free text", reasoning=3.0 if worded else 2.0)
    if b.question_share >= 0.8 and b.user_numbers_p50 >= max(TABLE_NUMBERS, 0.25 * b.user_words_p50):
        scores.add(f"a question on a table of {b.user_numbers_p50} numbers, answered in prose", reasoning=2.5)
    if b.turn_share >= 0.3:
        open_ended = b.answer_words_p50 >= 40
        scores.add(f"{b.turn_share:.0%} stand in a conversation", chat=4.0 if open_ended else 0.5)
    if b.working_share >= 0.5 and b.user_words_p50 < 400 and not _is_draft(b):
        calculated = b.user_numbers_p50 >= 2 or b.signs.get("reasoning", 0) >= 0.5
        scores.add(
            f"{b.working_share:.0%} write out an argument or a calculation", reasoning=4.0 if calculated else 1.5
        )


def _code(b: Behaviour, scores: Scores) -> None:
    if b.code_share >= 0.5 and b.answer_words_p50 >= 4 and not b.is_record:
        scores.add(f"{b.code_share:.0%} of answers are program text", code=5.0)
    elif _is_review_of_code(b):
        scores.add("free text on program text that was asked to be judged", code=3.5)


def _is_review_of_code(b: Behaviour) -> bool:
    drafted = max(b.signs.get("generation", 0), b.signs.get("summary", 0), b.signs.get("rewrite", 0)) >= 0.5
    asked = b.signs.get("code", 0) >= 0.5 and not drafted
    return asked and b.code_input_share >= 0.5 and b.answer_words_p50 >= 12 and not b.is_record


def _is_worked_out_table(b: Behaviour) -> bool:
    """The message is mostly numbers, and no summary is asked for."""
    numbers = b.user_numbers_p50 >= max(2 * TABLE_NUMBERS, 0.25 * b.user_words_p50)
    long = b.answer_words_p50 >= TABLE_WORDS
    return numbers and long and b.wording.get("reasoning", 0) >= 0.5 and b.signs.get("summary", 0) < 0.5


def _reasoned(b: Behaviour, scores: Scores) -> None:
    if b.verdict_skill is not None and b.verdict_skill >= PREDICTABLE_VERDICT and b.code_input_share < 0.5:
        scores.add(
            f"a label with its reason, and a cheap classifier learns the label (skill {b.verdict_skill:.2f})",
            label=5.5, structured=-2.0,
        )  # fmt: skip
    elif (
        b.verdict_skill is not None and b.verdict_skill < UNPREDICTABLE_VERDICT and not _is_draft(b) and has_premises(b)
    ):
        doubt = min(1.0, (UNPREDICTABLE_VERDICT - b.verdict_skill) / 0.2)
        scores.add(
            f"a label with its reason, and a cheap classifier hardly learns the label (skill {b.verdict_skill:.2f})",
            reasoning=round(3.5 * doubt, 1),
        )  # fmt: skip
    elif b.verdict_skill is None and b.verdict_share >= 0.7 and b.is_record and _is_argued(b):
        scores.add(
            "a label with its reason, too rare to be learnt, on a case that is worded like reasoning", reasoning=4.0
        )


def _is_argued(b: Behaviour) -> bool:
    return b.wording.get("reasoning", 0.0) >= 0.5 and has_premises(b)


def _is_draft(b: Behaviour) -> bool:
    """Texts that were asked for: what they begin or end with (a greeting, a kind of change) is no verdict."""
    drafted = max(b.signs.get(sign, 0.0) for sign in ("summary", "generation", "draft")) >= 0.5
    if not (drafted or b.letter_share >= LETTERS) or asks_for_reasoning(b) or b.signs.get("code", 0.0) >= 0.5:
        return False
    return b.wording.get("reasoning", 0) < 0.5 or b.answer_words_p90 > REASON_WORDS


def _answers_from_text(b: Behaviour, scores: Scores) -> None:
    if _is_answered_from_text(b) and b.answer_words_p50 < 12:
        scores.add("a question on the text of the request, answered in its words", generation=3.0)


def _is_answered_from_text(b: Behaviour) -> bool:
    """A question on a text that the request brings, answered in some of its words."""
    asked = b.question_share >= 0.8 and b.distinct_answers > FEW_LABELS and b.number_share < 0.5
    brought = b.user_words_p50 >= PREMISE_WORDS and b.copied_word_share >= 0.6 and b.answer_words_p50 >= 4
    plain = max(b.puzzle_share, b.option_list_share, b.code_input_share, b.working_share) < 0.2
    rephrased = b.signs.get("rewrite", 0.0) >= 0.5
    return asked and brought and plain and not (b.is_record or rephrased or asks_for_reasoning(b))


def _asks_about_itself(b: Behaviour) -> bool:
    return (
        b.question_share >= 0.8
        and b.copied_word_share >= 0.8
        and b.user_words_p50 >= 15
        and b.number_share < 0.5
        and b.signs.get("extraction", 0) < 0.5
        and not (_is_closed(b) and b.distinct_answers <= FEW_LABELS)
    )


def _copies_numbers(b: Behaviour) -> bool:
    """Numbers of the message are no quantities to weigh: the answer picks its words, or puts it in other words."""
    rewritten = b.signs.get("rewrite", 0.0) >= 0.5 and not asks_for_reasoning(b)
    return rewritten or (b.copied_word_share >= 0.8 and not (_is_closed(b) and b.distinct_answers <= FEW_LABELS))


def _hardness(b: Behaviour, scores: Scores) -> None:
    if b.reasoning_tokens_p50 >= 64:
        points = round(min(6.0, 1.2 * math.log2(b.reasoning_tokens_p50 / 32)), 1)
        scores.add(f"{b.reasoning_tokens_p50} reasoning tokens", reasoning=points)
    predictable = (b.verdict_skill or 0.0) >= PREDICTABLE_VERDICT
    if b.verdict_share >= 0.8 and not b.is_record and b.user_numbers_p50 >= 3 and not (predictable or _is_draft(b)):
        points = 3.5 if b.user_numbers_p50 >= 6 else 1.5
        scores.add(f"an argument with a verdict, over {b.user_numbers_p50} numbers", reasoning=points)
    if not (_is_short(b) or _is_closed_structure(b)):
        return
    add_predictability(b, scores)
    if b.decided_by_numbers_share >= 0.2:
        scores.add(
            f"{b.decided_by_numbers_share:.0%} have the same text as others, other numbers and another answer",
            reasoning=3.5, label=-1.0,
        )  # fmt: skip
    if _is_short(b) and b.candidates_p50 >= 2:
        scores.add(
            f"the answer is one of {b.candidates_p50} that the request names",
            reasoning=4.5 if b.candidates_p50 >= 3 else 2.0, label=-2.0, extraction=-1.0,
        )  # fmt: skip
    if b.puzzle_share >= 0.5:
        scores.add(
            f"{b.puzzle_share:.0%} put the same few names in relation to each other", reasoning=3.5, extraction=-1.5
        )
    elif _is_short(b) and not _is_answered_from_text(b) and _asks_about_itself(b):
        scores.add("a question whose answer is a word of the message", reasoning=1.8, extraction=-1.5)
    if b.code_input_share >= 0.5 and (b.skill or 0.0) < 0.25:
        scores.add("a verdict on program text", reasoning=3.5)
    if _copies_numbers(b):
        return
    by_words = (b.skill_without_numbers or 0.0) >= 0.5
    dense = b.user_numbers_p50 >= 6 and b.user_words_p50 >= 12
    # In a long document numbers are everywhere.
    about_numbers = b.user_words_p50 < LONG_WORDS or b.user_numbers_p50 >= 0.1 * b.user_words_p50
    if about_numbers and (dense or (b.user_numbers_p50 >= 3 and b.user_words_p50 >= 25)) and not by_words:
        points = 4.0 if b.user_numbers_p50 >= 6 else 2.5
        scores.add(f"{b.user_numbers_p50} numbers in {b.user_words_p50} words behind a short answer", reasoning=points)
    if b.user_words_p50 >= 60 and b.question_share >= 0.6:
        scores.add("a long message with a question behind a short answer", reasoning=1.2)
