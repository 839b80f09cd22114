"""pipeline/extract/escalated.py"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.extract.balance import cap_escalated
from pipeline.extract.config import EscalatedConfig
from pipeline.extract.filters import Ledger
from tests.fakes.call_site_rows import row
from traffic.errors import NotEnoughData


def train(hard: int, others: int):
    sources = ["escalated"] * hard + ["teacher"] * others
    return [row(n, label_source=source) for n, source in enumerate(sources)]


@given(st.integers(0, 40), st.integers(1, 40), st.floats(0.05, 1))
def test_escalated_rows_are_limited_to_their_share(hard, others, share):
    rows = train(hard, others)
    ledger = Ledger(len(rows))
    try:
        kept = cap_escalated(rows, EscalatedConfig(max_share=share), ledger)
    except NotEnoughData:
        assert int(share / (1 - share) * others) == 0
        return
    left = sum(row.label_source == "escalated" for row in kept)
    assert left <= share * len(kept) + 1e-9
    assert len(kept) - left == others
    assert kept == [row for row in rows if row in kept]
    ledger.close(len(kept))


def test_a_dataset_of_escalated_rows_only_is_refused():
    with pytest.raises(NotEnoughData, match=r"all 5 rows.*--set escalated\.max_share=1"):
        cap_escalated(train(5, 0), EscalatedConfig(), Ledger(5))
    assert len(cap_escalated(train(5, 0), EscalatedConfig(max_share=1), Ledger(5))) == 5
