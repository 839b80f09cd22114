"""The candidate `teacher`: the logged answers, scored as they are."""

from collections.abc import Sequence

from pipeline.evaluate.answers import Answer
from pipeline.evaluate.items import Item
from traffic.record import Usage


def answers(items: Sequence[Item]) -> list[Answer]:
    """The logged answers with their logged tokens, latency and cost."""
    return [
        Answer(
            record_id=item.record_id,
            text=item.logged.text,
            error=None if item.logged.text is not None else "no answer in the log",
            usage=_usage(item),
            latency_ms=item.logged.latency_ms,
            cost_usd=item.logged.cost_usd,
            model=item.logged.model,
        )
        for item in items
    ]


def _usage(item: Item) -> Usage | None:
    """Tokens as logged; the split of the prompt into cached and not is in the records store, not in a dataset."""
    if item.logged.input_tokens is None or item.logged.output_tokens is None:
        return None
    return Usage(input_uncached=item.logged.input_tokens, output=item.logged.output_tokens)
