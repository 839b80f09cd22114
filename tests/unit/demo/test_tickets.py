"""Help-desk messages and their topic labels."""

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from demo import tickets
from demo.words import LANGUAGES


@given(st.integers(), st.sampled_from(sorted(LANGUAGES)))
def test_a_message_is_complete(seed: int, language: str) -> None:
    ticket = tickets.ticket(random.Random(seed), language)
    assert ticket.label in tickets.LABELS
    assert not set("[]{}|") & set(ticket.text)
    assert ticket.text[0].isupper() or not ticket.text[0].isalpha()


def test_topics_are_about_equally_frequent() -> None:
    rng = random.Random(0)
    counts = Counter(tickets.ticket(rng, "de").label for _ in range(1200))
    assert set(counts) == set(tickets.LABELS)
    assert min(counts.values()) > 60


def test_the_prompt_states_every_topic_with_its_meaning() -> None:
    meanings = [(label, topic.meaning) for label, topic in tickets.TOPICS.items()]
    assert len(tickets.LABELS) == 12
    assert all(f"- {label}: {meaning}\n" in tickets.SYSTEM for label, meaning in meanings)


def test_a_topic_is_confused_with_another_one() -> None:
    confused = {label: topic.confused_with for label, topic in tickets.TOPICS.items()}
    assert all(other in tickets.LABELS and other != label for label, other in confused.items())


def test_every_topic_has_problems_in_every_language() -> None:
    assert all(set(topic.problems) == set(LANGUAGES) for topic in tickets.TOPICS.values())
