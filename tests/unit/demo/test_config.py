"""configs/demo.yaml."""

import pytest

from demo import config
from demo.callsites import SITES
from traffic.errors import ConfigError


def test_the_shipped_configuration_names_call_sites_of_the_log() -> None:
    shipped = config.load()
    assert {task.call_site for task in shipped.tasks} <= {site.name for site in SITES}
    assert 1.0 in shipped.volume_scales


FAST = "latency_p50_ms: 1, latency_p95_ms: 2, input_mtok_usd: 1, output_mtok_usd: 1"


@pytest.mark.parametrize(
    "override, message",
    [
        ("tier_2=gpt-4o", "no hosted model 'gpt-4o'"),
        ("hosted.models=[]", "length >= 1"),
        ("traffic.request=5", "unknown field `request`"),
        ("tasks=[{call_site: a, train: false}]", "exactly one of them must have `train: true`"),
        (f"hosted.models=[{{name: gpt-4o, {FAST}}}]", "simulated-"),
        (f"hosted.models=[{{name: simulated-a, {FAST}, latency_p50_ms: 9}}]", "must not be below"),
    ],
)
def test_invalid_configuration_is_a_config_error(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config.load(overrides=[override])
