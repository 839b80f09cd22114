import pytest

from pipeline.extract.config import ExtractConfig
from pipeline.extract.filters import Ledger
from pipeline.extract.tier_filter import by_rules, tier_1
from tests.fakes.call_site_rows import row
from traffic.callsites import CallSite
from traffic.config import CONFIGS
from traffic.errors import InputError
from traffic.policy import load

POLICY = load(CONFIGS / "router.yaml")


def test_rules_assign_only_tiers_that_the_log_lacks() -> None:
    rows = [row(1), row(2, tier=3)]
    types = by_rules(rows, "shop.topic", None, ExtractConfig(), POLICY)
    assert [r.tier for r in rows] == [1, 3]
    assert sum(types.values()) == 2


def test_a_tier_in_the_registry_takes_precedence_over_the_rules() -> None:
    rows = [row(1)]
    by_rules(rows, "shop.topic", CallSite(name="shop.topic", tier=2), ExtractConfig(), POLICY)
    assert rows[0].tier == 2


def test_rows_of_other_tiers_are_removed_and_counted() -> None:
    ledger = Ledger(4)
    rows = [row(1, tier=1), row(2, tier=1), row(3, tier=2), row(4, tier=2, label_source="escalated")]
    assert [r.id for r in tier_1(rows, "shop.topic", ExtractConfig(), ledger)] == ["r00001", "r00002", "r00004"]
    assert [(f.name, f.removed) for f in ledger.close(3)] == [("not_tier_1", 1)]


def test_a_call_site_that_is_mostly_not_tier_1_is_refused() -> None:
    rows = [row(1, tier=1), row(2, tier=2), row(3, tier=3)]
    with pytest.raises(InputError, match=r"of 3 answered .* tier 1: 1, tier 2: 1, tier 3: 1 .*--set tier=any"):
        tier_1(rows, "shop.topic", ExtractConfig(), Ledger(3))
    assert tier_1(rows, "shop.topic", ExtractConfig(tier="any"), Ledger(3)) == rows
