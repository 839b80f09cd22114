"""Mappings: which fields of a line they need, and what they refuse."""

import pytest

from pipeline.ingest.mapping import FeedbackPlaces, TagMapping
from traffic import config
from traffic.errors import ConfigError


def test_only_the_roots_of_places_need_decoding() -> None:
    mapping = TagMapping(user_id=("a.b", "c"), cohort={"x": ("d[e:]",)}, feedback=FeedbackPlaces(thumb=("f.g",)))
    assert mapping.roots() == {"a", "c", "d", "f", "headers", "request", "request_headers", "inherited_tags"}


def test_an_unknown_field_of_a_mapping_is_named() -> None:
    with pytest.raises(ConfigError, match="plans"):
        config.convert({"plans": ["a"]}, TagMapping, source="m.yaml")
