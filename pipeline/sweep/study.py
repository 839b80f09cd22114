"""The search: optuna's study in the sweep's folder, which outlives a killed sweep."""

import datetime as dt
import warnings
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from pipeline.sweep.config import Settings, SweepConfig

CONTINUES = "continues"
"""Attribute of a trial that takes up one that was running when the sweep was killed: that one's number."""
ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


def open_study(folder: Path, config: SweepConfig, seed: int) -> optuna.Study:
    """The study of this sweep, made or found again, in which the trials of a killed sweep wait to be continued.

    Trials are told apart by their settings alone; they find their own checkpoints.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = f"sqlite:///{folder / 'optuna.db'}"
    # Optuna spares steps below n_warmup_steps, and ours are counted from 1.
    spared = config.warmup_evaluations + 1
    pruner = optuna.pruners.MedianPruner(n_startup_trials=config.startup_trials, n_warmup_steps=spared)
    study = optuna.create_study(storage=storage, study_name="sweep", load_if_exists=True, pruner=pruner)
    # The sampler's own random numbers start anew with each process: with the same seed it would propose the same again.
    startup = max(config.startup_trials, 5)
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials), n_startup_trials=startup)
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        if trial.params:
            study.enqueue_trial(trial.params, user_attrs={CONTINUES: trial.number})
    return study


def settings_of(trial: Trial, config: SweepConfig) -> Settings:
    """What the sampler proposes for a new trial."""
    space = config.space
    rate = space.learning_rate
    return {
        # Six digits, so that the settings that are printed are those that are used.
        "learning_rate": float(f"{trial.suggest_float('learning_rate', rate.low, rate.high, log=True):.6g}"),
        "rank": trial.suggest_categorical("rank", space.rank),
        "epochs": trial.suggest_categorical("epochs", space.epochs),
        "rslora": trial.suggest_categorical("rslora", space.rslora),
        "quantization": trial.suggest_categorical("quantization", space.quantization),
    }


def report(trial: Trial, evaluation: int, loss: float) -> bool:
    """Record a validation loss; whether the trial is worse than the median of others at the same point."""
    with warnings.catch_warnings():
        # A trial that continues reports again what it had reported.
        warnings.simplefilter("ignore", UserWarning)
        trial.report(loss, evaluation)
    return trial.should_prune()


def trials_of(study: optuna.Study) -> list[FrozenTrial]:
    """Trials that count: all but those that another one continues."""
    trials: list[FrozenTrial] = study.get_trials(deepcopy=False)
    continued = {trial.user_attrs.get(CONTINUES) for trial in trials}
    return [trial for trial in trials if trial.number not in continued]


def hours_used(study: optuna.Study, slots: int) -> float:
    """Hours that the trials so far took, with so many at a time."""
    spans = [trial.duration for trial in trials_of(study) if trial.duration is not None]
    return sum(spans, dt.timedelta()).total_seconds() / 3600 / slots


def best(study: optuna.Study, count: int) -> list[FrozenTrial]:
    """The trials with the lowest validation losses, of different settings."""
    found: list[FrozenTrial] = []
    complete = [trial for trial in trials_of(study) if trial.state == TrialState.COMPLETE]
    for trial in sorted(complete, key=lambda trial: (value_of(trial), trial.number)):
        if settings(trial) not in [settings(other) for other in found]:
            found.append(trial)
    return found[:count]


def value_of(trial: FrozenTrial) -> float:
    """Lowest validation loss of a trial that came to its end."""
    assert trial.value is not None
    return trial.value


def settings(trial: FrozenTrial) -> Settings:
    """The settings that a trial was trained with."""
    kept: dict[str, Any] = trial.user_attrs["settings"]
    return kept
