"""build, buy or wait: a pure function of who is adequate and what each costs."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from traffic.formats import usd

Side = Literal["build", "buy"]
State = Literal["adequate", "unsettled", "inadequate"]
"""unsettled: the evidence does not say, because items are too few or nobody evaluated it."""
VerdictName = Literal["build", "buy", "wait"]


class Option(NamedTuple):
    """What the verdict looks at, of one candidate."""

    name: str
    side: Side
    state: State
    cost_usd: float | None
    """Per month; None: unpriced."""
    why: str
    """Why it has this state, in words."""
    simulated: bool = False

    @property
    def label(self) -> str:
        return label(self.name, simulated=self.simulated)


class Verdict(NamedTuple):
    verdict: VerdictName
    winner: str | None
    """The cheapest adequate candidate; of a "wait" the one that leads so far, if any."""
    runner_up: str | None
    """The cheapest adequate candidate of the other side."""
    reasons: tuple[str, ...]
    blocked_by: tuple[str, ...] = ()
    """Candidates of the other side that might be cheaper, if the evidence or the price were there."""

    @property
    def rests_on(self) -> frozenset[str]:
        """Candidates without whose numbers it might be another."""
        return frozenset(name for name in (self.winner, self.runner_up, *self.blocked_by) if name)


def label(name: str, *, simulated: bool) -> str:
    """A candidate's name as it is shown: nobody may read a stand-in's number for the real thing's."""
    return f"{name} (simulated)" if simulated else name


def decide(options: Sequence[Option]) -> Verdict:
    """The verdict for one volume.

    The cheapest adequate candidate wins. But where one of the other side would be cheaper still and
    only the evidence (or its price) is missing, the verdict is to wait for that, not to guess.
    """
    adequate = [option for option in options if option.state == "adequate"]
    # At the same cost buying comes first: it binds nobody.
    priced = sorted((o for o in adequate if o.cost_usd is not None), key=lambda o: (o.cost_usd, o.side == "build"))
    if not priced:
        if adequate:
            names = ", ".join(option.label for option in adequate)
            return Verdict("wait", None, None, (f"no price is known for what is adequate: {names}",))
        return Verdict("wait", None, None, ("no candidate is shown to be adequate", *_shortcomings(options)))
    best = priced[0]
    others = [option for option in options if option.side != best.side]
    runner_up = next((option for option in priced if option.side != best.side), None)
    blockers = [option for option in others if _might_be_cheaper(option, best)]
    found = Verdict(best.side, best.name, runner_up.name if runner_up else None, ())
    if best.side == "build" and not others:
        return found._replace(verdict="wait", reasons=("nothing that could be bought was evaluated or priced",))
    if blockers:
        return found._replace(
            verdict="wait",
            reasons=(
                f"{best.label} leads at {usd(best.cost_usd)} a month",
                *_blocks(blockers),
            ),
            blocked_by=tuple(blocker.name for blocker in blockers),
        )
    mine = [option for option in options if option.side == best.side and option is not best]
    cheaper = [option for option in mine if option.state == "unsettled" and _might_be_cheaper(option, best)]
    # What is unsettled on the other side costs more here, or it would have held the verdict up.
    ruled_out = [option for option in others if option.state == "inadequate"]
    return found._replace(reasons=(_wins(best, runner_up), *_blocks(cheaper), *_shortcomings(ruled_out)))


def _might_be_cheaper(option: Option, best: Option) -> bool:
    if option.state == "inadequate":
        return False
    assert best.cost_usd is not None
    return option.cost_usd is None or (option.state == "unsettled" and option.cost_usd < best.cost_usd)


def _blocks(blockers: Sequence[Option]) -> list[str]:
    unpriced = [option for option in blockers if option.cost_usd is None]
    # Several may lack the same thing: one line says so for all of them.
    lacking: dict[str, list[str]] = {}
    for option in blockers:
        if option.cost_usd is not None:
            lacking.setdefault(option.why, []).append(f"{option.label} ({usd(option.cost_usd)})")
    return [
        *(f"{', '.join(names)} would cost less, but: {why}" for why, names in lacking.items()),
        *(f"{option.label} might cost less, but its cost is unknown ({option.why})" for option in unpriced),
    ]


def _wins(best: Option, runner_up: Option | None) -> str:
    costs = f"{best.label} is the cheapest adequate candidate: {usd(best.cost_usd)} a month"
    other = "to buy" if best.side == "build" else "to build"
    if runner_up is None:
        return f"{costs}; nothing {other} is adequate"
    return f"{costs}, against {usd(runner_up.cost_usd)} for {runner_up.label}, the cheapest adequate one {other}"


def _shortcomings(options: Sequence[Option]) -> list[str]:
    return [f"{option.label}: {option.why}" for option in options if option.state != "adequate"]
