"""Search for training settings and confirm the best on several seeds.

    fasttier sweep --config configs/train/smollm2-135m.yaml --dataset support.intent

Runs the trials of configs/sweep.yaml, one per GPU at a time; writes data/runs/sweep-<task>@<key>/winner.yaml for
`fasttier train --config`, and an MLflow run with a child per trial. The same command continues a killed sweep.
"""

import contextlib
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pipeline import dataset as datasets
from pipeline import tracking, train
from pipeline.sweep.config import Settings, SweepConfig, apply, check
from pipeline.train import artefact, base_models, rows
from pipeline.train.config import TrainConfig
from traffic import config as configs
from traffic.artifacts import Home, hash8, slug, write_atomic
from traffic.errors import Unsupported

if TYPE_CHECKING:
    from optuna import Study

    from pipeline.sweep.search import Final

__all__ = ["SweepConfig", "SweepSummary", "run"]


class Finalist(msgspec.Struct, frozen=True, kw_only=True):
    """One of the best trials, trained on several seeds."""

    trial: int
    settings: Settings
    losses: tuple[float, ...]
    """Lowest validation loss of each seed."""
    accuracies: tuple[float, ...]
    """Accuracy of each seed on generated validation answers; empty if none were generated."""

    @property
    def key(self) -> tuple[float, float]:
        """Sort key, lower is better: by accuracy if there are answers, then by loss."""
        return -statistics.fmean(self.accuracies) if self.accuracies else 0.0, statistics.fmean(self.losses)

    def line(self) -> str:
        """The result as text."""
        settings = ", ".join(f"{name} {value}" for name, value in self.settings.items())
        accuracy = f"{_spread(self.accuracies, '.1%')} correct, " if self.accuracies else ""
        return f"trial {self.trial}: {accuracy}validation loss {_spread(self.losses, '.4f')} ({settings})"


class Dropped(msgspec.Struct, frozen=True, kw_only=True):
    """A finalist that is excluded because training failed on one of its seeds."""

    trial: int
    settings: Settings
    seed: int
    reason: str

    def line(self) -> str:
        """The result as text."""
        settings = ", ".join(f"{name} {value}" for name, value in self.settings.items())
        return f"trial {self.trial}: excluded, failed on seed {self.seed} ({settings}): {self.reason}"


class SweepSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Result of a sweep."""

    path: Path
    """The winner's training configuration."""
    dataset: str
    base_model: str
    completed: int
    pruned: int
    failed: int
    hours: float
    """Time of all trials, including interrupted runs, without the finalists' additional seeds."""
    chosen_by: str
    finalists: tuple[Finalist, ...]
    """Best first."""
    dropped: tuple[Dropped, ...]
    """Finalists that failed on one of their seeds."""
    mlflow_run: str

    def lines(self) -> list[str]:
        """The result as text."""
        counts = f"{self.completed} completed, {self.pruned} stopped early, {self.failed} failed"
        seeds = len(self.finalists[0].losses)
        return [
            f"tried       {counts}, {self.hours:.2f} hours, of {self.base_model} on {self.dataset}",
            f"finalists   {seeds} seed{'s' if seeds > 1 else ''} each, mean and standard deviation:",
            *(f"  {finalist.line()}" for finalist in self.finalists),
            *(f"  {finalist.line()}" for finalist in self.dropped),
            f"chosen      trial {self.finalists[0].trial}, by {self.chosen_by}; the test split was not used",
            f"winner      {self.path}",
            f"mlflow      run {self.mlflow_run}",
            "next        (already trained: this publishes it)",
            f"  fasttier train --config {self.path} --dataset {self.dataset}",
        ]


def run(config: SweepConfig, base: TrainConfig, dataset: Path, *, home: Home) -> SweepSummary:
    """Search, confirm the finalists, write the winner's configuration.

    Raises: ConfigError, InputError, NotEnoughData, ModelUnavailable, Unsupported, TrainingFailed if no trial
    succeeds, or no finalist on all its seeds.
    """
    check(config, base)
    card = datasets.load(dataset)
    device, slots = train.devices(base, planning=False)
    if device == "cpu":
        # Processes on a CPU share its cores: two trials at a time would take twice as long each.
        slots = 1
        if base.model.needs_gpu:
            raise Unsupported(f"{base.model.name} needs a GPU; smollm2-135m can be swept here")
    weights = base_models.resolve(base.model, home)
    rows.read(dataset, base)
    recipe = artefact.recipe(msgspec.structs.replace(base, processes=1))
    # Budgets are not part of the key: with more time or trials a sweep continues.
    key = hash8(recipe, config.space, card.name, weights.revision)
    folder = home.runs / f"sweep-{slug(card.task)}@{key}"
    folder.mkdir(parents=True, exist_ok=True)
    with train.only_one(folder):
        # Imported here: optuna takes a second, too long for `fasttier --help`.
        from pipeline.sweep import study as search
        from pipeline.sweep.search import Board, Search
        from pipeline.sweep.trials import Bench

        study = search.open_study(folder, config, base.seed)
        tags = {"stage": "sweep", "task": card.task, "dataset": card.name, "base_model": base.model.name}
        with _tracked(study, home, f"sweep {card.task}", tags) as (mlflow, parent), Board(config) as board:
            bench = Bench(home, dataset, weights, device, slots, parent)
            sweep = Search(config, base, study, bench, slots, board)
            sweep.search()
            finalists, dropped = _ranked(sweep.finals())
            winner = apply(base, finalists[0].settings)
            path = folder / "winner.yaml"
            write_atomic(path, configs.dump(winner))
            mlflow.log_artifact(str(path))
            mlflow.log_params({f"winner.{name}": value for name, value in finalists[0].settings.items()})
            mlflow.log_metric("winner.eval_loss", statistics.fmean(finalists[0].losses))
            if finalists[0].accuracies:
                mlflow.log_metric("winner.accuracy", statistics.fmean(finalists[0].accuracies))
        states = [trial.state.name for trial in search.trials_of(study)]
        answered = f"answers generated for at most {config.answers} validation rows"
        return SweepSummary(
            path=path,
            dataset=card.name,
            base_model=base.model.name,
            completed=states.count("COMPLETE"),
            pruned=states.count("PRUNED"),
            failed=states.count("FAIL"),
            hours=round(search.hours_used(study, 1), 3),
            chosen_by=answered if config.answers else "validation loss",
            finalists=finalists,
            dropped=dropped,
            mlflow_run=parent,
        )


def _ranked(finals: "list[Final]") -> tuple[tuple[Finalist, ...], tuple[Dropped, ...]]:
    """Finalists, best first, and those that failed."""
    from pipeline.sweep.study import settings

    finalists = [
        Finalist(
            trial=trial.number,
            settings=settings(trial),
            losses=tuple(result.best_eval_loss for result, _ in runs),
            accuracies=tuple(graded.accuracy for _, graded in runs if graded is not None),
        )
        for trial, runs, failure in finals
        if failure is None
    ]
    dropped = [
        Dropped(trial=trial.number, settings=settings(trial), seed=failure.seed, reason=failure.reason)
        for trial, _, failure in finals
        if failure is not None
    ]
    return tuple(sorted(finalists, key=lambda finalist: finalist.key)), tuple(dropped)


@contextlib.contextmanager
def _tracked(study: "Study", home: Home, name: str, tags: dict[str, str]) -> Iterator[tuple[Any, str]]:
    """MLflow and the id of the sweep's run, which stays the same when the sweep continues."""
    mlflow = tracking.configure(home)
    run_ids = {
        run.info.run_id for run in mlflow.search_runs(filter_string="tags.stage = 'sweep'", output_format="list")
    }
    previous = study.user_attrs.get("mlflow_run")
    chosen = {"run_id": previous} if previous in run_ids else {"run_name": name, "tags": tags}
    with mlflow.start_run(**chosen) as active:
        study.set_user_attr("mlflow_run", active.info.run_id)
        yield mlflow, active.info.run_id


def _spread(values: tuple[float, ...], form: str) -> str:
    mean = format(statistics.fmean(values), form)
    return f"{mean} ± {format(statistics.stdev(values), form)}" if len(values) > 1 else mean
