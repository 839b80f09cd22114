"""Settings of the profile."""

import pytest

from pipeline.profile.config import ProfileConfig


@pytest.mark.parametrize(
    "model,tokens",
    [("gpt-4o", 1024), ("claude-sonnet-4-5", 1024), ("claude-haiku-4-5-20251001", 4096), ("claude-3-5-haiku", 2048),
     (None, 1024)],
)  # fmt: skip
def test_the_shortest_cached_prefix_depends_on_the_model(model: str | None, tokens: int) -> None:
    assert ProfileConfig().cacheable_from(model) == tokens
