"""pipeline/train/sampler.py"""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.train.sampler import LengthGroupedSampler, epoch_size

pytestmark = pytest.mark.slow

lengths = st.lists(st.integers(1, 500), min_size=1, max_size=120)


@given(lengths, st.one_of(st.none(), st.integers(1, 16)), st.integers(0, 3))
def test_every_example_occurs_once_per_epoch(sizes, batch, epoch):
    sampler = LengthGroupedSampler(sizes, batch, seed=1)
    sampler.set_epoch(epoch)
    assert sorted(sampler) == list(range(len(sizes)))


def test_the_order_depends_on_seed_and_epoch_only():
    sizes = list(range(1, 101))
    first, again, other = (LengthGroupedSampler(sizes, 4, seed) for seed in (1, 1, 2))
    assert list(first) == list(first) == list(again)
    assert list(first) != list(other)
    again.set_epoch(1)
    assert list(first) != list(again)


def test_batches_have_similar_lengths_and_the_shortest_and_the_longest_are_first():
    sizes = [(i * 37) % 400 + 1 for i in range(400)]
    order = list(LengthGroupedSampler(sizes, 8, seed=0))
    batches = [[sizes[i] for i in order[at : at + 8]] for at in range(0, 400, 8)]
    padded = sum(8 * max(batch) for batch in batches)
    assert padded < 1.1 * sum(sizes)
    assert max(batches[0]) == min(map(max, batches))
    assert max(batches[1]) == max(sizes)


@given(st.lists(st.sampled_from([0.25, 0.3, 0.5, 1.0]), min_size=1, max_size=60), st.integers(0, 3))
def test_a_weighted_epoch_has_the_length_of_its_weights_without_repetition(weights, epoch):
    sampler = LengthGroupedSampler([1] * len(weights), 4, seed=1, weights=weights)
    sampler.set_epoch(epoch)
    drawn = list(sampler)
    assert len(drawn) == len(sampler) == epoch_size(weights)
    if sum(weights) >= len(drawn):
        assert len(set(drawn)) == len(drawn)


def test_over_all_epochs_examples_occur_in_proportion_to_their_weights():
    weights = [1.0] * 20 + [0.25] * 40
    sampler = LengthGroupedSampler([1] * 60, None, seed=0, weights=weights)
    seen: Counter[int] = Counter()
    for epoch in range(400):
        sampler.set_epoch(epoch)
        seen.update(sampler)
    assert all(seen[index] == 400 for index in range(20))
    assert all(60 < seen[index] < 140 for index in range(20, 60))


def test_weights_of_one_change_nothing():
    sizes = [(i * 37) % 40 + 1 for i in range(50)]
    plain, weighted = (LengthGroupedSampler(sizes, 4, 3, weights) for weights in (None, [1.0] * 50))
    assert list(plain) == list(weighted)
