"""pipeline/train/shape.py"""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pipeline.train import shape as sizes
from pipeline.train.config import CONFIGS, TrainConfig
from traffic import config


def shipped(name: str) -> TrainConfig:
    return config.load(CONFIGS / f"{name}.yaml", TrainConfig)


def change(name: str, **changes) -> TrainConfig:
    return msgspec.structs.replace(shipped(name), **changes)


@given(st.lists(st.integers(1, 2048), min_size=1, max_size=200), st.integers(1, 32))
def test_grouping_by_length_minimises_padding(lengths, batch):
    grouped, mixed = (
        change("qwen2.5-7b", packing=False, batch_size=batch, group_by_length=how) for how in (True, False)
    )
    assert sum(lengths) <= sizes.padded(lengths, grouped) <= len(lengths) * max(lengths)
    if len(lengths) % batch == 0:
        assert sizes.padded(lengths, grouped) <= sizes.padded(lengths, mixed)


def test_rows_beyond_max_length_count_as_removed():
    shape = sizes.shape([(10, 5), (90, 20)], 3, change("qwen2.5-7b", max_length=100), measured=True)
    assert (shape.examples, shape.too_long, shape.tokens, shape.supervised, shape.longest) == (1, 1, 15, 5, 15)
