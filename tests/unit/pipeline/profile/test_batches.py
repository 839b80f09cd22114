"""Requests with several items that are answered item by item."""

import random

import pytest

from pipeline.profile import batches
from pipeline.profile.behaviour import behaviour
from pipeline.profile.propose import propose
from pipeline.profile.sample import Sampled
from pipeline.profile.skill import with_skill
from traffic.record import Message, Params

TEXTS = {
    "P": ("lovely app", "works as it should", "my cats adore it"),
    "N": ("crashes daily", "too many ads", "lost all data"),
    "X": ("it is an app", "used for two weeks", "no opinion yet"),
}


def sampled(n: int, message: str, answer: str) -> Sampled:
    return Sampled(
        id=f"r{n}", call_site="reviews", system_hash="s", at=float(n), messages=(Message("user", message),),
        system=None, user=message, tools=None, response_format=None, params=Params(), answer=answer, tool_calls=0,
        ok=True, output_tokens=9, reasoning_tokens=0, model="m", visibility="human",
    )  # fmt: skip


def filler(draw: random.Random) -> str:
    return "".join(draw.choice("aeioumnrst") for _ in range(6))


def batch(n: int, form: str) -> Sampled:
    draw = random.Random(n)
    labels = [draw.choice("PNX") for _ in range(draw.randint(4, 9))]
    lines = [f"{k}. {draw.choice(TEXTS[label])} {filler(draw)}" for k, label in enumerate(labels, 1)]
    pairs = [f"{k}: {label}" for k, label in enumerate(labels, 1)]
    answers = {
        "lines": "\n".join(pairs),
        "one line": ", ".join(pairs),
        "list": str(labels).replace("'", '"'),
        "object": "{" + ", ".join(f'"{k}": "{label}"' for k, label in enumerate(labels, 1)) + "}",
    }
    return sampled(n, "Label the reviews.\n\n" + "\n".join(lines) + "\n\nP, N or X.", answers[form])


@pytest.mark.parametrize("form", ["lines", "one line", "list", "object"])
def test_each_item_of_a_batch_becomes_a_sample_with_its_own_answer(form: str) -> None:
    items = batches.items([batch(n, form) for n in range(20)])
    assert {item.answer for item in items} == {"P", "N", "X"}
    assert all(item.messages[-1].text.startswith("Label the reviews.") for item in items)
    assert all(item.messages[-1].text.endswith("P, N or X.") for item in items)
    assert all(any(text in item.messages[-1].text for text in TEXTS[item.answer]) for item in items)


def test_a_batch_of_labels_is_proposed_for_tier_1() -> None:
    samples = batches.items([batch(n, "lines") for n in range(40)])
    measured = with_skill(behaviour(samples), samples)
    assert measured.answer_words_p90 == 1
    assert propose(measured).tier == 1


@pytest.mark.parametrize(
    "message, answer",
    [
        ("1. Tom is older than Ann\n2. Ann is older than Bo\nWho is the oldest?", "Tom"),
        ("Plan the trip in steps.", "1. Pack\n2. Drive\n3. Rest"),
        ("1. first\n2. second\n3. third", "1: yes"),
        ("1. first\n2. second", "The first is better: it costs less."),
    ],
)
def test_other_numbered_lists_are_no_batches(message: str, answer: str) -> None:
    samples = [sampled(n, message, answer) for n in range(10)]
    assert batches.items(samples) is samples


def test_a_number_and_its_answer_need_no_mark_between_them() -> None:
    samples = [
        sampled(0, "1) a ship\n2) a car\n3) a plane", "1 sea\n2 land\n3 air"),
        sampled(1, "1) a tug\n2) a bus", "1 sea\n2 land"),
    ]
    assert [s.answer for s in batches.items(samples)] == ["sea", "land", "air", "sea", "land"]


def test_a_mark_with_spaces_around_it_is_no_part_of_the_answer() -> None:
    samples = [sampled(n, "1) a ship\n2) a car", "1 - sea\n2 - land") for n in range(3)]
    assert [s.answer for s in batches.items(samples)] == ["sea", "land"] * 3
