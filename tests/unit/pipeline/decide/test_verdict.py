"""Verdicts build, buy and wait: each rule separately."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.decide.quality import State
from pipeline.decide.record import Side
from pipeline.decide.verdict import Option, Verdict, decide


def own(cost: float | None, state: State = "adequate", name: str = "own") -> Option:
    return Option(name, "build", state, cost, f"{name} is {state}")


def bought(cost: float | None, state: State = "adequate", name: str = "bought") -> Option:
    return Option(name, "buy", state, cost, f"{name} is {state}")


def of(*options: Option) -> Verdict:
    return decide(options)


def test_build_if_an_own_candidate_is_adequate_and_cheaper_than_all_hosted_ones() -> None:
    verdict = of(own(10), bought(20, name="a"), bought(15, name="b"), bought(5, "inadequate", "c"))
    assert (verdict.verdict, verdict.winner, verdict.runner_up) == ("build", "own", "b")
    assert verdict.reasons[0] == (
        "own is the cheapest adequate candidate: $10.00 a month, against $15.00 for b, the cheapest adequate one to buy"
    )
    assert "c: c is inadequate" in verdict.reasons


def test_buy_if_a_hosted_candidate_is_adequate_and_cheaper() -> None:
    verdict = of(own(10), bought(20, name="a"), bought(5, name="b"))
    assert (verdict.verdict, verdict.winner, verdict.runner_up) == ("buy", "b", "own")


def test_buy_if_no_own_candidate_is_adequate() -> None:
    verdict = of(own(1, "inadequate"), bought(20))
    assert (verdict.verdict, verdict.winner, verdict.runner_up) == ("buy", "bought", None)
    assert "nothing to build is adequate" in verdict.reasons[0]


def test_buy_at_equal_cost() -> None:
    assert of(own(10), bought(10)).verdict == "buy"


def test_wait_if_no_candidate_is_adequate() -> None:
    verdict = of(own(1, "unsettled"), bought(2, "inadequate"))
    assert (verdict.verdict, verdict.winner) == ("wait", None)
    assert verdict.reasons == (
        "no candidate is shown to be adequate",
        "own: own is unsettled",
        "bought: bought is inadequate",
    )


def test_wait_if_a_cheaper_own_candidate_has_insufficient_evidence() -> None:
    verdict = of(own(1, "unsettled"), bought(2))
    assert (verdict.verdict, verdict.winner, verdict.blocked_by) == ("wait", "bought", ("own",))
    assert verdict.reasons == ("bought leads at $2.00 a month", "own ($1.00) would cost less, but: own is unsettled")


def test_a_dearer_candidate_without_evidence_does_not_delay_the_verdict() -> None:
    assert of(own(3, "unsettled"), bought(2)).verdict == "buy"
    verdict = of(own(2), bought(3), bought(4, "unsettled", "x"))
    assert (verdict.verdict, len(verdict.reasons)) == ("build", 1)


def test_wait_if_a_cheaper_rival_was_not_evaluated() -> None:
    verdict = of(own(2), bought(3), bought(1, "unsettled", "rival"))
    assert (verdict.verdict, verdict.blocked_by) == ("wait", ("rival",))


def test_a_cheaper_unproven_candidate_of_the_same_side_is_only_noted() -> None:
    verdict = of(bought(3), bought(1, "unsettled", "rival"), own(5))
    assert (verdict.verdict, verdict.winner) == ("buy", "bought")
    assert "rival ($1.00) would cost less, but: rival is unsettled" in verdict.reasons


def test_candidates_with_the_same_gap_share_a_line() -> None:
    rivals = [Option(name, "buy", "unsettled", 1, "not evaluated") for name in ("x", "y")]
    assert of(own(2), bought(3), *rivals).reasons[1:] == ("x ($1.00), y ($1.00) would cost less, but: not evaluated",)


def test_unknown_costs_are_neither_cheap_nor_dear() -> None:
    assert of(own(None), bought(2)).verdict == "wait"
    assert of(own(2), bought(None)).verdict == "wait"
    assert of(own(None, "inadequate"), bought(2)).verdict == "buy"


def test_wait_if_no_adequate_candidate_has_a_price() -> None:
    verdict = of(own(None), bought(None))
    assert (verdict.verdict, verdict.winner) == ("wait", None)
    assert "own, bought" in verdict.reasons[0]


def test_wait_without_a_hosted_candidate_to_compare_with() -> None:
    assert of(own(1)).verdict == "wait"


def test_build_if_all_hosted_candidates_are_inadequate() -> None:
    verdict = of(own(10), bought(1, "inadequate"))
    assert (verdict.verdict, verdict.runner_up) == ("build", None)
    assert "nothing to buy is adequate" in verdict.reasons[0]


def test_simulated_candidates_are_marked_in_every_reason() -> None:
    stand_in = bought(20)._replace(simulated=True)
    verdict = of(own(10), stand_in)
    assert "for bought (simulated), the cheapest" in verdict.reasons[0]
    assert verdict.depends_on == {"own", "bought"}


sides, states = st.sampled_from(["build", "buy"]), st.sampled_from(["adequate", "unsettled", "inadequate"])
options = st.lists(
    st.tuples(sides, states, st.none() | st.floats(min_value=0, max_value=1e6)), min_size=1, max_size=8
).map(lambda rows: [_option(number, *row) for number, row in enumerate(rows)])


def _option(number: int, side: Side, state: State, cost: float | None) -> Option:
    return Option(f"c{number}", side, state, cost, "because")


@given(options)
def test_the_named_candidate_is_adequate_and_cheapest(options: list[Option]) -> None:
    verdict = decide(options)
    assert verdict.reasons
    if verdict.verdict == "wait":
        return
    winner = next(option for option in options if option.name == verdict.winner)
    assert (winner.side, winner.state) == (verdict.verdict, "adequate")
    for other in options:
        if other.side != winner.side and other.state != "inadequate":
            assert other.cost_usd is not None
            assert winner.cost_usd is not None
            assert other.cost_usd >= winner.cost_usd


@given(options, st.randoms())
def test_the_verdict_does_not_depend_on_the_order_of_the_candidates(options: list[Option], random: object) -> None:
    shuffled = list(options)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert decide(shuffled).verdict == decide(options).verdict
