"""Differences between the call sites of two registries."""

from pipeline.profile.against import changes
from traffic.callsites import CallSite, Registry, ShapeTemplate


def site(name: str, *templates: str, tier: int = 1) -> CallSite:
    listed = tuple(ShapeTemplate(id=template, messages=()) for template in templates)
    return CallSite(name=name, tier=tier, templates=listed)  # type: ignore[arg-type]


def compared(now: list[CallSite], before: list[CallSite]) -> list[str]:
    return changes([(entry, []) for entry in now], Registry(call_sites=tuple(before)))


def test_a_renamed_call_site_is_known_by_its_prompt() -> None:
    assert compared([site("quay", "aaaaaaaa")], [site("pier", "aaaaaaaa")]) == ["quay: renamed, was pier"]


def test_a_new_call_site_with_the_prompt_of_another_appeared() -> None:
    pier = site("pier", "aaaaaaaa")
    assert compared([pier, site("quay", "aaaaaaaa")], [pier]) == ["quay: appeared, 0 requests, tier 1"]


def test_a_new_prompt_of_a_known_call_site_is_reported() -> None:
    now = [site("pier", "aaaaaaaa", "bbbbbbbb")]
    assert compared(now, [site("pier", "aaaaaaaa")]) == ["pier: 1 new prompts (bbbbbbbb)"]
