"""Ranking of candidates, and adapters that no volume justifies."""

from pathlib import Path

import pytest

from pipeline import dataset as datasets
from pipeline.decide import evidence, volume
from pipeline.decide.candidates import assemble
from pipeline.decide.config import DecideConfig
from pipeline.decide.pricing import Market
from pipeline.decide.ranking import ranked, without_case
from tests.fakes import evaluated_homes as homes
from traffic.artifacts import Home
from traffic.prices import PriceTable

pytestmark = pytest.mark.slow

EXPIRES = homes.TODAY.replace(year=2027)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = homes.make(tmp_path, usd_per_request=0.01, items=400)
    homes.evaluation(home, "adapter", "adapter", wrong=range(2), cost=homes.own_cost())
    return home


def decided(home: Home) -> tuple[list[str], dict[str, str]]:
    """Ranked candidates, and adapters that no volume justifies."""
    traffic = volume.read(home, datasets.load(home.dataset(homes.TASK)), min_hours=1)
    market = Market(
        home, DecideConfig(rivals=()), traffic, PriceTable(), homes.MACHINES, homes.TODAY, EXPIRES, agreement=False
    )
    recorded = evidence.read(home, home.dataset(homes.TASK).name)
    candidates = assemble(recorded, market)
    return [candidate.name for candidate in ranked(candidates, 0)], without_case(candidates, recorded, market)


def test_an_adapter_no_better_than_a_cheaper_classifier_is_rejected(home: Home) -> None:
    homes.evaluation(home, "classical", "classical", wrong=range(2), cost=homes.cpu_cost())
    order, no_case = decided(home)
    assert order.index("classical") < order.index("adapter")
    assert set(no_case) == {"adapter"}
    assert "classical" in no_case["adapter"]


def test_an_adapter_better_than_the_classifier_is_kept(home: Home) -> None:
    homes.evaluation(home, "classical", "classical", wrong=range(60), cost=homes.cpu_cost())
    order, no_case = decided(home)
    assert order[-1] == "classical"
    assert no_case == {}
