"""The tier that is proposed for a shape with given measurements."""

from typing import Any

from pipeline.profile.behaviour import Behaviour
from pipeline.profile.propose import propose

CLOSED = {
    "sampled": 200, "answered": 200, "user_words_p50": 40, "answer_words_p50": 1, "answer_words_p90": 1,
    "distinct_answers": 3, "common_answer_share": 1.0, "majority_share": 0.4, "bodies_per_answer": 50.0,
    "rows_per_label": 60.0,
}  # fmt: skip
"""A shape whose answers are one of three labels."""


def tier(**changed: Any) -> int:
    """Tier of `CLOSED` with these measurements changed."""
    return propose(Behaviour(**{**CLOSED, **changed})).tier
