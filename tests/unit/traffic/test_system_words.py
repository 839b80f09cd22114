from hypothesis import given
from hypothesis import strategies as st

from traffic import policy
from traffic.config import CONFIGS
from traffic.features import features_of, request_type
from traffic.record import Message
from traffic.system_words import MIN_WORDS, hardness, words_of

PLANS = (
    "You are the night desk of a tram depot. Weigh which carriages to hold back, what each choice costs the early "
    "lines and in which order to send them out, and explain your plan with its figures before the shift decides."
)
SORTS = (
    "Sort the message of a passenger under one of these names: lost property, delay, fare, other. "
    "Answer with the name of the case and no other text, in the language of the list."
)


def test_a_prompt_that_weighs_and_plans_is_harder_than_one_that_sorts() -> None:
    assert hardness(PLANS) > 0.5 > hardness(SORTS)


def test_few_words_say_nothing() -> None:
    assert hardness(" ".join(words_of(PLANS)[: MIN_WORDS - 1])) == 0.0
    assert hardness("") == 0.0


def test_neither_order_nor_repetition_nor_case_count() -> None:
    assert hardness(" ".join(sorted(PLANS.upper().split()) * 2)) == hardness(PLANS)


@given(st.text(max_size=400))
def test_it_is_a_probability(prompt: str) -> None:
    assert 0.0 <= hardness(prompt) <= 1.0


def test_the_words_of_a_system_prompt_lead_to_tier_3_where_no_other_rule_does() -> None:
    rules = policy.load(CONFIGS / "router.yaml")
    verdicts = {}
    for prompt in (PLANS, SORTS):
        messages = [Message("system", prompt), Message("user", "carriage 4 and carriage 9")]
        features = features_of(messages)
        verdicts[prompt] = policy.decide(rules, features, "generation", None)
        assert request_type(features, messages)
    assert (verdicts[PLANS].tier, verdicts[PLANS].rule) == (3, "worded like heavy call sites")
    assert verdicts[SORTS].rule != "worded like heavy call sites"
