"""Candidate `teacher`: the logged answers, scored as they are."""

from pipeline.evaluate import costs
from pipeline.evaluate.answers import Answer
from pipeline.evaluate.candidates.candidate import Answered
from pipeline.evaluate.config import TeacherConfig
from pipeline.evaluate.items import Item, Items
from pipeline.evaluate.scores import Graded
from traffic.record import Usage


class LoggedAnswers:
    """The answers of the log with their logged tokens, latency and cost."""

    def __init__(self, config: TeacherConfig) -> None:
        self.config = config

    def unavailable(self, items: Items) -> str | None:
        return None

    def answers(self, items: Items) -> Answered:
        answers = [_answer(item) for item in items.items]
        return Answered(
            answers=answers,
            costed=costs.as_logged(answers, items.requests),
            latency=costs.latency(answers, None),
        )

    def notes(self, items: Items, graded: Graded) -> list[str]:
        return []


def _answer(item: Item) -> Answer:
    logged = item.logged
    usage = None
    if logged.input_tokens is not None and logged.output_tokens is not None:
        # A dataset has no split into cached and uncached tokens; the records store does.
        usage = Usage(input_uncached=logged.input_tokens, output=logged.output_tokens)
    return Answer(
        record_id=item.record_id,
        text=logged.text,
        error=None if logged.text is not None else "no answer in the log",
        usage=usage,
        latency_ms=logged.latency_ms,
        cost_usd=logged.cost_usd,
        model=logged.model,
    )
