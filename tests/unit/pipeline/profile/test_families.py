"""Grouping of system prompts that differ only in values."""

from collections.abc import Callable

from pipeline.profile.families import Text, families, masked
from tests.fakes.growth import assert_linear

CITIES = ("Alta", "Brevik", "Corran", "Dunoon", "Elgol", "Fionn")


def test_a_value_in_a_greeting_before_every_prompt_hides_no_task() -> None:
    greeting = "A very good morning to you from the harbour office in {}!"
    tasks = {
        "Is the berth free or taken?": ("free", "taken"),
        "Write a letter to the skipper.": ("Dear skipper",),
    }
    texts = [
        Text(f"{greeting.format(city)} {task}", 10, tuple(f"{task[:9]} {n}" for n in range(9)), said * 4)
        for task, said in tasks.items()
        for city in CITIES
    ]
    grouped = families(texts)
    assert [{task for task in tasks for text in family.texts if task in text.text} for family in grouped] == [
        {task} for task in (text.texts[0].text.split("! ")[1] for text in grouped)
    ]
    assert len(grouped) == len(tasks)


def test_a_word_that_only_changes_in_one_prompt_stays() -> None:
    texts = [Text(f"You work inside the application {city} for its users. Help them.", 10) for city in CITIES]
    assert sum(family.requests for family in families(texts)) == 60


def test_the_same_material_answered_at_another_length_is_another_task() -> None:
    house = (
        "Work inside the control room. Use the notes of the shift as they are. Invent nothing at all. Keep to the rota."
    )
    notes = tuple(f"pump {n} was checked by the second shift and found dry" for n in range(12))
    one = Text(
        f"{house} Who joins now needs two lines.",
        30,
        notes,
        tuple(f"pump {n} found dry by the shift" for n in range(12)),
    )
    two = Text(
        f"{house} The board wants it all.", 30, notes, tuple(f"pump {n} found dry by the shift " * 9 for n in range(12))
    )
    same = Text(f"{house} The mayor wants it all.", 30, notes, two.answers)
    assert [len(family.texts) for family in families([one, two])] == [1, 1]
    assert [len(family.texts) for family in families([two, same])] == [2]


def test_a_long_word_is_masked_in_linear_time() -> None:
    def masking(repeats: int) -> Callable[[], str]:
        text = "xy" * repeats + " ana@example.com 12"
        return lambda: masked(text)

    assert masking(50_000)() == "xy" * 50_000 + " # #"
    assert_linear(masking, 50_000)
