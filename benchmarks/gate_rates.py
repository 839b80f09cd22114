"""Error rates of the promotion gate, on simulated pairs of models with known difference.

False promotions are measured with a candidate that is worse by exactly the margin, the hardest case; power with an
equally good one, on the number of items that the gate plans for 80%. Items are independent, or come in sessions whose
items have the same outcome with probability `together`.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline import statistics
from pipeline.gate import cohorts, families, paired
from pipeline.gate.cohorts import Cohort, Sample, Settings
from pipeline.gate.paired import PairedTest

MARGIN, ALPHA, POWER = 0.02, 0.05, 0.8
SURE = 0.01
"""Significance at which a rate counts as above its limit."""

Gate = Callable[[NDArray[Any], NDArray[Any], NDArray[Any]], PairedTest]
"""Takes scores of the candidate and of the incumbent, and the cluster of each item."""


class Scenario(NamedTuple):
    discordance: float
    """Share of the items on which exactly one of the two is right."""
    session: int = 1
    together: float = 0.0

    @property
    def planned(self) -> int:
        """Number of items by the gate's plan, rounded to complete sessions."""
        effect = 1 + (self.session - 1) * self.together
        needed = effect * statistics.items_needed(self.discordance, MARGIN, ALPHA, POWER)
        return -(-round(needed) // self.session) * self.session


SCENARIOS = (
    Scenario(0.03),
    Scenario(0.05),
    Scenario(0.10),
    Scenario(0.20),
    Scenario(0.05, session=3, together=0.5),
    Scenario(0.05, session=5, together=1.0),
    Scenario(0.10, session=8, together=0.3),
)


def product_gate(new: NDArray[Any], old: NDArray[Any], clusters: NDArray[Any]) -> PairedTest:
    return paired.compare(new, old, clusters, margin=MARGIN, alpha=ALPHA)


def measure(
    runs: int, gate: Gate = product_gate, scenarios: Sequence[Scenario] = SCENARIOS, holm_runs: int | None = None
) -> dict[str, Any]:
    """Rates over `runs` simulated evaluations each. `holm_runs`: runs of the multiple tests; None: `runs`."""
    rng = np.random.default_rng(statistics.SEED)
    rows = []
    for scenario in scenarios:
        planned = scenario.planned
        for n in sorted({_whole(planned // 2, scenario), planned}):
            worse = _rate(rng, runs, gate, scenario, n, -MARGIN)
            rows.append(_row(scenario, n, "false promotion", worse, runs, at_most(worse, runs, ALPHA)))
        good = _rate(rng, runs, gate, scenario, planned, 0.0)
        # The plan is approximate, so a power of one point below 80% is accepted.
        rows.append(_row(scenario, planned, "power", good, runs, at_least(good, runs, POWER - 0.01)))
    rates = {"margin": MARGIN, "alpha": ALPHA, "runs": runs, "rows": rows, "graded": graded(rng, runs, gate)}
    rates |= {"several": several(rng, holm_runs or runs, gate), "repeated": repeated(rng, holm_runs or runs)}
    return rates | {"holm": holm(rng, holm_runs or runs, gate)}


def graded(
    rng: np.random.Generator, runs: int, gate: Gate = product_gate, sizes: Sequence[int] = (50, 150, 300, 600)
) -> list[dict[str, Any]]:
    """Promotion rate of a candidate whose graded scores are mostly equal, with occasional complete failures.

    Scores differ from the incumbent's by a few points in either direction; enough are 0 to be worse by the margin.
    """
    rows = []
    for n in sizes:
        hits = 0
        for _ in range(runs):
            old = rng.uniform(0.8, 1.0, n)
            close = np.clip(old + rng.normal(0, 0.03, n) * (rng.random(n) < 0.3), 0, 1)
            # The mean incumbent score is 0.9, so this share of failures costs exactly the margin.
            new = np.where(rng.random(n) < MARGIN / 0.9, 0.0, close)
            hits += gate(new, old, np.arange(n)).verdict == "pass"
        rows.append({"items": n, "rate": hits / runs, "holds": at_most(hits, runs, ALPHA)})
    return rows


def several(
    rng: np.random.Generator, runs: int, gate: Gate = product_gate, counts: Sequence[int] = (2, 4, 8), n: int = 1200
) -> list[dict[str, Any]]:
    """How often any of several candidates passes although all are worse than the incumbent by the margin.

    All are compared with the same answers of the incumbent, so their tests are dependent.
    """
    rows = []
    for count in counts:
        wrong = uncorrected = 0
        for _ in range(runs):
            hard = rng.random(n) < 0.06
            lost, won = rng.random((2, count, n))
            # The incumbent is wrong on half of the hard items; a candidate loses some that the incumbent has right.
            old = ~(hard & (rng.random(n) < 0.5))
            right_where_wrong = 0.5
            share_wrong = 0.06 * 0.5
            loss = (MARGIN + right_where_wrong * share_wrong) / (1 - share_wrong)
            new = np.where(old, lost >= loss, won < right_where_wrong)
            tests = {str(place): gate(each, old, np.arange(n)) for place, each in enumerate(new.astype(float))}
            wrong += any(each.passes for each in families.correct(tests, ALPHA).values())
            uncorrected += any(test.verdict == "pass" for test in tests.values())
        row = {"candidates": count, "items": n, "any_passes": wrong / runs, "without_holm": uncorrected / runs}
        rows.append(row | {"holds": at_most(wrong, runs, ALPHA)})
    return rows


def repeated(rng: np.random.Generator, runs: int, n: int = 1150) -> list[dict[str, Any]]:
    """Rates if items represent very different numbers of requests, two of them a seventh of all requests.

    worse: by the margin, weighted by requests, independent of an item's frequency. harmed: a frequent item gets worse,
    and the others enough to make the total worse by the margin. good: as good as the incumbent, with the most frequent
    item improved.
    """
    counts = np.ones(n)
    counts[:40] = np.ceil(20 / np.arange(1, 41))
    counts[:2] = 0.09 * n, 0.06 * n
    counts[2] = 0.015 * counts.sum()
    total = counts.sum()
    discordance = 0.04
    rows = []
    for scenario, known, difference in (
        ("worse", {}, -MARGIN),
        ("harmed", {2: -1.0}, -(MARGIN * total - counts[2]) / (total - counts[2])),
        ("good", {0: 1.0}, 0.0),
    ):
        passes = 0
        for _ in range(runs):
            chances = [(discordance + difference) / 2, (discordance - difference) / 2]
            drawn = rng.random(n)
            scores = np.where(drawn < chances[0], 1.0, np.where(drawn < sum(chances), -1.0, 0.0))
            for item, value in known.items():
                scores[item] = value
            new, old = np.where(scores < 0, 0.0, 1.0), np.where(scores > 0, 0.0, 1.0)
            test = paired.compare(new, old, np.arange(n), margin=MARGIN, alpha=ALPHA, weights=counts)
            passes += test.verdict == "pass"
        holds = at_least(passes, runs, POWER - 0.01) if scenario == "good" else at_most(passes, runs, ALPHA)
        rows.append({"what": scenario, "items": n, "requests": round(total), "rate": passes / runs, "holds": holds})
    return rows


def holm(
    rng: np.random.Generator, runs: int, gate: Gate = product_gate, count: int = 6, n: int = 700
) -> dict[str, Any]:
    """How often any of several cohorts is promoted although all (or half) of them are worse by the margin."""
    tests = _Memo(gate)
    scenario = Scenario(0.05)
    result: dict[str, Any] = {"cohorts": count, "items_each": n, "runs": runs, "rows": []}
    for worse in (count, count // 2):
        wrong = uncorrected = 0
        for _ in range(runs):
            samples = {}
            for place in range(count):
                test = tests(*_draw(rng, scenario, n, -MARGIN if place < worse else 0.0))
                samples[Cohort("cohort", str(place))] = Sample(n, test)
            # The overall test is assumed to pass, to measure the selection of cohorts alone.
            passed = paired.compare(np.ones(1000), np.ones(1000), range(1000), margin=MARGIN, alpha=ALPHA)
            verdicts = cohorts.promote(passed, samples, [{"cohort": "0"}], Settings(ALPHA)).cohorts
            wrong += any(verdict.outcome == "promoted" for verdict in verdicts[:worse])
            uncorrected += any(
                verdict.test is not None and verdict.test.verdict == "pass" for verdict in verdicts[:worse]
            )
        row = {"worse_cohorts": worse, "any_promoted": wrong / runs, "without_holm": uncorrected / runs}
        result["rows"].append(row | {"holds": at_most(wrong, runs, ALPHA)})
    return result


def at_most(hits: int, runs: int, bar: float) -> bool:
    """Whether this number of hits is compatible with a true rate of at most `bar`."""
    from scipy.stats import binom

    return bool(binom.sf(hits - 1, runs, bar) >= SURE)


def at_least(hits: int, runs: int, bar: float) -> bool:
    from scipy.stats import binom

    return bool(binom.cdf(hits, runs, bar) >= SURE)


def _rate(rng: np.random.Generator, runs: int, gate: Gate, scenario: Scenario, n: int, difference: float) -> int:
    tests = _Memo(gate)
    return sum(tests(*_draw(rng, scenario, n, difference)).verdict == "pass" for _ in range(runs))


def _draw(
    rng: np.random.Generator, scenario: Scenario, n: int, difference: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Per session the number of items on which only the candidate, and only the incumbent, is right; and its size."""
    size = scenario.session
    share = max(scenario.discordance, abs(difference))
    chances = [(share + difference) / 2, (share - difference) / 2, 1 - share]
    sessions = n // size
    own = rng.multinomial(size, chances, size=sessions)
    shared = rng.multinomial(1, chances, size=sessions) * size
    drawn = np.where((rng.random(sessions) < scenario.together)[:, None], shared, own)
    return drawn[:, 0], drawn[:, 1], size


class _Memo:
    """Caches a gate's result for equivalent evaluations; the order of sessions has no effect."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._known: dict[bytes, PairedTest] = {}

    def __call__(self, only_new: NDArray[np.int64], only_old: NDArray[np.int64], size: int) -> PairedTest:
        order = np.lexsort((only_old, only_new))
        only_new, only_old = only_new[order], only_old[order]
        key = only_new.astype(np.uint8).tobytes() + only_old.astype(np.uint8).tobytes()
        if key not in self._known:
            position = np.arange(size)
            mine = position < only_new[:, None]
            theirs = (position >= only_new[:, None]) & (position < (only_new + only_old)[:, None])
            clusters = np.repeat(np.arange(len(only_new)), size)
            self._known[key] = self._gate(1.0 - theirs.ravel(), 1.0 - mine.ravel(), clusters)
        return self._known[key]


def _whole(n: int, scenario: Scenario) -> int:
    return max(1, n // scenario.session) * scenario.session


def _row(scenario: Scenario, n: int, what: str, hits: int, runs: int, holds: bool) -> dict[str, Any]:
    interval = statistics.proportion_interval(hits, runs)
    return scenario._asdict() | {
        "items": n,
        "what": what,
        "rate": hits / runs,
        "low": interval.low,
        "high": interval.high,
        "holds": holds,
    }
