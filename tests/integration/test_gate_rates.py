"""The simulation of the gate finds a gate that is wrong."""

from typing import Any

import numpy as np
import pytest

from benchmarks import gate_rates
from benchmarks.gate_rates import Scenario, at_least, at_most, product_gate
from pipeline.gate.paired import PairedTest, compare

pytestmark = pytest.mark.slow

QUICK = (Scenario(0.05), Scenario(0.03, session=4, together=1.0))


def verdicts(found: dict[str, Any], what: str) -> list[bool]:
    return [row["holds"] for row in found["rows"] if row["what"] == what]


def test_the_products_gate_keeps_alpha_and_its_power() -> None:
    found = gate_rates.measure(20, scenarios=QUICK, holm_runs=3)
    assert all(verdicts(found, "false promotion"))
    assert all(verdicts(found, "power"))
    assert all(row["holds"] for row in found["holm"]["rows"])


def test_several_candidates_and_repeated_items_keep_alpha() -> None:
    rng = np.random.default_rng(7)
    (row,) = gate_rates.several(rng, 40, counts=(6,))
    assert row["holds"]
    assert row["any_passes"] < row["without_holm"]
    rows = {row["what"]: row for row in gate_rates.repeated(rng, 40)}
    assert all(row["holds"] for row in rows.values())
    assert rows["good"]["rate"] > 0.5


def test_a_gate_based_on_the_point_estimate_is_detected() -> None:
    def lenient(new: Any, old: Any, clusters: Any) -> PairedTest:
        return compare(new, old, clusters, margin=0.02, alpha=0.4)

    found = gate_rates.measure(40, lenient, QUICK[:1], holm_runs=4)
    assert not any(verdicts(found, "false promotion"))
    assert found["holm"]["rows"][0]["without_holm"] > 0.5


def test_a_gate_that_ignores_clusters_is_detected() -> None:
    def naive(new: Any, old: Any, clusters: Any) -> PairedTest:
        return product_gate(new, old, np.arange(len(new)))

    found = gate_rates.measure(50, naive, QUICK[1:], holm_runs=2)
    assert not all(verdicts(found, "false promotion"))


def test_a_gate_that_promotes_no_candidate_is_detected_by_its_power() -> None:
    def strict(new: Any, old: Any, clusters: Any) -> PairedTest:
        return compare(np.zeros(1), np.zeros(1), ["one"], margin=0.02, alpha=0.05)

    assert verdicts(gate_rates.measure(20, strict, QUICK[:1], holm_runs=2), "power") == [False]


def test_a_rate_misses_its_bar_only_if_chance_is_unlikely() -> None:
    assert at_most(7, 100, 0.05)
    assert not at_most(15, 100, 0.05)
    assert at_least(75, 100, 0.8)
    assert not at_least(60, 100, 0.8)
