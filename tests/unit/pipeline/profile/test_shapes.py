"""Shapes of requests, found in a sample."""

from pathlib import Path

from pipeline import store
from pipeline.profile import sample, shapes
from tests.fakes.call_site_rows import record
from traffic.artifacts import Home


def test_the_samples_of_a_shape_are_in_the_order_of_time(tmp_path: Path) -> None:
    store.append(Home(tmp_path), [record(index) for index in range(40)], source="test")
    connection = store.connect(Home(tmp_path))
    groups = sample.groups(connection)
    # A database returns rows in any order.
    drawn = sorted(sample.draw(connection, groups), key=lambda sampled: sampled.id[::-1])
    for given in (drawn, drawn[::-1]):
        (shape,) = shapes.discover(connection, groups, given).shapes
        assert [sampled.id for sampled in shape.samples] == sorted(sampled.id for sampled in drawn)
