"""Number of sampled requests per group."""

from pipeline.profile.sample import BODIES, PER_GROUP, requests_per_group


def test_many_small_groups_take_nothing_from_large_ones() -> None:
    assert requests_per_group([1] * 500 + [3000] * 10) == PER_GROUP


def test_all_groups_together_stay_within_the_budget() -> None:
    sizes = [5] * 1000 + [3000] * 100
    assert sum(min(size, requests_per_group(sizes)) for size in sizes) <= BODIES
