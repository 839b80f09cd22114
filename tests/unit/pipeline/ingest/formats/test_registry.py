"""Formats are told apart by what their lines hold."""

import json
from pathlib import Path

import pytest

from pipeline.ingest import sources
from pipeline.ingest.content import Content
from pipeline.ingest.formats import FORMATS, formats_of, mapping_of
from pipeline.ingest.recognition import recognise, recognise_content
from tests.fakes.logs import attempts, litellm_line, native_line, pair_line

WRITERS = {"litellm": litellm_line, "openai_pairs": pair_line, "native": native_line}


@pytest.mark.parametrize("name", WRITERS)
def test_every_line_of_a_format_is_recognised_by_it_alone(name: str) -> None:
    for attempt in attempts(50, 1, retries=0.5):
        tree = json.loads(WRITERS[name](attempt))
        assert formats_of(tree) == [name]


def test_stray_lines_do_not_change_the_vote() -> None:
    lines = [json.loads(litellm_line(attempt)) for attempt in attempts(3, 1)]
    names = recognise([{"level": "info"}, *lines])
    assert names is not None
    assert names.format is FORMATS["litellm"]


def test_nothing_is_recognised_in_foreign_lines() -> None:
    assert recognise([{"level": "info", "message": "started"}]) is None


@pytest.mark.parametrize("name", sorted(FORMATS.keys() - {"mapped"}))
def test_every_format_ships_with_a_mapping(name: str) -> None:
    assert mapping_of(name) is not None


def test_encrypted_bodies_are_named(tmp_path: Path) -> None:
    body = {"type": "encrypted", "key": "k", "iv": "i", "data": "d"}
    (tmp_path / "log").write_text(json.dumps({"Model": "gpt-4o-mini", "RequestBody": body, "ResponseBody": body}))
    reason = recognise_content(Content(sources.find([tmp_path / "log"])[0]))
    assert isinstance(reason, str)
    assert "RequestBody, ResponseBody are encrypted" in reason
