import msgspec
import pytest
import threadpoolctl

from pipeline.profile import known_call_sites
from pipeline.profile.behaviour import Behaviour
from pipeline.profile.known_call_sites import KnownCallSite, TierModel, measurements
from pipeline.profile.propose import propose
from tests.fakes import proposed_tiers

CLOSED = Behaviour(sampled=100, answered=100, common_answer_share=1.0, distinct_answers=4, answer_words_p90=1)
ARGUED = Behaviour(sampled=100, answered=100, distinct_answers=100, answer_words_p50=150, working_share=0.9)
DRAFTED = Behaviour(sampled=100, answered=100, distinct_answers=100, answer_words_p50=50)


@pytest.fixture(scope="module")
def model() -> TierModel:
    kinds = ((1, CLOSED, "name the label"), (2, DRAFTED, "write a reply"), (3, ARGUED, "work it out"))
    return TierModel([_known(tier, b, prompt) for _ in range(20) for tier, b, prompt in kinds])


def _known(tier: int, b: Behaviour, prompt: str) -> KnownCallSite:
    return KnownCallSite(author="one", company="a", name="site", tier=tier, requests=9, prompt=prompt, behaviour=b)


def test_probabilities_are_highest_for_the_tier_of_call_sites_that_behave_alike(model: TierModel) -> None:
    for tier, behaviour in ((1, CLOSED), (2, DRAFTED), (3, ARGUED)):
        (probabilities,) = model.probabilities([(behaviour, "")])
        assert max(probabilities, key=lambda t: probabilities[t]) == tier
        assert sum(probabilities.values()) == pytest.approx(1.0)


def test_the_prompt_moves_the_probabilities(model: TierModel) -> None:
    hard, easy = model.probabilities([(DRAFTED, "work it out"), (DRAFTED, "write a reply")])
    assert hard[3] > easy[3]


def test_call_sites_with_more_requests_weigh_more() -> None:
    def sites(tier: int, requests: int) -> list[KnownCallSite]:
        return [msgspec.structs.replace(_known(tier, DRAFTED, "write"), requests=requests) for _ in range(20)]

    (probabilities,) = TierModel(sites(1, 400) + sites(2, 4)).probabilities([(DRAFTED, "write")])
    assert probabilities[1] > 0.8


@pytest.mark.slow
def test_probabilities_do_not_depend_on_the_number_of_threads() -> None:
    known = known_call_sites.load()
    shapes = [(site.behaviour, site.prompt) for site in known]
    with threadpoolctl.threadpool_limits(1):
        by_one = TierModel(known).probabilities(shapes)
    assert TierModel(known).probabilities(shapes) == by_one


def test_an_unknown_measurement_is_no_zero() -> None:
    unknown, zero = measurements(CLOSED), measurements(msgspec.structs.replace(CLOSED, skill=0.0))
    assert unknown["skill"] < zero["skill"]
    assert "skill.unknown" not in zero


def test_the_file_holds_every_tier_of_several_authors() -> None:
    known = known_call_sites.load()
    assert {site.tier for site in known} == {1, 2, 3}
    assert len({site.author for site in known}) > 5


def test_every_measurement_in_the_file_is_one_of_a_behaviour() -> None:
    fields = set(Behaviour.__struct_fields__)
    with known_call_sites.FILE.open("rb") as lines:
        assert all(set(msgspec.json.decode(line)["behaviour"]) <= fields for line in lines)


def test_known_call_sites_of_tier_3_raise_a_proposal() -> None:
    label = Behaviour(**proposed_tiers.CLOSED)
    assert propose(label, {1: 0.95, 2: 0.03, 3: 0.02}).tier == 1
    assert propose(label, {1: 0.05, 2: 0.05, 3: 0.9}).tier == 3


def test_a_shape_with_hardly_any_answers_is_not_compared() -> None:
    rare = Behaviour(sampled=2, answered=2)
    assert propose(rare, {1: 0.0, 2: 0.0, 3: 1.0}) == propose(rare)


def test_a_tier_that_only_known_call_sites_speak_for_has_a_type_of_that_tier() -> None:
    lines = Behaviour(
        sampled=99, answered=99, distinct_answers=99, answer_words_p50=11, answer_words_p90=14, user_words_p50=60
    )
    first = {1: 0.99, 2: 0.005, 3: 0.005}
    structured = msgspec.structs.replace(lines, json_share=1.0, keys=("a", "b"), prose_words_p50=12)
    assert (propose(lines, first).tier, propose(lines, first).request_type) == (1, "rewrite")
    assert (propose(structured, first).tier, propose(structured, first).request_type) == (1, "extraction")
    assert propose(lines, {1: 0.005, 2: 0.005, 3: 0.99}).request_type == "reasoning"
