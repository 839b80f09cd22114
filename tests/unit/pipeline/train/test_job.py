"""pipeline/train/job.py"""

from pathlib import Path

import pytest

from pipeline.train import job
from pipeline.train.job import Event, EventReader, EventWriter
from traffic.errors import InputError


def test_a_reader_gets_each_event_once_in_order(tmp_path: Path):
    writer, reader = EventWriter(tmp_path), EventReader(tmp_path)
    assert reader.new() == []
    events = [
        Event("phase", phase="training"),
        Event("step", step=1, total=9),
        Event("log", step=1, metrics={"loss": 2.5}),
    ]
    writer.write(events[0])
    assert reader.new() == events[:1]
    writer.write(events[1])
    writer.write(events[2])
    assert reader.new() == events[1:]
    assert reader.new() == []


def test_a_half_written_line_waits_for_its_end(tmp_path: Path):
    reader = EventReader(tmp_path)
    path = tmp_path / "progress.jsonl"
    path.write_bytes(b'{"kind":"step","step":1}\n{"kind":"st')
    assert reader.new() == [Event("step", step=1)]
    path.write_bytes(b'{"kind":"step","step":1}\n{"kind":"step","step":2}\n')
    assert reader.new() == [Event("step", step=2)]


def test_rewinding_keeps_the_curve_up_to_the_checkpoint(tmp_path: Path):
    writer = EventWriter(tmp_path)
    writer.write(Event("phase", phase="training"))
    for step in (1, 2, 3):
        writer.write(Event("step", step=step))
        writer.write(Event("log", step=step, metrics={"loss": 1 / step}))
    job.rewind(tmp_path, 2)
    assert [(event.kind, event.step) for event in EventReader(tmp_path).new()] == [("log", 1), ("log", 2)]


def test_the_last_whole_checkpoint_is_found_and_a_half_written_one_is_not(tmp_path: Path):
    assert job.last_checkpoint(tmp_path) is None
    for step in (4, 12, 100):
        (tmp_path / f"checkpoint-{step}").mkdir()
    for step in (4, 12):
        (tmp_path / f"checkpoint-{step}" / "trainer_state.json").touch()
    assert job.last_checkpoint(tmp_path) == (12, tmp_path / "checkpoint-12")


def test_a_missing_or_broken_job_file_is_an_input_error(tmp_path: Path):
    with pytest.raises(InputError, match=r"job\.json"):
        job.load_job(tmp_path / "job.json")
    (tmp_path / "job.json").write_text("{}")
    with pytest.raises(InputError, match=r"job\.json"):
        job.load_job(tmp_path / "job.json")
