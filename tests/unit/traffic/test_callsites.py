"""The registry of call sites."""

from pathlib import Path

import pytest

from traffic import callsites
from traffic.config import CONFIGS
from traffic.errors import ConfigError


def write(folder: Path, text: str) -> Path:
    path = folder / "callsites.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_shipped_registry_loads() -> None:
    assert callsites.load(CONFIGS / "callsites.yaml").call_sites == ()


def test_the_example_in_the_shipped_registry_is_valid(tmp_path: Path) -> None:
    lines = (CONFIGS / "callsites.yaml").read_text(encoding="utf-8").splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("#   - name:"))
    example = [line[1:] for line in lines[start:] if line.startswith("#")]
    uncommented = [line.replace("# ", "", 1) if line.strip().startswith("# ") else line for line in example]
    path = write(tmp_path, "call_sites:\n" + "\n".join(uncommented) + "\n")
    (site,) = callsites.load(path).call_sites
    assert (site.name, site.tier, site.checks.labels[0]) == ("support.intent", 1, "refund")
    assert site.checks.json_schema is not None
    assert not site.checks.refuse_refusals


@pytest.mark.parametrize(
    "checks, why",
    [
        ("labels: ['a, b', c], multiple: comma", "a, b"),
        ("labels: ['a;b', c], multiple: comma", "a;b"),
        ("labels: [a, ' b']", " b"),
        ("labels: [a, '']", "''"),
        ("labels: [a, b, a]", "duplicate"),
    ],
)
def test_labels_that_no_answer_can_match_are_refused(tmp_path: Path, checks: str, why: str) -> None:
    path = write(tmp_path, "call_sites:\n- name: desk.tags\n  checks: {" + checks + "}\n")
    with pytest.raises(ConfigError, match=f"desk.tags.*{why}"):
        callsites.load(path)


@pytest.mark.parametrize(
    "checks", ["labels: ['a, b', 'say \"c\"', Refund, refund]", "labels: ['a, b'], multiple: json"]
)
def test_labels_with_punctuation_are_valid(tmp_path: Path, checks: str) -> None:
    path = write(tmp_path, "call_sites:\n- name: desk.tags\n  checks: {" + checks + "}\n")
    assert callsites.load(path).call_sites[0].checks.labels[0] == "a, b"


def test_an_unknown_call_site_has_no_entry() -> None:
    registry = callsites.Registry(call_sites=(callsites.CallSite(name="a"),))
    assert registry.get("a") is registry.call_sites[0]
    assert registry.get("b") is None
    assert registry.get(None) is None


@pytest.mark.parametrize(
    "text, says",
    [
        ("call_sites: [{name: a}, {name: a}]", "duplicate call site 'a'"),
        ("call_sites: [{name: a, teir: 1}]", r"unknown field `teir`.*call_sites\[0\]"),
        ("call_sites: [{name: a, tier: 4}]", r"call_sites\[0\]\.tier"),
        ("call_sites: [{name: a, request_type: poetry}]", "request_type"),
        ("call_sites: [{name: a, checks: {max_chars: 0}}]", "max_chars"),
        ("call_sites: [{owner: b}]", "name"),
        ("sites: []", "sites"),
        ("schema_version: 2", "schema_version"),
    ],
)
def test_a_wrong_entry_is_refused_with_file_and_key(tmp_path: Path, text: str, says: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError, match=says) as error:
        callsites.load(path)
    assert str(path) in str(error.value)
