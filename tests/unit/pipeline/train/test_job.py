"""pipeline/train/job.py"""

from pathlib import Path

import pytest

from pipeline.train import job
from pipeline.train.config import ModelConfig, TrainConfig
from pipeline.train.job import Event, EventReader, EventWriter
from tests.fakes.checkpoints import make as checkpoint
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


def test_an_incomplete_line_is_read_once_complete(tmp_path: Path):
    reader = EventReader(tmp_path)
    path = tmp_path / "progress.jsonl"
    path.write_bytes(b'{"kind":"step","step":1}\n{"kind":"st')
    assert reader.new() == [Event("step", step=1)]
    path.write_bytes(b'{"kind":"step","step":1}\n{"kind":"step","step":2}\n')
    assert reader.new() == [Event("step", step=2)]


def test_rewinding_keeps_events_up_to_the_checkpoint(tmp_path: Path):
    writer = EventWriter(tmp_path)
    writer.write(Event("phase", phase="training"))
    for step in (1, 2, 3):
        writer.write(Event("step", step=step))
        writer.write(Event("log", step=step, metrics={"loss": 1 / step}))
    job.rewind(tmp_path, 2)
    assert [(event.kind, event.step) for event in EventReader(tmp_path).new()] == [("log", 1), ("log", 2)]


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def test_the_last_checkpoint_is_found(tmp_path: Path):
    assert job.last_checkpoint(tmp_path, 1) is None
    for step in (4, 12, 100):
        checkpoint(tmp_path, step)
    assert job.last_checkpoint(tmp_path, 1) == (100, tmp_path / "checkpoint-100")


PARTS = ["trainer_state.json", "optimizer.pt", "scheduler.pt", "rng_state_0.pth", "rng_state_1.pth"]


@pytest.mark.parametrize(
    "name, damage",
    [(name, truncate) for name in PARTS]
    # The first process writes the optimiser's state before its scheduler's: no kill leaves it out alone.
    + [(name, Path.unlink) for name in PARTS if name != "optimizer.pt"],
)
def test_an_incomplete_checkpoint_is_ignored_and_removed(tmp_path: Path, name: str, damage):
    checkpoint(tmp_path, 4, processes=2)
    damage(checkpoint(tmp_path, 12, processes=2) / name)
    assert job.last_checkpoint(tmp_path, 2) == (4, tmp_path / "checkpoint-4")
    job.drop_checkpoints(tmp_path, broken_in=2)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-4"]


def test_a_checkpoint_without_all_random_states_is_ignored(tmp_path: Path):
    checkpoint(tmp_path, 4, processes=2)
    assert job.last_checkpoint(tmp_path, 2) is not None
    assert job.last_checkpoint(tmp_path, 3) is None


def test_a_run_is_finished_at_its_last_step_or_by_early_stopping(tmp_path: Path):
    ends = {4: False, 8: True, 100: True}
    for step, ended in ends.items():
        state = job.state_of(checkpoint(tmp_path, step, ended=step == 8))
        assert state is not None
        assert state.ended == ended


RESULT = job.Result(
    examples=8,
    validation_examples=2,
    too_long={},
    steps=4,
    planned_steps=4,
    epochs=1.0,
    resumed_from=None,
    best_step=4,
    best_eval_loss=0.5,
    seconds=1.0,
    trained_examples=8,
    supervised_tokens=16,
    peak_gpu_bytes=0,
)


def a_job(folder: Path, base: str = "/base") -> job.Job:
    config = TrainConfig(model=ModelConfig(name="tiny"))
    return job.Job(config, base, "tiny", "sha256:0", "/data", str(folder), "cpu", 1, 16)


def test_a_result_is_valid_for_the_same_job_only(tmp_path: Path):
    work = a_job(tmp_path)
    assert job.finished(tmp_path, work) is None
    job.save(tmp_path / "job.json", work)
    assert job.finished(tmp_path, work) is None
    job.save(tmp_path / "result.json", RESULT)
    assert job.finished(tmp_path, work) == RESULT
    assert job.finished(tmp_path, a_job(tmp_path, base="/other")) is None


def test_a_discarded_run_cannot_be_continued(tmp_path: Path):
    checkpoint(tmp_path, 4)
    job.save(tmp_path / "job.json", a_job(tmp_path))
    job.save(tmp_path / "result.json", RESULT)
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter.name").write_text("a@1\n")
    EventWriter(tmp_path).write(Event("step", step=1))
    (tmp_path / "train.log").write_text("kept")
    job.forget(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["train.log"]


def test_a_missing_or_broken_job_file_is_an_input_error(tmp_path: Path):
    with pytest.raises(InputError, match=r"job\.json"):
        job.load_job(tmp_path / "job.json")
    (tmp_path / "job.json").write_text("{}")
    with pytest.raises(InputError, match=r"job\.json"):
        job.load_job(tmp_path / "job.json")
