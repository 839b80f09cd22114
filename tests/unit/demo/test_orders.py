"""Order mails and the values they contain."""

import datetime as dt
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo import orders
from demo.words import LANGUAGES
from traffic.callsites import Checks
from traffic.checks import failed_checks

DAY = dt.date(2026, 11, 3)
SCHEMA = orders.RESPONSE_FORMAT["json_schema"]["schema"]


@given(st.integers(), st.sampled_from(sorted(LANGUAGES)))
def test_every_value_is_a_span_of_the_mail(seed: int, language: str) -> None:
    order = orders.order(random.Random(seed), language, DAY)
    assert all(value is None or value in order.text for value in order.values.values())
    assert not set("[]{}|") & set(order.text)


@given(st.integers(), st.sampled_from(sorted(LANGUAGES)))
def test_correct_answers_match_the_schema(seed: int, language: str) -> None:
    order = orders.order(random.Random(seed), language, DAY)
    answer = msgspec.json.encode(order.values).decode()
    assert failed_checks(answer, "stop", Checks(json=True, json_schema=SCHEMA)) == ()


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_mails_rarely_repeat(language: str) -> None:
    rng = random.Random(1)
    assert len({orders.order(rng, language, DAY).text for _ in range(1000)}) >= 998


@pytest.mark.parametrize("field", ["date", "place"])
def test_optional_values_are_missing_in_some_mails(field: str) -> None:
    rng = random.Random(1)
    missing = sum(orders.order(rng, "en", DAY).values[field] is None for _ in range(500))
    assert 20 < missing < 250


def test_recipient_and_signer_often_differ() -> None:
    rng = random.Random(1)
    made = [orders.order(rng, "en", DAY) for _ in range(500)]
    signed = sum(order.text.endswith(order.values["name"] or "") for order in made)
    assert 200 < signed < 400


def test_the_example_in_the_prompt_follows_its_own_rules() -> None:
    mail, answer = orders.SYSTEM.split("E-mail: ")[1].split("\nJSON: ")
    values = msgspec.json.decode(answer.partition("\n")[0], type=dict[str, str])
    assert tuple(values) == orders.FIELDS
    assert all(value in mail for value in values.values())
