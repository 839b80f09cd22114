import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from traffic import policy
from traffic.callsites import RequestType
from traffic.config import CONFIGS
from traffic.features import features_of
from traffic.record import Message
from traffic.task_words import READ_CHARS, balance, words_of

HEAVY = "Weigh what each choice costs the depot"
LIGHT = "Extract the label of the text"


def test_heavy_words_count_for_and_light_ones_against() -> None:
    assert balance(HEAVY) == sum(map(balance, ("weigh", "choice", "costs"))) > 2
    assert balance(LIGHT) == sum(map(balance, ("extract", "label", "text"))) < -2
    assert balance(f"{HEAVY}. {LIGHT}") == balance(HEAVY) + balance(LIGHT)
    assert balance("") == 0


def test_a_word_counts_once_whatever_its_case_and_what_stands_beside_it() -> None:
    assert balance("WEIGH, weigh; (weigh)") == balance("weigh") > 0
    assert balance("“weigh”—or…costs") == balance("weigh") + balance("costs")
    assert balance("weigh_costs") == balance("weigh") + balance("costs")


def test_a_part_of_a_word_does_not_count() -> None:
    assert balance("weighbridge replanned") == 0


def test_the_words_of_a_text_are_those_that_are_counted() -> None:
    assert words_of("Weigh (2) „costs“; WEIGH it-self a_b") == {"weigh", "2", "costs", "it", "self", "a", "b"}


def test_only_the_beginning_of_a_prompt_is_read() -> None:
    assert balance(" " * READ_CHARS + HEAVY) == 0


def test_long_prompts_are_not_kept_in_memory() -> None:
    tracemalloc.start()
    for n in range(20):
        features_of([Message("system", f"{n} {HEAVY}" + "x" * 200_000), Message("user", "go")])
    kept_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept_bytes < 1_000_000


@given(st.text(max_size=300))
def test_any_text_is_read(prompt: str) -> None:
    assert abs(balance(prompt)) <= 2 * len(prompt)


RULES = policy.load(CONFIGS / "router.yaml")
DEPOT = " You are the night desk of a tram depot with forty carriages, two halls and one crew of fitters until morning."


def rule_of(prompt: str, request_type: RequestType = "generation") -> str:
    features = features_of([Message("system", prompt), Message("user", "carriage 4 and carriage 9")])
    return policy.decide(RULES, features, request_type, None).rule


def test_words_of_heavy_tasks_decide_where_no_other_rule_does() -> None:
    assert rule_of(HEAVY + DEPOT) == "words of heavy tasks"
    assert rule_of(f"{HEAVY}. {LIGHT}" + DEPOT) != "words of heavy tasks"


def test_fewer_points_are_enough_where_the_request_is_not_worded_as_an_easy_one() -> None:
    two_points = "Weigh" + DEPOT
    assert balance(two_points) == 2
    assert rule_of(two_points) == "words of heavy tasks"
    assert rule_of(two_points, "extraction") != "words of heavy tasks"
    assert rule_of(HEAVY + DEPOT, "extraction") == "words of heavy tasks"


def test_short_prompts_have_too_few_words_to_tell() -> None:
    assert rule_of(HEAVY) != "words of heavy tasks"
