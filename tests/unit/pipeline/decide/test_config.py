"""Settings of a decision."""

from pathlib import Path

import pytest

from pipeline.decide.config import DecideConfig
from traffic import config
from traffic.errors import ConfigError
from traffic.prices import PriceTable

SHIPPED = config.CONFIGS / "decide.yaml"


def test_the_shipped_file_equals_the_defaults_except_for_rivals() -> None:
    loaded = config.load(SHIPPED, DecideConfig)
    assert config.load(SHIPPED, DecideConfig, ["rivals=[]"]) == DecideConfig()
    assert loaded.rivals


def test_the_shipped_rivals_have_prices() -> None:
    from tests.fakes.evaluated_homes import TODAY

    for rival in config.load(SHIPPED, DecideConfig).rivals:
        assert PriceTable.load().price(rival.model, rival.provider, TODAY).input_mtok_usd > 0


@pytest.mark.parametrize(
    "override, said",
    [
        ("decide_at=7", "decide_at 7"),
        ("volume_scales=[]", "volume_scales"),
        ("share_of_machine=0", "share_of_machine"),
        ("margin=2", "margin"),
        ("rivals=[{name: a, model: m}, {name: a, model: n}]", "'a'"),
        ("marign=0.1", "marign"),
    ],
)
def test_wrong_settings_are_refused_by_name(override: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        config.load(SHIPPED, DecideConfig, [override])


def test_an_empty_period_of_the_log_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "decide.yaml"
    path.write_text("{log_from: 2026-11-02, log_until: 2026-11-02}")
    with pytest.raises(ConfigError, match="log_until 2026-11-02 must be later"):
        config.load(path, DecideConfig)
