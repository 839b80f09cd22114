"""What a shape's behaviour says about its request type: each signal adds points (natural-log odds) to types."""

import math

from pipeline.profile import kinds
from pipeline.profile.behaviour import Behaviour
from pipeline.profile.predictability import (
    FEW_LABELS,
    REASONING_SIGNS,
    UNPREDICTABLE,
    WEIGHED_VERDICT,
    add_predictability,
    asks_for_reasoning,
    asks_on_text,
    has_premises,
    is_compared,
    is_picked,
)
from pipeline.profile.scores import Scores
from traffic.callsites import RequestType

FEW = 5
MEDIAN_LONG_CONTEXT_TOKENS = 4000
"""Median input of a call site that reads long contexts; the rules, which see one request, ask for less."""
PREDICTABLE_VERDICT = 0.6
TRANSLATED, TRANSLATED_COPIES = 2.0, 0.25
"""Points for a rewrite, and copied words up to which it is a translation: some call short ones easy, most do not."""
LEARNED = 0.8
"""Skill of a cheap classifier from which on an answer is no puzzle's, whatever its message looks like."""
SEVERAL = 0.25
"""Share of calling answers that call several functions; where one call is a request's answer, none does."""
WRITTEN_WORDS = 6
"""Words of an answer from which on it may be a sentence."""
VALUE_WORDS = 4
"""Words of the longest value up to which a structured answer is a form that was filled in, copied or normalised."""
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
        for signal in (_labels, _values, _edits, _prose, _reasoned, _hardness):
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
        scores.add(f"{share:.0%} are worded like {kind}", **{name: round(points, 2)})
    if b.signs.get("label", 0) >= 0.5:
        scores.add("the instruction asks for one label", label=0.5)
    if b.signs.get("reasoning", 0) >= 0.5 or b.signs.get("deliberation", 0) >= 0.5:
        scores.add("the instruction asks for reasoning", reasoning=1.0)


def _tools(b: Behaviour, scores: Scores) -> None:
    scores.add(f"{b.tools} functions offered, {b.tool_call_share:.0%} of answers call one", tool_use=3.0, agent=2.0)
    if b.tool_result_share >= 0.15:
        scores.add(f"{b.tool_result_share:.0%} continue after a result, up to {b.chain_p90} results", agent=3.5)
    if b.tools >= 4:
        # Which function to call is a choice; what makes an agent are the results that it goes on from.
        once = b.tool_result_share < 0.05
        scores.add("a choice among many functions", agent=0.0 if once else 2.0, tool_use=2.0 if once else 0.0)
    elif b.tool_result_share < 0.05:
        scores.add("hardly any request continues after a call", tool_use=2.0)
    if b.tools >= 4 and b.several_calls_share >= SEVERAL:
        scores.add(f"{b.several_calls_share:.0%} of the answers that call a function call several", agent=4.0)
    if b.signs.get("multi_step", 0) >= 0.5:
        scores.add("the instruction asks for several steps", agent=1.0)


def _labels(b: Behaviour, scores: Scores) -> None:
    if b.is_record:
        return
    if kinds.asks_of_the_world(b):
        scores.add("yes or no, or the like, to a bare question: what it asks for is not in the request", reasoning=6.0)
        return
    if is_picked(b):
        scores.add(
            f"answers name a listed item; a cheap classifier predicts which (skill {b.picked_skill:.2f})", label=5.5
        )
        return
    if max(b.picked_share, b.option_share if b.option_list_share >= 0.5 else 0.0) >= 0.6:
        scores.add("answers name one of the options that the request lists", reasoning=5.0, label=-1.0)
        return
    if kinds.is_canned(b):
        scores.add(f"{b.distinct_answers} prepared texts as answers to many different messages", label=4.5)
        return
    if not kinds.is_short(b):
        scores.add(
            f"answers of {b.answer_words_p50} words (p90 {b.answer_words_p90})",
            label=-2.5 if b.answer_words_p90 > 15 else -0.5,
        )
        return
    # 0 and 1 are no and yes, not quantities.
    if b.number_share >= 0.5 and b.largest_number > 1 and not is_compared(b):
        _numbers(b, scores)
        return
    if kinds.is_closed(b) and kinds.repeats_few(b):
        scores.add(f"few short answers to few different messages ({b.bodies_per_answer:.1f} per answer)", label=0.5)
    elif kinds.is_closed(b) and b.copied_word_share >= 0.8 and b.distinct_answers > 8:
        scores.add(f"{b.distinct_answers} different short answers, copied from the request", label=2.0, extraction=2.0)
    elif kinds.is_closed(b):
        scores.add(
            f"{b.distinct_answers} different short answers: {b.common_answer_share:.0%} of requests have a common one, "
            f"{b.new_answer_share:.0%} of the second half a new one",
            label=3.5 if b.distinct_answers <= FEW_LABELS else 4.2,
        )
    else:
        scores.add(f"short answers that rarely recur ({b.new_answer_share:.0%} of the second half are new)", label=-1.0)


def _numbers(b: Behaviour, scores: Scores) -> None:
    if b.largest_number <= 10 and b.distinct_answers <= 11 and kinds.is_closed(b) and b.question_share < 0.8:
        scores.add("answers are ratings", label=3.5)
    elif b.copied_word_share >= 0.5:
        scores.add("answers are numbers from the request", extraction=4.6)
    elif kinds.has_quantities(b):
        scores.add(
            f"answers are quantities that are not in the request ({b.number_share:.0%})", reasoning=5.0, label=-1.0
        )
    else:
        scores.add("answers are numbers, and requests have none to calculate with", extraction=3.0, label=3.0)


def _record(b: Behaviour, scores: Scores) -> None:
    if kinds.is_calculation(b):
        scores.add(
            f"values that are neither in the request nor in other answers ({b.new_word_share:.0%})", reasoning=6.0
        )
    elif b.called_functions > 1 and b.several_calls_share >= SEVERAL:
        scores.add(f"{b.several_calls_share:.0%} of the answers list several functions to call", agent=6.0)
    elif b.called_functions > 1:
        scores.add(f"answers name one of {b.called_functions} functions to call, as text", tool_use=6.0)
    else:
        form = f"{b.json_share:.0%} structured answers with {len(b.keys)} common keys"
        if b.prose_words_p50 >= 10:
            scores.add(f"{form}, the longest free text {b.prose_words_p50} words", structured=5.0, generation=0.5)
        elif b.closed_value_share >= 0.9:
            few = kinds.repeats_few(b) and b.distinct_answers <= 100
            scores.add(f"{form}, nearly all values from small sets", label=0.5 if few else 4.0, extraction=1.5)
        elif b.copied_value_share >= 0.6:
            copied = f"{form}, {b.copied_value_share:.0%} of the free values are copied from the request"
            if asks_on_text(b):
                scores.add(f"{copied}, which asks a question on a text", structured=4.5)
            else:
                scores.add(copied, extraction=6.0)
        elif b.prose_words_p50 <= VALUE_WORDS:
            scores.add(f"{form}, the longest value {b.prose_words_p50} words", extraction=5.0, structured=1.0)
        else:
            scores.add(
                f"{form}, {b.copied_value_share:.0%} of the free values are copied from the request", structured=3.5
            )


def _values(b: Behaviour, scores: Scores) -> None:
    if b.is_record:
        _record(b, scores)
    elif kinds.is_answer_on_text(b):
        scores.add("short answers to different questions on a text", generation=4.5)
    elif (
        kinds.is_short(b)
        and b.copied_word_share >= 0.8
        and b.length_ratio <= 0.6
        and not kinds.is_closed(b)
        and b.number_share < 0.5
    ):
        scores.add(
            f"short answers copied from the request ({b.copied_word_share:.0%} of their words)",
            extraction=3.5 if b.signs.get("generation", 0) >= 0.5 and not b.single_value else 4.5,
            rewrite=3.0,
        )
    elif b.single_value and kinds.is_copied(b) and not asks_on_text(b):
        scores.add("passages copied from a longer request, as a structure", extraction=5.0)
    elif not b.single_value and kinds.is_excerpt(b):
        scores.add("passages copied from a longer request, as the instruction asks", extraction=5.0)
    elif kinds.is_mechanical(b):
        scores.add(
            f"{b.copied_word_share:.0%} of the words are copied from the request, the others recur in many answers",
            extraction=4.5,
        )
    if kinds.is_small(b) and not b.is_record and kinds.is_new_text(b):
        scores.add(f"{b.answer_words_p50} words that are not in the request, and hardly ever the same", generation=2.5)
    elif kinds.is_small(b) and (b.is_record or not kinds.is_closed(b)):
        scores.add(
            f"{b.user_words_p50} words in, {b.answer_words_p50} out: little to reason from", extraction=4.5, rewrite=3.0
        )


def _edits(b: Behaviour, scores: Scores) -> None:
    if kinds.is_edit(b):
        likeness = f"similarity {b.edit_likeness:.2f}, {b.copied_word_share:.0%} of the words copied"
        scores.add(f"answers are the message with small changes ({likeness})", rewrite=5.5)
    elif kinds.is_transformed(b):
        scores.add(
            f"the length of short answers follows the message (rank correlation {b.length_tracking:.2f})",
            rewrite=TRANSLATED if b.copied_word_share < TRANSLATED_COPIES else 5.0,
        )  # fmt: skip


def _prose(b: Behaviour, scores: Scores) -> None:
    if b.input_tokens_p50 >= 0.6 * MEDIAN_LONG_CONTEXT_TOKENS and b.answer_words_p50 >= 25 and not b.is_record:
        scores.add(
            f"input of {b.input_tokens_p50} tokens, condensed to {b.answer_words_p50} words",
            long_context=6.0 if b.input_tokens_p50 >= MEDIAN_LONG_CONTEXT_TOKENS else 4.5,
        )
    elif (
        b.input_tokens_p50 >= 0.4 * MEDIAN_LONG_CONTEXT_TOKENS
        and b.answer_words_p50 >= 100
        and not b.is_record
        and b.question_share >= 0.8
        and b.wording.get("long_context", 0) >= 0.5
    ):
        scores.add(
            f"a question on {b.input_tokens_p50} tokens, answered in {b.answer_words_p50} words", long_context=3.5
        )
    _code(b, scores)
    _sentences(b, scores)
    if b.answer_words_p50 < 12 or b.is_record or b.code_share >= 0.5:
        return
    if kinds.is_canned(b) or kinds.is_edit(b) or kinds.is_transformed(b):
        return
    _free_text(b, scores)


def _sentences(b: Behaviour, scores: Scores) -> None:
    text = b.answer_words_p50 >= WRITTEN_WORDS and b.code_share < 0.5 and not b.is_record
    if b.record_message_share >= 0.5 and text and not (kinds.is_closed(b) or kinds.is_edit(b)):
        scores.add(f"fields in, text of {b.answer_words_p50} words out", generation=3.0)


def _free_text(b: Behaviour, scores: Scores) -> None:
    if b.user_words_p50 >= 120 and b.length_ratio <= 0.5:
        long = b.answer_words_p50 >= kinds.LONG_PROSE
        scores.add(f"{b.user_words_p50} words in, {b.answer_words_p50} out", summarization=1.5 if long else 3.5)
    else:
        short = b.answer_words_p50 <= kinds.SHORT_PROSE and not asks_for_reasoning(b)
        scores.add(f"free text of {b.answer_words_p50} words", generation=2.0 if short else 1.5)
    if b.turn_share >= 0.3:
        open_ended = b.answer_words_p50 >= 40
        scores.add(f"{b.turn_share:.0%} have earlier turns", chat=4.0 if open_ended else 0.5)


def _code(b: Behaviour, scores: Scores) -> None:
    if b.code_share >= 0.5 and b.answer_words_p50 >= 4 and not b.is_record:
        scores.add(f"{b.code_share:.0%} of answers are program text", code=5.0)


def _reasoned(b: Behaviour, scores: Scores) -> None:
    if b.verdict_option_share >= 0.6:
        scores.add("a reason, then one of the options that the request lists", reasoning=5.0, structured=-1.0)
    elif is_compared(b) and b.verdict_share >= 0.7:
        scores.add(
            f"a label with a reason; it follows from how alike the parts of the message are ({b.comparison_skill:.2f})",
            label=5.5, structured=-2.0,
        )  # fmt: skip
    elif b.verdict_skill is not None and b.verdict_skill >= PREDICTABLE_VERDICT and b.code_input_share < 0.5:
        scores.add(
            f"a label with a reason; a cheap classifier predicts the label (skill {b.verdict_skill:.2f})",
            label=5.5, structured=-2.0,
        )  # fmt: skip
    elif b.verdict_skill is not None and b.verdict_skill < UNPREDICTABLE and not kinds.is_draft(b) and has_premises(b):
        doubt = min(1.0, (UNPREDICTABLE - b.verdict_skill) / 0.2)
        scores.add(
            f"a label with a reason; a cheap classifier hardly predicts the label (skill {b.verdict_skill:.2f})",
            reasoning=round(3.5 * doubt, 1),
        )  # fmt: skip
    elif b.verdict_skill is None and b.verdict_share >= 0.7 and b.is_record and kinds.is_argued(b):
        scores.add(
            "a label with a reason, too few to train a classifier on; the request is worded like reasoning",
            reasoning=4.0,
        )


def _hardness(b: Behaviour, scores: Scores) -> None:
    if b.reasoning_tokens_p50 >= 64:
        points = round(min(6.0, 1.2 * math.log2(b.reasoning_tokens_p50 / 32)), 1)
        scores.add(f"{b.reasoning_tokens_p50} reasoning tokens", reasoning=points)
    if not (kinds.is_short(b) or kinds.is_closed_structure(b)):
        return
    if is_picked(b):
        return
    if is_compared(b):
        scores.add(
            f"the answer follows from how alike the parts of the message are (skill {b.comparison_skill:.2f})",
            label=4.0,
        )  # fmt: skip
        return
    add_predictability(b, scores)
    if b.decided_by_numbers_share >= 0.2:
        scores.add(
            f"{b.decided_by_numbers_share:.0%} differ from others only in numbers, and in the answer",
            reasoning=3.5, label=-1.0,
        )  # fmt: skip
    if kinds.is_short(b) and b.candidates_p50 >= 2:
        scores.add(
            f"the answer is one of {b.candidates_p50} candidates in the request",
            reasoning=4.5 if b.candidates_p50 >= 3 else 2.0, label=-2.0, extraction=-1.0,
        )  # fmt: skip
    if b.puzzle_share >= 0.5 and not kinds.is_new_text(b) and (b.skill or 0.0) < LEARNED:
        scores.add(
            f"{b.puzzle_share:.0%} relate a few names to each other, like puzzles", reasoning=3.5, extraction=-1.5
        )
    if kinds.is_verdict_on_listed_facts(b) and (b.skill or 0.0) < WEIGHED_VERDICT:
        scores.add("one of a few labels on a list of facts", reasoning=3.0)
