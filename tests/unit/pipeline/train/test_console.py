"""pipeline/train/console.py: output of a training run without a terminal."""

import io

from pipeline.train import console
from pipeline.train.job import Event


class Clock:
    """A clock advanced by the test."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def shown(events: list[tuple[float, Event]], examples_per_step: int = 16) -> list[str]:
    """Lines after these events at these times."""
    stream, clock = io.StringIO(), Clock()
    with console.display(examples_per_step, stream, clock) as show:
        for now, event in events:
            clock.now = now
            show(event)
    return stream.getvalue().splitlines()


def steps(count: int, seconds: float, start: float = 0.0) -> list[tuple[float, Event]]:
    return [(start + n * seconds, Event("step", step=n, total=count)) for n in range(1, count + 1)]


TRAINING = (10.0, Event("phase", phase="training"))


def test_the_first_step_shows_speed_and_remaining_time():
    line = shown([TRAINING, *steps(30, 4.0, start=10.0)[:1]])[-1]
    # 16 examples in 4 s, and 29 steps of 4 s to go.
    assert "step 1 of 30" in line
    assert "4.0 examples/s" in line
    assert "1.9 min left" in line


def test_a_log_gets_at_most_one_line_every_ten_seconds():
    lines = [line for line in shown([TRAINING, *steps(100, 1.0, start=10.0)]) if "step" in line]
    assert len(lines) == 10


def test_a_continued_run_counts_its_own_steps():
    events = [(0.0, Event("phase", phase="training", step=50)), (8.0, Event("step", step=52, total=60))]
    assert "4.0 examples/s, 32 s left" in shown(events)[-1]


def test_phases_validations_and_the_number_of_examples_are_logged():
    pace = Event("pace", total=30, metrics={"examples": 480.0, "examples_per_second": 1.42})
    lines = shown(
        [
            (1.0, Event("phase", phase="loading the base model")),
            (9.0, pace),
            (20.0, Event("eval", step=30, total=30, metrics={"eval_loss": 0.25})),
        ]
    )
    assert [line.split()[0] for line in lines] == ["1", "9", "20"]
    assert "480 examples" in lines[1]
    assert "1.4 a second" in lines[1]
    assert "validation loss 0.250" in lines[2]


def test_the_loss_is_shown_with_the_next_step():
    log = Event("log", step=1, total=9, metrics={"loss": 1.5})
    lines = shown([TRAINING, (12.0, log), (13.0, Event("step", step=1, total=9))])
    assert "loss 1.500" in lines[-1]
