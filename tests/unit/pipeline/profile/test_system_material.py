"""System prompts that hold the material of one request."""

from typing import Any

from pipeline.profile.sample import Sampled, last_user
from pipeline.profile.system_material import apart
from traffic.record import Message, Params

TASK = "You are the guide of a museum.\nAnswer from the panel."


def _sampled(systems: list[str], *, asked: str | list[dict[str, Any]] = "When was it built?") -> list[Sampled]:
    return [
        Sampled(
            id=f"r{n}", call_site="a", system_hash=None, at=float(n),
            messages=(
                Message("system", system), Message("user", "Hi"), Message("assistant", "Yes?"), Message("user", asked),
            ),
            system=system, user="Hi", tools=None, response_format=None, params=Params(), answer="1904", tool_calls=0,
            ok=True, output_tokens=9, reasoning_tokens=0, model="m", visibility="unknown",
        )
        for n, system in enumerate(systems)
    ]  # fmt: skip


def test_what_varies_of_the_system_prompts_belongs_to_the_last_message() -> None:
    panels = [f"The hall number {n} was built by {n} " + "men of the town and their sons " * 4 for n in range(9)]
    moved = apart(_sampled([f"{TASK}\n{panel}" for panel in panels]))
    assert [s.system for s in moved] == [TASK] * 9
    assert [last_user(s) for s in moved] == [f"{panel.strip()}\nWhen was it built?" for panel in panels]
    assert [m.role for m in moved[0].messages] == ["system", "user", "assistant", "user"]


def test_dates_names_and_a_few_variants_stay() -> None:
    dated = _sampled([f"{TASK}\nToday is 2026-11-{n:02}." for n in range(1, 20)])
    assert apart(dated) is dated
    long = "Panel: " + "a hall of the town built by many men " * 5
    variants = _sampled([f"{TASK}\n{long}{n % 2}" for n in range(20)])
    assert apart(variants) is variants


def test_prompts_without_a_common_line_stay() -> None:
    others = _sampled([f"Task {n}: " + f"word{n} other{n} " * 30 for n in range(9)])
    assert apart(others) is others


def test_a_prompt_without_material_and_one_of_another_template_stay() -> None:
    panels = [f"The hall number {n} was built by {n} " + "men of the town and their sons " * 4 for n in range(20)]
    own = "Another task, of another part of the application."
    moved = apart(_sampled([*(f"{TASK}\n{panel}" for panel in panels), TASK, own]))
    assert [(s.system, last_user(s)) for s in moved[-2:]] == [(TASK, "When was it built?"), (own, "When was it built?")]


def test_images_of_the_last_message_stay_beside_the_material() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://x.test/1.png"}}
    panels = [f"The hall number {n} was built by {n} " + "men of the town and their sons " * 4 for n in range(9)]
    moved = apart(_sampled([f"{TASK}\n{panel}" for panel in panels], asked=[{"type": "text", "text": "When?"}, image]))
    assert [last_user(s) for s in moved] == [f"{panel.strip()}\nWhen?" for panel in panels]
    assert all(image in (s.messages[-1].content or ()) for s in moved)
