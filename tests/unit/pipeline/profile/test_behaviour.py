"""What is measured of a shape's requests and answers."""

import random

from pipeline.profile.behaviour import behaviour, with_skill
from pipeline.profile.sample import Sampled
from traffic.record import Message, Params


def sampled(pairs: list[tuple[str, str]]) -> list[Sampled]:
    return [
        Sampled(
            id=f"r{n}", call_site="a", system_hash=None, at=float(n), messages=(Message(role="user", content=asked),),
            system=None, user=asked, tools=None, response_format=None, params=Params(), answer=answer, tool_calls=0,
            ok=True, output_tokens=9, reasoning_tokens=0, model="m", visibility="unknown",
        )
        for n, (asked, answer) in enumerate(pairs)
    ]  # fmt: skip


def words(draw: random.Random, n: int) -> str:
    return " ".join("".join(draw.choice("abcdefghij") for _ in range(5)) for _ in range(n))


def test_new_sets_of_known_labels_are_not_new_answers() -> None:
    draw = random.Random(1)
    tags = ["cost", "noise", "speed", "looks", "care", "smell", "light"]
    found = behaviour(sampled([(words(draw, 8), ", ".join(draw.sample(tags, 3))) for _ in range(60)]))
    assert found.distinct_answers > 25
    assert found.new_answer_share == 0
    assert found.common_answer_share == 1


def test_a_message_may_end_with_its_material_in_a_short_line() -> None:
    draw = random.Random(2)
    lines = [
        "The clerk at the counter asked whether all of it was right.",
        "The clerk asked if the guest has any other wish.",
    ]
    pairs = [(f"{draw.choice(lines)}\n> {words(draw, 3)}", draw.choice(["yes", "no"])) for _ in range(60)]
    assert behaviour(sampled(pairs)).bodies_per_answer >= 20


def test_the_verdict_behind_a_reason_is_probed() -> None:
    draw = random.Random(3)
    cues = {"low": "scratch on the lid", "high": "smoke from the plug"}

    def learnt(label_of: str | None) -> float:
        pairs = []
        for _ in range(80):
            cue = draw.choice(list(cues))
            label = cue if label_of is None else draw.choice(list(cues))
            pairs.append(
                (
                    f"{words(draw, 5)} {cues[cue]} {words(draw, 4)}",
                    f"Reason: it says {cues[cue]} and {words(draw, 4)}\nLevel: {label}",
                )
            )
        rows = sampled(pairs)
        return with_skill(behaviour(rows), rows).verdict_skill or 0.0

    assert learnt(None) > 0.8
    assert learnt("by chance") < 0.3
