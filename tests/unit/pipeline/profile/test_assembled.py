"""Answers assembled from parts of the message."""

from collections.abc import Callable
from itertools import permutations

from pipeline.profile.assembled import assembled_share
from tests.fakes.growth import assert_linear

NAMES = ["Alder", "Birch", "Cedar", "Hazel", "Larch", "Maple"]


def test_parts_in_another_but_fixed_order_are_a_form() -> None:
    pairs = [
        (f"{name.upper()} lane {n} 40{n}00 nord", f"{n} {name} lane, 40{n}00 Nord") for n, name in enumerate(NAMES)
    ]
    assert assembled_share(pairs) == 1


def test_words_that_every_answer_has_are_the_form() -> None:
    pairs = [
        (f"{name} came to gate {n} with box {n}7", f"Visitor {name}: gate 0{n}, box {n}7")
        for n, name in enumerate(NAMES)
    ]
    assert assembled_share(pairs) == 1


def test_a_ranking_of_what_the_message_names_is_none() -> None:
    pairs = [(f"{', or '.join(NAMES)}; {n}", ", ".join(order)) for n, order in enumerate(permutations(NAMES, 4))]
    assert assembled_share(pairs) < 0.2


def test_one_part_is_a_choice() -> None:
    pairs = [(f"{name} old mill farm or its neighbour {n}", f"{name} old mill farm") for n, name in enumerate(NAMES)]
    assert assembled_share(pairs) == 0


def test_a_calculation_is_none() -> None:
    pairs = [
        (f"{name} has {n} and gets {n + 3} at {n}%", f"{name} ends with {n * 77} of {n + 99}, not {n + 500}")
        for n, name in enumerate(NAMES)
    ]
    assert assembled_share(pairs) == 0


def test_nothing_is_no_form() -> None:
    assert assembled_share([]) == 0
    assert assembled_share([("", "")]) == 0


def test_long_answers_are_put_in_order_in_linear_time() -> None:
    def assembling(words: int) -> Callable[[], object]:
        pairs = [("a b " * words, f"{n} {'a ' * 2 * words}") for n in range(10)]
        return lambda: assembled_share(pairs)

    assert_linear(assembling, 4000)
