"""pipeline/sweep/search.py and study.py: a sweep with simulated training runs."""

import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import optuna
import pytest
from optuna.trial import TrialState

from pipeline.sweep import _ranked
from pipeline.sweep import study as search
from pipeline.sweep.answers import Graded
from pipeline.sweep.config import SweepConfig
from pipeline.sweep.search import Board, Failure, Run, Search
from pipeline.sweep.trials import Pruned, Stopped
from pipeline.train.config import LoraConfig, ModelConfig, TrainConfig
from pipeline.train.job import Result
from traffic import config
from traffic.errors import ConfigError, TrainingFailed

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")]

BASE = TrainConfig(model=ModelConfig(name="tiny"), lora=LoraConfig(rank=16, alpha=32), seed=5)
RESULT = Result(
    examples=8,
    validation_examples=2,
    too_long={},
    steps=4,
    planned_steps=4,
    epochs=1.0,
    resumed_from=None,
    best_step=4,
    best_eval_loss=0.0,
    seconds=1.0,
    trained_examples=8,
    supervised_tokens=16,
    peak_gpu_bytes=0,
)


def sweep(**changes: object) -> SweepConfig:
    space = {"learning_rate": {"low": 1e-4, "high": 1e-1}, "rank": [8, 16], "epochs": [1, 2]}
    tree = {"space": space, "trials": 8, "startup_trials": 2, "finalists": 2, "seeds": 3, "answers": 10}
    return config.convert(tree | changes, SweepConfig, source="sweep.yaml")


def loss_of(settings: TrainConfig) -> float:
    """Lowest at a learning rate of 1e-3."""
    return 1.0 + abs(settings.learning_rate - 1e-3) * 100 + settings.seed * 1e-3


class PretendedBench:
    """Reports four validations per run, like a real training."""

    def __init__(
        self,
        interrupted_at: int | None = None,
        failing: Callable[[int], bool] = lambda number: False,
        failing_on: Callable[[TrainConfig], bool] = lambda settings: False,
    ) -> None:
        self.trained: list[TrainConfig] = []
        self.stopped = False
        self._interrupted_at, self._failing, self._failing_on = interrupted_at, failing, failing_on
        self._lock = threading.Lock()

    def stop(self) -> None:
        self.stopped = True

    def train(self, settings, *, name, tags, on_loss=lambda n, loss: False, on_progress, answered=0) -> Run:
        with self._lock:
            self.trained.append(settings)
            number = len(self.trained)
        if self._failing(number) or self._failing_on(settings):
            raise TrainingFailed("loss is nan")
        loss = loss_of(settings)
        for evaluation in range(1, 5):
            if on_loss(evaluation, loss + 1 / evaluation):
                raise Pruned
            if number == self._interrupted_at and evaluation == 2:
                raise Stopped
        graded = Graded(answered, [loss < 1.05] * answered) if answered else None
        return msgspec.structs.replace(RESULT, best_eval_loss=loss + 0.25), graded


def course(folder: Path, settings: SweepConfig, bench: PretendedBench, slots: int = 1) -> tuple[optuna.Study, Search]:
    study = search.open_study(folder, settings, BASE.seed)
    return study, Search(settings, BASE, study, bench, slots, Board(settings))


def states(study: optuna.Study) -> list[str]:
    return [trial.state.name for trial in search.trials_of(study)]


@pytest.mark.parametrize("slots", [1, 3])
def test_a_sweep_stops_trials_below_the_median(tmp_path: Path, slots: int):
    bench = PretendedBench()
    study, course_ = course(tmp_path, sweep(trials=12), bench, slots)
    course_.search()
    assert len(bench.trained) == len(states(study)) == 12
    assert set(states(study)) == {"COMPLETE", "PRUNED"}
    pruned = [trial for trial in study.trials if trial.state == TrialState.PRUNED]
    kept = [search.value_of(trial) for trial in study.trials if trial.state == TrialState.COMPLETE]
    assert min(kept) < min(max(trial.intermediate_values.values()) for trial in pruned)


@pytest.mark.parametrize("spared", [0, 1, 3])
def test_a_trial_is_stopped_only_after_the_grace_validations(tmp_path: Path, spared: int):
    study, course_ = course(tmp_path, sweep(trials=12, warmup_evaluations=spared), PretendedBench())
    course_.search()
    pruned = [trial for trial in study.trials if trial.state == TrialState.PRUNED]
    assert min(len(trial.intermediate_values) for trial in pruned) == spared + 1


def test_the_same_seed_proposes_the_same_trials(tmp_path: Path):
    proposed = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        bench = PretendedBench()
        course(tmp_path / name, sweep(), bench)[1].search()
        proposed.append(bench.trained)
    assert proposed[0] == proposed[1]
    assert len({config.dump(settings) for settings in proposed[0]}) > 1


def test_an_interrupted_sweep_continues_its_unfinished_trial_first(tmp_path: Path):
    first = PretendedBench(interrupted_at=3)
    study, course_ = course(tmp_path, sweep(trials=3), first)
    course_.search()
    assert states(study) == ["COMPLETE", "COMPLETE", "RUNNING"]

    second = PretendedBench()
    study, course_ = course(tmp_path, sweep(trials=5), second)
    course_.search()
    assert second.trained[0] == first.trained[2]
    assert len(second.trained) == 3
    assert len(states(study)) == 5
    assert set(states(study)) <= {"COMPLETE", "PRUNED"}


def test_a_complete_sweep_trains_nothing(tmp_path: Path):
    course(tmp_path, sweep(), PretendedBench())[1].search()
    again = PretendedBench()
    course(tmp_path, sweep(), again)[1].search()
    assert again.trained == []


def test_no_trial_starts_after_the_time_limit(tmp_path: Path):
    bench = PretendedBench()
    study, course_ = course(tmp_path, sweep(hours=1e-9), bench)
    course_.search()
    assert len(bench.trained) == 1
    assert search.hours_used(study, 2) == pytest.approx(search.hours_used(study, 1) / 2)


def test_the_best_settings_are_trained_with_further_seeds(tmp_path: Path):
    bench = PretendedBench()
    study, course_ = course(tmp_path, sweep(), bench)
    course_.search()
    bench.trained.clear()
    finals = course_.finals()
    assert [trial.number for trial, *_ in finals] == [trial.number for trial in search.best(study, 2)]
    assert [settings.seed for settings in bench.trained] == [5, 6, 7, 5, 6, 7]
    for trial, runs, _ in finals:
        assert {settings.learning_rate for settings in bench.trained} >= {search.settings(trial)["learning_rate"]}
        assert len({result.best_eval_loss for result, _ in runs}) == 3
        assert all(graded is not None and len(graded.correct) == 10 for _, graded in runs)


@pytest.mark.parametrize("slots", [1, 3])
def test_a_finalist_that_fails_on_a_seed_is_removed(tmp_path: Path, slots: int):
    settings = sweep(trials=4, startup_trials=4, finalists=2)
    course(tmp_path, settings, PretendedBench())[1].search()
    study = search.open_study(tmp_path, settings, BASE.seed)
    best, second = search.best(study, 2)
    rate = search.settings(best)["learning_rate"]
    bench = PretendedBench(failing_on=lambda settings: settings.learning_rate == rate and settings.seed == 6)
    finals = course(tmp_path, settings, bench, slots)[1].finals()
    assert [(final.trial.number, final.failure) for final in finals] == [
        (best.number, Failure(6, "loss is nan")),
        (second.number, None),
    ]
    assert [len(final.runs) for final in finals] == [1, 3]
    assert not bench.stopped

    finalists, dropped = _ranked(finals)
    assert [finalist.trial for finalist in finalists] == [second.number]
    (line,) = [one.line() for one in dropped]
    assert line.startswith(f"trial {best.number}: excluded, failed on seed 6 (learning_rate {rate}")


def test_failed_finalists_are_named(tmp_path: Path):
    settings = sweep(trials=4, startup_trials=4, finalists=2)
    course(tmp_path, settings, PretendedBench())[1].search()
    bench = PretendedBench(failing_on=lambda settings: settings.seed == 7)
    with pytest.raises(TrainingFailed, match=r"every finalist failed.*trial \d, seed 7: loss is nan; trial \d, seed 7"):
        course(tmp_path, settings, bench)[1].finals()


def test_a_failed_trial_is_recorded_and_the_sweep_continues(tmp_path: Path):
    study, course_ = course(tmp_path, sweep(), PretendedBench(failing=lambda number: number == 1))
    course_.search()
    assert states(study).count("FAIL") == 1
    assert study.trials[0].user_attrs["error"] == "loss is nan"
    assert search.best(study, 1)


def test_a_sweep_stops_after_repeated_failures(tmp_path: Path):
    bench = PretendedBench(failing=lambda number: True)
    _, course_ = course(tmp_path, sweep(trials=8), bench)
    with pytest.raises(TrainingFailed, match=r"none succeeded.*loss is nan"):
        course_.search()
    assert len(bench.trained) == 3
    assert bench.stopped


def test_a_budget_without_a_finished_trial_is_an_error(tmp_path: Path):
    _, course_ = course(tmp_path, sweep(trials=1), PretendedBench(interrupted_at=1))
    with pytest.raises(ConfigError, match="budget ended before a trial"):
        course_.search()
