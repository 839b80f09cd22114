"""pipeline/train/packing.py"""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.train import packing
from pipeline.train.config import CONFIGS, TrainConfig
from traffic import config

QWEN = config.load(CONFIGS / "qwen2.5-7b.yaml", TrainConfig)


def packed(lengths: list[int], *, processes: int = 1, **changes: int) -> packing.Packing:
    chosen = msgspec.structs.replace(QWEN, **changes)
    return packing.of(chosen, examples=len(lengths), tokens=sum(lengths), longest=max(lengths), processes=processes)


def test_a_sequence_holds_the_rows_of_one_update():
    packing = packed([40] * 3200)
    assert (packing.length, packing.accumulation, packing.updates) == (16 * 40, 1, 200)
    assert packing.rows_per_update == pytest.approx(16)


def test_devices_share_the_rows_of_an_update():
    packing = packed([40] * 3200, processes=4)
    assert (packing.length, packing.accumulation, packing.updates) == (4 * 40, 1, 200)


def test_several_sequences_make_one_update_if_memory_is_short():
    # 16 rows of 2,000 tokens; 4 rows of max_length 2,048 are a pass.
    packing = packed([2000] * 160)
    assert (packing.length, packing.accumulation) == (4 * 2000, 4)
    assert packing.updates == 10
    assert packing.rows_per_update == pytest.approx(16)


@pytest.mark.parametrize("mean", [600, 760, 1300])
def test_the_effective_batch_does_not_depend_on_memory(mean):
    assert packed([mean] * 1000).rows_per_update == pytest.approx(16, rel=0.01)


def test_one_long_row_among_short_ones_still_fits():
    packing = packed([40] * 999 + [2048])
    assert packing.length == 2048
    assert packing.accumulation == 1


@given(
    st.lists(st.integers(1, 2048), min_size=1, max_size=200),
    st.integers(1, 8),
    st.integers(1, 16),
    st.sampled_from([16, 32, 64]),
)
def test_every_row_and_token_is_packed(lengths, processes, batch, effective):
    packing = packed(lengths, processes=processes, batch_size=batch, effective_batch=effective)
    assert max(lengths) <= packing.length <= max(batch * QWEN.max_length, *lengths)
    assert packing.sequences * packing.length >= sum(lengths)
    assert packing.updates >= 1
    assert packing.rows_per_update <= len(lengths)
