import itertools

import hypothesis.strategies as st
from hypothesis import given

from pipeline.extract.call_site import systems


def test_call_sites_with_distinct_names_keep_the_short_prompt() -> None:
    assert systems({"support.intent": "intent", "inbox.spam": "moderation"}) == {
        "support.intent": "intent",
        "inbox.spam": "spam",
    }


def test_call_sites_with_equal_last_parts_get_their_full_names() -> None:
    assert systems({"support.intent": "intent", "sales.intent": "intent"}) == {
        "support.intent": "support intent",
        "sales.intent": "sales intent",
    }


@given(st.lists(st.text("ab.2_ ", min_size=1, max_size=6), min_size=1, max_size=8, unique=True))
def test_no_two_call_sites_share_a_prompt_nor_a_version_of_one(names: list[str]) -> None:
    fixed = systems(dict.fromkeys(names, "intent"))
    prompts = [{system, *(f"{system} {n}" for n in range(2, 12))} for system in fixed.values()]
    assert all(first.isdisjoint(second) for first, second in itertools.combinations(prompts, 2))
