"""What answers have in common with their messages."""

import random

from pipeline.profile.overlap import overlap
from tests.unit.pipeline.profile.test_behaviour import sampled, words


def lengths(pairs: list[tuple[str, str]]) -> tuple[float, float, float]:
    measured = overlap(sampled(pairs))
    return measured["length_tracking"], measured["length_spread"], measured["material_ratio"]


def test_translations_are_as_long_as_their_messages_and_replies_are_not() -> None:
    draw = random.Random(1)
    sizes = [draw.randint(3, 20) for _ in range(80)]
    tracking, spread, ratio = lengths([(words(draw, n), words(draw, n + draw.randint(0, 1))) for n in sizes])
    assert tracking > 0.95
    assert spread < 0.15
    assert 1 <= ratio < 1.2
    tracking, spread, _ = lengths([(words(draw, n), words(draw, draw.randint(3, 20))) for n in sizes])
    assert abs(tracking) < 0.3
    assert spread > 0.5


def test_the_template_around_a_message_is_not_part_of_its_length() -> None:
    draw = random.Random(2)
    texts = [words(draw, draw.randint(2, 9)) for _ in range(60)]
    bare = lengths([(text, f"{text} {words(draw, 1)}") for text in texts])
    around = "put this short line of the menu into plain french for the app:"
    assert lengths([(f"{around} {text}", f"{text} {words(draw, 1)}") for text in texts])[2] == bare[2]


def test_lengths_in_a_script_without_spaces_are_compared_in_the_same_unit() -> None:
    draw = random.Random(4)
    texts = ["".join(chr(0x4E00 + draw.randrange(9000)) for _ in range(draw.randint(8, 40))) for _ in range(60)]
    assert lengths([(text, text[::-1]) for text in texts])[2] == 1


def test_lengths_that_never_differ_tell_nothing() -> None:
    draw = random.Random(3)
    measured = overlap(sampled([(words(draw, 5), words(draw, 5)) for _ in range(30)]))
    assert "length_tracking" not in measured
