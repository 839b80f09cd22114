from pathlib import Path

import pytest

from pipeline.extract.config import ExtractConfig
from traffic import config
from traffic.config import CONFIGS
from traffic.errors import ConfigError


def test_the_shipped_file_states_the_defaults() -> None:
    assert config.load(CONFIGS / "extract.yaml", ExtractConfig) == ExtractConfig()


def test_the_tier_filter_can_be_lifted_on_the_command_line() -> None:
    assert config.load(CONFIGS / "extract.yaml", ExtractConfig, ["tier=any"]).tier == "any"


@pytest.mark.parametrize(
    "override, message",
    [
        ("splits.train=0.9", "must add up to 1, they add up to 1.3"),
        ("splits.test=0", "test"),
        ("tier=2", "tier"),
        ("cap=newest", "cap"),
        ("min_row=3", "min_row"),
    ],
)
def test_wrong_settings_are_one_clear_error(override: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        config.load(CONFIGS / "extract.yaml", ExtractConfig, [override])
