"""The words that decide heavy tasks, chosen from known call sites."""

import msgspec
import yaml

from benchmarks.task_words import COMPANIES, HEADER, chosen, lines
from pipeline.profile.behaviour import Behaviour
from pipeline.profile.known_call_sites import KnownCallSite


def site(company: int, tier: int, prompt: str) -> KnownCallSite:
    behaviour = Behaviour(sampled=9, answered=9)
    return KnownCallSite(
        author="a", company=str(company), name=f"{company}-{tier}", tier=tier, requests=9, prompt=prompt,
        behaviour=behaviour,
    )  # fmt: skip


SITES = [
    site(n, tier, prompt)
    for n in range(COMPANIES)
    for tier, prompt in ((3, "Diagnose the failing turbine"), (1, "Stamp the parcel null"))
]


def test_words_of_heavy_call_sites_get_points_and_those_of_light_ones_lose_some() -> None:
    points = chosen(SITES)
    assert points["diagnose"] > 0 > points["parcel"]
    assert "the" not in points


def test_words_of_few_companies_are_not_chosen() -> None:
    assert "turbine" not in chosen(
        [msgspec.structs.replace(s, prompt=s.prompt.replace("turbine", "rotor")) for s in SITES[:2]] + SITES[2:]
    )


def test_the_printed_file_is_read_as_the_words_that_were_chosen() -> None:
    points = chosen(SITES)
    tree = yaml.safe_load(HEADER + "\n".join(lines(points)))
    assert {word: value for value, words in tree["points"].items() for word in words} == points
