"""Run a sweep: trials until the budget is used, then the best of them on more seeds."""

from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import NamedTuple, Self

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from pipeline.sweep import study as search
from pipeline.sweep.answers import Graded
from pipeline.sweep.config import SweepConfig, apply
from pipeline.sweep.trials import Bench, Pruned, Stopped
from pipeline.train.config import TrainConfig
from pipeline.train.job import Event, Result
from traffic.errors import ConfigError, TrainingFailed

MAX_EARLY_FAILURES = 3
"""Failed trials before the first success at which a sweep gives up: the settings are not the cause."""

Run = tuple[Result, Graded | None]


class Failure(NamedTuple):
    """A finalist's seed that failed to train."""

    seed: int
    reason: str


class Final(NamedTuple):
    """A finalist's runs."""

    trial: FrozenTrial
    runs: list[Run]
    """One per seed; for a failed finalist, those before the failing seed."""
    failure: Failure | None


class Board:
    """Progress on stderr: number of trials, and a line for each running one."""

    def __init__(self, config: SweepConfig) -> None:
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        self._bar = Progress(*columns, console=Console(stderr=True))
        self._all = self._bar.add_task("trials", total=config.trials)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def trials(self, done: int, best: float | None) -> None:
        """Show how many trials ended and the lowest loss so far."""
        text = "trials" if best is None else f"trials, best validation loss {best:.4f}"
        self._bar.update(self._all, completed=done, description=text)

    def begin(self, name: str) -> TaskID:
        """Add a line for a run that starts."""
        return self._bar.add_task(name, total=None)

    def show(self, line: TaskID, name: str, event: Event) -> None:
        """Show an event of a run."""
        if event.kind == "eval":
            self._bar.update(line, description=f"{name}, validation loss {event.metrics['eval_loss']:.4f}")
        if event.step:
            self._bar.update(line, completed=event.step, total=event.total or None)

    def end(self, line: TaskID) -> None:
        """Remove the line of a run that ended."""
        self._bar.remove_task(line)


class Search:
    """A running sweep."""

    def __init__(
        self, config: SweepConfig, base: TrainConfig, study: optuna.Study, bench: Bench, slots: int, board: Board
    ) -> None:
        self._config, self._base, self._study = config, base, study
        self._bench, self._slots, self._board = bench, slots, board

    def search(self) -> None:
        """Run trials until the number or the time is reached.

        Raises: TrainingFailed if the first trials all fail, ConfigError if no trial finished within the budget.
        """
        with ThreadPoolExecutor(self._slots) as pool:
            running: set[Future[None]] = set()
            try:
                while True:
                    while len(running) < self._slots and self._has_more_trials():
                        running.add(pool.submit(self._trial, self._study.ask()))
                    if not running:
                        break
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        future.result()
                    self._show()
            except BaseException:
                # On an error or Ctrl-C the trials are stopped; otherwise the pool would wait for them to finish.
                self._bench.stop()
                raise
        if not search.best(self._study, 1):
            raise ConfigError("the sweep's budget ended before a trial did; give it more hours or trials")

    def finals(self) -> list[Final]:
        """The best trials on all seeds; one that fails on a seed is excluded. Raises: TrainingFailed if all fail."""
        finalists = search.best(self._study, self._config.finalists)
        seeds = range(self._base.seed, self._base.seed + self._config.seeds)
        with ThreadPoolExecutor(self._slots) as pool:
            try:
                pending = [{seed: pool.submit(self._final, trial, seed) for seed in seeds} for trial in finalists]
                finals = [_collect(trial, runs) for trial, runs in zip(finalists, pending, strict=True)]
            except BaseException:
                self._bench.stop()
                raise
        if all(final.failure for final in finals):
            failures = "; ".join(
                f"trial {final.trial.number}, seed {final.failure.seed}: {final.failure.reason}"
                for final in finals
                if final.failure
            )
            raise TrainingFailed(f"every finalist failed on one of its seeds: {failures}")
        return finals

    def _has_more_trials(self) -> bool:
        trials = search.trials_of(self._study)
        started = [trial for trial in trials if trial.state != TrialState.WAITING]
        hours = self._config.hours
        if hours is not None and search.hours_used(self._study, self._slots) >= hours:
            return False
        # A trial left by a killed sweep counts already and is continued first.
        return len(started) < self._config.trials

    def _trial(self, trial: Trial) -> None:
        settings = search.settings_of(trial, self._config)
        trial.set_user_attr("settings", settings)
        name = f"trial {trial.number}"
        line = self._board.begin(name)
        try:
            result, _ = self._bench.train(
                apply(self._base, settings),
                name=name,
                tags={"trial": str(trial.number)},
                on_loss=lambda evaluation, loss: search.report(trial, evaluation, loss),
                on_progress=lambda event: self._board.show(line, name, event),
            )
        except Pruned:
            self._study.tell(trial, state=TrialState.PRUNED)
        except Stopped:
            # Stays marked as running: the next start of this sweep continues it.
            return
        except TrainingFailed as error:
            trial.set_user_attr("error", str(error))
            self._study.tell(trial, state=TrialState.FAIL)
            self._stop_after_early_failures(error)
        else:
            self._study.tell(trial, result.best_eval_loss)
        finally:
            self._board.end(line)

    def _final(self, trial: FrozenTrial, seed: int) -> Run:
        name = f"finalist {trial.number}, seed {seed}"
        line = self._board.begin(name)
        try:
            return self._bench.train(
                apply(self._base, search.settings(trial), seed=seed),
                name=name,
                tags={"trial": str(trial.number), "finalist": "true", "seed": str(seed)},
                on_progress=lambda event: self._board.show(line, name, event),
                answered=self._config.answers,
            )
        finally:
            self._board.end(line)

    def _stop_after_early_failures(self, error: TrainingFailed) -> None:
        states = [trial.state for trial in search.trials_of(self._study)]
        if TrialState.COMPLETE not in states and states.count(TrialState.FAIL) >= MAX_EARLY_FAILURES:
            raise TrainingFailed(
                f"{MAX_EARLY_FAILURES} trials failed and none succeeded; the last one: {error}"
            ) from None

    def _show(self) -> None:
        finished = _finished_count(search.trials_of(self._study))
        best = search.best(self._study, 1)
        self._board.trials(finished, search.value_of(best[0]) if best else None)


def _collect(trial: FrozenTrial, runs: dict[int, Future[Run]]) -> Final:
    """Wait for a finalist's runs; after a failure its remaining runs are cancelled."""
    done: list[Run] = []
    for seed, run in runs.items():
        try:
            done.append(run.result())
        except TrainingFailed as error:
            for other in runs.values():
                other.cancel()
            return Final(trial, done, Failure(seed, str(error)))
    return Final(trial, done, None)


def _finished_count(trials: Iterable[FrozenTrial]) -> int:
    return sum(trial.state in search.FINAL_STATES for trial in trials)
