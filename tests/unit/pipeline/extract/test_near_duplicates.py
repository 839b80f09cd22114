import itertools
import random

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from pipeline.extract.near_duplicates import MISSED, bands, components, near_pairs
from pipeline.extract.shingles import Shingles, shingles

WORDS = "card top up my the a why was not paid order lost new old phone bank never arrives how when to".split()


def texts(count: int, seed: int) -> list[str]:
    """Short questions; a third are slightly changed copies of others."""
    rng = random.Random(seed)
    made = [" ".join(rng.choices(WORDS, k=rng.randint(2, 40))) for _ in range(count)]
    for n in range(0, count, 3):
        words = made[rng.randrange(count)].split()
        words[rng.randrange(len(words))] = rng.choice(WORDS) if n % 2 else ""
        made[n] = " ".join(words)
    return made


def by_brute_force(text_shingles: Shingles, threshold: float) -> set[tuple[int, int]]:
    sets = [set(text_shingles.hashes[a:b].tolist()) for a, b in itertools.pairwise(text_shingles.starts.tolist())]
    return {
        (a, b)
        for a, b in itertools.combinations(range(len(sets)), 2)
        if len(sets[a] & sets[b]) / len(sets[a] | sets[b]) >= threshold - 1e-9
    }


@given(st.floats(0.3, 1))
def test_bands_find_pairs_at_the_threshold_with_high_probability(threshold: float) -> None:
    count, rows = bands(threshold)
    assert count * rows <= 128
    assert (1 - threshold**rows) ** count <= MISSED


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.9])
def test_minhash_finds_exactly_the_pairs_above_the_threshold(threshold: float) -> None:
    sets = shingles(texts(250, seed=3))
    wanted = by_brute_force(sets, threshold)
    pairs, alike = near_pairs(sets, threshold, same_numbers=False, seed=0)
    got = {(a, b) for a, b in pairs.tolist()}
    assert got <= wanted
    assert len(wanted) > 30
    assert len(got) >= 0.99 * len(wanted)
    assert alike.min() >= threshold - 1e-9


def test_the_same_seed_finds_the_same_pairs_in_the_same_order() -> None:
    sets = shingles(texts(200, seed=4))
    first, again = (near_pairs(sets, 0.6, same_numbers=True, seed=7)[0].tolist() for _ in range(2))
    assert first == again == sorted(first)


def test_with_sides_exactly_the_pairs_across_them_are_found() -> None:
    sets = shingles(texts(300, seed=9))
    sides = np.array([n % 3 for n in range(300)])
    every, _ = near_pairs(sets, 0.6, same_numbers=False, seed=0)
    pairs, _ = near_pairs(sets, 0.6, same_numbers=False, seed=0, sides=sides)
    assert pairs.tolist() == [[a, b] for a, b in every.tolist() if sides[a] != sides[b]]
    assert 0 < len(pairs) < len(every)


def test_a_bucket_of_many_copies_becomes_one_cluster() -> None:
    sets = shingles([f"Where is my parcel{'!' * n}" for n in range(300)] + ["something else entirely"])
    pairs, _ = near_pairs(sets, 0.7, same_numbers=True, seed=0)
    assert len(pairs) < 1000
    assert components(301, pairs.tolist()) == [0] * 300 + [300]


def test_texts_with_different_numbers_pair_only_if_numbers_are_ignored() -> None:
    sets = shingles(["please cancel the order number 1177 today", "please cancel the order number 1178 today"])
    assert len(near_pairs(sets, 0.7, same_numbers=True, seed=0)[0]) == 0
    assert len(near_pairs(sets, 0.7, same_numbers=False, seed=0)[0]) == 1


@given(st.integers(1, 40), st.data())
def test_components_do_not_depend_on_the_order_of_edges(count: int, data: st.DataObject) -> None:
    node = st.integers(0, count - 1)
    edges = data.draw(st.lists(st.tuples(node, node), max_size=60))
    reach = {n: {n} for n in range(count)}
    for _ in range(count):
        for a, b in edges:
            reach[a] = reach[b] = reach[a] | reach[b]
        for members in list(reach.values()):
            for member in members:
                reach[member] = reach[member] | members
    expected = [min(reach[n]) for n in range(count)]
    shuffled = data.draw(st.permutations(edges))
    assert components(count, edges) == components(count, shuffled) == expected


def test_no_texts_have_no_pairs() -> None:
    sets = shingles([])
    assert len(near_pairs(sets, 0.7, same_numbers=True, seed=0)[0]) == 0
