"""How well cheap classifiers predict a shape's short answers, or the labels that longer ones state with a reason."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

import msgspec

from pipeline.profile import answers, listed_items
from pipeline.profile.behaviour import CLOSED_SHARE, CLOSED_WORDS, STATED_SHARE, Behaviour, bare_values
from pipeline.profile.families import masked
from pipeline.profile.probe import ProbeResult, probe, probe_comparison, probe_sets
from pipeline.profile.sample import Sampled, last_user

PROBED = 400
FEW_NUMBERS = 2
LEARNT = 0.6
"""Skill from which on other classifiers are not tried."""
PICKED_SHARE = 0.6
"""Share of answers that name a listed item, from which on a shape picks one."""
_DIGITS = re.compile(r"\d+")


def with_skill(measured: Behaviour, samples: Sequence[Sampled]) -> Behaviour:
    """The measurements with how well cheap classifiers predict the answers, where they are short and closed."""
    short = measured.answer_words_p90 <= CLOSED_WORDS or (measured.is_record and measured.closed_value_share >= 0.9)
    done = bare_values([s for s in samples if s.ok and s.answer.strip()])
    messages = [last_user(s) for s in done]
    argued = measured.verdict_share >= STATED_SHARE and measured.common_answer_share < CLOSED_SHARE
    if not short or (argued and not measured.is_record):
        return _with_verdict_skill(measured, messages, done)
    if measured.common_answer_share < 0.5:
        return measured
    texts = [s.answer for s in done]
    labels = answers.labels(texts)
    measured = msgspec.structs.replace(measured, decided_by_numbers_share=_by_numbers(messages, labels))
    members = answers.members(texts)

    def predict(texts: Sequence[str]) -> ProbeResult | None:
        if members is None:
            return probe(texts, labels, PROBED, groups=messages)
        return probe_sets(texts, members, PROBED, groups=messages)

    full = predict(messages)
    if full is None:
        return measured
    without_numbers = full
    if measured.user_numbers_p50 >= FEW_NUMBERS:
        without_numbers = predict([_DIGITS.sub("", text) for text in messages]) or full
    return msgspec.structs.replace(
        _with_comparison_skill(measured, messages, labels, full),
        skill=full.skill,
        skill_without_numbers=without_numbers.skill,
        rows_per_label=full.rows_per_label,
        **_picked(messages, texts),
    )


def _with_comparison_skill(
    measured: Behaviour, messages: Sequence[str], labels: Sequence[str], result: ProbeResult
) -> Behaviour:
    if result.skill >= LEARNT or (compared := probe_comparison(messages, labels, PROBED)) is None:
        return measured
    return msgspec.structs.replace(measured, comparison_skill=compared.skill)


def _picked(messages: Sequence[str], texts: Sequence[str]) -> dict[str, float]:
    named = listed_items.named(messages, texts)
    if named.share < PICKED_SHARE:
        return {}
    # By the messages without their lists: an exam asks the same question again with its options in another order.
    result = None if named.decided_by_list else probe(named.rests, named.items, PROBED)
    return {"picked_share": round(named.share, 3)} | ({} if result is None else {"picked_skill": result.skill})


def _with_verdict_skill(measured: Behaviour, messages: Sequence[str], done: Sequence[Sampled]) -> Behaviour:
    if measured.verdict_share < STATED_SHARE or measured.answer_words_p90 > answers.REASON_WORDS:
        return measured
    verdicts = answers.verdicts([s.answer for s in done])
    # Digits aside: a verdict that hangs on quantities is not learnt.
    result = probe([_DIGITS.sub("", text) for text in messages], verdicts, PROBED, groups=messages)
    if result is None:
        return measured
    measured = _with_comparison_skill(measured, messages, verdicts, result)
    return msgspec.structs.replace(measured, verdict_skill=result.skill)


def _by_numbers(messages: Sequence[str], labels: Sequence[str]) -> float:
    of_text: dict[str, Counter[str]] = defaultdict(Counter)
    for text, label in zip(messages, labels, strict=True):
        of_text[masked(text.lower())][label] += 1
    # An answer that differs once is a slip.
    open_ = [counts.total() for counts in of_text.values() if counts.total() - max(counts.values()) >= 2]
    return sum(open_) / len(messages) if messages else 0.0
