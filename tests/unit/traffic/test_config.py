"""YAML into structs, overrides, error messages."""

from pathlib import Path
from typing import Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffic import config
from traffic.errors import ConfigError, NotFound


class Inner(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rank: int = 16
    names: tuple[str, ...] = ()


class Outer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    inner: Inner = Inner()
    rate: float = 0.1
    label: str | None = None


def write(folder: Path, text: str) -> Path:
    path = folder / "train.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_fill_what_the_file_leaves_out(tmp_path: Path) -> None:
    assert config.load(write(tmp_path, "inner: {rank: 8}"), Outer) == Outer(inner=Inner(rank=8))


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    assert config.load(write(tmp_path, "# nothing\n"), Outer) == Outer()


def test_overrides_reach_nested_keys_and_are_parsed_as_yaml(tmp_path: Path) -> None:
    path = write(tmp_path, "inner: {rank: 8}")
    loaded = config.load(path, Outer, ["inner.rank=4", "inner.names=[a, b]", "rate=1e-3", "label=x=y"])
    assert loaded == Outer(inner=Inner(rank=4, names=("a", "b")), rate=0.001, label="x=y")


def test_an_override_may_create_a_section(tmp_path: Path) -> None:
    assert config.load(write(tmp_path, ""), Outer, ["inner.rank=2"]).inner.rank == 2


@pytest.mark.parametrize(
    "text, says",
    [
        ("inner: {rnak: 8}", r"unknown field `rnak`.*\$\.inner"),
        ("inner: {rank: many}", r"\$\.inner\.rank"),
        ("rate: [1]", r"\$\.rate"),
        ("- a", "Expected `object`"),
        ("inner: {rank: 8", r"train\.yaml:\d+: not valid YAML"),
    ],
)
def test_an_invalid_value_is_reported_with_file_and_key(tmp_path: Path, text: str, says: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError, match=says) as error:
        config.load(path, Outer)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("text", ["inner: {rnak: 8}", "rnak: 8"])
def test_an_unknown_key_suggests_the_nearest_known_one(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="did you mean `rank`"):
        config.load(write(tmp_path, text), Outer)


@pytest.mark.parametrize(
    "override, says",
    [
        ("inner.rank", "write it as key.path=value"),
        ("=3", "write it as key.path=value"),
        ("rate.x=3", "rate is not a section"),
        ("rate.x.y=3", "x is not a section"),
        ("rate=[", "not valid YAML"),
        ("inner.rnak=3", "unknown field `rnak`"),
    ],
)
def test_an_invalid_override_is_reported(tmp_path: Path, override: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        config.load(write(tmp_path, "rate: 0.5"), Outer, [override])


def test_a_missing_file_lists_existing_ones(tmp_path: Path) -> None:
    write(tmp_path, "")
    with pytest.raises(NotFound, match=r"did you mean `train\.yaml`"):
        config.load(tmp_path / "trian.yaml", Outer)
    with pytest.raises(NotFound, match=r"there are: train\.yaml"):
        config.load(tmp_path / "zzz.yaml", Outer)


def test_a_folder_and_a_binary_file_are_config_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load(tmp_path, Outer)
    binary = tmp_path / "b.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load(binary, Outer)


@given(
    st.builds(Outer, st.builds(Inner, st.integers(-(2**60), 2**60), st.lists(st.text()).map(tuple)), label=st.text())
)
def test_dumped_configuration_loads_again(value: Outer) -> None:
    import yaml

    for load in (yaml.safe_load, config.parse):
        assert config.convert(load(config.dump(value)), Outer, source="x") == value


@pytest.mark.slow
@pytest.mark.parametrize("value", ["2026-02-30", "0x_", "[" * 5000 + "]" * 5000])
def test_an_impossible_yaml_value_is_a_config_error(tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load(write(tmp_path, f"label: {value}"), Outer)
    with pytest.raises(ConfigError, match="--set label"):
        config.load(write(tmp_path, ""), Outer, (f"label={value}",))


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    ["[" * 200_000 + "]" * 200_000, "- " * 200_000 + "x", "".join(f"{' ' * depth}a:\n" for depth in range(2000))],
    ids=["brackets", "dashes", "indentation"],
)
def test_deeply_nested_yaml_raises_instead_of_crashing_the_process(text: str) -> None:
    with pytest.raises(RecursionError):
        config.parse(text)


class Switches(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    action: Literal["off", "on", "list"] = "list"
    labels: tuple[str, ...] = ()
    enabled: bool = False
    times: dict[str, str] = {}


def test_yes_no_on_and_off_are_strings_or_booleans_by_the_type_of_the_field(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("action: off\nlabels: [yes, no, Off, true-ish]\ntimes: {opens: 12:30}\n", encoding="utf-8")
    loaded = config.load(path, Switches)
    assert (loaded.action, loaded.labels) == ("off", ("yes", "no", "Off", "true-ish"))
    assert loaded.times == {"opens": "12:30"}
    assert config.load(path, Switches, ["action=on"]).action == "on"
    path.write_text("enabled: yes\n", encoding="utf-8")
    assert config.load(path, Switches).enabled
    assert not config.load(path, Switches, ["enabled=off"]).enabled
    path.write_text(config.dump(loaded), encoding="utf-8")
    assert config.load(path, Switches) == loaded


@pytest.mark.parametrize("value", ["[true, false]", "[1.10]", "[2026-11-01]", "[1]"])
def test_a_label_that_yaml_does_not_read_as_text_suggests_quotes(value: str, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(f"labels: {value}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"labels\[0\].*quotes"):
        config.load(path, Switches)
