"""Reloading the configuration."""

from pathlib import Path

import msgspec
import pytest

from router.config_reload import ConfigWatcher, Sources, with_fixed
from tests.fakes.router import endpoint, routing
from traffic import config
from traffic.errors import ConfigError

ROUTING = routing([endpoint("a", "https://a.example.com/v1")])


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    (tmp_path / "router.yaml").write_text(config.dump(ROUTING))
    (tmp_path / "callsites.yaml").write_text("call_sites: []")
    (tmp_path / "prices.yaml").write_text("prices: []")
    names = {"routing": "router.yaml", "call_sites": "callsites.yaml", "prices": "prices.yaml"}
    return Sources(**{key: tmp_path / name for key, name in names.items()})


def test_unchanged_files_are_read_only_after_a_signal(sources: Sources) -> None:
    watcher = ConfigWatcher(sources)
    assert watcher.changed() is None
    watcher.forget()
    changed = watcher.changed()
    assert changed is not None
    assert changed.routing == ROUTING


@pytest.mark.parametrize(
    "name, text",
    [
        ("call_sites", "call_sites: [{name: a, tier: 4}]"),
        ("prices", "prices: 3"),
        ("routing", "x: ["),
        ("routing", "x: 2026-02-30"),
    ],
)
def test_one_broken_file_keeps_the_last_configuration_until_it_is_fixed(sources: Sources, name: str, text: str) -> None:
    watcher, path = ConfigWatcher(sources), getattr(sources, name)
    whole = path.read_text()
    path.write_text(text)
    assert watcher.changed() is None
    assert watcher.error is not None
    assert str(path) in watcher.error
    path.write_text(whole + "\n")
    assert watcher.changed() is not None
    watcher.taken()
    assert (watcher.error, watcher.reloads) == (None, 1)


def test_a_missing_file_is_an_error_and_not_an_empty_one(sources: Sources) -> None:
    watcher = ConfigWatcher(sources)
    sources.call_sites.unlink()
    assert watcher.changed() is None
    assert watcher.error is not None


def test_a_configuration_that_the_router_cannot_use_counts_as_broken(sources: Sources) -> None:
    watcher = ConfigWatcher(sources)
    watcher.taken(ConfigError("tier 2: no endpoint"))
    assert (watcher.error, watcher.reloads) == ("tier 2: no endpoint", 0)


def test_overrides_of_the_command_line_apply_to_reloads(sources: Sources) -> None:
    changed = msgspec.structs.replace(sources, overrides=("serving.deadline_s=7",))
    assert changed.read().routing.serving.deadline_s == 7


def test_keys_that_need_a_restart_keep_their_values_and_cause_warnings() -> None:
    new = routing([endpoint("a", "https://a.example.com/v1")], serving={"port": 1, "deadline_s": 9})
    kept, warnings = with_fixed(new, ROUTING.serving)
    assert (kept.serving.port, kept.serving.deadline_s) == (ROUTING.serving.port, 9)
    assert warnings == ["serving.port changed in router.yaml: takes effect at the next start"]
