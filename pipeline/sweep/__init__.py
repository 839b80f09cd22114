"""Search for the settings of a training run, and confirm the best of them on several seeds.

    fasttier sweep --config configs/train/smollm2-135m.yaml --dataset support.intent

Tries what configs/sweep.yaml says, one trial per GPU at a time; writes data/runs/sweep-<task>@<key>/winner.yaml, which
`fasttier train --config` takes, and an MLflow run with a child per trial. A killed sweep continues with the same
command.
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
    """One of the best settings, on several seeds."""

    trial: int
    settings: Settings
    losses: tuple[float, ...]
    """Lowest validation loss of each seed."""
    accuracies: tuple[float, ...]
    """Share of right answers of each seed, generated for validation rows; empty where none were."""

    @property
    def key(self) -> tuple[float, float]:
        """Lower is better: by the answers where there are any, then by the loss."""
        return -statistics.fmean(self.accuracies) if self.accuracies else 0.0, statistics.fmean(self.losses)

    def line(self) -> str:
        """For the terminal."""
        said = ", ".join(f"{name} {value}" for name, value in self.settings.items())
        accuracy = f"{_spread(self.accuracies, '.1%')} right, " if self.accuracies else ""
        return f"trial {self.trial}: {accuracy}validation loss {_spread(self.losses, '.4f')} ({said})"


class Dropped(msgspec.Struct, frozen=True, kw_only=True):
    """One of the best settings that cannot win: training failed on one of its seeds."""

    trial: int
    settings: Settings
    seed: int
    reason: str

    def line(self) -> str:
        """For the terminal."""
        said = ", ".join(f"{name} {value}" for name, value in self.settings.items())
        return f"trial {self.trial}: out, it failed on seed {self.seed} ({said}): {self.reason}"


class SweepSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a sweep found."""

    path: Path
    """The winner's training configuration."""
    dataset: str
    base_model: str
    completed: int
    pruned: int
    failed: int
    hours: float
    """Of all trials, those of interrupted runs too; without the finalists' further seeds."""
    chosen_by: str
    finalists: tuple[Finalist, ...]
    """Best first."""
    dropped: tuple[Dropped, ...]
    """Finalists that failed on one of their seeds."""
    mlflow_run: str

    def lines(self) -> list[str]:
        """The result for people."""
        counts = f"{self.completed} completed, {self.pruned} stopped early, {self.failed} failed"
        seeds = len(self.finalists[0].losses)
        return [
            f"tried       {counts}, {self.hours:.2f} hours, of {self.base_model} on {self.dataset}",
            f"finalists   {seeds} seed{'s' if seeds > 1 else ''} each, mean and standard deviation:",
            *(f"  {finalist.line()}" for finalist in self.finalists),
            *(f"  {finalist.line()}" for finalist in self.dropped),
            f"chosen      trial {self.finalists[0].trial}, by {self.chosen_by}; the test split was not looked at",
            f"winner      {self.path}",
            f"mlflow      run {self.mlflow_run}",
            "next        (it is trained already: this publishes it)",
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
    # Budgets are no part of the key: a sweep that is given more time or trials goes on where it was.
    key = hash8(recipe, config.space, card.name, weights.revision)
    folder = home.runs / f"sweep-{slug(card.task)}@{key}"
    folder.mkdir(parents=True, exist_ok=True)
    with train.only_one(folder):
        # Imported here: optuna takes a second that `fasttier --help` does not have.
        from pipeline.sweep import study as search
        from pipeline.sweep.search import Board, Search
        from pipeline.sweep.trials import Bench

        found = search.open_study(folder, config, base.seed)
        tags = {"stage": "sweep", "task": card.task, "dataset": card.name, "base_model": base.model.name}
        with _tracked(found, home, f"sweep {card.task}", tags) as (mlflow, parent), Board(config) as board:
            bench = Bench(home, dataset, weights, device, slots, parent)
            sweep = Search(config, base, found, bench, slots, board)
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
        states = [trial.state.name for trial in search.trials_of(found)]
        answered = f"the answers generated for {config.answers} validation rows at most"
        return SweepSummary(
            path=path,
            dataset=card.name,
            base_model=base.model.name,
            completed=states.count("COMPLETE"),
            pruned=states.count("PRUNED"),
            failed=states.count("FAIL"),
            hours=round(search.hours_used(found, 1), 3),
            chosen_by=answered if config.answers else "validation loss",
            finalists=finalists,
            dropped=dropped,
            mlflow_run=parent,
        )


def _ranked(finals: "list[Final]") -> tuple[tuple[Finalist, ...], tuple[Dropped, ...]]:
    """The finalists, best first, and those that failed."""
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
    """The sweep's MLflow run, the same one when it continues: MLflow and the run's id."""
    mlflow = tracking.configure(home)
    known = {run.info.run_id for run in mlflow.search_runs(filter_string="tags.stage = 'sweep'", output_format="list")}
    again = study.user_attrs.get("mlflow_run")
    chosen = {"run_id": again} if again in known else {"run_name": name, "tags": tags}
    with mlflow.start_run(**chosen) as active:
        study.set_user_attr("mlflow_run", active.info.run_id)
        yield mlflow, active.info.run_id


def _spread(values: tuple[float, ...], form: str) -> str:
    mean = format(statistics.fmean(values), form)
    return f"{mean} ± {format(statistics.stdev(values), form)}" if len(values) > 1 else mean
