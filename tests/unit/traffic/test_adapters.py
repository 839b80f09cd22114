"""adapter.yaml and parity.jsonl."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffic import adapters, config
from traffic.adapters import ParityItem
from traffic.errors import ConfigError, InputError, NotFound
from traffic.prompts import match, render

GOLDEN = Path(__file__).parents[2] / "golden" / "adapter-v1.yaml"

logprobs = st.lists(st.floats(-1e6, 0), max_size=5)
items = st.builds(
    ParityItem,
    st.lists(st.integers(0, 2**31), max_size=5),
    st.lists(st.integers(0, 2**31)),
    logprobs,
    logprobs,
    logprobs,
)


def folder_with(tmp_path: Path, **files: str) -> Path:
    for name, text in files.items():
        (tmp_path / name.replace("_", ".")).write_text(text, encoding="utf-8")
    return tmp_path


def test_an_adapter_loads_from_its_folder_and_dumps_to_the_same(tmp_path: Path) -> None:
    shutil.copy(GOLDEN, tmp_path / "adapter.yaml")
    adapter = adapters.load(tmp_path)
    (tmp_path / "adapter.yaml").write_text(config.dump(adapter), encoding="utf-8")
    assert adapters.load(tmp_path) == adapter


def test_the_templates_of_an_adapter_match_live_requests(tmp_path: Path) -> None:
    shutil.copy(GOLDEN, tmp_path / "adapter.yaml")
    (template,) = adapters.load(tmp_path).call_sites["mail.sort"].templates
    sent = render(template, ["two roses"], side="original")
    assert match(template, sent) == ("two roses",)
    assert render(template, ["two roses"])[0] == {"role": "system", "content": "sort"}


def test_an_unknown_key_is_refused_with_file_and_key(tmp_path: Path) -> None:
    text = GOLDEN.read_text(encoding="utf-8").replace("rank: 16", "rnak: 16")
    with pytest.raises(ConfigError, match=r"adapter\.yaml: .*(rnak|rank)"):
        adapters.load(folder_with(tmp_path, adapter_yaml=text))


def test_a_later_schema_version_is_refused(tmp_path: Path) -> None:
    text = GOLDEN.read_text(encoding="utf-8").replace("schema_version: 1", "schema_version: 3")
    with pytest.raises(ConfigError, match="schema_version"):
        adapters.load(folder_with(tmp_path, adapter_yaml=text))


def test_a_missing_adapter_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        adapters.load(tmp_path)
    with pytest.raises(NotFound, match="train it again"):
        adapters.load_parity(tmp_path)


@given(st.lists(items, max_size=3))
def test_parity_items_survive_their_file(given_: list[ParityItem]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "parity.jsonl").write_bytes(adapters.dump_parity(given_))
        assert adapters.load_parity(Path(folder)) == given_


def test_a_broken_parity_line_is_named(tmp_path: Path) -> None:
    good = adapters.dump_parity([ParityItem([1], [2], [-0.1], [3.0], [-2.0])])
    (tmp_path / "parity.jsonl").write_bytes(good + b'{"prompt_ids": [1]}\n')
    with pytest.raises(InputError, match=r"parity\.jsonl:2: "):
        adapters.load_parity(tmp_path)
