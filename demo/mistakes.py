"""Errors of an imperfect model: faults of the logged answers and wrong answers of simulated hosted models.

A wrong answer is plausible: another topic, a value of the mail in the wrong field, a sentence left as it was.
"""

import random
import re
from collections.abc import Callable
from typing import Literal, NamedTuple

import msgspec

from demo import tickets

Task = Literal["classification", "extraction", "rewrite", "free"]
Fault = Literal[
    "wrong_label", "off_list_label", "wrong_value", "unchanged_echo", "extra_prose", "invalid_json", "truncated_output"
]

_PROSE = ("Sure! Here is the result: ", "The answer is: ", "Based on the message, I would say ")
_FAULTS: dict[Task, tuple[Fault, ...]] = {
    # Repeated entries are more likely: errors of content are more frequent than those of form.
    "classification": ("wrong_label", "wrong_label", "off_list_label", "extra_prose"),
    "extraction": (
        "wrong_value",
        "wrong_value",
        "wrong_value",
        "wrong_value",
        "invalid_json",
        "extra_prose",
        "truncated_output",
    ),
    "rewrite": ("unchanged_echo", "unchanged_echo", "extra_prose", "truncated_output"),
    "free": ("truncated_output",),
}
_SPAN = re.compile(r"\b(?:[A-ZÄÖÜ][\wäöüßéíóáñ]+(?: [A-ZÄÖÜ][\wäöüßéíóáñ]+)?|\d+)\b")


class Answer(NamedTuple):
    """A model's answer and its fault, None if correct."""

    text: str
    finish_reason: str = "stop"
    fault: Fault | None = None


def faulty(task: Task, text: str, right: str, rng: random.Random) -> Answer:
    """An answer with one fault of a kind that fits the task; `text` is the user's message."""
    fault = rng.choice(_FAULTS[task])
    make: dict[Fault, Callable[[], Answer]] = {
        "off_list_label": lambda: Answer(tickets.TOPICS[right].off_list, fault="off_list_label"),
        "extra_prose": lambda: Answer(f"{rng.choice(_PROSE)}{right}", fault="extra_prose"),
        "invalid_json": lambda: Answer(_invalid(right, rng), fault="invalid_json"),
        "truncated_output": lambda: Answer(right[: max(1, len(right) * 2 // 3)], "length", "truncated_output"),
    }
    return make[fault]() if fault in make else Answer(wrong(task, text, right, rng), fault=fault)


def wrong(task: Task, text: str, right: str, rng: random.Random) -> str:
    """A well-formed answer that differs from `right`."""
    if task == "classification":
        others = [label for label in tickets.LABELS if label != right]
        return tickets.TOPICS[right].confused_with if rng.random() < 0.6 else rng.choice(others)
    if task == "extraction":
        return _wrong_value(text, right, rng)
    if task == "rewrite" and text != right:
        return text
    cut = right.rsplit(" ", 2)[0]
    return cut if cut != right else f"{right} (unconfirmed)"


def _wrong_value(text: str, right: str, rng: random.Random) -> str:
    """Replace one field by another text of the mail, or by null."""
    values: dict[str, str | None] = msgspec.json.decode(right)
    field = rng.choice(list(values))
    spans = [span for span in _SPAN.findall(text) if span not in values.values()]
    old = values[field]
    if old is not None and (not spans or rng.random() < 0.4):
        values[field] = old.rsplit(" ", 1)[0] if " " in old and rng.random() < 0.5 else None
    else:
        values[field] = rng.choice(spans or ["unknown"])
    return msgspec.json.encode(values).decode()


def _invalid(right: str, rng: random.Random) -> str:
    return rng.choice((f"```json\n{right}\n```", right.removesuffix("}"), right.replace('"', "'")))
