"""pipeline/train/sampler.py"""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.train.sampler import LengthGroupedSampler

lengths = st.lists(st.integers(1, 500), min_size=1, max_size=120)


@given(lengths, st.one_of(st.none(), st.integers(1, 16)), st.integers(0, 3))
def test_every_example_comes_once_per_epoch(sizes, batch, epoch):
    sampler = LengthGroupedSampler(sizes, batch, seed=1)
    sampler.set_epoch(epoch)
    assert sorted(sampler) == list(range(len(sizes)))


def test_the_order_depends_on_seed_and_epoch_alone():
    sizes = list(range(1, 101))
    first, again, other = (LengthGroupedSampler(sizes, 4, seed) for seed in (1, 1, 2))
    assert list(first) == list(first) == list(again)
    assert list(first) != list(other)
    again.set_epoch(1)
    assert list(first) != list(again)


def test_batches_hold_similar_lengths_and_the_longest_comes_first():
    sizes = [(i * 37) % 400 + 1 for i in range(400)]
    order = list(LengthGroupedSampler(sizes, 8, seed=0))
    batches = [[sizes[i] for i in order[at : at + 8]] for at in range(0, 400, 8)]
    padded = sum(8 * max(batch) for batch in batches)
    assert padded < 1.1 * sum(sizes)
    assert max(batches[0]) == max(sizes)
